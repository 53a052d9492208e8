"""The bodies of webhooks: Alertmanager's is compared with what a real one sends, OCSF's with the schema; all signed."""

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from alerts.delivery.delivery import Delivery
from alerts.delivery.delivery import delivery_of as as_delivery
from alerts.receivers.alertmanager import NEVER, AlertmanagerNotifier, fingerprint, make_webhook
from alerts.receivers.webhook import Webhook, WebhookNotifier
from tests.alerts.test_alertmanager import Manager, page, real
from tests.alerts.test_channels import NOW, Server
from tests.alerts.test_ocsf import order_of
from tests.support.daemons import until
from tests.support.findings import finding
from tests.support.messages import deliveries
from tests.support.ocsf import problems

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
# Source: Alertmanager, "<webhook_config>": the body, and "Alert" in the notification template reference.
GROUP: dict[str, type] = {
    "version": str, "groupKey": str, "truncatedAlerts": int, "status": str, "receiver": str, "groupLabels": dict,
    "commonLabels": dict, "commonAnnotations": dict, "externalURL": str, "alerts": list,
}  # fmt: skip
ALERT: dict[str, type] = {
    "status": str, "labels": dict, "annotations": dict, "startsAt": str, "endsAt": str, "generatorURL": str,
    "fingerprint": str,
}  # fmt: skip


def refuses(body: dict[str, Any]) -> str:
    """Why whoever reads Alertmanager's webhooks would stumble, empty where nobody would."""
    for kinds, value in [(GROUP, body), *((ALERT, one) for one in body.get("alerts", ()))]:
        if value.keys() != kinds.keys():
            return f"keys: {sorted(value.keys() ^ kinds.keys())}"
        for key, kind in kinds.items():
            if not isinstance(value[key], kind):
                return f"{key}: {value[key]!r}"
            if kind is dict and not all(isinstance(one, str) for pair in value[key].items() for one in pair):
                return f"{key}: texts are expected"
    if body["version"] != "4" or body["status"] not in ("firing", "resolved"):
        return "version or status"
    for one in body["alerts"]:
        if datetime.fromisoformat(one["startsAt"]).tzinfo is None or "alertname" not in one["labels"]:
            return "an alert has a name and a time zone"
        if (one["endsAt"] == NEVER) is not (one["status"] == "firing"):
            return "endsAt"
    return ""


def accept(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
    try:
        Verifier(SECRET).verify(body["raw"], headers)
    except WebhookVerificationError as error:
        return 401, {}, str(error).encode()
    return 204, {}, b""


@pytest.mark.parametrize("name", deliveries())
def test_every_delivery_is_what_alertmanager_would_send_and_is_signed(name: str) -> None:
    with Server(accept) as server:
        notifier = WebhookNotifier(server.url, SECRET, body="alertmanager")
        # The signature has the time of the attempt, and old ones are refused.
        outcome = notifier.send(deliveries()[name], time.time())

    assert outcome.delivered, outcome.detail
    ((_, headers, body),) = server.taken
    assert refuses(body) == ""
    assert body["status"] == ("resolved" if name == "resolved" else "firing")
    assert json.loads(outcome.memo) == body["alerts"][0]["labels"], "they stay what they are"
    assert headers["webhook-id"] == deliveries()[name].id


@pytest.mark.parametrize("wrong", [{"version": 4}, {"status": "open"}, {"extra": 1}, {"groupLabels": {"a": 1}}])
def test_the_reader_of_this_test_stumbles(wrong: dict[str, Any]) -> None:
    assert refuses({**make_webhook(page(), NOW), **wrong})


def test_labels_stay_those_of_the_first_page_whatever_changes() -> None:
    first = make_webhook(page(), NOW)
    labels = first["commonLabels"]
    worse = page("alias")
    noted = msgspec.structs.replace(
        worse.incident, id=page().incident.id, memos={"soc": msgspec.json.encode(labels).decode()}
    )
    later: Any = make_webhook(msgspec.structs.replace(worse, incident=noted), NOW)

    assert later["groupKey"] == first["groupKey"]
    assert later["alerts"][0]["fingerprint"] == fingerprint(labels)  # type: ignore[arg-type]


def without_zone(text: str) -> datetime:
    """An instant to the microsecond: Go writes nine digits."""
    whole, _, rest = text.replace("Z", "+00:00").partition(".")
    digits, sign, zone = (rest.partition("+") if "+" in rest else (rest, "", "")) if rest else ("", "", "")
    return datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{sign}{zone}" if rest else whole).astimezone(UTC)


@real
def test_it_is_what_a_real_alertmanager_makes_of_the_same_alert(tmp_path: Path) -> None:
    def take(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b""

    shown = page()
    with Server(take) as theirs:
        manager = Manager(tmp_path, hook=f"{theirs.url}/hook")
        try:
            AlertmanagerNotifier(manager.url).send(shown, time.time())
            until(lambda: len(theirs.taken) == 1, "Alertmanager's webhook")
        finally:
            manager.stop()
    their = theirs.taken[0][2]
    ours: dict[str, Any] = json.loads(msgspec.json.encode(make_webhook(shown, time.time())))

    assert ours.keys() <= their.keys()
    (our_alert,), (their_alert,) = ours["alerts"], their["alerts"]
    assert our_alert.keys() == their_alert.keys()
    for key in ("labels", "annotations", "status", "endsAt", "fingerprint", "generatorURL"):
        assert our_alert[key] == their_alert[key], key
    assert without_zone(our_alert["startsAt"]) == without_zone(their_alert["startsAt"])
    for key in ("version", "status", "groupKey", "groupLabels", "commonLabels", "commonAnnotations", "truncatedAlerts"):
        assert ours[key] == their[key], key


def test_an_event_of_a_finding_is_the_whole_body_and_is_signed() -> None:
    event: Delivery = as_delivery(order_of(finding()))
    with Server(accept) as server:
        assert WebhookNotifier(server.url, SECRET, body="ocsf").send(event, time.time()).delivered

    ((_, headers, body),) = server.taken
    assert list(problems(body)) == []
    assert headers["webhook-id"] == event.id == body["metadata"]["uid"]


def test_only_events_take_findings() -> None:
    takes = [Webhook(name="a", url="https://h.example", body=body).takes_findings for body in ("own", "alertmanager")]

    assert takes == [False, False]
    assert Webhook(name="a", url="https://h.example", body="ocsf").takes_findings

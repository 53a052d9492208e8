"""PagerDuty and Jira Service Management say who acknowledged: about incidents that they were told of, once."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import Escalation, Route
from alerts.decision.deeds import source_of_receiver
from alerts.decision.incidents import Entry, begin_incident, take_finding
from alerts.ledger.sqlite import SqliteLedger
from alerts.receivers.console import Console
from alerts.receivers.jsm import Jsm
from alerts.receivers.pagerduty import PagerDuty
from anchorwatch.web.hooks import Hook, hooks_of
from anchorwatch.web.jsm_hook import read_call
from schemas.catalogue import Severity
from schemas.messages import Act
from tests.anchorwatch.test_doors import EVERYWHERE, LOCAL, app_of, ask
from tests.support.desk import Desk
from tests.support.findings import AT, finding

SECRET = "wh-s3cret"
TOKEN = "t" * 32
HOOKS = {"soc": Hook("pagerduty", f"{SECRET}\nold-s3cret"), "desk": Hook("jsm", f"{TOKEN}\n{'o' * 32}")}
OPENED = finding()
INCIDENT = msgspec.structs.replace(
    take_finding(begin_incident(OPENED), Entry(finding=OPENED, severity=Severity.CRITICAL, receivers=("soc",))),
    notified={"soc": Severity.CRITICAL, "desk": Severity.CRITICAL},
)
UNTOLD = msgspec.structs.replace(INCIDENT, id="f" * 32, notified={"other": Severity.CRITICAL})


def event(kind: str = "incident.acknowledged", key: str = f"aw:{INCIDENT.id}", **more: Any) -> bytes:
    data = {"id": "PGR0VU2", "type": "incident", "status": "acknowledged", "incident_key": key}
    body = {
        "id": "01BX",
        "event_type": kind,
        "data": data,
        "agent": {"summary": "Ana Prime", "type": "user_reference"},
        **more,
    }
    return json.dumps({"event": body}).encode()


class Phone:
    """A door that takes PagerDuty's calls for receiver ``soc``."""

    def __init__(self, folder: Path, config: Any = LOCAL) -> None:
        self.sent: list[Act] = []
        self.ledger = SqliteLedger(folder / "alerts.sqlite")
        self.ledger.commit(incidents=[INCIDENT, UNTOLD])

        async def send(acts: Any) -> None:
            self.sent.extend(acts)

        self.app = app_of(config, ledger=self.ledger, act=send, hooks=HOOKS)

    def call(self, body: bytes, secret: str = SECRET, receiver: str = "soc", **headers: str) -> int:
        signature = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        given = {"x_pagerduty_signature": f"v1=00,{signature}", **headers}
        return int(ask(self.app, f"/api/v1/hooks/pagerduty/{receiver}", "POST", body, **given).status)

    def call_jsm(self, body: bytes, token: str = f"Bearer {TOKEN}", receiver: str = "desk", **headers: str) -> int:
        given = {"authorization": token, **headers}
        return int(ask(self.app, f"/api/v1/hooks/jsm/{receiver}", "POST", body, **given).status)


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path)


def test_an_acknowledgement_there_is_one_here(phone: Phone) -> None:
    assert phone.call(event()) == 202
    assert phone.call(event(), "old-s3cret") == 202
    first, again = phone.sent

    assert (first.kind, first.by, first.subject, first.source) == (
        "acknowledge",
        "Ana Prime",
        INCIDENT.id,
        "receiver soc",
    )
    assert again.id == first.id, "told twice it is one act"


def test_an_alert_that_rang_again_is_the_same_incident(phone: Phone) -> None:
    phone.call(event(key=f"aw:{INCIDENT.id}:2"))

    assert phone.sent[0].subject == INCIDENT.id


@pytest.mark.parametrize("agent", [None, {"summary": "Nagios", "type": "inbound_integration_reference"}])
def test_what_a_timeout_or_an_integration_resolves_there_is_nobodys(phone: Phone, agent: Any) -> None:
    phone.call(event("incident.resolved", agent=agent))

    assert phone.sent == []


def test_what_is_resolved_there_while_it_lasts_is_somebodys_and_goes_on(phone: Phone) -> None:
    phone.call(event("incident.resolved"))

    assert (phone.sent[0].kind, phone.sent[0].why) == ("acknowledge", "resolved at PagerDuty, and still the case here")


@pytest.mark.parametrize(
    "body",
    [
        event("incident.priority_updated"),
        event("incident.acknowledged", "somebody else's key"),
        event("incident.acknowledged", "aw:" + "0" * 32),
        event("incident.acknowledged", f"aw:{UNTOLD.id}"),
        event("incident.unacknowledged"),
    ],
    ids=["another event", "not ours", "never sent", "sent to others", "nobody had it"],
)
def test_what_is_nothing_of_ours_is_taken_and_does_nothing(phone: Phone, body: bytes) -> None:
    assert phone.call(body) == 202
    assert phone.sent == []


@pytest.mark.parametrize(
    ("secret", "receiver", "body", "status"),
    [
        ("wrong", "soc", event(), 401),
        (SECRET, "chat", event(), 404),
        (SECRET, "desk", event(), 404),
        (SECRET, "soc", b"{}", 400),
        (SECRET, "soc", b"[" * 100_000, 400),
        (SECRET, "soc", b"x" * 300_000, 413),
    ],
    ids=["signature", "receiver", "another vendor", "no event", "nested", "too long"],
)
def test_whoever_else_calls_is_refused(phone: Phone, secret: str, receiver: str, body: bytes, status: int) -> None:
    assert phone.call(body, secret, receiver) == status
    assert phone.sent == []


def test_the_signature_stands_for_the_token(tmp_path: Path) -> None:
    phone = Phone(tmp_path, EVERYWHERE)

    assert phone.call(event(), host="watch.corp.example") == 202
    assert phone.call(event(), "wrong", host="watch.corp.example") == 401


def test_who_acknowledged_there_is_not_told_so_there(tmp_path: Path, clock: Any) -> None:
    desk = Desk(tmp_path, clock)
    desk.handle(finding())
    (incident,) = desk.ledger.open_incidents()
    act = Act(id="1", kind="acknowledge", by="ana", at=AT, subject=incident.id, source=source_of_receiver("pager"))
    desk.do(act)
    desk.do(msgspec.structs.replace(act, id="2", by="bo", source="API"))

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge"]
    assert "acknowledged by bo" in desk.pager.bodies[-1]["reason"]


# Jira Service Management and Opsgenie: the shape is that of Atlassian's "Alert action data".


def action(kind: str = "Acknowledge", alias: str = f"aw:{INCIDENT.id}", **alert: Any) -> bytes:
    said = {
        "updatedAt": 1420452224764002246,
        "tags": ["anchorwatch", "critical"],
        "message": "[critical] bank.example.",
        "username": "fili@corp.example",
        "alertId": "052652ac-5d1c-464a-812a-7dd18bbfba8c",
        "source": "anchorwatch",
        "alias": alias,
        "tinyId": "23",
        "createdAt": 1420452191104,
        "userId": "daed1180-0ce8-438b-8f8e-57e1a5920a2d",
        "entity": "",
        **alert,
    }
    source = {"name": alert.get("by", ""), "type": "web"}
    body = {"source": source, "alert": said, "action": kind, "integrationId": "37c8f316", "integrationName": "hook"}
    return json.dumps(body).encode()


def test_an_acknowledgement_at_jsm_is_one_here(phone: Phone) -> None:
    assert phone.call_jsm(action()) == 202
    assert phone.call_jsm(action(), f"bearer {'o' * 32}") == 202
    first, again = phone.sent

    assert (first.kind, first.by, first.subject, first.source) == (
        "acknowledge",
        "fili@corp.example",
        INCIDENT.id,
        "receiver desk",
    )
    assert again.id == first.id, "told twice it is one act"


def test_what_is_closed_at_jsm_while_it_lasts_is_somebodys_and_goes_on(phone: Phone) -> None:
    phone.call_jsm(action("Close"))

    assert (phone.sent[0].kind, phone.sent[0].why) == ("acknowledge", "closed there, and still the case here")


@pytest.mark.parametrize("username", ["", "System", "Alert API"])
def test_what_a_policy_closes_at_jsm_is_nobodys(phone: Phone, username: str) -> None:
    phone.call_jsm(action("Close", username=username))

    assert phone.sent == []


def test_two_doings_of_one_alert_are_two_acts(phone: Phone) -> None:
    phone.call_jsm(action())
    phone.call_jsm(action(updatedAt=1420452224764002247))

    assert len({act.id for act in phone.sent}) == 2


@pytest.mark.parametrize(
    "body",
    [
        action("AddNote"),
        action("Create"),
        action(alias="somebody else's"),
        action(alias="aw:" + "0" * 32),
        action(alias=f"aw:{UNTOLD.id}"),
        action(alias=""),
        action("UnAcknowledge"),
        action(username="anchorwatch"),
        action(by="anchorwatch"),
    ],
    ids=["note", "create", "not ours", "unknown", "sent to others", "no alias", "nobody had it", "by us", "from us"],
)
def test_what_is_nothing_of_ours_at_jsm_is_taken_and_does_nothing(phone: Phone, body: bytes) -> None:
    assert phone.call_jsm(body) == 202
    assert phone.sent == []


@pytest.mark.parametrize(
    ("token", "receiver", "body", "status"),
    [
        ("Bearer " + "x" * 32, "desk", action(), 401),
        (TOKEN, "desk", action(), 401),
        ("", "desk", action(), 401),
        ("Bearer ", "desk", action(), 401),
        (f"Basic {TOKEN}", "desk", action(), 401),
        (f"Bearer {SECRET}", "soc", action(), 404),
        (f"Bearer {TOKEN}", "desk", b"{}", 400),
        (f"Bearer {TOKEN}", "desk", b'{"action": 1, "alert": []}', 400),
        (f"Bearer {TOKEN}", "desk", b"[" * 100_000, 400),
        (f"Bearer {TOKEN}", "desk", b"x" * 300_000, 413),
    ],
)
def test_whoever_else_calls_for_jsm_is_refused(
    phone: Phone, token: str, receiver: str, body: bytes, status: int
) -> None:
    assert phone.call_jsm(body, token, receiver) == status
    assert phone.sent == []


def test_the_token_of_a_hook_is_no_token_of_the_api(tmp_path: Path) -> None:
    phone = Phone(tmp_path, EVERYWHERE)

    assert phone.call_jsm(action(), host="watch.corp.example") == 202
    given = {"authorization": f"Bearer {TOKEN}", "host": "watch.corp.example"}
    assert ask(phone.app, "/api/v1/acts", "GET", b"", **given).status == 401


def test_who_may_call_is_said_by_the_receivers() -> None:
    receivers = [
        PagerDuty(name="a", routing_key="k", webhook_secret="s"),
        PagerDuty(name="b", routing_key="k"),
        Jsm(name="c", key="k", webhook_token="t"),
        Jsm(name="d", key="k"),
        Console(name="e"),
    ]

    assert hooks_of(receivers) == {"a": Hook("pagerduty", "s"), "c": Hook("jsm", "t")}
    assert [one.name for one in receivers if one.hears_acknowledgements] == ["a", "c", "e"]
    assert "'s'" not in repr(hooks_of(receivers))


def test_an_acknowledgement_at_jsm_keeps_the_next_one_from_being_told(tmp_path: Path, clock: Any) -> None:
    """Escalation counts it: the act is the one that the hook makes."""
    route = Route(receiver="pager", escalate=(Escalation(after_s=900, receiver="backup"),))
    desk = Desk(tmp_path, clock, routes=(route,), receivers=(Jsm(name="pager", key="k", webhook_token=TOKEN),))
    desk.handle(finding())
    (incident,) = desk.ledger.open_incidents()
    said = read_call(TOKEN, "pager", {"authorization": f"Bearer {TOKEN}"}, action(alias=f"aw:{incident.id}"))
    assert said is not None
    desk.do(Act(id="1", kind=said.kind, by=said.by, at=AT, subject=said.incident, source=said.source))
    clock.advance(3600)
    desk.do()

    assert desk.backup.told == []
    assert [event for event, _ in desk.pager.told] == ["trigger"], "and it is not told what happened there"

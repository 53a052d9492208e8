"""Prometheus Alertmanager, API v2: an incident is one alert, sent again while it fires, so that silences there count.

Alertmanager forgets alerts when it restarts, and ends those that nobody sends again; hence ``refresh``. What identifies
an alert is its label set: labels stay those of the first page, which are noted; what changes is in the annotations.
What Alertmanager itself sends to webhooks is made here as well.

Source: Alertmanager, "Sending alerts", api/v2/openapi.yaml, "<webhook_config>" and "Notification template reference"
(Data); common/model, LabelSet.Fingerprint.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from alerts.delivery.advice import INCIDENT, RUNBOOK
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import describe, printable, screen
from alerts.receivers.exchange import Line
from alerts.receivers.posting import post_json
from alerts.receivers.receiver import HttpClient, Receiver, Secret, check_url, read_lines

REFRESHED = timedelta(minutes=1)
FIRES_FOR = 4 * REFRESHED
MOST_AT_ONCE = 500
MAX_TEXT = 20_000


class Alertmanager(Receiver, frozen=True, kw_only=True, tag="alertmanager"):
    """An Alertmanager; ``url`` is its own, without /api/v2; ``token`` is sent as a bearer token."""

    url: str = ""
    token: Secret = msgspec.field(default="", name="token_file")

    @property
    def hears_acknowledgements(self) -> bool:
        """Return that we don't hear of what people do there: escalation is Alertmanager's own."""
        return False

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return self.url

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.url:
            yield "", "alertmanager needs a 'url'"
        else:
            yield from check_url(self.url)

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what posts to it."""
        return AlertmanagerNotifier(self.url, self.token, http)


class AlertmanagerNotifier:
    """Posts alerts; ``refresh`` posts those that still fire again."""

    def __init__(
        self, url: str, token: str = "", line: HttpClient | None = None, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._token = next(iter(read_lines(token)), "")
        self._line, self._deadline_s = line or Line(), deadline_s

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Post one alert; who has an incident is an annotation of it."""
        alert = make_alert(delivery, now)
        outcome = self._post([alert])
        labels = msgspec.json.encode(alert["labels"]).decode()
        return replace(outcome, memo=labels) if outcome.delivered else outcome

    def refresh(self, firing: Sequence[Delivery], now: float) -> DeliveryOutcome:
        """Post what still fires again."""
        outcome = DeliveryOutcome(True, "nothing fires")
        for start in range(0, len(firing), MOST_AT_ONCE):
            outcome = self._post([make_alert(one, now) for one in firing[start : start + MOST_AT_ONCE]])
            if not outcome.delivered:
                break
        return outcome

    def _post(self, alerts: Sequence[dict[str, object]]) -> DeliveryOutcome:
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        body = msgspec.json.encode(alerts)
        return post_json(self._line, self._url, body, headers, hidden=[self._token], deadline_s=self._deadline_s)


def make_alert(delivery: Delivery, now: float) -> dict[str, object]:
    """Return an incident as Alertmanager has it; one that is over ends now."""
    incident, described = delivery.incident, describe(delivery)
    links = described["links"]
    ends_at = datetime.fromtimestamp(now, UTC) + (timedelta() if delivery.event == "resolve" else FIRES_FOR)
    annotations = {
        "summary": described["summary"],
        "description": screen(delivery)[:MAX_TEXT],
        "severity_now": described["severity"],
        "acknowledged_by": described["acknowledged_by"],
        "means": described["means"],
        "runbook_url": links.get(RUNBOOK, ""),
        "dashboard_url": links.get(INCIDENT, ""),
    }
    return {
        "labels": labels_of(delivery),
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": incident.opened_at.isoformat(),
        "endsAt": max(ends_at, incident.opened_at).isoformat(),
        **({"generatorURL": links[INCIDENT]} if INCIDENT in links else {}),
    }


NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager writes the end of an alert that has none yet."""
FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def make_webhook(delivery: Delivery, now: float) -> dict[str, object]:
    """Return what Alertmanager would send to a webhook, version 4: one alert, which is a group by its incident."""
    alert = make_alert(delivery, now)
    labels, annotations = labels_of(delivery), alert["annotations"]
    is_over = delivery.event == "resolve"
    status = "resolved" if is_over else "firing"
    group = {"incident": delivery.incident.id}
    return {
        "version": "4",
        "groupKey": f'{{}}:{{incident="{delivery.incident.id}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": delivery.receiver,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": delivery.base,
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": alert["startsAt"],
                "endsAt": alert["endsAt"] if is_over else NEVER,
                "generatorURL": alert.get("generatorURL", ""),
                "fingerprint": fingerprint(labels),
            }
        ],
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return what Alertmanager knows a label set by: FNV-1a of 64 bits over names and values, each ended by 0xFF."""
    found = FNV_OFFSET
    for name, value in sorted(labels.items()):
        for octet in name.encode() + b"\xff" + value.encode() + b"\xff":
            found = ((found ^ octet) * FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{found:016x}"


def labels_of(delivery: Delivery) -> dict[str, str]:
    """Return the labels of the first page, or what they are if this is it."""
    incident = delivery.incident
    if memo := incident.memos.get(delivery.receiver):
        return msgspec.json.decode(memo, type=dict[str, str])
    people = incident.identities
    return {
        "alertname": f"anchorwatch_{incident.lead.code}",
        "incident": incident.id,
        "zone": printable(incident.cause),
        "owner": printable(people[0].owner if people else ""),
        "environment": printable(people[0].environment if people else ""),
        "severity": str(incident.severity),
    }

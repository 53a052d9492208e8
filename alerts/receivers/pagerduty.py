"""PagerDuty Events API v2: trigger, acknowledge and resolve under one stable deduplication key.

Source: PagerDuty, "Events API v2 overview", "Send an alert event". A 400 is never retried; 429 and 5xx are.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import msgspec

from alerts.delivery.advice import EVIDENCE, INCIDENT, RUNBOOK
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import describe
from alerts.receivers.exchange import Line
from alerts.receivers.posting import post_json
from alerts.receivers.receiver import HttpClient, Receiver, Secret, check_url, read_lines

SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info", "info": "info"}
MAX_SUMMARY = 1024
MAX_EVENT_BYTES = 512_000
REGIONS = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}
LINK_TEXTS = {INCIDENT: "Incident", RUNBOOK: "What to do", EVIDENCE: "Evidence"}


class PagerDuty(Receiver, frozen=True, kw_only=True, tag="pagerduty"):
    """A service of PagerDuty's in a ``region``; ``url`` is for a proxy of one's own."""

    url: str = ""
    region: Literal["us", "eu"] = "us"
    routing_key: Secret = msgspec.field(default="", name="routing_key_file")
    webhook_secret: Secret = msgspec.field(default="", name="webhook_secret_file")

    @property
    def hears_acknowledgements(self) -> bool:
        """Return whether PagerDuty calls us (v3 webhooks) when somebody acknowledges."""
        return bool(self.webhook_secret)

    @property
    def hook(self) -> tuple[str, str] | None:
        """Return whose calls we take, with the secret that signs them."""
        return "pagerduty", self.webhook_secret

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return self.url or REGIONS[self.region]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.routing_key:
            yield "", "pagerduty needs a 'routing_key_file'"
        if self.url:
            yield from check_url(self.url)

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what sends events to it."""
        return PagerDutyNotifier(self.routing_key, self.url or REGIONS[self.region], http)


class PagerDutyNotifier:
    """Sends events by one routing key; a later start resolves what an earlier one triggered."""

    def __init__(
        self, routing_key: str, url: str = "", line: HttpClient | None = None, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._routing_key = routing_key
        self._url = url or REGIONS["us"]
        self._line, self._deadline_s = line or Line(), deadline_s

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Send one event, of an end one for each alert that the incident opened here.

        One that is refused as such is not sent again, a newer state of its incident is.
        """
        outcome = DeliveryOutcome(False, "nothing was sent")
        for event in make_events(delivery, self._routing_key):
            outcome = post_json(
                self._line, self._url, event, {}, hidden=read_lines(self._routing_key), deadline_s=self._deadline_s
            )
            if not outcome.delivered:
                break
        return replace(outcome, unfit=True) if outcome.detail.startswith("HTTP 400") else outcome


def make_events(delivery: Delivery, routing_key: str) -> list[bytes]:
    """Return the events of a delivery: what ends or is acknowledged was opened under each of these keys.

    ``routing_key`` may have several lines, the first of which opens. An alert is known only to the key that opened it,
    so that what ends is said to each of them; PagerDuty drops the end of what it does not know.
    """
    keys, routing_keys = dedup_keys(delivery), read_lines(routing_key) or [routing_key]
    if delivery.event not in ("acknowledge", "resolve"):
        return [make_event(delivery, routing_keys[0], keys[-1])]
    events = (
        {"routing_key": by, "event_action": delivery.event, "dedup_key": key}
        for by in routing_keys
        for key in reversed(keys)
    )
    return [msgspec.json.encode(event) for event in events]


def dedup_keys(delivery: Delivery) -> list[str]:
    """Return the keys under which an incident opened alerts here, the newest last.

    A second event under the key of an open alert rings nobody (Events API v2, "Event deduplication"), so each update
    that has to ring opens an alert of its own.
    """
    incident = delivery.incident
    rings = incident.rings.get(delivery.receiver, 0)
    return [f"aw:{incident.id}", *(f"aw:{incident.id}:{number}" for number in range(1, rings + 1))]


def make_event(delivery: Delivery, routing_key: str, dedup_key: str) -> bytes:
    """Return the event that opens or updates an alert; details that would make it too large are left out."""
    incident = delivery.incident
    described = describe(delivery)
    lead = incident.lead
    environments = sorted({i.environment for i in incident.identities if i.environment})
    payload: dict[str, object] = {
        "summary": described["summary"][:MAX_SUMMARY],
        "source": incident.cause,
        "severity": SEVERITIES[incident.severity],
        "timestamp": incident.opened_at.isoformat(timespec="milliseconds"),
        "component": lead.cause_rrset or lead.cause_zone,
        "group": "/".join(environments),
        "class": f"dnssec.{lead.code}",
        "custom_details": described,
    }
    links = [{"href": href, "text": LINK_TEXTS[name]} for name, href in described["links"].items()]
    event: dict[str, object] = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "payload": payload,
        "client": "anchorwatch",
    }
    if links:
        event |= {"links": links, "client_url": described["links"][INCIDENT]}
    encoded = msgspec.json.encode(event)
    if len(encoded) > MAX_EVENT_BYTES:
        payload["custom_details"] = {"incident": incident.id, "left_out": "the details are too large for an event"}
        encoded = msgspec.json.encode(event)
    return encoded

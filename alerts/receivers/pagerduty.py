"""PagerDuty Events API v2: trigger, acknowledge and resolve under one stable deduplication key.

Source: PagerDuty, "Events API v2 overview", "Send an alert event". A 400 is never retried; 429 and 5xx are.
"""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import describe
from alerts.receivers.exchange import Line
from alerts.receivers.posting import post_json
from alerts.receivers.receiver import HttpClient, Receiver, Secret, check_url

DEFAULT_URL = "https://events.pagerduty.com/v2/enqueue"
SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info", "info": "info"}
MAX_SUMMARY = 1024
MAX_EVENT_BYTES = 512_000


class PagerDuty(Receiver, frozen=True, kw_only=True, tag="pagerduty"):
    """A service of PagerDuty's; ``url`` is for its other regions, and for a proxy of one's own."""

    url: str = ""
    routing_key: Secret = msgspec.field(default="", name="routing_key_file")
    webhook_secret: Secret = msgspec.field(default="", name="webhook_secret_file")

    @property
    def hears_acknowledgements(self) -> bool:
        """Return whether PagerDuty calls us (v3 webhooks) when somebody acknowledges."""
        return bool(self.webhook_secret)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.routing_key:
            yield "", "pagerduty needs a 'routing_key_file'"
        if self.url:
            yield from check_url(self.url)

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what sends events to it."""
        return PagerDutyNotifier(self.routing_key, self.url, http)


class PagerDutyNotifier:
    """Sends events by one routing key; a later start resolves what an earlier one triggered."""

    def __init__(
        self, routing_key: str, url: str = "", line: HttpClient | None = None, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._routing_key = routing_key
        self._url = url or DEFAULT_URL
        self._line, self._deadline_s = line or Line(), deadline_s

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Send one event; one that is refused as such is not sent again, a newer state of its incident is."""
        event = make_event(delivery, self._routing_key)
        outcome = post_json(self._line, self._url, event, {}, hidden=[self._routing_key], deadline_s=self._deadline_s)
        return replace(outcome, unfit=True) if outcome.detail.startswith("HTTP 400") else outcome


def make_event(delivery: Delivery, routing_key: str) -> bytes:
    """Return the event as JSON; details that would make it too large are left out."""
    incident = delivery.incident
    event: dict[str, object] = {
        "routing_key": routing_key,
        "event_action": delivery.event if delivery.event in ("acknowledge", "resolve") else "trigger",
        "dedup_key": f"aw:{incident.id}",
    }
    if event["event_action"] != "trigger":
        return msgspec.json.encode(event)
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
    event |= {"payload": payload, "client": "anchorwatch"}
    encoded = msgspec.json.encode(event)
    if len(encoded) > MAX_EVENT_BYTES:
        payload["custom_details"] = {"incident": incident.id, "left_out": "the details are too large for an event"}
        encoded = msgspec.json.encode(event)
    return encoded

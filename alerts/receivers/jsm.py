"""Jira Service Management, integration events, which Opsgenie's API is compatible with.

An incident is one alert under its alias. Requests are taken in and worked on later (202). Source: Atlassian, "Jira
Service Management operations REST API, Integration Events"; limits of Opsgenie's "Alert API".
"""

import re
from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import describe, screen
from alerts.receivers.exchange import Line
from alerts.receivers.posting import post_json
from alerts.receivers.receiver import HttpClient, Receiver, Secret, check_url, read_lines

DEFAULT_URL = "https://api.atlassian.com/jsm/ops/integration/v2/alerts"
PRIORITIES = {"critical": "P1", "high": "P2", "medium": "P3", "low": "P4", "info": "P5"}
USER = "anchorwatch"
"""Who does there what we do, so that we know our own doings when they come back."""
SHORTEST_TOKEN = 20
_ALIAS = re.compile(r"aw:([0-9a-f]{32})")
MAX_MESSAGE, MAX_DESCRIPTION, MAX_ENTITY, MAX_DETAIL = 130, 15_000, 512, 8_000


class Jsm(Receiver, frozen=True, kw_only=True, tag="jsm"):
    """An API integration of a team; ``url`` is for Opsgenie and its regions.

    ``webhook_token`` is what an outgoing webhook there says in ``Authorization: Bearer``.
    """

    url: str = DEFAULT_URL
    key: Secret = msgspec.field(default="", name="key_file")
    webhook_token: Secret = msgspec.field(default="", name="webhook_token_file")

    @property
    def hears_acknowledgements(self) -> bool:
        """Return whether it calls us (an outgoing webhook) when somebody acknowledges."""
        return bool(self.webhook_token)

    @property
    def hook(self) -> tuple[str, str] | None:
        """Return whose calls we take, with the token that they have."""
        return "jsm", self.webhook_token

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return self.url

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.key:
            yield "", "jsm needs a 'key_file'"
        if any(len(line) < SHORTEST_TOKEN for line in read_lines(self.webhook_token)):
            yield "webhook_token_file", f"a token has at least {SHORTEST_TOKEN} signs, each in a line of its own"
        yield from check_url(self.url)

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what sends events to it."""
        return JsmNotifier(self.url, self.key, http)


class JsmNotifier:
    """Creates, notes, acknowledges and closes alerts; a second creation under an open alias only counts it up."""

    def __init__(self, url: str, key: str, line: HttpClient | None = None, *, deadline_s: float = DEADLINE_S) -> None:
        self._url, self._key = url.rstrip("/"), next(iter(read_lines(key)), "")
        self._line, self._deadline_s = line or Line(), deadline_s

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Send one request."""
        path, body = make_request(delivery)
        headers = {"authorization": f"GenieKey {self._key}"}
        return post_json(
            self._line,
            f"{self._url}{path}",
            msgspec.json.encode(body),
            headers,
            hidden=[self._key],
            deadline_s=self._deadline_s,
        )


def make_request(delivery: Delivery) -> tuple[str, dict[str, object]]:
    """Return the path behind the URL of alerts, and the body."""
    incident, described = delivery.incident, describe(delivery)
    rings = incident.rings.get(delivery.receiver, 0)
    alias = alias_of(incident.id)
    note = f"{described['summary']} ({described['reason']})"[:MAX_DESCRIPTION]
    verbs = {"resolve": "close", "acknowledge": "acknowledge", "reminder": "notes"}
    verb = verbs.get(delivery.event, "notes" if delivery.event == "update" and not delivery.rings else "")
    if verb:
        return f"/{quote(alias, safe='')}/{verb}?identifierType=alias", {"note": note, "source": USER, "user": USER}
    details = {
        "incident": incident.id,
        "cause": incident.cause,
        "code": incident.lead.code,
        "means": described["means"],
        "rings": str(rings),
        **described["links"],
    }
    return "", {
        "message": described["summary"][:MAX_MESSAGE],
        "alias": alias,
        "description": screen(delivery)[:MAX_DESCRIPTION],
        "entity": incident.cause[:MAX_ENTITY],
        "source": USER,
        "user": USER,
        "priority": PRIORITIES[described["severity"]],
        "tags": ["anchorwatch", described["severity"], incident.lead.code],
        "details": {name: str(text)[:MAX_DETAIL] for name, text in details.items() if text},
    }


def alias_of(incident: str) -> str:
    """Return the alias of an incident's alert."""
    return f"aw:{incident}"


def incident_of_alias(alias: str) -> str:
    """Return the incident that an alert stands for, an empty text where it is none of ours."""
    match = _ALIAS.fullmatch(alias)
    return match[1] if match is not None else ""

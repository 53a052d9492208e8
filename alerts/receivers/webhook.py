"""A generic webhook, signed by the Standard Webhooks scheme, with one of three bodies.

``own`` is the incident as our other receivers get it; ``alertmanager`` what Alertmanager's webhooks send, so that
whatever takes those takes ours; ``ocsf`` is each finding as an event, for a SIEM, instead of pages.
Source: Standard Webhooks 1.0.0, "Webhook headers" and "Signature scheme".
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Literal

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.ocsf import make_event
from alerts.delivery.wording import describe
from alerts.receivers.alertmanager import labels_of, make_webhook
from alerts.receivers.exchange import Line
from alerts.receivers.posting import post_json
from alerts.receivers.receiver import HttpClient, Receiver, Secret, check_url, read_lines

EVENTS = {
    "trigger": "incident.triggered",
    "update": "incident.updated",
    "reminder": "incident.reminder",
    "acknowledge": "incident.acknowledged",
    "resolve": "incident.resolved",
}
_SECRET = re.compile(r"whsec_([A-Za-z0-9+/=]+)")


def read_secret(text: str) -> bytes:
    """Return the key in ``whsec_<base64>``.

    Raises:
        ValueError: another form, or a key outside 24 to 64 octets.
    """
    match = _SECRET.fullmatch(text.strip())
    if match is None:
        raise ValueError("a webhook secret is 'whsec_' and base64")
    key = base64.b64decode(match[1], validate=True)
    if not 24 <= len(key) <= 64:
        raise ValueError(f"a webhook secret has 24 to 64 octets, not {len(key)}")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def make_own(delivery: Delivery, now: float) -> object:
    """Return the body of our own form."""
    if (letter := delivery.letter) is not None:
        data = {"subject": letter.subject, "text": letter.text, "owner": letter.owner}
        return {"type": "digest", "timestamp": delivery.decided_at.isoformat(), "data": data}
    return {
        "type": EVENTS[delivery.event],
        "timestamp": delivery.decided_at.isoformat(),
        "data": describe(delivery),
    }


def make_ocsf(delivery: Delivery, now: float) -> object:
    """Return the event of the finding that a delivery reports."""
    return make_event(delivery)


Body = Literal["own", "alertmanager", "ocsf"]
BODIES: Mapping[Body, Callable[[Delivery, float], object]] = {
    "own": make_own,
    "alertmanager": make_webhook,
    "ocsf": make_ocsf,
}


class Webhook(Receiver, frozen=True, kw_only=True, tag="webhook"):
    """An HTTP endpoint; with a secret, deliveries are signed. ``body`` is what they say, and in which form."""

    url: str = ""
    body: Body = "own"
    secret: Secret = msgspec.field(default="", name="secret_file")

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return self.url

    @property
    def takes_findings(self) -> bool:
        """Return whether it gets every finding as an event instead of pages."""
        return self.body == "ocsf"

    @property
    def takes_letters(self) -> bool:
        """Return whether it can say words that are about no incident: in our own form."""
        return self.body == "own"

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.url:
            yield "", "a webhook needs a 'url'"
        else:
            yield from check_url(self.url)
        if self.secret:
            try:
                for line in read_lines(self.secret):
                    read_secret(line)
            except ValueError as error:
                yield "secret_file", str(error)

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what posts to it."""
        return WebhookNotifier(self.url, self.secret, http, body=self.body)


class WebhookNotifier:
    """Posts each delivery; ``webhook-id`` is the delivery's own id over all retries."""

    def __init__(
        self,
        url: str,
        secret: str,
        line: HttpClient | None = None,
        *,
        body: Body = "own",
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._url, self._secret, self._body, self._deadline_s = url, secret, body, deadline_s
        self._keys = [read_secret(line) for line in read_lines(secret)]
        self._line = line or Line()

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Post once."""
        body = msgspec.json.encode(BODIES[self._body](delivery, now))
        headers = {"webhook-id": delivery.id, "webhook-timestamp": str(int(now))}
        if self._keys:
            # While a secret is rotated both are in the file, and the receiver accepts either signature.
            headers["webhook-signature"] = " ".join(sign(key, delivery.id, int(now), body) for key in self._keys)
        hidden = read_lines(self._secret)
        outcome = post_json(self._line, self._url, body, headers, hidden=hidden, deadline_s=self._deadline_s)
        if self._body != "alertmanager" or not outcome.delivered:
            return outcome
        return replace(outcome, memo=msgspec.json.encode(labels_of(delivery)).decode())

"""What receivers tell us of people: PagerDuty's webhooks (v3), signed with a secret that only it and we have.

Source: PagerDuty, "Webhooks v3 overview" (event_type, agent, data.incident_key) and "Verifying signatures".
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from alerts.decision.deeds import source_of_receiver
from alerts.receivers.receiver import read_lines
from anchorwatch.web.doors import BadQuery, Refused
from schemas.messages import ActKind

MAX_BODY = 262_144
SIGNATURE = "x-pagerduty-signature"
MOST_SIGNS = 100
_KEY = re.compile(r"aw:([0-9a-f]{32})(?::[0-9]{1,6})?")
KINDS: Mapping[str, ActKind] = {
    "incident.acknowledged": "acknowledge",
    "incident.unacknowledged": "reopen",
    # Whoever ends the alert there has looked at it; the fault goes on here until polls say otherwise.
    "incident.resolved": "acknowledge",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody did there: ``event`` names it for ever."""

    event: str
    kind: ActKind
    incident: str
    by: str
    why: str
    source: str


class _Agent(msgspec.Struct):
    summary: str = ""


class _Data(msgspec.Struct):
    incident_key: str | None = None


class _Event(msgspec.Struct):
    id: str
    event_type: str
    data: _Data
    agent: _Agent | None = None


class _Hook(msgspec.Struct):
    event: _Event


def check_signature(secret: str, header: str, body: bytes) -> None:
    """Check that PagerDuty sent a body; while a secret is changed it signs with both.

    Raises:
        Refused: no signature fits.
    """
    given = [one.strip().removeprefix("v1=") for one in header.split(",") if one.strip().startswith("v1=")]
    for line in read_lines(secret):
        right = hmac.new(line.encode(), body, hashlib.sha256).hexdigest()
        if any(hmac.compare_digest(right, one) for one in given if one.isascii()):
            return
    raise Refused("no signature fits", 401)


def read_hook(receiver: str, body: bytes) -> Said | None:
    """Return what somebody did at a receiver, None where it is nothing of ours.

    Raises:
        BadQuery: it is no event.
    """
    try:
        event = msgspec.json.decode(body, type=_Hook).event
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadQuery("this is no event of PagerDuty's") from error
    key = _KEY.fullmatch(event.data.incident_key or "")
    kind = KINDS.get(event.event_type)
    if kind is None or key is None:
        return None
    by = "".join(sign for sign in (event.agent.summary if event.agent else "") if sign.isprintable())[
        :MOST_SIGNS
    ].strip()
    why = "resolved at PagerDuty, and still the case here" if event.event_type == "incident.resolved" else ""
    return Said(
        event=event.id[:MOST_SIGNS],
        kind=kind,
        incident=key[1],
        by=by or "somebody at PagerDuty",
        why=why,
        source=source_of_receiver(receiver),
    )


def hooks_of(receivers: Any) -> dict[str, str]:
    """Return the secret of each receiver that may call us, by its name."""
    found = {one.name: getattr(one, "webhook_secret", "") for one in receivers}
    return {name: secret for name, secret in found.items() if secret}

"""PagerDuty's webhooks (v3): who acknowledged there, signed with a secret that only it and we have.

Source: PagerDuty, "Webhooks v3 overview" (event_type, agent, data.incident_key) and "Verifying signatures".
"""

import hashlib
import hmac
import re
from collections.abc import Mapping

import msgspec

from alerts.receivers.receiver import read_lines
from anchorwatch.web.doors import BadQuery, Refused
from anchorwatch.web.hooks import MOST_SIGNS, Said, name_of
from schemas.messages import ActKind

VENDOR = "pagerduty"
SIGNATURE = "x-pagerduty-signature"
PERSON = "user_reference"
_KEY = re.compile(r"aw:([0-9a-f]{32})(?::[0-9]{1,6})?")
KINDS: Mapping[str, ActKind] = {
    "incident.acknowledged": "acknowledge",
    "incident.unacknowledged": "reopen",
    # A person who ends the alert there has looked at it; the fault goes on here until polls say otherwise.
    "incident.resolved": "acknowledge",
}


class _Agent(msgspec.Struct):
    summary: str = ""
    type: str = ""


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


def read_call(secret: str, receiver: str, headers: Mapping[str, str], body: bytes) -> Said | None:
    """Return what somebody did at a receiver, None where it is nothing of ours.

    Raises:
        Refused: no signature fits, or it is no event.
    """
    check_signature(secret, headers.get(SIGNATURE, ""), body)
    try:
        event = msgspec.json.decode(body, type=_Hook).event
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadQuery("this is no event of PagerDuty's") from error
    key = _KEY.fullmatch(event.data.incident_key or "")
    kind = KINDS.get(event.event_type)
    is_ended = event.event_type == "incident.resolved"
    by_person = event.agent is not None and event.agent.type == PERSON
    if kind is None or key is None or (is_ended and not by_person):
        return None  # a timeout there, or an integration, has not looked at anything
    why = "resolved at PagerDuty, and still the case here" if is_ended else ""
    return Said(
        event=event.id[:MOST_SIGNS],
        kind=kind,
        incident=key[1],
        by=name_of(event.agent.summary if event.agent else "", "somebody at PagerDuty"),
        why=why,
        receiver=receiver,
    )

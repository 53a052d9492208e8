"""Outgoing webhooks of Jira Service Management and Opsgenie: who acknowledged, gave back, or closed an alert there.

They are not signed. What they can have is a header of one's own, so that a token in ``Authorization: Bearer`` says
where a call comes from. Source: Atlassian, "Alert action data" (action, alert.alias, alert.username, source.name);
Opsgenie, "Webhook integration" (custom headers).
"""

import hmac
from collections.abc import Mapping

import msgspec

from alerts.receivers.jsm import USER, incident_of_alias
from alerts.receivers.receiver import read_lines
from anchorwatch.web.doors import BadQuery, Refused
from anchorwatch.web.hooks import MOST_SIGNS, Said, name_of
from schemas.messages import ActKind

VENDOR = "jsm"
HEADER = "authorization"
MACHINES = frozenset({"", "System", "Alert API"})
MACHINE_SOURCES = frozenset({"api", "system", "policy", "automation", "integration"})
KINDS: Mapping[str, ActKind] = {
    "Acknowledge": "acknowledge",
    "UnAcknowledge": "reopen",
    # A person who closes the alert there has looked at it; the fault goes on here until polls say otherwise.
    "Close": "acknowledge",
}


class _Alert(msgspec.Struct, rename="camel"):
    alert_id: str = ""
    alias: str = ""
    username: str = ""
    updated_at: int = 0


class _Source(msgspec.Struct):
    name: str = ""
    type: str = ""


class _Body(msgspec.Struct):
    action: str
    alert: _Alert
    source: _Source | None = None


def check_token(secret: str, header: str) -> None:
    """Check that a call has the token; while it is changed either one will do.

    Raises:
        Refused: it has another one, or none.
    """
    scheme, _, token = header.strip().partition(" ")
    given = token.strip().encode() if scheme.lower() == "bearer" else b""
    # Each is compared, so that time says nothing of which.
    fits = [hmac.compare_digest(line.encode(), given) for line in read_lines(secret)]
    if not any(fits):
        raise Refused("the call has no token of ours: Authorization: Bearer TOKEN", 401)


def read_call(secret: str, receiver: str, headers: Mapping[str, str], body: bytes) -> Said | None:
    """Return what somebody did there, None where it is nothing of ours, or we did it ourselves.

    Raises:
        Refused: it has no token of ours, or is no event.
    """
    check_token(secret, headers.get(HEADER, ""))
    try:
        event = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadQuery("this is no alert action of Jira Service Management's") from error
    alert, kind = event.alert, KINDS.get(event.action)
    incident = incident_of_alias(alert.alias)
    is_ours = USER in (alert.username, event.source.name if event.source else "")
    by_machine = alert.username in MACHINES or (
        event.source is not None and event.source.type.lower() in MACHINE_SOURCES
    )
    if kind is None or not incident or is_ours or (event.action == "Close" and by_machine):
        return None  # a policy that closes old alerts has not looked at anything
    return Said(
        event=f"{alert.alert_id[:MOST_SIGNS]}:{event.action}:{alert.updated_at}",
        kind=kind,
        incident=incident,
        by=name_of(alert.username, "somebody at Jira Service Management"),
        why="closed there, and still the case here" if event.action == "Close" else "",
        receiver=receiver,
    )

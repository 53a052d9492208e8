"""Incidents for scripts and pages: the short view of a list, and one whole, with its timeline."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from alerts.decision.incidents import Incident
from alerts.delivery.wording import printable, summarise
from alerts.ledger.ledger import Record
from anchorwatch.web.doors import BadQuery, Refused
from schemas.messages import Notification

SHORTEST_ID = 4
MOST_EARLIER = 20


def check_short_id(text: str, what: str) -> str:
    """Return the beginning of an id, or an id.

    Raises:
        BadQuery: it is too short to mean one.
    """
    if not is_hex(text):
        raise BadQuery(f"{what}: at least the first {SHORTEST_ID} signs of its id (0-9, a-f) are expected")
    return text.lower()


def is_hex(text: str) -> bool:
    """Return whether a text may be the beginning of an id of ours."""
    return SHORTEST_ID <= len(text) <= 64 and set(text.lower()) <= set("0123456789abcdef")


def find_incident(ledger: Record, text: str) -> Incident:
    """Return the incident whose id begins so; blocks.

    Raises:
        Refused: there is none, or more than one.
    """
    found = ledger.find_incidents(check_short_id(text, "incident"), 5)
    if not found:
        raise Refused(f"there is no incident {text}", 404)
    if len(found) > 1:
        raise Refused(ambiguity(text, "incidents", (f"{one.id[:12]} ({one.cause})" for one in found)), 409)
    return found[0]


def ambiguity(text: str, what: str, found: Iterable[str]) -> str:
    """Return the sentence that an id is too short, with what it may mean."""
    return printable(f"several {what} begin with {text}: {', '.join(found)}; say more of it")


def incident_view(incident: Incident) -> dict[str, Any]:
    """Return an incident for scripts and pages."""
    taken = incident.acknowledged
    return {
        "id": incident.id,
        "cause": incident.cause,
        "severity": incident.severity,
        "summary": summarise(incident, "trigger"),
        "open": incident.ended_at is None,
        "state": incident.state,
        "acknowledged": {"by": taken.by, "at": taken.at, "why": taken.why} if taken is not None else None,
        "first_acknowledged_at": next((one.at for one in incident.log if one.what == "acknowledged"), None),
        "reopened_because": incident.reopened_because if taken is None else "",
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "ended_at": incident.ended_at,
        "notified": incident.notified,
        "withheld": incident.withheld if not incident.notified else "",
        "silenced": sorted({str(e.silenced) for e in incident.entries.values() if e.silenced and e.is_live}),
        "findings": [
            {"id": e.finding.id, "code": e.finding.code, "severity": e.severity, "status": e.finding.status}
            for e in incident.entries.values()
        ],
        "identities": incident.identities,
        "identity_count": incident.identity_count,
        "controls": incident.controls,
    }


def whole_view(ledger: Record, incident: Incident) -> dict[str, Any]:
    """Return an incident with its timeline and earlier ones on the same cause; blocks."""
    earlier = [one for one in ledger.incidents_on(incident.cause, MOST_EARLIER + 1) if one.id != incident.id]
    return {
        **incident_view(incident),
        "has_changes": any(entry.is_news for entry in incident.entries.values()),
        "details": [
            {
                "id": e.finding.id,
                "code": e.finding.code,
                "severity": e.severity,
                "status": e.finding.status,
                "detail": e.finding.detail,
                "before": e.finding.before,
                "after": e.finding.after,
                "evidence": e.finding.evidence,
                "receivers": e.receivers,
                "silenced": str(e.silenced) if e.silenced is not None and e.is_live else "",
            }
            for e in sorted(incident.entries.values(), key=lambda e: (-e.severity.rank, e.finding.opened_at))
        ],
        "timeline": timeline_of(incident, ledger.notifications_of(incident.id)),
        "earlier": [
            {"id": one.id, "opened_at": one.opened_at, "ended_at": one.ended_at, "summary": summarise(one, "trigger")}
            for one in earlier[:MOST_EARLIER]
        ],
    }


def timeline_of(incident: Incident, notifications: Sequence[Notification]) -> list[dict[str, Any]]:
    """Return what happened, oldest first: to the findings, by people, and what receivers were told."""
    rows: list[tuple[datetime, dict[str, Any]]] = [
        (one.at, {"at": one.at, "what": one.what, "by": one.by, "text": one.text}) for one in incident.log
    ]
    for told in notifications:
        text = f"{told.event} to {told.receiver}: {told.reason}" if told.receiver else f"nobody: {told.reason}"
        rows.append((told.at, {"at": told.at, "what": str(told.status), "by": "", "text": text}))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]

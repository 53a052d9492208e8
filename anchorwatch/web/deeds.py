"""Acts whose subject is an incident: checked against the ledger before the alerts take them."""

from datetime import datetime

from alerts.decision.incidents import Incident
from anchorwatch.web.doors import BadQuery, Refused
from schemas.messages import Act, ActKind
from schemas.wire import digest_of


def make_deed(incident: Incident, kind: ActKind, *, by: str, why: str, at: datetime, source: str) -> Act:
    """Return the act that does something to an incident.

    Raises:
        Refused: it is over, nobody has acknowledged it, or there is nothing to note.
    """
    if incident.ended_at is not None:
        raise Refused(f"incident {incident.id[:8]} ended at {incident.ended_at:%Y-%m-%d %H:%M} UTC", 409)
    if kind == "reopen" and incident.acknowledged is None:
        raise Refused(f"nobody has acknowledged incident {incident.id[:8]}", 409)
    if kind == "note" and not why:
        raise BadQuery("why: a note has words")
    return Act(
        id=digest_of(kind, incident.id, by, at.isoformat())[:32],
        kind=kind,
        by=by,
        at=at,
        why=why,
        subject=incident.id,
        source=source,
    )

"""What people do to an incident, and what its log says of its findings. Pure.

An act that can't be taken comes back with a sentence; the incident is then as it was.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from alerts.decision.incidents import Entry, Incident
from alerts.decision.life import Acknowledgement, Happening
from alerts.decision.timekeeping import Moment
from schemas.catalogue import Kind
from schemas.messages import Act, FindingStatus

OF_INCIDENTS = ("acknowledge", "reopen", "note")
"""The kinds of act whose subject is an incident."""
OF_SILENCES = ("silence", "expire_silence")


def source_of_receiver(name: str) -> str:
    """Return the source of an act that reached us through a receiver, which then needs not be told of it."""
    return f"receiver {name}"


def take_deed(incident: Incident | None, act: Act, at: Moment) -> tuple[Incident | None, str]:
    """Return the incident after an act, or None and why the act has no effect on it."""
    if incident is None or incident.ended_at is not None:
        return None, "there is no such open incident: it may be over"
    match act.kind:
        case "acknowledge":
            return _acknowledge(incident, act, at), ""
        case "reopen" if incident.acknowledged is None:
            return None, "nobody has acknowledged it"
        case "reopen":
            return reopen(incident, f"given back by {act.by}{_why(act)}", at, by=act.by), ""
    return incident.noting(Happening(at=act.at, what="note", text=act.why, by=act.by)), ""


def _acknowledge(incident: Incident, act: Act, at: Moment) -> Incident:
    """Return the incident as somebody's own; who acknowledges last has it."""
    taken = Acknowledgement(
        by=act.by,
        at=act.at,
        since=at.steady,
        severity=incident.severity,
        criticality=incident.criticality,
        of_zone=incident.of_zone,
        why=act.why,
        source=act.source,
    )
    noted = incident.noting(Happening(at=act.at, what="acknowledged", text=act.why or "acknowledged", by=act.by))
    return msgspec.structs.replace(noted, acknowledged=taken, reopened_because="")


def reopen(incident: Incident, because: str, at: Moment, *, by: str = "") -> Incident:
    """Return an acknowledged incident as nobody's own."""
    taken = incident.acknowledged
    widened = incident.widened or (taken is not None and incident.of_zone and not taken.of_zone)
    noted = incident.noting(Happening(at=at.wall, what="reopened", text=because, by=by))
    return msgspec.structs.replace(
        noted, acknowledged=None, reopened_because=because, reopened_at=at.steady, widened=widened
    )


def why_reopened(incident: Incident, at: Moment, held: timedelta) -> str:
    """Return why an acknowledgement no longer holds, empty while it does, and where there is none."""
    taken = incident.acknowledged
    if taken is None:
        return ""
    if not taken.covers(incident.severity, incident.criticality):
        return f"it is worse than when {taken.by} acknowledged it"
    if incident.of_zone and not taken.of_zone:
        return f"{taken.by} acknowledged a fault of names, and now the zone as a whole is at fault"
    # A clock that is set must neither end it early nor prolong it.
    if abs(at.steady - taken.since) >= held:
        hours = held.total_seconds() / 3600
        return f"{taken.by} acknowledged it {hours:g} hours ago, and it is still open"
    return ""


def happening_of(before: Entry | None, entry: Entry) -> Happening | None:
    """Return what a finding's newest version adds to the log; None where it adds nothing a reader would miss."""
    finding = entry.finding
    said = f"{finding.code} ({entry.severity}): {finding.detail}"
    is_closed = finding.status is FindingStatus.CLOSED
    what = ""
    if before is None:
        what = "changed" if finding.kind is Kind.DRIFT else "found"
        if not finding.confirmed:
            what, said = "suspected", f"{said}; not yet confirmed"
    elif is_closed and before.finding.status is not FindingStatus.CLOSED:
        what, said = "over", f"{finding.code}: {finding.closed_because or 'good polls ended it'}"
    elif finding.confirmed and not before.finding.confirmed:
        what = "confirmed"
    elif entry.severity is not before.severity:
        what, said = "severity", f"{finding.code}: {before.severity} became {entry.severity}"
    return Happening(at=finding.updated_at, what=what, text=said) if what else None


def silence_happenings(incident: Incident, entries: Mapping[str, Entry], at: Moment) -> list[Happening]:
    """Return what the log says of entries that another silence covers than before, or none."""
    found: dict[str, Happening] = {}
    for key, entry in entries.items():
        before = incident.entries[key].silenced
        if entry.silenced == before:
            continue
        if entry.silenced is not None:
            text = f"{entry.finding.code}: {entry.silenced}"
            found[text] = Happening(at=at.wall, what="silenced", text=text)
        elif before is not None and entry.is_live:
            text = f"{entry.finding.code}: no longer {before}"
            found[text] = Happening(at=at.wall, what="audible", text=text)
    return list(found.values())


def _why(act: Act) -> str:
    return f": {act.why}" if act.why else ""

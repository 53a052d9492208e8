"""How much of its past an incident carries along: bounded, whatever a name does. Pure.

An incident is written and sent whole, so what is over costs each time. States that hold are never dropped, nor cut.
"""

import msgspec

from alerts.decision.incidents import Entry, Incident
from schemas.catalogue import Kind
from schemas.messages import Affected

MOST_PAST = 100
"""So many entries that are over, and so many drifts, stay in an incident."""
WHOLE = 10
"""The first of them keep all that they say."""
MOST_SIGNS = 500
MOST_LISTED = 20


def bound_incident(incident: Incident) -> Incident:
    """Return the incident with no more of its past than an incident may have."""
    entries = bound_entries(incident.entries)
    return incident if entries == incident.entries else msgspec.structs.replace(incident, entries=entries)


def bound_entries(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return the entries of an incident with the first of those that are no open state; order is kept.

    First come drifts that nobody accepted, then entries with receivers, of those the most severe (it may be a drift
    that holds the incident), and of that the newest.
    """
    past = sorted(
        (entry for entry in entries.values() if not entry.is_open),
        key=lambda e: (e.is_news, bool(e.receivers), e.severity.rank, e.finding.updated_at, e.finding.id),
        reverse=True,
    )
    kept = {}
    for is_drift in (True, False):
        some = [entry for entry in past if (entry.finding.kind is Kind.DRIFT) is is_drift]
        for place, entry in enumerate(some[:MOST_PAST]):
            kept[entry.finding.id] = entry if place < WHOLE else shorten(entry)
    return {key: kept.get(key, entry) for key, entry in entries.items() if entry.is_open or key in kept}


def shorten(entry: Entry) -> Entry:
    """Return the entry with the first of what it lists, and the beginning of what it says; counts stay."""
    finding = entry.finding
    short = msgspec.structs.replace(
        finding,
        detail=_cut(finding.detail),
        before=_cut(finding.before),
        after=_cut(finding.after),
        endpoints=finding.endpoints[:MOST_LISTED],
        identities=_some_of(finding.identities),
        identity_count=max(finding.identity_count, len(finding.identities)),
    )
    return entry if short == finding else msgspec.structs.replace(entry, finding=short)


def _some_of(identities: tuple[Affected, ...]) -> tuple[Affected, ...]:
    """Return the first, and of every further owner and criticality one, so that nobody is forgotten."""
    kept = {one.id: one for one in identities[:MOST_LISTED]}
    known = {(one.owner, one.criticality) for one in kept.values()}
    for one in identities[MOST_LISTED:]:
        if (one.owner, one.criticality) not in known:
            known.add((one.owner, one.criticality))
            kept[one.id] = one
    return tuple(kept.values())


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SIGNS else text[: MOST_SIGNS - 1] + "…"

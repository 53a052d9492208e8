"""Findings with one cause: what a person is paged for. Pure: a finding in, an incident out.

An incident that is open takes in further findings on its cause; one that ended stays ended, and the next fault on the
same zone is a new incident with a new id, so that a pager rings again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from schemas.catalogue import Kind, Severity
from schemas.messages import CRITICALITY_ORDER, Affected, Control, Finding, FindingStatus
from schemas.wire import digest_of

# Codes that say that something is wrong, but not what.
UMBRELLAS = frozenset({"expectation_missed", "verdict_bogus", "verdict_indeterminate"})


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One finding as an incident has it: with the severity that the rules gave it, and who must hear of it."""

    finding: Finding
    severity: Severity
    receivers: tuple[str, ...]
    controls: tuple[Control, ...] = ()

    @property
    def is_open(self) -> bool:
        """Return whether a state still holds; a drift has no end of its own."""
        return self.finding.kind is not Kind.DRIFT and self.finding.status is not FindingStatus.CLOSED

    @property
    def is_live(self) -> bool:
        """Return whether there is something to tell: a confirmed state that holds, or a drift."""
        return self.finding.confirmed and (self.is_open or self.finding.kind is Kind.DRIFT)


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Findings on one cause.

    ``notified`` maps each receiver that was told to the severity it was told; ``ended_at`` is None while open.
    ``withheld`` is the last reason for not telling anybody.
    """

    id: str
    cause: str
    opened_at: datetime
    updated_at: datetime
    entries: dict[str, Entry] = msgspec.field(default_factory=dict)
    notified: dict[str, Severity] = msgspec.field(default_factory=dict)
    last_notified_at: datetime | None = None
    deliveries: int = 0
    withheld: str = ""
    ended_at: datetime | None = None

    @property
    def severity(self) -> Severity:
        """Return the highest severity of what there is to tell, or of all entries where nothing is."""
        told = [e.severity for e in self.entries.values() if e.is_live and e.receivers]
        live = [e.severity for e in self.entries.values() if e.is_live]
        return max(told or live or [e.severity for e in self.entries.values()], key=lambda severity: severity.rank)

    @property
    def lead(self) -> Finding:
        """Return the finding that says most: open before closed, severe before mild, exact before general."""
        entries = sorted(
            self.entries.values(),
            key=lambda e: (
                not e.is_open and e.finding.kind is Kind.STATE,
                -e.severity.rank,
                e.finding.code in UMBRELLAS,
                e.finding.opened_at,
            ),
        )
        return entries[0].finding

    @property
    def confirmed(self) -> bool:
        """Return whether there is anything to tell."""
        return any(e.is_live for e in self.entries.values())

    @property
    def receivers(self) -> tuple[str, ...]:
        """Return who must hear of what there is to tell, each once."""
        return tuple(dict.fromkeys(name for e in self.entries.values() if e.is_live for name in e.receivers))

    @property
    def identities(self) -> tuple[Affected, ...]:
        """Return the identities that the findings list, most critical first."""
        by_id = {i.id: i for entry in self.entries.values() for i in entry.finding.identities}
        return tuple(sorted(by_id.values(), key=lambda i: (CRITICALITY_ORDER[i.criticality], i.id)))

    @property
    def identity_count(self) -> int:
        """Return how many identities are affected at least: a finding lists the first 1,000 of them."""
        counts = [entry.finding.identity_count for entry in self.entries.values()]
        return max([len(self.identities), *counts])

    @property
    def controls(self) -> tuple[Control, ...]:
        """Return the controls touched, each once."""
        by_key = {(c.framework, c.control): c for entry in self.entries.values() for c in entry.controls}
        return tuple(by_key.values())


def cause_of(finding: Finding) -> str:
    """Return what an incident is grouped by: the cause zone, or what else the finding hangs on."""
    return finding.cause_zone or finding.cause_rrset or finding.code


def find_incident(
    finding: Finding, severity: Severity, open_incidents: Iterable[Incident], join: timedelta
) -> Incident | None:
    """Return the open incident that a finding belongs to, None if it begins a new one.

    A finding stays where it is. Otherwise it joins the incident on its cause if that burns with at least the same
    ``severity``, or had news within ``join``: a fault long after a drift, or worse than what smoulders there, is news,
    and must ring.
    """
    candidates = [i for i in open_incidents if i.cause == cause_of(finding)]
    for incident in candidates:
        if finding.id in incident.entries:
            return incident
    for incident in candidates:
        burning = any(e.is_open and e.receivers and e.severity.rank >= severity.rank for e in incident.entries.values())
        if burning or finding.opened_at - incident.updated_at <= join:
            return incident
    return None


def begin_incident(finding: Finding) -> Incident:
    """Return an empty incident for a finding; its id is that of no other incident, and the same in a replay."""
    cause = cause_of(finding)
    return Incident(
        id=digest_of(cause, finding.id, str(finding.version))[:32],
        cause=cause,
        opened_at=finding.opened_at,
        updated_at=finding.updated_at,
    )


def take_finding(incident: Incident, entry: Entry) -> Incident:
    """Return the incident with a finding's newest version in it."""
    updated_at = max(incident.updated_at, entry.finding.updated_at)
    return msgspec.structs.replace(
        incident, entries={**incident.entries, entry.finding.id: entry}, updated_at=updated_at
    )


def is_over(incident: Incident, now: datetime, drift_hold: timedelta) -> bool:
    """Return whether nothing holds the incident open: no state, and no drift within ``drift_hold``.

    Once somebody was told, only what somebody must hear of holds it: a mild remark on the zone, which has no receiver,
    must not keep a pager from hearing the end.
    """
    entries = [e for e in incident.entries.values() if e.receivers or not incident.notified]
    if any(entry.is_open for entry in entries):
        return False
    drifts = [entry for entry in entries if entry.finding.kind is Kind.DRIFT]
    return all(now - entry.finding.updated_at > drift_hold for entry in drifts)

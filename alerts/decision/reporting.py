"""What is reported of each finding, page or no page: for receivers that take every finding as an event. Pure.

An event goes out whenever one of these changes: the version of the finding, its severity by the rules, where it stands,
and why nobody is paged for it. Who has the incident, and what silences the finding, are part of where it stands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from alerts.decision.bounds import shorten
from alerts.decision.incidents import Entry, Incident
from alerts.decision.order import Order
from alerts.decision.timekeeping import Moment
from schemas.catalogue import Severity
from schemas.messages import FindingStatus, NotificationEvent
from schemas.wire import digest_of


class Standing(StrEnum):
    """Where a finding stands for whoever works on it."""

    NEW = "new"
    IN_PROGRESS = "in progress"
    """Somebody acknowledged its incident."""
    SUPPRESSED = "suppressed"
    """A silence covers it; or it is a change that somebody accepted as planned."""
    RESOLVED = "resolved"
    """Good polls ended it."""
    ARCHIVED = "archived"
    """It is closed, though nobody saw that it is over."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported of one finding at one time; ``detail`` says why it stands there, or why nobody is paged."""

    version: int
    severity: Severity
    standing: Standing
    detail: str


def report_on(entry: Entry, incident: Incident) -> Report:
    """Return what is to be reported of a finding in its incident."""
    finding, taken = entry.finding, incident.acknowledged
    if finding.status is FindingStatus.CLOSED:
        standing = Standing.ARCHIVED if finding.closed_because else Standing.RESOLVED
        if finding.accepted_by:
            standing = Standing.SUPPRESSED
        return Report(finding.version, entry.severity, standing, finding.closed_because)
    if entry.silenced is not None:
        return Report(finding.version, entry.severity, Standing.SUPPRESSED, str(entry.silenced))
    if taken is not None:
        why = f": {taken.why}" if taken.why else ""
        said = f"acknowledged by {taken.by}{why}"
        return Report(finding.version, entry.severity, Standing.IN_PROGRESS, said)
    return Report(finding.version, entry.severity, Standing.NEW, _why_no_page(entry, incident))


def _why_no_page(entry: Entry, incident: Incident) -> str:
    """Return why nobody is paged for an entry; empty where somebody is, or will be in seconds."""
    if not entry.finding.confirmed:
        return "not paged: not yet confirmed by further polls"
    if not entry.receivers:
        return f"not paged: no route for severity {entry.severity}"
    if incident.notified or incident.waiting or not incident.withheld:
        return ""
    return f"not paged: {incident.withheld}"


def report_changes(
    before: Mapping[str, Incident | None],
    now: Iterable[Incident],
    placed: Mapping[str, tuple[str, Sequence[Entry]]],
    handled: Mapping[str, int],
    at: Moment,
    receivers: Iterable[str],
    base: str,
) -> Iterator[Order]:
    """Yield for each receiver an event for each finding of which something else is to be reported than before.

    ``before`` and ``now`` are the incidents that changed, ``placed`` the findings that were taken in, each with its
    incident and what the rules made of each version, in order: an incident has the last one, or dropped it as part of
    its past. ``handled`` are the versions that were taken in earlier.
    """
    names = tuple(receivers)
    for incident in now if names else ():
        if incident.is_storm:
            continue
        earlier = before.get(incident.id)
        taken = {key: entries for key, (where, entries) in placed.items() if where == incident.id}
        for key in dict.fromkeys([*taken, *incident.entries]):
            was = earlier.entries.get(key) if earlier is not None else None
            reported = report_on(was, earlier) if was is not None and earlier is not None else None
            is_known = key in handled or was is not None
            for entry in _versions(taken.get(key, ()), incident.entries.get(key)):
                report = report_on(entry, incident)
                if report == reported:
                    continue
                event: NotificationEvent = "update" if is_known else "trigger"
                if entry.finding.status is FindingStatus.CLOSED:
                    event = "resolve"
                yield from _orders(incident, entry, report, event, at, names, base)
                reported, is_known = report, True


def _versions(taken: Sequence[Entry], last: Entry | None) -> Iterator[Entry]:
    """Yield each version of a finding as it is to be reported: what silences it now silences those before as well."""
    if last is None:
        yield from taken
        return
    for entry in taken[:-1]:
        is_open = entry.finding.status is not FindingStatus.CLOSED
        yield msgspec.structs.replace(entry, silenced=last.silenced) if is_open else entry
    yield last


def _orders(
    incident: Incident,
    entry: Entry,
    report: Report,
    event: NotificationEvent,
    at: Moment,
    receivers: Iterable[str],
    base: str,
) -> Iterator[Order]:
    shown = msgspec.structs.replace(
        incident, entries={entry.finding.id: shorten(entry)}, log=(), said={}, members=(), explains=(), memos={}
    )
    name = digest_of(entry.finding.id, str(report.version), str(entry.severity), report.standing, report.detail)
    for receiver in receivers:
        yield Order(
            id=digest_of(name, at.wall.isoformat(), receiver)[:32],
            receiver=receiver,
            event=event,
            reason=report.detail,
            incident=shown,
            decided_at=at.wall,
            base=base,
            finding=entry.finding.id,
        )

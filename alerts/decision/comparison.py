"""What receivers would have been told of incidents, beside what they were told: the differences first. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from alerts.decision.order import Order
from alerts.decision.rehearsal import Rehearsal
from schemas.catalogue import Severity
from schemas.messages import Notification, NotificationStatus

PAGES = ("trigger", "update")
TOLERANCE = timedelta(minutes=10)
"""Deliveries take their time, and a process that was away tells late."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one receiver is told of one incident: the first page and why, the worst severity, how many pages.

    ``pages`` count the first notification and its updates, no reminder and no end.
    """

    receiver: str
    incident: str
    cause: str
    at: datetime
    severity: Severity
    reason: str
    summary: str
    pages: int
    findings: frozenset[str]

    def joined(self, later: "Told") -> "Told":
        """Return this one with a later page in it."""
        return Told(
            receiver=self.receiver,
            incident=self.incident,
            cause=self.cause,
            at=self.at,
            severity=max(self.severity, later.severity, key=lambda one: one.rank),
            reason=self.reason,
            summary=self.summary,
            pages=self.pages + later.pages,
            findings=self.findings | later.findings,
        )


class Outcome(StrEnum):
    """How what would be told compares with what was; the order is that of a report."""

    NEW = "would page"
    GONE = "would not page"
    DIFFERS = "would page differently"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One incident and receiver: what would be told, what was told, and ``why`` it differs."""

    outcome: Outcome
    would: Told | None
    did: Told | None
    why: str = ""


def told_by_orders(orders: Iterable[Order]) -> list[Told]:
    """Return what is told by orders."""
    return _joined(
        Told(
            receiver=order.receiver,
            incident=order.incident.id,
            cause=order.incident.cause,
            at=order.decided_at,
            severity=order.incident.severity,
            reason=order.reason,
            summary=f"{order.incident.cause}: {order.incident.lead.code}",
            pages=1,
            findings=frozenset(order.incident.entries),
        )
        for order in orders
        if order.event in PAGES
    )


def told_by_notifications(notifications: Iterable[Notification]) -> list[Told]:
    """Return what was told, oldest first."""
    sent = [one for one in notifications if one.status is NotificationStatus.SENT and one.event in PAGES]
    return _joined(
        Told(
            receiver=one.receiver,
            incident=one.incident,
            cause=one.cause_zone,
            at=one.at,
            severity=one.severity,
            reason=one.reason,
            summary=one.summary,
            pages=1,
            findings=frozenset(one.findings),
        )
        for one in sorted(sent, key=lambda one: one.at)
    )


def _joined(pages: Iterable[Told]) -> list[Told]:
    found: dict[tuple[str, str], Told] = {}
    for page in pages:
        key = page.receiver, page.incident
        found[key] = found[key].joined(page) if key in found else page
    return list(found.values())


def compare(rehearsal: Rehearsal, notifications: Iterable[Notification]) -> list[Comparison]:
    """Return each incident and receiver once, the differences first, and those in order of time.

    The same incident is one that has the same id, or any finding in common: other rules may group otherwise.
    """
    would, did = told_by_orders(rehearsal.orders), told_by_notifications(notifications)
    found, left = [], list(did)
    for one in would:
        match = _same_as(one, left)
        if match is None:
            found.append(Comparison(Outcome.NEW, one, None, one.reason))
            continue
        left.remove(match)
        why = _difference(one, match)
        found.append(Comparison(Outcome.DIFFERS if why else Outcome.SAME, one, match, why))
    found += [Comparison(Outcome.GONE, None, one, _why_not(one, would, rehearsal)) for one in left]
    order = list(Outcome)
    return sorted(found, key=lambda one: (order.index(one.outcome), _time_of(one)))


def _time_of(one: Comparison) -> datetime:
    told = one.would or one.did
    assert told is not None
    return told.at


def _same_as(one: Told, others: Sequence[Told]) -> Told | None:
    ours = [other for other in others if other.receiver == one.receiver]
    same = [other for other in ours if other.incident == one.incident]
    return next(iter(same or [other for other in ours if other.findings & one.findings]), None)


def _difference(would: Told, did: Told) -> str:
    parts = []
    if would.severity is not did.severity:
        parts.append(f"severity {would.severity} instead of {did.severity}")
    if abs(would.at - did.at) > TOLERANCE:
        parts.append(f"at {would.at:%Y-%m-%d %H:%M} instead of {did.at:%Y-%m-%d %H:%M} UTC")
    return "; ".join(parts)


def _why_not(did: Told, would: Sequence[Told], rehearsal: Rehearsal) -> str:
    """Return why a receiver would not be told of an incident, as far as the rehearsal says it."""
    others = sorted({one.receiver for one in would if one.findings & did.findings})
    if others:
        return f"it goes to {', '.join(others)} instead"
    if not did.findings & rehearsal.findings:
        return "the history has no such finding: the alerts themselves report receivers that fail"
    reasons = [one.reason for one in rehearsal.withheld if did.findings & one.incident.entries.keys()]
    return reasons[-1] if reasons else "it was over before it was confirmed"

"""Declared changes: which can be taken, from when until when each counts, and what it explains. Pure.

A change is declared for exactly one zone or name, for a bounded time, and before the fact. It lowers the severity of
what it explains and nothing else: states, such as every kind of bogus, are never planned.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from analyzer.detected import Drift
from schemas.catalogue import CATALOGUE, Change
from schemas.cause import owner_of
from schemas.codes import Code
from schemas.messages import Act
from schemas.wire import digest_of

CONFIGURATION = "configuration"
"""The source of what is declared in the configuration file."""
LONGEST = timedelta(days=30)
FARTHEST_AHEAD = timedelta(days=366)
REMEMBERED = timedelta(days=366)
"""Whoever declared a change of a zone's keys within this time is expected to declare the next one."""
LONGEST_TAIL = timedelta(days=1)
"""A zone that sets a TTL of weeks does not prolong a window by weeks."""
LONGEST_NAME = 1100  # 253 octets, each written as four signs, and dots
LONGEST_WHO, LONGEST_WHY = 100, 500
MOST_ANSWERS = 100


class ChangeState(StrEnum):
    """Where a declared change is in its life."""

    AHEAD = "ahead"
    OPEN = "open"
    OVER = "over"
    ENDED = "ended"
    """Somebody ended it before its time."""


@dataclass(frozen=True, slots=True)
class DeclaredChange:
    """A change that ``act`` declares, from ``begins_at`` to ``ends_at``; ``ended`` is the act that ended it early."""

    act: Act
    begins_at: datetime
    ends_at: datetime
    ended: Act | None = None

    def state_at(self, now: datetime) -> ChangeState:
        """Return where it is in its life."""
        if self.ended is not None:
            return ChangeState.ENDED
        if now < self.begins_at:
            return ChangeState.AHEAD
        return ChangeState.OPEN if now <= self.ends_at else ChangeState.OVER

    def counts_at(self, at: datetime, lag_s: float) -> bool:
        """Return whether what is seen at an instant may have happened within the window.

        A resolver shows a change as late as the TTL of what was there before, a sweep as late as its pause: ``lag_s``.
        One that was ended early has no such tail.
        """
        if self.ended is not None:
            return self.begins_at <= at <= min(self.ends_at, self.ended.at)
        return self.begins_at <= at <= self.ends_at + min(timedelta(seconds=lag_s), LONGEST_TAIL)

    def counts_between(self, since: datetime, at: datetime, lag_s: float) -> bool:
        """Return whether what happened unseen at some time between two instants may have happened within the window."""
        return self.counts_at(at, lag_s) or (self.begins_at <= at and self.last_at >= since)

    @property
    def last_at(self) -> datetime:
        """Return the end of its window, as somebody may have set it early."""
        return self.ends_at if self.ended is None else min(self.ends_at, self.ended.at)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to declare: that a zone or name will change, what of it, and in which window."""

    subject: str
    begins_at: datetime
    ends_at: datetime
    by: str
    what: tuple[str, ...]
    why: str = ""
    answers: tuple[str, ...] = ()

    def declared(self, at: datetime, source: str) -> Act:
        """Return the act that declares it; declared again it is the same one, whenever that is."""
        parts = (self.subject, self.begins_at.isoformat(), self.ends_at.isoformat(), self.by, self.why)
        lists = (",".join(sorted(self.what)), *sorted(self.answers))
        origin = CONFIGURATION if source == CONFIGURATION else ""
        return Act(
            id=digest_of("declare_change", origin, *parts, *lists)[:32],
            kind="declare_change",
            by=self.by,
            at=at,
            why=self.why,
            subject=self.subject,
            begins_at=self.begins_at,
            ends_at=self.ends_at,
            what=self.what,
            answers=self.answers,
            source=source,
        )


def end_of(change: DeclaredChange, by: str, why: str, at: datetime, source: str) -> Act:
    """Return the act that ends a change before its time."""
    act_id = digest_of("end_change", change.act.id)[:32]
    return Act(id=act_id, kind="end_change", by=by, at=at, why=why, subject=change.act.id, source=source)


def check_change(act: Act) -> list[str]:
    """Return why a declaration can't be taken, a sentence for each problem; empty if it can."""
    return [*_check_subject(act), *_check_times(act), *_check_what(act), *check_words(act)]


def check_words(act: Act) -> list[str]:
    """Return what is wrong with who did something, and why: people read it on terminals and in messages."""
    problems = []
    if not act.by or len(act.by) > LONGEST_WHO or not act.by.isprintable():
        problems.append(f"who: 1 to {LONGEST_WHO} printable signs are expected")
    if len(act.why) > LONGEST_WHY or not act.why.isprintable():
        problems.append(f"why: at most {LONGEST_WHY} printable signs are expected")
    return problems


def _check_subject(act: Act) -> list[str]:
    subject = act.subject
    is_name = subject.endswith(".") and subject.isascii() and subject.isprintable() and subject == subject.lower()
    if not is_name or " " in subject or len(subject) > LONGEST_NAME:
        return ["a zone or a name is expected, as bank.example"]
    if subject.startswith("*."):
        return ["a change is declared for one zone or name: a wildcard is none"]
    return []


def _check_times(act: Act) -> list[str]:
    begins_at, ends_at = act.begins_at, act.ends_at
    if begins_at is None or ends_at is None:
        return ["from and to are needed"]
    problems = []
    if ends_at <= begins_at:
        problems.append("to: it must be later than from")
    if ends_at - begins_at > LONGEST:
        problems.append(f"to: a window has at most {LONGEST.days} days")
    if ends_at <= act.at:
        problems.append("to: the window is over already; a change that is reported can be accepted")
    if begins_at - act.at > FARTHEST_AHEAD:
        problems.append("from: it is more than a year ahead")
    return problems


def _check_what(act: Act) -> list[str]:
    problems = []
    if not act.what or not set(act.what) <= set(Change):
        problems.append(f"what: one or more of {', '.join(Change)} are expected")
    if (Change.ANSWERS in act.what) != bool(act.answers):
        problems.append("answers: the new data are needed where answers change, and only there")
    if len(act.answers) > MOST_ANSWERS or not all(data and data.isprintable() for data in act.answers):
        problems.append(f"answers: at most {MOST_ANSWERS} printable texts are expected")
    return problems


def change_of(act: Act) -> DeclaredChange:
    """Return the change that a sound act declares: what lies before its declaration is not planned."""
    assert act.begins_at is not None
    assert act.ends_at is not None
    return DeclaredChange(act, max(act.begins_at, act.at), act.ends_at)


def explains(change: DeclaredChange, drift: Drift, came: Collection[str]) -> bool:
    """Return whether a change is declared for just this drift; ``came`` are the data that are new in an answer.

    A declaration for a zone says nothing of zones above or below it, and of no single name in it.
    """
    needed = _needed(drift)
    if not needed or not needed.issubset(change.act.what):
        return False
    owner = owner_of(drift.cause_rrset)
    if drift.code == Code.ANSWER_CHANGED:
        return owner == change.act.subject and bool(came) and set(came).issubset(change.act.answers)
    return drift.cause_zone == change.act.subject and owner in ("", drift.cause_zone)


def _needed(drift: Drift) -> frozenset[Change]:
    """Return the kinds of change that together explain a drift; empty where none do."""
    if drift.code == Code.DS_CHANGED and not drift.after:
        return frozenset({Change.UNSIGN})  # without a DS the zone is unsigned: a change of the set is another thing
    return CATALOGUE[Code(drift.code)].planned_by


def lowered(drift: Drift, change: DeclaredChange) -> Drift:
    """Return a drift that a change explains as it is reported: never more severe, and saying who declared it."""
    row, act = CATALOGUE[Code(drift.code)], change.act
    if drift.severity.rank <= row.planned_severity.rank:
        return drift
    why = f" ({act.why})" if act.why else ""
    note = (
        f"lowered from {drift.severity}: {act.by} declared a change of {', '.join(act.what)} of {act.subject}"
        f" from {change.begins_at:%Y-%m-%d %H:%M} to {change.ends_at:%Y-%m-%d %H:%M} UTC{why}"
    )
    return replace(drift, severity=row.planned_severity, detail=f"{drift.detail}; {note}")


def unannounced(drift: Drift, kinds: Collection[Change]) -> Drift:
    """Return what is told of a step of a rollover outside all windows that are declared for such steps of its zone."""
    said = f"outside every window that is declared for a change of {', '.join(sorted(kinds))} of {drift.cause_zone}"
    row = CATALOGUE[Code.KEY_CHANGE_UNEXPECTED]
    return replace(drift, code=row.code, severity=row.severity, detail=f"{drift.detail}; {said}")


def announcement_of(act: Act, cause_rrset: str) -> Drift:
    """Return what is reported of a declaration itself, so that nobody can declare in silence."""
    row, change = CATALOGUE[Code.CHANGE_DECLARED], change_of(act)
    span = f"from {change.begins_at:%Y-%m-%d %H:%M} to {change.ends_at:%Y-%m-%d %H:%M} UTC"
    data = f" to {', '.join(act.answers)}" if act.answers else ""
    detail = f"{act.by} declared a change of {', '.join(act.what)} of {act.subject}{data} {span}"
    detail += f": {act.why}" if act.why else ""
    detail += f" [{act.source}]" if act.source else ""
    return Drift(row.code, "", cause_rrset, row.severity, detail, "", act.id)

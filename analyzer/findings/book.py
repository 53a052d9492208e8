"""The life of findings: opened at first sight, confirmed by further polls, closed after good ones.

State: the open findings and their members. What changed is taken out as messages, drifts included.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from analyzer.detected import Condition, Drift
from analyzer.endpoints.conditions import REPORTED
from analyzer.findings.attribution import CauseKey, NamesApart
from analyzer.findings.drifts import Drifts
from analyzer.findings.radius import Radius
from analyzer.findings.recurring import Recurring, comes_and_goes
from analyzer.findings.tracked import Member, Tracked, opened
from analyzer.zones.faults import SWEPT
from schemas.catalogue import Confirmation, Kind, Severity, codes_where
from schemas.codes import Code
from schemas.messages import Finding, FindingStatus, Subject

POLLS_REMEMBERED = 3
GOOD_POLLS_TO_CLOSE = 3
INDETERMINATE_HIGH_AFTER = 10
# Silent names are polled seldom, so their number of polls says little.
INDETERMINATE_HIGH_AFTER_TIME = timedelta(minutes=10)
# A resolver's caches lag behind a change: what it claims counts once it has outlasted them, unless it is as grave as
# data that nothing proves. Unbound keeps a bogus answer for 60 s.
LAGGING = codes_where(lambda row: row.confirmed_by is Confirmation.CLAIM)
LAG = timedelta(seconds=90)
NOBODY = "no longer watched: nobody in the inventory consumes it any more"
NOTHING: Set[CauseKey] = frozenset()
# Known from one look at our own state, so no second poll can confirm them.
# Or confirmed before it is told: sweeps are counted for each server by itself.
IMMEDIATE = SWEPT | codes_where(lambda row: row.confirmed_by in (Confirmation.ONCE, Confirmation.REPORT))
# What a clock that is set back makes look healed.
ENDED = codes_where(lambda row: row.after_end)


class FindingBook:
    """All open findings, and the drifts of the last day.

    A member is an endpoint, or a zone as a vantage sees it: (zone, nothing, vantage). ``radius`` says what both affect.
    ``vantages`` decides how a critical finding is confirmed: by two where there are two. ``trigger`` names the message
    being taken in, so that what it caused can be found again.
    """

    def __init__(self, radius: Radius, vantages: set[str] | None = None) -> None:
        self._radius = radius
        self.vantages: set[str] = set() if vantages is None else vantages
        self._open: dict[CauseKey, Tracked] = {}
        self._apart = NamesApart()
        self._by_subject: dict[Subject, set[CauseKey]] = {}
        self._drifts = Drifts()
        self._recurring = Recurring()
        self._closed: list[Tracked] = []
        self._changed: dict[CauseKey, Tracked] = {}
        self.trigger = "time"

    def restore(self, finding: Finding, members: Iterable[tuple[Subject, Condition, datetime]], now: datetime) -> None:
        """Take an open finding back in after a restart; its members still owe the good polls that would close it.

        ``members`` come with the instant of their last poll. One whose subjects are all watched no more ends.
        """
        key = (finding.code, finding.cause_zone, finding.cause_rrset)
        if finding.kind is Kind.DRIFT:
            self._drifts.restore(finding)
            return
        tracked = self._open[key] = Tracked(finding)
        self._apart.opened(key)
        bad = (True,) * (POLLS_REMEMBERED if finding.confirmed else 1)
        for subject, condition, bad_at in members:
            member = Member(condition.severity, bad_at, bad, bad_polls=len(bad), servers=condition.servers)
            tracked.members[subject] = member
            tracked.count(subject, member, 1)
            self._by_subject.setdefault(subject, set()).add(key)
        if not tracked.members and finding.code not in REPORTED:
            self._close(key, now, NOBODY)

    def open_findings(self) -> list[Finding]:
        """Return the open states, most severe first."""
        found = [tracked.finding for tracked in self._open.values()]
        return sorted(found, key=lambda finding: (-finding.severity.rank, finding.cause_zone, finding.code))

    def poll(
        self,
        subject: Subject,
        conditions: Sequence[Condition],
        at: datetime,
        *,
        evidence: str = "",
        before: str = "",
        after: str = "",
        only: frozenset[str] | None = None,
        says_of: Callable[[CauseKey], bool] = lambda key: True,
        ends_at: datetime | None = None,
    ) -> None:
        """Take in one poll of a subject: the conditions it shows now, all others counting as absent.

        ``only`` limits what counts as absent to these codes; ``says_of`` returns whether the poll says anything of a
        finding that is open at the subject; ``ends_at`` is when the first of the signatures ends that it rests on.
        """
        shown: Set[CauseKey] = self._by_subject.get(subject, NOTHING)
        if not conditions and not shown:
            return
        conditions = self._placed(conditions, shown)
        present = {condition.key for condition in conditions}
        for condition in conditions:
            self._bad(subject, condition, at, evidence, before, after)
        for key in list(self._by_subject.get(subject, NOTHING)):
            relevant = says_of(key) and (key[0] in only if only is not None else key[0] not in IMMEDIATE)
            if key not in present and relevant:
                self._good(subject, key, at, ends_at)

    def _placed(self, conditions: Iterable[Condition], shown: Set[CauseKey]) -> list[Condition]:
        """Return the conditions as they are to be told; those that come to one key are one, with the servers of all."""
        found: dict[CauseKey, Condition] = {}
        for condition in conditions:
            placed = self._apart.place(condition, shown, self._owners_within)
            first = found.setdefault(placed.key, placed)
            if first is not placed and placed.servers:
                servers = tuple(sorted({*first.servers, *placed.servers}))
                found[placed.key] = replace(first, servers=servers)
            self._apart.opened(placed.key)  # so that the next one finds its place taken
        return list(found.values())

    def _owners_within(self, whole: CauseKey) -> Iterator[str]:
        """Yield the owner names that an open finding of a whole zone or vantage tells of; some come several times."""
        tracked = self._open.get(whole)
        for (name, rdtype, _), member in tracked.members.items() if tracked is not None else ():
            if rdtype:
                yield member.owner or name

    def forget(self, subject: Subject, at: datetime, because: str, rrset: str = "") -> None:
        """Drop a subject that is watched no more: it holds nothing open, and ``because`` says why it is not healed.

        With ``rrset`` only that of it is watched no more.
        """
        for key in list(self._by_subject.get(subject, ())):
            if rrset in ("", key[2]):
                self._remove(subject, key, at, because)

    def holds(self, subject: Subject, codes: frozenset[Code] | None = None) -> bool:
        """Return whether a subject holds any finding open, of these codes if some are given."""
        keys = self._by_subject.get(subject)
        return keys is not None and (codes is None or any(key[0] in codes for key in keys))

    def grow(self, subject: Subject) -> None:
        """Note that more depends on a subject than did: what it holds open is to be drawn again."""
        for key in self._by_subject.get(subject, ()):
            tracked = self._changed[key] = self._open[key]
            tracked.grown = self.trigger

    def report(
        self, condition: Condition, subjects: Iterable[Subject], at: datetime, *, over: bool, because: str = ""
    ) -> None:
        """Open or end a finding about ourselves; its subjects are those it leaves unwatched.

        ``because`` says why it ends though nobody said that it is over.
        """
        if not over:
            for subject in list(subjects) or [("", "", condition.vantage)]:
                self._bad(subject, condition, at, "", "", "")
            self._note_reporters(condition, at)
            return
        tracked = self._open.get(condition.key)
        if tracked is None:
            return
        for subject in list(tracked.members):
            self._remove(subject, condition.key, at, because)
        if condition.key in self._open:  # taken back after a restart without any subject that is still watched
            self._close(condition.key, at, because)

    def _note_reporters(self, condition: Condition, at: datetime) -> None:
        tracked = self._open[condition.key]
        if tracked.finding.reporters != condition.reporters:
            is_told = tracked.finding.version > 0
            tracked.finding = msgspec.structs.replace(
                tracked.finding, reporters=condition.reporters, detail=condition.detail, updated_at=at
            )
            tracked.changed_by = self.trigger if is_told else tracked.changed_by

    def hold(self, condition: Condition, subjects: Collection[Subject], at: datetime) -> None:
        """Have a finding about ourselves held open by just these subjects; without any it ends."""
        tracked = self._open.get(condition.key)
        held: set[Subject] = set(tracked.members) if tracked is not None else set()
        for subject in subjects:
            if subject not in held:
                self._bad(subject, condition, at, "", "", "")
        for subject in held.difference(subjects):
            self._remove(subject, condition.key, at)

    def _bad(
        self, subject: Subject, condition: Condition, at: datetime, evidence: str, before: str, after: str
    ) -> None:
        tracked = self._open.get(condition.key)
        is_new = tracked is None or subject not in tracked.members
        good_for = self._recurring.pause_of(subject, condition.key, at) if is_new else timedelta()
        if tracked is None:
            said = replace(condition, detail=comes_and_goes(condition.detail, good_for))
            tracked = self._open[condition.key] = Tracked(
                opened(said, at, evidence, before, after), changed_by=self.trigger
            )
            self._apart.opened(condition.key)
        member = tracked.members.get(subject)
        if member is None:
            member = tracked.members[subject] = Member(condition.severity, at)
            member.good_for = good_for
            self._by_subject.setdefault(subject, set()).add(condition.key)
            tracked.grown = self.trigger
        else:
            tracked.count(subject, member, -1)
        if condition.servers != member.servers and tracked.finding.version:
            tracked.finding = msgspec.structs.replace(tracked.finding, detail=condition.detail, updated_at=at)
            tracked.changed_by = tracked.changed_by or self.trigger
        member.servers, member.owner = condition.servers, condition.owner
        member.severity, member.bad_at = condition.severity, at
        member.good_in_row = 0
        member.bad_polls += 1
        member.recent = (*member.recent[-POLLS_REMEMBERED + 1 :], True)
        tracked.count(subject, member, 1)
        tracked.lasts |= member.bad_polls >= INDETERMINATE_HIGH_AFTER
        tracked.lag = condition.lag if tracked.touched_at is None else min(tracked.lag, condition.lag)
        tracked.touched_at = at
        self._changed[condition.key] = tracked

    def _good(self, subject: Subject, key: CauseKey, at: datetime, ends_at: datetime | None) -> None:
        tracked = self._open[key]
        member = tracked.members[subject]
        if key[0] in ENDED and at < member.bad_at and (ends_at is None or ends_at <= member.bad_at):
            return  # a clock was set back: by the time that it was, the same signatures have ended
        tracked.count(subject, member, -1)
        member.good_in_row += 1
        member.recent = (*member.recent[-POLLS_REMEMBERED + 1 :], False)
        tracked.count(subject, member, 1)
        if key[0] in IMMEDIATE:
            self._remove(subject, key, at)
        elif member.good_in_row >= GOOD_POLLS_TO_CLOSE and abs(at - member.bad_at) >= member.good_for:
            if tracked.finding.confirmed:
                self._recurring.ended(subject, key, member.bad_at, at)
            self._remove(subject, key, at)

    def _remove(self, subject: Subject, key: CauseKey, at: datetime, because: str = "") -> None:
        tracked = self._open[key]
        member = tracked.members.pop(subject, None)
        if member is not None:
            tracked.count(subject, member, -1)
        keys = self._by_subject.get(subject, set())
        keys.discard(key)
        if not keys:
            self._by_subject.pop(subject, None)
        tracked.shrunk = True  # announced at the next occasion, at most once a minute
        self._changed[key] = tracked
        if not tracked.members:
            self._close(key, at, because)

    def _close(self, key: CauseKey, at: datetime, because: str = "") -> None:
        tracked = self._open.pop(key)
        self._changed.pop(key, None)
        self._apart.closed(key)
        tracked.finding = msgspec.structs.replace(
            tracked.finding, status=FindingStatus.CLOSED, updated_at=at, closed_at=at, closed_because=because
        )
        tracked.changed_by = self.trigger
        self._closed.append(tracked)

    def _reconsider(self, tracked: Tracked) -> None:
        """Update confirmation and severity after bad polls, once a batch however many there were."""
        at, tracked.touched_at = tracked.touched_at, None
        if at is None or not tracked.members:
            return
        finding = tracked.finding
        severity = tracked.severity
        if finding.code == Code.VERDICT_INDETERMINATE and (
            at - finding.opened_at >= INDETERMINATE_HIGH_AFTER_TIME or tracked.lasts
        ):
            severity = Severity.HIGH
        confirmed = finding.confirmed or self._is_confirmed(tracked, at)
        if severity is not finding.severity or confirmed != finding.confirmed:
            tracked.finding = msgspec.structs.replace(finding, severity=severity, confirmed=confirmed, updated_at=at)
            tracked.changed_by = tracked.changed_by or self.trigger

    def _is_confirmed(self, tracked: Tracked, at: datetime) -> bool:
        """Return whether enough polls agree: 2 of 3, or 3 before 3 good ones in a row ended it.

        A critical one that one of several vantages sees alone needs 3.
        """
        if tracked.finding.code in IMMEDIATE:
            return True
        if abs(at - tracked.finding.opened_at) < tracked.lag:
            return False
        grave = tracked.finding.severity is Severity.CRITICAL
        if tracked.finding.code in LAGGING and not grave and abs(at - tracked.finding.opened_at) < LAG:
            return False
        often = {vantage for vantage, count in tracked.insisting.items() if count}
        agreeing = {vantage for vantage, count in tracked.agreeing.items() if count}
        if not agreeing:
            return False
        lone = tracked.finding.severity is Severity.CRITICAL and len(self.vantages) > 1 and len(agreeing) < 2
        about_vantage = not tracked.finding.cause_zone
        return not lone or about_vantage or bool(often)

    def drift(self, event: Drift, subject: Subject, at: datetime, evidence: str) -> None:
        """Take in an edge; the same edge seen from another endpoint within a day joins the finding that is there."""
        self._drifts.take(event, subject, at, evidence, self.trigger)

    def restore_step(self, event: Drift, at: datetime) -> None:
        """Take in a step of a rollover that an earlier process told: its finding does not say which keys it was of."""
        self._drifts.restore_part(event, at)

    def find_drift(self, finding_id: str) -> Finding | None:
        """Return a drift that happened within a day, None where there is none of this id."""
        return self._drifts.find(finding_id)

    def accept(self, finding_id: str, by: str, because: str, at: datetime) -> None:
        """Close a drift that is here and was not accepted before; the same change seen from elsewhere stays closed."""
        self._closed += self._drifts.accept(finding_id, by, because, at, self.trigger)

    def take_changes(self, now: datetime) -> list[tuple[Finding, str]]:
        """Return each finding that changed since the last call, once, with its next version, and what changed it."""
        for key, tracked in list(self._changed.items()):
            self._reconsider(tracked)
            if tracked.is_due(now):
                tracked.changed_by = tracked.changed_by or tracked.grown or self.trigger
            if not tracked.shrunk and not tracked.grown and not tracked.changed_by:
                del self._changed[key]
        changed = [tracked for tracked in self._changed.values() if tracked.changed_by]
        changed += [*self._drifts.take_changes(now), *self._closed]
        self._closed = []
        triggers = [tracked.changed_by for tracked in changed]
        found = [(self._message(tracked, now), trigger) for tracked, trigger in zip(changed, triggers, strict=True)]
        self._changed = {key: one for key, one in self._changed.items() if one.shrunk or one.grown}
        return found

    def _message(self, tracked: Tracked, now: datetime) -> Finding:
        finding = tracked.finding
        closed = finding.status is FindingStatus.CLOSED
        version = finding.version + 1
        status = finding.status if closed or version == 1 else FindingStatus.UPDATED
        finding = msgspec.structs.replace(finding, version=version, status=status)
        if not closed:
            servers = tuple(sorted({server for member in tracked.members.values() for server in member.servers}))
            finding = self._radius.draw(msgspec.structs.replace(finding, servers=servers), tracked.members)
        tracked.finding, tracked.changed_by, tracked.announced_at = finding, "", now
        tracked.shrunk, tracked.grown = False, ""
        return finding

"""Changes that happened: the same one seen from many endpoints is one finding, which nothing but people closes.

State: the drifts of the last day, which further sights join, those that were touched, and the parts of takeovers.
"""

from datetime import datetime, timedelta

import msgspec

from analyzer.detected import SERVERS, Condition, Drift
from analyzer.findings.folding import FOLDED, TOLD_EVERY, Folding
from analyzer.findings.radius import ZONE_WIDE
from analyzer.findings.takeover import Takeovers
from analyzer.findings.tracked import Member, Tracked, opened
from schemas.messages import Finding, FindingStatus, Subject

SAME_DRIFT_WITHIN = timedelta(hours=24)
PRUNE_DRIFTS_EVERY = timedelta(minutes=5)
DriftKey = tuple[str, ...]


class Drifts:
    """The drifts of a day; ``trigger`` names the message being taken in, which is noted as what changed them."""

    def __init__(self) -> None:
        self._drifts: dict[DriftKey, Tracked] = {}
        self._touched: dict[DriftKey, Tracked] = {}
        self._takeovers = Takeovers()
        self._folding = Folding()
        self._held: dict[DriftKey, str] = {}
        self._pruned_at: datetime | None = None

    def restore(self, finding: Finding) -> None:
        """Take a drift back in after a restart."""
        key = (finding.code, finding.cause_zone, finding.cause_rrset)
        edge = Drift(*key, finding.severity, finding.detail, finding.before, finding.after)
        self.restore_part(edge, finding.opened_at)
        self._folding.note(edge, finding.opened_at)
        tracked = self._drifts[_drift_key(edge)] = Tracked(finding)
        for vantage in finding.vantages:
            if finding.servers:
                of_servers = (finding.cause_zone, SERVERS, vantage)
                tracked.members[of_servers] = Member(finding.severity, finding.updated_at, servers=finding.servers)
                continue
            if finding.code in ZONE_WIDE and finding.cause_zone:
                tracked.members[finding.cause_zone, "", vantage] = Member(finding.severity, finding.updated_at)
            for name, _, rdtype in (endpoint.rpartition(" ") for endpoint in finding.endpoints):
                tracked.members[name, rdtype, vantage] = Member(finding.severity, finding.updated_at)

    def restore_part(self, event: Drift, at: datetime) -> None:
        """Take in a change that an earlier process told, for what it may be a part of."""
        self._takeovers.restore(event, at)

    def take(self, event: Drift, subject: Subject, at: datetime, evidence: str, trigger: str) -> None:
        """Take in an edge; the same edge seen from another endpoint within a day joins the finding that is there.

        At the same endpoint it has happened again, and is another finding. What looks like a takeover together with
        earlier ones is a finding besides, one a day and zone, which names its parts. One that somebody accepted stays
        closed.
        """
        tracked = self._drifts.get(_drift_key(event))
        # Not before the first one is told: what is replaced here is told no more.
        is_again = tracked is not None and not tracked.changed_by and subject in tracked.members
        self._join(event, subject, at, evidence, trigger, is_again=is_again)
        for pattern in self._takeovers.take(event, at):
            earlier = self._drifts.get(_drift_key(pattern))
            # Who accepted a pattern did not accept what became of it since.
            is_other = earlier is not None and earlier.is_closed and earlier.finding.detail != pattern.detail
            found = self._join(pattern, subject, at, evidence, trigger, is_again=is_other)
            if found.finding.after != FOLDED and found.finding.detail != pattern.detail:
                severity = max(found.finding.severity, pattern.severity, key=lambda one: one.rank)
                found.finding = msgspec.structs.replace(
                    found.finding, detail=pattern.detail, severity=severity, updated_at=at
                )
                found.changed_by = trigger
                self._touched[_drift_key(pattern)] = found

    def _join(
        self, event: Drift, subject: Subject, at: datetime, evidence: str, trigger: str, *, is_again: bool
    ) -> Tracked:
        key = _drift_key(event)
        tracked = self._drifts.get(key)
        if tracked is None or is_again or at - tracked.finding.updated_at > SAME_DRIFT_WITHIN:
            if event.after != FOLDED and self._folding.is_full(event, at):
                return self._fold(event, subject, at, evidence, trigger)
            self._folding.note(event, at)
            condition = Condition(event.code, event.cause_zone, event.cause_rrset, event.severity, event.detail)
            finding = opened(condition, at, evidence, event.before, event.after)
            confirmed = msgspec.structs.replace(finding, confirmed=True)
            tracked = self._drifts[key] = Tracked(confirmed, changed_by=trigger)
            self._touched[key] = tracked
        if subject in tracked.members:
            return tracked
        tracked.members[subject] = Member(event.severity, at, servers=event.servers)
        if tracked.is_closed:
            return tracked
        if event.severity.rank > tracked.finding.severity.rank:  # there it was planned, or signed; here it is not
            tracked.finding = msgspec.structs.replace(tracked.finding, severity=event.severity, detail=event.detail)
            tracked.changed_by = trigger
        tracked.grown = trigger
        self._touched[key] = tracked
        return tracked

    def _fold(self, event: Drift, subject: Subject, at: datetime, evidence: str, trigger: str) -> Tracked:
        """Take in a change that comes too often: at once only if it is graver than those before."""
        folded = self._folding.fold(event)
        key = _drift_key(folded)
        known = self._drifts.get(key)
        was_told = known is not None and at - known.finding.updated_at <= SAME_DRIFT_WITHIN and not known.is_closed
        if not was_told:
            return self._join(folded, subject, at, evidence, trigger, is_again=True)
        assert known is not None
        is_graver = folded.severity.rank > known.finding.severity.rank
        severity = folded.severity if is_graver else known.finding.severity
        known.finding = msgspec.structs.replace(
            known.finding, detail=folded.detail, severity=severity, updated_at=at, evidence=evidence
        )
        known.members.setdefault(subject, Member(folded.severity, at, servers=event.servers))
        self._held[key] = trigger
        if is_graver:
            known.changed_by = trigger
            self._touched[key] = known
        return known

    def _release_held(self, now: datetime) -> None:
        """Have what was folded told that was told last a while ago."""
        for key, trigger in list(self._held.items()):
            tracked = self._drifts.get(key)
            last = tracked.announced_at if tracked is not None else None
            if tracked is not None and (last is None or abs(now - last) >= TOLD_EVERY):
                tracked.changed_by = tracked.changed_by or trigger
                self._touched[key] = tracked
            if tracked is None or tracked.changed_by:
                del self._held[key]
                self._folding.told(*key[:3])

    def find(self, finding_id: str) -> Finding | None:
        """Return a drift that happened within a day, None where there is none of this id."""
        found = (tracked.finding for tracked in self._drifts.values() if tracked.finding.id == finding_id)
        return next(found, None)

    def accept(self, finding_id: str, by: str, because: str, at: datetime, trigger: str) -> list[Tracked]:
        """Close a drift that is here and was not accepted before, and return it.

        The same change seen from elsewhere stays closed.
        """
        accepted = []
        for key, tracked in self._drifts.items():
            if tracked.finding.id == finding_id and not tracked.is_closed:
                updated_at = max(at, tracked.finding.updated_at)
                tracked.finding = msgspec.structs.replace(
                    tracked.finding,
                    status=FindingStatus.CLOSED,
                    updated_at=updated_at,
                    closed_at=updated_at,
                    closed_because=because,
                    accepted_by=by,
                )
                tracked.changed_by = trigger
                self._touched.pop(key, None)
                accepted.append(tracked)
        return accepted

    def take_changes(self, now: datetime) -> list[Tracked]:
        """Return the drifts whose announcement is due, and forget those that nothing joins any more."""
        self._release_held(now)
        found = list(self._touched.values())
        for tracked in found:
            if tracked.grown and not tracked.changed_by and tracked.is_due(now):
                tracked.changed_by = tracked.grown
        self._touched = {key: one for key, one in self._touched.items() if not one.changed_by}
        if self._pruned_at is None or abs(now - self._pruned_at) >= PRUNE_DRIFTS_EVERY:
            self._pruned_at = now
            newest = max((one.finding.updated_at for one in self._drifts.values()), default=now)
            old = [k for k, one in self._drifts.items() if newest - one.finding.updated_at > SAME_DRIFT_WITHIN]
            for key in old:
                if key not in self._touched and not self._drifts[key].changed_by:
                    del self._drifts[key]
            self._folding.prune(newest)
        return [tracked for tracked in found if tracked.changed_by]


def _drift_key(event: Drift) -> DriftKey:
    return event.code, event.cause_zone, event.cause_rrset, event.before, event.after

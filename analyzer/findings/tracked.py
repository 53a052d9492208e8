"""A finding that is open, or a change that was told: what holds it, and when it is due to be announced again.

State: the counts follow the members, so that no look at all of them is needed at each poll.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analyzer.detected import Condition
from analyzer.findings.attribution import CauseKey
from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code
from schemas.messages import Finding, FindingStatus, Subject
from schemas.wire import digest_of

BAD_POLLS_TO_CONFIRM = 2
LONE_POLLS_TO_CONFIRM = 3
SHRINK_EVERY = timedelta(seconds=60)
# A finding that grows is announced again at most so often, and the more seldom the larger it is: rendering costs.
GROW_EVERY = timedelta(seconds=5)
SMALL = 100
GROW_PAUSE_PER_MEMBER = timedelta(microseconds=50)


@dataclass(slots=True)
class Member:
    """One subject that shows the condition; ``recent`` are its last polls, True for bad, newest last.

    ``servers`` are those that it shows at fault. ``bad_at`` is the instant of the bad poll that arrived last, by the
    clock that it was made by; it has to be good for ``good_for`` from then on before it is over. ``owner`` is the owner
    name at fault where the finding tells of many.
    """

    severity: Severity
    bad_at: datetime
    recent: tuple[bool, ...] = ()
    good_in_row: int = 0
    bad_polls: int = 0
    good_for: timedelta = timedelta()
    servers: tuple[str, ...] = ()
    owner: str = ""

    @property
    def agrees(self) -> bool:
        """Return whether its polls by themselves say that the condition is there."""
        return sum(self.recent) >= BAD_POLLS_TO_CONFIRM or self.insists

    @property
    def insists(self) -> bool:
        """Return whether it was bad so often that it needs nobody beside it."""
        return self.bad_polls >= LONE_POLLS_TO_CONFIRM


@dataclass(slots=True)
class Tracked:
    """An open finding and what holds it open.

    ``changed_by`` names the message that changed it, empty once announced; ``touched_at`` is its last bad poll in this
    batch. ``shrunk``: members left since it was announced last, at ``announced_at``; ``grown`` names the message that
    brought the newest member since then.
    ``lag`` is the shortest lag of the conditions that its last bad polls showed.
    ``severities`` counts the members by severity, ``agreeing`` and ``insisting`` those that confirm it by vantage.
    """

    finding: Finding
    members: dict[Subject, Member] = field(default_factory=dict)
    changed_by: str = ""
    touched_at: datetime | None = None
    shrunk: bool = False
    grown: str = ""
    lasts: bool = False
    lag: timedelta = timedelta()
    announced_at: datetime | None = None
    severities: Counter[Severity] = field(default_factory=Counter)
    agreeing: Counter[str] = field(default_factory=Counter)
    insisting: Counter[str] = field(default_factory=Counter)

    def count(self, subject: Subject, member: Member, step: int) -> None:
        """Take a member into the counts (1), or out of them (-1); in between it may change."""
        self.severities[member.severity] += step
        if member.agrees:
            self.agreeing[subject[2]] += step
        if member.insists:
            self.insisting[subject[2]] += step

    @property
    def is_closed(self) -> bool:
        """Return whether it is over, or was accepted."""
        return self.finding.status is FindingStatus.CLOSED

    @property
    def severity(self) -> Severity:
        """Return the worst of the members' severities."""
        return max((one for one, count in self.severities.items() if count), key=lambda one: one.rank)

    def is_due(self, now: datetime) -> bool:
        """Return whether it is time to announce that members came or left."""
        last = self.announced_at
        if last is None:
            return self.shrunk or bool(self.grown)
        size = max(len(self.members), self.finding.endpoint_count)
        pause = GROW_EVERY + size * GROW_PAUSE_PER_MEMBER
        is_small = size <= SMALL
        if self.grown and (is_small or abs(now - last) >= pause):
            return True
        return self.shrunk and abs(now - last) >= max(SHRINK_EVERY, pause)


def key_digest(key: CauseKey) -> str:
    """Return the permanent key of a finding: a hash of code, cause zone and cause RRset."""
    return digest_of(*key)[:32]


def opened(condition: Condition, at: datetime, evidence: str, before: str, after: str) -> Finding:
    """Return the finding that a condition or an edge opens, before it is announced."""
    key = key_digest(condition.key)
    return Finding(
        id=digest_of(key, at.isoformat(), before, after)[:32],
        key=key,
        version=0,
        status=FindingStatus.OPENED,
        code=condition.code,
        kind=CATALOGUE[Code(condition.code)].kind,
        severity=condition.severity,
        confirmed=False,
        cause_zone=condition.cause_zone,
        cause_rrset=condition.cause_rrset,
        detail=condition.detail,
        before=before,
        after=after,
        evidence=evidence,
        opened_at=at,
        updated_at=at,
    )

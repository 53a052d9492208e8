"""What one name or zone may have told of its changes in a day: more is counted, named, and sampled. Pure.

Whoever answers for a name can change it with each poll. So each change costs an allowance, which comes back within a
day; changes of the verdict have one of their own. Without one a change is withheld, and what it showed is named in the
next observation, which is made within minutes: whatever is the case then is told, so that a thousand decoys hide no
address. A change that is withheld teaches nothing, and is no last word.
"""

from collections.abc import Iterable

import msgspec

from schemas.codes import Code
from schemas.judgement import Reason

MOST_A_DAY = 300.0
DAY_S = 86_400.0
CALM_AFTER_S = 3600.0
MOST_NAMED = 100
LONGEST_DETAIL = 4000


class Allowance(msgspec.Struct, gc=False):
    """So many changes may still be told; ``at`` is when that was so, in monotonic seconds."""

    left: float = MOST_A_DAY
    at: float | None = None

    def take(self, now: float) -> bool:
        """Return whether one more may be told, and count it."""
        since_s = max(now - self.at, 0.0) if self.at is not None else 0.0
        self.left, self.at = min(self.left + since_s * MOST_A_DAY / DAY_S, MOST_A_DAY), now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


class Flood(msgspec.Struct, gc=False):
    """The allowances of one name or zone through one vantage, and what was withheld since it was told last.

    ``withheld_at`` is when something was withheld last, ``total`` counts since the flood began; ``last`` is the digest
    of what was withheld last, so that what stays is counted once.
    """

    changes: Allowance = msgspec.field(default_factory=Allowance)
    verdicts: Allowance = msgspec.field(default_factory=Allowance)
    shown: dict[str, None] = {}
    withheld: int = 0
    total: int = 0
    withheld_at: float | None = None
    last: str = ""

    def may_tell(self, now: float, content: str, shown: Iterable[str], *, of_verdict: bool) -> bool:
        """Return whether a change may be told; if not, it is withheld, and what it showed is remembered to be named.

        ``content`` is a digest of what is the case now.
        """
        if (self.verdicts if of_verdict else self.changes).take(now):
            return True
        if content != self.last or not self.owes:
            self.withheld, self.total, self.last = self.withheld + 1, self.total + 1, content
        self.withheld_at = now
        self.shown |= dict.fromkeys(one for one in shown if len(self.shown) < MOST_NAMED)
        return False

    @property
    def owes(self) -> bool:
        """Return whether something was withheld that no observation has named yet."""
        return self.withheld > 0

    def is_over(self, now: float) -> bool:
        """Return whether a flood has been calm for an hour: that is to be told, too."""
        return self.withheld_at is not None and not self.owes and now - self.withheld_at >= CALM_AFTER_S

    def name_withheld(self, zone: str, rrset: str, now: float) -> tuple[Reason, ...]:
        """Return the remark on what was withheld, none where nothing was lately; from then on it is told."""
        if self.is_over(now):
            self.withheld_at, self.total = None, 0
        if self.withheld_at is None:
            return ()
        named = ", ".join(self.shown)[:LONGEST_DETAIL] or "nothing new"
        detail = (
            f"{rrset} changed so often that {self.total} changes were not told one by one; {self.withheld} since the"
            f" last time, which showed: {named}"
        )
        self.shown, self.withheld = {}, 0
        return (Reason(Code.ANSWER_UNSTABLE, zone, detail, None, rrset),)

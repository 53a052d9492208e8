"""How far the clocks of other processes are from ours, by when they say that they sent what arrives now. Pure.

A record that is stamped later than now comes from a clock that is ahead, however long it waited. One that is stamped
long ago may have waited; it comes from a clock that is behind only if it can't have been there at our last look.
"""

from schemas.messages import SelfReport, utc

MOST_AHEAD_S = 30.0
MOST_BEHIND_S = 90.0
"""Kafka may take half a minute for a record, so only more than that is a clock's fault."""
WELL_WITHIN = 0.5
QUIET_S = 3600.0
"""A process that sent nothing for so long is gone."""
MOST_SOURCES = 100
CODE = "self_clocks_differ"


class ClockSkews:
    """``worst_s`` is the largest difference of those that count now; ``ours`` names this process."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._differing: dict[str, tuple[float, float]] = {}
        self._news: dict[str, str] = {}

    @property
    def worst_s(self) -> float:
        """Return the largest difference, whatever its sign, 0 if all clocks agree."""
        return max((abs(skew) for skew, _ in self._differing.values()), default=0.0)

    def note(self, source: str, stamped_at: float, now: float, looked_at: float) -> bool:
        """Take in a record of a process; ``looked_at`` is when there was nothing more. Return whether that is news."""
        ahead_s, behind_s = stamped_at - now, looked_at - stamped_at
        known = source in self._differing
        scale = WELL_WITHIN if known else 1.0
        if ahead_s > MOST_AHEAD_S * scale:
            skew = ahead_s
        elif looked_at and behind_s > MOST_BEHIND_S * scale:
            skew = -behind_s
        else:
            agrees = bool(looked_at) or (known and self._differing[source][0] > 0)
            if known and agrees:
                del self._differing[source]
                self._news[source] = ""
            return known and agrees
        if not known and len(self._differing) >= MOST_SOURCES:
            return False
        self._differing[source] = skew, now
        if not known:
            direction = "ahead of" if skew > 0 else "behind"
            self._news[source] = f"the clock of {source} is {abs(skew):.0f} s {direction} that of {self._ours}"
        return not known

    def reports(self, now: float) -> list[SelfReport]:
        """Return what began and ended since the last call."""
        for source, (_, heard_at) in list(self._differing.items()):
            if now - heard_at > QUIET_S:
                del self._differing[source]
                self._news[source] = ""
        news, self._news = self._news, {}
        return [SelfReport(code=CODE, subject=source, at=utc(now), detail=said) for source, said in news.items()]

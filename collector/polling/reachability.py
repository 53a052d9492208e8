"""Whether a resolver is lost, or only some names behind it do not answer.

Silence alone says nothing: it may be a dead zone's. So after a silence a control question is asked that every resolver
can answer, the key set of the trust anchor, and beside it what was answered last; only if both stay unanswered, again
and again over a span, is the vantage lost. A poll that began before the last recovery proves nothing: it waited through
the outage.
"""

FAILURES_TO_LOSE = 2
LONGEST_SPAN_S = 5.0
RECENT_S = 1.0


class Reachability:
    """One vantage. Times are monotonic seconds. ``is_lost`` is None until anything is known."""

    def __init__(self, interval_s: float) -> None:
        """A vantage is lost after ``interval_s`` of silence, five seconds at most: a restart takes less."""
        self._span_s = min(interval_s, LONGEST_SPAN_S)
        self._failing_since: float | None = None
        self.is_lost: bool | None = None
        self.failure = ""
        self._answered_at = float("-inf")
        self._recovered_at = float("-inf")
        self._failed = 0
        self._control_at = float("-inf")

    def answered(self, at: float) -> bool:
        """Note that the vantage said something; return whether it was lost until now, or not known."""
        news = self.is_lost is not False
        if self.is_lost:
            self._recovered_at = at
        self._answered_at = max(self._answered_at, at)
        self._failed, self._failing_since, self.is_lost, self.failure = 0, None, False, ""
        return news

    def has_answered_since(self, at: float) -> bool:
        """Return whether the vantage said something at or after ``at``."""
        return self._answered_at >= at

    def needs_control(self, began_at: float, now: float) -> bool:
        """Return whether a control question must tell what a silence means: nothing else was answered just now."""
        return not (self._answered_at >= began_at and now - self._answered_at <= RECENT_S)

    def unanswered_control(self, began_at: float, now: float, why: str) -> bool:
        """Note a control question without an answer; return whether that makes the vantage lost."""
        if self.has_answered_since(began_at):
            return False
        self._failed += 1
        since = self._failing_since = began_at if self._failing_since is None else self._failing_since
        if self.is_lost or self._failed < FAILURES_TO_LOSE or now - since < self._span_s:
            return False
        self.is_lost, self.failure = True, why
        return True

    def speaks_of_before(self, began_at: float) -> bool:
        """Return whether a silence that began then says nothing of now: the vantage was lost meanwhile, and is back."""
        return began_at <= self._recovered_at

    def is_control_due(self, now: float, every_s: float) -> bool:
        """Return whether a lost vantage should be asked again; says so once in ``every_s``."""
        if not self.is_lost or now - self._control_at < every_s:
            return False
        self._control_at = now
        return True

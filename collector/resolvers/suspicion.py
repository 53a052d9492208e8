"""Whether somebody forges replies: counts of those that match no question, and the rate beyond which it is said.

Each query has its own socket, so what comes late from an earlier try arrives nowhere: an honest resolver gives next to
none of these. Like Unbound's ``unwanted-reply-threshold``.
"""

from collector.resolvers.matching import GUESSED

WINDOW_S = 60.0
MOST_IN_WINDOW = 20
MOST_OF_ASKED = 0.01
CALM_S = 300.0


class Tally:
    """The replies of one resolver that were passed over, by kind. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.by_kind: dict[str, int] = {}
        self._began_at = float("-inf")
        self._asked = 0
        self._guessed = 0
        self._exceeded_at: float | None = None
        self._said = ""
        self._first_at: float | None = None

    def count_question(self, now: float) -> None:
        """Note that a query was sent."""
        self._turn(now)
        self._asked += 1

    def pass_over(self, kind: str, now: float) -> None:
        """Note a reply that matched no question."""
        self._turn(now)
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
        if kind not in GUESSED:
            return
        self._guessed += 1
        if self._guessed > max(MOST_IN_WINDOW, self._asked * MOST_OF_ASKED):
            self._exceeded_at = now
            if not self._said:
                kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.by_kind.items()))
                self._said = (
                    f"{self._guessed} replies within {WINDOW_S:.0f} s match no question of ours (since the start, by"
                    f" what was wrong: {kinds}); somebody may be guessing ids to forge answers. Each was passed over"
                )

    def suspicion(self, now: float) -> str | None:
        """Return what is suspected, empty while nothing is; the same text until it has been calm for five minutes.

        None in the first five minutes while nothing is: an earlier process may have suspected something.
        """
        self._first_at = now if self._first_at is None else self._first_at
        if not self._said and now - self._first_at < CALM_S:
            return None
        if self._exceeded_at is not None and now - self._exceeded_at >= CALM_S:
            self._exceeded_at, self._said = None, ""
        return self._said

    def _turn(self, now: float) -> None:
        if now - self._began_at >= WINDOW_S:
            self._began_at, self._asked, self._guessed = now, 0, 0

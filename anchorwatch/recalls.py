"""Which subjects the collectors are asked to observe anew, and when again. Pure: time comes in."""

from collections.abc import Iterable

from schemas.messages import Subject

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0
MOST_AT_ONCE = 1_000
REASON = "polls speak of an observation that never arrived"


class Recalls:
    """A subject is asked for at once, and while that does not help at growing distances."""

    def __init__(self) -> None:
        self._asked: dict[Subject, tuple[float, float]] = {}

    def due(self, unknown: Iterable[Subject], now: float) -> tuple[Subject, ...]:
        """Return which of the subjects to ask for now; ``now`` is in seconds of any clock that only goes forward."""
        found: list[Subject] = []
        for subject in unknown:
            next_at, pause_s = self._asked.get(subject, (now, FIRST_PAUSE_S))
            if now < next_at or len(found) == MOST_AT_ONCE:
                continue
            found.append(subject)
            self._asked[subject] = now + pause_s, min(pause_s * 2, LONGEST_PAUSE_S)
        if found:
            self._asked = {one: asked for one, asked in self._asked.items() if now - asked[0] < LONGEST_PAUSE_S}
        return tuple(sorted(found))

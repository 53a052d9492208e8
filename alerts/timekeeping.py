"""Time to wait by, which goes on when the clock is set back: no retry waits for it to come round again. Pure.

What is told keeps the clock's own time.
"""

from collections.abc import Callable


class OnwardClock:
    """POSIX seconds that never go back: what ``clock`` is set back by is added from then on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._added_s = 0.0
        self._last = float("-inf")

    def __call__(self) -> float:
        now = self._clock() + self._added_s
        if now < self._last:
            self._added_s += self._last - now
        self._last = max(now, self._last)
        return self._last

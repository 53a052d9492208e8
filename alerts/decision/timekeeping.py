"""Time to wait by, which goes on evenly when the clock is set: no retry waits for it to come round again. Pure.

Messages have the clock's own time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: ``steady`` only runs on and is waited by, ``wall`` is what the clock says and messages have."""

    steady: datetime
    wall: datetime


class SteadyClock:
    """POSIX seconds as they were at the start, plus what has passed since by ``ticks``, seconds that only run on."""

    def __init__(self, clock: Callable[[], float], ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._origin = clock() - ticks()

    def __call__(self) -> float:
        """Return POSIX seconds, off by as much as the clock was at the start."""
        return self._origin + self._ticks()

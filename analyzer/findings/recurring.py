"""Faults that come and go: one that comes back within hours has to stay away longer before it counts as over.

A resolver asks the servers of a zone in turn, and one of them serves ended signatures: that is one fault, and not a new
one with each time to live.
"""

from datetime import datetime, timedelta

from analyzer.findings.attribution import CauseKey
from schemas.messages import Subject

WITHIN = timedelta(hours=3)
LONGEST_PAUSE = timedelta(hours=6)
MOST_REMEMBERED = 100_000


class Recurring:
    """When each subject last showed what it then showed no more."""

    def __init__(self) -> None:
        self._ended: dict[tuple[Subject, CauseKey], tuple[datetime, datetime]] = {}

    def ended(self, subject: Subject, key: CauseKey, bad_at: datetime, at: datetime) -> None:
        """Note that a subject shows a fault no more; it showed it last at ``bad_at``."""
        self._ended.pop((subject, key), None)
        self._ended[subject, key] = bad_at, at
        while len(self._ended) > MOST_REMEMBERED or self._is_old(at):
            del self._ended[next(iter(self._ended))]

    def pause_of(self, subject: Subject, key: CauseKey, at: datetime) -> timedelta:
        """Return for how long a fault that is back has to be away this time: twice as long as the last time."""
        bad_at, ended_at = self._ended.pop((subject, key), (at, at))
        if not timedelta() < at - ended_at <= WITHIN:
            return timedelta()
        return min(2 * (at - bad_at), LONGEST_PAUSE)

    def _is_old(self, at: datetime) -> bool:
        return bool(self._ended) and at - next(iter(self._ended.values()))[1] > WITHIN


def comes_and_goes(detail: str, pause: timedelta) -> str:
    """Return what is told of a fault that is back: who looks may find it gone, and it is not over yet."""
    if not pause:
        return detail
    minutes = round(pause.total_seconds() / 60)
    looks = "it comes and goes: when you look it may be gone, and it is over once it"
    return f"{detail}; {looks} stays away for {minutes} min"

"""Windows and instants that come again every week, in a time zone. Pure: the zone comes with its rules.

A local time that a clock change leaves out is the instant that it would have been without the change; of one that
comes twice the first is meant. So each window happens once on its day, whatever the clocks do.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import msgspec

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LATE = timedelta(hours=6)
"""So late something that comes again is made up for: a process that starts later leaves it out."""


class Weekly(msgspec.Struct, frozen=True, kw_only=True):
    """From a local time on some days of the week (0 is Monday) for ``lasts``, or until the local time ``ends``.

    ``ends`` at or before ``begins`` is on the next day. One of ``lasts`` and ``ends`` is given.
    """

    days: tuple[int, ...]
    begins: time
    zone: tzinfo
    lasts: timedelta | None = None
    ends: time | None = None

    def window_at(self, at: datetime) -> tuple[datetime, datetime] | None:
        """Return the window that an instant lies in, the one that ends last, None outside of all."""
        found = [window for window in self._around(at) if window[0] <= at < window[1]]
        return max(found, key=lambda window: window[1], default=None)

    def next_change_at(self, after: datetime) -> datetime:
        """Return the next instant at which a window begins or ends."""
        return min(instant for window in self._around(after) for instant in window if instant > after)

    def _around(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield every window that may hold an instant, and those of the week after it."""
        first = at.astimezone(self.zone).date() - (self.lasts or DAY) - DAY
        last = at.astimezone(self.zone).date() + WEEK + DAY
        day = first
        while day <= last:
            if day.weekday() in self.days:
                yield self._on(day)
            day += DAY

    def _on(self, day: date) -> tuple[datetime, datetime]:
        begin = self._instant(day, self.begins)
        if self.ends is None:
            assert self.lasts is not None
            return begin, begin + self.lasts
        return begin, self._instant(day if self.ends > self.begins else day + DAY, self.ends)

    def _instant(self, day: date, clock: time) -> datetime:
        return _instant(day, clock, self.zone)


class Recurring(msgspec.Struct, frozen=True, kw_only=True):
    """At a local time on some days of the week (0 is Monday), once each, whatever the clocks do."""

    days: tuple[int, ...]
    clock: time
    zone: tzinfo

    def last_at(self, now: datetime) -> datetime:
        """Return the latest of its instants that is not after now."""
        today = now.astimezone(self.zone).date()
        days = (today + DAY - number * DAY for number in range(10))
        instants = (_instant(day, self.clock, self.zone) for day in days if day.weekday() in self.days)
        return next(instant for instant in instants if instant <= now)

    def due_at(self, now: datetime) -> datetime | None:
        """Return the instant whose turn it is, None where the last one is too long ago to be made up for."""
        last_at = self.last_at(now)
        return last_at if now - last_at < LATE else None


def _instant(day: date, clock: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)

"""The serials of a zone's servers: who is behind, and whether a refresh would have brought more by now.

Where no signature holds, a serial proves nothing: a forged one from the future makes every honest server look stale. So
there a server is stale only beside a majority that moved on; else it is disputed who is right.

Source: RFC 1034 §4.3.5 (refresh), RFC 1982 (serial arithmetic), RFC 1912 §2.2 (customary values).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from schemas.judgement import Number32
from schemas.messages import ServerSight, SignatureState

# RFC 1912 §2.2 has 20 minutes to 2 hours, or 2 to 12 hours; a zone is granted no more than a day.
USUAL_REFRESH = timedelta(hours=12)
SHORTEST_REFRESH = timedelta(minutes=20)
LONGEST_REFRESH = timedelta(hours=24)
PARENT_TRANSFER = timedelta(hours=1)
"""A change of a delegation has reached every server of the parent by then, whose serials say nothing of it."""
SERIALS_KEPT = 100
HALF = 2**31


def is_later(serial: int, other: int) -> bool:
    """Return whether a serial comes after another one. Source: RFC 1982 §3.2."""
    return serial != other and (serial - other) % 2**32 < HALF


class Newest(msgspec.Struct, frozen=True):
    """The newest serial that any server of a zone had, and when it was seen first."""

    serial: Number32
    since_at: datetime


class Serials:
    """What the servers' serials say: who lags behind within the time that a refresh takes, and who is stale.

    ``are_proven``: some server's signatures hold. ``is_disputed``: where none does, most servers are behind for longer
    than a refresh takes, so either they are stale or the others' serials are forged.
    """

    def __init__(self, sights: Iterable[ServerSight], known: Sequence[Newest], at: datetime) -> None:
        """``sights`` are those of the servers of one zone that answer; ``known`` is what ``kept`` was before.

        What the newest serial is only those say whose signatures hold, where any do.
        """
        sights = list(sights)
        self._serials = {sight.server: sight.serial for sight in sights if sight.serial is not None}
        refresh_s = [sight.refresh_s for sight in sights if sight.refresh_s is not None]
        asked_for = timedelta(seconds=min(refresh_s)) if refresh_s else USUAL_REFRESH
        self._due_at = at - max(min(asked_for, LONGEST_REFRESH), SHORTEST_REFRESH)
        proven = [sight.serial for sight in sights if sight.signatures is SignatureState.VALID]
        self.are_proven = any(serial is not None for serial in proven)
        self.newest = newest_of(proven) if self.are_proven else newest_of(self._serials.values())
        kept = list(known)
        if self.newest is not None and (not kept or kept[-1].serial != self.newest):
            kept.append(Newest(self.newest, at))
        # The last one from before is kept, too: it was the newest one until the next was seen.
        old = sum(one.since_at <= at - LONGEST_REFRESH for one in kept)
        self.kept = tuple(kept[max(old - 1, 0) :][-SERIALS_KEPT:])
        overdue = sum(map(self._is_overdue, self._serials))
        self.is_disputed = not self.are_proven and 2 * overdue >= len(self._serials) > overdue

    def serial_of(self, server: str) -> int | None:
        """Return a server's serial, None where it is not known."""
        return self._serials.get(server)

    def is_behind(self, server: str) -> bool:
        """Return whether another server has a later serial."""
        serial = self._serials.get(server)
        return serial is not None and self.newest is not None and is_later(self.newest, serial)

    def is_stale(self, server: str) -> bool:
        """Return whether a refresh would have brought a later serial by now, and did not."""
        return self._is_overdue(server) and not self.is_disputed

    def _is_overdue(self, server: str) -> bool:
        serial = self._serials.get(server)
        if serial is None or self.newest is None or not self.is_behind(server):
            return False
        # What was newest once and is no more, be it forged or taken back, makes nobody stale.
        due = [
            one.serial for one in self.kept if one.since_at <= self._due_at and not is_later(one.serial, self.newest)
        ]
        return any(is_later(one, serial) for one in due)

    def lags(self, server: str) -> bool:
        """Return whether a server is behind, as any secondary is for a while."""
        return self.is_behind(server) and not self._is_overdue(server)

    def describe(self) -> str:
        """Return the serials for people, with the number of servers that have each."""
        counts = Counter(self._serials.values())
        return ", ".join(f"{serial} on {count} of {len(self._serials)}" for serial, count in sorted(counts.items()))


def newest_of(serials: Iterable[int | None]) -> int | None:
    """Return the latest serial of those that are known, None of none."""
    newest: int | None = None
    for serial in serials:
        if serial is not None and (newest is None or is_later(serial, newest)):
            newest = serial
    return newest


NO_SERIALS = Serials((), (), datetime.max.replace(tzinfo=UTC))
"""Of servers whose serials are not known: none lags and none is stale."""

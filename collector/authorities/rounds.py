"""Which zone is swept when: each at its own phase of a slow schedule, and at once where it has just turned. Pure.

Times are those of the clock that only runs on.
"""

import hashlib
import heapq
from dataclasses import dataclass, field

from collector.authorities.walk import Asked

MOST_AT_ONCE = 4
"""So many sweeps are under way at the same time."""
FIRST_ROUND_S = 300.0
"""Zones that are new are swept within this time, not all at once."""
REPEATS = 2
"""So often a sweep that says something new is repeated soon, so that it is confirmed."""
REPEAT_AFTER_S = 300.0
JITTER = 0.1
SHOW_EVERY_S = 86_400.0
"""Evidence that was shown before is shown again after this time: it may have been lost on the way."""


@dataclass(slots=True)
class _Round:
    """One zone: what refers to it, and when it is swept.

    ``repeats``: so many sweeps more come early. ``shown_at`` is when the evidence was shown last.
    """

    holders: int = 0
    watched: dict[Asked, int] = field(default_factory=dict)
    due_at: float = 0.0
    swept_at: float = float("-inf")
    said: str = ""
    shown_at: float = float("-inf")
    repeats: int = 0
    is_alarmed: bool = False
    is_running: bool = False


class Rounds:
    """All zones that lie on the way to what is watched."""

    def __init__(self, sweep_s: float, alarm_s: float) -> None:
        """Sweep a zone each ``sweep_s``; where it has just turned, ``alarm_s`` after the last sweep at the earliest."""
        self._sweep_s, self._alarm_s = sweep_s, alarm_s
        self._rounds: dict[str, _Round] = {}
        self._heap: list[tuple[float, str]] = []
        self._running = 0

    def hold(self, zone: str, now: float) -> None:
        """Note that something refers to a zone; ``release`` it once that is over."""
        known = self._rounds.get(zone)
        if known is None:
            known = self._rounds[zone] = _Round()
            self._put(zone, known, now + _phase_of(zone) * min(self._sweep_s, FIRST_ROUND_S))
        known.holders += 1

    def release(self, zone: str) -> None:
        """Note that something does not refer to a zone any more; one that nothing refers to is swept no longer."""
        known = self._rounds.get(zone)
        if known is None:
            return
        known.holders -= 1
        if known.holders <= 0:
            del self._rounds[zone]

    def watch(self, zone: str, asked: Asked) -> None:
        """Have the servers of a zone asked for a name and type; ``unwatch`` it once that is over."""
        known = self._rounds.get(zone)
        if known is not None:
            known.watched[asked] = known.watched.get(asked, 0) + 1

    def unwatch(self, zone: str, asked: Asked) -> None:
        """Have the servers of a zone asked for a name no longer."""
        known = self._rounds.get(zone)
        if known is None or asked not in known.watched:
            return
        known.watched[asked] -= 1
        if not known.watched[asked]:
            del known.watched[asked]

    def alarm(self, zone: str, now: float, *, bad: bool) -> None:
        """Sweep a zone at once that has just turned: to bad, or back."""
        known = self._rounds.get(zone)
        if known is None:
            return
        known.is_alarmed |= bad
        at = max(now, known.swept_at + self._alarm_s)
        if at < known.due_at:
            self._put(zone, known, at)

    def take_due(self, now: float) -> list[tuple[str, list[Asked], bool]]:
        """Return what to sweep now: zones, the names watched in them, sorted, and whether it is an alarm."""
        due = []
        while self._heap and self._heap[0][0] <= now and self._running < MOST_AT_ONCE:
            at, zone = heapq.heappop(self._heap)
            known = self._rounds.get(zone)
            if known is None or known.is_running or known.due_at != at:
                continue
            known.is_running = True
            self._running += 1
            due.append((zone, sorted(known.watched, key=lambda one: (one.name, one.rdtype)), known.is_alarmed))
            known.is_alarmed = False
            known.due_at = float("inf")
        return due

    def finish(self, zone: str, content: str, now: float) -> bool:
        """Note that a sweep is over, and what it said; return whether to show its evidence.

        Evidence is shown of what is new, and again now and then.
        """
        self._running -= 1
        known = self._rounds.get(zone)
        if known is None:
            return True
        is_new = content != known.said
        known.is_running, known.said, known.swept_at = False, content, now
        known.repeats = REPEATS if is_new else max(known.repeats - 1, 0)
        is_shown = is_new or now - known.shown_at >= SHOW_EVERY_S
        known.shown_at = now if is_shown else known.shown_at
        wait_s = self._sweep_s * (1 - JITTER * _phase_of(zone))
        if known.repeats:
            wait_s = min(wait_s, max(REPEAT_AFTER_S, self._alarm_s))
        self._put(zone, known, min(now + wait_s, max(known.due_at, now + self._alarm_s)))
        return is_shown

    def next_due_at(self) -> float:
        """Return when something is to be swept; infinite where nothing is, or all slots are taken."""
        if self._running >= MOST_AT_ONCE or not self._heap:
            return float("inf")
        return self._heap[0][0]

    def _put(self, zone: str, known: _Round, at: float) -> None:
        known.due_at = at
        if not known.is_running:
            heapq.heappush(self._heap, (at, zone))


def _phase_of(zone: str) -> float:
    """Return a fixed number from 0 to 1 for a zone, so that a restart keeps the spread."""
    return int.from_bytes(hashlib.blake2b(zone.encode(), digest_size=4).digest(), "big") / 2**32

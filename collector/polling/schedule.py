"""Who is due: every endpoint once an interval, spread evenly over it, each with its own fixed phase.

The phase comes from a hash of the endpoint, so a restart keeps the spread and no two collectors agree by accident. The
first round is quick, so that a start sees everything soon; from the second turn on each has its own instant.

Turns are kept in slots of half a millisecond, those of one slot together, so that a turn costs the same however many
there are.
"""

import hashlib
import heapq
import math
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

TICKS_A_SECOND = 2048
UNSCHEDULED = -1
LONGEST_FIRST_ROUND_S = 10.0
LATE_AFTER_S = 1.0


class Scheduled(Protocol):
    """What has turns: ``due`` is its next one, ``usual`` its next regular one; in ticks, UNSCHEDULED while it has none.

    Both are kept by the schedule.
    """

    due: int
    usual: int


Item = TypeVar("Item", bound=Scheduled)


def first_round_s(interval_s: float) -> float:
    """Return within which time new items have their first turn: soon, and not all at once."""
    return min(interval_s / 4, LONGEST_FIRST_ROUND_S)


class Schedule(Generic[Item]):
    """The turns of items, by monotonic seconds; ``phase_of`` gives each its part of the interval, in [0, 1).

    ``late`` counts the turns that came more than a second, and more than a tenth of the interval, after they were due;
    ``lateness_s`` says how late the last turn was.
    """

    def __init__(self, interval_s: float, phase_of: Callable[[Item], float]) -> None:
        self._interval = max(round(interval_s * TICKS_A_SECOND), 1)
        self._first_round = first_round_s(interval_s) * TICKS_A_SECOND
        self._late_after = max(LATE_AFTER_S, interval_s / 10) * TICKS_A_SECOND
        self._phase_of = phase_of
        self._slots: dict[int, dict[Item, None]] = {}  # dicts, which garbage collection passes over
        self._order: list[int] = []  # a heap of the slots' instants
        self._origin: int | None = None
        self._count = 0
        self.late = 0
        self.lateness_s = 0.0

    def __len__(self) -> int:
        return self._count

    def add(self, items: Iterable[Item], now: float) -> None:
        """Watch these, too; those already watched keep their turns."""
        tick = _tick_after(now)
        if self._origin is None:
            self._origin = tick
        for item in items:
            if item.due != UNSCHEDULED:
                continue
            phase = self._phase_of(item)
            item.due = tick + round(phase * self._first_round)
            item.usual = self._after(item.due, self._origin + round(phase * self._interval))
            self._count += 1
            self._put(item)

    def remove(self, items: Iterable[Item]) -> None:
        """Watch these no more."""
        for item in items:
            if item.due != UNSCHEDULED:
                item.due = item.usual = UNSCHEDULED
                self._count -= 1

    def next_due_at(self) -> float | None:
        """Return when the next item is due, None when nothing is watched."""
        while self._order:
            tick = self._order[0]
            if any(item.due == tick for item in self._slots[tick]):
                return tick / TICKS_A_SECOND
            heapq.heappop(self._order)
            del self._slots[tick]
        return None

    def take_due(self, now: float, most: int) -> list[Item]:
        """Return up to ``most`` items due at ``now`` and give each its next turn.

        After a pause the turns missed are not made up for: one poll says what is the case now.
        """
        tick = math.floor(now * TICKS_A_SECOND)
        due: list[Item] = []
        while self._order and self._order[0] <= tick and len(due) < most:
            slot = self._order[0]
            items = [item for item in self._slots[slot] if item.due == slot]
            taken, left = items[: most - len(due)], items[most - len(due) :]
            if left:
                self._slots[slot] = dict.fromkeys(left)
            else:
                heapq.heappop(self._order)
                del self._slots[slot]
            if taken:
                self.lateness_s = now - slot / TICKS_A_SECOND
                self.late += len(taken) if tick - slot > self._late_after else 0
            for item in taken:
                if item.usual <= tick:
                    item.usual = self._after(tick, item.usual)
                item.due = item.usual
                self._put(item)
            due += taken
        return due

    def hasten(self, item: Item, due_at: float) -> None:
        """Give an item its next turn already at ``due_at``; the one after that comes at its usual instant."""
        tick = _tick_after(due_at)
        if tick < item.due:
            item.due = tick
            self._put(item)

    def _after(self, tick: int, usual: int) -> int:
        """Return the first regular turn after an instant; ``usual`` is any of them."""
        return usual + ((tick - usual) // self._interval + 1) * self._interval

    def _put(self, item: Item) -> None:
        slot = self._slots.get(item.due)
        if slot is None:
            self._slots[item.due] = {item: None}
            heapq.heappush(self._order, item.due)
        else:
            slot[item] = None


def _tick_after(at: float) -> int:
    return math.ceil(at * TICKS_A_SECOND)


def phase_of(item: object) -> float:
    """Return a number in [0, 1) that is always the same for one item."""
    digest = hashlib.blake2b(repr(item).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64

"""Who is due: every endpoint once an interval, spread evenly over it, each with its own fixed phase.

The phase comes from a hash of the endpoint, so a restart keeps the spread and no two collectors agree by accident. The
first round is quick, so that a start sees everything soon; from the second turn on each has its own instant.
"""

import hashlib
import heapq
import math
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

LONGEST_FIRST_ROUND_S = 10.0
LATE_AFTER_S = 1.0


def first_round_s(interval_s: float) -> float:
    """Return within which time new items have their first turn: soon, and not all at once."""
    return min(interval_s / 4, LONGEST_FIRST_ROUND_S)


class Schedule(Generic[Item]):
    """A heap of (due time, item); times are monotonic seconds.

    ``late`` counts the turns that came more than a second, and more than a tenth of the interval, after they were due;
    ``lateness_s`` says how late the last turn was.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._heap: list[tuple[float, int, Item]] = []
        self._items: dict[Item, float] = {}
        self._phases: dict[Item, float] = {}
        self._counter = 0
        self._origin: float | None = None
        self.late = 0
        self.lateness_s = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def set_items(self, items: Iterable[Item], now: float) -> None:
        """Watch exactly these from now on; new ones get their first turn soon, known ones keep theirs."""
        wanted = dict.fromkeys(items)
        self.remove([item for item in self._items if item not in wanted])
        self.add(wanted, now)

    def add(self, items: Iterable[Item], now: float) -> None:
        """Watch these, too; those already watched keep their turns."""
        if self._origin is None:
            self._origin = now
        for item in items:
            if item not in self._items:
                self._phases[item] = phase_of(item)
                self._push(item, now + self._phases[item] * first_round_s(self._interval_s))

    def remove(self, items: Iterable[Item]) -> None:
        """Watch these no more."""
        for item in items:
            if self._items.pop(item, None) is not None:
                del self._phases[item]

    def next_due_at(self) -> float | None:
        """Return when the next item is due, None when nothing is watched."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float, most: int) -> list[Item]:
        """Return up to ``most`` items due at ``now`` and give each its next turn.

        After a pause the turns missed are not made up for: one poll says what is the case now.
        """
        due: list[Item] = []
        while len(due) < most:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now:
                break
            due_at, _, item = heapq.heappop(self._heap)
            due.append(item)
            self.lateness_s = now - due_at
            self.late += self.lateness_s > max(LATE_AFTER_S, self._interval_s / 10)
            self._push(item, self._slot_after(item, now))
        return due

    def hasten(self, item: Item, due_at: float) -> None:
        """Give an item its next turn already at ``due_at``; the one after that comes at its usual instant."""
        usual = self._items.get(item)
        if usual is not None and due_at < usual:
            self._push(item, due_at)

    def _slot_after(self, item: Item, now: float) -> float:
        """Return the item's own first instant after ``now``."""
        first = (self._origin or 0.0) + self._phases[item] * self._interval_s
        passed = math.floor((now - first) / self._interval_s)
        slot = first + (passed + 1) * self._interval_s
        return slot if slot > now else slot + self._interval_s

    def _push(self, item: Item, due_at: float) -> None:
        self._counter += 1
        self._items[item] = due_at
        heapq.heappush(self._heap, (due_at, self._counter, item))

    def _drop_stale(self) -> None:
        while self._heap and self._items.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)


def phase_of(item: object) -> float:
    """Return a number in [0, 1) that is always the same for one item."""
    digest = hashlib.blake2b(repr(item).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64

"""Fair shares: who of those that are due may be asked now, so that names that don't answer cost the others nothing.

Names wait in queues by zone and vantage, and by what is known of them: those that answered last, those never asked,
those that did not answer. Silent ones never have more than their zone's share of the slots, and a quarter of all; the
others may go beyond their share into the first half of the slots. A zone whose names are all silent is asked by one
probe at a time, at growing distance, until one is answered.
"""

from collections import OrderedDict, deque
from collections.abc import Container, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)
Zone = Hashable


class Standing(IntEnum):
    """What is known of an item; the first have precedence."""

    ANSWERS = 0
    NEW = 1
    SILENT = 2


SHARE = 8
LEAST_SLOTS = 2
SILENT_POLLS = 3
LONGEST_DISTANCE = 4
ROTATE_EVERY = 3
LATE_AFTER_S = 1.0


@dataclass(slots=True)
class _ZoneState(Generic[Item]):
    """One zone through one vantage: its items, which of them answer, which are silent (for how many polls)."""

    items: dict[Item, None] = field(default_factory=dict)
    proven: set[Item] = field(default_factory=set)
    silent: dict[Item, int] = field(default_factory=dict)
    probe_at: float = 0.0
    distance: int = 0
    probes: int = 0
    probing: Item | None = None


Queue = tuple[Zone, Standing]


class FairShares(Generic[Item]):
    """Admission to ``slots`` polls at once. Times are monotonic seconds.

    ``late`` counts the polls that began more than a second (and a tenth of the interval) after their turn, or whose
    turn came before the last poll was over; ``held_back`` the turns that were left out in zones that do not answer.
    """

    def __init__(self, slots: int, interval_s: float) -> None:
        self._slots, self._interval_s = slots, interval_s
        self._share = max(LEAST_SLOTS, slots // SHARE)
        self._zones: dict[Zone, _ZoneState[Item]] = {}
        self._zone_by_item: dict[Item, Zone] = {}
        self._asked: set[Item] = set()
        # By standing the queues of the zones, each next in turn first.
        self._waiting: dict[Standing, OrderedDict[Zone, deque[Item]]] = {one: OrderedDict() for one in Standing}
        self._queued: dict[Item, float] = {}
        self._running: dict[Item, Queue] = {}
        self._running_by_queue: dict[Queue, int] = {}
        self._running_by_standing = dict.fromkeys(Standing, 0)
        # Whatever comes, a quarter of the slots is left to those that answer, and one to those never asked.
        self._most = {
            Standing.ANSWERS: slots,
            Standing.NEW: max(LEAST_SLOTS, slots // 2),
            Standing.SILENT: max(LEAST_SLOTS, slots // 4),
        }
        self._resting: dict[Zone, None] = {}
        self._next_probe_at = float("inf")
        self.held_back = 0
        self.late = 0

    # who there is

    def set_items(self, zone_by_item: Mapping[Item, Zone]) -> None:
        """Know exactly these items from now on, each with its zone (and vantage)."""
        self.remove([item for item in self._zone_by_item if item not in zone_by_item])
        self.add(zone_by_item.items())

    def add(self, items: Iterable[tuple[Item, Zone]]) -> None:
        """Know these, too, each with its zone (and vantage)."""
        for item, zone in items:
            if item not in self._zone_by_item:
                self._zone_by_item[item] = zone
                self._zones.setdefault(zone, _ZoneState()).items[item] = None
                self._wake(zone)  # nobody knows yet whether the new one answers

    def remove(self, items: Iterable[Item]) -> None:
        """Know these no more."""
        for gone in items:
            if gone not in self._zone_by_item:
                continue
            zone = self._zone_by_item.pop(gone)
            self._asked.discard(gone)
            state = self._zones[zone]
            state.items.pop(gone, None)
            state.proven.discard(gone)
            state.silent.pop(gone, None)
            state.probing = None if state.probing == gone else state.probing
            if not state.items:
                del self._zones[zone]
                self._resting.pop(zone, None)

    @property
    def waiting(self) -> int:
        """Return how many are due and wait for a slot."""
        return len(self._queued)

    @property
    def running(self) -> int:
        """Return how many hold a slot."""
        return len(self._running)

    @property
    def resting(self) -> int:
        """Return how many items are in zones that do not answer, of which only one at a time is asked."""
        return sum(len(self._zones[zone].items) for zone in self._resting)

    # who may go

    def offer(self, items: Iterable[Item], now: float, *, urgent: Container[Item] = ()) -> None:
        """Take in those whose turn it is; the urgent come before the others of their zone."""
        for item in items:
            zone = self._zone_by_item.get(item)
            if zone is None:
                continue
            if zone in self._resting:
                self.held_back += 1
            elif item in self._queued or item in self._running:
                self.late += 1
            else:
                self._queued[item] = now
                queue = self._waiting[self._standing(item, zone)].setdefault(zone, deque())
                if item in urgent:
                    queue.appendleft(item)
                else:
                    queue.append(item)

    def _standing(self, item: Item, zone: Zone) -> Standing:
        if item in self._zones[zone].proven:
            return Standing.ANSWERS
        return Standing.SILENT if item in self._asked else Standing.NEW

    def admit(self, now: float) -> list[Item]:
        """Return those that may be asked now, one of each queue in turn; ``finish`` each when it is over."""
        admitted = self._admit_probes(now) if now >= self._next_probe_at else []
        for standing, queues in self._waiting.items():
            blocked = 0
            while blocked < len(queues) and self._has_slot(standing):
                zone, items = next(iter(queues.items()))
                item = self._pop(zone, items) if self._may_go((zone, standing)) else None
                if items:
                    queues.move_to_end(zone)
                else:
                    del queues[zone]
                if item is None:
                    blocked += bool(items)
                    continue
                blocked = 0
                since = now - self._queued.pop(item)
                self.late += since > max(LATE_AFTER_S, self._interval_s / 10)
                self._start(item, (zone, standing))
                admitted.append(item)
        return admitted

    def is_running(self, item: Item) -> bool:
        """Return whether an item holds a slot."""
        return item in self._running

    def take_slot(self, item: Item) -> bool:
        """Take a slot out of turn for one whose reply is at hand; return whether its zone has one."""
        zone = self._zone_by_item.get(item)
        if zone is None or zone in self._resting or item in self._running or item in self._queued:
            return False
        standing = self._standing(item, zone)
        if not self._has_slot(standing) or not self._may_go((zone, standing)):
            return False
        self._start(item, (zone, standing))
        return True

    def _pop(self, zone: Zone, items: deque[Item]) -> Item | None:
        """Return the next of a queue that is still to be asked."""
        while items:
            item = items.popleft()
            if item in self._zone_by_item and item not in self._running and zone not in self._resting:
                return item
            self._queued.pop(item, None)
        return None

    def finish(self, item: Item, now: float) -> None:
        """Give the slot of an item back."""
        queue = self._running.pop(item, None)
        if queue is None:
            return
        state = self._zones.get(queue[0])
        if state is not None and state.probing == item:
            state.probing, state.probe_at = None, now + self._interval_s  # nothing came of it
            self._plan_probes()
        left = self._running_by_queue[queue] - 1
        if left:
            self._running_by_queue[queue] = left
        else:
            del self._running_by_queue[queue]
        self._running_by_standing[queue[1]] -= 1

    # what was learnt

    def answered(self, item: Item) -> list[Item]:
        """Note an answer; return the items of its zone that rested until now and come back at once."""
        zone = self._zone_by_item.get(item)
        if zone is None:
            return []
        self._zones[zone].proven.add(item)
        self._zones[zone].silent.pop(item, None)
        return self._wake(zone)

    def refused(self, item: Item) -> list[Item]:
        """Note an error: an answer, and none that says that this name deserves more than those without one."""
        back = self.answered(item)
        if (zone := self._zone_by_item.get(item)) is not None:
            self._zones[zone].proven.discard(item)
        return back

    def silent(self, item: Item, now: float) -> None:
        """Note that an item is known not to answer though its vantage does."""
        zone = self._zone_by_item.get(item)
        if zone is None:
            return
        state = self._zones[zone]
        state.proven.discard(item)
        state.silent[item] = state.silent.get(item, 0) + 1
        is_probe, state.probing = state.probing == item, None if state.probing == item else state.probing
        if zone not in self._resting:
            all_silent = len(state.silent) == len(state.items)
            if all_silent and max(state.silent.values()) >= SILENT_POLLS:
                self._resting[zone] = None
                state.distance = 1
                state.probe_at = now + self._interval_s
                self._plan_probes()
        elif is_probe:
            state.distance = min(state.distance * 2, LONGEST_DISTANCE)
            state.probe_at = now + state.distance * self._interval_s
            self._plan_probes()

    def unknown(self, item: Item, now: float) -> None:
        """Note that a poll said nothing of the item: its vantage does not answer."""
        zone = self._zone_by_item.get(item)
        if zone is None:
            return
        self._asked.add(item)
        state = self._zones[zone]
        state.proven.discard(item)
        if state.probing == item:
            state.probing, state.probe_at = None, now + self._interval_s
            self._plan_probes()

    def wake_all(self, items: Iterable[Item]) -> None:
        """End the rest of the zones of these items: their vantage answers again."""
        for item in items:
            zone = self._zone_by_item.get(item)
            if zone is not None:
                self._wake(zone)

    def _wake(self, zone: Zone) -> list[Item]:
        state = self._zones[zone]
        state.distance, state.probing = 0, None
        if zone not in self._resting:
            return []
        self._resting.pop(zone, None)
        return list(state.items)

    def _has_slot(self, standing: Standing) -> bool:
        most = self._most[standing]
        if standing is Standing.ANSWERS and self._waiting[Standing.NEW]:
            most -= self._slots // 4  # however late those are that answer: a name never asked is not watched at all
        return len(self._running) < self._slots and self._running_by_standing[standing] < most

    def _may_go(self, queue: Queue) -> bool:
        if self._running_by_queue.get(queue, 0) < self._share:
            return True
        # Beyond its share only into slots that leave half of all to the others, and nothing that is known to be silent.
        return queue[1] is not Standing.SILENT and len(self._running) < self._slots // 2

    def _admit_probes(self, now: float) -> list[Item]:
        probes = []
        for zone in self._resting:
            state = self._zones[zone]
            if state.probing is not None or state.probe_at > now:
                continue
            if not self._has_slot(Standing.SILENT):
                break
            items = list(state.items)
            # Mostly the same one, so that its finding can ripen; now and then another, should that one be special.
            turn = state.probes // ROTATE_EVERY if state.probes % ROTATE_EVERY == ROTATE_EVERY - 1 else 0
            item = items[turn % len(items)]
            if item in self._running:
                continue
            state.probes += 1
            state.probing = item
            self._start(item, (zone, Standing.SILENT))
            probes.append(item)
        self._plan_probes()
        return probes

    def _plan_probes(self) -> None:
        waiting = (self._zones[zone] for zone in self._resting)
        self._next_probe_at = min((state.probe_at for state in waiting if state.probing is None), default=float("inf"))

    def next_probe_at(self) -> float:
        """Return when a zone that does not answer is asked next; infinite without one, or without a slot for it."""
        return self._next_probe_at if self._has_slot(Standing.SILENT) else float("inf")

    def _start(self, item: Item, queue: Queue) -> None:
        self._asked.add(item)
        self._running[item] = queue
        self._running_by_queue[queue] = self._running_by_queue.get(queue, 0) + 1
        self._running_by_standing[queue[1]] += 1

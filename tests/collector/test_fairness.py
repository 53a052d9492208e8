"""Fair shares on a virtual clock: a fake resolver answers, or stays silent until the last try is over."""

import heapq
from itertools import pairwise

from collector.polling.fairness import LONGEST_DISTANCE, FairShares
from collector.polling.schedule import UNSCHEDULED, Schedule, phase_of

TIMEOUT_S = 10.5
ANSWER_S = 0.05


class Name(str):
    """A name that has turns."""

    due = usual = UNSCHEDULED


class World:
    """A schedule and fair shares driven by events; ``silent`` names take the whole timeout and give nothing."""

    def __init__(self, zones: dict[str, str], *, slots: int = 32, interval_s: float = 60.0) -> None:
        self.silent: set[str] = set()
        self.asked: list[tuple[float, str]] = []
        self.now = 0.0
        self.most_running: dict[str, int] = {}
        self._zones = {Name(name): zone for name, zone in zones.items()}
        self.shares: FairShares[Name] = FairShares(slots, interval_s)
        self.shares.set_items(self._zones)
        self.schedule: Schedule[Name] = Schedule(interval_s, phase_of)
        self.schedule.add(self._zones, now=0)
        self._ends: list[tuple[float, Name]] = []
        self._running: dict[str, int] = {}

    def run(self, until: float) -> None:
        while self.now < until:
            while self._ends and self._ends[0][0] <= self.now:
                self._end(heapq.heappop(self._ends)[1])
            self.shares.offer(self.schedule.take_due(self.now, 100_000), self.now)
            for item in self.shares.admit(self.now):
                self.asked.append((self.now, item))
                takes = TIMEOUT_S if item in self.silent else ANSWER_S
                heapq.heappush(self._ends, (self.now + takes, item))
                zone = self._zones[item]
                self._running[zone] = self._running.get(zone, 0) + 1
                self.most_running[zone] = max(self.most_running.get(zone, 0), self._running[zone])
            ends = self._ends[0][0] if self._ends else until
            due = self.schedule.next_due_at() or until
            self.now = max(self.now + 0.001, min(ends, due, self.shares.next_probe_at(), until))

    def _end(self, item: Name) -> None:
        if item in self.silent:
            self.shares.silent(item, self.now)
        else:
            for back in self.shares.answered(item):
                self.schedule.hasten(back, self.now)
        self.shares.finish(item, self.now)
        self._running[self._zones[item]] -= 1

    def count(self, begins: str, since: float = 0.0) -> int:
        return sum(name.startswith(begins) and at >= since for at, name in self.asked)


def good_names(count: int = 700) -> dict[str, str]:
    return {f"good{i}.z{i % 20}": f"z{i % 20}" for i in range(count)}


def silent_names(count: int, zones: int = 1) -> dict[str, str]:
    return {f"silent{i}": f"dead{i % zones}" for i in range(count)}


def test_300_silent_names_of_one_zone_cost_the_good_ones_nothing() -> None:
    alone, beside = World(good_names()), World({**silent_names(300), **good_names()})
    beside.silent = set(silent_names(300))

    alone.run(600)
    beside.run(250)
    beside.most_running.clear()
    beside.run(600)

    assert beside.count("good") >= alone.count("good") * 0.99
    assert beside.most_running["dead0"] <= 4, "an eighth of 32 slots"


def test_300_silent_names_of_as_many_zones_cost_the_good_ones_nothing() -> None:
    alone = World(good_names(), slots=128)
    beside = World({**silent_names(300, 300), **good_names()}, slots=128)
    beside.silent = set(silent_names(300))

    alone.run(600)
    beside.run(600)

    assert beside.count("good", since=60) >= alone.count("good", since=60) * 0.99
    assert {name for at, name in beside.asked if at < 60} >= set(good_names()), "and none waits long for its first turn"


def test_silent_names_within_a_zone_cost_its_good_ones_nothing() -> None:
    names = dict.fromkeys([*silent_names(300), *(f"good{i}" for i in range(50))], "zone")
    world = World(names, slots=128)
    world.silent = set(silent_names(300))

    world.run(660)

    assert world.count("good", since=60) >= 50 * 10 * 0.99


def test_a_zone_that_does_not_answer_is_asked_at_growing_distance_by_one_at_a_time() -> None:
    world = World(silent_names(20))
    world.silent = set(silent_names(20))

    world.run(3600)

    assert world.shares.resting == 20
    late = [at for at, _ in world.asked if at > 1800]
    gaps = [later - earlier for earlier, later in pairwise(late)]
    assert gaps
    assert min(gaps) > 60 * LONGEST_DISTANCE * 0.9
    assert max(gaps) < 60 * LONGEST_DISTANCE * 1.3


def test_when_the_probe_is_answered_all_names_come_back_at_once() -> None:
    world = World(silent_names(20))
    world.silent = set(silent_names(20))
    world.run(1800)
    assert world.shares.resting == 20

    world.silent = set()
    world.run(1800 + 60 * LONGEST_DISTANCE + TIMEOUT_S + 5)

    first = min(at for at, _ in world.asked if at > 1800)
    assert {name for at, name in world.asked if first <= at < first + 5} == set(silent_names(20))
    assert world.shares.resting == 0


def test_one_name_that_answers_keeps_its_zone_awake() -> None:
    world = World(dict.fromkeys([*silent_names(20), "good"], "zone"))
    world.silent = set(silent_names(20))

    world.run(1200)

    assert world.shares.resting == 0
    assert world.count("good") >= 19


def test_a_zone_rests_only_once_its_finding_can_be_confirmed() -> None:
    shares: FairShares[str] = FairShares(8, 60)
    shares.set_items({"a": "zone"})

    resting = []
    for at in (0, 60, 120):
        shares.silent("a", at)
        resting.append(shares.resting)

    assert resting == [0, 0, 1]


def test_a_zone_alone_may_use_what_nobody_else_needs() -> None:
    world = World(dict.fromkeys([f"good{i}" for i in range(1000)], "zone"), slots=64, interval_s=5)

    world.run(30)

    assert 8 < world.most_running["zone"] <= 32 + 8


def test_polls_that_wait_too_long_are_counted_as_late() -> None:
    world = World(silent_names(100, 100), slots=4)
    world.silent = set(silent_names(100))

    world.run(120)

    assert world.shares.late > 0
    assert world.shares.waiting > 0


def test_who_leaves_the_inventory_while_waiting_is_not_asked() -> None:
    shares: FairShares[str] = FairShares(8, 60)
    shares.set_items({"a": "z", "b": "z"})
    shares.offer(["a", "b"], 0)

    shares.set_items({"b": "z"})

    assert shares.admit(0) == ["b"]
    assert shares.waiting == 0


def test_one_whose_last_poll_still_runs_is_late_and_not_asked_twice() -> None:
    shares: FairShares[str] = FairShares(8, 60)
    shares.set_items({"a": "z"})
    shares.offer(["a"], 0)
    assert shares.admit(0) == ["a"]

    shares.offer(["a"], 60)

    assert shares.admit(60) == []
    assert shares.late == 1


def test_names_behind_a_vantage_that_is_lost_leave_most_slots_to_others() -> None:
    shares: FairShares[str] = FairShares(16, 60)
    lost = {f"lost{i}": ("z", i) for i in range(50)}
    shares.set_items({**lost, "good": ("z", "other")})
    for item in lost:
        shares.unknown(item, 0)
    shares.offer([*lost, "good"], 1)

    admitted = shares.admit(1)

    assert len(admitted) == 1 + 16 // 4
    assert "good" in admitted


def test_who_is_to_be_confirmed_comes_before_the_others_of_its_zone() -> None:
    shares: FairShares[str] = FairShares(8, 60)
    items = [f"a{number}" for number in range(100)]
    shares.set_items({**dict.fromkeys(items, "zone"), "bad": "zone"})
    for item in (*items, "bad"):
        shares.unknown(item, 0)
    shares.offer(items, 0)
    shares.admit(0)

    shares.offer(["bad"], 1, urgent={"bad"})
    shares.finish("a0", 1)

    assert shares.admit(1) == ["bad"]


def test_a_new_name_has_its_turn_though_more_is_due_than_can_be_asked() -> None:
    shares: FairShares[str] = FairShares(8, 60)
    known = {f"known{number}": f"z{number % 4}" for number in range(400)}
    shares.set_items({**known, "new": "z0"})
    for name in known:
        shares.answered(name)
    shares.offer(known, 0.0)
    shares.offer(["new"], 0.0)

    assert "new" in shares.admit(0.0)

from itertools import pairwise

import pytest

from collector.polling.schedule import UNSCHEDULED, Schedule, first_round_s, phase_of


class Turn:
    """A name that has turns."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.due = self.usual = UNSCHEDULED


def schedule_of(*items: Turn, interval_s: float = 60, now: float = 0) -> Schedule[Turn]:
    schedule: Schedule[Turn] = Schedule(interval_s, lambda item: phase_of(item.name))
    schedule.add(items, now)
    return schedule


def turns(count: int) -> list[Turn]:
    return [Turn(f"n{number}") for number in range(count)]


def test_after_the_first_turn_every_item_has_one_turn_an_interval() -> None:
    schedule = schedule_of(*turns(100))
    taken: dict[str, list[float]] = {}

    for second in range(300):
        for item in schedule.take_due(second, 1000):
            taken.setdefault(item.name, []).append(second)

    assert len(taken) == 100
    for times in taken.values():
        assert times[1] - times[0] <= 61
        assert all(59 <= later - earlier <= 61 for earlier, later in pairwise(times[1:]))


def test_turns_are_spread_over_the_whole_interval_after_the_first_round() -> None:
    schedule = schedule_of(*turns(40_000), now=1000)
    schedule.take_due(1000 + first_round_s(60), 100_000)

    taken = [len(schedule.take_due(1010 + second, 100_000)) for second in range(1, 121)]

    assert min(taken) > 560
    assert max(taken) < 780


def test_a_hastened_item_comes_early_once_and_keeps_its_instant() -> None:
    one, gone = Turn("a"), Turn("gone")
    schedule = schedule_of(one)
    schedule.take_due(60, 10)
    usual = schedule.next_due_at()
    assert usual is not None

    schedule.hasten(one, 64)
    schedule.hasten(gone, 64)

    assert schedule.take_due(63.9, 10) == []
    assert schedule.take_due(64, 10) == [one]
    assert schedule.next_due_at() == usual
    assert schedule.take_due(usual, 10) == [one]


def test_nothing_is_made_later_by_haste() -> None:
    one = Turn("a")
    schedule = schedule_of(one)
    due_at = schedule.next_due_at()

    schedule.hasten(one, 1000)

    assert schedule.next_due_at() == due_at


def test_late_turns_are_counted() -> None:
    items = turns(10)
    schedule = schedule_of(*items)
    schedule.take_due(10, 100)
    assert schedule.late == 10 - sum(phase_of(item.name) * 10 >= 10 - 6 for item in items)

    before = schedule.late
    schedule.take_due(1000, 100)

    assert schedule.late == before + 10
    assert schedule.lateness_s > 6


def test_the_first_round_is_soon_and_turns_are_spread() -> None:
    schedule = schedule_of(*turns(1000), interval_s=3600)

    assert len(schedule.take_due(5, 10_000)) < 700
    assert len(schedule.take_due(11, 10_000)) > 300
    assert schedule.take_due(12, 10_000) == []


def test_removed_items_lose_their_turn_and_known_ones_keep_it() -> None:
    stays, goes = Turn("a"), Turn("b")
    schedule = schedule_of(stays, goes)
    schedule.take_due(10, 10)
    due = stays.due

    schedule.remove([goes, goes])
    schedule.add([stays], now=30)

    assert len(schedule) == 1
    assert stays.due == due
    assert schedule.take_due(1000, 10) == [stays]
    assert goes.due == UNSCHEDULED


def test_an_item_that_comes_back_has_one_turn() -> None:
    one = Turn("a")
    schedule = schedule_of(one)
    schedule.remove([one])
    schedule.add([one], now=0)

    assert schedule.take_due(30, 10) == [one]
    assert len(schedule) == 1


def test_a_pause_is_not_made_up_for() -> None:
    one = Turn("a")
    schedule = schedule_of(one)
    schedule.take_due(10, 10)

    assert schedule.take_due(10_000, 10) == [one]
    assert schedule.take_due(10_001, 10) == []


def test_no_more_are_taken_than_wanted() -> None:
    schedule = schedule_of(*turns(10))

    assert len(schedule.take_due(60, 3)) == 3
    assert len(schedule.take_due(60, 30)) == 7


def test_of_many_in_one_slot_the_others_stay() -> None:
    schedule: Schedule[Turn] = Schedule(60, lambda _: 0.5)
    schedule.add(turns(10), now=0)

    assert len(schedule.take_due(60, 3)) == 3
    assert len(schedule.take_due(60, 30)) == 7


@pytest.mark.parametrize("interval_s", [0.1, 1, 60, 86_400])
def test_the_number_of_turns_is_that_of_the_intervals(interval_s: float) -> None:
    schedule = schedule_of(*turns(5), interval_s=interval_s)

    taken = sum(len(schedule.take_due(step * interval_s / 10, 100)) for step in range(1, 1001))

    assert 5 * 98 <= taken <= 5 * 102


def test_phases_are_stable_and_within_one() -> None:
    assert phase_of("a") == phase_of("a") != phase_of("b")
    assert 0 <= phase_of(("x", 1)) < 1

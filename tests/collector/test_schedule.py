from itertools import pairwise

from collector.schedule import Schedule, phase_of


def test_every_item_has_one_turn_an_interval() -> None:
    schedule: Schedule[str] = Schedule(60)
    schedule.set_items([f"n{i}" for i in range(100)], now=0)
    turns: dict[str, list[float]] = {}

    for second in range(300):
        for item in schedule.take_due(second, 1000):
            turns.setdefault(item, []).append(second)

    assert len(turns) == 100
    for times in turns.values():
        assert len(times) in (4, 5, 6)
        assert all(59 <= later - earlier <= 61 for earlier, later in pairwise(times))


def test_the_first_round_is_soon_and_turns_are_spread() -> None:
    schedule: Schedule[str] = Schedule(3600)
    schedule.set_items([f"n{i}" for i in range(1000)], now=0)

    assert len(schedule.take_due(5, 10_000)) < 700
    assert len(schedule.take_due(11, 10_000)) > 300
    assert schedule.take_due(12, 10_000) == []


def test_removed_items_lose_their_turn_and_known_ones_keep_it() -> None:
    schedule: Schedule[str] = Schedule(60)
    schedule.set_items(["a", "b"], now=0)
    schedule.take_due(10, 10)
    before = schedule.next_due_at()

    schedule.set_items(["a"], now=30)

    assert len(schedule) == 1
    assert schedule.next_due_at() is not None
    assert schedule.next_due_at() >= (before or 0)
    assert schedule.take_due(1000, 10) == ["a"]


def test_a_pause_is_not_made_up_for() -> None:
    schedule: Schedule[str] = Schedule(60)
    schedule.set_items(["a"], now=0)
    schedule.take_due(10, 10)

    assert schedule.take_due(10_000, 10) == ["a"]
    assert schedule.take_due(10_001, 10) == []


def test_no_more_are_taken_than_wanted() -> None:
    schedule: Schedule[int] = Schedule(60)
    schedule.set_items(range(10), now=0)

    assert len(schedule.take_due(60, 3)) == 3
    assert len(schedule.take_due(60, 30)) == 7


def test_phases_are_stable_and_within_one() -> None:
    assert phase_of("a") == phase_of("a") != phase_of("b")
    assert 0 <= phase_of(("x", 1)) < 1

from itertools import pairwise

from collector.polling.schedule import Schedule, first_round_s, phase_of


def test_after_the_first_turn_every_item_has_one_turn_an_interval() -> None:
    schedule: Schedule[str] = Schedule(60)
    schedule.set_items([f"n{i}" for i in range(100)], now=0)
    turns: dict[str, list[float]] = {}

    for second in range(300):
        for item in schedule.take_due(second, 1000):
            turns.setdefault(item, []).append(second)

    assert len(turns) == 100
    for times in turns.values():
        assert times[1] - times[0] <= 61
        assert all(59 <= later - earlier <= 61 for earlier, later in pairwise(times[1:]))


def test_turns_are_spread_over_the_whole_interval_after_the_first_round() -> None:
    schedule: Schedule[int] = Schedule(60)
    schedule.set_items(range(40_000), now=1000)
    schedule.take_due(1000 + first_round_s(60), 100_000)

    taken = [len(schedule.take_due(1010 + second, 100_000)) for second in range(1, 121)]

    assert min(taken) > 560
    assert max(taken) < 780


def test_a_hastened_item_comes_early_once_and_keeps_its_instant() -> None:
    schedule: Schedule[str] = Schedule(60)
    schedule.set_items(["a"], now=0)
    schedule.take_due(60, 10)
    usual = schedule.next_due_at()
    assert usual is not None

    schedule.hasten("a", 64)
    schedule.hasten("gone", 64)

    assert schedule.take_due(63.9, 10) == []
    assert schedule.take_due(64, 10) == ["a"]
    assert schedule.next_due_at() == usual


def test_nothing_is_made_later_by_haste() -> None:
    schedule: Schedule[str] = Schedule(60)
    schedule.set_items(["a"], now=0)
    due_at = schedule.next_due_at()

    schedule.hasten("a", 1000)

    assert schedule.next_due_at() == due_at


def test_late_turns_are_counted() -> None:
    schedule: Schedule[int] = Schedule(60)
    schedule.set_items(range(10), now=0)
    schedule.take_due(10, 100)
    assert schedule.late == 10 - sum(phase_of(i) * 10 >= 10 - 6 for i in range(10))

    before = schedule.late
    schedule.take_due(1000, 100)

    assert schedule.late == before + 10
    assert schedule.lateness_s > 6


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
    after = schedule.next_due_at()
    assert before is not None
    assert after is not None
    assert after >= before
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

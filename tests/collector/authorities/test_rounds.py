"""When a zone is swept: slowly, spread, sooner where it has just turned, and never twice at once."""

from itertools import pairwise

import pytest

from collector.authorities.rounds import FIRST_ROUND_S, MOST_AT_ONCE, REPEAT_AFTER_S, REPEATS, SHOW_EVERY_S, Rounds
from collector.authorities.walk import Asked
from collector.dnssec import names, records

SWEEP_S, ALARM_S = 3600.0, 60.0
WWW = Asked(names.from_text("www.zone.test"), records.A)


@pytest.fixture
def rounds() -> Rounds:
    return Rounds(SWEEP_S, ALARM_S)


def swept(rounds: Rounds, until: float, said: str = "the same") -> list[tuple[float, str]]:
    """Return when which zones are swept; a sweep takes no time."""
    seen = []
    while (now := rounds.next_due_at()) <= until:
        for zone, _, _ in rounds.take_due(now):
            seen.append((now, zone))
            rounds.finish(zone, said, now)
    return seen


def test_each_zone_is_swept_at_its_own_phase_and_then_once_in_the_interval(rounds: Rounds) -> None:
    zones = [f"z{number}.test." for number in range(50)]
    for zone in zones:
        rounds.hold(zone, 0.0)

    first = swept(rounds, FIRST_ROUND_S)
    assert {zone for _, zone in first} >= set(zones)
    assert len({at for at, _ in first}) > 40

    day = swept(rounds, 25 * SWEEP_S)
    for zone in zones:
        assert 24 <= len([at for at, one in day if one == zone]) <= 24 * 1.2 + REPEATS


def test_what_says_something_new_is_repeated_soon_so_that_it_is_confirmed(rounds: Rounds) -> None:
    rounds.hold("zone.test.", 0.0)
    swept(rounds, 3 * SWEEP_S)
    began = rounds.next_due_at()
    rounds.take_due(began)
    assert rounds.finish("zone.test.", "otherwise", began)

    times = [at for at, _ in swept(rounds, began + SWEEP_S / 2, "otherwise")]

    assert times == [began + REPEAT_AFTER_S * number for number in range(1, REPEATS + 1)]


def test_what_stays_the_same_is_shown_once_a_day(rounds: Rounds) -> None:
    rounds.hold("zone.test.", 0.0)
    shown = []
    while (now := rounds.next_due_at()) < 3 * SHOW_EVERY_S:
        rounds.take_due(now)
        if rounds.finish("zone.test.", "the same", now):
            shown.append(now)

    assert len(shown) == 3
    assert min(later - earlier for earlier, later in pairwise(shown)) >= SHOW_EVERY_S


def test_a_zone_that_turned_is_swept_at_once_with_a_least_distance(rounds: Rounds) -> None:
    rounds.hold("zone.test.", 0.0)
    swept(rounds, 2 * SWEEP_S)

    rounds.alarm("zone.test.", 2 * SWEEP_S + 1, bad=True)
    (zone, _, alarm), *others = rounds.take_due(2 * SWEEP_S + 1)
    assert (zone, alarm, others) == ("zone.test.", True, [])
    rounds.alarm("zone.test.", 2 * SWEEP_S + 2, bad=True)
    assert rounds.take_due(2 * SWEEP_S + 2) == [], "it is being swept"
    rounds.finish("zone.test.", "bad", 2 * SWEEP_S + 3)

    assert rounds.next_due_at() == 2 * SWEEP_S + 3 + ALARM_S
    assert [alarm for _, _, alarm in rounds.take_due(2 * SWEEP_S + 3 + ALARM_S)] == [True]


def test_alarms_without_end_cost_one_sweep_a_minute(rounds: Rounds) -> None:
    rounds.hold("zone.test.", 0.0)
    count = 0
    for second in range(3600):
        rounds.alarm("zone.test.", float(second), bad=True)
        for zone, _, _ in rounds.take_due(float(second)):
            count += 1
            rounds.finish(zone, "bad", float(second))

    assert 55 <= count <= 61


def test_few_sweeps_are_under_way_at_once(rounds: Rounds) -> None:
    for number in range(20):
        rounds.hold(f"z{number}.test.", 0.0)

    begun = rounds.take_due(FIRST_ROUND_S)

    assert len(begun) == MOST_AT_ONCE
    assert rounds.take_due(FIRST_ROUND_S) == []
    rounds.finish(begun[0][0], "", FIRST_ROUND_S)
    assert len(rounds.take_due(FIRST_ROUND_S)) == 1


def test_a_zone_that_nothing_refers_to_is_swept_no_longer(rounds: Rounds) -> None:
    rounds.hold("zone.test.", 0.0)
    rounds.hold("zone.test.", 0.0)
    rounds.watch("zone.test.", WWW)
    rounds.release("zone.test.")
    assert [watched for _, watched, _ in rounds.take_due(FIRST_ROUND_S)] == [[WWW]]
    rounds.finish("zone.test.", "", FIRST_ROUND_S)

    rounds.unwatch("zone.test.", WWW)
    rounds.release("zone.test.")

    assert swept(rounds, 100 * SWEEP_S) == []

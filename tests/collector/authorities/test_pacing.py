"""The pace at which one address is asked: a burst of one second, then the rate; and a bound over all addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.authorities.pacing import MOST_ADDRESSES, Pace


def test_a_burst_of_one_second_passes_at_once_and_then_the_rate_holds() -> None:
    pace = Pace(20, 1000)

    waits = [pace.take("192.0.2.1", 100.0) for _ in range(60)]

    assert waits[:20] == [0.0] * 20
    assert waits[20:] == pytest.approx([n / 20 for n in range(1, 41)])


def test_one_address_does_not_wait_for_another() -> None:
    pace = Pace(2, 1000)
    for _ in range(50):
        pace.take("192.0.2.1", 100.0)

    assert pace.take("192.0.2.2", 100.0) == 0.0


def test_all_addresses_together_have_a_rate_of_their_own() -> None:
    pace = Pace(20, 10)

    waits = [pace.take(f"192.0.2.{number}", 100.0) for number in range(30)]

    assert waits[9] == 0.0
    assert waits[29] == pytest.approx(2.0)


def test_what_was_taken_ahead_is_paid_back_by_time() -> None:
    pace = Pace(10, 1000)
    for _ in range(20):
        pace.take("192.0.2.1", 100.0)

    assert pace.take("192.0.2.1", 101.0) == pytest.approx(0.1)
    assert pace.take("192.0.2.1", 102.0) == 0.0


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_never_more_than_the_rate_and_one_burst_leave_within_any_time(gaps: list[float]) -> None:
    pace, now, left = Pace(5, 1000), 0.0, []
    for gap in gaps:
        now += gap
        left.append(now + pace.take("192.0.2.1", now))

    for begin, first in enumerate(left):
        for end in range(begin, len(left)):
            assert end - begin + 1 <= 5 + (left[end] - first) * 5 + 1.001


def test_addresses_that_come_and_go_do_not_fill_the_memory() -> None:
    pace = Pace(1, 1e9)

    for number in range(MOST_ADDRESSES + 100):
        pace.take(str(number), 1.0)

    assert pace.known == MOST_ADDRESSES

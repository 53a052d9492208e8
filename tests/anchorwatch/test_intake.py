from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.pipeline.intake import FIRST_HALT_S, LONGEST_HALT_S, MOST_IN_A_ROW, MOST_IN_WINDOW, WINDOW, Intake

GOOD, DEAD = False, True


def after(*batches: Sequence[bool]) -> Intake:
    """Return an intake that has accepted these batches."""
    intake = Intake()
    for batch in batches:
        assert intake.why_too_many(batch) == ""
        intake.accept(batch)
    return intake


def test_twenty_in_a_row_are_dead_letters_and_one_more_is_too_many() -> None:
    assert Intake().why_too_many([DEAD] * MOST_IN_A_ROW) == ""
    assert Intake().why_too_many([DEAD] * 30) == "21 messages in a row would be dead letters"


def test_a_row_goes_on_from_batch_to_batch_and_a_good_message_ends_it() -> None:
    intake = after([GOOD, *[DEAD] * 15])

    assert intake.why_too_many([DEAD] * 6)
    assert intake.why_too_many([DEAD] * 5) == ""
    assert intake.why_too_many([GOOD, *[DEAD] * 20]) == ""


def test_every_second_message_may_be_a_dead_letter_and_more_are_too_many() -> None:
    intake = after([GOOD, DEAD] * WINDOW)

    assert intake.why_too_many([GOOD, DEAD]) == ""
    assert intake.why_too_many([DEAD]) == "101 of the last 200 messages would be dead letters"


def test_less_than_a_window_is_enough_for_too_many() -> None:
    assert Intake().why_too_many([DEAD, DEAD, GOOD] * 51) == "101 of the last 151 messages would be dead letters"


def test_dead_letters_of_long_ago_do_not_count() -> None:
    intake = after([DEAD, GOOD] * MOST_IN_WINDOW, [GOOD] * WINDOW)

    assert intake.why_too_many([DEAD, GOOD] * MOST_IN_WINDOW) == ""


def test_a_try_that_was_not_accepted_is_not_remembered() -> None:
    intake = after([GOOD])

    assert intake.why_too_many([DEAD] * 25)
    assert intake.why_too_many([DEAD] * MOST_IN_A_ROW) == ""


def test_a_halted_stage_tries_again_at_growing_distances() -> None:
    intake, now, pauses = Intake(), 1000.0, []
    for _ in range(10):
        intake.halt("takes no messages", now)
        pauses.append(intake.retry_at - now)
        now = intake.retry_at

    assert pauses[:4] == [FIRST_HALT_S, 1.0, 2.0, 4.0]
    assert pauses[-2:] == [LONGEST_HALT_S] * 2
    assert intake.why_halted == "takes no messages"


def test_a_stage_that_resumed_halts_briefly_the_next_time() -> None:
    intake = Intake()
    intake.halt("first", 0.0)
    intake.halt("second", 10.0)
    intake.resume()
    assert intake.why_halted == ""

    intake.halt("third", 100.0)

    assert intake.retry_at == pytest.approx(100.0 + FIRST_HALT_S)


@given(st.lists(st.lists(st.booleans(), max_size=60), max_size=40))
def test_whatever_is_accepted_stays_within_both_limits(batches: list[list[bool]]) -> None:
    intake, accepted = Intake(), []
    for batch in batches:
        if not intake.why_too_many(batch):
            intake.accept(batch)
            accepted += batch

    assert all(sum(accepted[start : start + WINDOW]) <= MOST_IN_WINDOW for start in range(len(accepted)))
    assert f"{DEAD}" * (MOST_IN_A_ROW + 1) not in "".join(map(str, accepted))

"""The judge of chaos finds what it looks for."""

import pytest

from tests.chaos.judging import Staged, Tally, Told, judge

ZONE = "bank.example."
FAULT = Staged(ZONE, 10.0, 20.0, 30.0)
PAGE, END = Told(12.0, "a", "trigger", ZONE), Told(22.0, "b", "resolve", ZONE)


@pytest.mark.parametrize(
    ("told", "tally"),
    [
        ([PAGE, END], Tally(1, 0, 0, 0, 0)),
        ([PAGE, END, Told(13.0, "a", "trigger", ZONE)], Tally(1, 0, 0, 0, 1)),
        ([END], Tally(1, 1, 0, 0, 0)),
        ([PAGE], Tally(1, 1, 0, 0, 0)),
        ([], Tally(1, 2, 0, 0, 0)),
        ([PAGE, Told(13.0, "c", "trigger", ZONE), END], Tally(1, 0, 1, 0, 0)),
        ([PAGE, END, Told(23.0, "c", "resolve", ZONE)], Tally(1, 0, 1, 0, 0)),
        ([PAGE, Told(15.0, "c", "resolve", ZONE), END], Tally(1, 0, 0, 1, 0)),
        ([PAGE, END, Told(14.0, "u", "update", ZONE), Told(14.0, "o", "trigger", "other.")], Tally(1, 0, 0, 0, 0)),
        ([PAGE, END, Told(31.0, "n", "trigger", ZONE)], Tally(1, 0, 0, 0, 0)),
    ],
)
def test_what_misleads_is_counted(told: list[Told], tally: Tally) -> None:
    assert judge([FAULT], told) == tally
    assert tally.is_clean is not bool(tally.lost or tally.doubled or tally.false_resolved)

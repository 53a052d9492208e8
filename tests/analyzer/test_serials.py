"""Serials of servers: which comes after which, who lags, who is stale, and where they prove nothing."""

from datetime import timedelta
from typing import Any

import pytest

from analyzer.zones.serials import HALF, Newest, Serials, is_later, newest_of
from schemas.messages import SignatureState
from tests.support.making import AT
from tests.support.sweeps import OWN, own

HOUR = timedelta(hours=1)
UNSIGNED: dict[str, Any] = {"signatures": SignatureState.UNKNOWN}


def serials(*numbers: int | None, known: tuple[Newest, ...] = (), hours: float = 0, **more: Any) -> Serials:
    sights = [own(n, serial=number, **more) for n, number in enumerate(numbers, 1)]
    return Serials(sights, known, AT + hours * HOUR)


@pytest.mark.parametrize(
    ("one", "other", "later"),
    [(2, 1, True), (1, 2, False), (1, 1, False), (0, 2**32 - 1, True), (HALF - 1, 0, True), (HALF, 0, False)],
)
def test_later_is_by_serial_arithmetic(one: int, other: int, later: bool) -> None:
    assert is_later(one, other) is later


def test_the_newest_of_some_wraps_around() -> None:
    assert newest_of([2**32 - 2, None, 1, 2**32 - 1]) == 1
    assert newest_of([None]) is None


def test_a_server_that_is_behind_lags_until_a_refresh_is_over_and_is_stale_then() -> None:
    now = serials(8, 8, 7)
    assert (now.lags(OWN[2]), now.is_stale(OWN[2])) == (True, False)

    later = serials(8, 8, 7, known=now.kept, hours=2)
    assert (later.lags(OWN[2]), later.is_stale(OWN[2])) == (False, True)
    assert not later.is_disputed


def test_servers_without_a_serial_are_neither() -> None:
    now = serials(8, None, known=(Newest(8, AT - 9 * HOUR),))

    assert (now.lags(OWN[1]), now.is_stale(OWN[1]), now.serial_of(OWN[1])) == (False, False, None)


@pytest.mark.parametrize(
    ("numbers", "disputed"), [((9, 7, 7), True), ((9, 9, 7), False), ((9, 7), True), ((7, 7), False)]
)
def test_without_signatures_it_is_disputed_where_most_are_behind(numbers: tuple[int, ...], disputed: bool) -> None:
    first = serials(*numbers, **UNSIGNED)
    later = serials(*numbers, known=first.kept, hours=3, **UNSIGNED)

    assert (first.is_disputed, later.is_disputed) == (False, disputed)
    assert not later.are_proven


def test_with_signatures_it_never_is() -> None:
    first = serials(9, 7, 7)

    assert not serials(9, 7, 7, known=first.kept, hours=3).is_disputed


def test_a_serial_that_is_newest_no_more_makes_nobody_stale() -> None:
    forged = serials(7, 7, 4_000_000, **UNSIGNED)
    now = serials(8, 8, 7, known=forged.kept, hours=3, **UNSIGNED)

    assert (now.lags(OWN[2]), now.is_stale(OWN[2])) == (True, False)


def test_they_are_told_with_how_many_have_each() -> None:
    assert serials(7, 9, 7).describe() == "7 on 2 of 3, 9 on 1 of 3"

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.replay.times import parse_instant, parse_signed_span, parse_span, show_span

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("2d 3h", 183_600),
        ("1w", 604_800),
        ("1y", 31_536_000),
        ("0", 0),
        (300, 300),
        ("1.5h", 5400),
    ],
)
def test_a_span_is_said_in_units(text: object, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "5 parsecs", "5m and more", "m5"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a span"):
        parse_span(text)


def test_a_span_may_lie_before() -> None:
    assert parse_signed_span("-4d") == -345_600
    assert parse_signed_span("4d") == 345_600


def test_an_instant_is_absolute_or_since_the_start_or_since_the_step_before() -> None:
    assert parse_instant("2026-01-05T01:00:00Z", START) == 3600
    assert parse_instant(datetime(2026, 1, 5, 1, tzinfo=UTC), START) == 3600
    assert parse_instant("2026-01-05T01:00:00+01:00", START) == 0
    assert parse_instant("1h", START, 500.0) == 3600
    assert parse_instant("+1h", START, 500.0) == 4100


def test_an_instant_before_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match="before the start"):
        parse_instant("2026-01-04T00:00:00Z", START)


@given(st.integers(0, 10**9))
def test_a_span_that_is_shown_can_be_read_again(seconds: int) -> None:
    days, clock = show_span(seconds).split(" ")
    hours, minutes, rest = clock.split(":")

    assert parse_span(f"{days} {hours}h {minutes}m {rest}s") == seconds


def test_tenths_are_shown_where_there_are_any() -> None:
    assert show_span(59.96) == "0d 00:01:00"
    assert show_span(1.25) == "0d 00:00:01.2"

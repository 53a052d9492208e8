from datetime import timedelta

import pytest

from analyzer.wording import in_days, to_minute, to_next_minute
from tests.support.making import AT


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=14), "14.0 days"),
        (timedelta(days=2), "2.0 days"),
        (timedelta(hours=47), "47 h"),
        (timedelta(), "0 h"),
    ],
)
def test_a_span_is_told_in_days_and_a_short_one_in_hours(span: timedelta, text: str) -> None:
    assert in_days(span) == text


def test_an_instant_is_told_to_the_minute() -> None:
    assert to_minute(AT + timedelta(seconds=59)) == "2026-11-24 12:00 UTC"


def test_what_is_safe_from_then_on_is_told_by_the_minute_after() -> None:
    assert to_next_minute(AT) == "2026-11-24 12:00 UTC"
    assert to_next_minute(AT + timedelta(microseconds=1)) == "2026-11-24 12:01 UTC"

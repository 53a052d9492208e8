from datetime import timedelta

import pytest

from analyzer.wording import in_days, to_minute
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

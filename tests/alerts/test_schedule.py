"""Windows of the week in a time zone, and over a clock change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.decision.schedule import LATE, Recurring, Weekly

ZURICH = ZoneInfo("Europe/Zurich")
SATURDAY, SUNDAY = 5, 6


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_a_window_is_at_its_local_time_in_summer_and_winter() -> None:
    night = Weekly(days=(SATURDAY,), begins=time(22), lasts=timedelta(hours=4), zone=ZURICH)

    assert night.window_at(utc(2026, 7, 4, 21)) == (utc(2026, 7, 4, 20), utc(2026, 7, 5, 0))
    assert night.window_at(utc(2026, 12, 5, 21)) == (utc(2026, 12, 5, 21), utc(2026, 12, 6, 1))
    assert night.window_at(utc(2026, 12, 5, 20, 59)) is None
    assert night.window_at(utc(2026, 12, 6, 1)) is None


@pytest.mark.parametrize(
    ("day", "begins", "ends"),
    [
        ((2026, 3, 29), utc(2026, 3, 29, 1, 30), utc(2026, 3, 29, 3, 30)),  # 02:30 is left out: it counts as 03:30
        ((2026, 10, 25), utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 2, 30)),  # 02:30 comes twice: the first
    ],
    ids=["forward", "back"],
)
def test_over_a_clock_change_a_window_lasts_as_long_and_happens_once(
    day: tuple[int, int, int], begins: datetime, ends: datetime
) -> None:
    window = Weekly(days=(SUNDAY,), begins=time(2, 30), lasts=timedelta(hours=2), zone=ZURICH)
    minutes = [utc(*day) + timedelta(minutes=minute) for minute in range(-120, 1440)]

    assert {window.window_at(at) for at in minutes} == {None, (begins, ends)}


def test_hours_until_a_local_time_may_go_past_midnight() -> None:
    shift = Weekly(days=(SATURDAY,), begins=time(22), ends=time(6), zone=ZURICH)

    assert shift.window_at(utc(2026, 10, 24, 23)) == (utc(2026, 10, 24, 20), utc(2026, 10, 25, 5)), "nine hours"


@given(
    st.sets(st.integers(0, 6), min_size=1),
    st.times(),
    st.integers(1, 7 * 24 * 60),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
)
def test_nothing_changes_before_the_next_change(days: set[int], begins: time, minutes: int, at: datetime) -> None:
    window = Weekly(
        days=tuple(days), begins=begins.replace(microsecond=0), lasts=timedelta(minutes=minutes), zone=ZURICH
    )
    change = window.next_change_at(at)
    before = window.window_at(at)

    assert change > at
    for share in (0.3, 0.7, 0.999):
        now = window.window_at(at + (change - at) * share)
        assert (now is None) == (before is None)


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2026-11-30T08:00:00", "2026-11-30T08:00:00"),
        ("2026-11-30T07:59:59", "2026-11-23T08:00:00"),
        ("2026-12-06T23:00:00", "2026-11-30T08:00:00"),
        # Summer time: 09:00 is 07:00 UTC.
        ("2026-07-06T07:00:00", "2026-07-06T07:00:00"),
        ("2026-10-26T07:30:00", "2026-10-19T07:00:00"),
        ("2026-10-26T08:00:00", "2026-10-26T08:00:00"),
    ],
)
def test_what_recurs_was_last_due_by_the_local_clock(now: str, last: str) -> None:
    mondays = Recurring(days=(0,), clock=time(9), zone=BERLIN)

    assert mondays.last_at(datetime.fromisoformat(f"{now}+00:00")) == datetime.fromisoformat(f"{last}+00:00")


@pytest.mark.parametrize(("day", "changes"), [(date(2026, 3, 29), "forward"), (date(2026, 10, 25), "back")])
def test_what_recurs_at_an_hour_that_a_clock_change_leaves_out_or_repeats_is_due_once(day: date, changes: str) -> None:
    daily = Recurring(days=tuple(range(7)), clock=time(2, 30), zone=BERLIN)
    begin = datetime.combine(day, time(), UTC) - timedelta(hours=12)
    seen = {daily.last_at(begin + timedelta(minutes=minute)) for minute in range(0, 48 * 60, 5)}

    assert len([one for one in seen if one.astimezone(BERLIN).date() == day]) == 1


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    st.sets(st.integers(0, 6), min_size=1),
    st.times(),
)
def test_what_recurs_was_due_within_the_last_week_and_is_due_in_order(now: datetime, days: set[int], at: time) -> None:
    weekly = Recurring(days=tuple(sorted(days)), clock=at, zone=BERLIN)
    last = weekly.last_at(now)

    assert timedelta() <= now - last <= timedelta(days=7, hours=1)
    assert weekly.last_at(last) == last
    assert weekly.last_at(last - timedelta(microseconds=1)) < last
    assert (weekly.due_at(now) is None) is (now - last >= LATE)

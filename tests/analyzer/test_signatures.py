"""Signatures that run out: who is looked at when, what habits excuse, and what an old copy says."""

from datetime import datetime, timedelta

import msgspec
import pytest

from schemas.judgement import Judgement
from schemas.messages import FindingStatus
from tests.support.analysing import Parts
from tests.support.making import AT, judgement, observation, polls

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAY_S, WEEK_S = 86_400.0, 604_800.0
CODE, OVERDUE = "rrsig_expiring", "rrsig_refresh_overdue"
SUBJECT = ("api.bank.example.", "A", "corp")


def signed(begins_at: datetime = AT, lifetime: timedelta = 10 * DAY, vantage: str = "corp") -> Judgement:
    return judgement(inception_at=begins_at, expires_at=begins_at + lifetime, vantage=vantage)


def see(parts: Parts, one: Judgement, at: datetime) -> None:
    seen = observation(one, at)
    parts.endpoints.take(seen, parts.knowledge, parts.out)


def polled(parts: Parts, one: Judgement, since: datetime, at: datetime) -> None:
    """Poll what was observed since an instant."""
    parts.endpoints.take_polls(polls(observation(one, since), at=at), parts.knowledge, parts.out)


def look(parts: Parts, at: datetime) -> dict[str, FindingStatus]:
    parts.signatures.look(at.timestamp())
    return parts.settle(at)


@pytest.mark.parametrize(("days", "severity"), [(6.8, "low"), (8.2, "high"), (9.5, "critical")])
def test_the_less_is_left_the_more_urgent_it_is(days: float, severity: str) -> None:
    parts = Parts()
    see(parts, signed(), AT)

    assert look(parts, AT + days * DAY) == {CODE: FindingStatus.OPENED}
    assert parts.found[CODE].severity == severity


def test_the_next_look_is_when_the_urgency_may_change() -> None:
    parts = Parts()
    see(parts, signed(), AT)
    assert look(parts, AT) == {}

    due_at = parts.signatures.next_at()
    assert due_at is not None
    assert abs(due_at - (AT + 6.7 * DAY).timestamp()) < 60


def test_a_renewal_that_three_polls_show_ends_it() -> None:
    parts = Parts()
    see(parts, signed(), AT)
    renewed_at = AT + 8.2 * DAY
    look(parts, renewed_at)
    for minute in (1, 2):
        see(parts, signed(renewed_at), renewed_at + minute * MINUTE)
        assert look(parts, renewed_at + minute * MINUTE)[CODE] is not FindingStatus.CLOSED
    see(parts, signed(renewed_at), renewed_at + 3 * MINUTE)

    assert look(parts, renewed_at + 3 * MINUTE) == {CODE: FindingStatus.CLOSED}


def test_silence_ends_nothing() -> None:
    parts = Parts()
    see(parts, signed(), AT)
    look(parts, AT + 8.2 * DAY)
    away = judgement(verdict="indeterminate", code="verdict_indeterminate", expires_at=None, inception_at=None)
    see(parts, away, AT + 8.3 * DAY)

    assert look(parts, AT + 8.4 * DAY)[CODE] is not FindingStatus.CLOSED


def test_a_zone_that_always_renews_so_late_is_within_its_habit() -> None:
    parts = Parts()
    parts.signatures.restore({("bank.example.", False): [(0.15, 8.5 * DAY_S)] * 4})
    see(parts, signed(), AT)

    assert look(parts, AT + 8.2 * DAY) == {}


def test_a_signer_that_missed_its_rhythm_is_told_while_the_name_is_polled() -> None:
    parts, one = Parts(), signed(lifetime=30 * DAY)
    parts.signatures.restore({("bank.example.", False): [(1 - 7 / 30, WEEK_S)] * 4})
    see(parts, one, AT)
    polled(parts, one, AT, AT + 11 * DAY)

    assert look(parts, AT + 11 * DAY + MINUTE) == {OVERDUE: FindingStatus.OPENED}
    assert "every 7.0 days" in parts.found[OVERDUE].detail


def test_but_not_by_a_copy_of_before_the_silence() -> None:
    parts = Parts()
    parts.signatures.restore({("bank.example.", False): [(1 - 7 / 30, WEEK_S)] * 4})
    see(parts, signed(lifetime=30 * DAY), AT)

    assert look(parts, AT + 11 * DAY) == {}, "a renewal that nobody saw is none missed"


def test_where_another_vantage_sees_a_later_one_it_is_an_old_copy() -> None:
    parts = Parts()
    see(parts, signed(), AT)
    see(parts, signed(AT + 5 * DAY, vantage="other"), AT + 8 * DAY)

    look(parts, AT + 8.2 * DAY)

    assert (parts.found[CODE].cause_zone, parts.found[CODE].cause_rrset) == ("", "vantage corp bank.example.")
    assert "serves an old copy" in parts.found[CODE].detail


def test_a_renewal_that_was_seen_is_stored_once_for_all_names() -> None:
    parts = Parts("api.bank.example", "www.bank.example")
    for name in ("api.bank.example.", "www.bank.example."):
        see(parts, msgspec.structs.replace(signed(), name=name), AT)
        old = observation(msgspec.structs.replace(signed(), name=name), AT)
        parts.endpoints.take_polls(polls(old, at=AT + 5 * DAY), parts.knowledge, parts.out)
    for name in ("api.bank.example.", "www.bank.example."):
        see(parts, msgspec.structs.replace(signed(AT + 5 * DAY), name=name), AT + 5 * DAY + MINUTE)

    (renewal,) = parts.out.tables["renewals"]
    assert (renewal[0], renewal[3], renewal[4]) == ("bank.example.", False, 5 * DAY_S)


def test_what_is_watched_no_more_is_looked_at_no_more() -> None:
    parts = Parts()
    see(parts, signed(), AT)
    parts.endpoints.forget(SUBJECT, AT, "gone")

    assert parts.signatures.next_at() is None or look(parts, AT + 9.5 * DAY) == {}


def test_the_ends_that_come_next_are_known_by_zone() -> None:
    parts = Parts()
    see(parts, signed(), AT)

    assert parts.signatures.next_ends() == {"bank.example.": AT + 10 * DAY}

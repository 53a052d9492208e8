import pickle
from datetime import timedelta

import msgspec
import pytest

from analyzer.zones.expiry import (
    Agenda,
    Expiry,
    decide_tier,
    expiry_of,
    is_renewed,
    left_at_renewal,
    next_look_at,
)
from schemas.messages import SignatureWindow
from tests.support.making import AT

TEN_DAYS = Expiry("z.", AT, AT + timedelta(days=10))


@pytest.mark.parametrize(
    ("days", "tier"), [(0, None), (6, None), (6.8, "low"), (8.1, "high"), (9.1, "critical"), (10.5, "critical")]
)
def test_tiers_follow_the_share_that_is_left(days: float, tier: str | None) -> None:
    assert decide_tier(TEN_DAYS, AT + timedelta(days=days), None) == tier


def test_a_zone_that_always_renews_late_is_not_reported_within_its_habit() -> None:
    assert decide_tier(TEN_DAYS, AT + timedelta(days=7.5), 0.25) is None
    assert decide_tier(TEN_DAYS, AT + timedelta(days=8.1), 0.25) == "high"
    assert decide_tier(TEN_DAYS, AT + timedelta(days=9.1), 0.01) == "critical"


def test_the_share_left_at_a_renewal_is_learnt() -> None:
    renewed = Expiry("z.", AT + timedelta(days=7), AT + timedelta(days=17))

    assert left_at_renewal(TEN_DAYS, renewed, AT + timedelta(days=7.5)) == pytest.approx(0.25)
    assert left_at_renewal(TEN_DAYS, TEN_DAYS, AT) is None
    assert left_at_renewal(TEN_DAYS, Expiry("other.", renewed.inception_at, renewed.expires_at), AT) is None


def test_a_signature_that_ends_before_it_begins_has_no_lifetime() -> None:
    window = SignatureWindow(zone="z.", rrset="a.z. A", inception_at=AT, expires_at=AT + timedelta(days=10))

    assert expiry_of(window) == TEN_DAYS
    assert expiry_of(msgspec.structs.replace(window, expires_at=AT)) is None
    assert expiry_of(None) is None


def test_a_zone_that_signs_each_answer_anew_has_no_habit() -> None:
    hour = timedelta(hours=1)
    renewed = Expiry("z.", AT + 12 * hour, AT + 52 * hour)
    short = Expiry("z.", AT, AT + 40 * hour)

    assert left_at_renewal(short, Expiry("z.", AT + 11 * hour, AT + 51 * hour), AT + 11 * hour) is None
    assert left_at_renewal(short, renewed, AT + 12 * hour) == pytest.approx(0.7)
    assert is_renewed(short, renewed)
    assert not is_renewed(short, Expiry("z.", AT + 7 * hour, AT + 47 * hour))


def test_a_signature_that_is_replaced_after_a_day_is_renewed_however_long_it_lives() -> None:
    day = timedelta(days=1)
    month = Expiry("z.", AT, AT + 30 * day)

    assert is_renewed(month, Expiry("z.", AT + 3 * day, AT + 33 * day))
    assert left_at_renewal(month, Expiry("z.", AT + 3 * day, AT + 33 * day), AT + 3 * day) == pytest.approx(0.9)


def test_the_next_look_is_where_the_urgency_changes() -> None:
    day, second = timedelta(days=1), timedelta(seconds=1)

    assert next_look_at(TEN_DAYS, AT, None) == AT + 6.7 * day + second
    assert next_look_at(TEN_DAYS, AT + 7 * day, None) == AT + 8 * day + second
    assert next_look_at(TEN_DAYS, AT + 7 * day, 0.25) == AT + 7.75 * day + second
    assert next_look_at(TEN_DAYS, AT + 9.5 * day, None) is None


def test_each_subject_is_on_the_agenda_once_at_its_earliest() -> None:
    agenda = Agenda()
    one, other = ("a.", "A", "corp"), ("b.", "A", "corp")
    agenda.put(one, 30.0)
    agenda.put(one, 10.0)
    agenda.put(one, 20.0)
    agenda.put(other, 15.0)

    assert (agenda.take(9.0), agenda.next_at()) == ([], 10.0)
    assert agenda.take(15.0) == [one, other]
    assert agenda.take(100.0) == []
    assert len(agenda) == 0


def test_an_agenda_does_not_grow_with_those_that_came_and_went_before_their_turn() -> None:
    agenda = Agenda()
    agenda.put(("stays.", "A", "corp"), 5e9)
    for number in range(2000):
        agenda.put((f"h{number}.", "A", "corp"), 4e9 - number)
        agenda.drop((f"h{number}.", "A", "corp"))

    assert len(pickle.dumps(agenda)) < 10_000
    assert agenda.take(6e9) == [("stays.", "A", "corp")]

from datetime import timedelta

import pytest

from analyzer.zones.expiry import Expiry, decide_tier, expiry_of, left_at_renewal, usual_share
from tests.support.making import AT, judgement

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


def test_one_near_miss_is_no_habit() -> None:
    assert usual_share([0.25, 0.25, 0.01, 0.25]) == 0.25
    assert usual_share([]) is None


def test_the_share_left_at_a_renewal_is_learnt() -> None:
    renewed = Expiry("z.", AT + timedelta(days=7), AT + timedelta(days=17))

    assert left_at_renewal(TEN_DAYS, renewed, AT + timedelta(days=7.5)) == pytest.approx(0.25)
    assert left_at_renewal(TEN_DAYS, TEN_DAYS, AT) is None
    assert left_at_renewal(TEN_DAYS, Expiry("other.", renewed.inception_at, renewed.expires_at), AT) is None


def test_the_zone_whose_signature_ends_first_is_named() -> None:
    assert expiry_of(judgement()) == Expiry(".", AT - timedelta(days=1), AT + timedelta(days=13))
    soon = judgement(expires_at=AT + timedelta(days=2))
    assert expiry_of(soon) == Expiry("bank.example.", AT - timedelta(days=1), AT + timedelta(days=2))
    assert expiry_of(judgement(verdict="bogus", code="rrsig_missing")) is None

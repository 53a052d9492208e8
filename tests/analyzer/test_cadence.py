from datetime import timedelta
from itertools import pairwise

import pytest

from analyzer.zones.cadence import Cadence
from analyzer.zones.expiry import Expiry, decide_tier
from tests.support.making import AT

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEEK_S, DAY_S = 604_800.0, 86_400.0


def signature(begins: timedelta, lifetime: timedelta = 14 * DAY, *, of_keys: bool = False) -> Expiry:
    return Expiry("z.", AT + begins, AT + begins + lifetime, of_keys)


def weekly(*, jitter: timedelta = timedelta(), lifetime: timedelta = 14 * DAY, renewals: int = 4) -> Cadence:
    """A zone that signed anew each week, each second time a little later."""
    cadence = Cadence()
    times = [week * 7 * DAY + jitter * (week % 2) for week in range(renewals + 1)]
    for before, after in pairwise(times):
        cadence.learn(signature(before, lifetime), signature(after, lifetime), AT + after + HOUR)
    return cadence


def test_a_rhythm_takes_three_renewals() -> None:
    assert weekly(renewals=2).usual_interval(signature(0 * DAY)) is None
    assert weekly(renewals=3).usual_interval(signature(0 * DAY)) == 7 * DAY


def test_a_stalled_signer_is_overdue_after_one_and_a_half_intervals() -> None:
    assert weekly().overdue_at(signature(28 * DAY)) == AT + 28 * DAY + 10.5 * DAY


def test_a_zone_that_spreads_its_renewals_is_overdue_beyond_the_longest() -> None:
    cadence = Cadence({("z.", False): [(13 / 14, DAY_S), (13 / 14, DAY_S), (11 / 14, 3 * DAY_S)]})

    assert cadence.overdue_at(signature(0 * DAY)) == AT + 3.3 * DAY


def test_a_rhythm_is_learnt_of_signatures_that_live_much_longer_than_it() -> None:
    assert weekly(lifetime=30 * DAY).overdue_at(signature(28 * DAY, 30 * DAY)) == AT + 38.5 * DAY


def test_the_key_set_has_a_rhythm_of_its_own() -> None:
    cadence = weekly()

    assert cadence.overdue_at(signature(0 * DAY, of_keys=True)) is None
    assert cadence.usual_share(signature(0 * DAY, of_keys=True)) is None


def test_a_zone_signed_on_the_fly_has_no_rhythm() -> None:
    cadence = Cadence()
    for hour in range(0, 200, 4):
        before, after = signature(hour * HOUR, 2 * DAY), signature((hour + 4) * HOUR, 2 * DAY)
        assert cadence.learn(before, after, AT + (hour + 4) * HOUR) is None

    assert cadence.overdue_at(signature(200 * HOUR, 2 * DAY)) is None


def test_each_name_below_a_zone_shows_one_renewal_of_it() -> None:
    cadence = Cadence()
    renewals = [cadence.learn(signature(0 * DAY), signature(7 * DAY), AT + 7 * DAY + n * HOUR) for n in range(3)]

    assert [renewal is not None for renewal in renewals] == [True, False, False]


def test_one_near_miss_is_no_habit() -> None:
    cadence = Cadence({("z.", False): [(0.25, WEEK_S), (0.25, WEEK_S), (0.01, WEEK_S), (0.25, WEEK_S)]})

    assert cadence.usual_share(signature(0 * DAY)) == 0.25


def test_short_lived_signatures_that_miss_their_rhythm_are_urgent_a_day_before_the_end() -> None:
    daily = signature(0 * DAY, 3 * DAY)

    assert decide_tier(daily, AT + 1 * DAY, 0.66) is None
    assert decide_tier(daily, AT + 3 * DAY - 29 * HOUR, 0.66) == "high"
    assert decide_tier(daily, AT + 3 * DAY - 29 * HOUR, 0.3) is None, "as it always does"


def test_what_caches_keep_beyond_the_end_is_told_beforehand() -> None:
    long_cached = Expiry("z.", AT, AT + 10 * DAY, of_keys=True, ttl_s=2 * 86_400)

    assert decide_tier(long_cached, AT + 5.9 * DAY, None) is None
    assert decide_tier(long_cached, AT + 6.1 * DAY, None) == "low"


def test_a_zone_that_is_watched_no_more_is_forgotten() -> None:
    cadence = weekly()

    cadence.forget("z.")

    assert cadence.overdue_at(signature(28 * DAY)) is None


class TestAnotherLifetime:
    """A zone goes over from weekly to monthly signing, on purpose: its signatures live 45 days instead of 14."""

    def monthly(self, renewals: int) -> Cadence:
        cadence = weekly(renewals=9)
        at, before = 63 * DAY, signature(63 * DAY)
        for number in range(renewals):
            later = signature(at + (7 if not number else 30) * DAY, 45 * DAY)
            at = later.inception_at - AT
            cadence.learn(before, later, AT + at + HOUR)
            before = later
        return cadence

    @pytest.mark.parametrize("renewals", [1, 2, 3, 4, 8])
    def test_it_is_never_overdue_while_it_keeps_the_new_rhythm(self, renewals: int) -> None:
        begins = (63 + 7 + 30 * (renewals - 1)) * DAY
        now = signature(begins, 45 * DAY)

        assert not self.monthly(renewals).is_overdue(now, now.inception_at + 31 * DAY)

    @pytest.mark.parametrize("renewals", [1, 2, 3, 4, 8])
    def test_a_signer_that_stalls_is_found_days_before_the_end(self, renewals: int) -> None:
        now = signature((63 + 7 + 30 * (renewals - 1)) * DAY, 45 * DAY)
        cadence = self.monthly(renewals)
        found_at = next(
            now.inception_at + hours * HOUR
            for hours in range(45 * 24)
            if cadence.is_overdue(now, now.inception_at + hours * HOUR)
            or decide_tier(now, now.inception_at + hours * HOUR, cadence.usual_share(now)) is not None
        )

        assert now.expires_at - found_at >= 5 * DAY

    def test_the_new_rhythm_counts_alone_once_it_is_known(self) -> None:
        assert self.monthly(4).usual_interval(signature(0 * DAY, 45 * DAY)) == 30 * DAY

    def test_signatures_that_live_as_long_as_ever_excuse_nobody(self) -> None:
        """A stalled signer looks like a slower one; only what it signs says that it is."""
        assert weekly(renewals=9).is_overdue(signature(63 * DAY), AT + 63 * DAY + 10.6 * DAY)

    @pytest.mark.parametrize("lifetime", [2 * DAY, 3 * DAY, 5 * DAY, 14 * DAY, 45 * DAY, 90 * DAY])
    @pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.8])
    def test_whatever_the_new_lifetime_a_stall_is_found_a_day_before_the_end(
        self, lifetime: timedelta, share: float
    ) -> None:
        used_s = (1 - share) * 14 * DAY_S
        cadence, now = Cadence({("z.", False): [(share, used_s)] * 9}), signature(0 * DAY, lifetime)
        at = now.expires_at - DAY
        tier = decide_tier(now, at, cadence.usual_share(now))

        assert cadence.is_overdue(now, at) or tier in ("high", "critical") or now.left_ratio(at) >= share

from datetime import timedelta
from itertools import pairwise

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
    cadence = Cadence({("z.", False): [(0.5, DAY_S), (0.5, DAY_S), (0.5, 3 * DAY_S)]})

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

"""The rhythm in which each zone renews its signatures, and whether it has missed it.

A key set is often signed by other hands, and more seldom, than the data of its zone, so it has a rhythm of its own. A
zone that signs each answer on the fly has none: its signatures begin anew with each look. A signature that is valid
for much longer or shorter than those before says that the rhythm is another one: until it is learnt, the zone is
expected to renew at the same share of the lifetime.

Source: RFC 6781 §4.4.2 (refresh before the validity period ends).
"""

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from analyzer.zones.expiry import Expiry, left_at_renewal

RENEWALS_KEPT = 9
RENEWALS_FOR_RHYTHM = 3
RENEWED_AGAIN_AFTER = 0.05  # of the lifetime: renewals closer to each other are one
OVERDUE_BY = 1.5
UNEVEN_BY = 1.1
"""A zone that spreads its renewals is overdue only beyond the longest of its last intervals, and a little more."""
OTHER_LIFETIME = 1.5
"""Lifetimes that differ by more than this factor belong to another rhythm: signers spread them by less."""
LEAST_SHARE = 0.02
"""What is renewed as soon as this says nothing of how long it would have been valid."""
LEAST_DELAY = timedelta(hours=2)
"""Signers wait for a quiet moment, and begin signatures an hour before they make them."""

CadenceKey = tuple[str, bool]
"""A zone, and whether its key set is meant or its data."""
Renewal = tuple[float, float]
"""The share of the lifetime that was left at a renewal, and the seconds since the renewal before (0: unknown)."""


class Cadence:
    """What was learnt of all zones."""

    def __init__(self, renewals: Mapping[CadenceKey, Sequence[Renewal]] | None = None) -> None:
        """Begin with the renewals that were learnt before, oldest first."""
        self._renewals = {key: list(known[-RENEWALS_KEPT:]) for key, known in (renewals or {}).items()}
        self._renewed_at: dict[CadenceKey, datetime] = {}

    def learn(self, earlier: Expiry, later: Expiry, at: datetime) -> Renewal | None:
        """Learn from one signature that took the place of another; return what was learnt, if anything.

        A zone renews all its signatures, and each name below it shows the same renewal.
        """
        left = left_at_renewal(earlier, later, at)
        if left is None:
            return None
        key, renewed_at = (later.zone, later.of_keys), self._renewed_at.get((later.zone, later.of_keys))
        if renewed_at is not None and at - renewed_at < RENEWED_AGAIN_AFTER * later.lifetime:
            return None
        renewal = (left, (later.inception_at - earlier.inception_at).total_seconds())
        self._renewed_at[key] = at
        self._renewals[key] = [*self._renewals.get(key, ()), renewal][-RENEWALS_KEPT:]
        return renewal

    def usual_share(self, expiry: Expiry) -> float | None:
        """Return the share that is usually left at a renewal: the median, so that one near miss is no habit."""
        known = self._renewals.get((expiry.zone, expiry.of_keys))
        return statistics.median(left for left, _ in known) if known else None

    def usual_interval(self, expiry: Expiry) -> timedelta | None:
        """Return how long the zone usually waits between renewals; None while it has no rhythm."""
        intervals = self._intervals(expiry)
        return timedelta(seconds=statistics.median(intervals)) if intervals else None

    def overdue_at(self, expiry: Expiry) -> datetime | None:
        """Return from when on the zone has missed its rhythm with this signature; None while it has none."""
        intervals = self._intervals(expiry)
        if not intervals:
            return None
        usual_s = statistics.median(intervals)
        longest_s = max(OVERDUE_BY * usual_s, UNEVEN_BY * max(intervals), usual_s + LEAST_DELAY.total_seconds())
        return expiry.inception_at + timedelta(seconds=longest_s)

    def is_overdue(self, expiry: Expiry, now: datetime) -> bool:
        """Return whether the zone has missed its rhythm with this signature."""
        overdue_at = self.overdue_at(expiry)
        return overdue_at is not None and now > overdue_at

    def _intervals(self, expiry: Expiry) -> list[float]:
        """Return the intervals between renewals, as they are to be expected of a signature that lives so long."""
        known = [one for one in self._renewals.get((expiry.zone, expiry.of_keys), ()) if one[1] > 0]
        alike = [seconds for left, seconds in known if _is_alike(left, seconds, expiry)]
        if len(alike) >= RENEWALS_FOR_RHYTHM:
            return alike
        if len(known) < RENEWALS_FOR_RHYTHM:
            return []
        lifetime_s = expiry.lifetime.total_seconds()
        return [s if _is_alike(left, s, expiry) else (1 - left) * lifetime_s for left, s in known]

    def forget(self, zone: str) -> None:
        """Forget a zone that nothing is watched in."""
        for key in ((zone, True), (zone, False)):
            self._renewals.pop(key, None)
            self._renewed_at.pop(key, None)


def _is_alike(left: float, interval_s: float, expiry: Expiry) -> bool:
    """Return whether a renewal was of a signature that lived about as long: the share of it that was used tells."""
    if 1 - left < LEAST_SHARE:
        return True
    ratio = interval_s / (1 - left) / max(expiry.lifetime.total_seconds(), 1.0)
    return 1 / OTHER_LIFETIME <= ratio <= OTHER_LIFETIME

"""Signatures that run out: how much of their lifetime is left, and whether the zone is later than its habit.

Source: RFC 6781 §4.4.2 (refresh before the validity period ends).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.catalogue import Severity
from schemas.judgement import Judgement, Verdict

TIERS = ((0.10, Severity.CRITICAL), (0.20, Severity.HIGH), (0.33, Severity.LOW))
HABIT_MARGIN = 0.9
RENEWALS_KEPT = 9


@dataclass(frozen=True, slots=True)
class Expiry:
    """The signature that ends first behind a verdict, and the zone that made it."""

    zone: str
    inception_at: datetime
    expires_at: datetime

    def left_ratio(self, now: datetime) -> float:
        """Return the share of the lifetime that is left; negative once it is over."""
        lifetime_s = (self.expires_at - self.inception_at).total_seconds()
        return (self.expires_at - now).total_seconds() / lifetime_s if lifetime_s > 0 else 0.0


def expiry_of(judgement: Judgement) -> Expiry | None:
    """Return which signature ends first, None where the verdict rests on none or already fails."""
    if judgement.verdict not in (Verdict.SECURE, Verdict.INSECURE):
        return None
    if judgement.expires_at is None or judgement.inception_at is None:
        return None
    zones = [link.zone for link in judgement.chain if link.expires_at == judgement.expires_at]
    secure = [link.zone for link in judgement.chain if link.verdict is Verdict.SECURE]
    zone = zones[0] if zones else (secure[-1] if secure else judgement.name)
    return Expiry(zone, judgement.inception_at, judgement.expires_at)


def decide_tier(expiry: Expiry, now: datetime, habit: float | None) -> Severity | None:
    """Return how urgent the end of the signature is, None while there is time or the zone keeps its habit.

    ``habit`` is the share of the lifetime that was usually left when the zone renewed its signatures in the past. It
    excuses no critical tier.
    """
    left = expiry.left_ratio(now)
    tier = next((severity for limit, severity in TIERS if left < limit), None)
    within_habit = habit is not None and left >= habit * HABIT_MARGIN
    return None if within_habit and tier is not Severity.CRITICAL else tier


def usual_share(shares: Sequence[float]) -> float | None:
    """Return the habit that the last renewals show, oldest first: their median, so that one near miss is no habit."""
    return statistics.median(shares[-RENEWALS_KEPT:]) if shares else None


def left_at_renewal(earlier: Expiry, later: Expiry, seen_at: datetime) -> float | None:
    """Return the share that was left when the signature was renewed, None if it was not."""
    if earlier.zone != later.zone or later.expires_at <= earlier.expires_at:
        return None
    left = earlier.left_ratio(seen_at)
    return left if 0 < left <= 1 else None

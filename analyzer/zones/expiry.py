"""Signatures that run out: how much of their lifetime is left, and when to look at them next.

Source: RFC 6781 §4.4.2 (refresh before the validity period ends).
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush

from schemas.catalogue import Severity
from schemas.messages import SignatureWindow, Subject, ZoneObservation

TIERS = ((0.10, Severity.CRITICAL), (0.20, Severity.HIGH), (0.33, Severity.LOW))
HABIT_MARGIN = 0.9
LEAST_WARNING = timedelta(hours=30)
"""A zone that is later than its habit is urgent from here on, however short its signatures live."""
CACHED_TWICE = 2
"""Of the TTL: what is cached shortly before the end of a signature outlives it. Source: RFC 6781 §4.4.2."""
RENEWED_BY = 0.2
"""Ends that move by less than this share of the lifetime are no renewal yet: some zones sign each answer anew."""
RENEWAL_MOVES_BY = 0.3
SHORTEST_RHYTHM = timedelta(hours=20)
"""A zone whose signatures move on by less than both at each renewal signs on the fly, and has no habit."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """The signature that ends first behind a verdict, and the zone that made it.

    ``of_keys``: it is over the zone's key set. ``ttl_s`` is how long caches keep what it signs; 0: unknown.
    """

    zone: str
    inception_at: datetime
    expires_at: datetime
    of_keys: bool = False
    ttl_s: int = 0

    @property
    def lifetime(self) -> timedelta:
        """Return for how long the signature is valid in all."""
        return self.expires_at - self.inception_at

    def left_ratio(self, now: datetime) -> float:
        """Return the share of the lifetime that is left; negative once it is over."""
        lifetime_s = (self.expires_at - self.inception_at).total_seconds()
        return (self.expires_at - now).total_seconds() / lifetime_s if lifetime_s > 0 else 0.0


def expiry_of(window: SignatureWindow | None) -> Expiry | None:
    """Return how a signature ends; None without one, or where it ends before it begins."""
    if window is None or window.expires_at <= window.inception_at:
        return None
    return Expiry(window.zone, window.inception_at, window.expires_at, of_keys=window.rrset.endswith(" DNSKEY"))


def expiry_between(zone: str, inception: int, expiration: int) -> Expiry | None:
    """Return how a signature ends whose window is given in POSIX seconds; None as ``expiry_of``, or if it is zero."""
    if not expiration or expiration <= inception:
        return None
    return Expiry(zone, datetime.fromtimestamp(inception, UTC), datetime.fromtimestamp(expiration, UTC))


def expiries_of(message: ZoneObservation) -> list[Expiry]:
    """Return how the signatures end that a zone's place in the chain rests on."""
    found = []
    for window in message.windows:
        expiry = expiry_of(window)
        if expiry is not None:
            ttl_s = message.key_ttl_s if expiry.of_keys else message.ds_ttl_s
            found.append(replace(expiry, ttl_s=ttl_s))
    return found


def decide_tier(expiry: Expiry, now: datetime, habit: float | None) -> Severity | None:
    """Return how urgent the end of the signature is, None while there is time or the zone keeps its habit.

    ``habit`` is the share of the lifetime that was usually left when the zone renewed its signatures in the past. It
    excuses no critical tier.
    """
    left = expiry.left_ratio(now)
    tier = next((severity for limit, severity in TIERS if left < limit), None)
    if tier is None and expiry.expires_at - now < CACHED_TWICE * timedelta(seconds=expiry.ttl_s):
        tier = Severity.LOW
    if habit is None:
        return tier
    if left >= habit * HABIT_MARGIN:
        return tier if tier is Severity.CRITICAL else None
    is_urgent = expiry.expires_at - now < min(LEAST_WARNING, expiry.lifetime)
    return Severity.HIGH if is_urgent and tier is not Severity.CRITICAL else tier


def left_at_renewal(earlier: Expiry, later: Expiry, seen_at: datetime) -> float | None:
    """Return the share that was left when the signature was renewed, None if it was not."""
    if earlier.zone != later.zone:
        return None
    is_short = later.expires_at - earlier.expires_at < RENEWAL_MOVES_BY * later.lifetime
    if is_short and later.inception_at - earlier.inception_at < SHORTEST_RHYTHM:
        return None
    left = earlier.left_ratio(seen_at)
    return left if 0 < left <= 1 else None


def is_renewed(earlier: Expiry | None, later: Expiry) -> bool:
    """Return whether the end moved so far that later renewals are to be held against the new one."""
    if earlier is None or earlier.zone != later.zone or later.expires_at < earlier.expires_at:
        return True
    if later.inception_at - earlier.inception_at >= SHORTEST_RHYTHM:
        return True
    return later.expires_at - earlier.expires_at >= RENEWED_BY * later.lifetime


def next_look_at(
    expiry: Expiry, now: datetime, habit: float | None, overdue_at: datetime | None = None
) -> datetime | None:
    """Return when the urgency may change next while the signature stays the same; None: no more."""
    shares = [limit for limit, _ in TIERS] + ([habit * HABIT_MARGIN] if habit is not None else [])
    before = [share * expiry.lifetime for share in shares]
    before += [CACHED_TWICE * timedelta(seconds=expiry.ttl_s)] if expiry.ttl_s else []
    before += [LEAST_WARNING] if habit is not None else []
    instants = [expiry.expires_at - one for one in before] + ([overdue_at] if overdue_at is not None else [])
    second = timedelta(seconds=1)
    return min((instant + second for instant in instants if instant + second > now), default=None)


MOST_DEAD = 100


class Agenda:
    """When which subject must be looked at next: a heap with one live entry a subject."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, Subject]] = []
        self._due_by_subject: dict[Subject, float] = {}

    def __len__(self) -> int:
        return len(self._due_by_subject)

    def put(self, subject: Subject, due_at: float) -> None:
        """Have a subject looked at no later than ``due_at`` (POSIX seconds)."""
        known = self._due_by_subject.get(subject)
        if known is None or due_at < known:
            self._due_by_subject[subject] = due_at
            heappush(self._heap, (due_at, subject))
            self._compact()

    def take(self, now: float) -> list[Subject]:
        """Return who is due, soonest first."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            due_at, subject = heappop(self._heap)
            if self._due_by_subject.get(subject) == due_at:
                del self._due_by_subject[subject]
                due.append(subject)
        return due

    def drop(self, subject: Subject) -> None:
        """Forget a subject."""
        if self._due_by_subject.pop(subject, None) is not None:
            self._compact()

    def _compact(self) -> None:
        """Leave the dead entries out once they are more than the live ones: some would lie there for months."""
        if len(self._heap) > 2 * len(self._due_by_subject) + MOST_DEAD:
            self._heap = [(due_at, subject) for subject, due_at in self._due_by_subject.items()]
            heapify(self._heap)

    def next_at(self) -> float | None:
        """Return when the next subject is due, in POSIX seconds."""
        return self._heap[0][0] if self._heap else None

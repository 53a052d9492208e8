"""How often, how long and with which TTL an endpoint has shown a record: what answers are learnt from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

LEARNT_FOR = timedelta(days=30)
"""Sightings that ended earlier are forgotten: an address that was given up may be somebody else's by then."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One record (``name TYPE data``) in the validated answers of one subject.

    ``held`` is for how long it was there in all, ``times`` in how many observations; ``ttl_s`` the largest TTL seen.
    """

    record: str
    first_at: datetime
    last_at: datetime
    held: timedelta
    times: int = 1
    ttl_s: int = 0

    @property
    def data(self) -> str:
        """Return the data alone, such as ``192.0.2.1``."""
        return self.record.split(" ", 2)[2]

    @property
    def type(self) -> str:
        """Return the record type."""
        return self.record.split(" ", 2)[1]


def join_sightings(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return each record once, with all that was seen of it, sorted by record."""
    joined: dict[str, Sighting] = {}
    for one in sightings:
        other = joined.get(one.record)
        joined[one.record] = one if other is None else _join(one, other)
    return [joined[record] for record in sorted(joined)]


def _join(one: Sighting, other: Sighting) -> Sighting:
    return Sighting(
        one.record,
        min(one.first_at, other.first_at),
        max(one.last_at, other.last_at),
        one.held + other.held,
        one.times + other.times,
        max(one.ttl_s, other.ttl_s),
    )

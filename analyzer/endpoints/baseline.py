"""What an endpoint has answered until now, learnt from the history: addresses, their networks, alias targets, TTL.

An answer counts as learnt once it was there for a day in all, or on three occasions over more than a day: what was
shown for a poll or two does not, however long ago. On its first day an endpoint has shown nothing for that long, so
there everything that was seen counts. Only validated answers come in here, so a bogus spell teaches nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from analyzer.sightings import Sighting
from schemas.answers import network_of

LEARNT_AFTER = timedelta(days=1)
LEARNT_TIMES = 3
SETTLED_AFTER = timedelta(days=1)
ROTATION_SETTLED_AFTER = timedelta(days=7)
WIDE_NETWORKS = 8
"""A name that moves among more networks than this is a pool, and a further network of it is no surprise."""
ALIASES = ("CNAME", "DNAME")


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is learnt of one endpoint by an instant.

    ``data`` and ``networks`` are those of the type asked for, ``targets`` those of aliases on the way. ``seen`` are all
    data in the time that is remembered, learnt or not. ``settled_for`` is how long no network has come that was learnt,
    ``watched_for`` how long the endpoint is known. ``ttl_s`` is the largest TTL seen.
    """

    data: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    settled_for: timedelta = timedelta()
    watched_for: timedelta = timedelta()
    ttl_s: int = 0

    def accepting(self, data: Collection[str]) -> "Baseline":
        """Return it with data that somebody has accepted."""
        if not data:
            return self
        networks = {network_of(one) for one in data}
        return replace(self, data=self.data | set(data), networks=self.networks | networks, seen=self.seen | set(data))

    def is_rotating(self, size: int) -> bool:
        """Return whether the answers, of ``size`` data each, are parts of a larger set."""
        return len(self.data) > 2 * size

    def is_settled(self, size: int) -> bool:
        """Return whether a new network is a surprise: a fixed answer after a day, one that rotates after a week."""
        if len(self.networks) > WIDE_NETWORKS:
            return False
        return self.settled_for >= (ROTATION_SETTLED_AFTER if self.is_rotating(size) else SETTLED_AFTER)


NOTHING_LEARNT = Baseline()


def learn(sightings: Collection[Sighting], rdtype: str, at: datetime) -> Baseline:
    """Return what the sightings of one endpoint teach by an instant; all of them were before it."""
    began_at = min((one.first_at for one in sightings), default=at)
    is_young = at - began_at < LEARNT_AFTER
    learnt = [one for one in sightings if is_young or _is_learnt(one)]
    own = [one for one in learnt if one.type == rdtype]
    networks = _first_seen(own)
    return Baseline(
        data=frozenset(one.data for one in own),
        networks=frozenset(networks),
        targets=frozenset(one.data for one in learnt if one.type in ALIASES and one.type != rdtype),
        seen=frozenset(one.data for one in sightings if one.type == rdtype),
        settled_for=at - max(networks.values()) if networks else timedelta(),
        watched_for=at - began_at,
        ttl_s=max((one.ttl_s for one in sightings), default=0),
    )


def shown_last(sightings: Collection[Sighting], rdtype: str) -> frozenset[str]:
    """Return the data that the endpoint showed last."""
    last_at = max((one.last_at for one in sightings if one.type == rdtype), default=None)
    return frozenset(one.data for one in sightings if one.type == rdtype and one.last_at == last_at)


def _is_learnt(sighting: Sighting) -> bool:
    spread = sighting.last_at - sighting.first_at
    return sighting.held >= LEARNT_AFTER or (sighting.times >= LEARNT_TIMES and spread >= LEARNT_AFTER)


def _first_seen(sightings: Iterable[Sighting]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for one in sightings:
        network = network_of(one.data)
        found[network] = min(one.first_at, found.get(network, one.first_at))
    return found

"""Which servers a zone has: from hints, stubs and referrals, believed for a bounded time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from collector.authorities.addresses import address_of, read_address, write_address
from collector.authorities.hints import Hints
from collector.dnssec import names, records
from collector.dnssec.message import Response, read_glue
from collector.dnssec.names import Name

MOST_SERVERS = 20
"""Names of servers that are kept of one referral; BIND looks at so many, too (NS_PROCESSING_LIMIT)."""
MOST_ADDRESSES = 4
"""Addresses of one family that are kept of one server."""
SHORTEST_S, LONGEST_S = 30.0, 900.0
"""For so long a delegation is believed, whatever its TTL: a change at the parent is to be seen soon."""
MOST_ZONES = 50_000
UNNAMED: Name = ()
"""Stands for the name of a server that is known by its address alone."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """The servers of a zone: addresses by name, empty where they are still to be looked up; in the order to try.

    ``expires_at`` is on the clock that only runs on. ``above`` is the zone that refers to this one, None where that is
    not known.
    """

    zone: Name
    servers: Mapping[Name, tuple[str, ...]]
    expires_at: float
    above: Name | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return all addresses that are known, each once."""
        return tuple(dict.fromkeys(address for found in self.servers.values() for address in found))


def read_delegation(response: Response, zone: Name, above: Name, *, now: float, port: int) -> Delegation:
    """Return the delegation of ``zone`` in a referral by a server of the zone ``above``.

    Glue counts for names that the referring zone may speak for: those in it or below it.
    """
    rrset = response.authority[zone, records.NS]
    glue = read_glue(response.wire)
    found = {server: glue_of(server, glue, above, port) for server in map(records.target_of, rrset.rdatas)}
    kept = sorted(found, key=lambda server: not found[server])[:MOST_SERVERS]
    ttl_s = min(max(float(rrset.ttl), SHORTEST_S), LONGEST_S)
    return Delegation(zone, {server: found[server] for server in kept}, now + ttl_s, above)


def glue_of(server: Name, glue: dict[tuple[Name, int], tuple[bytes, ...]], above: Name, port: int) -> tuple[str, ...]:
    """Return the addresses of a server that count in a response by a server of the zone ``above``."""
    if not names.is_at_or_below(server, above):
        return ()
    return tuple(
        address_of(rdtype, rdata, port)
        for rdtype in (records.A, records.AAAA)
        for rdata in glue.get((server, rdtype), ())[:MOST_ADDRESSES]
    )


class Delegations:
    """What is known of zones and of the names between them. Times are those of the clock that only runs on."""

    def __init__(self, hints: Hints, stubs: Mapping[str, tuple[str, ...]], port: int) -> None:
        """``port`` is that of hints and stubs that name none."""
        self._fixed = {names.ROOT: _fixed(names.ROOT, {names.from_text(name): hints[name] for name in hints}, port)}
        for zone, addresses in stubs.items():
            name = names.from_text(zone)
            self._fixed[name] = _fixed(name, {UNNAMED: addresses}, port)
        self._learnt: dict[Name, Delegation] = {}
        self._inside: dict[Name, tuple[Name, float]] = {}

    def closest(self, name: Name, now: float) -> Delegation:
        """Return the deepest delegation known at or above ``name``."""
        for depth in range(len(name), -1, -1):
            zone = name[:depth]
            if zone in self._fixed:
                return self._fixed[zone]
            known = self._learnt.get(zone)
            if known is not None and known.expires_at > now:
                return known
        return self._fixed[names.ROOT]

    def shown(self, zone: Name, name: Name, now: float) -> int:
        """Return how many labels of ``name`` are known to lie in ``zone``, with no cut before."""
        for depth in range(len(name), len(zone), -1):
            home, until = self._inside.get(name[:depth], (None, 0.0))
            if home == zone and until > now:
                return depth
        return len(zone)

    def is_fixed(self, zone: Name) -> bool:
        """Return whether the configuration names the servers of a zone."""
        return zone in self._fixed

    def keep(self, delegation: Delegation) -> None:
        """Believe a delegation, in the place of what was known of the zone."""
        if delegation.zone in self._fixed:
            self._fixed[delegation.zone] = delegation
            return
        self._learnt.pop(delegation.zone, None)
        self._learnt[delegation.zone] = delegation
        if len(self._learnt) > MOST_ZONES:
            del self._learnt[next(iter(self._learnt))]

    def note_inside(self, name: Name, zone: Name, now: float) -> None:
        """Note that a name below the apex of ``zone`` is no cut."""
        self._inside.pop(name, None)
        self._inside[name] = zone, now + LONGEST_S
        if len(self._inside) > MOST_ZONES:
            del self._inside[next(iter(self._inside))]

    def doubt(self, zone: Name, now: float) -> None:
        """Believe a delegation for a short time only whose servers do not serve the zone: it may have changed above."""
        known = self._learnt.get(zone)
        if known is not None:
            self._learnt[zone] = replace(known, expires_at=min(known.expires_at, now + SHORTEST_S))


def _fixed(zone: Name, servers: dict[Name, tuple[str, ...]], port: int) -> Delegation:
    addresses = {
        server: tuple(write_address(*read_address(address, port)) for address in found)
        for server, found in servers.items()
    }
    return Delegation(zone, addresses, float("inf"))

"""All servers of a zone with all their addresses: names looked up side by side, each once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collector.authorities.delegations import UNNAMED
from collector.authorities.walk import addresses_in
from collector.dnssec import names, records
from collector.dnssec.message import NXDOMAIN, Response
from collector.dnssec.names import Name
from collector.dnssec.questions import Reply
from collector.resolvers.dialogue import Question, Steps, pose_together
from schemas.messages import NAME_ABSENT

MOST_NAMES = 26
"""Names of servers that one sweep looks up for each side of a cut."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One address at which a zone is to be served, and the name that led there."""

    name: Name
    address: str


@dataclass(frozen=True, slots=True)
class Roll:
    """Seats sorted by name and address, and the names that lead to no address, each with the reason."""

    seats: tuple[Seat, ...]
    unresolved: Mapping[Name, str]


def call_roll(vantage: str, servers: Mapping[Name, tuple[str, ...]], port: int) -> Steps[Roll]:
    """Look up the names of servers; ``servers`` has the addresses that glue or the configuration give them.

    An address of either kind counts: resolvers use what they meet first.
    """
    wanted = [server for server in sorted(servers) if server != UNNAMED][:MOST_NAMES]
    kinds = (records.A, records.AAAA)
    replies = yield from pose_together(Question(vantage, server, kind) for server in wanted for kind in kinds)
    seats = {Seat(server, address): None for server in servers for address in servers[server]}
    unresolved: dict[Name, str] = {}
    for number, server in enumerate(wanted):
        found = replies[2 * number : 2 * number + 2]
        for kind, reply in zip(kinds, found, strict=True):
            seats |= {Seat(server, address): None for address in addresses_in(reply, server, kind, port)}
        if not any(seat.name == server for seat in seats):
            unresolved[server] = _why_none(server, found)
    for server in servers:
        if server not in wanted and not servers[server] and server != UNNAMED:
            unresolved[server] = f"not looked up: more than {MOST_NAMES} names"
    return Roll(tuple(sorted(seats, key=lambda seat: (seat.name, seat.address))), unresolved)


def _why_none(server: Name, replies: Iterable[Reply]) -> str:
    failures = []
    for reply in replies:
        if not isinstance(reply, Response):
            failures.append(reply.detail)
        elif (server, records.CNAME) in reply.answer:
            return "it is an alias, where RFC 2181 §10.3 wants an address"
        elif reply.rcode == NXDOMAIN:
            return NAME_ABSENT
    return f"its addresses can't be found: {failures[0]}" if failures else "it has no address"


def describe_unresolved(unresolved: Mapping[Name, str]) -> tuple[str, ...]:
    """Return the names that lead nowhere as messages have them."""
    return tuple(f"{names.to_text(server)}: {unresolved[server]}" for server in sorted(unresolved))

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

MOST_NAMES = 16
"""Names of servers that one sweep looks up on each side of a cut; the root and the large zones below it have 13."""
MOST_TOLD = 16
"""Names beyond them that are told."""


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


def call_roll(vantage: str, servers: Mapping[Name, tuple[str, ...]], port: int, most: int = MOST_NAMES) -> Steps[Roll]:
    """Look up the names of servers; ``servers`` has the addresses that glue or the configuration give them.

    An address of either kind counts: resolvers use what they meet first. Names beyond ``most`` are not looked up, and
    those whose zone gives no answer are asked for once only, so that names of servers elsewhere cost others little.
    """
    wanted = [server for server in sorted(servers) if server != UNNAMED][:most]
    found: dict[Name, list[Reply]] = {server: [] for server in wanted}
    seats = {Seat(server, address): None for server in servers for address in servers[server]}
    for kind in (records.A, records.AAAA):
        asked = [server for server in wanted if all(isinstance(reply, Response) for reply in found[server])]
        replies = yield from pose_together(Question(vantage, server, kind) for server in asked)
        for server, reply in zip(asked, replies, strict=True):
            found[server].append(reply)
            seats |= {Seat(server, address): None for address in addresses_in(reply, server, kind, port)}
    named = {seat.name for seat in seats}
    unresolved = {server: _why_none(server, found[server]) for server in wanted if server not in named}
    beyond = [server for server in sorted(servers) if server not in wanted and server not in named][:MOST_TOLD]
    unresolved |= dict.fromkeys(beyond, f"not looked up: more than {MOST_NAMES} names")
    unresolved.pop(UNNAMED, None)
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

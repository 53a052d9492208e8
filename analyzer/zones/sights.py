"""Sights of servers sorted: which side, who was heard, and which servers agree."""

import ipaddress
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from analyzer.zones.serials import NO_SERIALS, Serials, is_later, newest_of
from schemas.messages import ServerSight, ServerStatus, ZoneSweep

LONGEST_DETAIL = 300
Said = TypeVar("Said", bound=Hashable)
HEARD = (ServerStatus.ANSWERS, ServerStatus.REFUSES, ServerStatus.LAME)


def side_of(sweep: ZoneSweep, *, parent: bool = False) -> list[ServerSight]:
    """Return the servers of one side that were asked."""
    return [one for one in sweep.servers if one.of_parent is parent and one.status is not ServerStatus.NOT_ASKED]


def answering(sights: Iterable[ServerSight]) -> list[ServerSight]:
    """Return those that answer with authority."""
    return [one for one in sights if one.status is ServerStatus.ANSWERS]


def who(sight: ServerSight) -> str:
    """Return a server for people: its address, and its name."""
    return f"{sight.server} ({sight.name})" if sight.name else sight.server


def said_by(sight: ServerSight) -> str:
    """Return why a sight is bad, in the words of the collector."""
    why = "; ".join(reason.detail for reason in sight.reasons) or sight.detail
    return why[:LONGEST_DETAIL]


def is_delegation_known(sweep: ZoneSweep) -> bool:
    """Return whether a sweep knows all servers that there are: somebody said which those are."""
    parents = side_of(sweep, parent=True)
    return any(one.ns for one in answering(parents or side_of(sweep)))


def heard_families(sweep: ZoneSweep) -> set[int]:
    """Return the address families (4, 6) over which any server was heard: silence in another may be our network's."""
    return {family_of(one.server) for one in sweep.servers if one.status in HEARD}


def family_of(server: str) -> int:
    """Return 4 or 6 for an address, be it with a port (``192.0.2.1:5300``, ``[2001:db8::1]:5300``)."""
    bare = server[1:].partition("]")[0] if server.startswith("[") else server
    try:
        return ipaddress.ip_address(bare).version
    except ValueError:
        return 4 if bare.count(":") == 1 else 6


@dataclass(frozen=True, slots=True)
class Difference(Generic[Said]):
    """Which servers say otherwise than they should. ``right`` is what they should say, None where nothing decides."""

    right: Said | None
    wrong: frozenset[str]


def find_difference(said: Sequence[tuple[ServerSight, Said]], serials: Serials = NO_SERIALS) -> Difference[Said]:
    """Return which servers say otherwise than the others, though no transfer of the zone is on its way to them.

    Right is what most servers say, those left out that are stale; among equals what those with the latest serials say,
    where a signature holds: else serials prove nothing.
    Where that does not decide, either, every server is wrong. Excused are a server that lags, and one that differs only
    since all the others lag behind it.
    """
    votes: dict[Said, list[str]] = {}
    for sight, value in said:
        votes.setdefault(value, []).append(sight.server)
    if len(votes) < 2:
        return Difference(next(iter(votes), None), frozenset())
    counts = {value: sum(not serials.is_stale(server) for server in servers) for value, servers in votes.items()}
    most = [value for value, count in counts.items() if count == max(counts.values())]
    right = most[0] if len(most) == 1 else _latest(most, votes, serials) if serials.are_proven else None
    others = {server for value, servers in votes.items() if right is None or value != right for server in servers}
    wrong = {server for server in others if not serials.lags(server)}
    if right is None and not serials.are_proven and any(serials.lags(sight.server) for sight, _ in said):
        wrong = set()  # a transfer may explain it until a refresh is over, and then serials do no more
    if right is not None and all(serials.lags(server) for server in votes[right]):
        wrong = {server for server in wrong if serials.is_behind(server)}
    return Difference(right, frozenset(wrong))


def _latest(values: Iterable[Said], servers: dict[Said, list[str]], serials: Serials) -> Said | None:
    """Return the value whose servers have a later serial than all others have."""
    newest = {value: newest_of(map(serials.serial_of, servers[value])) for value in values}
    for value, serial in newest.items():
        others = [other for key, other in newest.items() if key != value]
        if serial is not None and all(other is None or is_later(serial, other) for other in others):
            return value
    return None

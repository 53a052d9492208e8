"""A DNS: zones and their parents, servers, resolvers, and the network between them, with chance from one seed."""

import heapq
import itertools
import random
from collections.abc import Iterable, Sequence

import dns.name
import dns.rdata
import dns.rdatatype
from dns.rdatatype import RdataType

from anchorwatch.replay.messages import Header
from anchorwatch.replay.resolvers import Resolver, dns_name
from anchorwatch.replay.servers import Server
from anchorwatch.replay.zones import ZoneState, records_of
from collector.dnssec.anchors import TrustAnchors, parse_anchors
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.dialogue import Question

ROOT = dns.name.root
DIRECT_LATENCY_S = 0.02


class World:
    """All there is. ``now`` is in seconds since the start, ``epoch`` the start in POSIX seconds.

    ``anchors`` are those of resolvers, which follow the root; by default its secure-entry keys as they are now.
    """

    def __init__(self, epoch: float, seed: str, *, timeout_s: float, attempts: int) -> None:
        self.epoch, self.now = epoch, 0.0
        self.timeout_s, self.attempts = timeout_s, attempts
        self.zones: dict[dns.name.Name, ZoneState] = {}
        self.servers: dict[str, Server] = {}
        self.resolvers: dict[str, Resolver] = {}
        self._chance = random.Random(seed)
        self._by_address: dict[str, Server] = {}
        self._hints: tuple[str, ...] = ()
        self._anchors: tuple[object, TrustAnchors] | None = None
        self._due: list[tuple[float, int, dns.name.Name]] = []
        self._counter = itertools.count()

    @property
    def at(self) -> float:
        """Return the time of the world in POSIX seconds; the monitor's own clock may say otherwise."""
        return self.epoch + self.now

    # zones

    def parent_of(self, zone: dns.name.Name) -> ZoneState | None:
        """Return the deepest zone above one, None for the root."""
        at = zone
        while at != ROOT:
            at = at.parent()
            if at in self.zones:
                return self.zones[at]
        return None

    def zone_for(self, name: dns.name.Name) -> ZoneState:
        """Return the deepest zone that a name lies in."""
        at = name
        while at not in self.zones:
            at = at.parent()
        return self.zones[at]

    def add_zone(self, zone: ZoneState, servers: Iterable[Server]) -> None:
        """Take in a zone and the servers that have it, and sign it."""
        self.zones[zone.name] = zone
        for server in servers:
            server.zones[zone.name] = zone
            self.add_server(server)
        self.sign(zone)

    def sign(self, zone: ZoneState, *, begins_at: float | None = None, ends_at: float | None = None) -> None:
        """Sign a zone now, and note when it signs the next time."""
        zone.sign(self.at, begins_at=begins_at, ends_at=ends_at)
        if zone.next_signing_at is not None:
            self._plan(zone.next_signing_at - self.epoch, zone.name)

    def rotate_later(self, zone: ZoneState) -> None:
        """Note when a zone next shows other records of its rotations."""
        if zone.rotations:
            every_s = min(rotation.every_s for rotation in zone.rotations.values())
            self._plan((self.now // every_s + 1) * every_s, zone.name)

    def _plan(self, at: float, zone: dns.name.Name) -> None:
        heapq.heappush(self._due, (at, next(self._counter), zone))

    def next_due_at(self) -> float:
        """Return when a zone does something by itself again."""
        return self._due[0][0] if self._due else float("inf")

    def advance(self, now: float) -> list[tuple[dns.name.Name, str]]:
        """Let time pass; return which zones did what by themselves."""
        self.now = now
        done: list[tuple[dns.name.Name, str]] = []
        while self._due and self._due[0][0] <= now:
            zone = self.zones[heapq.heappop(self._due)[2]]
            if zone.rotations and now % min(one.every_s for one in zone.rotations.values()) == 0:
                zone.rotate(self.at)
                self.rotate_later(zone)
            elif zone.next_signing_at is not None and zone.next_signing_at - self.epoch <= now and not zone.stalled:
                self.sign(zone)
                done.append((zone.name, "signed by itself"))
        return done

    def set_ds(self, child: dns.name.Name, values: Sequence[dns.rdata.Rdata]) -> None:
        """Set the DS set of a zone at its parent; empty: none."""
        parent = self.parent_of(child)
        assert parent is not None
        parent.put(child, RdataType.DS, self.zones[child].ttls.ds if child in self.zones else parent.ttls.ds, values)

    def delegate(self, child: dns.name.Name, servers: Sequence[str]) -> None:
        """Have the parent name these servers for a zone, with glue for those that lie below the parent."""
        parent = self.parent_of(child)
        assert parent is not None
        ttl = self.zones[child].ttls.ns if child in self.zones else parent.ttls.ns
        parent.put(child, RdataType.NS, ttl, records_of(ROOT, RdataType.NS, servers))
        for server in servers:
            self._put_glue(parent, child, server)

    def _put_glue(self, parent: ZoneState, child: dns.name.Name, server: str) -> None:
        name = dns.name.from_text(server)
        known = self.servers.get(server)
        if known is not None and name.is_subdomain(parent.name) and name.is_subdomain(child):
            parent.put(name, address_type(known.address), parent.ttls.ns, addresses_of(known.address))

    @property
    def every_server(self) -> list[Server]:
        """Return the servers at all addresses."""
        return list(self._by_address.values())

    def servers_named(self, name: str) -> list[Server]:
        """Return the servers of a name, one for each of its addresses."""
        return [server for server in self._by_address.values() if server.name == name]

    def add_server(self, server: Server) -> None:
        """Set up a server at its address."""
        self.servers.setdefault(server.name, server)
        self._by_address[server.address] = server

    def name_server(self, server: Server) -> None:
        """Give a server's name its address, in the zone that the name lies in."""
        name, kind = dns.name.from_text(server.name), address_type(server.address)
        zone = self.zone_for(name)
        if (name, kind) not in zone.data:
            zone.put(name, kind, zone.ttls.records, addresses_of(server.address))

    # what resolvers reach

    @property
    def hints(self) -> tuple[str, ...]:
        """Return the addresses of the root's servers as they were at the start."""
        self._hints = self._hints or tuple(one for found in self.root_servers.values() for one in found)
        return self._hints

    @property
    def root_servers(self) -> dict[str, tuple[str, ...]]:
        """Return the addresses of the root's servers by name."""
        found: dict[str, tuple[str, ...]] = {}
        for server in self._by_address.values():
            if ROOT in server.zones:
                found[server.name] = (*found.get(server.name, ()), server.address)
        return found

    def server_at(self, address: str) -> Server | None:
        """Return the server at an address, None where nothing listens."""
        return self._by_address.get(address)

    def is_lost(self, share: float) -> bool:
        """Return whether a packet is lost, by chance."""
        return share > 0 and self._chance.random() < share

    def anchors(self) -> TrustAnchors:
        """Return the root's secure-entry keys as trust anchors."""
        root = self.zones[ROOT]
        if self._anchors is None or self._anchors[0] != root.serial:
            entry = [key for key in root.keys.values() if key.is_entry and not key.pair.flags & 0x80]
            texts = [f". IN DS {ds.to_text()}" for ds in root.ds_of(entry, ["SHA256"])]
            self._anchors = root.serial, parse_anchors("\n".join(texts), "the root")
        return self._anchors[1]

    # what the monitor reaches

    def ask(self, question: Question) -> tuple[Reply, float]:
        """Return what comes of a question, and after how many seconds."""
        if question.server:
            return self._ask_server(question)
        resolver = self.resolvers[question.vantage]
        tries = min(question.attempts or self.attempts, self.attempts)
        url = f"udp://{question.vantage}"
        waited_s = 0.0
        for attempt in range(tries):
            patience_s = self.timeout_s * 2**attempt
            lost = self.is_lost(resolver.loss) if resolver.loss else False
            if resolver.is_up and not lost:
                response, ready_s = resolver.reply(
                    question.name,
                    question.rdtype,
                    self.now + waited_s,
                    cd=question.checking_disabled,
                    edns=question.edns,
                )
                # An answer that is ready too late for this try is there for the next one.
                if ready_s + resolver.latency_s <= patience_s:
                    return response, waited_s + ready_s + resolver.latency_s
            waited_s += patience_s
        return _silence(url, tries), waited_s

    def _ask_server(self, question: Question) -> tuple[Reply, float]:
        server = self.server_at(question.server)
        tries = min(question.attempts or self.attempts, self.attempts)
        waited_s = 0.0
        header = Header(authoritative=True, recursive=False, edns=question.edns, dnssec_ok=question.edns)
        for attempt in range(tries):
            if server is not None and server.is_up and not self.is_lost(server.loss):
                reply = server.reply(dns_name(question.name), question.rdtype, header)
                return reply, waited_s + DIRECT_LATENCY_S + server.latency_s
            waited_s += self.timeout_s * 2**attempt
        return _silence(f"udp://{question.server}", tries), waited_s


def _silence(url: str, tries: int) -> FetchFailure:
    return FetchFailure("timeout", f"no answer from {url} in {'1 try' if tries == 1 else f'{tries} tries'}")


def address_type(address: str) -> RdataType:
    """Return A or AAAA."""
    return RdataType.AAAA if ":" in address else RdataType.A


def addresses_of(address: str) -> list[dns.rdata.Rdata]:
    """Return the address record of an address."""
    return records_of(ROOT, address_type(address), [address])

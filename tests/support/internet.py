"""Authoritative servers in memory: each at its address with its own copies of zones; all can be bent."""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from dns.rdatatype import RdataType

from anchorwatch.lab.world import Answer, answer_from
from anchorwatch.lab.zones import SigningKey, Zone, generate_key
from collector.dnssec import names
from collector.dnssec.anchors import TrustAnchors, parse_anchors
from collector.dnssec.message import read_response
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.dialogue import Dialogues, Instant, Question, Steps

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEYS = [(generate_key(13, entry=True), generate_key(13)) for _ in range(3)]

T = TypeVar("T")
Bend = Callable[[Question, dns.message.Message], dns.message.Message | FetchFailure]
SILENCE = FetchFailure("timeout", "no answer")


@dataclass
class Server:
    """One address: the zones that it serves, and what it does otherwise than it should."""

    zones: dict[dns.name.Name, Zone] = field(default_factory=dict)
    bend: Bend | None = None

    def respond(self, query: dns.message.Message) -> dns.message.Message:
        """Answer from the deepest zone here, refer on at its cuts, refuse what is elsewhere."""
        question = query.question[0]
        response = dns.message.make_response(query, our_payload=1232)
        zone = self._zone_for(question.name, question.rdtype)
        if zone is None:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        cut = zone.cut_above(question.name)
        if cut is not None and not (cut == question.name and question.rdtype == RdataType.DS):
            _refer(response, zone, cut)
            return response
        _fill(response, answer_from(zone, question.name, question.rdtype))
        return response

    def _zone_for(self, name: dns.name.Name, rdtype: RdataType) -> Zone | None:
        here = [zone for apex, zone in self.zones.items() if name.is_subdomain(apex)]
        if rdtype == RdataType.DS:
            here = [zone for zone in here if zone.name != name or name == dns.name.root] or here
        return max(here, key=lambda zone: len(zone.name.labels), default=None)


def _add_addresses(zone: Zone, server: str, addresses: Sequence[str]) -> None:
    for rdtype, found in (("A", [a for a in addresses if ":" not in a]), ("AAAA", [a for a in addresses if ":" in a])):
        if found:
            zone.add(server, rdtype, *found)


def _fill(response: dns.message.Message, found: Answer) -> None:
    response.flags |= dns.flags.AA
    response.set_rcode(found.rcode)
    response.answer, response.authority = found.answer, found.authority


def _refer(response: dns.message.Message, zone: Zone, cut: dns.name.Name) -> None:
    servers = zone.rrsets[cut, RdataType.NS]
    response.authority.append(servers)
    for rdtype in (RdataType.DS, RdataType.NSEC):
        for section in (zone.rrsets, zone.signatures):
            if (cut, rdtype) in section and (rdtype == RdataType.DS or (cut, RdataType.DS) not in zone.rrsets):
                response.authority.append(section[cut, rdtype])
    for server in servers:
        for rdtype in (RdataType.A, RdataType.AAAA):
            if (server.target, rdtype) in zone.rrsets:
                response.additional.append(zone.rrsets[server.target, rdtype])


class Internet:
    """Zones and their servers: ``.`` at 192.0.2.1, what else there is by ``add``; ``asked`` is all that was asked.

    Names of servers below their own zone get glue in the zone above it.
    """

    def __init__(self) -> None:
        self.zones: dict[str, Zone] = {}
        self.servers: dict[str, Server] = {}
        self.asked: list[Question] = []
        self.instant = Instant(1000.0, AT.timestamp())
        self._delegations: list[tuple[str, str]] = []
        self.add(".", {"a.root.": ["192.0.2.1"]})
        self.hints: dict[str, tuple[str, ...]] = {"a.root.": ("192.0.2.1",)}

    def add(
        self,
        name: str,
        servers: dict[str, list[str]],
        *,
        above: str = "",
        keys: Sequence[SigningKey] | None = None,
        glue: bool = True,
    ) -> Zone:
        """Add a zone with the names and addresses of its servers; without ``keys`` it is signed by some."""
        pair = KEYS[len(self.zones) % len(KEYS)] if keys is None else keys
        zone = self.zones[name] = Zone(dns.name.from_text(name), keys=list(pair), ttl=3600)
        zone.add("@", "NS", *servers)
        for server, addresses in servers.items():
            if dns.name.from_text(server).is_subdomain(zone.name):
                _add_addresses(zone, server, addresses)
            for address in addresses:
                self.servers.setdefault(address, Server()).zones[zone.name] = zone
        if name != ".":
            parent = self.zones[above or self._closest(name)]
            parent.add(name, "NS", *servers)
            for server, addresses in servers.items():
                if glue and dns.name.from_text(server).is_subdomain(parent.name):
                    _add_addresses(parent, server, addresses)
            self._delegations.append((str(parent.name), name))
        return zone

    def _closest(self, name: str) -> str:
        above = dns.name.from_text(name)
        while True:
            above = above.parent()
            if str(above) in self.zones:
                return str(above)

    def sign(self, at: datetime = AT) -> TrustAnchors:
        """Sign all zones, the deepest first; return the root's anchor."""
        for name in sorted(self.zones, key=lambda name: -len(dns.name.from_text(name).labels)):
            zone = self.zones[name]
            zone.sign(at)
            for parent, child in self._delegations:
                if child == name and zone.is_signed:
                    self.zones[parent].add(name, "DS", *zone.ds_records())
        return parse_anchors("\n".join(f". IN DS {ds}" for ds in self.zones["."].ds_records()), "internet")

    def forget(self, name: str) -> None:
        """Have no server know a zone any more; its delegation is the parent's to take back."""
        zone = self.zones.pop(name)
        self._delegations = [one for one in self._delegations if one[1] != name]
        for server in self.servers.values():
            server.zones.pop(zone.name, None)

    def copy_at(self, address: str, name: str) -> Zone:
        """Have a server keep a zone as it is now, whatever becomes of it elsewhere."""
        zone = copy.deepcopy(self.zones[name])
        self.servers[address].zones[zone.name] = zone
        return zone

    def bend(self, address: str, bend: Bend | FetchFailure) -> None:
        """Have a server answer otherwise, or not at all."""
        server = self.servers.setdefault(address, Server())
        server.bend = bend if callable(bend) else lambda *_: bend

    def reply(self, question: Question) -> Reply:
        """Return what the server that a question names replies; nothing listens at other addresses."""
        self.asked.append(question)
        server = self.servers.get(question.server)
        if server is None:
            return SILENCE
        name = dns.name.from_text(names.to_text(question.name))
        query = dns.message.make_query(name, RdataType.make(question.rdtype), want_dnssec=True, flags=0)
        response = server.respond(query)
        bent = server.bend(question, response) if server.bend is not None else response
        return bent if isinstance(bent, FetchFailure) else read_response(bent.to_wire(max_size=65535))

    def run(self, steps: Steps[T], dialogues: Dialogues | None = None) -> T:
        """Return the result of steps, all their questions answered here."""
        dialogues = dialogues or Dialogues(self.instant)
        results: list[T] = []
        dialogues.start(steps, results.append)
        while posed := dialogues.take_posed():
            for ticket, question in posed:
                dialogues.take(ticket, self.reply(question))
        return results[0]

    @property
    def load(self) -> Counter[str]:
        """Return how many questions each address got."""
        return Counter(question.server for question in self.asked)

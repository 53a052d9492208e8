"""A small world under watch: signed zones in memory, the collector's watch and the analyzer, on a virtual clock.

Nothing is made up in between: what the analyzer takes in is what the watch made of the zones' answers, over the wire.
"""

import heapq
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import msgspec
from dns.rdatatype import RdataType

from analyzer.history.memory import MemoryHistory
from analyzer.stage import Analyzer
from anchorwatch.lab.server import LabResolver
from anchorwatch.lab.world import World
from anchorwatch.lab.zones import SigningKey, Zone
from anchorwatch.replay.inline import InlineLoop
from collector.config import Authorities, CollectorConfig, InventorySource, VantagePoint
from collector.dnssec import names
from collector.dnssec.anchors import parse_anchors
from collector.dnssec.message import read_response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import FetchFailure, Reply
from collector.polling.registrable import public_suffixes
from collector.polling.roster import Roster, compare
from collector.polling.watch import Watch
from collector.resolvers.address import Address
from collector.resolvers.dialogue import Posed, Question
from schemas.messages import Endpoint, Finding, Identity, InventoryIndex, InventorySnapshot, Message, utc
from schemas.wire import decode, encode
from tests.support.internet import AT, SILENCE, Internet

LATENCY_S, PATIENCE_S, FLUSH_S = 0.02, 1.5, 0.5
TTL_S = 60
NS = ("192.0.2.21", "192.0.2.22", "192.0.2.23")
ABOVE = ("192.0.2.11", "192.0.2.12")
ZONE = "zone.test."

Bend = Callable[[Question, dns.message.Message], dns.message.Message | FetchFailure]
Transit = Callable[[Message], Message]


class WatchedWorld:
    """``test.`` on two servers, ``zone.test.`` on three; ``www.zone.test`` is watched through each vantage.

    Other zones come by ``add``, other names by ``watch_host``. The vantages' resolvers validate for their clients, and
    may be bent; ``in_transit`` is done to each message on its way to the analyzer.
    """

    def __init__(
        self,
        vantages: tuple[str, ...] = ("corp",),
        *,
        interval_s: float = 60.0,
        sweep_s: float = 600.0,
        standby: SigningKey | None = None,
    ) -> None:
        """``standby`` is a key of the root that is trusted already, and that the root does not publish yet."""
        self.now, self.skew_s = 0.0, 0.0
        self.internet, self.recursion = Internet(), World()
        self.root = self._take_in(self.internet.zones["."])
        self.tld = self.add("test.", {"ns1.test.": [ABOVE[0]], "ns2.test.": [ABOVE[1]]})
        self.zone = self.add(ZONE, {f"ns{number}.{ZONE}": [address] for number, address in enumerate(NS, 1)})
        self.zone.add("www", "A", "198.51.100.1")
        self.sign()
        held = [*self.root.ds_records(), *(_ds_of(self.root, standby) if standby is not None else ())]
        self.anchors = parse_anchors("\n".join(f". IN DS {ds}" for ds in held), "world")
        self._idle_s = interval_s / 2
        self._vantages, self._interval_s, self._sweep_s = vantages, interval_s, sweep_s
        self.resolvers = {name: LabResolver(self.recursion, self.anchors, lambda: self.true_at) for name in vantages}
        self.bends: dict[str, Bend] = {}
        self.in_transit: Transit = lambda message: message
        self.watch = Watch(self._config())
        self.analyzer = Analyzer(MemoryHistory(), lambda: self.our_at, interval_s=interval_s)
        self._loop = InlineLoop()
        self.found: dict[str, Finding] = {}
        self._roster = Roster()
        self._identities: dict[str, Identity] = {}
        self._news: list[Message] = []
        self._under_way: list[tuple[float, int, Reply]] = []
        self._replies: dict[Hashable, Reply] = {}
        self._handed_on_at = 0.0
        self.watch_host("www.zone.test")

    def _config(self) -> CollectorConfig:
        return CollectorConfig(
            sources=(InventorySource(path=Path("inventory.yaml"), format="yaml"),),
            vantages=tuple(VantagePoint(name=name, address=Address("udp", "127.0.0.1", 53)) for name in self._vantages),
            anchors=self.anchors,
            policy=Policy(),
            interval_s=self._interval_s,
            authorities=Authorities(hints=self.internet.hints, allow_private=True, sweep_s=self._sweep_s),
        )

    # zones

    def add(
        self, name: str, servers: dict[str, list[str]] | None = None, *, keys: list[SigningKey] | None = None
    ) -> Zone:
        """Add a zone, on the servers of ``zone.test.`` where none are given; it is served once it is signed."""
        servers = servers or {f"ns{number}.{ZONE}": [address] for number, address in enumerate(NS, 1)}
        return self._take_in(self.internet.add(name, servers, keys=keys))

    def take_away(self, name: str) -> None:
        """Have no server know a zone any more; its delegation is the parent's to take back."""
        del self.recursion.zones[self.internet.zones[name].name]
        self.internet.forget(name)

    def _take_in(self, zone: Zone) -> Zone:
        zone.ttl = TTL_S
        return self.recursion.add(zone)

    def sign(self) -> None:
        """Sign all zones as of now, and have each signed one's DS at its parent."""
        self.internet.sign(self.at)

    def publish(self, *zones: Zone) -> None:
        """Sign zones as of now, and nothing else."""
        for zone in zones or (self.zone,):
            zone.sign(self.at)

    def set_ds(self, *ds: str, zone: str = ZONE) -> None:
        """Have this DS set at ``test.``, none without any."""
        if ds:
            self.tld.add(zone, "DS", *ds)
        else:
            self.tld.remove(zone, "DS")
        self.publish(self.tld)

    # time

    @property
    def true_at(self) -> float:
        """Return what all clocks but ours say, in POSIX seconds."""
        return AT.timestamp() + self.now

    @property
    def our_at(self) -> float:
        """Return what our own clock says."""
        return self.true_at + self.skew_s

    @property
    def at(self) -> datetime:
        """Return the true instant."""
        return datetime.fromtimestamp(self.true_at, UTC)

    def run(self, seconds: float) -> None:
        """Let everything happen that happens within so many seconds, one thing after another."""
        end = self.now + seconds
        self._replies.clear()
        while True:
            reply_at = self._under_way[0][0] if self._under_way else float("inf")
            next_at = min(self.watch.next_due_at(), reply_at, self._handed_on_at + self._idle_s)
            self.now = min(max(self.now, next_at), end)
            self.watch.check_clocks(self.now, self.our_at)
            if self.now >= end:
                self.hand_on()
                return
            if reply_at <= self.now:
                _, ticket, reply = heapq.heappop(self._under_way)
                self._put(self.watch.take(ticket, reply, self.now, self.our_at))
            else:
                self._put(self.watch.due(self.now, self.our_at))
            waits_for_s = FLUSH_S if self.watch.news or self.watch.unchanged else self._idle_s
            if self.now >= self._handed_on_at + waits_for_s:
                self.hand_on()

    def _put(self, posed: Iterable[Posed]) -> None:
        for ticket, question in posed:
            reply = self._reply(question)
            silent = isinstance(reply, FetchFailure) and reply.is_silence
            heapq.heappush(self._under_way, (self.now + (PATIENCE_S if silent else LATENCY_S), ticket, reply))

    def _reply(self, question: Question) -> Reply:
        """Return the reply to a question: zones change between runs only, so within one the same reply comes again.

        What clients are told depends on the time, and who bends replies may do it otherwise each time.
        """
        asked: Hashable = question
        if question.server:
            server = self.internet.servers.get(question.server)
            lasts = server is not None and server.bend is None
            if server is not None:  # servers of the same zones say the same
                asked = (tuple(map(id, server.zones.values())), question.name, question.rdtype)
        else:
            lasts = question.checking_disabled and question.vantage not in self.bends
        if lasts and asked in self._replies:
            return self._replies[asked]
        reply = self.internet.reply(question) if question.server else self._resolve(question)
        if lasts:
            self._replies[asked] = reply
        return reply

    def _resolve(self, question: Question) -> Reply:
        """Return what a vantage's resolver replies."""
        query = dns.message.make_query(
            dns.name.from_text(names.to_text(question.name)),
            RdataType.make(question.rdtype),
            want_dnssec=question.edns,
            use_edns=0 if question.edns else -1,
            flags=dns.flags.RD | (dns.flags.CD if question.checking_disabled else 0),
        )
        wire = self.resolvers[question.vantage].reply_to(query.to_wire(), stream=True)
        if wire is None:
            return SILENCE
        bend = self.bends.get(question.vantage)
        bent = bend(question, dns.message.from_wire(wire)) if bend is not None else wire
        return bent if isinstance(bent, FetchFailure) else read_response(_octets(bent))

    # the inventory

    def watch_host(self, host: str, by: str = "sa-pay", **endpoint: object) -> None:
        """Have an identity of production consume a host more: of type A, if nothing else is said."""
        fields = {"host": host, "types": ("A",), **endpoint}
        known = self._identities.get(by, Identity(id=by, owner="payments", environment="prod"))
        self.put_identity(_with_endpoint(known, Endpoint(**fields)))  # type: ignore[arg-type]

    def put_identity(self, identity: Identity) -> None:
        """Have an identity in the inventory as it is now."""
        self._identities[identity.id] = identity
        self._tell(InventorySnapshot(id=identity.id, seen_at=utc(self.our_at), identity=identity))

    def drop_identity(self, identity_id: str) -> None:
        """Have an identity leave the inventory."""
        del self._identities[identity_id]
        self._tell(InventorySnapshot(id=identity_id, seen_at=utc(self.our_at), identity=None))

    def _tell(self, news: InventorySnapshot) -> None:
        index = InventoryIndex(seen_at=news.seen_at, ids=tuple(self._identities), vantages=self._vantages)
        self._news += [news, index]
        self.poll_only(lambda name: True)

    def poll_only(self, is_ours: Callable[[names.Name], bool]) -> None:
        """Have the watch poll of the inventory only such names."""
        identities = list(self._identities.values())
        self._roster, change = compare(self._roster, identities, self._vantages, is_ours, public_suffixes())
        self.watch.change(change, self.now)

    # what comes of it

    def send(self, *messages: Message) -> None:
        """Send messages of others to the analyzer, too."""
        self._news += messages

    def hand_on(self) -> None:
        """Hand what was said to the analyzer, each message as its octets give it."""
        self._handed_on_at = self.now
        said = [*self._news, *self.watch.take_messages()]
        self._news = []
        batch = [decode(encode(self.in_transit(message))) for message in said]
        found = self._loop.run(self.analyzer.handle(batch))
        self.found |= {finding.id: finding for finding in found if isinstance(finding, Finding)}

    def findings(self, code: str = "") -> list[Finding]:
        """Return the last word on each finding that was confirmed, of one code if one is given."""
        return [one for one in self.found.values() if one.confirmed and code in ("", one.code)]

    def codes(self) -> set[str]:
        """Return the codes of all that was confirmed."""
        return {one.code for one in self.findings()}


def _octets(message: dns.message.Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.to_wire(max_size=65_535)


def _ds_of(zone: Zone, key: SigningKey) -> list[str]:
    return Zone(zone.name, keys=[key]).ds_records()


def _with_endpoint(identity: Identity, endpoint: Endpoint) -> Identity:
    return msgspec.structs.replace(identity, endpoints=(*identity.endpoints, endpoint))

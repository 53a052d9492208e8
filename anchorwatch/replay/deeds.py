"""The words of steps, done to the world."""

from collections.abc import Iterable
from functools import singledispatchmethod

import dns.name
import dns.rcode
import dns.rdata
import dns.rdtypes.ANY.DS
import dns.rrset
import msgspec
from dns.rdatatype import RdataType

from anchorwatch.replay import language as say
from anchorwatch.replay.faults import Fault
from anchorwatch.replay.messages import Part
from anchorwatch.replay.resolvers import Lie, Resolver
from anchorwatch.replay.sense import parse_rrset
from anchorwatch.replay.servers import Server
from anchorwatch.replay.setting import absolute, new_key, nsec3_params, parse_record, put_records, texts
from anchorwatch.replay.times import parse_signed_span, parse_span
from anchorwatch.replay.world import World
from anchorwatch.replay.zones import HeldKey, Rotation, ZoneState, records_of

DELETE_CDS, DELETE_CDNSKEY = "0 0 0 00", "0 3 0 AA=="


class Deeds:
    """Does to a world what steps say."""

    def __init__(self, world: World, seed: str) -> None:
        self._world, self._seed = world, seed

    @singledispatchmethod
    def do(self, word: say.Word) -> None:
        """Do what a word says, now."""
        raise NotImplementedError(type(word).__name__)

    def _zone(self, name: str) -> ZoneState:
        return self._world.zones[dns.name.from_text(name)]

    def _keys(self, zone: ZoneState, names: tuple[str, ...] | str) -> list[HeldKey]:
        return [zone.keys[name] for name in texts(names)]

    # keys and signatures

    @do.register
    def _(self, word: say.NewKey) -> None:
        zone = self._zone(word.zone)
        algorithm = next((key.pair.algorithm for key in zone.keys.values()), 13)
        zone.keys[word.key] = new_key(zone, word.key, word, algorithm, self._seed)

    @do.register
    def _(self, word: say.Publish) -> None:
        zone = self._zone(word.zone)
        zone.keys[word.key].published = True
        zone.changed()

    @do.register
    def _(self, word: say.Withdraw) -> None:
        zone = self._zone(word.zone)
        key = zone.keys[word.key]
        key.published, key.signing = False, key.signing and word.keep_signatures
        zone.changed()

    @do.register
    def _(self, word: say.SignWith) -> None:
        zone = self._zone(word.zone)
        named = self._keys(zone, word.keys)
        roles = {role for key in named for role in (("ksk", "zsk", "csk") if key.role == "csk" else (key.role, "csk"))}
        for key in zone.keys.values():
            if key.role in roles:
                key.signing = key in named
                key.broken = word.broken and key in named
        zone.is_spread = word.spread
        self._world.sign(zone)

    @do.register
    def _(self, word: say.Revoke) -> None:
        zone = self._zone(word.zone)
        key = zone.keys[word.key]
        key.pair, key.published, key.signing = key.pair.revoked(), True, True
        self._world.sign(zone)

    @do.register
    def _(self, word: say.Resign) -> None:
        at = self._world.at
        begins, ends = (
            at + parse_signed_span(span) if span is not None else None for span in (word.inception, word.expiration)
        )
        self._world.sign(self._zone(word.zone), begins_at=begins, ends_at=ends)

    @do.register
    def _(self, word: say.Stall) -> None:
        self._zone(word.zone).stalled = True

    @do.register
    def _(self, word: say.Resume) -> None:
        zone = self._zone(word.zone)
        zone.stalled = False
        self._world.sign(zone)

    @do.register
    def _(self, word: say.Sign) -> None:
        zone = self._zone(word.zone)
        zone.is_signed = True
        self._world.sign(zone)

    @do.register
    def _(self, word: say.Unsign) -> None:
        zone = self._zone(word.zone)
        zone.is_signed = False
        zone.changed()

    @do.register
    def _(self, word: say.Nsec3) -> None:
        zone = self._zone(word.zone)
        zone.put(zone.name, RdataType.NSEC3PARAM, zone.ttls.negative, ())
        zone.nsec3 = None if word.off else nsec3_params(word.iterations, word.salt, word.opt_out)
        self._world.sign(zone)

    # faults

    @do.register
    def _(self, word: say.Corrupt) -> None:
        zone = self._zone(word.zone)
        to = word.to
        if word.field == "records":
            rdtype = parse_rrset(word.rrset)[1] or "A"
            to = tuple(records_of(zone.name, RdataType.from_text(rdtype), texts(tuple(to) if to else ())))
        self._add_fault(zone, word.rrset, word.servers, field=word.field, to=to, signed=word.signed)

    @do.register
    def _(self, word: say.Expire) -> None:
        zone = self._zone(word.zone)
        ends = self._world.at - parse_span(word.ago)
        begins = ends - zone.signing.validity_s
        self._add_fault(zone, word.rrset or "*", word.servers, field="window", begins_at=begins, ends_at=ends)

    def _add_fault(self, zone: ZoneState, rrset: str, servers: tuple[str, ...] | str, **fields: object) -> None:
        owner, rdtype = parse_rrset(rrset)
        fault = Fault(
            owner=dns.name.from_text(owner, zone.name) if owner is not None else None,
            rdtype=RdataType.from_text(rdtype) if rdtype is not None else None,
            servers=frozenset(map(absolute, texts(servers))) or None,
            **fields,  # type: ignore[arg-type]
        )
        zone.faults.append(fault)
        zone.changed()

    @do.register
    def _(self, word: say.Heal) -> None:
        zone = self._zone(word.zone)
        servers = frozenset(map(absolute, texts(word.servers)))
        zone.faults = [one for one in zone.faults if servers and not (one.servers and one.servers <= servers)]
        zone.changed()

    # the parent

    @do.register
    def _(self, word: say.SetDs) -> None:
        zone = self._zone(word.zone)
        keys = self._keys(zone, word.keys) if word.keys else zone.entry_keys
        values = zone.ds_of(keys, texts(word.digests)) if not word.records else []
        values += records_of(zone.name, RdataType.DS, texts(word.records))
        self._world.set_ds(zone.name, [*(self._ds_of(zone) if word.add else ()), *values])

    @do.register
    def _(self, word: say.DropDs) -> None:
        zone = self._zone(word.zone)
        dropped = {key.pair.tag for key in self._keys(zone, word.keys)}
        self._world.set_ds(zone.name, [ds for ds in self._ds_of(zone) if word.keys and ds.key_tag not in dropped])

    def _ds_of(self, zone: ZoneState) -> list[dns.rdtypes.ANY.DS.DS]:
        parent = self._world.parent_of(zone.name)
        return list(parent.data.get((zone.name, RdataType.DS), ())) if parent is not None else []

    @do.register
    def _(self, word: say.PublishCds) -> None:
        zone = self._zone(word.zone)
        cds: list[dns.rdata.Rdata] = []
        cdnskey: list[dns.rdata.Rdata] = []
        if word.delete:
            cds = records_of(zone.name, RdataType.CDS, [DELETE_CDS])
            cdnskey = records_of(zone.name, RdataType.CDNSKEY, [DELETE_CDNSKEY])
        elif not word.off:
            keys = self._keys(zone, word.keys) if word.keys else zone.entry_keys
            cds = records_of(zone.name, RdataType.CDS, [ds.to_text() for ds in zone.ds_of(keys, ["SHA256"])])
            cdnskey = records_of(zone.name, RdataType.CDNSKEY, [key.pair.record.to_text() for key in keys])
        zone.put(zone.name, RdataType.CDS, zone.ttls.keys, cds)
        zone.put(zone.name, RdataType.CDNSKEY, zone.ttls.keys, cdnskey)

    @do.register
    def _(self, word: say.SetNs) -> None:
        zone, names = self._zone(word.zone), tuple(map(absolute, texts(word.servers)))
        if word.where in ("both", "parent"):
            self._world.delegate(zone.name, names)
        if word.where in ("both", "child"):
            zone.put(zone.name, RdataType.NS, zone.ttls.ns, records_of(zone.name, RdataType.NS, names))

    # data

    @do.register
    def _(self, word: say.Answer) -> None:
        name, rdtype = dns.name.from_text(word.name), RdataType.from_text(word.type)
        zone = self._world.zone_for(name.parent() if rdtype == RdataType.DS and len(name) > 1 else name)
        known = zone.data.get((name, rdtype))
        ttl = int(parse_span(word.ttl)) if word.ttl is not None else (known.ttl if known else zone.ttls.records)
        values = texts(word.records)
        if not values:
            zone.put(name, rdtype, ttl, ())
            return
        put_records(zone, name, rdtype, ttl, values)
        if word.show and word.show < len(values):
            rotation = Rotation(tuple(zone.data[name, rdtype]), word.show, parse_span(word.every))
            zone.rotations[name, rdtype] = rotation
            zone.rotate(self._world.at)
            self._world.rotate_later(zone)

    # servers and the network

    def _servers(self, name: str) -> list[Server]:
        return self._world.servers_named(absolute(name)) if name else []

    def _places(self, word: say.ServerDown | say.ServerUp) -> Iterable[Server | Resolver]:
        if word.zone:
            zone = dns.name.from_text(word.zone)
            names = {server.name for server in self._world.servers.values() if zone in server.zones}
            return [server for name in sorted(names) for server in self._world.servers_named(name)]
        return [*self._servers(word.server), *self._resolvers(word.vantage)]

    def _resolvers(self, vantage: str) -> list[Resolver]:
        return [self._world.resolvers[vantage]] if vantage in self._world.resolvers else []

    @do.register
    def _(self, word: say.AddServer) -> None:
        server = Server(absolute(word.server), word.address)
        origin: dns.name.Name | None = None
        for text in texts(word.zones):
            real = self._zone(text)
            origin = origin or real.name
            server.zones[real.name] = self._impostor(real, word, origin) if word.impostor else real
        self._world.add_server(server)
        self._world.name_server(server)

    @staticmethod
    def _impostor(real: ZoneState, word: say.AddServer, origin: dns.name.Name) -> ZoneState:
        zone = ZoneState(real.name, ttls=real.ttls, is_signed=False, primary=absolute(word.server))
        server = records_of(real.name, RdataType.NS, [absolute(word.server)])
        zone.put(real.name, RdataType.NS, real.ttls.ns, server)
        for line in word.answers:
            owner, ttl, rdtype, data = parse_record(line)
            name = dns.name.from_text(owner, origin)
            if name.is_subdomain(real.name):
                put_records(zone, name, RdataType.from_text(rdtype), ttl, [data], add=True)
        return zone

    @do.register
    def _(self, word: say.ServerDown) -> None:
        for place in self._places(word):
            place.is_up = False

    @do.register
    def _(self, word: say.ServerUp) -> None:
        for place in self._places(word):
            place.is_up = True

    @do.register
    def _(self, word: say.Lame) -> None:
        for server in self._servers(word.server):
            server.lame.add(dns.name.from_text(word.zone))

    @do.register
    def _(self, word: say.Refuse) -> None:
        for place in self._all_or(word.server, word.vantage):
            place.rcode = int(dns.rcode.from_text(word.rcode))

    @do.register
    def _(self, word: say.Strip) -> None:
        for server in self._servers(word.server):
            server.strips = word.share > 0
        for resolver in self._resolvers(word.vantage):
            resolver.strips = word.share

    @do.register
    def _(self, word: say.Stale) -> None:
        zone = self._zone(word.zone)
        for server in self._servers(word.server):
            if zone.name in server.zones:
                server.stale[zone.name] = server.copy_of(zone.name)
        for resolver in self._resolvers(word.vantage):
            resolver.freeze(zone.name, zone.served_by(""))

    @do.register
    def _(self, word: say.CatchUp) -> None:
        zone = dns.name.from_text(word.zone)
        for server in self._servers(word.server):
            server.stale.pop(zone, None)
        for resolver in self._resolvers(word.vantage):
            resolver.freeze(zone, None)

    @do.register
    def _(self, word: say.Lose) -> None:
        for place in self._all_or(word.server, word.vantage):
            place.loss = word.share

    @do.register
    def _(self, word: say.Latency) -> None:
        for place in self._all_or(word.server, word.vantage):
            place.latency_s = parse_span(word.takes)

    def _all_or(self, server: str, vantage: str) -> Iterable[Server | Resolver]:
        if not server and not vantage:
            return [*self._world.every_server, *self._world.resolvers.values()]
        return [*self._servers(server), *self._resolvers(vantage)]

    @do.register
    def _(self, word: say.Restore) -> None:
        for server in self._servers(word.server):
            server.restore()
        for resolver in self._resolvers(word.vantage):
            resolver.restore()

    # resolvers

    @do.register
    def _(self, word: say.Lie) -> None:
        name, rdtype = dns.name.from_text(word.name), RdataType.from_text(word.type)
        part = Part(rcode=int(dns.rcode.from_text(word.rcode)), is_authoritative=False)
        if values := texts(word.records):
            rrset = dns.rrset.from_rdata_list(name, 300, records_of(dns.name.root, rdtype, values))
            part = Part(answer=(rrset,), is_authoritative=False)
        self._world.resolvers[word.vantage].tell(name, rdtype, Lie(part, word.to, word.ad))

    @do.register
    def _(self, word: say.StopLying) -> None:
        resolver = self._world.resolvers[word.vantage]
        name = dns.name.from_text(word.name) if word.name else None
        for owner, rdtype in [key for key in resolver.lies if name in (None, key[0])]:
            resolver.tell(owner, rdtype, None)

    @do.register
    def _(self, word: say.Nta) -> None:
        resolver, zone = self._world.resolvers[word.vantage], absolute(word.zone)
        anchors = [one for one in resolver.policy.negative_trust_anchors if one != zone]
        anchors += [] if word.off else [zone]
        resolver.policy = msgspec.structs.replace(resolver.policy, negative_trust_anchors=tuple(anchors))
        resolver.forget_verdicts()

    @do.register
    def _(self, word: say.Validates) -> None:
        self._world.resolvers[word.vantage].validates = word.on

    @do.register
    def _(self, word: say.Flush) -> None:
        self._world.resolvers[word.vantage].flush()

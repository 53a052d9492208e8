"""From what a scenario says that there is to a world at its start."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import dns.exception
import dns.name
import dns.rdatatype
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import Nsec3Params
from anchorwatch.replay.keys import ALGORITHMS, MNEMONICS, make_colliding, make_key
from anchorwatch.replay.language import KeySection, NewKey, ZoneSection
from anchorwatch.replay.resolvers import Resolver
from anchorwatch.replay.scenario import Scenario, ZonePlan
from anchorwatch.replay.servers import Server
from anchorwatch.replay.times import parse_span
from anchorwatch.replay.world import World
from anchorwatch.replay.zones import ENTRY_ROLES, HeldKey, Signing, Ttls, ZoneState, records_of
from collector.dnssec.anchors import TrustAnchors, parse_anchors
from collector.dnssec.policy import Policy

ROOT = dns.name.root
OWN_SERVERS = ("ns1", "ns2")


def texts(value: Sequence[str] | str) -> tuple[str, ...]:
    """Return one text or several as several."""
    return (value,) if isinstance(value, str) else tuple(value)


def default_keys(section: ZoneSection) -> dict[str, KeySection]:
    """Return the keys of a zone that names none."""
    return {"ksk": KeySection(role="ksk"), "zsk": KeySection(role="zsk")} if section.signed else {}


def with_implied(plans: tuple[ZonePlan, ...]) -> tuple[ZonePlan, ...]:
    """Return the zones from the root down, with the root and the top-level domains that the scenario does not name."""
    named = {plan.name: plan for plan in plans}
    wanted = {ROOT, *(name.split(2)[1] for name in named if len(name) >= 2)}
    for name in wanted - named.keys():
        section = ZoneSection()
        named[name] = ZonePlan(name, section, default_keys(section), {})
    return tuple(sorted(named.values(), key=lambda plan: (len(plan.name), plan.name)))


def server_names(plan: ZonePlan) -> tuple[str, ...]:
    """Return the names of a zone's servers, absolute."""
    if plan.servers:
        return tuple(absolute(name) for name in plan.servers)
    below = "" if plan.name == ROOT else plan.name.to_text()
    return tuple(f"{one}.{below}" for one in OWN_SERVERS)


def absolute(name: str) -> str:
    """Return a name in its one spelling: lower case, with the final dot."""
    return dns.name.from_text(name).to_text().lower()


def algorithm_number(value: int | str) -> int:
    """Return the number of an algorithm.

    Raises:
        ValueError: one that can't be signed with here.
    """
    text = str(value).upper()
    number = MNEMONICS.get(text, int(text) if text.isdigit() else -1)
    if number not in ALGORITHMS:
        raise ValueError(f"{value!r} is none of the algorithms {', '.join(map(str, sorted(ALGORITHMS)))}")
    return number


def build_world(scenario: Scenario) -> World:
    """Return the world at the start: everything is published, delegated and signed."""
    config = scenario.collector
    world = World(scenario.start.timestamp(), f"{scenario.seed}", timeout_s=config.timeout_s, attempts=config.attempts)
    addresses = _spare_addresses(scenario.zones)
    # Servers by address: the same one may have many zones, under one name or another.
    for plan in scenario.zones:
        zone = make_zone(plan, f"{scenario.seed}")
        servers = []
        for name in server_names(plan):
            given = next((ips for text, ips in plan.servers.items() if absolute(text) == name), ())
            for address in given or (next(addresses),):
                servers.append(world.server_at(address) or Server(name, address, loss=scenario.loss))
        zone.primary = server_names(plan)[0]
        world.add_zone(zone, servers)
    for plan in scenario.zones:
        _fill(world, plan)
    for zone in world.zones.values():
        world.sign(zone)
        world.rotate_later(zone)
    for name, section in scenario.vantages.items():
        if section.kind == "resolver":
            world.resolvers[name] = Resolver(
                name,
                world,
                world.anchors,
                world.epoch,
                validates=section.validates,
                policy=Policy(profile=section.profile),
                max_ttl_s=int(parse_span(section.max_ttl)),
                latency_s=parse_span(section.latency),
                loss=section.loss or scenario.loss,
            )
    return world


def _spare_addresses(plans: Iterable[ZonePlan]) -> Iterator[str]:
    """Yield addresses that no server of the scenario was given."""
    taken = {address for plan in plans for given in plan.servers.values() for address in given}
    return iter(
        address for number in itertools.count(1)
        if (address := f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}") not in taken
    )  # fmt: skip


def _fill(world: World, plan: ZonePlan) -> None:
    """Put the apex, the delegation, the servers' addresses and the records of a zone in their places."""
    zone = world.zones[plan.name]
    names = server_names(plan)
    zone.put(plan.name, RdataType.NS, zone.ttls.ns, records_of(ROOT, RdataType.NS, names))
    for name in names:
        if name in world.servers:
            world.name_server(world.servers[name])
    for owner, ttl, rdtype, data in map(parse_record, plan.records):
        put_records(zone, dns.name.from_text(owner, plan.name), RdataType.from_text(rdtype), ttl, [data], add=True)
    if plan.name != ROOT and plan.section.delegated:
        world.delegate(plan.name, names)
        has_ds = plan.section.signed if plan.section.ds is None else plan.section.ds
        if has_ds:
            world.set_ds(plan.name, zone.ds_of(zone.entry_keys, texts(plan.section.digests)))


def put_records(
    zone: ZoneState, owner: dns.name.Name, rdtype: RdataType, ttl: int | None, data: Sequence[str], *, add: bool = False
) -> None:
    """Give an owner records, ``add``: beside those that it has of this type."""
    values = records_of(zone.name, rdtype, data)
    known = zone.data.get((owner, rdtype)) if add else None
    given = ttl if ttl is not None else (known.ttl if known is not None else zone.ttls.records)
    zone.put(owner, rdtype, given, [*(known or ()), *values])


def parse_record(line: str) -> tuple[str, int | None, str, str]:
    """Return owner, TTL (None: the zone's), type and data of a line such as ``www 300 A 192.0.2.1``.

    Raises:
        ValueError: another form.
    """
    words = line.split()
    owner, rest = words[0] if words else "", words[1:]
    ttl = None
    while rest and (rest[0].isdigit() or rest[0].upper() == "IN"):
        ttl = int(rest[0]) if rest[0].isdigit() else ttl
        rest = rest[1:]
    if len(rest) < 2:
        raise ValueError(f"{line!r} is no record: 'OWNER [TTL] TYPE DATA' is expected, such as 'www A 192.0.2.1'")
    try:
        dns.rdatatype.from_text(rest[0])
    except dns.exception.DNSException:
        raise ValueError(f"{line!r}: {rest[0]!r} is no type of record") from None
    return owner, ttl, rest[0].upper(), " ".join(rest[1:])


def make_zone(plan: ZonePlan, seed: str) -> ZoneState:
    """Return a zone with its keys; nothing is in it yet."""
    section = plan.section
    ttl, signing = section.ttl, section.signing
    refresh = None if str(signing.refresh) == "never" else parse_span(signing.refresh)
    zone = ZoneState(
        plan.name,
        ttls=Ttls(*(int(parse_span(one)) for one in (ttl.records, ttl.keys, ttl.ns, ttl.ds, ttl.negative))),
        signing=Signing(
            validity_s=parse_span(signing.validity),
            refresh_s=refresh,
            jitter_s=parse_span(signing.jitter),
            inception_offset_s=parse_span(signing.inception_offset),
            key_validity_s=parse_span(signing.key_validity) if signing.key_validity else None,
        ),
        is_signed=section.signed,
        soa_fields=tuple(int(parse_span(one)) for one in (section.soa.refresh, section.soa.retry, section.soa.expire)),  # type: ignore[arg-type]
    )
    if section.nsec3 is not None:
        zone.nsec3 = nsec3_params(section.nsec3.iterations, section.nsec3.salt, section.nsec3.opt_out)
    _add_keys(zone, plan, seed)
    return zone


def _add_keys(zone: ZoneState, plan: ZonePlan, seed: str) -> None:
    """Make the keys of a zone; those that collide are made together."""
    for name, key in plan.keys.items():
        zone.keys[name] = new_key(zone, name, key, plan.section.algorithm, seed)
    for name, first in plan.keys.items():
        others = [other for other, key in plan.keys.items() if key.collides_with == name]
        if others:
            algorithm = algorithm_number(first.algorithm or plan.section.algorithm)
            entry = first.role in ENTRY_ROLES
            made = make_colliding(
                f"{seed}/{zone.name}/{name}", algorithm, len(others) + 1, entry=entry, bits=first.bits
            )
            for one, pair in zip((name, *others), made, strict=True):
                zone.keys[one].pair = pair


def nsec3_params(iterations: int, salt: str, opt_out: bool) -> Nsec3Params:
    """Return how a zone hashes its names."""
    return Nsec3Params(iterations, bytes.fromhex(salt), opt_out)


def new_key(zone: ZoneState, name: str, key: KeySection | NewKey, algorithm: int | str, seed: str) -> HeldKey:
    """Return a key for a zone."""
    number = algorithm_number(key.algorithm or algorithm)
    state = key.state if isinstance(key, KeySection) else "absent"
    pair = make_key(f"{seed}/{zone.name}/{name}/{number}", number, entry=key.role in ENTRY_ROLES, bits=key.bits)
    published, signing = state in ("active", "published"), state in ("active", "signing")
    return HeldKey(name, key.role, pair, published, signing)


def monitor_anchors(scenario: Scenario, world: World) -> TrustAnchors:
    """Return what the monitor trusts: the root's keys of these names, or those that sign its key set at the start."""
    root = world.zones[ROOT]
    keys = [root.keys[name] for name in scenario.trust_anchors] or root.entry_keys
    return parse_anchors("\n".join(f". IN DS {ds.to_text()}" for ds in root.ds_of(keys, ["SHA256"])), "scenario")

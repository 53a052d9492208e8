"""The authoritative servers of a zone and of its parent, each asked by itself."""

from collections.abc import Callable

import dns.message
import dns.name

from anchorwatch.lab.zones import Zone
from collector.dnssec.questions import FetchFailure
from collector.resolvers.dialogue import Question
from schemas.codes import Code
from tests.catalogue.case import SWEPT, Case, Deed
from tests.catalogue.deeds import adding, ds_of, once, publishing, removing, signed_from, spare, stripped
from tests.catalogue.keys import OWN, ROLLED
from tests.catalogue.signatures import DAY
from tests.support.internet import SILENCE
from tests.support.watched_world import ABOVE, NS, ZONE, Bend, WatchedWorld

SOA = f"ns1.{ZONE} host.{ZONE} {{}} 3600 600 {{}} 60"
NAMES = tuple(f"ns{number}.{ZONE}" for number in (1, 2, 3))
STANDBY = spare(51, entry=True)
TWO_DAYS_S, MONTH_S = 2 * 86_400, 30 * 86_400
SOME_SWEEPS, LONGER_THAN_A_TRANSFER = 25.0, 150.0


def apart(address: str, change: Callable[[WatchedWorld], None] = WatchedWorld.publish) -> Deed:
    """Have one server keep a copy of the zone of its own, with a change."""

    def copy(world: WatchedWorld) -> None:
        everywhere = world.zone
        world.zone = world.internet.copy_at(address, ZONE)
        change(world)
        world.zone = everywhere

    return copy


def together(*addresses: str, name: str = ZONE) -> Deed:
    """Have servers serve what all others do, as they should."""

    def mend(world: WatchedWorld) -> None:
        zone = world.internet.zones[name]
        for address in addresses:
            server = world.internet.servers[address]
            server.bend, server.zones[zone.name] = None, zone

    return mend


def bent(bend: Bend, address: str) -> Deed:
    return lambda world: world.internet.bend(address, bend)


def not_knowing(*addresses: str) -> Deed:
    """Have servers refuse the zone as none of theirs."""

    def change(world: WatchedWorld) -> None:
        for address in addresses:
            del world.internet.servers[address].zones[world.zone.name]

    return change


def silent(_: Question, __: dns.message.Message) -> FetchFailure:
    return SILENCE


def silent_in_one_sweep(world: WatchedWorld) -> None:
    world.internet.bend(NS[0], silent)
    before = world.internet.load[NS[0]]
    while world.internet.load[NS[0]] == before:
        world.run(20)
    world.run(20)
    together(NS[0])(world)


def parent_apart(world: WatchedWorld) -> None:
    copy = world.internet.copy_at(ABOVE[1], "test.")
    copy.remove(ZONE, "DS")
    copy.sign(world.at)


def parent_apart_for_a_while(world: WatchedWorld) -> None:
    parent_apart(world)
    world.run(1800)
    together(ABOVE[1], name="test.")(world)


def behind_for_a_while(world: WatchedWorld) -> None:
    """Publish a key under a new serial, which one secondary gets half an hour later."""
    world.internet.copy_at(NS[1], ZONE)
    world.zone.add("@", "SOA", SOA.format(2, 86_400))
    publishing(STANDBY)(world)
    world.run(1800)
    together(NS[1])(world)


def seldom_polled() -> WatchedWorld:
    """Return a world in which more sweeps are made than polls."""
    return WatchedWorld(interval_s=300.0, sweep_s=1200.0)


def with_two_addresses() -> WatchedWorld:
    world = WatchedWorld()
    adding("www", "A", "198.51.100.1", "198.51.100.2")(world)
    return world


def asking(*cds: str, cdnskey: str = "") -> Deed:
    """Publish a standby key, and CDS and CDNSKEY records."""

    def change(world: WatchedWorld) -> None:
        world.zone.add("@", "CDS", *cds)
        if cdnskey:
            world.zone.add("@", "CDNSKEY", cdnskey)
        publishing(STANDBY)(world)

    return change


def asking_no_more(world: WatchedWorld) -> None:
    world.zone.remove("@", "CDNSKEY")
    removing("@", "CDS")(world)


def asking_for_what_is_there(world: WatchedWorld) -> None:
    adding("@", "CDS", *ds_of(world.zone))(world)


def ds(*keys: int) -> list[str]:
    """Return the DS of the zone's own key (0), and of the standby key (1)."""
    zone = Zone(dns.name.from_text(ZONE))
    return [one for number in keys for one in ds_of(zone, (OWN[0], STANDBY)[number])]


CASES = (
    Case(
        code=Code.RRSIG_SHORTER_THAN_SOA_EXPIRE,
        happens="signatures live for two weeks, and the SOA says that a secondary serves them for a month",
        stage=adding("@", "SOA", SOA.format(2, MONTH_S)),
        heal=adding("@", "SOA", SOA.format(3, TWO_DAYS_S)),
        harmless="it says two days",
        near=adding("@", "SOA", SOA.format(2, TWO_DAYS_S)),
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.AUTH_SIGNATURE_DIVERGENCE,
        happens="the signatures of one secondary have ended",
        stage=apart(NS[1], signed_from(-20 * DAY, -DAY)),
        heal=together(NS[1]),
        harmless="one server signs the same data by itself",
        near=apart(NS[1]),
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.AUTH_DNSKEY_DIVERGENCE,
        happens="one server has a key more than the others",
        stage=apart(NS[1], publishing(spare(52))),
        heal=together(NS[1]),
        harmless="one secondary gets a new key half an hour after the others",
        near=behind_for_a_while,
        beside_near=ROLLED,
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.AUTH_DS_DIVERGENCE,
        happens="one server of the parent gives no DS",
        stage=parent_apart,
        heal=together(ABOVE[1], name="test."),
        harmless="it gives none for half an hour",
        near=parent_apart_for_a_while,
        settles_in=SWEPT,
        minutes=LONGER_THAN_A_TRANSFER,
        heals_in=90,
        made=seldom_polled,
    ),
    Case(
        code=Code.AUTH_ANSWER_DIVERGENCE,
        happens="one server has another address for a watched name, validly signed",
        stage=apart(NS[2], adding("www", "A", "203.0.113.66")),
        heal=together(NS[2]),
        harmless="one server has the same addresses in another order",
        near=apart(NS[2], adding("www", "A", "198.51.100.2", "198.51.100.1")),
        made=with_two_addresses,
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.AUTH_SERVER_UNSIGNED,
        happens="one server leaves out DNSSEC records",
        stage=bent(stripped, NS[2]),
        heal=together(NS[2]),
        harmless="it leaves them out of one response",
        near=bent(once(stripped), NS[2]),
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.AUTH_SERVER_UNREACHABLE,
        happens="one server does not answer",
        stage=bent(silent, NS[0]),
        heal=together(NS[0]),
        harmless="it does not answer in one sweep",
        near=silent_in_one_sweep,
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.DELEGATION_DANGLING,
        happens="all servers of the delegation refuse the zone",
        stage=not_knowing(*NS),
        heal=together(*NS),
        harmless="one of them does",
        near=not_knowing(NS[0]),
        beside=frozenset({Code.AUTH_SERVER_UNREACHABLE}),
        beside_near=frozenset({Code.AUTH_SERVER_UNREACHABLE}),
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.NS_PARENT_CHILD_MISMATCH,
        happens="the zone names two of the three servers that its parent names",
        stage=adding("@", "NS", *NAMES[:2]),
        heal=adding("@", "NS", *NAMES),
        harmless="the zone names them in another order and case",
        near=adding("@", "NS", *(name.upper() for name in reversed(NAMES))),
        settles_in=SWEPT,
        minutes=LONGER_THAN_A_TRANSFER,
        heals_in=90,
        made=seldom_polled,
    ),
    Case(
        code=Code.CDS_PENDING,
        happens="the zone asks for the DS of a standby key, and its parent does not follow",
        stage=asking(*ds(0, 1)),
        heal=asking_no_more,
        harmless="it asks for the DS that is there",
        near=asking_for_what_is_there,
        beside=ROLLED,
        settles_in=SWEPT,
        minutes=LONGER_THAN_A_TRANSFER,
        heals_in=90,
        made=seldom_polled,
    ),
    Case(
        code=Code.CDS_INVALID,
        happens="CDS and CDNSKEY are of different keys",
        stage=asking(*ds(0), cdnskey=STANDBY.record.to_text()),
        heal=asking_no_more,
        harmless="both are of the key whose DS is there",
        near=asking(*ds(0), cdnskey=OWN[0].record.to_text()),
        beside=ROLLED,
        beside_near=ROLLED,
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.CDS_DELETE_REQUESTED,
        happens="the zone asks its parent to remove the DS",
        stage=adding("@", "CDS", "0 0 0 00"),
        heal=asking_no_more,
        harmless="it asks for the DS that is there",
        near=asking_for_what_is_there,
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
)

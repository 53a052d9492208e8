"""The authoritative servers of a zone and of its parent, each asked by itself."""

from collections.abc import Callable

import dns.message
import dns.name

from anchorwatch.lab.zones import Zone
from collector.dnssec.questions import FetchFailure
from collector.resolvers.dialogue import Question
from schemas.codes import Code
from tests.catalogue.case import Case, Deed
from tests.catalogue.deeds import adding, ds_of, once, publishing, removing, signed_from, spare, stripped
from tests.catalogue.keys import OWN, ROLLED
from tests.catalogue.signatures import DAY
from tests.support.estate import ABOVE, NS, ZONE, Bend, Estate
from tests.support.internet import SILENCE

SOA = f"ns1.{ZONE} host.{ZONE} {{}} 3600 600 {{}} 60"
NAMES = tuple(f"ns{number}.{ZONE}" for number in (1, 2, 3))
STANDBY = spare(51, entry=True)
TWO_DAYS_S, MONTH_S = 2 * 86_400, 30 * 86_400
SOME_SWEEPS, LONGER_THAN_A_TRANSFER = 25.0, 150.0


def apart(address: str, change: Callable[[Estate], None] = Estate.publish) -> Deed:
    """Have one server keep a copy of the zone of its own, with a change."""

    def copy(estate: Estate) -> None:
        everywhere = estate.zone
        estate.zone = estate.internet.copy_at(address, ZONE)
        change(estate)
        estate.zone = everywhere

    return copy


def together(*addresses: str, name: str = ZONE) -> Deed:
    """Have servers serve what all others do, as they should."""

    def mend(estate: Estate) -> None:
        zone = estate.internet.zones[name]
        for address in addresses:
            server = estate.internet.servers[address]
            server.bend, server.zones[zone.name] = None, zone

    return mend


def bent(bend: Bend, address: str) -> Deed:
    return lambda estate: estate.internet.bend(address, bend)


def not_knowing(*addresses: str) -> Deed:
    """Have servers refuse the zone as none of theirs."""

    def change(estate: Estate) -> None:
        for address in addresses:
            del estate.internet.servers[address].zones[estate.zone.name]

    return change


def silent(_: Question, __: dns.message.Message) -> FetchFailure:
    return SILENCE


def silent_in_one_sweep(estate: Estate) -> None:
    estate.internet.bend(NS[0], silent)
    before = estate.internet.load[NS[0]]
    while estate.internet.load[NS[0]] == before:
        estate.run(20)
    estate.run(20)
    together(NS[0])(estate)


def parent_apart(estate: Estate) -> None:
    copy = estate.internet.copy_at(ABOVE[1], "test.")
    copy.remove(ZONE, "DS")
    copy.sign(estate.at)


def parent_apart_for_a_while(estate: Estate) -> None:
    parent_apart(estate)
    estate.run(1800)
    together(ABOVE[1], name="test.")(estate)


def behind_for_a_while(estate: Estate) -> None:
    """Publish a key under a new serial, which one secondary gets half an hour later."""
    estate.internet.copy_at(NS[1], ZONE)
    estate.zone.add("@", "SOA", SOA.format(2, 86_400))
    publishing(STANDBY)(estate)
    estate.run(1800)
    together(NS[1])(estate)


def with_two_addresses() -> Estate:
    estate = Estate()
    adding("www", "A", "198.51.100.1", "198.51.100.2")(estate)
    return estate


def asking(*cds: str, cdnskey: str = "") -> Deed:
    """Publish a standby key, and CDS and CDNSKEY records."""

    def change(estate: Estate) -> None:
        estate.zone.add("@", "CDS", *cds)
        if cdnskey:
            estate.zone.add("@", "CDNSKEY", cdnskey)
        publishing(STANDBY)(estate)

    return change


def asking_no_more(estate: Estate) -> None:
    estate.zone.remove("@", "CDNSKEY")
    removing("@", "CDS")(estate)


def asking_for_what_is_there(estate: Estate) -> None:
    adding("@", "CDS", *ds_of(estate.zone))(estate)


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
        minutes=LONGER_THAN_A_TRANSFER,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.AUTH_ANSWER_DIVERGENCE,
        happens="one server has another address for a watched name, validly signed",
        stage=apart(NS[2], adding("www", "A", "203.0.113.66")),
        heal=together(NS[2]),
        harmless="one server has the same addresses in another order",
        near=apart(NS[2], adding("www", "A", "198.51.100.2", "198.51.100.1")),
        made=with_two_addresses,
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
        minutes=LONGER_THAN_A_TRANSFER,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.CDS_PENDING,
        happens="the zone asks for the DS of a standby key, and its parent does not follow",
        stage=asking(*ds(0, 1)),
        heal=asking_no_more,
        harmless="it asks for the DS that is there",
        near=asking_for_what_is_there,
        beside=ROLLED,
        minutes=LONGER_THAN_A_TRANSFER,
        heals_in=SOME_SWEEPS,
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
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
)

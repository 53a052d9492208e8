"""Sweeps over servers in memory: each fault is named by the address of its server, and by nothing else."""

from datetime import timedelta

import dns.message
import dns.name
import dns.rrset
import pytest
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import Zone
from collector.authorities.roll import MOST_NAMES, MOST_TOLD
from collector.authorities.sweep import MOST_SERVERS, MOST_WATCHED, Sweeper, content_of
from collector.authorities.walk import Asked, Walker
from collector.config import Authorities
from collector.dnssec import names, records
from collector.dnssec.policy import Policy
from collector.resolvers.dialogue import Dialogues, Question
from schemas.judgement import Verdict
from schemas.messages import ServerSight, ServerStatus, SignatureState, ZoneSweep
from schemas.wire import decode, encode
from tests.support.internet import AT, SILENCE, Internet, Server

NS1, NS2, NS3 = "192.0.2.21", "192.0.2.22", "192.0.2.23"
ABOVE1, ABOVE2 = "192.0.2.11", "192.0.2.12"


class World(Internet):
    """``test.`` with two servers, ``zone.test.`` with three."""

    def __init__(self) -> None:
        super().__init__()
        self.add("test.", {"ns1.test.": [ABOVE1], "ns2.test.": [ABOVE2]})
        self.zone = self.add("zone.test.", {"ns1.zone.test.": [NS1], "ns2.zone.test.": [NS2], "ns3.zone.test.": [NS3]})
        self.zone.add("www", "A", "198.51.100.1")
        self.anchors = self.sign()
        self.sweeper: Sweeper | None = None

    def sweep(self, zone: str = "zone.test", *watched: str, allow_private: bool = True) -> ZoneSweep:
        config = Authorities(hints=self.hints, allow_private=allow_private)
        walker = Walker(config, self.instant)
        sweeper = Sweeper(config, walker, self.anchors, Policy(), self.instant)
        asked = [Asked(names.from_text(name), records.A) for name in watched]
        steps = sweeper.sweep(names.from_text(zone), asked, alarm=False)
        sweep = self.run(steps, Dialogues(self.instant, {config.vantage: walker.walk}))
        assert decode(encode(sweep)) == sweep
        return sweep


def sights(sweep: ZoneSweep, *, of_parent: bool = False) -> dict[str, ServerSight]:
    return {sight.server: sight for sight in sweep.servers if sight.of_parent is of_parent}


def statuses(sweep: ZoneSweep, *, of_parent: bool = False) -> dict[str, tuple[str, str]]:
    return {server: (sight.status, sight.signatures) for server, sight in sights(sweep, of_parent=of_parent).items()}


GOOD = ("answers", "valid")


@pytest.fixture
def world() -> World:
    return World()


def test_a_sweep_has_each_server_of_the_zone_and_of_its_parent(world: World) -> None:
    sweep = world.sweep("zone.test", "www.zone.test")

    assert statuses(sweep) == dict.fromkeys((NS1, NS2, NS3), GOOD)
    assert statuses(sweep, of_parent=True) == dict.fromkeys((ABOVE1, ABOVE2), GOOD)
    assert (sweep.verdict, sweep.parent, sweep.unresolved, sweep.evidence) == (Verdict.SECURE, "test.", (), None)
    one = sights(sweep)[NS1]
    assert one.answers == {"www.zone.test. A": ("198.51.100.1",)}
    assert one.ns == ("ns1.zone.test.", "ns2.zone.test.", "ns3.zone.test.")
    assert (one.name, one.serial, one.refresh_s, one.expire_s) == ("ns1.zone.test.", 1, 3600, 86400)
    assert len(one.keys) == 2
    above = sights(sweep, of_parent=True)[ABOVE1]
    assert (above.ns, len(above.ds), above.serial, above.refresh_s) == (one.ns, 1, 1, 3600)
    assert above.ds == tuple(text.upper() for text in world.zone.ds_records())
    assert {window.rrset for window in sweep.windows} >= {"zone.test. SOA", "zone.test. DNSKEY", "zone.test. NS"}


def test_a_stale_secondary_is_seen_by_its_serial(world: World) -> None:
    world.copy_at(NS2, "zone.test.")
    world.zone.add("@", "SOA", "ns1.zone.test. host.zone.test. 2 3600 600 86400 60")
    world.zone.sign(AT)

    sweep = world.sweep()

    assert {server: sight.serial for server, sight in sights(sweep).items()} == {NS1: 2, NS2: 1, NS3: 2}
    assert set(statuses(sweep).values()) == {GOOD}
    assert sweep.evidence is not None


def test_a_secondary_whose_signatures_ended_is_named(world: World) -> None:
    stale = world.copy_at(NS2, "zone.test.")
    stale.sign(AT, inception=AT - timedelta(days=20), expiration=AT - timedelta(days=1))

    sweep = world.sweep()

    assert statuses(sweep) == {NS1: GOOD, NS2: ("answers", "invalid"), NS3: GOOD}
    assert {reason.code for reason in sights(sweep)[NS2].reasons} == {"rrsig_expired"}
    assert all(reason.zone == "zone.test." for reason in sights(sweep)[NS2].reasons)


def test_a_zone_is_secure_in_each_sweep_as_long_as_one_server_is_good(world: World) -> None:
    for address in (NS1, NS2):
        world.copy_at(address, "zone.test.").sign(
            AT, inception=AT - timedelta(days=20), expiration=AT - timedelta(days=1)
        )

    sweeps = [world.sweep() for _ in range(8)]

    assert {sweep.verdict for sweep in sweeps} == {Verdict.SECURE}
    assert len({content_of(sweep) for sweep in sweeps}) == 1, "whichever server the chain met first"


def test_a_server_that_strips_dnssec_records_is_named(world: World) -> None:
    def strip(_: Question, response: dns.message.Message) -> dns.message.Message:
        for section in (response.answer, response.authority):
            section[:] = [rrset for rrset in section if rrset.rdtype not in (records.RRSIG, records.NSEC)]
        return response

    world.bend(NS3, strip)

    sweep = world.sweep()

    assert statuses(sweep) == {NS1: GOOD, NS2: GOOD, NS3: ("answers", "missing")}
    assert {reason.code for reason in sights(sweep)[NS3].reasons} == {"rrsig_missing"}


def test_a_lame_server_is_named(world: World) -> None:
    del world.servers[NS2].zones[world.zone.name]
    world.servers[NS3].zones = {zone.name: zone for zone in (world.zones["."],)}

    sweep = world.sweep()

    assert statuses(sweep)[NS2] == ("refuses", "unknown")
    assert sights(sweep)[NS2].detail == "it answers REFUSED"
    assert statuses(sweep)[NS3] == ("lame", "unknown")
    assert statuses(sweep)[NS1] == GOOD


def test_a_silent_server_is_named_and_asked_nothing_more(world: World) -> None:
    world.bend(NS1, SILENCE)

    sweep = world.sweep()

    assert statuses(sweep) == {NS1: ("silent", "unknown"), NS2: GOOD, NS3: GOOD}
    swept = [question for question in world.asked if question.server == NS1 and question.attempts == 3]
    assert [question.rdtype for question in swept] == [records.SOA]


def test_names_of_servers_that_lead_nowhere_are_named(world: World) -> None:
    names_of_servers = ("ns1.zone.test.", "gone.zone.test.", "www.zone.test.", "alias.zone.test.")
    world.zone.add("@", "NS", *names_of_servers)
    world.zone.add("alias", "CNAME", "ns1")
    world.zone.add("ns.empty", "TXT", "nothing")
    world.zones["test."].add("zone.test.", "NS", *names_of_servers, "ns.empty.zone.test.")
    world.sign()

    sweep = world.sweep()

    said = dict(one.split(": ", 1) for one in sweep.unresolved)
    assert said == {
        "gone.zone.test.": "it does not exist",
        "alias.zone.test.": "it is an alias, where RFC 2181 §10.3 wants an address",
        "ns.empty.zone.test.": "it has no address",
    }
    assert statuses(sweep)[NS1] == GOOD


def test_servers_that_only_the_zone_itself_names_are_asked_too(world: World) -> None:
    world.zones["test."].add("zone.test.", "NS", "ns1.zone.test.")
    world.zones["test."].sign(AT)

    sweep = world.sweep()

    assert set(statuses(sweep)) == {NS1, NS2, NS3}
    assert {sight.ns for sight in sights(sweep, of_parent=True).values()} == {("ns1.zone.test.",)}


def test_parent_servers_with_another_ds_set_are_told_apart(world: World) -> None:
    stale = world.copy_at(ABOVE2, "test.")
    stale.remove("zone.test.", "DS")
    stale.sign(AT)

    sweep = world.sweep()

    above = sights(sweep, of_parent=True)
    assert (len(above[ABOVE1].ds), above[ABOVE2].ds) == (1, ())
    assert above[ABOVE2].signatures is SignatureState.VALID


def test_a_zone_that_is_not_signed_has_no_signatures_to_judge(world: World) -> None:
    world.add("plain.test.", {"ns.plain.test.": ["192.0.2.31"]}, keys=[])
    world.anchors = world.sign()

    sweep = world.sweep("plain.test")

    assert (sweep.verdict, statuses(sweep)) == (Verdict.INSECURE, {"192.0.2.31": ("answers", "unknown")})
    assert sweep.parent == "test."
    assert statuses(sweep, of_parent=True) == dict.fromkeys((ABOVE1, ABOVE2), GOOD)


def test_the_root_has_no_parent(world: World) -> None:
    sweep = world.sweep(".")

    assert (sweep.parent, statuses(sweep)) == ("", {"192.0.2.1": GOOD})


def test_private_addresses_are_asked_only_where_that_is_allowed(world: World) -> None:
    sweep = world.sweep("test", allow_private=False)

    assert {sight.status for sight in sights(sweep).values()} == {ServerStatus.NOT_ASKED}
    assert set(world.load) == {"192.0.2.1"}, "the root's address is one of the configuration"


def test_what_is_beyond_the_bound_is_told_as_not_asked(world: World) -> None:
    servers = {f"n{number}.big.test.": [f"203.0.113.{number}", f"203.0.114.{number}"] for number in range(1, 25)}
    zone = world.add("big.test.", servers)
    hosts = [f"h{number:02}.big.test" for number in range(20)]
    for host in hosts:
        zone.add(f"{host}.", "A", "198.51.100.9")
    world.anchors = world.sign()

    sweep = world.sweep("big.test", *hosts)

    found = sights(sweep)
    asked = [sight for sight in found.values() if sight.status is ServerStatus.ANSWERS]
    assert len(found) == 48, "those beyond are known by their glue"
    assert len(asked) == MOST_SERVERS
    assert {sight.detail for sight in found.values()} == {"", f"more than {MOST_SERVERS} servers"}
    assert {len(sight.answers) for sight in asked} == {MOST_WATCHED}


def test_a_zone_whose_servers_name_ever_more_servers_costs_a_bounded_sweep(world: World) -> None:
    """Each server gives another NS set, with names that lead on and names that lie in a zone of somebody else."""
    world.add("victim.test.", {"ns.victim.test.": ["192.0.2.71"]})
    world.add("chain.test.", {"n0.chain.test.": ["203.0.113.0"]})
    for number in range(40):
        server = world.servers.setdefault(f"203.0.113.{number}", Server())
        zone = Zone(dns.name.from_text("chain.test."), keys=[], ttl=60)
        victims = [f"v{number}x{victim}.victim.test." for victim in range(100)]
        zone.add("@", "NS", f"n{number}", f"n{number + 1}", *victims)
        for other in range(41):
            zone.add(f"n{other}", "A", f"203.0.113.{other}")
        zone.sign(AT)
        server.zones[zone.name] = zone
    world.anchors = world.sign()
    world.asked.clear()

    sweep = world.sweep("chain.test")

    assert len(sights(sweep)) <= MOST_SERVERS
    assert len(sweep.unresolved) <= MOST_NAMES + 2 * MOST_TOLD
    assert world.load["192.0.2.71"] <= 2 * MOST_NAMES
    assert len(world.asked) <= 150


def test_silence_of_all_is_our_own_network_where_the_root_is_silent_too(world: World) -> None:
    sweep = world.sweep("zone.test")
    for address in (NS1, NS2, NS3):
        world.bend(address, SILENCE)
    assert {status for status, _ in statuses(world.sweep()).values()} == {"silent"}

    for address in (ABOVE1, ABOVE2, "192.0.2.1"):
        world.bend(address, SILENCE)
    sweep = world.sweep()

    assert {sight.status for sight in sweep.servers} <= {ServerStatus.NOT_ASKED}


@pytest.mark.parametrize("works", [False, True])
def test_silence_over_ipv6_is_a_servers_fault_only_where_ipv6_is_known_to_work(world: World, works: bool) -> None:
    dark = "2001:db8::21"
    world.add("both.test.", {"ns.both.test.": ["192.0.2.31", dark]})
    world.anchors = world.sign()
    world.bend(dark, SILENCE)
    world.hints = {"a.root.": ("192.0.2.1", "2001:db8::1")}
    if works:
        world.servers["2001:db8::1"] = world.servers["192.0.2.1"]

    sweep = world.sweep("both.test")

    found = sights(sweep)
    assert found["192.0.2.31"].status is ServerStatus.ANSWERS
    expected = (
        (ServerStatus.SILENT, "no answer")
        if works
        else (
            ServerStatus.NOT_ASKED,
            "no server answers over IPv6 from here",
        )
    )
    assert (found[dark].status, found[dark].detail) == expected


def test_a_server_is_asked_over_ipv6_where_it_has_no_other_address(world: World) -> None:
    world.add("six.test.", {"ns.six.test.": ["2001:db8::31"]}).add("www", "A", "198.51.100.6")
    world.anchors = world.sign()

    sweep = world.sweep("six.test", "www.six.test")

    assert statuses(sweep) == {"2001:db8::31": GOOD}
    assert sweep.verdict is Verdict.SECURE


def test_data_changed_after_signing_are_named_with_their_name_at_each_server(world: World) -> None:
    name = dns.name.from_text("www.zone.test.")
    world.zone.rrsets[name, RdataType.A] = dns.rrset.from_text(name, 3600, "IN", "A", "203.0.113.66")

    sweep = world.sweep("zone.test", "www.zone.test")

    assert statuses(sweep) == dict.fromkeys((NS1, NS2, NS3), ("answers", "invalid"))
    said = {(reason.code, reason.rrset) for sight in sights(sweep).values() for reason in sight.reasons}
    assert said == {("rrsig_crypto_invalid", "www.zone.test. A")}
    assert sweep.verdict is Verdict.SECURE, "the chain down to the zone is good"


def test_what_a_sweep_costs_is_known_beforehand(world: World) -> None:
    world.sweep("zone.test", "www.zone.test")

    by_sweep = [question for question in world.asked if question.attempts == 3]
    assert len(by_sweep) == 2 * 3 + 3 * 6
    assert len(world.asked) - len(by_sweep) <= 30, "the chain, and the names of the servers"

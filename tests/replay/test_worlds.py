"""The world answers as DNS does: referrals, caches, denials, and what validating resolvers tell their clients."""

import dns.dnssec
import dns.name
import dns.node
import dns.rdataset
import dns.rrset
import pytest
from dns.rdatatype import RdataType

from anchorwatch.replay.keys import make_colliding, make_key
from anchorwatch.replay.setting import build_world
from collector.dnssec import names, records
from collector.dnssec.message import AA, AD, NXDOMAIN, RA, SERVFAIL
from tests.support.scenarios import Asked

TEXT = """\
scenario: world
lasts: 30d
zones:
  example: {ttl: {negative: 10m}, nsec3: {opt_out: true}}
  bank.example:
    ttl: {records: 5m, negative: 1m, ns: 1h}
    servers: {ns1.bank.example: 192.0.2.1, ns2.bank.example: 192.0.2.2}
    records: [www A 192.0.2.10, "*.wild A 192.0.2.11", alias CNAME www, away CNAME www.plain.example., "old DNAME new",
              www.new A 192.0.2.12]
  plain.example: {signed: false, ttl: {records: 5m}, records: [www A 192.0.2.20]}
inventory: [{id: sa, endpoints: [{host: www.bank.example, types: [A]}]}]
"""


def asked(steps: str = "") -> Asked:
    return Asked(TEXT + ("steps:\n" + steps if steps else ""))


def test_signed_data_come_authentic_with_their_signatures_and_to_plain_clients_without() -> None:
    world = asked()

    told = world.ask("www.bank.example")
    plain = world.ask("www.bank.example", edns=False)

    assert told.flags & AD
    assert told.flags & RA
    assert len(told.answer[names.from_text("www.bank.example"), records.A].signatures) == 1
    assert not plain.flags & AD, "AD is for those who ask for it: RFC 6840 §5.8"
    assert not plain.answer[names.from_text("www.bank.example"), records.A].signatures
    assert not world.ask("www.plain.example").flags & AD


@pytest.mark.parametrize(
    ("name", "rdtype", "rcode", "authentic"),
    [
        ("nothing.bank.example", "A", NXDOMAIN, True),
        ("www.bank.example", "AAAA", 0, True),
        ("x.wild.bank.example", "A", 0, True),
        ("x.wild.bank.example", "AAAA", 0, True),
        ("alias.bank.example", "A", 0, True),
        ("www.old.bank.example", "A", 0, True),
        ("away.bank.example", "A", 0, False),
        ("plain.example", "DS", 0, False),
        ("gone.example", "A", NXDOMAIN, False),
        ("bank.example", "DS", 0, True),
        ("bank.example", "DNSKEY", 0, True),
        ("www.plain.example", "AAAA", 0, False),
    ],
)
def test_what_a_validating_resolver_says_of_each_kind_of_answer(
    name: str, rdtype: str, rcode: int, authentic: bool
) -> None:
    told = asked().ask(name, rdtype)

    assert told.rcode == rcode
    assert bool(told.flags & AD) is authentic, "of a span with opt-out nothing is authentic: RFC 5155 §9.2"


def test_an_independent_validator_accepts_the_signatures() -> None:
    world = build_world(asked().scenario)
    zone = world.zones[dns.name.from_text("bank.example.")].served_by("ns1.bank.example.")
    keys: dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset] = {
        zone.name: zone.rrsets[zone.name, RdataType.DNSKEY]
    }

    for key, rrset in zone.rrsets.items():
        if (signatures := zone.signatures.get(key)) is not None:
            dns.dnssec.validate(rrset, signatures, keys, now=world.at)


def test_a_server_refers_to_the_zone_below_with_glue_and_answers_with_authority_for_its_own() -> None:
    world = asked()
    (tld,) = {server.address for server in world.world.every_server if server.name == "ns1.example."}

    referral = world.ask("www.bank.example", server=tld)
    own = world.ask("www.bank.example", server="192.0.2.1")

    assert not referral.flags & AA
    assert not referral.answer
    assert {key[1] for key in referral.authority} == {records.NS, records.DS}
    assert own.flags & AA
    assert not own.flags & RA
    unsigned = world.ask("www.plain.example", server=tld)
    assert {key[1] for key in unsigned.authority} == {records.NS, records.NSEC3}
    assert world.ask("bank.example", "DS", server=tld).flags & AA, "the DS belongs to the parent"
    assert world.ask("www.shop.test", server="192.0.2.1").rcode == 5


def test_an_answer_is_kept_until_its_ttl_ends_and_a_denial_as_the_soa_says() -> None:
    world = asked("  - at: 10\n    answer: {name: www.bank.example, records: 192.0.2.99}\n")

    assert world.at(1).ttl(world.ask("www.bank.example"), "www.bank.example") == 300
    assert world.at(200).ttl(world.ask("www.bank.example"), "www.bank.example") == 101
    assert world.data(world.ask("www.bank.example"), "www.bank.example") == ["192.0.2.10"]
    assert world.data(world.at(301).ask("www.bank.example"), "www.bank.example") == ["192.0.2.99"]


def test_a_denial_is_kept_for_the_negative_ttl() -> None:
    world = asked("  - at: 10\n    answer: {name: fresh.bank.example, records: 192.0.2.99}\n")

    assert world.at(1).ask("fresh.bank.example").rcode == NXDOMAIN
    assert world.at(60).ask("fresh.bank.example").rcode == NXDOMAIN
    assert world.at(62).ask("fresh.bank.example").rcode == 0


def test_what_is_bogus_is_servfail_with_an_extended_error_and_data_for_those_who_check_themselves() -> None:
    world = asked("  - at: 10\n    corrupt: {zone: bank.example, rrset: www A}\n").at(10)

    told, unchecked = world.ask("www.bank.example"), world.ask("www.bank.example", cd=True)

    assert (told.rcode, [code for code, _ in told.ede]) == (SERVFAIL, [6])
    assert world.data(unchecked, "www.bank.example") == ["192.0.2.10"]
    assert world.ask("alias.bank.example").rcode == SERVFAIL
    assert world.ask("x.wild.bank.example").rcode == 0, "only what was corrupted is bogus"


def test_expired_signatures_are_said_to_be() -> None:
    world = asked("  - at: 10\n    expire: {zone: bank.example, rrset: www A}\n").at(10)

    assert [code for code, _ in world.ask("www.bank.example").ede] == [7]


def test_a_negative_trust_anchor_gives_bogus_data_without_ad() -> None:
    steps = "  - at: 10\n    corrupt: {zone: bank.example, rrset: www A}\n"
    told = asked(steps + "    nta: {vantage: resolver, zone: bank.example}\n").at(10).ask("www.bank.example")

    assert told.rcode == 0
    assert not told.flags & AD
    assert [code for code, _ in told.ede] == [33]


def test_a_silent_or_lame_server_costs_time_and_the_other_one_answers() -> None:
    steps = "  - at: 10\n    server_down: ns1.bank.example\n  - at: 4000\n    server_up: ns1.bank.example\n"
    world = asked(steps + "    lame: {server: ns1.bank.example, zone: bank.example}\n")
    took = []
    for now in (20, 400, 4100, 4500):
        assert world.at(now).ask("www.bank.example").rcode == 0
        took.append(world.took_s)

    assert max(took[:2]) > 0.4
    assert max(took[2:]) < 0.4


def test_a_zone_whose_servers_are_all_silent_is_servfail_for_seconds() -> None:
    steps = "  - at: 10\n    server_down: {zone: bank.example}\n  - at: 20\n    server_up: {zone: bank.example}\n"
    world = asked(steps)

    told = world.at(15).ask("www.bank.example", cd=True)
    assert (told.rcode, [code for code, _ in told.ede]) == (SERVFAIL, [22])
    assert world.at(30).ask("www.bank.example").rcode == 0


def test_a_stale_server_answers_from_its_old_copy_until_it_catches_up() -> None:
    steps = (
        "  - at: 10\n    stale: {server: ns2.bank.example, zone: bank.example}\n"
        "    answer: {name: www.bank.example, records: 192.0.2.99}\n"
        "  - at: 100\n    catch_up: {server: ns2.bank.example, zone: bank.example}\n"
    )
    world = asked(steps).at(20)

    def of(address: str) -> list[str]:
        return world.data(world.ask("www.bank.example", server=address), "www.bank.example")

    assert (of("192.0.2.1"), of("192.0.2.2")) == (["192.0.2.99"], ["192.0.2.10"])
    world.at(100)
    assert of("192.0.2.2") == ["192.0.2.99"]


def test_a_fault_at_one_server_is_at_no_other() -> None:
    steps = (
        "  - at: 10\n    corrupt: {zone: bank.example, rrset: www A, field: signatures, servers: ns2.bank.example}\n"
    )
    world = asked(steps).at(10)
    key = names.from_text("www.bank.example"), records.A

    assert world.ask("www.bank.example", server="192.0.2.1").answer[key].signatures
    assert not world.ask("www.bank.example", server="192.0.2.2").answer[key].signatures


def test_an_impostor_answers_for_a_zone_that_is_delegated_to_it() -> None:
    steps = (
        "  - at: 10\n    drop_ds: bank.example\n"
        "    add_server: {server: ns.evil.test, address: 203.0.113.1, zones: bank.example, impostor: true,"
        " answers: [www A 203.0.113.9]}\n"
        "    set_ns: {zone: bank.example, servers: ns.evil.test, where: parent}\n"
    )
    world = asked(steps)
    assert world.at(1).data(world.ask("www.bank.example"), "www.bank.example") == ["192.0.2.10"]

    assert world.at(3700).data(world.ask("www.bank.example", cd=True), "www.bank.example") == ["203.0.113.9"]
    assert world.ask("www.bank.example").rcode == SERVFAIL, "the DS is kept for a day"
    assert world.at(90_000).data(world.ask("www.bank.example"), "www.bank.example") == ["203.0.113.9"]


def test_a_zone_signs_itself_again_before_its_signatures_end_unless_its_signer_stalls() -> None:
    world = asked("  - at: 3d\n    stall: bank.example\n")

    def ends() -> int:
        answer = world.ask("www.bank.example").answer[names.from_text("www.bank.example"), records.A]
        return (answer.signatures[0].expiration - int(world.world.epoch)) // 86_400

    assert world.at(86_400).ask("www.bank.example").rcode == 0
    assert ends() == 14
    assert world.at(9 * 86_400).ask("www.bank.example").rcode == 0
    assert ends() == 14
    assert world.at(15 * 86_400).ask("www.bank.example").rcode == SERVFAIL


def test_keys_come_from_their_seed_and_collide_on_demand() -> None:
    first, again = (make_key("a", 13, entry=True) for _ in range(2))
    tags = {key.tag for key in make_colliding("a", 13, 3, entry=False)}
    rrset = dns.rrset.from_text("www.example.", 60, "IN", "A", "192.0.2.1")
    zone = dns.name.from_text("example.")

    assert first.record == again.record != make_key("b", 13, entry=True).record
    assert len(tags) == 1
    for algorithm in (5, 7, 8, 10, 13, 14, 15, 16):
        key = make_key("a", algorithm, entry=False, bits=1024)
        made = [key.sign(rrset, zone, 1_700_000_000, 1_800_000_000) for _ in range(2)]
        assert made[0] == made[1], f"algorithm {algorithm} signs the same octets in each run"

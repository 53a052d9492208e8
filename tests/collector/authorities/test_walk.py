"""Walks over servers in memory: what is asked of whom, how much, and what is believed."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from collector.authorities.delegations import LONGEST_S, MOST_SERVERS
from collector.authorities.effort import (
    DEEPEST,
    MOST_LOOKUPS,
    MOST_LOOKUPS_A_DELEGATION,
    MOST_QUESTIONS,
    MOST_SILENCES,
)
from collector.authorities.walk import FEW_SILENCES, MOST_MINIMISED, Walker
from collector.config import Authorities
from collector.dnssec import names, records
from collector.dnssec.message import FormError, Response, read_response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.dialogue import Dialogues, Question
from collector.resolvers.view import View
from schemas.judgement import Judgement, Verdict
from tests.support.internet import AT, SILENCE, Internet, Server


class World(Internet):
    """``test.`` with two servers, ``zone.test.`` with two of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.add("test.", {"ns1.test.": ["192.0.2.11"], "ns2.test.": ["192.0.2.12"]})
        zone = self.add("zone.test.", {"ns1.zone.test.": ["192.0.2.21"], "ns2.zone.test.": ["192.0.2.22"]})
        zone.add("www", "A", "198.51.100.1")
        zone.add("a.b.c", "A", "198.51.100.2")
        zone.add("alias", "CNAME", "www.elsewhere.test.")

    def walker(self, *, allow_private: bool = True) -> Walker:
        return Walker(Authorities(hints=self.hints, allow_private=allow_private), self.instant)

    def ask(self, name: str, rdtype: str = "A", walker: Walker | None = None, attempts: int | None = None) -> Reply:
        walker = walker or self.walker()
        question = Question("auth", names.from_text(name), records.type_from_text(rdtype), attempts=attempts)
        return self.run(walker.walk(question))

    def judge(self, name: str, rdtype: str = "A") -> Judgement:
        anchors = self.sign()
        walker = self.walker()
        view = View("auth", anchors, Policy(), self.instant, is_resolver=False)
        dialogues = Dialogues(self.instant, {"auth": walker.walk})
        steps = view.judge(names.from_text(name), records.type_from_text(rdtype))
        return self.run(steps, dialogues).judgement

    @property
    def shown(self) -> list[str]:
        return [f"{names.to_text(q.name)} {records.type_to_text(q.rdtype)}" for q in self.asked]


def addresses(reply: Reply, name: str) -> list[str]:
    assert isinstance(reply, Response), reply
    rrset = reply.answer[names.from_text(name), records.A]
    return [records.rdata_to_text(records.A, rdata) for rdata in rrset.rdatas]


@pytest.fixture
def world() -> World:
    return World()


def test_a_walk_shows_each_server_no_more_of_the_name_than_it_needs(world: World) -> None:
    world.sign()

    reply = world.ask("www.zone.test")

    assert addresses(reply, "www.zone.test") == ["198.51.100.1"]
    assert world.shown == ["test. A", "zone.test. A", "www.zone.test. A"]
    assert [question.server[:9] for question in world.asked] == ["192.0.2.1", "192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize(
    ("name", "rdtype", "verdict"),
    [
        ("www.zone.test", "A", "secure"),
        ("www.zone.test", "AAAA", "secure"),
        ("nowhere.zone.test", "A", "secure"),
        ("a.b.c.zone.test", "A", "secure"),
        ("b.c.zone.test", "A", "secure"),
        ("zone.test", "DS", "secure"),
        ("zone.test", "DNSKEY", "secure"),
        (".", "NS", "secure"),
    ],
)
def test_what_a_walk_finds_is_validated_like_the_word_of_a_resolver(
    world: World, name: str, rdtype: str, verdict: str
) -> None:
    judgement = world.judge(name, rdtype)

    assert judgement.verdict == verdict, judgement.reasons
    assert judgement.resolver is None


# what servers may and may not make us believe


def test_a_ds_question_goes_to_the_parent_although_the_child_is_known(world: World) -> None:
    world.sign()
    walker = world.walker()
    world.ask("www.zone.test", walker=walker)
    world.asked.clear()

    reply = world.ask("zone.test", "DS", walker)

    assert isinstance(reply, Response)
    assert (names.from_text("zone.test"), records.DS) in reply.answer
    assert world.load.keys() <= {"192.0.2.11", "192.0.2.12"}


def test_a_parent_and_child_on_one_server_are_told_apart() -> None:
    world = World()
    both = {"ns1.test.": ["192.0.2.11"], "ns2.test.": ["192.0.2.12"]}
    world.add("shared.test.", both).add("www", "A", "198.51.100.7")
    world.add("below.shared.test.", {"ns.below.shared.test.": ["192.0.2.41"]}).add("www", "A", "198.51.100.8")

    assert world.judge("www.shared.test").verdict is Verdict.SECURE
    assert world.judge("www.below.shared.test").verdict is Verdict.SECURE
    chain = world.judge("www.below.shared.test").chain
    assert [link.zone for link in chain] == [".", "test.", "shared.test.", "below.shared.test."]


def test_glue_outside_the_zone_of_the_server_that_refers_is_not_believed(world: World) -> None:
    world.add("other.", {"ns.other.": ["192.0.2.51"]})
    world.add("victim.test.", {"ns.other.": ["192.0.2.52"]}).add("www", "A", "198.51.100.3")
    world.zones["other."].add("ns.victim-server", "A", "192.0.2.52")
    world.zones["test."].add("victim.test.", "NS", "ns.victim-server.other.")
    world.sign()

    def poison(question: Question, response: dns.message.Message) -> dns.message.Message:
        if question.name[:2] == names.from_text("victim.test"):
            response.additional.append(dns.rrset.from_text("ns.victim-server.other.", 60, "IN", "A", "192.0.2.66"))
        return response

    for address in ("192.0.2.11", "192.0.2.12"):
        world.bend(address, poison)

    reply = world.ask("www.victim.test")

    assert addresses(reply, "www.victim.test") == ["198.51.100.3"]
    assert "192.0.2.66" not in world.load


def test_records_of_other_zones_are_taken_out_of_an_answer(world: World) -> None:
    world.add("elsewhere.test.", {"ns.elsewhere.test.": ["192.0.2.61"]}, keys=[]).add("www", "A", "198.51.100.5")

    def add_target(question: Question, response: dns.message.Message) -> dns.message.Message:
        if question.name == names.from_text("alias.zone.test"):
            response.answer.append(dns.rrset.from_text("www.elsewhere.test.", 60, "IN", "A", "203.0.113.66"))
        return response

    for address in ("192.0.2.21", "192.0.2.22"):
        world.bend(address, add_target)

    judgement = world.judge("alias.zone.test")

    assert judgement.answers == (
        "alias.zone.test. CNAME www.elsewhere.test.",
        "www.elsewhere.test. A 198.51.100.5",
    )
    assert [link.zone for link in judgement.links] == ["zone.test.", "elsewhere.test."]


def test_a_record_that_was_taken_out_is_not_in_the_evidence_either(world: World) -> None:
    world.sign()
    world.bend("192.0.2.21", lambda _, response: _with_junk(response))
    world.bend("192.0.2.22", lambda _, response: _with_junk(response))

    reply = world.ask("www.zone.test")

    assert isinstance(reply, Response)
    again = read_response(reply.wire)
    assert (again.answer, again.authority) == (reply.answer, reply.authority)
    assert {owner for owner, _ in again.answer} == {names.from_text("www.zone.test")}
    assert again.answer[names.from_text("www.zone.test"), records.A].signatures


def _with_junk(response: dns.message.Message) -> dns.message.Message:
    response.answer.append(dns.rrset.from_text("www.bank.example.", 60, "IN", "A", "203.0.113.66"))
    return response


@pytest.mark.parametrize(
    ("authority", "detail"),
    [
        (". 60 IN NS a.root.", "refers back to the servers of ."),
        ("zone.test. 60 IN NS ns1.zone.test.", "refers back to the servers of zone.test."),
        ("bank.example. 60 IN NS ns.bank.example.", "refers to the servers of bank.example., which is elsewhere"),
        ("test. 60 IN SOA ns. host. 1 2 3 4 5", "without authority"),
    ],
)
def test_a_server_that_does_not_know_its_zone_is_passed_over(world: World, authority: str, detail: str) -> None:
    world.sign()

    def be_lame(question: Question, response: dns.message.Message) -> dns.message.Message:
        response.answer, response.flags = [], dns.flags.from_text("QR")
        owner, ttl, _, rdtype, data = authority.split(maxsplit=4)
        response.authority = [dns.rrset.from_text(owner, int(ttl), "IN", rdtype, data)]
        return response

    world.bend("192.0.2.21", be_lame)

    for _ in range(8):
        walker = world.walker()
        assert addresses(world.ask("www.zone.test", walker=walker), "www.zone.test") == ["198.51.100.1"]
        assert addresses(world.ask("www.zone.test", walker=walker), "www.zone.test") == ["198.51.100.1"]
    assert world.load["192.0.2.21"] <= 8, "once a walker: a lame server is not asked first again"

    world.bend("192.0.2.22", be_lame)
    failure = world.ask("www.zone.test")

    assert isinstance(failure, FetchFailure)
    assert (failure.kind, failure.servers_of) == ("lame", names.from_text("zone.test"))
    assert detail in failure.detail


def test_an_answer_without_authority_is_the_last_resort(world: World) -> None:
    world.sign()

    def forward(_: Question, response: dns.message.Message) -> dns.message.Message:
        response.flags &= ~dns.flags.AA
        return response

    world.bend("192.0.2.21", forward)
    for _ in range(8):
        world.ask("www.zone.test")
    assert world.load["192.0.2.22"] == 8, "the one with authority decides"

    world.bend("192.0.2.22", forward)

    assert addresses(world.ask("www.zone.test"), "www.zone.test") == ["198.51.100.1"]


def test_private_addresses_in_a_delegation_are_not_asked() -> None:
    world = World()
    world.add("inner.test.", {"ns.inner.test.": ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1"]})
    world.sign()
    walker = Walker(Authorities(hints=world.hints, stubs={"test.": ("192.0.2.11",)}), world.instant)

    failure = world.ask("www.inner.test", walker=walker)

    assert isinstance(failure, FetchFailure)
    assert failure.servers_of == names.from_text("inner.test")
    assert "10.0.0.1 is no public address" in failure.detail
    assert world.load.keys() == {"192.0.2.11"}


def test_a_dark_name_is_found_by_asking_the_whole_name_where_shorter_ones_are_denied(world: World) -> None:
    world.sign()

    def deny_empty(question: Question, response: dns.message.Message) -> dns.message.Message:
        if names.to_text(question.name) in ("c.zone.test.", "b.c.zone.test."):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    for address in ("192.0.2.21", "192.0.2.22"):
        world.bend(address, deny_empty)

    assert addresses(world.ask("a.b.c.zone.test"), "a.b.c.zone.test") == ["198.51.100.2"]


def test_a_name_of_many_labels_is_not_shown_label_by_label_for_ever(world: World) -> None:
    long = ".".join("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz") + ".zone.test"
    world.zones["zone.test."].add(long + ".", "A", "198.51.100.4")
    world.sign()

    reply = world.ask(long)

    assert addresses(reply, long) == ["198.51.100.4"]
    assert len(world.asked) <= MOST_MINIMISED + 3


# how much a hostile delegation may cost


def test_many_names_without_an_address_cost_few_questions(world: World) -> None:
    """NXNSAttack: each name of a server would be looked up at the victim's."""
    victims = [f"n{number}.victim.test." for number in range(135)]
    world.add("victim.test.", {"ns.victim.test.": ["192.0.2.71"]})
    world.zones["test."].add("attacker.test.", "NS", *victims)
    world.sign()

    failure = world.ask("www.attacker.test")

    assert isinstance(failure, FetchFailure)
    assert world.load["192.0.2.71"] <= 2 * MOST_LOOKUPS_A_DELEGATION
    assert "victim.test. has no address" in failure.detail
    assert len(world.asked) <= 15


def test_delegations_that_lead_to_ever_more_delegations_end_soon(world: World) -> None:
    """Each name of a server lies in a zone of which the servers' names lie in other such zones, and so on."""
    for number in range(60):
        following = [f"n{branch}.d{number * 4 + branch + 1}.test." for branch in range(4)]
        world.zones["test."].add(f"d{number}.test.", "NS", *following)
    world.sign()

    failure = world.ask("www.d0.test")

    assert isinstance(failure, FetchFailure)
    assert len(world.asked) <= MOST_QUESTIONS
    assert DEEPEST < MOST_LOOKUPS < MOST_QUESTIONS


def test_zones_that_name_each_others_servers_end_at_once(world: World) -> None:
    world.zones["test."].add("one.test.", "NS", "ns.two.test.")
    world.zones["test."].add("two.test.", "NS", "ns.one.test.")
    world.sign()

    failure = world.ask("www.one.test")

    assert isinstance(failure, FetchFailure)
    assert failure.servers_of == names.from_text("one.test")
    assert len(world.asked) <= 8


def test_a_referral_of_thousands_of_servers_is_cut_to_few(world: World) -> None:
    servers = [f"n{number}.big.test." for number in range(2000)]
    world.zones["test."].add("big.test.", "NS", *servers)
    for server in servers[:1000]:
        world.zones["test."].add(server, "A", "203.0.113.200")
    world.sign()

    failure = world.ask("www.big.test")

    assert isinstance(failure, FetchFailure)
    assert len(world.asked) <= MOST_SERVERS + 4


def test_a_message_of_ten_thousand_records_is_refused_and_the_next_server_asked(world: World) -> None:
    world.sign()

    def flood(_: Question, response: dns.message.Message) -> dns.message.Message | FetchFailure:
        response.answer = []
        servers = [f"n{number}." for number in range(10_000)]
        response.authority = [dns.rrset.from_text("zone.test.", 60, "IN", "NS", *servers)]
        with pytest.raises(FormError, match="more than"):
            read_response(response.to_wire(max_size=1 << 20))
        return FetchFailure("malformed", "10000 records, more than 4096")

    world.bend("192.0.2.11", flood)
    for _ in range(4):
        assert addresses(world.ask("www.zone.test"), "www.zone.test") == ["198.51.100.1"]


def test_silent_servers_cost_a_bounded_patience(world: World) -> None:
    addresses_of_dead = [f"203.0.113.{number}" for number in range(1, 5)]
    world.add("dead.test.", {f"n{number}.dead.test.": addresses_of_dead for number in range(4)})
    world.sign()
    for address in addresses_of_dead:
        world.bend(address, SILENCE)

    failure = world.ask("www.dead.test")

    assert isinstance(failure, FetchFailure)
    assert (failure.is_silence, failure.servers_of) == (True, names.from_text("dead.test"))
    assert "203.0.113.1: no answer" in failure.detail
    tried = [question for question in world.asked if question.server in addresses_of_dead]
    assert len(tried) <= MOST_SILENCES
    assert [question.stream for question in tried] == [False] * 4 + [True] * 2, "the last tries are over TCP"

    world.asked.clear()
    assert isinstance(world.ask("www.dead.test", attempts=1), FetchFailure)
    assert sum(question.server in addresses_of_dead for question in world.asked) == FEW_SILENCES


# which server is asked


def test_questions_are_spread_over_the_servers_of_a_zone(world: World) -> None:
    world.sign()
    walker = world.walker()

    for _ in range(40):
        world.ask("www.zone.test", walker=walker)

    assert min(world.load["192.0.2.21"], world.load["192.0.2.22"]) >= 8
    assert world.load["192.0.2.1"] == 1, "the delegation is remembered"


def test_a_server_that_failed_is_asked_last_until_it_had_a_rest(world: World) -> None:
    world.sign()
    walker = world.walker()
    world.bend("192.0.2.21", SILENCE)
    for _ in range(20):
        world.ask("www.zone.test", walker=walker)
    assert world.load["192.0.2.21"] == 1

    world.servers["192.0.2.21"].bend = None
    world.instant.now += 60
    for _ in range(20):
        world.ask("www.zone.test", walker=walker)

    assert world.load["192.0.2.21"] > 3


def test_a_delegation_is_asked_for_again_after_minutes_whatever_its_ttl(world: World) -> None:
    world.sign()
    walker = world.walker()
    world.ask("www.zone.test", walker=walker)
    world.zones["test."].add("zone.test.", "NS", "ns.moved.zone.test.")
    world.zones["test."].add("ns.moved.zone.test.", "A", "192.0.2.81")
    moved = world.copy_at("192.0.2.22", "zone.test.")
    world.servers["192.0.2.81"] = Server({moved.name: moved})
    world.zones["test."].sign(AT)

    world.instant.now += LONGEST_S + 1
    world.ask("www.zone.test", walker=walker)

    assert world.load["192.0.2.81"] == 1


def test_a_stub_takes_the_place_of_the_delegation(world: World) -> None:
    world.sign()
    walker = Walker(Authorities(hints=world.hints, stubs={"zone.test.": ("192.0.2.22",)}), world.instant)

    assert addresses(world.ask("www.zone.test", walker=walker), "www.zone.test") == ["198.51.100.1"]
    assert world.load == {"192.0.2.22": 1}


def test_a_zone_whose_servers_are_silent_is_the_cause_and_its_servers_are_named(world: World) -> None:
    for address in ("192.0.2.21", "192.0.2.22"):
        world.bend(address, SILENCE)

    judgement = world.judge("www.zone.test")

    assert (judgement.verdict, judgement.cause_zone) == (Verdict.INDETERMINATE, "zone.test.")
    assert "192.0.2.21: no answer" in judgement.reasons[0].detail


def test_a_parent_whose_servers_refuse_is_the_cause_for_all_zones_below(world: World) -> None:
    def refuse(_: Question, response: dns.message.Message) -> dns.message.Message:
        response.set_rcode(dns.rcode.REFUSED)
        response.answer = response.authority = []
        return response

    for address in ("192.0.2.11", "192.0.2.12"):
        world.bend(address, refuse)

    judgement = world.judge("www.zone.test")

    assert (judgement.verdict, judgement.cause_zone) == (Verdict.INDETERMINATE, "test.")
    assert "it answers REFUSED" in judgement.reasons[0].detail


def test_a_server_that_strips_makes_the_zone_bogus_and_no_vantage_is_blamed(world: World) -> None:
    def strip(_: Question, response: dns.message.Message) -> dns.message.Message:
        response.answer = [rrset for rrset in response.answer if rrset.rdtype != records.RRSIG]
        return response

    for address in ("192.0.2.21", "192.0.2.22"):
        world.bend(address, strip)

    judgement = world.judge("www.zone.test")

    assert (judgement.verdict, judgement.cause_zone) == (Verdict.BOGUS, "zone.test.")
    assert [reason.code for reason in judgement.reasons] == ["rrsig_missing"]


def test_a_root_without_signatures_is_the_roots_fault_and_no_vantages(world: World) -> None:
    def strip(_: Question, response: dns.message.Message) -> dns.message.Message:
        for section in (response.answer, response.authority):
            section[:] = [rrset for rrset in section if rrset.rdtype not in (records.RRSIG, records.NSEC)]
        return response

    world.bend("192.0.2.1", strip)

    judgement = world.judge("www.zone.test")

    assert (judgement.verdict, judgement.cause_zone) == (Verdict.BOGUS, ".")
    assert "vantage_strips_dnssec" not in {reason.code for reason in judgement.reasons}


def test_what_one_server_of_two_says_wrongly_is_asked_of_the_other(world: World) -> None:
    def forge(question: Question, response: dns.message.Message) -> dns.message.Message:
        if question.name == names.from_text("www.zone.test") and response.answer:
            response.answer[0] = dns.rrset.from_text("www.zone.test.", 60, "IN", "A", "203.0.113.66")
        return response

    world.bend("192.0.2.22", forge)

    for _ in range(8):
        judgement = world.judge("www.zone.test")
        assert (judgement.verdict, judgement.answers) == (Verdict.SECURE, ("www.zone.test. A 198.51.100.1",))

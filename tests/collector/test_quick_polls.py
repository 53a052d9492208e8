"""What a quick poll may pass over, and what must end it: whatever a verdict rests on, and changes."""

from datetime import timedelta

import dns.message
import dns.name
import dns.rdatatype
import pytest

from anchorwatch.lab.zones import generate_key
from collector.dnssec import names, records
from collector.dnssec.anchors import parse_anchors
from collector.dnssec.questions import FetchFailure
from collector.resolvers.dialogue import Question
from schemas.messages import Observation, ZoneObservation
from tests.support.lab import Lab
from tests.support.polled import BEGIN, Polled

MINUTE, HOUR = 60.0, 3600.0


def lab_of(ttl: int = 3600) -> Lab:
    lab = Lab()
    for zone in (lab.root, lab.tld, lab.zone):
        zone.ttl = ttl
        zone.data = {key: rrset for key, rrset in zone.data.items() if key[1] != dns.rdatatype.SOA}
    lab.zone.add("www", "A", "192.0.2.1", ttl=ttl)
    lab.sign()
    return lab


def test_names_at_different_depths_of_a_zone_are_polled_quickly_side_by_side() -> None:
    lab = lab_of()
    lab.zone.add("a.deep", "A", "192.0.2.2")
    lab.zone.add("b.deep", "A", "192.0.2.3")
    lab.sign()
    polled = Polled("www.zone.test A", "a.deep.zone.test A", "b.deep.zone.test A", lab=lab).pass_s(5 * MINUTE)
    validations = polled.watch.validations

    polled.pass_s(20 * MINUTE)

    assert polled.watch.validations == validations


def test_an_alias_that_is_not_followed_is_no_quick_poll_since_its_target_is_asked_for_by_itself() -> None:
    lab = lab_of()
    lab.zone.add("alias", "CNAME", "www.zone.test.")
    lab.sign()
    polled = Polled("alias.zone.test A", lab=lab)

    def not_followed(question: Question, response: dns.message.Message) -> dns.message.Message:
        if question.name == names.from_text("alias.zone.test"):
            response.answer = [rrset for rrset in response.answer if rrset.name == response.question[0].name]
        return response

    polled.bend = not_followed
    polled.pass_s(5 * MINUTE)
    before = len(polled.said)
    alias = (dns.name.from_text("alias.zone.test."), dns.rdatatype.CNAME)
    signature = lab.zone.signatures[alias]
    lab.zone.add("www", "A", "203.0.113.66")
    lab.zone.sign(polled.at)
    lab.zone.signatures[alias] = signature
    polled.pass_s(2 * MINUTE)

    (told,) = polled.observed(before)
    assert "www.zone.test. A 203.0.113.66" in told.answers


def test_a_denial_stands_no_longer_than_the_signature_of_its_soa() -> None:
    lab = lab_of()
    polled = Polled("absent.zone.test A", lab=lab)
    soa = (lab.zone.name, dns.rdatatype.SOA)
    ends = polled.at + timedelta(minutes=20)
    key = next(one for one in lab.zone.keys if not one.flags & 1)
    rdata = lab.zone.sign_rrset(lab.zone.rrsets[soa], key, polled.at - timedelta(hours=1), ends)
    lab.zone.signatures[soa] = dns.rrset.from_rdata_list(lab.zone.name, 60, [rdata])
    polled.pass_s(10 * MINUTE)
    assert [one.verdict for one in polled.observed()] == ["secure"]

    polled.pass_s(15 * MINUTE)

    assert [one.verdict for one in polled.observed()] == ["secure", "bogus"]


@pytest.mark.parametrize("claim_every", [1, 2, 10])
@pytest.mark.parametrize("edns", [True, False])
def test_a_lie_to_clients_of_one_kind_is_told_however_often_they_are_asked_for(edns: bool, claim_every: int) -> None:
    polled = Polled("www.zone.test A", lab=lab_of(), claim_every=claim_every).pass_s(5 * MINUTE)
    before = len(polled.said)

    def lie(question: Question, response: dns.message.Message) -> dns.message.Message | None:
        if question.checking_disabled or question.edns is not edns or question.rdtype != records.A:
            return None
        response.answer = [dns.rrset.from_text("www.zone.test.", 60, "IN", "A", "203.0.113.66")]
        return response

    polled.bend = lie
    polled.pass_s(claim_every * 2 * MINUTE + MINUTE)

    told = polled.observed(before)
    assert told
    claim = told[-1].resolver if edns else told[-1].plain
    assert claim is not None
    assert claim.answers == ("www.zone.test. A 203.0.113.66",)


def test_a_claim_that_was_lost_once_is_no_news() -> None:
    polled = Polled("www.zone.test A", lab=lab_of()).pass_s(5 * MINUTE)
    before = len(polled.said)
    lost: list[Question] = []

    def lose_one(question: Question, response: dns.message.Message) -> FetchFailure | None:
        if question.checking_disabled or lost:
            return None
        lost.append(question)
        return FetchFailure("timeout", "no answer")

    polled.bend = lose_one
    polled.pass_s(15 * MINUTE)

    assert lost
    assert polled.observed(before) == []


def test_a_silence_is_forgotten_once_a_quick_poll_is_answered() -> None:
    """Each time its chain is to be shown anew one name is silent, and others show the chain."""
    others = [f"h{number}.zone.test A" for number in range(40)]
    polled = Polled("www.zone.test A", *others, lab=lab_of(ttl=600)).pass_s(5 * MINUTE)
    www = names.from_text("www.zone.test")
    memory = next(one for one in polled.watch._memory.values() if one.target.name == www)
    for _ in range(3):
        assert memory.basis is not None
        polled.pass_s(memory.basis.fresh_until - polled.at.timestamp() - 1)
        polled.bend = lambda question, _: FetchFailure("timeout", "none") if question.name == www else None
        asked = len(polled.asked)
        while not any(one.name == www and one.attempts is None for one in polled.asked[asked:]):
            polled.pass_s(1.0)
        polled.bend = lambda question, _: None
        polled.pass_s(5 * MINUTE)

    assert {one.verdict for one in polled.observed()} == {"secure"}


def test_a_clock_that_is_set_back_lets_no_chain_stand_for_longer_that_was_validated_meanwhile() -> None:
    lab = lab_of(ttl=600)
    polled = Polled("www.zone.test A", lab=lab)
    polled.skew_s = 40 * MINUTE
    polled.look_at_clocks()
    polled.takes_s = lambda question: 20.0 if question.rdtype == records.DNSKEY else 0.02
    while not any(one.rdtype == records.DNSKEY for one in polled.asked):
        polled.pass_s(1.0)
    polled.look_at_clocks()
    polled.skew_s = 0.0
    polled.look_at_clocks()
    polled.takes_s = lambda question: 0.02
    polled.pass_s(5 * MINUTE)
    before = len(polled.said)
    lab.zone.keys = [generate_key(13, entry=True), lab.zone.keys[1]]
    answers = dict(lab.zone.signatures)
    lab.sign(at=polled.at)
    www = (dns.name.from_text("www.zone.test."), dns.rdatatype.A)
    lab.zone.signatures[www] = answers[www]
    polled.pass_s(12 * MINUTE)

    assert [one.zone for one in polled.said[before:] if isinstance(one, ZoneObservation)] == ["zone.test."]


def test_anchors_that_are_replaced_let_nothing_stand_that_was_validated_from_the_old_ones_meanwhile() -> None:
    polled = Polled("www.zone.test A", lab=lab_of())
    polled.takes_s = lambda question: 5.0
    while not any(one.rdtype == records.DNSKEY for one in polled.asked):
        polled.pass_s(1.0)
    other = generate_key(13, entry=True)
    text = dns.dnssec.make_ds(dns.name.root, other.record, "SHA256").to_text()
    polled.watch.trust(parse_anchors(f". IN DS {text}", "another"))
    polled.takes_s = lambda question: 0.02
    polled.pass_s(5 * MINUTE)

    told = [one.judgement.verdict for one in polled.said if isinstance(one, Observation)]
    assert told[-1] == "bogus"


def test_a_ttl_that_outlasts_its_signature_is_told_of_each_name_though_the_answers_stay_the_same() -> None:
    lab = lab_of(ttl=600)
    hosts = [f"h{number}.zone.test." for number in range(5)]
    for host in hosts:
        lab.zone.add(host, "A", "192.0.2.7")
    lab.zone.sign(BEGIN, expiration=BEGIN + timedelta(minutes=30))
    polled = Polled(*(f"{host} A" for host in hosts), lab=lab).pass_s(15 * MINUTE)
    before = len(polled.said)

    polled.pass_s(7 * MINUTE)

    told = polled.observed(before)
    assert {one.name for one in told if "rrsig_ttl_beyond_expiry" in [remark.code for remark in one.remarks]} == set(
        hosts
    )


def test_a_loop_that_crashes_leaves_no_name_behind_that_waited_for_a_slot() -> None:
    """The resolver has no room for quick polls, so that they take a slot as all others do."""
    polled = Polled("www.zone.test A", "mail.zone.test A", lab=lab_of()).pass_s(5 * MINUTE)
    polled.watch._windows["lab"].limit = 0
    polled.takes_s = lambda question: 50.0
    while not len(polled.watch._steady):
        polled.pass_s(1.0)
    polled.watch.give_up()
    polled._under_way.clear()
    polled.takes_s = lambda question: 0.02
    before = polled.watch.polls

    polled.pass_s(5 * MINUTE)

    assert polled.watch.polls - before >= 9
    assert polled.watch.polls_under_way == 0


@pytest.mark.parametrize("kind", ["malformed", "mismatch", "rcode", "timeout"])
def test_one_try_that_fails_is_no_word_about_a_name(kind: str) -> None:
    polled = Polled("www.zone.test A", lab=lab_of()).pass_s(5 * MINUTE)
    before = len(polled.said)
    failed: list[Question] = []

    def fail_once(question: Question, response: dns.message.Message) -> FetchFailure | None:
        if failed or question.attempts != 1 or not question.checking_disabled:
            return None
        failed.append(question)
        return FetchFailure(kind, "not this time", 1 if kind == "rcode" else None)

    polled.bend = fail_once
    polled.pass_s(3 * MINUTE)

    assert failed
    assert polled.observed(before) == []

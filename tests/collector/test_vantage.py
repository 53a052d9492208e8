"""A resolver as a vantage sees it: what it tells its clients, and whether it or a zone leaves out signatures.

Over loopback: the lab's resolver with one odd habit each.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.rdatatype import RdataType

from anchorwatch.lab.server import LabResolver
from anchorwatch.lab.zones import generate_key
from collector.dnssec import names
from collector.dnssec.policy import Policy
from collector.resolvers.address import parse_address
from collector.resolvers.resolver import Resolver
from collector.resolvers.vantage import Vantage
from collector.resolvers.view import Judged
from schemas.judgement import ResolverClaim
from tests.support.lab import AT, Lab

T = TypeVar("T")
Habit = Callable[[dns.message.Message, dns.message.Message], dns.message.Message]


class Bent(LabResolver):
    """Answers as the lab does, then as its habit has it."""

    habit: Habit | None = None

    def _respond(self, query: dns.message.Message) -> dns.message.Message:
        response = super()._respond(query)
        return response if self.habit is None else self.habit(query, response)


def through(habit: Habit | None, story: Callable[[Vantage], Awaitable[T]], lab: Any = None) -> T:
    """Return what came of a story with a vantage whose resolver has the habit."""
    lab = lab or Lab()

    async def main() -> T:
        resolver = Bent(lab.world, lab.anchors, AT.timestamp)
        resolver.habit = habit
        await resolver.start()
        url = "udp://{}:{}".format(*resolver.address)
        asked = Resolver(parse_address(url), timeout_s=2.0, attempts=2)
        try:
            return await story(Vantage("corp", asked, lab.anchors, Policy(), AT.timestamp))
        finally:
            await resolver.stop()

    return asyncio.run(main())


def judged(habit: Habit | None, name: str = "www.zone.test", lab: Any = None) -> Judged:
    return through(habit, lambda vantage: vantage.judge(names.from_text(name), RdataType.A), lab)


def claims(habit: Habit | None, rdtype: str = "A", lab: Any = None) -> list[ResolverClaim | None]:
    async def story(vantage: Vantage) -> list[ResolverClaim | None]:
        judgement = (await vantage.judge(names.from_text("www.zone.test"), RdataType[rdtype])).judgement
        heard = await vantage.claims(judgement)
        return [heard.resolver, heard.plain]

    return through(habit, story, lab)


def is_client(query: dns.message.Message) -> bool:
    return not query.flags & dns.flags.CD


def with_answer(query: dns.message.Message, address: str, rdtype: str = "A") -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    response.flags |= dns.flags.AD
    response.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", rdtype, address)]
    return response


def stripped(response: dns.message.Message) -> dns.message.Message:
    for section in (response.answer, response.authority):
        section[:] = [one for one in section if one.rdtype not in (RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3)]
    return response


class TestClaims:
    def test_an_honest_resolver_says_the_same_in_both_ways(self) -> None:
        for claim in claims(None):
            assert claim is not None
            assert claim.answers == ("www.zone.test. A 192.0.2.1",)

    @pytest.mark.parametrize("edns", [True, False])
    def test_a_forgery_for_one_way_of_asking_is_heard(self, edns: bool) -> None:
        def forges(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            hit = is_client(query) and (query.edns >= 0) is edns and query.question[0].rdtype == RdataType.A
            return with_answer(query, "203.0.113.66") if hit else response

        heard = claims(forges)[0 if edns else 1]

        assert heard is not None
        assert heard.answers == ("www.zone.test. A 203.0.113.66",)
        assert not heard.proven

    def test_clients_are_asked_for_in_lower_case_and_without_cookies(self) -> None:
        seen: list[dns.message.Message] = []

        def notes(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            seen.append(query)
            return response

        claims(notes)
        clients = [query for query in seen if is_client(query)]

        assert {query.question[0].name.to_text() for query in clients} == {"www.zone.test."}
        assert not any(query.options for query in clients)
        assert [query.edns >= 0 for query in clients] == [False, True]

    def test_other_data_that_are_signed_by_the_zone_are_proven(self) -> None:
        lab = Lab()
        lab.zone.add("www", "A", "192.0.2.2")
        lab.sign()
        newer = lab.world.respond(dns.message.make_query("www.zone.test.", "A", want_dnssec=True))
        lab.zone.remove("www", "A")
        lab.zone.add("www", "A", "192.0.2.1")
        lab.sign()

        def is_ahead(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            if is_client(query) and query.question[0].rdtype == RdataType.A:
                response.answer = list(newer.answer)
            return response

        for claim in claims(is_ahead, lab=lab):
            assert claim is not None
            assert "www.zone.test. A 192.0.2.2" in claim.answers
            assert claim.proven

    @pytest.mark.parametrize(("address", "made"), [("64:ff9b::c000:201", True), ("64:ff9b::c000:202", False)])
    def test_addresses_that_dns64_makes_of_proven_ones_are_recognised(self, address: str, made: bool) -> None:
        def translates(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            hit = is_client(query) and query.question[0].rdtype == RdataType.AAAA
            return with_answer(query, address, "AAAA") if hit else response

        for claim in claims(translates, "AAAA"):
            assert claim is not None
            assert claim.translated is made


class TestStripping:
    """One cause, one name: a vantage that leaves out DNSSEC records is blamed, else the zone that has none."""

    def test_a_resolver_without_signatures_is_blamed_and_no_zone(self) -> None:
        judgement = judged(lambda query, response: stripped(response)).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("indeterminate", "vantage_strips_dnssec")
        assert judgement.cause_zone == "."
        assert judgement.answers == ("www.zone.test. A 192.0.2.1",), "what it says is still held against proven data"

    @pytest.mark.parametrize("rdtypes", [("DNSKEY", "DS"), ("DNSKEY",), ("DS",)])
    def test_a_forwarder_that_knows_no_keys_is_blamed(self, rdtypes: tuple[str, ...]) -> None:
        def empties(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            if query.question[0].rdtype in {RdataType[one] for one in rdtypes}:
                return dns.message.make_response(query, recursion_available=True)
            return response

        judgement = judged(empties).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("indeterminate", "vantage_strips_dnssec")

    def test_signatures_left_out_of_all_but_keys_are_the_resolvers_doing(self) -> None:
        def strips_data(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            keys = query.question[0].rdtype in (RdataType.DNSKEY, RdataType.DS)
            return response if keys else stripped(response)

        judgement = judged(strips_data).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("indeterminate", "vantage_strips_dnssec")

    def test_signatures_left_out_of_a_share_of_its_answers_are_the_resolvers_doing(self) -> None:
        count = 0

        def at_times(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            nonlocal count
            if query.question[0].rdtype != RdataType.A:
                return response
            count += 1
            return stripped(response) if count <= 2 else response

        judgement = judged(at_times).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("indeterminate", "vantage_strips_dnssec")
        assert "answers to the same question" in judgement.reasons[0].detail

    @pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR])
    def test_errors_for_do_alone_are_the_resolvers_doing_and_named(self, rcode: dns.rcode.Rcode) -> None:
        def errs(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            if query.edns < 0:
                return response
            failed = dns.message.make_response(query, recursion_available=True)
            failed.set_rcode(rcode)
            return failed

        judgement = judged(errs).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("indeterminate", "vantage_strips_dnssec")
        assert dns.rcode.to_text(rcode) in judgement.reasons[0].detail

    def test_a_name_that_alone_lacks_its_signature_is_bogus(self) -> None:
        def unsigned(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            return stripped(response) if query.question[0].rdtype == RdataType.A else response

        judgement = judged(unsigned).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("bogus", "rrsig_missing")
        assert judgement.cause_zone == "zone.test."

    def test_keys_that_were_swapped_are_signed_and_the_zones_fault(self) -> None:
        lab = Lab()
        lab.zone.keys = [generate_key(13, entry=True), generate_key(13)]
        lab.zone.sign(AT)

        judgement = judged(None, lab=lab).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("bogus", "dnskey_missing")

    def test_a_denial_that_lacks_its_proof_and_is_signed_is_the_zones_fault(self) -> None:
        def unproven(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            if query.question[0].name.to_text() == "nope.zone.test.":
                denials = (RdataType.NSEC, RdataType.NSEC3)
                response.authority[:] = [
                    one for one in response.authority if one.rdtype not in denials and one.covers not in denials
                ]
            return response

        judgement = judged(unproven, "nope.zone.test").judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("bogus", "denial_missing")

    def test_a_server_that_fails_for_everybody_blames_no_resolver(self) -> None:
        def fails(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            failed = dns.message.make_response(query, recursion_available=True)
            failed.set_rcode(dns.rcode.SERVFAIL)
            return failed

        judgement = judged(fails).judgement

        assert (judgement.verdict, judgement.reasons[0].code) == ("indeterminate", "verdict_indeterminate")

    def test_control_questions_are_asked_once_for_names_that_fail_together(self) -> None:
        seen: list[str] = []

        def unsigned(query: dns.message.Message, response: dns.message.Message) -> dns.message.Message:
            seen.append(f"{query.question[0].name} {RdataType.to_text(query.question[0].rdtype)}")
            return stripped(response) if query.question[0].name.to_text().startswith("h") else response

        lab = Lab()
        for number in range(12):
            lab.zone.add(f"h{number}", "A", "192.0.2.9")
        lab.sign()

        async def story(vantage: Vantage) -> None:
            await asyncio.gather(
                *(vantage.judge(names.from_text(f"h{number}.zone.test"), RdataType.A) for number in range(12))
            )

        through(unsigned, story, lab)

        assert seen.count(". SOA") == 1

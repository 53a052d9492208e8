"""Whatever a server sends is an answer, a referral or a refusal; nothing in it ends the walk otherwise."""

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.authorities.delegations import read_delegation
from collector.authorities.replies import Answer, Referral, Refusal, read_reply, scrub
from collector.dnssec import names, records
from collector.dnssec.message import FormError, read_glue, read_response, write_response
from collector.dnssec.questions import FetchFailure
from tests.support.internet import Internet

TEST, WWW = names.from_text("test"), names.from_text("www.zone.test")


def wire_of_referral() -> bytes:
    world = Internet()
    world.add("test.", {"ns1.test.": ["192.0.2.11", "2001:db8::11"]})
    world.add("zone.test.", {"ns1.zone.test.": ["192.0.2.21", "2001:db8::21"], "ns.elsewhere.": []})
    world.sign()
    query = dns.message.make_query("www.zone.test.", "A", want_dnssec=True, flags=0)
    return world.servers["192.0.2.11"].respond(query).to_wire()


REFERRAL = wire_of_referral()


def test_a_referral_is_read_with_its_glue() -> None:
    response = read_response(REFERRAL)

    reading = read_reply(response, TEST, WWW, records.A)

    assert isinstance(reading, Referral)
    delegation = read_delegation(response, reading.zone, TEST, now=0.0, port=53)
    assert delegation.servers == {
        names.from_text("ns1.zone.test"): ("192.0.2.21", "2001:db8::21"),
        names.from_text("ns.elsewhere"): (),
    }


@given(st.lists(st.tuples(st.integers(0, len(REFERRAL) - 1), st.integers(0, 255)), max_size=8))
def test_no_message_that_can_be_read_makes_a_walk_fail(changes: list[tuple[int, int]]) -> None:
    wire = bytearray(REFERRAL)
    for position, octet in changes:
        wire[position] = octet
    try:
        response = read_response(bytes(wire))
    except FormError:
        return

    reading = read_reply(response, TEST, WWW, records.A)

    assert isinstance(reading, (Answer, Referral, Refusal))
    if isinstance(reading, Referral):
        delegation = read_delegation(response, reading.zone, TEST, now=0.0, port=53)
        assert names.is_at_or_below(WWW, delegation.zone)
        assert len(delegation.zone) > len(TEST)
    assert all(len(one) in (4, 16) for found in read_glue(response.wire).values() for one in found)


@given(st.lists(st.tuples(st.integers(12, len(REFERRAL) - 1), st.integers(0, 255)), max_size=4))
def test_what_is_written_anew_reads_as_what_was_left_of_it(changes: list[tuple[int, int]]) -> None:
    wire = bytearray(REFERRAL)
    for position, octet in changes:
        wire[position] = octet
    try:
        response = read_response(bytes(wire))
    except FormError:
        return

    again = read_response(write_response(response))

    assert (again.qname, again.qtype, again.rcode) == (response.qname, response.qtype, response.rcode)
    assert (again.answer, again.authority) == (response.answer, response.authority)


@pytest.mark.parametrize(
    ("rcode", "authority", "rdtype", "detail"),
    [
        ("REFUSED", "", "A", "it answers REFUSED"),
        ("SERVFAIL", "", "A", "it answers SERVFAIL"),
        ("NOERROR", "zone.test. 60 IN SOA ns. host. 1 2 3 4 5", "DS", "in the name of the zone itself"),
        ("NOERROR", "zone.test. 60 IN NS ns.", "DS", "refers to the zone whose DS set was asked for"),
        ("NXDOMAIN", ". 60 IN SOA ns. host. 1 2 3 4 5", "A", "speaks for . and does not know the zone"),
        ("NXDOMAIN", "other.test. 60 IN SOA ns. host. 1 2 3 4 5", "A", "speaks for other.test., which is elsewhere"),
    ],
)
def test_what_is_no_answer_says_why(rcode: str, authority: str, rdtype: str, detail: str) -> None:
    name = "zone.test." if rdtype == "DS" else "www.zone.test."
    response = dns.message.make_response(dns.message.make_query(name, rdtype))
    response.flags |= dns.flags.AA
    response.set_rcode(dns.rcode.from_text(rcode))
    if authority:
        owner, ttl, _, kind, data = authority.split(maxsplit=4)
        response.authority.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data))

    reply = read_response(response.to_wire())
    reading = read_reply(reply, TEST, reply.qname, reply.qtype)

    assert isinstance(reading, Refusal)
    assert detail in reading.detail


def test_silence_is_told_from_a_network_that_says_no() -> None:
    silence = read_reply(FetchFailure("timeout", "x"), TEST, WWW, records.A)
    unreachable = read_reply(FetchFailure("unreachable", "no route to host"), TEST, WWW, records.A)

    assert silence == Refusal("no answer", silent=True, waited=True)
    assert unreachable == Refusal("no route to host", silent=True)


def test_a_response_with_nothing_to_take_out_stays_as_it_came() -> None:
    response = read_response(REFERRAL)

    assert scrub(response, TEST) is response


@pytest.mark.parametrize("rcode", ["NOERROR", "NXDOMAIN"])
def test_a_denial_without_its_soa_record_is_one_where_it_comes_with_authority(rcode: str) -> None:
    response = dns.message.make_response(dns.message.make_query("www.zone.test.", "A"))
    response.flags |= dns.flags.AA
    response.set_rcode(dns.rcode.from_text(rcode))
    response.authority.append(dns.rrset.from_text("zone.test.", 60, "IN", "NS", "ns1.zone.test."))

    reading = read_reply(read_response(response.to_wire()), names.from_text("zone.test"), WWW, records.A)

    assert isinstance(reading, Answer)

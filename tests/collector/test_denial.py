"""Proofs of absence at their edges: contradictory, from two sets of parameters, and more than the rcode says."""

import struct

import dns.message
import dns.rcode
import pytest

from collector.dnssec import crypto, names, records
from collector.dnssec.budget import Budget
from collector.dnssec.message import Response, read_response
from collector.dnssec.nsec import NsecDenial
from collector.dnssec.nsec3 import Nsec3Denial
from collector.dnssec.policy import Policy
from collector.dnssec.proof import ProofOutcome
from collector.dnssec.questions import Ask
from collector.dnssec.records import Nsec, Nsec3
from tests.support.lab import Lab

ZONE = names.from_text("example")
PARAMETERS = ((b"", 0), (b"\x0a\x0b", 5))


def name(text: str) -> names.Name:
    return names.from_text(text)


def nsec(owner: str, following: str, *types: str) -> Nsec:
    return Nsec(name(owner), name(following), frozenset(map(records.type_from_text, types)))


def test_a_wildcard_whose_closest_encloser_is_denied_as_well_proves_nothing() -> None:
    """RFC 4592 §3.3.1: the closest encloser exists; an NSEC that denies it contradicts the labels of the RRSIG."""
    wide = NsecDenial(ZONE, [nsec("example", "d.example", "NS", "SOA")])
    close = NsecDenial(ZONE, [nsec("a.c.example", "d.example", "A")])

    assert wide.prove_no_closer_match(name("b.c.example"), name("c.example")).outcome is ProofOutcome.FAILED
    assert close.prove_no_closer_match(name("b.c.example"), name("c.example")).outcome is ProofOutcome.PROVEN
    both = NsecDenial(ZONE, [nsec("example", "d.example", "NS", "SOA"), nsec("a.c.example", "d.example", "A")])
    assert both.prove_no_closer_match(name("b.c.example"), name("c.example")).outcome is ProofOutcome.PROVEN


def match(owner: str, salt: bytes, iterations: int, *types: str) -> Nsec3:
    digest = crypto.nsec3_hash(name(owner), salt, iterations)
    after = (int.from_bytes(digest, "big") + 1).to_bytes(20, "big")
    return Nsec3(digest, after, frozenset(map(records.type_from_text, types)), iterations, salt, False)


def cover(owner: str, salt: bytes, iterations: int) -> Nsec3:
    middle = int.from_bytes(crypto.nsec3_hash(name(owner), salt, iterations), "big")
    before, after = ((middle + step).to_bytes(20, "big") for step in (-1, 1))
    return Nsec3(before, after, frozenset(), iterations, salt, False)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_proof_may_be_made_of_two_sets_of_parameters(swapped: bool) -> None:
    """RFC 5155 §8.2 allows to refuse that; each record is the zone's word on its own."""
    (salt, iterations), (other_salt, other_iterations) = reversed(PARAMETERS) if swapped else PARAMETERS
    chain = [
        match("example", salt, iterations, "NS", "SOA"),
        cover("www.example", other_salt, other_iterations),
        cover("*.example", salt, iterations),
    ]

    def outcome(records: list[Nsec3]) -> ProofOutcome:
        return Nsec3Denial(ZONE, records, Budget(Policy()), {}).prove_nxdomain(name("www.example")).outcome

    assert outcome(chain) is ProofOutcome.PROVEN
    for missing in range(3):
        assert outcome([one for number, one in enumerate(chain) if number != missing]) is ProofOutcome.FAILED


def nxdomain(asked: Ask, message: dns.message.Message) -> dns.message.Message | None:
    if asked.name == name("ent.zone.test"):
        message.set_rcode(dns.rcode.NXDOMAIN)
        return message
    return None


def test_a_whole_proof_of_no_data_outweighs_an_unsigned_rcode() -> None:
    lab = Lab()
    lab.zone.add("below.ent", "A", "192.0.2.7")
    lab.sign()
    lab.bend = nxdomain

    judged = lab.judge("ent.zone.test", "TXT")

    assert (judged.verdict, judged.rcode, judged.answers) == ("secure", "NOERROR", ())


def test_with_nsec3_an_rcode_that_the_proof_does_not_bear_out_stays_bogus() -> None:
    from anchorwatch.lab.zones import Nsec3Params

    lab = Lab(Nsec3Params())
    lab.zone.add("below.ent", "A", "192.0.2.7")
    lab.sign()
    lab.bend = nxdomain

    assert lab.judge("ent.zone.test", "TXT").verdict == "bogus"


def answer_of(*rdatas: bytes, rdtype: int = 1) -> Response:
    question = b"\x03www\x07example\x00" + struct.pack("!HH", rdtype, 1)
    body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", rdtype, 1, 60, len(data)) + data for data in rdatas)
    return read_response(struct.pack("!6H", 1, 0x8180, 1, len(rdatas), 0, 0) + question + body)


@pytest.mark.parametrize(("rdtype", "good"), [(1, bytes(4)), (28, bytes(16))])
def test_an_address_of_another_length_is_no_address(rdtype: int, good: bytes) -> None:
    (rrset,) = answer_of(good, good + b"\x00", rdtype=rdtype).answer.values()
    assert rrset.rdatas == (good,)


def test_a_signed_set_with_such_an_address_alone_is_bogus(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    assert lab.judge("www.zone.test").verdict == "secure"
    reply = lab.reply

    def spoilt(asked: Ask) -> Response:
        given = reply(asked)
        assert isinstance(given, Response)
        return read_response(given.wire.replace(b"\x00\x04\xc0\x00\x02\x01", b"\x00\x05\xc0\x00\x02\x01\x00"))

    monkeypatch.setattr(lab, "reply", spoilt)
    judged = lab.judge("www.zone.test")
    assert (judged.verdict, judged.answers) == ("bogus", ())

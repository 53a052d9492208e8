import contextlib
import struct

import dns.edns
import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.dnssec import names, records
from collector.dnssec.message import FormError, make_query, read_response
from collector.dnssec.skim import take_imprint
from tests.support.operations import calls_of

HEADER = struct.Struct("!6H")


def rrset(text: str) -> dns.rrset.RRset:
    owner, ttl, rdclass, rdtype, data = text.split(None, 4)
    return dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, data)


def response(*answers: str, question: str = "www.example. A", authority: tuple[str, ...] = ()) -> bytes:
    name, rdtype = question.split()
    message = dns.message.make_response(dns.message.make_query(name, rdtype, want_dnssec=True))
    message.answer = [rrset(text) for text in answers]
    message.authority = [rrset(text) for text in authority]
    return message.to_wire()


def test_records_come_out_canonical_and_grouped() -> None:
    wire = response(
        "WWW.Example. 60 IN A 192.0.2.2", "www.example. 30 IN A 192.0.2.1", "www.example. 60 IN MX 1 Mail.Example."
    )

    read = read_response(wire)

    addresses = read.answer[names.from_text("www.example"), records.A]
    assert addresses.rdatas == (bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
    assert addresses.ttl == 30
    assert read.answer[names.from_text("www.example"), 15].rdatas == (b"\x00\x01\x04mail\x07example\x00",)


def test_a_query_asks_as_a_validator_does() -> None:
    query = dns.message.from_wire(make_query(7, names.from_text("www.example"), records.A, checking_disabled=True))

    assert query.id == 7
    assert query.flags & dns.flags.CD
    assert query.ednsflags & dns.flags.DO
    assert query.payload == 1232


def test_a_claim_is_asked_as_a_plain_client_does() -> None:
    query = dns.message.from_wire(make_query(7, names.from_text("www.example"), records.A, checking_disabled=False))

    assert not query.flags & dns.flags.CD
    assert query.flags & dns.flags.AD


def test_extended_errors_are_read() -> None:
    message = dns.message.make_response(dns.message.make_query("www.example", "A", want_dnssec=True))
    message.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.SIGNATURE_EXPIRED, "expired")])

    assert read_response(message.to_wire()).ede == ((7, "expired"),)


def head(questions: int, answers: int, flags: int = 0x8180) -> bytes:
    return HEADER.pack(1, flags, questions, answers, 0, 0)


QUESTION = b"\x03www\x07example\x00\x00\x01\x00\x01"


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"", "shorter"),
        (b"\x00" * 11, "shorter"),
        (head(1, 0, flags=0x0100) + QUESTION, "not a response"),
        (head(0, 0), "questions"),
        (head(2, 0) + QUESTION + QUESTION, "questions"),
        (head(1, 0) + b"\xc0\x0c\x00\x01\x00\x01", "backwards"),
        (head(1, 0) + b"\x03www", "over the end"),
        (head(1, 0) + b"\x40www\x00\x00\x01\x00\x01", "unknown kind"),
        (head(1, 1) + QUESTION + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02", "over the end"),
        (head(1, 1) + QUESTION + b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x01\x00\x02\xc0\xff", "backwards"),
        (head(1, 0xFFFF) + QUESTION, "records"),
        (head(1, 1) + QUESTION + b"\xc0\x0c\x00\x2e\x00\x01\x00\x00\x00\x01\x00\x02\x00\x01", "too short"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
def test_hostile_messages_are_refused(wire: bytes, why: str) -> None:
    with pytest.raises(FormError, match=why):
        read_response(wire)


def pointers(count: int) -> bytes:
    """Return names that each point at the one before, every record naming the last; 64 KB for 4,000."""
    body = bytearray(head(1, count) + b"\x00\x00\x01\x00\x01")
    at = 12
    for _ in range(count):
        position = len(body)
        body += b"\x01a" + struct.pack("!H", 0xC000 | (at & 0x3FFF)) + b"\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00"
        at = position if position < 0x3FFF else at
    return bytes(body)


def test_a_chain_of_pointers_costs_no_more_than_its_octets() -> None:
    def read(count: int) -> int:
        wire = pointers(count)

        def work() -> None:
            with pytest.raises(FormError):
                read_response(wire)

        return calls_of(work)

    assert read(4000) < 12 * max(read(400), 500)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_octets_raise_anything_but_a_form_error(tail: bytes) -> None:
    for wire in (tail, head(1, 2) + QUESTION + tail, head(1, 1) + QUESTION + b"\xc0\x0c\x00\x2e\x00\x01" + tail):
        take_imprint(wire)
        with contextlib.suppress(FormError):
            read_response(wire)

"""What the skim passes over says nothing, whoever wrote the response; and what it passes over is what varies."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import dns.message
import dns.rrset
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from collector.dnssec.message import FormError, read_response
from collector.dnssec.skim import MOST_RECORDS, says_the_same, take_claim_mark, take_imprint

NAME = "api.bank.example."
QUESTION = b"\3api\4bank\7example\0"
RECORDS_AT = 12 + len(QUESTION) + 4


def answer(question: str, address: str = "192.0.2.1", owner: str | None = None) -> bytes:
    response = dns.message.make_response(dns.message.make_query(question, "A", id=7))
    response.answer = [dns.rrset.from_text(owner or question, 60, "IN", "A", address)]
    return response.to_wire()


class Record(NamedTuple):
    """One record as octets: its owner as it is written, its type, its TTL, its data."""

    owner: bytes
    rdtype: int
    ttl: bytes
    data: bytes

    def to_wire(self) -> bytes:
        head = self.rdtype.to_bytes(2, "big") + b"\0\1" + self.ttl
        return self.owner + head + len(self.data).to_bytes(2, "big") + self.data


def message(answers: Sequence[Record], authority: Sequence[Record] = (), tail: bytes = b"", extra: int = 0) -> bytes:
    counts = b"".join(number.to_bytes(2, "big") for number in (1, len(answers), len(authority), extra))
    written = b"".join(record.to_wire() for record in (*answers, *authority))
    return b"\0\7\x81\x80" + counts + QUESTION + b"\0\1\0\1" + written + tail


def a_record(last: int, ttl: int = 60, owner: bytes = b"\xc0\x0c") -> Record:
    return Record(owner, 1, ttl.to_bytes(4, "big"), bytes((192, 0, 2, last)))


def same(one: bytes, other: bytes) -> bool:
    imprint = take_imprint(one)
    assert imprint is not None
    return says_the_same(imprint, other)


# what varies by nature


def test_the_letter_case_of_names_says_nothing() -> None:
    plain, mixed = answer("api.bank.example."), answer("aPi.BANk.eXample.")
    full = plain[:RECORDS_AT] + b"\3api\4BANK\7eXample\0" + plain[RECORDS_AT + 2 :]

    assert same(plain, mixed)
    assert same(plain, full)
    assert same(full, plain)


def test_order_and_smaller_ttls_say_nothing() -> None:
    three = [a_record(1), a_record(2), a_record(3)]
    for turn in itertools.permutations(three):
        assert same(message(three), message([record._replace(ttl=b"\0\0\0\7") for record in turn]))


def test_a_ttl_above_all_that_were_seen_is_a_change() -> None:
    one = message([a_record(1, ttl=60)])
    imprint = take_imprint(one, before=take_imprint(message([a_record(1, ttl=300)])))
    assert imprint is not None

    assert not same(one, message([a_record(1, ttl=61)]))
    assert says_the_same(imprint, message([a_record(1, ttl=300)]))
    assert not says_the_same(imprint, message([a_record(1, ttl=301)]))


def test_the_ttl_that_a_signature_names_is_the_most_that_is_usual() -> None:
    def signed(original_ttl: int, ttl: int) -> bytes:
        data = b"\0\1\x0d\3" + original_ttl.to_bytes(4, "big") + b"\7" * 10 + QUESTION + b"signature"
        return message([a_record(1, ttl), Record(b"\xc0\x0c", 46, ttl.to_bytes(4, "big"), data)])

    assert same(signed(300, 5), signed(300, 300))
    assert not same(signed(300, 5), signed(30, 5))


@pytest.mark.parametrize(
    "changed",
    [
        message([a_record(2)]),
        message([a_record(1), a_record(2)]),
        message([]),
        message([], [a_record(1)]),
        message([a_record(1)], [Record(b"\xc0\x10", 2, b"\0\0\0\5", b"\2ns\xc0\x10")]),
        message([a_record(1, owner=b"\xc0\x10")]),
        message([Record(b"\xc0\x0c", 16, b"\0\0\0\x3c", b"\xc0\0\2\1")]),
        b"\0\7\x81\x83" + message([a_record(1)])[4:],
        b"\0\7\x83\x80" + message([a_record(1)])[4:],
        message([a_record(1)], tail=b"\0\0\x29\2\0\1\0\0\0\0\0", extra=1),
    ],
    ids=[
        "address",
        "one more",
        "none",
        "section",
        "authority",
        "owner",
        "type",
        "rcode",
        "truncated",
        "extended rcode",
    ],
)
def test_any_other_change_of_content_is_noticed(changed: bytes) -> None:
    whole = message([a_record(1)], tail=b"\0\0\x29\2\0\0\0\0\0\0\0", extra=1)

    assert same(whole, message([a_record(1)]))
    assert not same(whole, changed)


def test_what_can_not_be_walked_has_no_imprint() -> None:
    whole = message([a_record(1)])

    for length in range(len(whole)):
        assert take_imprint(whole[:length]) is None
        assert not same(whole, whole[:length])
    assert take_imprint(message([a_record(1)] * (MOST_RECORDS + 1))) is None


def test_names_below_an_alias_mean_the_same_in_any_order_of_its_addresses() -> None:
    alias = Record(b"\xc0\x0c", 5, b"\0\0\0\5", b"\3cdn\xc0\x10")
    at = (RECORDS_AT + 12) | 0xC000
    two = [a_record(1, owner=at.to_bytes(2, "big")), a_record(2, owner=at.to_bytes(2, "big"))]

    assert same(message([alias, *two]), message([alias, *two[::-1]]))


# whoever writes the response


def test_ttls_that_become_part_of_a_name_are_part_of_what_is_said() -> None:
    """A pointer into the TTL of the first record: what it leads to is filled in by whoever sends the response."""
    into_ttl = ((RECORDS_AT + 6) | 0xC000).to_bytes(2, "big")

    def leading(ttl: bytes) -> bytes:
        return message([a_record(1)._replace(ttl=ttl), Record(b"\xc0\x0c", 5, b"\0\0\0\0", into_ttl)])

    assert not same(leading(b"\1a\0\0"), leading(b"\1b\0\0"))
    assert same(leading(b"\1a\0\0"), leading(b"\1a\0\0"))


def test_records_that_move_below_a_pointer_are_another_answer() -> None:
    """The alias leads to whatever text stands first."""
    texts = [Record(b"\xc0\x0c", 16, b"\0\0\0\5", b"\6\1" + letter + b"\1z\0\0") for letter in (b"a", b"b")]
    alias = Record(b"\xc0\x0c", 5, b"\0\0\0\5", ((RECORDS_AT + 13) | 0xC000).to_bytes(2, "big"))

    assert not same(message([*texts, alias]), message([*texts[::-1], alias]))


def test_a_record_whose_ttl_is_moved_within_it_is_another_record() -> None:
    """Octets before and behind the TTL are the same in one row, but for where the four between them are."""
    long_owner = Record(b"\1a\1b\0", 1, b"\0\0\0\0", b"\1\2\3\4")
    wire = message([long_owner])
    owner_at = RECORDS_AT
    moved = wire[: owner_at + 4] + b"\0\0\0\0" + wire[owner_at + 4 : owner_at + 9] + wire[owner_at + 13 :]

    assert len(moved) == len(wire)
    assert not same(wire, moved)


def content(wire: bytes) -> object:
    """Return what a response says as the parser reads it, less what varies; its additional section cut off."""
    read = read_response(wire)
    sections = [
        {key: (rrset.rdatas, frozenset(rrset.signatures)) for key, rrset in section.items()}
        for section in (read.answer, read.authority)
    ]
    return read.flags & ~0x20, read.rcode, read.qname, read.qtype, sections


def content_or_none(wire: bytes) -> object:
    try:
        return content(wire)
    except FormError:
        return None


offsets = st.integers(0, RECORDS_AT + 60)
pointers = offsets.map(lambda at: (0xC000 | at).to_bytes(2, "big"))
labels = st.lists(st.sampled_from([b"\1a", b"\1b", b"\1A", b"\2ns"]), max_size=2).map(b"".join)
written_names = st.tuples(labels, st.one_of(st.just(b"\xc0\x0c"), st.just(b"\0"), pointers)).map(b"".join)
ttls = st.one_of(
    st.just(b"\0\0\0\5"), st.binary(min_size=4, max_size=4), st.sampled_from([b"\1a\0\0", b"\xc0\x0c\0\0"])
)
signatures = st.tuples(st.just(b"\0\1\x0d\2\0\0\0\5" + b"\7" * 10), written_names, st.just(b"sig")).map(b"".join)
kinds = st.one_of(
    st.tuples(st.just(1), st.sampled_from([b"\1\2\3\4", b"\1\2\3\5", b"\1a\0\0"])),
    st.tuples(st.just(5), written_names),
    st.tuples(st.just(16), st.binary(max_size=8)),
    st.tuples(st.just(46), signatures),
    st.tuples(st.just(15), written_names.map(lambda name: b"\0\5" + name)),
)
written = st.tuples(written_names, kinds, ttls).map(lambda drawn: Record(drawn[0], drawn[1][0], drawn[2], drawn[1][1]))


@given(st.lists(written, max_size=4), st.lists(written, max_size=2), st.data())
def says_the_same_or_is_noticed(answers: list[Record], authority: list[Record], data: st.DataObject) -> None:
    one = message(answers, authority)
    imprint = take_imprint(one)
    assume(imprint is not None)
    assert imprint is not None
    turned = data.draw(st.permutations(answers))
    turned = [record._replace(ttl=data.draw(ttls)) for record in turned]
    tail = data.draw(st.sampled_from([b"", b"\0\0\x29\2\0\0\0\0\0\0\0", b"\1a\0\0\1\0\1\0\0\0\5\0\0"]))
    other = bytearray(message(turned, authority, tail, int(bool(tail))))
    for _ in range(data.draw(st.integers(0, 2)) if len(other) > RECORDS_AT else 0):
        other[data.draw(st.integers(RECORDS_AT, len(other) - 1))] = data.draw(st.integers(0, 255))

    if says_the_same(imprint, bytes(other)):
        other[10:12] = b"\0\0"
        assert content_or_none(one) in (None, content_or_none(bytes(other)))


@pytest.mark.parametrize("examples", [150, pytest.param(3000, marks=[pytest.mark.slow, pytest.mark.long])])
def test_whoever_sends_a_response_says_the_same_or_is_noticed(examples: int) -> None:
    settings(max_examples=examples, deadline=None)(says_the_same_or_is_noticed)()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
@example(b"\xc0\x0c" * 40)
def test_no_octets_are_too_much_for_the_walk(tail: bytes) -> None:
    wire = message([a_record(1)])

    same(wire, wire[:RECORDS_AT] + tail)
    take_claim_mark(wire[:4] + b"\0\1\0\2\0\0\0\0" + wire[12:RECORDS_AT] + tail)


# what clients are told


def test_what_clients_are_told_includes_the_ad_bit_and_extended_errors() -> None:
    told = message([a_record(1), a_record(2)])
    with_error = message([a_record(1), a_record(2)], tail=b"\0\0\x29\2\0\0\0\0\0\0\6\0\x0f\0\2\0\6", extra=1)
    marks = {
        take_claim_mark(told),
        take_claim_mark(b"\0\7\x81\xa0" + told[4:]),
        take_claim_mark(b"\0\7\x81\x82" + told[4:]),
        take_claim_mark(with_error),
        take_claim_mark(message([a_record(1)])),
    }

    assert len(marks) == 5
    assert take_claim_mark(message([a_record(2, ttl=5), a_record(1, ttl=5)])) == take_claim_mark(told)

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dnssec import names

labels = st.binary(min_size=1, max_size=20)
any_name = st.lists(labels, max_size=8).map(lambda parts: tuple(part.lower() for part in parts))


@given(any_name)
def test_text_reads_back(name: names.Name) -> None:
    assert names.from_text(names.to_text(name)) == name


@given(st.text(alphabet="abcXYZ019-_*.", max_size=80))
def test_an_escape_changes_nothing_of_a_name(text: str) -> None:
    """A name without escapes is split at once; one with an escape letter by letter."""
    spelt = "".join(f"\\{ord(letter):03d}" if letter == "a" else letter for letter in text)

    assert parsed(spelt) == parsed(text)


def parsed(text: str) -> names.Name | str:
    try:
        return names.from_text(text)
    except ValueError as error:
        return str(error)


@given(any_name, any_name)
def test_order_of_tuples_is_the_canonical_order(one: names.Name, other: names.Name) -> None:
    left, right = (dns.name.Name((*reversed(name), b"")) for name in (one, other))

    assert (one < other) == (left < right)
    assert (one == other) == (left == right)


@given(any_name)
def test_wire_format_is_that_of_dnspython(name: names.Name) -> None:
    assert names.to_wire(name) == dns.name.Name((*reversed(name), b"")).to_wire()
    assert names.wire_length(name) == len(names.to_wire(name))


def test_the_order_is_that_of_the_rfc() -> None:
    """RFC 4034 §6.1, the example."""
    ordered = [
        "example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE", "z.example",
        "\\001.z.example", "*.z.example", "\\200.z.example",
    ]  # fmt: skip

    assert sorted(map(names.from_text, reversed(ordered))) == [names.from_text(text) for text in ordered]


def test_a_name_may_have_255_octets_and_127_labels() -> None:
    longest = ".".join(["a"] * 127)

    assert len(names.from_text(longest)) == 127
    assert names.wire_length(names.from_text(longest)) == 255
    with pytest.raises(ValueError, match="257 octets"):
        names.from_text(longest + ".b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty name"),
        ("a..b", "empty label"),
        ("a..", "empty label"),
        (".a", "empty label"),
        ("a" * 64, "64 octets"),
        ("a\\256", "above"),
        ("a\\", "escapes nothing"),
        ("a b", "character"),
        ("bücher.example", "A-label"),
    ],
)
def test_impossible_names_are_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        names.from_text(text)


def test_odd_octets_are_escaped() -> None:
    assert names.to_text((b"example", b"a.b\x00\xff")) == "a\\.b\\000\\255.example."
    assert names.from_text("a\\.b\\000\\255.example.") == (b"example", b"a.b\x00\xff")

import pytest

from schemas.answers import network_of, permits, read_allowed


@pytest.mark.parametrize(
    ("text", "types", "kept"),
    [
        ("192.0.2.1", ("A",), "192.0.2.1"),
        ("192.0.2.0/24", ("A", "AAAA"), "192.0.2.0/24"),
        ("192.0.2.1/32", ("A",), "192.0.2.1"),
        ("2001:DB8:0::1", ("AAAA",), "2001:db8::1"),
        ("2001:db8::/48", ("A", "AAAA"), "2001:db8::/48"),
        ("Edge.CDN.example", ("A",), "edge.cdn.example."),
        ("10 mail.example.", ("MX",), "10 mail.example."),
    ],
)
def test_an_entry_has_one_form(text: str, types: tuple[str, ...], kept: str) -> None:
    assert read_allowed(text, types) == kept
    assert read_allowed(kept, types) == kept


@pytest.mark.parametrize(
    ("text", "types", "why"),
    [
        ("0.0.0.0/0", ("A",), "allows everybody"),
        ("::/0", ("AAAA",), "allows everybody"),
        ("12.0.0.0/7", ("A",), "allows everybody"),
        ("192.0.2.1/24", ("A",), "host bits set"),
        ("192.0.2.300", ("A",), "is no address"),
        ("192.0.2.0/33", ("A",), "is no network"),
        ("2001:db8::1", ("A",), "is IPv6, and the types are A"),
        ("192.0.2.1", ("AAAA",), "is IPv4, and the types are AAAA"),
        ("yes", ("A",), "neither an address, nor a network, nor a full host name"),
        ("https://x.example", ("A",), "is no"),
        ("a b.example", ("A",), "neither"),
        ("", ("A",), "does not have 1 to"),
        ("10\x00", ("MX",), "does not have 1 to"),
    ],
)
def test_nonsense_is_refused_with_a_reason(text: str, types: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_allowed(text, types)


@pytest.mark.parametrize(
    ("allowed", "data", "expected"),
    [
        (("192.0.2.0/24",), "192.0.2.77", True),
        (("192.0.2.0/24",), "198.51.100.1", False),
        (("2001:db8::/48",), "2001:db8:0:1::1", True),
        (("2001:db8::/48",), "192.0.2.1", False),
        (("2001:0db8::1",), "2001:db8::1", True),
        (("10 mail.example.",), "10 mail.example.", True),
        (("text/plain",), "192.0.2.1", False),
        ((), "192.0.2.1", False),
    ],
)
def test_a_network_allows_what_lies_in_it(allowed: tuple[str, ...], data: str, expected: bool) -> None:
    assert permits(allowed, data) is expected


def test_networks_are_the_least_that_is_routed_by_itself() -> None:
    assert network_of("192.0.2.77") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert network_of("10 mail.example.") == "10 mail.example."

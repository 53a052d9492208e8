"""What is an address of a server, which of them are public, and the file of root servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.authorities.addresses import is_public, read_address, write_address
from collector.authorities.hints import parse_hints


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(1, 65_535))
def test_an_address_that_is_written_can_be_read(host: object, port: int) -> None:
    assert read_address(write_address(str(host), port)) == (str(host), port)


@pytest.mark.parametrize(
    "text", ["", "ns.example", "192.0.2.1:0", "192.0.2.1:x", "[2001:db8::1", "[::1]x", "1.2.3.4.5"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no|port"):
        read_address(text)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("198.41.0.4", True),
        ("2001:503:ba3e::2:30", True),
        ("[2001:7fd::1]:53", True),
        ("127.0.0.1", False),
        ("10.1.2.3:5353", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.251", False),
        ("239.1.1.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::fb", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("2002:7f00:1::1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
    ],
)
def test_addresses_outside_the_public_internet_are_told_apart(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_file_of_root_servers_is_read_in_its_usual_form() -> None:
    text = """
    ; FORMERLY NS.INTERNIC.NET
    .                        3600000      NS    A.ROOT-SERVERS.NET.
    A.ROOT-SERVERS.NET.      3600000      A     198.41.0.4
    A.ROOT-SERVERS.NET.      3600000      AAAA  2001:503:ba3e::2:30
    .  IN NS b.
    b. IN A 10.0.0.1:5300 ; ours
    c. A 10.0.0.2
    """

    assert parse_hints(text, "named.root") == {
        "a.root-servers.net.": ("198.41.0.4", "2001:503:ba3e::2:30"),
        "b.": ("10.0.0.1:5300",),
    }


def test_every_bad_line_of_a_file_of_root_servers_is_named() -> None:
    with pytest.raises(ValueError, match=r"x:1: (.|\n)*x:2: (.|\n)*x:3: "):
        parse_hints(". MX 10 a.\na. A nowhere\n. NS a..b\n", "x")

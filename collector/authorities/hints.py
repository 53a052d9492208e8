"""Where a walk begins: the root servers, shipped or from a file in the format of named.root.

Source: https://www.internic.net/domain/named.root; RFC 8109 (what resolvers do with it).
"""

from collections.abc import Mapping
from types import MappingProxyType

from collector.authorities.addresses import read_address
from collector.dnssec import names

Hints = Mapping[str, tuple[str, ...]]
"""Addresses by the name of the server, in presentation format."""

ROOT_HINTS: Hints = MappingProxyType(
    {
        "a.root-servers.net.": ("198.41.0.4", "2001:503:ba3e::2:30"),
        "b.root-servers.net.": ("170.247.170.2", "2801:1b8:10::b"),
        "c.root-servers.net.": ("192.33.4.12", "2001:500:2::c"),
        "d.root-servers.net.": ("199.7.91.13", "2001:500:2d::d"),
        "e.root-servers.net.": ("192.203.230.10", "2001:500:a8::e"),
        "f.root-servers.net.": ("192.5.5.241", "2001:500:2f::f"),
        "g.root-servers.net.": ("192.112.36.4", "2001:500:12::d0d"),
        "h.root-servers.net.": ("198.97.190.53", "2001:500:1::53"),
        "i.root-servers.net.": ("192.36.148.17", "2001:7fe::53"),
        "j.root-servers.net.": ("192.58.128.30", "2001:503:c27::2:30"),
        "k.root-servers.net.": ("193.0.14.129", "2001:7fd::1"),
        "l.root-servers.net.": ("199.7.83.42", "2001:500:9f::42"),
        "m.root-servers.net.": ("202.12.27.33", "2001:dc3::35"),
    }
)


def parse_hints(text: str, source: str) -> Hints:
    """Return the servers of the root in a text in the format of named.root; addresses may have ports.

    Raises:
        ValueError: a line that is no NS, A or AAAA record, or no server of the root with an address; a sentence a line.
    """
    servers: list[str] = []
    addresses: dict[str, list[str]] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(";")[0].split()
        if not words:
            continue
        try:
            owner, rdtype, data = _read_record(words)
        except ValueError as error:
            problems.append(f"{source}:{number}: {error}")
            continue
        if rdtype == "NS" and owner == ".":
            servers.append(data)
        elif rdtype != "NS":
            addresses.setdefault(owner, []).append(data)
    hints = {server: tuple(addresses[server]) for server in dict.fromkeys(servers) if server in addresses}
    if not hints and not problems:
        problems.append(f"{source}: no server of the root with an address")
    if problems:
        raise ValueError("\n".join(problems))
    return hints


def _read_record(words: list[str]) -> tuple[str, str, str]:
    """Return owner, type and data of the words of a line."""
    owner = names.to_text(names.from_text(words[0]))
    rest = [word for word in words[1:] if not word.isdigit() and word.upper() != "IN"]
    if len(rest) != 2 or rest[0].upper() not in ("NS", "A", "AAAA"):
        raise ValueError("not an NS, A or AAAA record")
    rdtype = rest[0].upper()
    if rdtype == "NS":
        return owner, rdtype, names.to_text(names.from_text(rest[1]))
    read_address(rest[1])
    return owner, rdtype, rest[1]

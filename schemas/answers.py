"""What an inventory row allows a name to answer: addresses, networks, alias targets, or other data as they are.

One text an entry: ``192.0.2.1``, ``192.0.2.0/24``, ``2001:db8::/48``, ``edge.cdn.example.``; for types that are no
addresses the data in presentation format, such as ``10 mail.example.``.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable
from functools import lru_cache

ADDRESS_TYPES = {"A": 4, "AAAA": 6}
BROADEST = {4: 8, 6: 16}
"""By IP version the shortest prefix that a row may allow: the largest block that one holder ever got of IPv4, and more
than any holder has of IPv6. A shorter one would allow everybody."""
LEARNT_PREFIX = {4: 24, 6: 48}
"""The longest prefixes that networks accept from each other, and so the least that changes hands.

Source: RFC 7454 §6.1.3.
"""
LONGEST_ENTRY = 1000
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_allowed(text: str, types: Collection[str]) -> str:
    """Return an entry in its one form.

    Raises:
        ValueError: why no answer of these types can be that, or why it would allow everybody; the text is not quoted.
    """
    entry = text.strip()
    if not entry or len(entry) > LONGEST_ENTRY or not entry.isprintable():
        raise ValueError(f"does not have 1 to {LONGEST_ENTRY} printable characters")
    if not set(types) <= set(ADDRESS_TYPES):
        return entry
    network = _read_network(entry)
    if network is None:
        return _read_target(entry)
    if not any(ADDRESS_TYPES[rdtype] == network.version for rdtype in types):
        raise ValueError(f"is IPv{network.version}, and the types are {', '.join(types)}")
    if network.prefixlen < BROADEST[network.version]:
        raise ValueError(f"allows everybody: a network has at least /{BROADEST[network.version]}")
    return str(network) if network.num_addresses > 1 else str(network.network_address)


def _read_network(entry: str) -> Network | None:
    """Return the network, of one address perhaps; None where the entry is a name."""
    has_prefix = "/" in entry
    if not has_prefix and ":" not in entry and not entry.replace(".", "").isdigit():
        return None
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        why = "is no network, or has host bits set" if has_prefix else "is no address"
        raise ValueError(why) from error


def _read_target(entry: str) -> str:
    labels = entry.rstrip(".").lower().split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is neither an address, nor a network, nor a full host name")
    return ".".join(labels) + "."


def address_of(data: str) -> Address | None:
    """Return the address that data are, None where they are something else."""
    try:
        return ipaddress.ip_address(data)
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def network_of(data: str) -> str:
    """Return the /24 or /48 around an address; data that are none stand for themselves."""
    address = address_of(data)
    if address is None:
        return data
    return str(ipaddress.ip_network(f"{address}/{LEARNT_PREFIX[address.version]}", strict=False))


def permits(allowed: Iterable[str], data: str) -> bool:
    """Return whether an entry allows data: by itself, or as a network that they lie in."""
    address = address_of(data)
    for entry in allowed:
        if entry == data:
            return True
        if address is not None and "/" in entry and _lies_in(address, entry):
            return True
        if address is not None and "/" not in entry and address_of(entry) == address:
            return True
    return False


def _lies_in(address: Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False  # not read by this version: an entry of other data

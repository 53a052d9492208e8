"""Addresses of authoritative servers as text: ``192.0.2.1``, ``192.0.2.1:5353``, ``[2001:db8::1]:5353``."""

import ipaddress
from functools import lru_cache

from collector.dnssec import records

DNS_PORT = 53
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def write_address(host: str, port: int) -> str:
    """Return the address of a server, with the port where it is not 53."""
    if port == DNS_PORT:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@lru_cache(maxsize=4096)
def read_address(text: str, default_port: int = DNS_PORT) -> tuple[str, int]:
    """Return host and port of a server's address.

    Raises:
        ValueError: no IP address, or a port out of range.
    """
    host, port = text, str(default_port)
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(f"{text!r} is no address such as [2001:db8::1]:5353")
        port = port[1:] or str(default_port)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError(f"{text!r}: the port is not a number from 1 to 65535")
    try:
        return str(ipaddress.ip_address(host)), int(port)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address, with or without a port") from None


def address_of(rdtype: int, rdata: bytes, port: int) -> str:
    """Return the address in the data of an A or AAAA record as that of a server at ``port``."""
    packed = ipaddress.IPv4Address(rdata) if rdtype == records.A else ipaddress.IPv6Address(rdata)
    return write_address(str(packed), port)


@lru_cache(maxsize=4096)
def family_of(address: str) -> int:
    """Return 4 or 6."""
    return ipaddress.ip_address(read_address(address)[0]).version


@lru_cache(maxsize=4096)
def is_public(address: str) -> bool:
    """Return whether an address is one of the public Internet.

    Others are those of this host, of networks behind it, of groups, and those kept for other uses: a delegation that
    leads there would have questions sent where the zone's operator has no business. An IPv4 address that a gateway
    takes out of an IPv6 one (RFC 3056, RFC 6052) counts as itself.
    """
    host = ipaddress.ip_address(read_address(address)[0])
    if isinstance(host, ipaddress.IPv6Address):
        inside = ipaddress.IPv4Address(host.packed[-4:]) if host in TRANSLATED else host.sixtofour
        if host.ipv4_mapped is not None or (inside is not None and not inside.is_global):
            return False
    return host.is_global and not host.is_multicast

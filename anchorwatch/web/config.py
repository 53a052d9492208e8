"""Settings of the HTTP side."""

from ipaddress import IPv4Network, IPv6Network, ip_address

import msgspec

Network = IPv4Network | IPv6Network


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, and to whom.

    ``hosts`` are names under which others reach us, ``token`` is what the API asks for (empty: nothing), ``proxies``
    are where requests must come from if any are named.
    """

    host: str = "127.0.0.1"
    port: int = 8053
    hosts: frozenset[str] = frozenset()
    token: str = ""
    proxies: tuple[Network, ...] = ()
    protect_metrics: bool = False


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

"""Where resolvers are: URLs and resolv.conf to addresses; or that there is none, but the authoritative servers."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from collector.resolvers.identity import ANYBODY_VOUCHED_FOR, Identity
from schemas.redaction import safe

AUTHORITATIVE = "authoritative"
DEFAULT_PORTS = {"udp": 53, "tcp": 53, "tls": 853, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a resolver is: ``scheme`` is udp, tcp, tls or https; ``path`` matters for https only,
    ``identity``, how it proves who it is, for tls and https.

    With the scheme ``authoritative`` there is no resolver: the servers of the zones are asked themselves.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    identity: Identity = ANYBODY_VOUCHED_FOR

    @property
    def is_authoritative(self) -> bool:
        """Return whether the servers of the zones are asked instead of a resolver."""
        return self.scheme == AUTHORITATIVE

    def to_url(self) -> str:
        """Return the URL, credentials never in it."""
        if self.is_authoritative:
            return f"{AUTHORITATIVE}:"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_address(url: str) -> Address:
    """Parse ``udp://10.0.0.53``, ``tls://dns.example:853``, ``https://dns.example/dns-query``; a bare host means UDP.

    ``authoritative:`` stands for the servers of the zones themselves.

    Raises:
        ValueError: another scheme, no host, or a port out of range.
    """
    if url == f"{AUTHORITATIVE}:":
        return Address(AUTHORITATIVE, "", 0)
    shown = safe(url)
    if "://" not in url:
        url = f"udp://[{url}]" if url.count(":") > 1 and not url.startswith("[") else f"udp://{url}"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"{shown}: no URL") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f"{shown}: a resolver's URL begins with udp://, tcp://, tls:// or https://")
    if "@" in parts.netloc:
        raise ValueError(f"{shown}: a resolver's URL has neither user nor password")
    if not parts.hostname:
        raise ValueError(f"{shown}: no host in it")
    if any(not label or len(label) > 63 for label in parts.hostname.removesuffix(".").split(".")):
        raise ValueError(f"{shown}: no host name: an empty or over-long label")
    if parts.hostname.rpartition(".")[2].isdigit() and not _is_ip(parts.hostname):
        raise ValueError(f"{shown}: neither an IP address nor a host name")
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError as error:
        raise ValueError(f"{shown}: the port is not a number from 0 to 65535") from error
    path = (parts.path or "/dns-query") if parts.scheme == "https" else ""
    return Address(parts.scheme, parts.hostname, port, path)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def system_resolvers(resolv_conf: str) -> list[Address]:
    """Return the resolvers that the text of a resolv.conf names, in its order."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            found.append(Address("udp", words[1], 53))
    return found

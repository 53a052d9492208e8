"""Whether a request may come in: pure decisions on its headers, its peer and its parameters.

A page of another site must not ask us through the browser of someone who can reach us: neither under a name of its own
that it points at our address (DNS rebinding, seen in Host), nor by a form (seen in Origin and Sec-Fetch-Site).
"""

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from anchorwatch.web.config import HttpConfig, is_loopback

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"http": 80, "https": 443}
READING = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_WORD, MAX_LONG_WORD = 253, 2048
_WORD = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")


class Refused(Exception):
    """A request that is not answered: ``status``, a sentence, and headers that go along."""

    status = 400

    def __init__(self, sentence: str, status: int | None = None, **headers: str) -> None:
        super().__init__(sentence)
        self.status = self.status if status is None else status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class BadQuery(Refused):
    """A query parameter that does not fit."""


class NotHere(Refused):
    """Another process has what was asked for."""

    status = 404


def split_authority(text: str) -> tuple[str, int | None]:
    """Return host (lower case, without brackets and the last dot) and port of ``host:port``, None for no port.

    Raises:
        ValueError: it is neither a name nor an address. Source: RFC 9110 §7.2, RFC 3986 §3.2.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None or (match[2] and int(match[2]) > 65535):
        raise ValueError("neither a host name nor an address")
    return match[1].strip("[]").lower().rstrip("."), int(match[2]) if match[2] else None


def check_host(hosts: Sequence[str], config: HttpConfig, local: str, *, open_to_addresses: bool) -> None:
    """Check that we were asked under a name of ours; ``local`` is the address that the connection came to.

    ``open_to_addresses`` is for what monitoring asks by address; names, not addresses, can be pointed at us.

    Raises:
        Refused: the request is for another host.
    """
    if not hosts and open_to_addresses:
        return  # HTTP/1.0: a load balancer's health check
    if len(hosts) != 1:
        raise Refused("exactly one Host header is needed")
    try:
        host, _ = split_authority(hosts[0])
    except ValueError as error:
        raise Refused(f"the Host header is {error}") from error
    if host in LOOPBACK_NAMES or host in config.hosts or host in (config.host.lower(), local):
        return
    if is_loopback(host) or (open_to_addresses and _is_address(host)):
        return
    raise Refused("this is not the host that was asked for: name it in http.hosts if it is", 421)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def check_origin(method: str, host: str, origin: str | None, fetch_site: str | None, config: HttpConfig) -> None:
    """Check that a request for a change comes from no browser, or from one that shows a page of ours.

    Raises:
        Refused: a page of another site sent it. Source: Fetch Standard (Origin), Fetch Metadata §2.4 (Sec-Fetch-Site).
    """
    if method in READING:
        return
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        raise Refused(f"a page of another site sent this (Sec-Fetch-Site: {fetch_site[:20]!r})", 403)
    if origin is not None and not _is_ours(origin, host, config.hosts):
        raise Refused("a page of another site sent this (Origin)", 403)


def _is_ours(origin: str, host: str, hosts: Collection[str]) -> bool:
    parts = urlsplit(origin)
    if parts.scheme not in DEFAULT_PORTS:
        return False
    try:
        theirs, port = split_authority(parts.netloc)
        ours, our_port = split_authority(host)
    except ValueError:
        return False
    default = DEFAULT_PORTS[parts.scheme]
    if (theirs, port or default) == (ours, our_port or default):
        return True
    # A proxy in front may ask us under another name than the browser asked it; the operator named that one.
    return theirs in hosts and (port or default) == default


def check_peer(peer: str, config: HttpConfig) -> None:
    """Check that a request comes through the proxy, where one is named.

    Raises:
        Refused: it comes from elsewhere.
    """
    if config.proxies and not is_proxied(peer, config) and not is_loopback(peer):
        raise Refused("requests are answered only to the proxies of http.behind_proxy", 403)


def is_proxied(peer: str, config: HttpConfig) -> bool:
    """Return whether a request was sent by a proxy of ours, whose forwarded headers count."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in config.proxies)


def check_parameters(
    given: Sequence[tuple[str, str]], known: Collection[str], *, repeated: bool = False, long: Collection[str] = ()
) -> None:
    """Check that every parameter is known, given once unless they may be ``repeated``, printable and short.

    Those that are ``long`` may have more signs.

    Raises:
        BadQuery: one is not.
    """
    names = [name for name, _ in given]
    for name, value in given:
        if name not in known:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise BadQuery(f"there is no parameter {name[:40]!r} here: {takes}")
        if names.count(name) > 1 and not repeated:
            raise BadQuery(f"{name}= is given more than once")
        most = MAX_LONG_WORD if name in long else MAX_WORD
        if len(value) > most or not value.isprintable():
            raise BadQuery(f"{name}= has more than {most} signs, or some that can't be printed")


def is_word(text: str) -> bool:
    """Return whether a text can be an id or a digest of ours."""
    return _WORD.fullmatch(text) is not None


def read_number(text: str, key: str, most: int) -> int:
    """Return the number from 1 to ``most``.

    Raises:
        BadQuery: it is none.
    """
    if re.fullmatch(r"[0-9]{1,9}", text) is None or not 1 <= int(text) <= most:
        raise BadQuery(f"{key}={text[:20]!r} is no number from 1 to {most}")
    return int(text)


class Bucket:
    """A rate: ``burst`` at once, then one each ``every_s``; ``clock`` is monotonic."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_s = burst, every_s
        self._left, self._at = float(burst), 0.0

    def take(self, now: float) -> float:
        """Return 0 if it may happen now, else the seconds until it may."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) / self._every_s)
        self._at = now
        if self._left < 1:
            return (1 - self._left) * self._every_s
        self._left -= 1
        return 0.0

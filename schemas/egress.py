"""How connections leave this machine: one rule for proxies and authorities, for all that connects.

Pure: the shell reads the environment and the configuration, whoever connects asks here.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import msgspec

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Never reached through a proxy: there they would be the proxy's own."""
SCHEMES = ("http", "https")


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """The rule. Proxies are URLs by the scheme of what is asked for; their user and password stand in ``user``.

    ``no_proxy`` has hosts, domains (with all below them), addresses, CIDR ranges, each with or without ``:port``, or
    ``*``. ``ca_path`` is a PEM file of the authorities to trust instead of the system's.
    """

    http_proxy: str = ""
    https_proxy: str = ""
    users: dict[str, str] = msgspec.field(default_factory=dict)
    no_proxy: tuple[str, ...] = ()
    ca_path: str = ""

    def __repr__(self) -> str:
        return f"Egress(http_proxy={self.http_proxy!r}, https_proxy={self.https_proxy!r}, no_proxy={self.no_proxy!r})"

    def proxy_for(self, url: str) -> str:
        """Return the proxy to reach a URL through, empty for none."""
        parts = urlsplit(url)
        proxy = {"http": self.http_proxy, "https": self.https_proxy}.get(parts.scheme, "")
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return "" if not proxy or is_direct(host, port, self.no_proxy) else proxy

    def user_of(self, proxy: str) -> str:
        """Return ``user:password`` for a proxy, empty where it wants none."""
        return self.users.get(proxy, "")


DIRECT = Egress()


def is_direct(host: str, port: int, no_proxy: tuple[str, ...]) -> bool:
    """Return whether a host is reached without a proxy."""
    host = host.lower()
    return host in LOOPBACK or any(_fits(entry.strip().lower(), host, port) for entry in no_proxy)


def _fits(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    entry, wanted_port = _split_port(entry)
    if not entry or (wanted_port and wanted_port != port):
        return False
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain = entry.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith("." + domain))
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _split_port(entry: str) -> tuple[str, int]:
    """Return ``host:port`` or ``[address]:port`` in its parts; a bare IPv6 address has no port."""
    match = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+)(?::(\d+))?", entry)
    if match is None:
        return entry, 0
    return match[1] or match[3], int(match[2] or match[4] or 0)


def egress_from(environment: Mapping[str, str], ca_path: str = "") -> tuple[Egress, list[str]]:
    """Return the rule that environment variables make, and what of them can't be used; lower case comes first."""
    problems: list[str] = []
    proxies, users = {}, {}
    for scheme in SCHEMES:
        name, text = _first_set(environment, f"{scheme}_proxy", "all_proxy")
        proxies[scheme], user = "", ""
        if text:
            try:
                proxies[scheme], user = read_proxy(text)
            except ValueError as error:
                problems.append(f"{name} (environment): {error}")
        if user:
            users[proxies[scheme]] = user
    _, listed = _first_set(environment, "no_proxy")
    no_proxy = tuple(part for part in re.split(r"[,\s]+", listed) if part)
    egress = Egress(
        http_proxy=proxies["http"], https_proxy=proxies["https"], users=users, no_proxy=no_proxy, ca_path=ca_path
    )
    return egress, problems


def _first_set(environment: Mapping[str, str], *names: str) -> tuple[str, str]:
    for name in names:
        for spelling in (name, name.upper()):
            if environment.get(spelling, "").strip():
                return spelling, environment[spelling].strip()
    return "", ""


def read_proxy(text: str) -> tuple[str, str]:
    """Return a proxy's URL without its user, and ``user:password``, empty for none.

    Raises:
        ValueError: it is no URL of an HTTP proxy; the sentence says nothing of its user.
    """
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("a proxy is http://host:port") from None
    if parts.scheme not in SCHEMES or not host:
        raise ValueError("a proxy is http://host:port or https://host:port; other kinds can't be used")
    place = f"[{host}]" if ":" in host else host
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
    return f"{parts.scheme}://{place}:{port or (443 if parts.scheme == 'https' else 80)}", user


def with_user(proxy: str, user: str) -> str:
    """Return a proxy's URL with ``user:password`` in it, for clients that take no other form; never show it."""
    if not user:
        return proxy
    name, _, password = user.partition(":")
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{quote(name, safe='')}:{quote(password, safe='')}@{rest}"

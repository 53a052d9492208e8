"""``http``: where API, metrics and pages are served, and to whom."""

from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section, read_secret_file
from anchorwatch.web.config import HttpConfig, Network, is_loopback
from anchorwatch.web.doors import split_authority
from anchorwatch.web.session import check_token


class HttpSection(Section, frozen=True, kw_only=True):
    """Where API, metrics and pages are served."""

    listen: str = "127.0.0.1:8053"
    hosts: tuple[str, ...] = ()
    token_file: str = ""
    behind_proxy: tuple[str, ...] = ()
    protect_metrics: bool = False
    public_url: str = ""


def read_public_url(section: HttpSection, document: Document) -> str:
    """Return the URL under which people reach the pages, without a slash at its end."""
    text = section.public_url.rstrip("/")
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if text and (not is_usable or parts.query or parts.fragment or parts.username is not None):
        document.problem("http.public_url", "a URL begins with https:// (or http://), names a host, and has no query")
        return ""
    return text


def read_http(section: HttpSection, base: Path, document: Document) -> HttpConfig:
    """Return where to listen, and to whom."""
    host, port = _read_listen(section.listen, document)
    token = read_secret_file(base / section.token_file, "http.token_file", document) if section.token_file else ""
    if token and (why := check_token(token)):
        document.problem("http.token_file", why)
    hosts = _read_hosts(section.hosts, document)
    proxies = _read_proxies(section.behind_proxy, document)
    if not is_loopback(host) and not section.token_file and not section.behind_proxy:
        document.problem(
            "http.listen",
            f"others can reach {section.listen!r}: name http.token_file, or in http.behind_proxy the networks of the"
            " proxy that asks people to log in",
        )
    return HttpConfig(
        host=host,
        port=port,
        hosts=hosts,
        token=token,
        proxies=proxies,
        protect_metrics=section.protect_metrics,
    )


def _read_hosts(texts: Sequence[str], document: Document) -> frozenset[str]:
    hosts = set()
    for number, text in enumerate(texts):
        try:
            name, named_port = split_authority(text)
        except ValueError as error:
            document.problem(f"http.hosts[{number}]", f"{text[:80]!r} is {error}")
            continue
        if named_port is not None:
            document.problem(f"http.hosts[{number}]", f"{text[:80]!r}: the name alone is expected, without a port")
        hosts.add(name)
    return frozenset(hosts)


def _read_proxies(texts: Sequence[str], document: Document) -> tuple[Network, ...]:
    proxies = []
    for number, text in enumerate(texts):
        try:
            proxies.append(ip_network(text))
        except ValueError:
            document.problem(f"http.behind_proxy[{number}]", f"{text[:80]!r} is no network such as 10.0.0.0/24")
    return tuple(proxies)


def _read_listen(text: str, document: Document) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        document.problem("http.listen", f"{text!r} is no address such as 127.0.0.1:8053")
        return "127.0.0.1", 0
    return host.strip("[]") or "127.0.0.1", int(port)

"""``http``: where API, metrics and pages are served, and to whom."""

import re
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Section, read_secret_file
from anchorwatch.web.config import HttpConfig, Network, OidcConfig, ProxyAuth, is_loopback
from anchorwatch.web.doors import split_authority
from anchorwatch.web.oidc import is_safe_url
from anchorwatch.web.people import Roles
from anchorwatch.web.session import check_token, session_secrets
from schemas.egress import Egress

LARGE_NETWORK = 256
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
TAKEN_HEADERS = frozenset({"authorization", "cookie", "host", "origin", "content-type", "content-length"})


class ProxyAuthSection(Section, frozen=True, kw_only=True):
    """The headers in which the proxy says who asks."""

    user_header: str
    groups_header: str = ""


class OidcSection(Section, frozen=True, kw_only=True):
    """The OpenID provider that says who people are."""

    issuer: str
    client_id: str
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"


class RolesSection(Section, frozen=True, kw_only=True):
    """Which groups may what."""

    act: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


class HttpSection(Section, frozen=True, kw_only=True):
    """Where API, metrics and pages are served."""

    listen: str = "127.0.0.1:8053"
    hosts: tuple[str, ...] = ()
    token_file: str = ""
    read_token_file: str = ""
    behind_proxy: tuple[str, ...] = ()
    proxy_auth: ProxyAuthSection | None = None
    oidc: OidcSection | None = None
    roles: RolesSection | None = None
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


def read_http(section: HttpSection, base: Path, document: Document, egress: Egress, public_url: str) -> HttpConfig:
    """Return where to listen, and to whom; ``egress`` is the way to the OpenID provider."""
    host, port = _read_listen(section.listen, document)
    token, read_token = (
        _read_token(file, where, base, document)
        for file, where in (
            (section.token_file, "http.token_file"),
            (section.read_token_file, "http.read_token_file"),
        )
    )
    if token and token == read_token:
        document.problem("http.read_token_file", "it has the token that may act, too: make another one")
    hosts = _read_hosts(section.hosts, document)
    if public_host := urlsplit(public_url).hostname:
        hosts |= {public_host}
    has_lock = section.token_file or section.read_token_file or section.behind_proxy or section.oidc is not None
    if not is_loopback(host) and not has_lock:
        document.problem(
            "http.listen",
            f"others can reach {section.listen!r}: name http.token_file, http.oidc, or in http.behind_proxy the"
            " networks of the proxy that asks people to log in",
        )
    return HttpConfig(
        host=host,
        port=port,
        hosts=hosts,
        token=token,
        read_token=read_token,
        proxies=_read_proxies(section.behind_proxy, document),
        proxy_auth=_read_proxy_auth(section, document),
        oidc=_read_oidc(section, base, document, egress, public_url),
        roles=_read_roles(section, document),
        protect_metrics=section.protect_metrics,
        public_url=public_url,
    )


def find_open_doors(config: HttpConfig) -> list[str]:
    """Return what of a configuration lets in more people than its writer may think, or for less long."""
    found = []
    if config.proxy_auth is not None:
        for network in config.proxies:
            if network.num_addresses > LARGE_NETWORK or network.is_loopback:
                found.append(
                    f"http.proxy_auth: whatever sends from {network} may say that it is anybody: name the addresses of"
                    " the proxy alone in http.behind_proxy, and have it replace the header of its clients"
                )
    if config.has_login and not any(session_secrets(config)):
        found.append("http.oidc: without a client secret, and without http.token_file, sessions end with the process")
    return found


def _read_token(file: str, where: str, base: Path, document: Document) -> str:
    token = read_secret_file(base / file, where, document) if file else ""
    if token and (why := check_token(token)):
        document.problem(where, why)
    return token


def _read_proxy_auth(section: HttpSection, document: Document) -> ProxyAuth | None:
    auth = section.proxy_auth
    if auth is None:
        return None
    if not section.behind_proxy:
        document.problem("http.proxy_auth", "name in http.behind_proxy the addresses of the proxy that says who asks")
    for key, name in (("user_header", auth.user_header), ("groups_header", auth.groups_header)):
        if (name or key == "user_header") and (_HEADER.fullmatch(name) is None or name.lower() in TAKEN_HEADERS):
            document.problem(f"http.proxy_auth.{key}", f"{name[:80]!r} is no header such as X-Forwarded-User")
    return ProxyAuth(user_header=auth.user_header.lower(), groups_header=auth.groups_header.lower())


def _read_oidc(
    section: HttpSection, base: Path, document: Document, egress: Egress, public_url: str
) -> OidcConfig | None:
    oidc = section.oidc
    if oidc is None:
        return None
    secret = ""
    if oidc.client_secret_file:
        secret = read_secret_file(base / oidc.client_secret_file, "http.oidc.client_secret_file", document)
    if not is_safe_url(oidc.issuer) or urlsplit(oidc.issuer).query or urlsplit(oidc.issuer).fragment:
        document.problem("http.oidc.issuer", f"{oidc.issuer[:80]!r} is no URL such as https://login.corp.example")
    if not oidc.client_id:
        document.problem("http.oidc.client_id", "it is empty")
    if not public_url:
        document.problem("http.oidc", "name http.public_url: the provider sends people back there")
    return OidcConfig(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        client_secret=secret,
        redirect_uri=f"{public_url}/-/oidc/callback",
        scopes=tuple(dict.fromkeys(("openid", *oidc.scopes))),
        name_claim=oidc.name_claim,
        groups_claim=oidc.groups_claim,
        egress=egress,
    )


def _read_roles(section: HttpSection, document: Document) -> Roles:
    names_people = section.proxy_auth is not None or section.oidc is not None
    roles = section.roles or RolesSection()
    if names_people and not (roles.act or roles.read):
        document.problem("http.roles", 'say which groups may act, and which may read: {act: [sre], read: ["*"]}')
    if section.roles is not None and not names_people:
        document.problem("http.roles", "it takes http.proxy_auth or http.oidc to know who is in a group")
    return Roles(act=frozenset(roles.act), read=frozenset(roles.read))


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
    if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
        document.problem("http.listen", f"{text!r} is no address such as 127.0.0.1:8053")
        return "127.0.0.1", 0
    return host.strip("[]") or "127.0.0.1", int(port)

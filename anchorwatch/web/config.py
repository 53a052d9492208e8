"""Settings of the HTTP side."""

from ipaddress import IPv4Network, IPv6Network, ip_address

import msgspec

from anchorwatch.web.people import Roles
from schemas.egress import Egress

Network = IPv4Network | IPv6Network


class ProxyAuth(msgspec.Struct, frozen=True, kw_only=True):
    """The headers, in lower case, in which a proxy says who asks; without ``groups_header`` nobody is in a group."""

    user_header: str
    groups_header: str = ""


class OidcConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An OpenID provider that says who people are. Source: OpenID Connect Core 1.0.

    ``redirect_uri`` is where it sends them back to; ``client_secret`` is empty for a public client. ``egress`` is the
    way to it.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    client_secret: str = ""
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"
    egress: Egress = msgspec.field(default_factory=Egress)


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, and to whom.

    ``hosts`` are names under which others reach us, ``token`` and ``read_token`` are what the API asks for (empty: not
    taken), ``proxies`` are where requests must come from if any are named. ``proxy_auth`` and ``oidc`` say who asks,
    ``roles`` what they may; ``public_url`` is where people reach the pages.
    """

    host: str = "127.0.0.1"
    port: int = 8053
    hosts: frozenset[str] = frozenset()
    token: str = ""
    read_token: str = ""
    proxies: tuple[Network, ...] = ()
    proxy_auth: ProxyAuth | None = None
    oidc: OidcConfig | None = None
    roles: Roles = Roles()
    protect_metrics: bool = False
    public_url: str = ""

    @property
    def has_tokens(self) -> bool:
        """Return whether somebody may sign in with a token."""
        return bool(self.token or self.read_token)

    @property
    def has_login(self) -> bool:
        """Return whether people sign in here."""
        return self.has_tokens or self.oidc is not None

    @property
    def asks_who(self) -> bool:
        """Return whether a request has to say who sends it."""
        return self.has_login or self.proxy_auth is not None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

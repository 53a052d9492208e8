"""Who sent a request: a token, a proxy that vouches for a person, or the session of a browser. Pure."""

from collections.abc import Mapping, Sequence

from anchorwatch.web.config import HttpConfig
from anchorwatch.web.doors import Refused, is_proxied
from anchorwatch.web.people import ANYBODY, Person, Role, clean_name
from anchorwatch.web.session import COOKIE, bearer_of, is_token, read_session

MOST_GROUPS = 1000


class Forged(Refused):
    """A request that names its person itself, though it comes from no proxy of ours."""

    status = 403


def identify(
    config: HttpConfig,
    key: bytes,
    peer: str,
    headers: Mapping[str, Sequence[str]],
    cookies: Mapping[str, str],
    now: float,
) -> Person | None:
    """Return who asks, None for who does not say; ``headers`` are by their names in lower case.

    Raises:
        Refused: the proxy says something that can't be, or names somebody who may nothing.
    """
    if not config.asks_who:
        return ANYBODY
    given = bearer_of((headers.get("authorization") or [""])[0])
    if given:
        return person_with(given, config)
    if config.proxy_auth is not None and is_proxied(peer, config) and headers.get(config.proxy_auth.user_header):
        return _vouched_for(config, headers)
    return read_session(cookies.get(COOKIE, ""), key, now)


def person_with(token: str, config: HttpConfig) -> Person | None:
    """Return what the bearer of a token may, None where it is none of ours."""
    may_act = bool(config.token) and is_token(token, config.token)
    may_read = bool(config.read_token) and is_token(token, config.read_token)
    if may_act:
        return Person(Role.ACT)
    return Person(Role.READ) if may_read else None


def check_forged(config: HttpConfig, peer: str, headers: Mapping[str, Sequence[str]]) -> None:
    """Check that nobody but a proxy says who asks.

    Raises:
        Forged: somebody does.
    """
    auth = config.proxy_auth
    if auth is None or is_proxied(peer, config):
        return
    for name in (auth.user_header, auth.groups_header):
        if name and headers.get(name):
            raise Forged(f"{name} is taken from the proxies of http.behind_proxy only")


def _vouched_for(config: HttpConfig, headers: Mapping[str, Sequence[str]]) -> Person:
    auth = config.proxy_auth
    assert auth is not None
    said = headers[auth.user_header]
    if len(said) != 1:
        raise Refused(f"the proxy sent {auth.user_header} more than once: it must replace what clients send")
    name = clean_name(said[0])
    if not name or name != said[0].strip():
        raise Refused(f"{auth.user_header} is no name: empty, too long, or with signs that can't be printed")
    texts = ",".join(headers.get(auth.groups_header) or ()) if auth.groups_header else ""
    groups = [group.strip() for group in texts.split(",")[:MOST_GROUPS]]
    role = config.roles.of(groups)
    if role is None:
        raise Refused(f"{name} is in no group of http.roles", 403)
    return Person(role, name, "the proxy")

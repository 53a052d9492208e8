"""How people sign in and out: with a token, or through an OpenID provider."""

import logging
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from anchorwatch.web import pages
from anchorwatch.web.config import HttpConfig
from anchorwatch.web.doors import Bucket, Refused, is_proxied
from anchorwatch.web.guard import LOGIN, OIDC, peer_of
from anchorwatch.web.identification import person_with
from anchorwatch.web.oidc import (
    FLOW_COOKIE,
    FLOW_S,
    Flow,
    Untrusted,
    authorization_url,
    check_id_token,
    code_of,
    groups_of,
    make_flow_cookie,
    name_of,
    read_flow_cookie,
)
from anchorwatch.web.people import Person, clean_name
from anchorwatch.web.provider import Provider, Unavailable
from anchorwatch.web.session import COOKIE, SESSION_S, make_session
from anchorwatch.web.threads import Threads
from schemas.faults import Transient

log = logging.getLogger(__name__)

MAX_FORM = 4096
LOGINS_AT_ONCE, LOGIN_EVERY_S = 10, 2.0
STARTS_AT_ONCE, START_EVERY_S = 30, 0.5
AT_ONCE = 4
MOST_SUBJECT = 64
ROOT = "/"


class Login:
    """Exchanges a token, or what an OpenID provider says, for a session in a cookie, and ends it.

    ``key`` is what sessions are signed with.
    """

    def __init__(self, config: HttpConfig, key: bytes = b"", clock: Callable[[], float] = time.time) -> None:
        self._config, self._key, self._clock = config, key, clock
        self._bucket, self._starts = Bucket(LOGINS_AT_ONCE, LOGIN_EVERY_S), Bucket(STARTS_AT_ONCE, START_EVERY_S)
        self._provider = Provider(config.oidc) if config.oidc is not None else None
        self._threads = Threads("OpenID provider", most=AT_ONCE)

    def _page(self, path: str, problem: str, status: int = 200) -> Response:
        host = urlsplit(self._config.oidc.issuer).hostname if self._config.oidc is not None else ""
        response = pages.login(path, problem, has_token=self._config.has_tokens, provider=host or "")
        response.status_code = status
        return response

    async def show(self, request: Request) -> Response:
        """Ask people to sign in."""
        if not self._config.has_login:
            return RedirectResponse(ROOT, status_code=303)
        return self._page(safe_path(request.query_params.get("next", ROOT)), "")

    async def enter(self, request: Request) -> Response:
        """Set the session's cookie if the token is right."""
        if not self._config.has_tokens:
            return RedirectResponse(ROOT, status_code=303)
        form = parse_qs(await _short_body(request), keep_blank_values=True)
        wait_s = self._bucket.take(time.monotonic())
        if wait_s:
            raise Refused("too many tries to log in", 429, retry_after=str(int(wait_s) + 1))
        path = safe_path(form.get("next", [ROOT])[0])
        person = person_with(form.get("token", [""])[0].strip(), self._config)
        if person is None:
            log.warning("a login was refused: the token is wrong", extra={"peer": peer_of(request)})
            return self._page(path, "This is not the token.", 401)
        response = RedirectResponse(path, status_code=303)
        self._begin_session(response, request, person)
        return response

    async def leave(self, request: Request) -> Response:
        """Take the cookie back."""
        response = RedirectResponse(LOGIN, status_code=303)
        self._set_cookie(response, request, COOKIE, "", 0)
        return response

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider; where that does not answer, say so and offer the token."""
        path = safe_path(request.query_params.get("next", ROOT))
        if self._provider is None or self._config.oidc is None:
            raise Refused("no OpenID provider is configured", 404)
        wait_s = self._starts.take(time.monotonic())
        if wait_s:
            raise Refused("too many tries to log in", 429, retry_after=str(int(wait_s) + 1))
        try:
            metadata = await self._threads.ask(self._provider.metadata)
        except (Unavailable, Untrusted, Transient) as trouble:
            return self._tell(path, trouble, request)
        flow = Flow(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), path)
        response = RedirectResponse(authorization_url(metadata, self._config.oidc, flow), status_code=303)
        value = make_flow_cookie(flow, self._key, self._clock())
        # Lax: the browser comes back from another site. Source: RFC 6265bis §5.6.7.
        self._set_cookie(response, request, FLOW_COOKIE, value, FLOW_S, path=OIDC.rstrip("/"), samesite="lax")
        return response

    async def come_back(self, request: Request) -> Response:
        """Let in whom the provider sent back, if it says who that is, and that is somebody who may do something."""
        provider, config = self._provider, self._config.oidc
        if provider is None or config is None:
            raise Refused("no OpenID provider is configured", 404)
        given = request.query_params
        flow = read_flow_cookie(request.cookies.get(FLOW_COOKIE, ""), self._key, self._clock())
        path = flow.path if flow is not None else ROOT
        try:
            metadata = await self._threads.ask(provider.metadata)
            if len(given) != len(given.multi_items()):
                raise Untrusted("the answer says something twice")
            code, begun = code_of(given, flow, metadata)
            token = await self._threads.ask(provider.exchange, code, begun.verifier)
            keys = await self._threads.ask(provider.keys_for, token)
            claims = check_id_token(token, keys, config, begun.nonce, self._clock())
        except (Unavailable, Untrusted, Transient) as trouble:
            return self._tell(path, trouble, request)
        name = name_of(claims, config.name_claim)
        role = self._config.roles.of(groups_of(claims, config.groups_claim))
        if role is None:
            log.warning("a login was refused: no role", extra={"peer": peer_of(request), "person": name})
            return self._forget_flow(self._page(path, f"{name} is in no group of http.roles.", 403), request)
        person = Person(role, name, f"OpenID subject {clean_name(claims['sub'])[:MOST_SUBJECT]}")
        log.info("somebody signed in", extra={"person": name, "via": person.via, "role": str(role)})
        # A page of ours leads on, not a redirect: the way here began on another site, and along it the browser would
        # not send a cookie that is SameSite=Strict.
        response = pages.signed_in(path, name)
        self._begin_session(response, request, person)
        return self._forget_flow(response, request)

    def _tell(self, path: str, trouble: Exception, request: Request) -> Response:
        """Say on the page why the provider let nobody in, and offer what else there is."""
        is_away = not isinstance(trouble, Untrusted)
        log.warning("a login through the provider failed", extra={"why": str(trouble), "peer": peer_of(request)})
        said = f"The OpenID provider let nobody in: {trouble}."
        return self._forget_flow(self._page(path, said, 503 if is_away else 401), request)

    def _forget_flow(self, response: Response, request: Request) -> Response:
        self._set_cookie(response, request, FLOW_COOKIE, "", 0, path=OIDC.rstrip("/"), samesite="lax")
        return response

    def _begin_session(self, response: Response, request: Request, person: Person) -> None:
        session = make_session(self._key, person, self._clock(), secrets.token_hex(16))
        self._set_cookie(response, request, COOKIE, session, SESSION_S)

    def _set_cookie(self, response: Response, request: Request, name: str, value: str, age_s: int, **more: str) -> None:
        options = {"samesite": "strict", "path": "/", **more}
        secure = self._is_https(request)
        response.set_cookie(name, value, max_age=age_s, httponly=True, secure=secure, **options)  # type: ignore[arg-type]

    def _is_https(self, request: Request) -> bool:
        """Return whether the browser came over https, as far as we can know."""
        proto = request.headers.get("x-forwarded-proto", "") if is_proxied(peer_of(request), self._config) else ""
        if request.scope["scheme"] == "https" or proto.strip().lower() == "https":
            return True
        public = urlsplit(self._config.public_url)
        return public.scheme == "https" and request.headers.get("host", "").lower() == public.netloc.lower()


def safe_path(text: str) -> str:
    """Return a path on this host to go to, the overview for whatever else is asked for."""
    is_path = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isascii() and text.isprintable()
    return text if is_path and len(text) <= 1024 and "\\" not in text else ROOT


async def _short_body(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            raise Refused("the form is too long", 413)
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        raise Refused("the form is not URL-encoded") from error

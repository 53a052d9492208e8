"""What every request passes: who asks, under which name, with which token; and the headers of every answer.

Plain ASGI, so that nothing that answers, an error included, gets around it.
"""

import logging
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anchorwatch.web import pages
from anchorwatch.web.config import HttpConfig
from anchorwatch.web.doors import Bucket, Refused, check_host, check_origin, check_peer, is_proxied
from anchorwatch.web.problems import problem
from anchorwatch.web.session import COOKIE, SESSION_S, bearer_of, is_session, is_token, make_session
from schemas.faults import Transient

log = logging.getLogger(__name__)

HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With no-referrer a browser sends the forms of our own page with "Origin: null". Source: Fetch Standard, Origin.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
LOGIN, LOGOUT = "/-/login", "/-/logout"
HEALTH = frozenset({"/-/healthy", "/-/ready"})
METRICS = "/metrics"
STATIC = "/static/"
HOOKS = "/api/v1/hooks/"
MAX_FORM = 4096
LOGINS_AT_ONCE, LOGIN_EVERY_S = 10, 2.0


class Guard:
    """Refuses what may not come in; its headers keep hostile DNS data from doing anything in a browser."""

    def __init__(self, app: ASGIApp, config: HttpConfig, clock: Callable[[], float] = time.time) -> None:
        self._app, self._config, self._clock = app, config, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            refusal = self._refuse(HTTPConnection(scope), scope["method"])
            await (refusal or self._app)(scope, receive, with_headers)
        except Exception as fault:
            if started:
                raise
            await self._explain(fault, scope)(scope, receive, with_headers)

    @staticmethod
    def _explain(fault: Exception, scope: Scope) -> Response:
        if isinstance(fault, Refused):
            return problem(fault.status, str(fault), **fault.headers)
        if isinstance(fault, Transient):
            return problem(503, str(fault))
        log.error("a request failed", exc_info=fault, extra={"method": scope["method"], "path": scope["path"][:200]})
        return problem(500, "a fault of anchorwatch's own: the log has it")

    def _refuse(self, asked: HTTPConnection, method: str) -> Response | None:
        """Return the answer to who may not ask, None for who may.

        Raises:
            Refused: likewise.
        """
        path, config, headers = str(asked.scope["path"]), self._config, asked.headers
        watched = path in HEALTH or path == METRICS
        local = str((asked.scope.get("server") or ("",))[0])
        check_host(headers.getlist("host"), config, local, open_to_addresses=watched)
        check_origin(method, headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site"), config)
        if path in HEALTH or (path == METRICS and not config.protect_metrics):
            return None
        check_peer(peer_of(asked), config)
        if not config.token or path in (LOGIN, LOGOUT) or path.startswith((STATIC, HOOKS)):
            return None  # who calls a hook signs
        if self._is_known(asked):
            return None
        if path.startswith(("/api/", "/-/")) or path == METRICS or method not in ("GET", "HEAD"):
            raise Refused("a token is needed: Authorization: Bearer TOKEN", 401, www_authenticate="Bearer")
        return RedirectResponse(f"{LOGIN}?next={quote(path)}", status_code=303)

    def _is_known(self, asked: HTTPConnection) -> bool:
        given = bearer_of(asked.headers.get("authorization", ""))
        if given:
            return is_token(given, self._config.token)
        return is_session(asked.cookies.get(COOKIE, ""), self._config.token, self._clock())


def peer_of(asked: HTTPConnection) -> str:
    """Return the address that a request came from."""
    return asked.client.host if asked.client is not None else ""


class Login:
    """Exchanges the token for a session in a cookie, and ends it."""

    def __init__(self, config: HttpConfig, clock: Callable[[], float] = time.time) -> None:
        self._config, self._clock = config, clock
        self._bucket = Bucket(LOGINS_AT_ONCE, LOGIN_EVERY_S)

    async def show(self, request: Request) -> Response:
        """Ask for the token."""
        if not self._config.token:
            return RedirectResponse("/", status_code=303)
        return pages.login(safe_path(request.query_params.get("next", "/")), "")

    async def enter(self, request: Request) -> Response:
        """Set the session's cookie if the token is right."""
        if not self._config.token:
            return RedirectResponse("/", status_code=303)
        form = parse_qs(await _short_body(request), keep_blank_values=True)
        wait_s = self._bucket.take(time.monotonic())
        if wait_s:
            raise Refused("too many tries to log in", 429, retry_after=str(int(wait_s) + 1))
        path = safe_path(form.get("next", ["/"])[0])
        if not is_token(form.get("token", [""])[0].strip(), self._config.token):
            log.warning("a login was refused: the token is wrong", extra={"peer": peer_of(request)})
            response: Response = pages.login(path, "This is not the token.")
            response.status_code = 401
            return response
        response = RedirectResponse(path, status_code=303)
        session = make_session(self._config.token, self._clock(), secrets.token_hex(16))
        self._set_cookie(response, request, session, SESSION_S)
        return response

    async def leave(self, request: Request) -> Response:
        """Take the cookie back."""
        response = RedirectResponse(LOGIN, status_code=303)
        self._set_cookie(response, request, "", 0)
        return response

    def _set_cookie(self, response: Response, request: Request, value: str, age_s: int) -> None:
        proto = request.headers.get("x-forwarded-proto", "") if is_proxied(peer_of(request), self._config) else ""
        is_secure = request.scope["scheme"] == "https" or proto.strip().lower() == "https"
        response.set_cookie(COOKIE, value, max_age=age_s, httponly=True, samesite="strict", secure=is_secure)


def safe_path(text: str) -> str:
    """Return a path on this host to go to, the overview for whatever else is asked for."""
    is_path = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isascii() and text.isprintable()
    return text if is_path and len(text) <= 1024 and "\\" not in text else "/"


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

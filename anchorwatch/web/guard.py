"""What every request passes: who asks, under which name, with which token; and the headers of every answer.

Plain ASGI, so that nothing that answers, an error included, gets around it.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anchorwatch.web.config import HttpConfig
from anchorwatch.web.doors import READING, Refused, check_host, check_origin, check_peer
from anchorwatch.web.identification import Forged, check_forged, identify
from anchorwatch.web.problems import problem
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
LOGIN, LOGOUT, OIDC = "/-/login", "/-/logout", "/-/oidc/"
OIDC_START, OIDC_CALLBACK = f"{OIDC}start", f"{OIDC}callback"
OPEN = frozenset({LOGIN, LOGOUT, OIDC_START, OIDC_CALLBACK})
HEALTH = frozenset({"/-/healthy", "/-/ready"})
METRICS = "/metrics"
STATIC = "/static/"
ASKING = frozenset({"/explain"})
"""Forms that change nothing: who may read may send them."""
HOOKS = "/api/v1/hooks/"


class Guard:
    """Refuses what may not come in; its headers keep hostile DNS data from doing anything in a browser."""

    def __init__(
        self, app: ASGIApp, config: HttpConfig, key: bytes = b"", clock: Callable[[], float] = time.time
    ) -> None:
        """``key`` is what sessions are signed with."""
        self._app, self._config, self._key, self._clock = app, config, key, clock

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
        peer = peer_of(asked)
        check_peer(peer, config)
        by_name = {name: headers.getlist(name) for name in headers}
        self._check_forged(peer, path, by_name)
        if path in OPEN or path.startswith((STATIC, HOOKS)):
            return None  # who calls a hook signs, or has a token of its own
        person = identify(config, self._key, peer, by_name, asked.cookies, self._clock())
        if person is not None:
            asked.scope.setdefault("state", {})["person"] = person
            if method not in READING and path not in ASKING and not person.may_act:
                raise Refused("you may read only: this is for those who may act", 403)
            return None
        if path.startswith(("/api/", "/-/")) or path == METRICS or method not in ("GET", "HEAD"):
            raise Refused("a token is needed: Authorization: Bearer TOKEN", 401, www_authenticate="Bearer")
        return RedirectResponse(f"{LOGIN}?next={quote(path)}", status_code=303)

    def _check_forged(self, peer: str, path: str, headers: Mapping[str, Sequence[str]]) -> None:
        try:
            check_forged(self._config, peer, headers)
        except Forged:
            log.warning("a request named its person itself and was refused", extra={"peer": peer, "path": path[:200]})
            raise


def peer_of(asked: HTTPConnection) -> str:
    """Return the address that a request came from."""
    return asked.client.host if asked.client is not None else ""

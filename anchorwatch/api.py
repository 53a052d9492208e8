"""The HTTP face of a running instance: JSON for scripts, pages for people, metrics, health.

Everything shown comes from the history, the ledger and the analyzer's state; nothing is changed from here but by
``/-/reload``.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from alerts.incidents import Incident
from alerts.ledger import SqliteLedger
from alerts.wording import printable, summarise
from analyzer.history import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch import pages
from anchorwatch.progress import Progress
from anchorwatch.telemetry import Meter
from anchorwatch.views import EndpointView, endpoint_views, identity_views
from schemas.faults import Transient
from schemas.messages import Finding

HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
MAX_LIMIT = 10_000
Part = TypeVar("Part")


class JSON(Response):
    """A JSON response encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return msgspec.json.encode(content, enc_hook=str)


class _SafeHeaders(BaseHTTPMiddleware):
    """Adds the headers that keep hostile DNS data from doing anything in a browser."""

    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await call_next(request)
        except Transient as fault:
            response = JSON({"error": str(fault)}, status_code=503)
        except BadQuery as fault:
            response = JSON({"error": str(fault)}, status_code=400)
        except NotHere as fault:
            response = JSON({"error": str(fault)}, status_code=404)
        response.headers.update(HEADERS)
        return response


class BadQuery(ValueError):
    """A query parameter that does not fit."""


class NotHere(Exception):
    """Another process has what was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What of anchorwatch is in this process, for the HTTP side to show; None for what is in another.

    ``progress`` knows whether the process does its work; ``reload`` has the inventory read again.
    """

    meter: Meter
    progress: Progress
    analyzer: Analyzer | None = None
    history: ClickHouseHistory | None = None
    ledger: SqliteLedger | None = None
    reload: Callable[[], None] | None = None


def _limit(request: Request, default: int = 1000) -> int:
    text = request.query_params.get("limit", str(default))
    if not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise BadQuery(f"limit={text!r} is no number from 1 to {MAX_LIMIT}")
    return int(text)


def _instant(request: Request, key: str) -> datetime | None:
    text = request.query_params.get(key)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(f"{key}={text!r} is no RFC 3339 time") from error
    if at.tzinfo is None:
        raise BadQuery(f"{key}={text!r} has no time zone")
    return at


def incident_view(incident: Incident) -> dict[str, Any]:
    """Return an incident for scripts and pages."""
    return {
        "id": incident.id,
        "cause": incident.cause,
        "severity": incident.severity,
        "summary": summarise(incident, "trigger"),
        "open": incident.ended_at is None,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "ended_at": incident.ended_at,
        "notified": incident.notified,
        "withheld": incident.withheld if not incident.notified else "",
        "findings": [
            {"id": e.finding.id, "code": e.finding.code, "severity": e.severity, "status": e.finding.status}
            for e in incident.entries.values()
        ],
        "identities": incident.identities,
        "identity_count": incident.identity_count,
        "controls": incident.controls,
    }


def _absolute(name: str) -> str:
    """Return a name as the messages have it: lower case, with the dot of the root."""
    return name.rstrip(".").lower() + "."


class Api:
    """The handlers; each asks the parts that are here and answers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @property
    def _analyzer(self) -> Analyzer:
        return _here(self._parts.analyzer, "the analyzer")

    @property
    def _history(self) -> ClickHouseHistory:
        return _here(self._parts.history, "the analyzer")

    @property
    def _ledger(self) -> SqliteLedger:
        return _here(self._parts.ledger, "the alerts stage")

    async def endpoints(self, request: Request) -> Response:
        """List what is watched, with the verdict now; ``verdict`` and ``name`` filter."""
        query = request.query_params
        views = self._endpoint_views(_absolute(query["name"]) if query.get("name") else "")
        for key in ("verdict", "vantage"):
            if query.get(key):
                views = [view for view in views if getattr(view, key) == query[key]]
        return JSON(views[: _limit(request, MAX_LIMIT)])

    def _endpoint_views(self, name: str = "") -> list[EndpointView]:
        """Return what is watched, of one name only where one is given."""
        current = self._analyzer.current
        chosen = {subject: state for subject, state in current.items() if subject[0] == name} if name else current
        return endpoint_views(chosen, self._analyzer.consumers)

    async def identities(self, request: Request) -> Response:
        """List identities with the weakest verdict among what they consume."""
        return JSON(identity_views(self._endpoint_views(), self._analyzer.consumers)[: _limit(request, MAX_LIMIT)])

    async def findings(self, request: Request) -> Response:
        """List findings, newest first; ``status`` (open, closed), ``code``, ``zone`` and ``since`` filter."""
        return JSON(await self._findings(request))

    async def _findings(self, request: Request) -> list[Finding]:
        query = request.query_params
        status = query.get("status", "")
        if status not in ("", "open", "closed"):
            raise BadQuery(f"status={status!r} is neither open nor closed")
        return await asyncio.to_thread(
            self._history.findings,
            status=status,
            code=query.get("code", ""),
            zone=query.get("zone", ""),
            since=_instant(request, "since"),
            limit=_limit(request),
        )

    async def incidents(self, request: Request) -> Response:
        """List incidents, open ones first."""
        found = await asyncio.to_thread(self._ledger.incidents, _limit(request))
        return JSON([incident_view(incident) for incident in found])

    async def notifications(self, request: Request) -> Response:
        """List what was sent, failed or withheld, newest first."""
        return JSON(await asyncio.to_thread(self._ledger.notifications, _limit(request)))

    async def history(self, request: Request) -> Response:
        """List the verdict intervals of ``name``, newest first; ``type`` and ``vantage`` filter."""
        query = request.query_params
        if not query.get("name"):
            raise BadQuery("name= is needed")
        name = _absolute(query["name"])
        found = await asyncio.to_thread(
            self._history.intervals, name, query.get("type", ""), query.get("vantage", ""), _limit(request)
        )
        return JSON(found)

    async def evidence(self, request: Request) -> Response:
        """Return the wire messages behind a verdict, base64, with anchors, policy and time."""
        found = await asyncio.to_thread(self._history.evidence, request.path_params["digest"])
        return JSON({"error": "no such evidence"}, status_code=404) if found is None else JSON(found)

    async def metrics(self, request: Request) -> Response:
        """Return Prometheus metrics, read on the loop: the gauges look at what the stages change there."""
        return Response(generate_latest(self._parts.meter.registry), media_type=CONTENT_TYPE_LATEST)

    async def healthy(self, request: Request) -> Response:
        """Answer 200 while a restart would not help, else 503 with the stages that are stuck."""
        return _state_of("healthy", self._parts.progress.why_not_healthy())

    async def ready(self, request: Request) -> Response:
        """Answer 200 while the process does all of its work, else 503 with every reason why it does not."""
        return _state_of("ready", self._parts.progress.why_not_ready())

    async def reload(self, request: Request) -> Response:
        """Read the inventory again now."""
        _here(self._parts.reload, "a collector")()
        return PlainTextResponse("the inventory is read again\n")

    async def overview(self, request: Request) -> Response:
        """Show the whole watch on one page."""
        ledger = self._parts.ledger
        incidents = await asyncio.to_thread(ledger.incidents, 20) if ledger is not None else []
        notifications = await asyncio.to_thread(ledger.notifications, 20) if ledger is not None else []
        findings = await asyncio.to_thread(self._history.findings, status="open", limit=200)
        views = self._endpoint_views()
        return pages.overview(
            views=views,
            identities=identity_views(views, self._analyzer.consumers),
            findings=findings,
            incidents=[incident_view(incident) for incident in incidents],
            notifications=notifications,
            wanted=request.query_params.get("q", ""),
        )

    async def finding_page(self, request: Request) -> Response:
        """Show one finding with its life and its blast radius."""
        versions = await asyncio.to_thread(self._history.finding_versions, request.path_params["id"])
        if not versions:
            return pages.missing("There is no such finding.")
        return pages.finding(versions)

    async def endpoint_page(self, request: Request) -> Response:
        """Show one name: now, its history, who consumes it."""
        name = _absolute(request.path_params["name"])
        intervals = await asyncio.to_thread(self._history.intervals, name)
        views = self._endpoint_views(name)
        if not views and not intervals:
            return pages.missing("This name is not watched.")
        return pages.endpoint(name, views, intervals, self._analyzer.consumers.affected_by([name]))


def _state_of(state: str, why_not: Sequence[str]) -> Response:
    text = printable(f"not {state}: {'; '.join(why_not)}" if why_not else state)
    return PlainTextResponse(text + "\n", status_code=503 if why_not else 200)


def _here(part: Part | None, where: str) -> Part:
    if part is None:
        raise NotHere(f"this is another process: ask {where}")
    return part


def make_app(parts: Parts) -> Starlette:
    """Return the application."""
    api = Api(parts)
    routes = [
        Route("/api/v1/endpoints", api.endpoints),
        Route("/api/v1/identities", api.identities),
        Route("/api/v1/findings", api.findings),
        Route("/api/v1/incidents", api.incidents),
        Route("/api/v1/notifications", api.notifications),
        Route("/api/v1/history", api.history),
        Route("/api/v1/evidence/{digest}", api.evidence),
        Route("/metrics", api.metrics),
        Route("/-/healthy", api.healthy),
        Route("/-/ready", api.ready),
        Route("/-/reload", api.reload, methods=["POST"]),
        Route("/", api.overview),
        Route("/findings/{id}", api.finding_page),
        Route("/endpoints/{name}", api.endpoint_page),
        Mount("/static", StaticFiles(directory=str(pages.STATIC))),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_SafeHeaders)])


class Server:
    """uvicorn inside our own loop: no signal handlers, an address that is checked before anything runs."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3)
        )
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"http.listen: {self._host}:{self._port}: {error.strerror}") from error
        host, port = listener.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        # Signals are the instance's business, so the public entry that takes them over is not used.
        self._task = asyncio.create_task(self._server._serve([listener]))

    async def stop(self) -> None:
        """Close connections and end."""
        self._server.should_exit = True
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

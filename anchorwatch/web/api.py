"""The HTTP face of a running instance: JSON for scripts, pages for people, metrics, health.

Everything shown comes from the history, the ledger and the analyzer's state. Only ``/-/reload``, a POST to
``/api/v1/acts`` and the forms of an incident's page change anything.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from alerts.decision.silences import Maintenance
from alerts.delivery.wording import printable
from alerts.ledger.ledger import Record
from analyzer.findings.acts import STANDING, Acts
from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter
from anchorwatch.web import jsm_hook, pagerduty_hook
from anchorwatch.web.acts import Desk, Send, change_view, read_octets
from anchorwatch.web.compact import Compact
from anchorwatch.web.config import HttpConfig
from anchorwatch.web.console.handlers import Console
from anchorwatch.web.doors import Bucket, NotHere, Refused
from anchorwatch.web.guard import Guard
from anchorwatch.web.hooks import MAX_BODY as MAX_HOOK
from anchorwatch.web.hooks import Hook, Reader, find_hook
from anchorwatch.web.incidents import ambiguity, find_incident, is_hex, whole_view
from anchorwatch.web.lists import EVERYTHING, JSON, Lists
from anchorwatch.web.login import Login
from anchorwatch.web.openapi import describe
from anchorwatch.web.operations import Operation, routes_of
from anchorwatch.web.problems import explain_http
from anchorwatch.web.queries import (
    MAX_LIMIT,
    find_evidence,
    find_findings,
)
from anchorwatch.web.session import session_key, session_secrets
from anchorwatch.web.silences import matching_view, read_matchers
from anchorwatch.web.sources import Sources, here
from anchorwatch.web.streams import EventStream, Pace, Streams, looks_of
from anchorwatch.web.surface import operations_of
from anchorwatch.web.views import identity_views
from schemas.judgement import Judgement
from schemas.messages import utc

RELOADS_AT_ONCE, RELOAD_EVERY_S = 3, 10.0
Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What of anchorwatch is in this process, for the HTTP side to show; None for what is in another.

    ``progress`` knows whether the process does its work; ``reload`` has the inventory read again; ``act`` hands acts
    on; ``warnings`` say who would not be notified; ``maintenance`` are windows in which nobody is;
    ``hooks`` are receivers that may call us. ``explain`` validates a name and type now through one of ``vantages``;
    ``pace`` is that of streams of events.
    """

    meter: Meter
    progress: Progress
    analyzer: Analyzer | None = None
    history: ClickHouseHistory | None = None
    ledger: Record | None = None
    reload: Callable[[], None] | None = None
    act: Send | None = None
    warnings: tuple[str, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    explain: Callable[[str, str, str], Awaitable[Judgement]] | None = None
    vantages: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)


class Api:
    """The handlers of all that is no list; each asks the parts that are here and answers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.sources = Sources(parts)
        self.lists = Lists(self.sources)
        self.operations: Sequence[Operation] = ()
        self._described: dict[str, Any] | None = None
        self._reloads = Bucket(RELOADS_AT_ONCE, RELOAD_EVERY_S)
        self._desk: Desk | None = None
        self._streams: Streams | None = None

    async def identity(self, request: Request) -> Response:
        """Return one identity by its id, with the weakest verdict among what it consumes."""
        key = request.path_params["id"]
        sources = self.sources
        found = [one for one in identity_views(sources.endpoint_views(), sources.analyzer.consumers) if one.id == key]
        if not found:
            raise Refused("there is no such identity", 404)
        return JSON(found[0])

    async def act(self, request: Request) -> Response:
        """Do what a person asks for; the stage that handles it takes it in after the answer."""
        return JSON(await self.desk().take(request), status_code=202)

    async def pagerduty(self, request: Request) -> Response:
        """Take what somebody did at PagerDuty; its signature says that it comes from there."""
        return await self._take_call(request, pagerduty_hook.VENDOR, pagerduty_hook.read_call)

    async def jsm(self, request: Request) -> Response:
        """Take what somebody did at Jira Service Management; its token says that it comes from there."""
        return await self._take_call(request, jsm_hook.VENDOR, jsm_hook.read_call)

    async def _take_call(self, request: Request, vendor: str, read: Reader) -> Response:
        receiver = request.path_params["receiver"]
        hook = find_hook(self._parts.hooks, receiver, vendor)
        body = await read_octets(request, MAX_HOOK)
        said = read(hook.secret, receiver, request.headers, body)
        return JSON(await self.desk().take_hook(said) if said is not None else [], status_code=202)

    def desk(self) -> Desk:
        """Return who takes what people do.

        Raises:
            NotHere: nobody in this process does.
        """
        if self._desk is None:
            parts, sources = self._parts, self.sources
            send = here(parts.act, "the analyzer or the alerts stage")
            threads = {"of_history": sources.of_history, "of_ledger": sources.of_ledger}
            self._desk = Desk(send, history=parts.history, ledger=parts.ledger, **threads)
        return self._desk

    async def one_act(self, request: Request) -> Response:
        """Return one thing that somebody did; the beginning of its id is enough."""
        acts = await self.sources.of_history.ask(self.sources.history.acts, EVERYTHING)
        return JSON(find_one(acts, request.path_params["id"], "act", lambda act: act.id))

    async def change(self, request: Request) -> Response:
        """Return one declared change; the beginning of its id is enough."""
        acts = Acts(await self.sources.of_history.ask(self.sources.history.standing_acts, STANDING))
        found = find_one(acts.changes(), request.path_params["id"], "change", lambda change: change.act.id)
        return JSON(change_view(found, utc(time.time())))

    async def silence(self, request: Request) -> Response:
        """Return one silence, with what it withholds now; the beginning of its id is enough."""
        views = await self.sources.of_ledger.ask(self.sources.silence_views)
        return JSON(find_one(views, request.path_params["id"], "silence", lambda view: str(view["id"])))

    async def matching(self, request: Request) -> Response:
        """Return the open incidents that a silence with these matchers would concern, and which it would mute."""
        matchers = read_matchers(request.query_params.getlist("matcher"))
        incidents = await self.sources.of_ledger.ask(self.sources.ledger.incidents, MAX_LIMIT)
        return JSON(matching_view(matchers, incidents))

    async def incident(self, request: Request) -> Response:
        """Return one incident whole, with its timeline; the beginning of its id is enough."""
        return JSON(await self.sources.of_ledger.ask(self._whole, request.path_params["id"]))

    def _whole(self, text: str) -> dict[str, Any]:
        ledger = self.sources.ledger
        return whole_view(ledger, find_incident(ledger, text))

    async def finding(self, request: Request) -> Response:
        """Return every version of one finding, oldest first; the beginning of its id is enough."""
        ask, history = self.sources.of_history.ask, self.sources.history
        found = await ask(find_findings, history, request.path_params["id"])
        if not found:
            raise Refused("there is no such finding", 404)
        return JSON(await ask(history.finding_versions, found[0].id))

    async def evidence(self, request: Request) -> Response:
        """Return the wire messages behind a verdict, base64, with anchors, policy and time.

        The beginning of its digest is enough.
        """
        sources = self.sources
        found = await sources.of_history.ask(find_evidence, sources.history, request.path_params["digest"])
        if found is None:
            raise Refused("there is no such evidence", 404)
        return JSON(found)

    async def openapi(self, request: Request) -> Response:
        """Return this description of the API."""
        if self._described is None:
            self._described = describe(self.operations)
        return JSON(self._described)

    async def events(self, request: Request) -> EventStream:
        """Stream which lists changed (findings, incidents, verdicts), as far as they are in this process."""
        parts = self._parts
        if parts.history is None and parts.ledger is None:
            raise NotHere("this is another process: ask the analyzer or the alerts stage")
        if self._streams is None:
            of_history, of_ledger = self.sources.of_history, self.sources.of_ledger
            looks = looks_of(parts.history, of_history, parts.ledger, of_ledger)
            self._streams = Streams(looks, parts.pace)
        return EventStream(self._streams, request.headers.get("last-event-id", ""))

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
        reload = here(self._parts.reload, "a collector")
        wait_s = self._reloads.take(time.monotonic())
        if wait_s:
            raise Refused("the inventory was read again just now", 429, retry_after=str(int(wait_s) + 1))
        reload()
        return PlainTextResponse("the inventory is read again\n")


def _state_of(state: str, why_not: Sequence[str]) -> Response:
    text = printable(f"not {state}: {'; '.join(why_not)}" if why_not else state)
    return PlainTextResponse(text + "\n", status_code=503 if why_not else 200)


def find_one(rows: Sequence[Row], text: str, what: str, id_of: Callable[[Row], str]) -> Row:
    """Return the row whose id begins so, or is so.

    Raises:
        Refused: there is none, or more than one.
    """
    found = [row for row in rows if id_of(row) == text]
    if not found and is_hex(text):
        found = [row for row in rows if id_of(row).startswith(text.lower())]
    if not found:
        raise Refused(f"there is no such {what}", 404)
    if len(found) > 1:
        raise Refused(ambiguity(text, f"{what}s", (id_of(row)[:12] for row in found[:5])), 409)
    return found[0]


def make_app(parts: Parts, config: HttpConfig | None = None) -> Starlette:
    """Return the application; without ``config`` it is as the defaults say: for this machine only."""
    config = config or HttpConfig()
    # Without a secret to make it of, sessions end with the process.
    key = session_key(session_secrets(config)) or secrets.token_bytes(32)
    api, login = Api(parts), Login(config, key)
    api.operations = operations = operations_of(api, login)
    threads = {"of_history": api.sources.of_history, "of_ledger": api.sources.of_ledger}
    console = Console(parts, **threads, desk=api.desk, has_login=config.has_login)
    return Starlette(
        routes=[*routes_of(operations), *console.routes()],
        middleware=[Middleware(Guard, config=config, key=key), Middleware(Compact)],
        exception_handlers={HTTPException: explain_http},
    )

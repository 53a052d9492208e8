"""The HTTP face of a running instance: JSON for scripts, pages for people, metrics, health.

Everything shown comes from the history, the ledger and the analyzer's state. Only ``/-/reload``, a POST to
``/api/v1/acts`` and the forms of an incident's page change anything.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from alerts.decision.silences import Maintenance
from alerts.delivery.wording import printable
from alerts.ledger.ledger import Record
from analyzer.findings.acts import STANDING, Acts
from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter
from anchorwatch.web.acts import Desk, Send, change_view, read_octets
from anchorwatch.web.chains import join_chain, zone_views
from anchorwatch.web.config import HttpConfig
from anchorwatch.web.console.handlers import Console
from anchorwatch.web.doors import BadQuery, Bucket, NotHere, Refused, check_parameters, read_number
from anchorwatch.web.guard import LOGIN, LOGOUT, METRICS, Guard, Login
from anchorwatch.web.hooks import MAX_BODY as MAX_HOOK
from anchorwatch.web.hooks import SIGNATURE, check_signature, read_hook
from anchorwatch.web.incidents import find_incident, incident_view, whole_view
from anchorwatch.web.queries import (
    MAX_LIMIT,
    find_evidence,
    find_findings,
    find_version,
    read_instant,
    read_limit,
    read_name,
)
from anchorwatch.web.silences import matching_view, read_matchers, silence_views
from anchorwatch.web.streams import EventStream, Pace, Streams, looks_of
from anchorwatch.web.threads import Threads
from anchorwatch.web.views import EndpointView, endpoint_views, identity_views
from schemas.judgement import Verdict
from schemas.messages import Finding, utc

MAX_GAP_S = 366 * 86_400
RELOADS_AT_ONCE, RELOAD_EVERY_S = 3, 10.0
Handler = Callable[[Request], Awaitable[ASGIApp]]
Part = TypeVar("Part")


class JSON(Response):
    """A JSON response encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return msgspec.json.encode(content, enc_hook=str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What of anchorwatch is in this process, for the HTTP side to show; None for what is in another.

    ``progress`` knows whether the process does its work; ``reload`` has the inventory read again; ``act`` hands acts
    on; ``warnings`` say who would not be notified; ``maintenance`` are windows in which nobody is;
    ``hooks`` has the secrets of receivers that may call us; ``pace`` is that of streams of events.
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
    hooks: Mapping[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)


class Api:
    """The handlers; each asks the parts that are here and answers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._reloads = Bucket(RELOADS_AT_ONCE, RELOAD_EVERY_S)
        # Threads of their own: whatever hangs there takes none from the stages.
        self._of_history, self._of_ledger = Threads("history"), Threads("ledger")
        self._desk: Desk | None = None
        self._streams: Streams | None = None

    @property
    def _analyzer(self) -> Analyzer:
        return _here(self._parts.analyzer, "the analyzer")

    @property
    def _history(self) -> ClickHouseHistory:
        return _here(self._parts.history, "the analyzer")

    @property
    def _ledger(self) -> Record:
        return _here(self._parts.ledger, "the alerts stage")

    async def endpoints(self, request: Request) -> Response:
        """List what is watched, with the verdict now; ``verdict`` and ``name`` filter."""
        query = request.query_params
        limit = read_limit(request, MAX_LIMIT)
        if query.get("verdict") and query["verdict"] not in set(Verdict):
            raise BadQuery(f"verdict={query['verdict']!r} is none of {', '.join(Verdict)}")
        views = self._endpoint_views(read_name(query["name"]) if query.get("name") else "")
        for key in ("verdict", "vantage"):
            if query.get(key):
                views = [view for view in views if getattr(view, key) == query[key]]
        return JSON(views[:limit])

    def _endpoint_views(self, name: str = "") -> list[EndpointView]:
        """Return what is watched, of one name only where one is given."""
        current = self._analyzer.current
        chosen = {subject: state for subject, state in current.items() if subject[0] == name} if name else current
        return endpoint_views(chosen, self._analyzer.consumers, self._analyzer.zones)

    async def zones(self, request: Request) -> Response:
        """List zones as each vantage sees them now: DS, keys, signatures; ``zone`` and ``vantage`` filter."""
        query = request.query_params
        limit = read_limit(request, MAX_LIMIT)
        zone = read_name(query["zone"], "zone") if query.get("zone") else ""
        return JSON(zone_views(self._analyzer.zones, zone, query.get("vantage", ""))[:limit])

    async def sweeps(self, request: Request) -> Response:
        """List what the servers of each zone said last, newest first; with ``zone`` all sweeps of it that are kept."""
        query = request.query_params
        limit = read_limit(request)
        zone = read_name(query["zone"], "zone") if query.get("zone") else ""
        return JSON(await self._of_history.ask(self._history.sweeps, zone, limit))

    async def acts(self, request: Request) -> Response:
        """List what people did, newest first."""
        limit = read_limit(request)
        return JSON(await self._of_history.ask(self._history.acts, limit))

    async def act(self, request: Request) -> Response:
        """Do what a person asks for; the stage that handles it takes it in after the answer."""
        return JSON(await self._at_desk.take(request), status_code=202)

    async def pagerduty(self, request: Request) -> Response:
        """Take what somebody did at PagerDuty; its signature says that it comes from there."""
        receiver = request.path_params["receiver"]
        secret = self._parts.hooks.get(receiver, "")
        if not secret:
            raise Refused("no receiver of this name expects calls", 404)
        body = await read_octets(request, MAX_HOOK)
        check_signature(secret, request.headers.get(SIGNATURE, ""), body)
        said = read_hook(receiver, body)
        return JSON(await self._at_desk.take_hook(said) if said is not None else [], status_code=202)

    @property
    def _at_desk(self) -> Desk:
        if self._desk is None:
            parts, send = self._parts, _here(self._parts.act, "the analyzer or the alerts stage")
            threads = {"of_history": self._of_history, "of_ledger": self._of_ledger}
            self._desk = Desk(send, history=parts.history, ledger=parts.ledger, **threads)
        return self._desk

    async def changes(self, request: Request) -> Response:
        """List the declared changes, the one that begins last first."""
        limit = read_limit(request)
        acts = Acts(await self._of_history.ask(self._history.standing_acts, STANDING))
        return JSON([change_view(change, utc(time.time())) for change in acts.changes()[:limit]])

    async def silences(self, request: Request) -> Response:
        """List the silences and maintenance windows, those in force first, with what each withholds now."""
        limit = read_limit(request)
        return JSON((await self._of_ledger.ask(self._silence_views))[:limit])

    def _silence_views(self) -> list[dict[str, Any]]:
        ledger = self._ledger
        return silence_views(ledger.silences(), self._parts.maintenance, ledger.incidents(MAX_LIMIT), utc(time.time()))

    async def matching(self, request: Request) -> Response:
        """List the open incidents that a silence with these matchers would concern, and which of them it would mute."""
        matchers = read_matchers(request.query_params.getlist("matcher"))
        incidents = await self._of_ledger.ask(self._ledger.incidents, MAX_LIMIT)
        return JSON(matching_view(matchers, incidents))

    async def identities(self, request: Request) -> Response:
        """List identities with the weakest verdict among what they consume."""
        limit = read_limit(request, MAX_LIMIT)
        return JSON(identity_views(self._endpoint_views(), self._analyzer.consumers)[:limit])

    async def findings(self, request: Request) -> Response:
        """List findings, newest first; ``status`` (open, closed), ``code``, ``zone``, ``name`` and ``since`` filter."""
        return JSON(await self._findings(request))

    async def _findings(self, request: Request) -> list[Finding]:
        query = request.query_params
        status = query.get("status", "")
        if status not in ("", "open", "closed"):
            raise BadQuery(f"status={status!r} is neither open nor closed")
        since, limit = read_instant(request, "since"), read_limit(request)
        return await self._of_history.ask(
            self._history.findings,
            status=status,
            code=query.get("code", ""),
            zone=query.get("zone", ""),
            name=read_name(query["name"]) if query.get("name") else "",
            since=since,
            limit=limit,
        )

    async def versions(self, request: Request) -> Response:
        """List what was reported of findings ``since`` an instant, oldest first; ``after`` is the last one of before.

        That is ``ID.VERSION``. With ``at`` the findings as they were then.
        """
        since, at, limit = read_instant(request, "since"), read_instant(request, "at"), read_limit(request)
        if (since is None) == (at is None):
            raise BadQuery("either since= or at= is needed")
        if at is not None:
            return JSON(await self._of_history.ask(self._history.findings_at, at))
        assert since is not None
        after = request.query_params.get("after")
        cursor = await self._of_history.ask(find_version, self._history, after) if after else None
        return JSON(await self._of_history.ask(self._history.versions, since, cursor, limit))

    async def gaps(self, request: Request) -> Response:
        """List when nothing was observed ``since`` an instant, for more than ``longer_than`` seconds."""
        since = read_instant(request, "since")
        if since is None:
            raise BadQuery("since= is needed")
        seconds = read_number(request.query_params.get("longer_than", "900"), "longer_than", MAX_GAP_S)
        found = await self._of_history.ask(self._history.gaps, since, utc(time.time()), timedelta(seconds=seconds))
        return JSON([{"from": begin, "to": end} for begin, end in found])

    async def incidents(self, request: Request) -> Response:
        """List incidents, open ones first."""
        limit = read_limit(request)
        found = await self._of_ledger.ask(self._ledger.incidents, limit)
        return JSON([incident_view(incident) for incident in found])

    async def incident(self, request: Request) -> Response:
        """Return one incident whole, with its timeline; the beginning of its id is enough."""
        return JSON(await self._of_ledger.ask(self._whole, request.path_params["id"]))

    def _whole(self, text: str) -> dict[str, Any]:
        return whole_view(self._ledger, find_incident(self._ledger, text))

    async def finding(self, request: Request) -> Response:
        """Return every version of one finding, oldest first; the beginning of its id is enough."""
        return JSON(await self._versions_of(request.path_params["id"]))

    async def _versions_of(self, text: str) -> list[Finding]:
        found = await self._of_history.ask(find_findings, self._history, text)
        if not found:
            raise Refused("there is no such finding", 404)
        return await self._of_history.ask(self._history.finding_versions, found[0].id)

    async def notifications(self, request: Request) -> Response:
        """List what was sent, failed or withheld, newest first."""
        limit = read_limit(request)
        return JSON(await self._of_ledger.ask(self._ledger.notifications, limit))

    async def history(self, request: Request) -> Response:
        """List the verdict intervals of ``name``, newest first; ``type`` and ``vantage`` filter.

        With ``at`` the last that began by then, of each type and vantage, with the whole chain as it was seen then.
        """
        query = request.query_params
        if not query.get("name"):
            raise BadQuery("name= is needed")
        name, limit, at = read_name(query["name"]), read_limit(request), read_instant(request, "at")
        found = await self._of_history.ask(
            self._history.intervals, name, query.get("type", ""), query.get("vantage", ""), limit, at
        )
        if at is not None:
            await self._of_history.ask(_add_chains, self._history, found, at)
        return JSON(found)

    async def evidence(self, request: Request) -> Response:
        """Return the wire messages behind a verdict, base64, with anchors, policy and time.

        The beginning of its digest is enough.
        """
        found = await self._of_history.ask(find_evidence, self._history, request.path_params["digest"])
        return JSON({"error": "no such evidence"}, status_code=404) if found is None else JSON(found)

    async def events(self, request: Request) -> EventStream:
        """Stream which lists changed (findings, incidents, verdicts), as far as they are in this process."""
        parts = self._parts
        if parts.history is None and parts.ledger is None:
            raise NotHere("this is another process: ask the analyzer or the alerts stage")
        if self._streams is None:
            looks = looks_of(parts.history, self._of_history, parts.ledger, self._of_ledger)
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
        reload = _here(self._parts.reload, "a collector")
        wait_s = self._reloads.take(time.monotonic())
        if wait_s:
            raise Refused("the inventory was read again just now", 429, retry_after=str(int(wait_s) + 1))
        reload()
        return PlainTextResponse("the inventory is read again\n")


def _add_chains(history: ClickHouseHistory, intervals: Sequence[dict[str, Any]], at: datetime) -> None:
    """Add to each interval its chain, with the zones as its vantage saw them at an instant."""
    judgements = history.judgements_of([interval["observation"] for interval in intervals])
    for interval in intervals:
        judgement = judgements.get(interval["observation"])
        links = judgement.chain if judgement is not None else ()
        seen = history.zones_at([link.zone for link in links], interval["vantage"], at)
        interval["chain"] = join_chain(links, interval["vantage"], seen)


def _state_of(state: str, why_not: Sequence[str]) -> Response:
    text = printable(f"not {state}: {'; '.join(why_not)}" if why_not else state)
    return PlainTextResponse(text + "\n", status_code=503 if why_not else 200)


def _here(part: Part | None, where: str) -> Part:
    if part is None:
        raise NotHere(f"this is another process: ask {where}")
    return part


def make_app(parts: Parts, config: HttpConfig | None = None) -> Starlette:
    """Return the application; without ``config`` it is as the defaults say: for this machine only."""
    config = config or HttpConfig()
    api, login = Api(parts), Login(config)
    threads = {"of_history": api._of_history, "of_ledger": api._of_ledger}
    console = Console(parts, **threads, desk=lambda: api._at_desk, has_login=bool(config.token))
    routes = [
        Route("/api/v1/endpoints", _taking(api.endpoints, "name", "verdict", "vantage", "limit")),
        Route("/api/v1/zones", _taking(api.zones, "zone", "vantage", "limit")),
        Route("/api/v1/sweeps", _taking(api.sweeps, "zone", "limit")),
        Route("/api/v1/identities", _taking(api.identities, "limit")),
        Route("/api/v1/findings", _taking(api.findings, "status", "code", "zone", "name", "since", "limit")),
        Route("/api/v1/findings/versions", _taking(api.versions, "since", "at", "after", "limit")),
        Route("/api/v1/findings/{id}", _taking(api.finding)),
        Route("/api/v1/incidents", _taking(api.incidents, "limit")),
        Route("/api/v1/incidents/{id}", _taking(api.incident)),
        Route("/api/v1/notifications", _taking(api.notifications, "limit")),
        Route("/api/v1/history", _taking(api.history, "name", "type", "vantage", "at", "limit")),
        Route("/api/v1/history/gaps", _taking(api.gaps, "since", "longer_than")),
        Route("/api/v1/acts", _taking(api.acts, "limit"), methods=["GET"]),
        Route("/api/v1/acts", _taking(api.act), methods=["POST"]),
        Route("/api/v1/changes", _taking(api.changes, "limit")),
        Route("/api/v1/silences", _taking(api.silences, "limit")),
        Route("/api/v1/silences/matching", _taking(api.matching, "matcher", repeated=True)),
        Route("/api/v1/hooks/pagerduty/{receiver}", _taking(api.pagerduty), methods=["POST"]),
        Route("/api/v1/evidence/{digest}", _taking(api.evidence)),
        Route("/api/v1/events", _taking(api.events)),
        Route(METRICS, api.metrics),
        Route("/-/healthy", api.healthy),
        Route("/-/ready", api.ready),
        Route("/-/reload", _taking(api.reload), methods=["POST"]),
        Route(LOGIN, _taking(login.show, "next"), methods=["GET"]),
        Route(LOGIN, _taking(login.enter), methods=["POST"]),
        Route(LOGOUT, _taking(login.leave), methods=["POST"]),
        *console.routes(),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, config=config)])


def _taking(handler: Handler, *parameters: str, repeated: bool = False) -> Handler:
    """Return the handler, refusing every parameter but these, and each but once unless they may be ``repeated``."""

    @wraps(handler)
    async def checked(request: Request) -> ASGIApp:
        check_parameters(request.query_params.multi_items(), parameters, repeated=repeated)
        return await handler(request)

    return checked

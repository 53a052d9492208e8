"""The pages' handlers: each asks the parts that are here and shows what they say, or does what a form says."""

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from alerts.ledger.ledger import Record
from alerts.runbooks.library import find_runbook
from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch.web import pages
from anchorwatch.web.acts import Desk, read_form, source_of
from anchorwatch.web.chains import ZoneView, current_chain
from anchorwatch.web.doors import BadQuery, NotHere, Refused, check_parameters
from anchorwatch.web.incidents import find_incident, incident_view, whole_view
from anchorwatch.web.queries import MAX_LIMIT, find_findings, read_name
from anchorwatch.web.silences import silence_views
from anchorwatch.web.threads import Threads
from anchorwatch.web.views import EndpointView, endpoint_views, identity_views
from schemas.messages import Finding, utc

if TYPE_CHECKING:
    from anchorwatch.web.api import Parts

Handler = Callable[[Request], Awaitable[Response]]


class Console:
    """The pages of one process; ``desk`` takes what forms say, the threads ask the databases."""

    def __init__(
        self, parts: "Parts", *, of_history: Threads, of_ledger: Threads, desk: Callable[[], Desk], has_login: bool
    ) -> None:
        self._parts, self._has_login = parts, has_login
        self._of_history, self._of_ledger, self._desk = of_history, of_ledger, desk

    def routes(self) -> list[BaseRoute]:
        """Return where each page is."""
        return [
            Route("/", _taking(self.overview, "q")),
            Route("/findings/{id}", _taking(self.finding_page)),
            Route("/incidents/{id}", _taking(self.incident_page), methods=["GET"]),
            Route("/incidents/{id}", _taking(self.incident_act), methods=["POST"]),
            Route("/runbooks/{code}", _taking(self.runbook_page)),
            Route("/silences", _taking(self.silences_page), methods=["GET"]),
            Route("/silences", _taking(self.silences_act), methods=["POST"]),
            Route("/endpoints/{name}", _taking(self.endpoint_page)),
            Mount("/static", StaticFiles(directory=str(pages.STATIC))),
        ]

    @property
    def _analyzer(self) -> Analyzer:
        if self._parts.analyzer is None:
            raise NotHere("this is another process: ask the analyzer")
        return self._parts.analyzer

    @property
    def _history(self) -> ClickHouseHistory:
        if self._parts.history is None:
            raise NotHere("this is another process: ask the analyzer")
        return self._parts.history

    @property
    def _ledger(self) -> Record:
        if self._parts.ledger is None:
            raise NotHere("this is another process: ask the alerts stage")
        return self._parts.ledger

    def _endpoint_views(self, name: str = "") -> list[EndpointView]:
        current = self._analyzer.current
        chosen = {subject: state for subject, state in current.items() if subject[0] == name} if name else current
        return endpoint_views(chosen, self._analyzer.consumers, self._analyzer.zones)

    def _silence_views(self) -> list[dict[str, Any]]:
        ledger = self._ledger
        return silence_views(ledger.silences(), self._parts.maintenance, ledger.incidents(MAX_LIMIT), utc(time.time()))

    def _whole(self, text: str) -> dict[str, Any]:
        return whole_view(self._ledger, find_incident(self._ledger, text))

    async def _versions_of(self, text: str) -> list[Finding]:
        found = await self._of_history.ask(find_findings, self._history, text)
        if not found:
            raise Refused("there is no such finding", 404)
        return await self._of_history.ask(self._history.finding_versions, found[0].id)

    async def overview(self, request: Request) -> Response:
        """Show the whole watch on one page."""
        ledger = self._parts.ledger
        incidents = await self._of_ledger.ask(ledger.incidents, 20) if ledger is not None else []
        notifications = await self._of_ledger.ask(ledger.notifications, 20) if ledger is not None else []
        silences = await self._of_ledger.ask(self._silence_views) if ledger is not None else []
        findings = await self._of_history.ask(self._history.findings, status="open", limit=200)
        views = self._endpoint_views()
        return pages.overview(
            views=views,
            identities=identity_views(views, self._analyzer.consumers),
            findings=findings,
            incidents=[incident_view(incident) for incident in incidents],
            notifications=notifications,
            silences=[one for one in silences if one["state"] == "active"],
            wanted=request.query_params.get("q", ""),
            has_session=self._has_login,
            warnings=[*self._parts.warnings, *self._parts.progress.why_not_ready()],
        )

    async def finding_page(self, request: Request) -> Response:
        """Show one finding with its life and its blast radius."""
        try:
            return pages.finding(await self._versions_of(request.path_params["id"]))
        except Refused as refusal:
            return pages.missing(f"{refusal}")

    async def incident_page(self, request: Request) -> Response:
        """Show one incident: who has it, what happened, and forms for what people do."""
        try:
            whole = await self._of_ledger.ask(self._whole, request.path_params["id"])
        except Refused as refusal:
            return pages.missing(f"{refusal}")
        return pages.incident(whole)

    async def runbook_page(self, request: Request) -> Response:
        """Show the runbook of a code."""
        code = request.path_params["code"]
        found = find_runbook(code)
        return pages.missing("There is no such code.") if found is None else pages.runbook(code, found)

    async def silences_page(self, request: Request) -> Response:
        """Show the silences, with forms to add one and to expire one."""
        return pages.silences(await self._of_ledger.ask(self._silence_views))

    async def silences_act(self, request: Request) -> Response:
        """Do what a form of the silences' page says, then show the page again."""
        try:
            await self._desk().take_body(await read_form(request), source_of("page", request))
        except Refused as refusal:
            return pages.refused(f"{refusal}", "/silences", refusal.status)
        return RedirectResponse("/silences", status_code=303)

    async def incident_act(self, request: Request) -> Response:
        """Do what a form of an incident's page says, then show the page again."""
        whole = await self._of_ledger.ask(self._whole, request.path_params["id"])
        path = f"/incidents/{whole['id']}"
        try:
            await self._desk().take_body(await read_form(request, whole["id"]), source_of("page", request))
        except Refused as refusal:
            return pages.refused(f"{refusal}", path, refusal.status)
        return RedirectResponse(path, status_code=303)

    async def endpoint_page(self, request: Request) -> Response:
        """Show one name: now, its history, who consumes it."""
        try:
            name = read_name(request.path_params["name"])
        except BadQuery:
            return pages.missing("This is no name.")
        intervals = await self._of_history.ask(self._history.intervals, name)
        views = self._endpoint_views(name)
        if not views and not intervals:
            return pages.missing("This name is not watched.")
        chains: dict[tuple[ZoneView, ...], list[str]] = {}
        for view in views:
            state = self._analyzer.current[view.name, view.type, view.vantage]
            chain = current_chain(state, view.vantage, self._analyzer.zones)
            chains.setdefault(chain, []).append(f"{view.type} {view.vantage}")
        return pages.endpoint(name, views, intervals, self._analyzer.consumers.affected_by([name]), chains)


def _taking(handler: Handler, *parameters: str) -> Handler:
    """Return the handler, refusing every parameter but these, and each but once."""

    @wraps(handler)
    async def checked(request: Request) -> Response:
        check_parameters(request.query_params.multi_items(), parameters)
        return await handler(request)

    return checked

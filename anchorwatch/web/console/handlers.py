"""Where each page is: the paths of the console, what each takes, and what a refusal looks like to a person."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from alerts.runbooks.library import find_runbook
from anchorwatch.web import pages
from anchorwatch.web.acts import Desk, read_form, source_of
from anchorwatch.web.console import cases, lists, people, subjects, surveys
from anchorwatch.web.console.explaining import Explainer
from anchorwatch.web.console.overview import show_overview
from anchorwatch.web.console.source import Source
from anchorwatch.web.doors import NotHere, Refused, check_parameters
from anchorwatch.web.people import person_of
from anchorwatch.web.threads import Threads
from schemas.faults import Transient

if TYPE_CHECKING:
    from anchorwatch.web.api import Parts

Handler = Callable[[Request], Awaitable[Response]]
Page = Callable[[Source, Request], Awaitable[Response]]
PAGED = ("page", "rows", "sort", "q")


class Console:
    """The pages of one process; ``desk`` takes what forms say, the threads ask the databases."""

    def __init__(
        self, parts: "Parts", *, of_history: Threads, of_ledger: Threads, desk: Callable[[], Desk], has_login: bool
    ) -> None:
        self._source, self._has_login = Source(parts, of_history, of_ledger), has_login
        self._desk, self._explainer = desk, Explainer()

    def routes(self) -> list[BaseRoute]:
        """Return where each page is."""
        checks = ("verdict", "vantage", "type", "cause", "zone", "owner", "identity", "at")
        findings = ("state", "kind", "severity", "code", "zone", "owner", "identity", "name", "at")
        identities = ("owner", "kind", "environment", "criticality", "verdict", "name", "zone")
        return [
            self._at("/", self._overview, "at", "every", "q"),
            self._at("/checks", lists.show_checks, *PAGED, *checks),
            self._at("/endpoints/{name}", subjects.show_endpoint, "type", "vantage", "at", "page"),
            self._at("/findings", lists.show_findings, *PAGED, *findings),
            self._at("/findings/{id}", cases.show_finding),
            self._at("/incidents", lists.show_incidents, *PAGED, "state", "owner"),
            self._at("/incidents/{id}", cases.show_incident),
            self._at("/incidents/{id}", self._act_on_incident, method="POST"),
            self._at("/evidence/{digest}", cases.show_evidence),
            self._at("/zones", lists.show_zones, *PAGED, "verdict", "vantage"),
            self._at("/zones/{zone}", subjects.show_zone, "vantage", "days"),
            self._at("/identities", lists.show_identities, *PAGED, *identities),
            self._at("/identities/{id:path}", people.show_identity, "page", "rows"),
            self._at("/owners", lists.show_owners, *PAGED),
            self._at("/owners/{owner:path}", people.show_owner),
            self._at("/resolvers", surveys.show_resolvers),
            self._at("/calendar", surveys.show_calendar),
            self._at("/changes", surveys.show_changes, "day", "kind", "page", "rows"),
            self._at("/inventory", surveys.show_inventory),
            self._at("/notifications", lists.show_notifications, "status", "receiver", "page", "rows"),
            self._at("/search", surveys.search, "q"),
            self._at("/explain", self._explainer.show, "name", "type", "vantage"),
            self._at("/explain", self._explainer.explain, method="POST"),
            self._at("/runbooks/{code}", _show_runbook),
            self._at("/silences", _show_silences),
            self._at("/silences", self._act_on_silences, method="POST"),
            Mount("/static", StaticFiles(directory=str(pages.STATIC))),
        ]

    def _at(self, path: str, page: Page, *parameters: str, method: str = "GET") -> Route:
        """Return a route to a page that takes these parameters, each but once, and no others."""

        @wraps(page)
        async def handler(request: Request) -> Response:
            try:
                check_parameters(request.query_params.multi_items(), parameters)
                return await page(self._source, request)
            except NotHere as refusal:
                return pages.missing(f"{refusal}")
            except Refused as refusal:
                if method != "GET" or "text/html" not in request.headers.get("accept", ""):
                    raise  # a script is told as the API tells it
                return pages.missing(f"{refusal}", refusal.status)
            except Transient as fault:
                return pages.missing(f"{fault}. Load the page again in a moment.", 503)

        return Route(path, handler, methods=[method])

    async def _overview(self, source: Source, request: Request) -> Response:
        words = request.query_params.get("q", "")
        if words:
            return RedirectResponse(f"/checks?{urlencode({'q': words})}", status_code=303)
        return await show_overview(source, request, has_session=self._has_login)

    async def _act_on_incident(self, source: Source, request: Request) -> Response:
        return await cases.act_on_incident(source, self._desk, request)

    async def _act_on_silences(self, source: Source, request: Request) -> Response:
        """Do what a form of the silences' page says, then show the page again."""
        try:
            await self._desk().take_body(await read_form(request), source_of("page", request))
        except Refused as refusal:
            return pages.refused(f"{refusal}", "/silences", refusal.status)
        return RedirectResponse("/silences", status_code=303)


async def _show_runbook(source: Source, request: Request) -> Response:
    """Show the runbook of a code."""
    code = request.path_params["code"]
    found = find_runbook(code)
    return pages.missing("There is no such code.") if found is None else pages.runbook(code, found)


async def _show_silences(source: Source, request: Request) -> Response:
    """Show the silences, with forms to add one and to expire one."""
    source.ledger  # noqa: B018 - says where to ask if it is not here
    return pages.silences(await source.silences(), person_of(request))

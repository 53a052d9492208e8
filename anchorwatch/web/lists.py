"""The lists of the API: each row once over all pages, in an order that is said."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alerts.decision.incidents import Incident
from analyzer.findings.acts import STANDING, Acts
from analyzer.history.clickhouse import EPOCH, ClickHouseHistory, Place, place_of, place_of_finding
from anchorwatch.web.acts import change_view
from anchorwatch.web.chains import join_chain, zone_views
from anchorwatch.web.cursors import Key, Page, Part, cut, cut_behind, read_page
from anchorwatch.web.doors import BadQuery, read_number
from anchorwatch.web.incidents import incident_view
from anchorwatch.web.queries import MAX_LIMIT, find_version, read_instant, read_limit, read_name
from anchorwatch.web.sources import Sources
from anchorwatch.web.views import identity_views
from schemas.messages import Finding, Notification, utc

Row = TypeVar("Row")
MAX_GAP_S = 366 * 86_400
EVERYTHING = 1 << 20  # more than any ledger keeps
Placed = tuple[int, str]


class JSON(Response):
    """A JSON response encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return msgspec.json.encode(content, enc_hook=str)


def _page(request: Request, default: int = 1000, key: Any = Key) -> Page:
    given = request.query_params.multi_items()
    return read_page(request.url.path, given, read_limit(request, default), key=key)


def _answer(part: Part[Row], page: Page, view: Callable[[Row], Any] | None = None) -> Response:
    link = part.link(page)
    rows = [view(row) for row in part.rows] if view is not None else part.rows
    return JSON(rows, headers={"link": link} if link else None)


def _fits(row: Any, wanted: Mapping[str, str]) -> bool:
    read = row.get if isinstance(row, dict) else lambda key: getattr(row, key)
    return all(not value or str(read(key)) == value for key, value in wanted.items())


class Lists:
    """The handlers of lists."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources

    async def endpoints(self, request: Request) -> Response:
        """List what is watched, the weakest verdict first, then by name."""
        query, page = request.query_params, _page(request, MAX_LIMIT, tuple[int, str, str, str])
        views = self._from.endpoint_views(read_name(query["name"]) if query.get("name") else "")
        wanted = {key: query.get(key, "") for key in ("verdict", "vantage")}
        identity, owner = query.get("identity", ""), query.get("owner", "")
        found = [
            view
            for view in views
            if _fits(view, wanted)
            and (not identity or identity in view.identities)
            and (not owner or owner in view.owners)
        ]
        return _answer(cut(found, lambda one: (-one.verdict.weakness, one.name, one.type, one.vantage), page), page)

    async def zones(self, request: Request) -> Response:
        """List zones as each vantage sees them now: DS, keys, signatures; the weakest verdict first, then by name."""
        query, page = request.query_params, _page(request, MAX_LIMIT, tuple[int, str, str])
        zone = read_name(query["zone"], "zone") if query.get("zone") else ""
        verdict = query.get("verdict", "")
        views = zone_views(self._from.analyzer.zones, zone, query.get("vantage", ""))
        found = [view for view in views if verdict in ("", view.verdict)]
        return _answer(cut(found, lambda one: (-one.verdict.weakness, one.zone, one.vantage), page), page)

    async def sweeps(self, request: Request) -> Response:
        """List what the servers of each zone said last, newest first; with ``zone`` all sweeps of it that are kept."""
        query, page = request.query_params, _page(request, key=Placed)
        zone, vantage = read_name(query["zone"], "zone") if query.get("zone") else "", query.get("vantage", "")
        history = self._from.history
        found = await self._from.of_history.ask(
            history.sweeps, zone, page.limit + 1, vantage=vantage, after=_place(page)
        )
        return _answer(cut(found, lambda one: place_of(one.swept_at, one.id), page), page)

    async def acts(self, request: Request) -> Response:
        """List what people did, newest first."""
        query, page = request.query_params, _page(request, key=Placed)
        wanted = {key: query.get(key, "") for key in ("kind", "by", "subject")}
        found = await self._from.of_history.ask(self._from.history.acts, page.limit + 1, **wanted, after=_place(page))
        return _answer(cut(found, lambda one: place_of(one.at, one.id), page), page)

    async def changes(self, request: Request) -> Response:
        """List the declared changes, the one that begins last first."""
        query, page, now = request.query_params, _page(request, key=tuple[str]), utc(time.time())
        acts = Acts(await self._from.of_history.ask(self._from.history.standing_acts, STANDING))
        wanted = {key: query.get(key, "") for key in ("state", "subject")}
        if wanted["subject"]:
            wanted["subject"] = read_name(wanted["subject"], "subject")
        found = [row for row in (change_view(change, now) for change in acts.changes()) if _fits(row, wanted)]
        return _answer(cut_behind(found, lambda row: (row["id"],), page), page)

    async def silences(self, request: Request) -> Response:
        """List the silences and maintenance windows, those in force first, with what each withholds now."""
        state, page = request.query_params.get("state", ""), _page(request, key=tuple[str])
        views = await self._from.of_ledger.ask(self._from.silence_views)
        found = [row for row in views if _fits(row, {"state": state})]
        return _answer(cut_behind(found, lambda row: (row["id"],), page), page)

    async def identities(self, request: Request) -> Response:
        """List identities with the weakest verdict among what they consume, the weakest first, then by id."""
        query, page = request.query_params, _page(request, MAX_LIMIT, tuple[int, str])
        names = ("kind", "owner", "environment", "criticality", "verdict")
        wanted = {key: query.get(key, "") for key in names}
        views = identity_views(self._from.endpoint_views(), self._from.analyzer.consumers)
        found = [view for view in views if _fits(view, wanted)]
        return _answer(cut(found, lambda one: (-one.verdict.weakness if one.verdict else 1, one.id), page), page)

    async def findings(self, request: Request) -> Response:
        """List findings, newest first; of open ones the states come before the changes."""
        query, page = request.query_params, _page(request, key=tuple[int, int, str])
        status, since = query.get("status", ""), read_instant(request, "since")
        found: list[Finding] = await self._from.of_history.ask(
            self._from.history.findings,
            status=status,
            code=query.get("code", ""),
            zone=read_name(query["zone"], "zone") if query.get("zone") else "",
            name=read_name(query["name"]) if query.get("name") else "",
            severity=query.get("severity", ""),
            since=since,
            limit=page.limit + 1,
            after=page.after,  # type: ignore[arg-type]  # read as such
        )
        return _answer(cut(found, lambda one: place_of_finding(one, status), page), page)

    async def versions(self, request: Request) -> Response:
        """List what was reported of findings ``since`` an instant, oldest first; with ``at`` what was the case then.

        ``after`` is the last one of before, as ``ID.VERSION``.
        """
        since, at = read_instant(request, "since"), read_instant(request, "at")
        page = _page(request, key=tuple[int, str, int])
        if (since is None) == (at is None):
            raise BadQuery("either since= or at= is needed")
        ask, history, after = self._from.of_history.ask, self._from.history, request.query_params.get("after")
        if at is not None:
            found = await ask(history.findings_at, at)
        else:
            assert since is not None
            place = await ask(find_version, history, after) if after else None
            if page.after is not None:
                microseconds, *version = page.after
                place = (EPOCH + timedelta(microseconds=int(microseconds)), *version)  # type: ignore[assignment]
            found = await ask(history.versions, since, place, page.limit + 1)
        return _answer(cut(found, _place_of_version, page), page)

    async def gaps(self, request: Request) -> Response:
        """List when nothing was observed ``since`` an instant, for more than ``longer_than`` seconds, oldest first."""
        since, page = read_instant(request, "since"), _page(request, MAX_LIMIT, tuple[int, str])
        if since is None:
            raise BadQuery("since= is needed")
        seconds = read_number(request.query_params.get("longer_than", "900"), "longer_than", MAX_GAP_S)
        found = await self._from.of_history.ask(
            self._from.history.gaps, since, utc(time.time()), timedelta(seconds=seconds)
        )
        part = cut(found, lambda gap: (-place_of(gap[0], "")[0], ""), page)
        return _answer(part, page, lambda gap: {"from": gap[0], "to": gap[1]})

    async def incidents(self, request: Request) -> Response:
        """List incidents, open ones first, then the newest."""
        query, page = request.query_params, _page(request, key=tuple[int, int, str])
        wanted = {key: query.get(key, "") for key in ("state", "severity", "cause")}
        since = read_instant(request, "since")
        is_first = page.after is None and since is None and not any(wanted.values())
        incidents = await self._from.of_ledger.ask(
            self._from.ledger.incidents, page.limit + 1 if is_first else EVERYTHING
        )
        found = [one for one in incidents if _fits(one, wanted) and (since is None or one.updated_at >= since)]
        return _answer(cut(found, _place_of_incident, page), page, incident_view)

    async def notifications(self, request: Request) -> Response:
        """List what was sent, failed or withheld, newest first."""
        query, page = request.query_params, _page(request, key=tuple[str, str, int])
        wanted = {key: query.get(key, "") for key in ("receiver", "status", "event", "incident")}
        is_first = page.after is None and not any(wanted.values())
        most = page.limit + 1 if is_first else EVERYTHING
        told = await self._from.of_ledger.ask(self._from.ledger.notifications, most)
        found = [one for one in told if _fits(one, wanted)]
        return _answer(cut_behind(found, _key_of_notification, page), page)

    async def history(self, request: Request) -> Response:
        """List the verdict intervals of ``name``, newest first.

        With ``at`` the last that began by then, of each type and vantage, with the whole chain as it was seen then.
        """
        query, page, at = request.query_params, _page(request, key=Placed), read_instant(request, "at")
        if not query.get("name"):
            raise BadQuery("name= is needed")
        name, chosen = read_name(query["name"]), (query.get("type", ""), query.get("vantage", ""))
        ask, history = self._from.of_history.ask, self._from.history
        if at is not None:
            found = await ask(history.intervals, name, *chosen, MAX_LIMIT, at)
        else:
            found = await ask(history.intervals, name, *chosen, page.limit + 1, after=_place(page))
        part = cut(found, lambda one: place_of(one["first_seen_at"], one["observation"]), page)
        if at is not None:
            await ask(_add_chains, history, part.rows, at)
        return _answer(part, page)


def _place(page: Page) -> Place | None:
    return page.after  # type: ignore[return-value]  # read as such


def _place_of_version(finding: Finding) -> tuple[int, str, int]:
    return -place_of(finding.updated_at, "")[0], finding.id, finding.version


def _place_of_incident(incident: Incident) -> tuple[int, int, str]:
    return int(incident.ended_at is not None), *place_of(incident.updated_at, incident.id)


def _key_of_notification(told: Notification) -> tuple[str, str, int]:
    return told.id, str(told.status), told.attempts


def _add_chains(history: ClickHouseHistory, intervals: Sequence[dict[str, Any]], at: Any) -> None:
    """Add to each interval its chain, with the zones as its vantage saw them at an instant."""
    judgements = history.judgements_of([interval["observation"] for interval in intervals])
    for interval in intervals:
        judgement = judgements.get(interval["observation"])
        links = judgement.chain if judgement is not None else ()
        seen = history.zones_at([link.zone for link in links], interval["vantage"], at)
        interval["chain"] = join_chain(links, interval["vantage"], seen)

"""The pages of one name and of one zone: the chain as a picture, how it went on, and who rests on it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from analyzer.history.reading import checks, findings, identities
from analyzer.history.reading.asking import Page
from anchorwatch.web import pages
from anchorwatch.web.chains import ZoneView, join_chain
from anchorwatch.web.console.asked import Asked
from anchorwatch.web.console.gantt import draw_verdicts, draw_zone
from anchorwatch.web.console.picture import ALGORITHMS, draw_chain
from anchorwatch.web.console.source import Source
from anchorwatch.web.doors import BadQuery, read_number
from anchorwatch.web.queries import read_name
from schemas.judgement import Judgement
from schemas.messages import ServerSight, ServerStatus, SignatureState, ZoneSweep

SHOWN, LISTED = 12, 25
DRAWN = 200
MOST_DAYS = 800


async def show_endpoint(source: Source, request: Request) -> Response:
    """Show one name: now or at an instant, its chain, what is wrong with it, who consumes it, how it went on."""
    asked = Asked(request)
    try:
        name = read_name(request.path_params["name"])
    except BadQuery:
        return pages.missing("This is no name.")
    at, now = asked.at, datetime.now(UTC)
    found = await source.read(source.checks.of_name, name, at)
    drawn = await source.read(source.checks.intervals, name, at, 1, DRAWN)
    if asked.page == 1:
        history = Page(drawn.rows[:LISTED], drawn.total, 1, LISTED)
    else:
        history = await source.read(source.checks.intervals, name, at, asked.page, LISTED)
    consumers = await source.read(source.identities.page, identities.Wanted(name=name), "criticality", 1, SHOWN)
    if not found and not history.total:
        if at is not None:
            return pages.missing(f"Nothing was known of {name} then.")
        if not consumers.total:
            return pages.missing("This name is not watched.")
    chosen = _choose(found, asked.text("type"), asked.text("vantage"))
    picture, chain = None, tuple[ZoneView, ...]()
    if chosen is not None:
        check, judgement = chosen
        chain = await chain_of(source, judgement, check.vantage, at)
        picture = draw_chain(judgement, chain, at or now)
    until = at or now
    since = min([one.first_seen_at for one in drawn.rows], default=until - timedelta(days=1))
    since = max(since, until - timedelta(days=90))
    about = await source.read(source.findings.page, findings.Wanted(name=name, at=at), "severity", 1, SHOWN)
    return pages.render(
        "endpoint.html",
        place="checks",
        asked=asked,
        is_live=at is None,
        name=name,
        at=at,
        found=found,
        chosen=chosen,
        chain=chain,
        algorithms=ALGORITHMS,
        picture=picture,
        history=history,
        gantt=draw_verdicts(drawn.rows, since, until),
        consumers=consumers,
        findings=about,
        since=await source.read(source.checks.since, tuple(check for check, _ in found)) if at is None else {},
    )


async def chain_of(source: Source, judgement: Judgement, vantage: str, at: datetime | None) -> tuple[ZoneView, ...]:
    """Return the zones of a stored chain as the vantage saw them."""
    zones = tuple(link.zone for link in judgement.chain)
    seen = await source.read(source.zones.at, zones, vantage, at)
    return join_chain(judgement.chain, vantage, seen)


def _choose(
    found: Sequence[tuple[checks.Check, Judgement]], rdtype: str, vantage: str
) -> tuple[checks.Check, Judgement] | None:
    """Return the check that is drawn: the one that is asked for, else the weakest."""
    fitting = [one for one in found if rdtype in ("", one[0].type) and vantage in ("", one[0].vantage)]
    return next(iter(fitting or found), None)


async def show_zone(source: Source, request: Request) -> Response:
    """Show one zone: as each vantage sees it, its keys and signatures over time, its servers, who rests on it."""
    asked = Asked(request)
    try:
        zone = read_name(request.path_params["zone"], "zone")
    except BadQuery:
        return pages.missing("This is no name of a zone.")
    days = read_number(asked.query.get("days") or "90", "days", MOST_DAYS)
    now = datetime.now(UTC)
    views = await source.read(source.zones.of_zone, zone)
    behind = await source.read(source.checks.page, checks.Wanted(cause=zone), "verdict", 1, SHOWN)
    if not views and not behind.total:
        return pages.missing("This zone lies in no chain that was seen.")
    vantage = asked.text("vantage") or (views[0].vantage if views else behind.rows[0].vantage)
    hour = now.replace(minute=0, second=0, microsecond=0)
    steps = await source.read(source.zones.steps, zone, vantage, hour - timedelta(days=days), hour + timedelta(hours=1))
    ahead = max([window.expires_at for step in steps[-1:] for window in step.windows], default=now)
    until = min(max(ahead, now), now + timedelta(days=days / 3))
    newest = steps[-1] if steps else None
    # Of a zone that is known for less the drawing begins where it was seen first.
    begin = max(now - timedelta(days=days), min(steps[0].observed_at, now - timedelta(days=2)) if steps else now)
    sweeps = await source.read(source.history.sweeps, zone, 1)
    wanted = findings.Wanted(zone=zone)
    return pages.render(
        "zone.html",
        place="zones",
        asked=asked,
        is_live=True,
        zone=zone,
        views=views,
        vantage=vantage,
        days=days,
        newest=newest,
        algorithms=ALGORITHMS,
        gantt=draw_zone(steps, begin, until, now) if steps else None,
        sweep=sweeps[0] if sweeps else None,
        servers=compare_servers(sweeps[0]) if sweeps else [],
        findings=await source.read(source.findings.page, wanted, "severity", 1, SHOWN),
        checks=await source.read(source.checks.page, checks.Wanted(zone=zone), "verdict", 1, SHOWN)
        if views
        else behind,
        counts=await source.read(
            source.checks.counts, checks.Wanted(zone=zone) if views else checks.Wanted(cause=zone)
        ),
        consumers=await source.read(source.identities.page, identities.Wanted(zone=zone), "criticality", 1, SHOWN),
    )


def compare_servers(sweep: ZoneSweep) -> list[dict[str, Any]]:
    """Return a row for each server of a sweep; ``odd`` names the columns in which it differs from most others."""
    rows = []
    for of_parent in (False, True):
        side = [sight for sight in sweep.servers if sight.of_parent is of_parent]
        usual = {column: _most_common([_say(sight, column) for sight in side if _counts(sight)]) for column in COLUMNS}
        for sight in side:
            said = {column: _say(sight, column) for column in COLUMNS}
            odd = {column for column in COLUMNS if _counts(sight) and said[column] != usual[column]}
            if sight.status not in (ServerStatus.ANSWERS, ServerStatus.NOT_ASKED):
                odd.add("status")
            if sight.signatures is SignatureState.INVALID:
                odd.add("signatures")
            rows.append({"sight": sight, "said": said, "odd": odd})
    return rows


COLUMNS = ("status", "signatures", "serial", "keys", "ns", "ds")


def _counts(sight: ServerSight) -> bool:
    return sight.status is ServerStatus.ANSWERS


def _say(sight: ServerSight, column: str) -> str:
    match column:
        case "keys":
            return " ".join(str(key.tag) for key in sight.keys)
        case "ns" | "ds":
            return ", ".join(getattr(sight, column))
        case "serial":
            return "" if sight.serial is None else str(sight.serial)
        case "status":
            return str(sight.status) + (f": {sight.detail}" if sight.detail else "")
        case _:
            return str(sight.signatures)


def _most_common(values: Sequence[str]) -> str:
    return max(sorted(set(values)), key=values.count, default="")

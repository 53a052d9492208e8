"""The lists: checks, findings, incidents, zones, identities, owners, notifications; each sorted, filtered and cut."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from analyzer.history.reading import checks, findings, identities, zones
from analyzer.history.reading.asking import SEVERITIES, VERDICTS, Page
from anchorwatch.web import pages
from anchorwatch.web.console.asked import Asked
from anchorwatch.web.console.overview import brief
from anchorwatch.web.console.source import MOST_INCIDENTS, Source
from anchorwatch.web.queries import read_name
from schemas.messages import NotificationStatus

KINDS = ("state", "drift")
CRITICALITIES = ("critical", "high", "medium", "low")
Row = TypeVar("Row")


async def show_checks(source: Source, request: Request) -> Response:
    """List names, types and vantages."""
    asked = Asked(request)
    wanted = checks.Wanted(
        text=asked.text("q"),
        verdict=asked.one_of("verdict", VERDICTS),
        vantage=asked.text("vantage"),
        type=asked.text("type"),
        cause=asked.text("cause"),
        zone=asked.text("zone"),
        owner=asked.text("owner"),
        identity=asked.text("identity"),
        at=asked.at,
    )
    order = asked.one_of("sort", checks.ORDERS, "verdict")
    found = await source.read(source.checks.page, wanted, order, asked.page, asked.size)
    since = await source.read(source.checks.since, tuple(found.rows)) if wanted.at is None else {}
    return pages.render(
        "checks.html",
        place="checks",
        asked=asked,
        is_live=wanted.at is None,
        wanted=wanted,
        order=order,
        found=found,
        since=since,
        counts=await source.read(source.checks.counts, wanted),
        kinds=await source.read_slowly(source.checks.kinds),
    )


async def show_findings(source: Source, request: Request) -> Response:
    """List findings."""
    asked = Asked(request)
    name = asked.text("name")
    wanted = findings.Wanted(
        state=asked.one_of("state", findings.STATES, "open"),
        kind=asked.one_of("kind", KINDS),
        severity=asked.one_of("severity", SEVERITIES),
        code=asked.text("code"),
        zone=asked.text("zone"),
        owner=asked.text("owner"),
        identity=asked.text("identity"),
        name=read_name(name) if name else "",
        text=asked.text("q"),
        at=asked.at,
    )
    order = asked.one_of("sort", findings.ORDERS, "severity" if wanted.state == "open" else "updated")
    found = await source.read(source.findings.page, wanted, order, asked.page, asked.size)
    counts = await source.read(source.findings.counts, wanted)
    return pages.render(
        "findings.html",
        place="findings",
        asked=asked,
        is_live=wanted.at is None,
        wanted=wanted,
        order=order,
        found=found,
        counts=counts,
    )


def cut_page(rows: Sequence[Row], asked: Asked) -> Page[Row]:
    """Return the page of rows that is asked for; one behind the end is the last one."""
    number = min(asked.page, Page(rows, len(rows), 1, asked.size).last)
    begin = (number - 1) * asked.size
    return Page(rows[begin : begin + asked.size], len(rows), number, asked.size)


async def show_incidents(source: Source, request: Request) -> Response:
    """List incidents."""
    asked = Asked(request)
    state = asked.one_of("state", ("open", "ended", "all"), "open")
    text, owner = asked.text("q").lower(), asked.text("owner")
    source.ledger  # noqa: B018 - says where to ask if it is not here
    rows = [
        brief(one) for one in await source.incidents() if state == "all" or (one.ended_at is None) == (state == "open")
    ]
    if owner:
        rows = [row for row in rows if owner in row["owners"]]
    if text:
        rows = [
            row
            for row in rows
            if any(
                text in str(row[key]).lower() for key in ("where", "cause", "code", "detail", "id", "owners", "told")
            )
        ]
    return pages.render(
        "incidents.html",
        place="incidents",
        asked=asked,
        is_live=True,
        state=state,
        found=cut_page(rows, asked),
        most=MOST_INCIDENTS,
    )


async def show_zones(source: Source, request: Request) -> Response:
    """List zones that something watched lies behind."""
    asked = Asked(request)
    wanted = zones.Wanted(
        text=asked.text("q"), verdict=asked.one_of("verdict", VERDICTS), vantage=asked.text("vantage")
    )
    order = asked.one_of("sort", zones.ORDERS, "verdict")
    found = await source.read(source.zones.page, wanted, order, asked.page, asked.size)
    return pages.render(
        "zones.html", place="zones", asked=asked, is_live=True, wanted=wanted, order=order, found=found,
        kinds=await source.read_slowly(source.checks.kinds),
    )  # fmt: skip


async def show_identities(source: Source, request: Request) -> Response:
    """List identities with the weakest verdict that each rests on."""
    asked = Asked(request)
    wanted = identities.Wanted(
        text=asked.text("q"),
        owner=asked.text("owner") or None,
        kind=asked.text("kind"),
        environment=asked.text("environment"),
        criticality=asked.one_of("criticality", CRITICALITIES),
        verdict=asked.one_of("verdict", VERDICTS),
        name=asked.text("name"),
        zone=asked.text("zone"),
    )
    order = asked.one_of("sort", identities.ORDERS, "verdict")
    found = await source.read(source.identities.page, wanted, order, asked.page, asked.size)
    return pages.render(
        "identities.html", place="identities", asked=asked, is_live=True, wanted=wanted, order=order, found=found,
        criticalities=CRITICALITIES,
    )  # fmt: skip


async def show_owners(source: Source, request: Request) -> Response:
    """List owners with their identities by the weakest verdict that each rests on."""
    asked = Asked(request)
    order = asked.one_of("sort", identities.OWNERS_ORDERS, "verdict")
    text = asked.text("q")
    found = await source.read(source.identities.owners, text, order, asked.page, asked.size)
    burning = await source.read(source.findings.of_owners, tuple(one.owner for one in found.rows))
    return pages.render(
        "owners.html",
        place="owners",
        asked=asked,
        is_live=True,
        text=text,
        order=order,
        found=found,
        burning=burning,
    )


async def show_notifications(source: Source, request: Request) -> Response:
    """List what was said to whom, and what was not, and why."""
    asked = Asked(request)
    status = asked.one_of("status", [str(one) for one in NotificationStatus])
    rows = await source.told(source.ledger.notifications, MOST_INCIDENTS)
    receivers = sorted({one.receiver for one in rows if one.receiver})
    receiver = asked.text("receiver")
    rows = [one for one in rows if status in ("", one.status) and receiver in ("", one.receiver)]
    return pages.render(
        "notifications.html",
        place="told",
        asked=asked,
        is_live=True,
        status=status,
        receiver=receiver,
        receivers=receivers,
        found=cut_page(rows, asked),
        most=MOST_INCIDENTS,
        today=datetime.now(UTC).date(),
    )

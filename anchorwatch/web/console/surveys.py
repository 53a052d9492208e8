"""The pages that look over everything: resolvers, what ends when, what changed by day, the inventory, search."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.ledger.ledger import Record
from analyzer.history.reading import days, findings
from analyzer.history.reading.asking import VERDICTS
from analyzer.history.reading.finding import find_anything
from analyzer.history.reading.zones import End
from anchorwatch.web import pages
from anchorwatch.web.console.asked import Asked
from anchorwatch.web.console.source import Source
from anchorwatch.web.doors import BadQuery
from anchorwatch.web.incidents import is_hex
from anchorwatch.web.queries import read_name
from schemas.catalogue import ROWS, Kind

AHEAD, BACK = timedelta(days=30), timedelta(days=30)
SHOWN = 12
CLAIMS = ("AD", "NOERROR", "SERVFAIL", "other", "")
"""What a resolver tells its clients: validated; data without a word on it; a refusal; another rcode; not asked."""

TELLING = (("bogus", "NOERROR"), ("bogus", "SERVFAIL"), ("secure", "AD"), ("secure", "NOERROR"))
"""The cells that say whether a resolver protects its clients: they are shown though they are empty."""


async def show_resolvers(source: Source, request: Request) -> Response:
    """Show of each resolver what it tells its clients about names of each verdict, and so whether it protects them."""
    found = await source.read(source.checks.vantages)
    matrix: dict[str, dict[tuple[str, str], int]] = {}
    for vantage, verdict, claim, count in found:
        known = claim if claim in CLAIMS else "NOERROR" if claim == "NXDOMAIN" else "other"
        cells = matrix.setdefault(vantage, {})
        cells[verdict, known] = cells.get((verdict, known), 0) + count
    ours = await source.read(source.findings.of_resolvers, SHOWN)
    return pages.render(
        "resolvers.html",
        place="resolvers",
        asked=Asked(request),
        is_live=True,
        rows=[judge_resolver(vantage, cells) for vantage, cells in sorted(matrix.items())],
        columns=[
            (verdict, claim)
            for verdict in VERDICTS[::-1]
            for claim in CLAIMS
            if (verdict, claim) in TELLING or any((verdict, claim) in cells for cells in matrix.values())
        ],
        findings=ours,
    )


def judge_resolver(vantage: str, cells: dict[tuple[str, str], int]) -> dict[str, Any]:
    """Return a resolver's row: it protects its clients if it says AD of what is secure and refuses what is bogus."""
    secure = sum(cells.get(("secure", claim), 0) for claim in CLAIMS if claim)
    marked = cells.get(("secure", "AD"), 0)
    passed = cells.get(("bogus", "NOERROR"), 0) + cells.get(("bogus", "AD"), 0)
    refused = cells.get(("bogus", "SERVFAIL"), 0)
    if passed:
        word, kind = f"lets {passed} bogus answers through", "bogus"
    elif marked == secure and (secure or refused):
        word, kind = "validates", "secure"
    elif refused and not marked:
        word, kind = f"refuses {refused} bogus answers, and marks none of {secure} as authentic", "insecure"
    elif marked:
        word, kind = f"validates some: {secure - marked} of {secure} without AD", "insecure"
    elif secure:
        word, kind = "does not validate", "bogus"
    else:
        word, kind = "was not asked", "indeterminate"
    return {"vantage": vantage, "cells": cells, "word": word, "kind": kind, "total": sum(cells.values())}


async def show_calendar(source: Source, request: Request) -> Response:
    """Show which signatures end on which of the next thirty days."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = await source.read_slowly(source.zones.ends, today + AHEAD)
    answers = dict(await source.read_slowly(source.zones.answer_ends, today, today + AHEAD))
    by_day: dict[datetime, list[End]] = {today + timedelta(days=number): [] for number in range(AHEAD.days)}
    over: list[End] = []
    for one in ends:
        day = one.ends_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        by_day.get(day, over).append(one)
    rows = [{"day": day, "ends": found, "answers": answers.get(day, 0)} for day, found in by_day.items()]
    return pages.render(
        "calendar.html",
        place="calendar",
        asked=Asked(request),
        is_live=True,
        rows=rows,
        over=over,
        ends=ends,
        today=today,
        most=max([1, *map(len, by_day.values())]),
    )


async def show_changes(source: Source, request: Request) -> Response:
    """Show what changed, by day for a month, and the changes of one day."""
    asked = Asked(request)
    kind = asked.one_of("kind", [one for one in days.KINDS if one])
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = _read_day(asked.text("day"), today)
    by_day = await source.read_slowly(source.days.by_day, today - BACK, today + timedelta(days=1))
    end = day + timedelta(days=1)
    return pages.render(
        "changes.html",
        place="changes",
        asked=asked,
        is_live=day == today,
        day=day,
        today=today,
        kind=kind,
        kinds=[one for one in days.KINDS if one],
        days=by_day,
        most=max([row.weaker + row.stronger + row.data + row.first for row in by_day], default=1),
        counts=await source.read(source.days.counts, day, end),
        found=await source.read(source.days.page, day, end, kind, asked.page, asked.size),
        opened=await source.read(source.findings.page, findings.Wanted(state="all"), "opened", 1, 200),
    )


def _read_day(text: str, today: datetime) -> datetime:
    if not text:
        return today
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadQuery(f"day={text!r} is no day: 2026-11-24 is one") from error


async def show_inventory(source: Source, request: Request) -> Response:
    """Show what the inventory holds, what is wrong with it, and which of its names were never observed."""
    wanted = findings.Wanted(text="self_inventory")
    return pages.render(
        "inventory.html",
        place="inventory",
        asked=Asked(request),
        is_live=True,
        counts=await source.read(source.identities.count),
        kinds=await source.read_slowly(source.identities.kinds),
        problems=await source.read(source.findings.page, wanted, "severity", 1, 50),
        earlier=await source.read(
            source.findings.page, findings.Wanted(text="self_inventory", state="closed"), "updated", 1, SHOWN
        ),
        lately=await source.read(source.identities.lately, 30),
        unobserved=await source.read_slowly(source.identities.unobserved, 50),
        without_owner=await source.read_slowly(source.identities.owner, ""),
    )


async def search(source: Source, request: Request) -> Response:
    """Find names, zones, identities, owners, codes, and incidents, findings and evidence by the beginning of an id."""
    asked = Asked(request)
    text = asked.text("q")
    hits: dict[str, list[Any]] = {}
    codes: list[str] = []
    incidents: list[tuple[str, str]] = []
    if text:
        short = is_hex(text)
        hits = await source.read(find_anything, source.history.read, text, is_id=short)
        word = text.lower().replace(" ", "_")
        codes = [str(row.code) for row in ROWS if row.kind is not Kind.REASON and word in row.code][:SHOWN]
        if short and source.has_ledger:
            incidents = await source.tell(_incidents, source.ledger, text.lower())
        only = _only(hits, codes, incidents, text)
        if only:
            return RedirectResponse(only, status_code=303)
    name = ""
    with contextlib.suppress(BadQuery):
        name = read_name(text) if "." in text else ""
    return pages.render(
        "search.html", asked=asked, text=text, hits=hits, codes=codes, incidents=incidents, name=name,
        is_empty=not (any(hits.values()) or codes or incidents),
    )  # fmt: skip


def _incidents(ledger: Record, prefix: str) -> list[tuple[str, str]]:
    return [(one.id, one.cause) for one in ledger.find_incidents(prefix, SHOWN)]


def _only(hits: dict[str, list[Any]], codes: list[str], incidents: list[tuple[str, str]], text: str) -> str:
    """Return where to go at once: to the one thing that is meant; empty where several may be."""
    flat = [(kind, one) for kind, found in hits.items() for one in found]
    if incidents and len(incidents) == 1 and not flat and not codes:
        return f"/incidents/{incidents[0][0]}"
    if len(flat) == 1 and flat[0][0] in ("finding", "evidence") and not codes and not incidents:
        return f"/{'findings' if flat[0][0] == 'finding' else 'evidence'}/{flat[0][1]}"
    exact = [one for kind, one in flat if kind == "name" and one.rstrip(".") == text.lower().rstrip(".")]
    zones = [one for kind, one in flat if kind == "zone" and one == (exact[0] if exact else "")]
    return f"/endpoints/{exact[0]}" if exact and not zones else ""

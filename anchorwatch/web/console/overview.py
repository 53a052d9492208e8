"""The page on the wall: what is bad, the worst first; what changed today; what ends next; who was told; how we are."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from alerts.decision.incidents import Incident
from alerts.delivery.wording import printable
from analyzer.history.reading import checks, findings
from analyzer.history.reading.asking import VERDICTS
from anchorwatch.web import pages
from anchorwatch.web.console.asked import Asked
from anchorwatch.web.console.gantt import draw_counts
from anchorwatch.web.console.source import Source
from anchorwatch.web.doors import BadQuery, read_number
from schemas.catalogue import sentence_of
from schemas.cause import owner_of

SHOWN = 20
STALE = timedelta(minutes=15)
BAR_WIDTH, BAR_HEIGHT, SLOTS = 960, 72, 96


def brief(incident: Incident) -> dict[str, Any]:
    """Return what a list shows of an incident."""
    lead = incident.lead
    owners = sorted({one.owner for one in incident.identities if one.owner})
    where = owner_of(lead.cause_rrset) or incident.cause
    return {
        "id": incident.id,
        "severity": str(incident.severity),
        "where": f"{incident.member_count} incidents at once" if incident.is_storm else where,
        "cause": incident.cause,
        "sentence": sentence_of(lead.code),
        "code": lead.code,
        "detail": lead.detail,
        "state": str(incident.state),
        "by": incident.acknowledged.by if incident.acknowledged is not None else "",
        "opened_at": incident.opened_at,
        "ended_at": incident.ended_at,
        "owners": owners,
        "identities": incident.identity_count,
        "findings": len(incident.entries),
        "told": sorted(incident.notified),
        "withheld": incident.withheld if not incident.notified else "",
        "silenced": [
            str(one) for one in {str(e.silenced) for e in incident.entries.values() if e.silenced and e.is_live}
        ],
        "zone": lead.cause_zone,
    }


async def show_overview(source: Source, request: Request, *, has_session: bool) -> Response:
    """Show the whole watch on one screen; ``at`` shows it as it was."""
    asked = Asked(request)
    at, every = asked.at, asked.text("every")
    if every:
        every = str(max(10, read_number(every, "every", 3600)))
    now = datetime.now(UTC)
    if at is not None and at > now:
        raise BadQuery("at= lies in the future")
    if not source.has_history:
        return await _without_history(source, asked, has_session=has_session)
    wanted = checks.Wanted(at=at)
    until = at or now
    today = until.replace(hour=0, minute=0, second=0, microsecond=0)
    counts = await source.read(source.checks.counts, wanted)
    incidents = [one for one in await source.incidents() if _stood(one, at)]
    found = await source.read(source.findings.page, findings.Wanted(at=at), "severity", 1, SHOWN)
    severities = await source.read(source.findings.counts, findings.Wanted(at=at))
    bars = []
    if at is None:
        begin = _round(now) - timedelta(days=1)
        counted = tuple(counts[verdict] for verdict in VERDICTS)
        slots = await source.read_slowly(source.days.verdicts, counted, begin, _round(now), timedelta(days=1) / SLOTS)
        bars = draw_counts(slots, BAR_WIDTH, BAR_HEIGHT)
    changed = await source.read(source.days.page, today, until if at else today + timedelta(days=1), "", 1, SHOWN)
    moves = await source.read(source.days.counts, today, until if at else today + timedelta(days=1))
    ends = await source.read_slowly(source.zones.ends, today + timedelta(days=30)) if at is None else []
    told = await source.told(source.ledger.notifications, 200) if source.has_ledger else []
    return pages.render(
        "overview.html",
        place="overview",
        asked=asked,
        is_live=at is None,
        every=every,
        at=at,
        counts=counts,
        total=sum(counts.values()),
        severities=severities,
        findings=found,
        incidents=[brief(one) for one in incidents[:SHOWN]],
        incident_count=len(incidents),
        bars=bars,
        bar=(BAR_WIDTH, BAR_HEIGHT),
        changed=changed,
        moves=moves,
        ends=[one for one in ends if one.ends_at > now - timedelta(days=2)][:SHOWN],
        told=[one for one in told if at is None or one.at <= at][:SHOWN],
        silences=[one for one in await source.silences() if one["state"] == "active"] if at is None else [],
        has_ledger=source.has_ledger,
        watch=await look_at_watch(source, now) if at is None else None,
        owners=await source.read_slowly(source.identities.at_risk, 8) if at is None else [],
        has_session=has_session,
    )


async def _without_history(source: Source, asked: Asked, *, has_session: bool) -> Response:
    incidents = [one for one in await source.incidents() if one.ended_at is None]
    told = await source.told(source.ledger.notifications, 200)
    return pages.render(
        "overview_of_alerts.html",
        place="overview",
        asked=asked,
        is_live=True,
        incidents=[brief(one) for one in incidents[:50]],
        incident_count=len(incidents),
        told=told[:50],
        silences=[one for one in await source.silences() if one["state"] == "active"],
        problems=problems_of(source),
        has_session=has_session,
    )


def _stood(incident: Incident, at: datetime | None) -> bool:
    if at is None:
        return incident.ended_at is None
    return incident.opened_at <= at and (incident.ended_at is None or incident.ended_at > at)


def _round(at: datetime) -> datetime:
    """Return the end of the quarter of an hour: so all tabs ask the same."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)


def problems_of(source: Source) -> list[str]:
    """Return why the watch, or its paging, is not as it should be."""
    return [printable(one) for one in (*source.parts.progress.why_not_ready(), *source.parts.warnings)]


async def look_at_watch(source: Source, now: datetime) -> dict[str, Any]:
    """Return how the watch itself is: what it says of itself, and how old the newest poll is."""
    names, newest, oldest = await source.read(source.checks.measure)
    own: Sequence[Any] = await source.read(source.findings.of_watch)
    problems = problems_of(source)
    age = now - newest if newest is not None else None
    if age is not None and age > STALE:
        problems.append("nothing was polled lately: what stands here may be over")
    return {
        "names": names,
        "newest_at": newest,
        "oldest_at": oldest,
        "problems": problems,
        "findings": own,
        "is_well": not problems and not own and newest is not None,
    }

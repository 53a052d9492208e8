"""The pages of one identity and of one owner: what of theirs is at risk, and what it rests on."""

from starlette.requests import Request
from starlette.responses import Response

from analyzer.history.reading import checks, findings, identities
from anchorwatch.web import pages
from anchorwatch.web.console.asked import Asked
from anchorwatch.web.console.overview import brief
from anchorwatch.web.console.source import Source

SHOWN = 15


async def show_identity(source: Source, request: Request) -> Response:
    """Show one identity: what it consumes with the verdicts, and the findings that affect it."""
    asked, key = Asked(request), request.path_params["id"]
    identity = await source.read(source.identities.identity, key)
    if identity is None:
        return pages.missing("No such identity is in the inventory.")
    wanted = checks.Wanted(identity=key)
    return pages.render(
        "identity.html",
        place="identities",
        asked=asked,
        is_live=True,
        identity=identity,
        endpoints={f"{endpoint.host}.": endpoint for endpoint in identity.endpoints},
        counts=await source.read(source.checks.counts, wanted),
        found=await source.read(source.checks.page, wanted, "verdict", asked.page, asked.size),
        findings=await source.read(source.findings.page, findings.Wanted(identity=key), "severity", 1, SHOWN),
    )


async def show_owner(source: Source, request: Request) -> Response:
    """Show one owner: what is wrong with what is theirs, and which identities rest on unsigned or bogus names."""
    asked, owner = Asked(request), request.path_params["owner"]
    row = await source.read(source.identities.owner, owner)
    if row is None:
        return pages.missing("Nothing in the inventory is of this owner.")
    wanted = checks.Wanted(owner=owner)
    incidents = [one for one in await source.incidents() if one.ended_at is None]
    mine = [brief(one) for one in incidents if any(who.owner == owner for who in one.identities)]
    return pages.render(
        "owner.html",
        place="owners",
        asked=asked,
        is_live=True,
        owner=owner,
        row=row,
        incidents=mine[:SHOWN],
        incident_count=len(mine),
        has_ledger=source.has_ledger,
        counts=await source.read(source.checks.counts, wanted),
        findings=await source.read(source.findings.page, findings.Wanted(owner=owner), "severity", 1, SHOWN),
        unsigned=await source.read(
            source.identities.page, identities.Wanted(owner=owner, verdict="insecure"), "criticality", 1, SHOWN
        ),
        weakest=await source.read(source.identities.page, identities.Wanted(owner=owner), "verdict", 1, SHOWN),
        found=await source.read(source.checks.page, wanted, "verdict", 1, SHOWN),
    )

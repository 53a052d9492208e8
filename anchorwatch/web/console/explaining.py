"""Explain: any name is validated now, through a vantage of ours, and its chain is drawn. Bounded in rate and time."""

import asyncio
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from anchorwatch.web import pages
from anchorwatch.web.acts import FORM, read_octets
from anchorwatch.web.chains import ZoneView
from anchorwatch.web.console.asked import Asked
from anchorwatch.web.console.picture import ALGORITHMS, draw_chain
from anchorwatch.web.console.source import Source
from anchorwatch.web.doors import BadQuery, Bucket, Refused
from anchorwatch.web.queries import read_name
from collector.dnssec import records
from schemas.catalogue import sentence_of
from schemas.judgement import ChainLink, Judgement
from schemas.messages import SignatureWindow

AT_ONCE, EVERY_S, PATIENCE_S = 6, 2.0, 20.0
TYPES = ("A", "AAAA", "CNAME", "MX", "TXT", "SRV", "HTTPS", "TLSA", "CAA", "NS", "SOA", "DNSKEY", "DS")


class Explainer:
    """Validates what people ask for, a few at a time."""

    def __init__(self) -> None:
        self._bucket, self._seats = Bucket(AT_ONCE, EVERY_S), asyncio.Semaphore(2)

    async def show(self, source: Source, request: Request) -> Response:
        """Show the form; it asks nobody anything."""
        asked = Asked(request)
        return _page(source, request, asked.text("name"), asked.text("type") or "A", asked.text("vantage"))

    async def explain(self, source: Source, request: Request) -> Response:
        """Validate the name that the form names, and show the chain and the reasons."""
        explain = source.parts.explain
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise Refused("a form is expected", 415)
        fields = parse_qs((await read_octets(request, 4096)).decode("utf-8", "replace"), max_num_fields=10)
        name, rdtype, vantage = (fields.get(key, [""])[0].strip() for key in ("name", "type", "vantage"))
        rdtype = rdtype.upper() or "A"
        page = (name, rdtype, vantage)
        if explain is None:
            return _page(source, request, *page, problem="This process has no resolvers.", status=404)
        try:
            full = read_name(name)
            records.type_from_text(rdtype)
        except (BadQuery, ValueError) as error:
            return _page(source, request, *page, problem=f"{error}", status=400)
        if vantage and vantage not in source.parts.vantages:
            return _page(source, request, *page, problem="There is no such vantage.", status=400)
        wait_s = self._bucket.take(time.monotonic())
        if wait_s:
            problem = f"Too many at once: try again in {int(wait_s) + 1} s."
            return _page(source, request, *page, problem=problem, status=429)
        try:
            async with asyncio.timeout(PATIENCE_S), self._seats:
                judgement = await explain(full, rdtype, vantage or source.parts.vantages[0])
        except TimeoutError:
            problem = f"No verdict within {PATIENCE_S:.0f} s."
            return _page(source, request, *page, problem=problem, status=504)
        return _page(source, request, *page, judgement=judgement)


def _page(
    source: Source,
    request: Request,
    name: str,
    rdtype: str,
    vantage: str,
    *,
    judgement: Judgement | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    chain = views_of(judgement) if judgement is not None else ()
    return pages.render(
        "explain.html",
        status,
        place="explain",
        asked=Asked(request),
        name=name,
        rdtype=rdtype,
        vantage=vantage,
        vantages=source.parts.vantages,
        types=TYPES,
        judgement=judgement,
        chain=chain,
        algorithms=ALGORITHMS,
        picture=draw_chain(judgement, chain, datetime.now(UTC)) if judgement is not None else None,
        problem=problem,
        sentences={one.code: sentence_of(one.code) for one in (judgement.reasons if judgement is not None else ())},
    )


def views_of(judgement: Judgement) -> tuple[ZoneView, ...]:
    """Return the zones of a judgement that was just made: its links say all of them."""
    return tuple(
        _view(link, judgement, judgement.chain[place - 1].zone if place else "")
        for place, link in enumerate(judgement.chain)
    )


def _view(link: ChainLink, judgement: Judgement, above: str) -> ZoneView:
    windows: tuple[SignatureWindow, ...] = ()
    if link.inception_at is not None and link.expires_at is not None:
        over = f"{link.zone} DNSKEY"
        windows = (
            SignatureWindow(zone=link.zone, rrset=over, inception_at=link.inception_at, expires_at=link.expires_at),
        )
    return ZoneView(
        zone=link.zone,
        vantage=judgement.vantage,
        verdict=link.verdict,
        parent=above,
        ds=link.ds,
        keys=link.keys,
        signed_by=link.signed_by,
        windows=windows,
        expires_at=link.expires_at,
        reasons=tuple(one for one in judgement.reasons if one.zone == link.zone),
        remarks=tuple(one for one in judgement.remarks if one.zone == link.zone),
    )

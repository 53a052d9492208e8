"""The pages of one incident, one finding and one piece of evidence; and the forms for what people do."""

from collections.abc import Callable
from typing import Any

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.runbooks.library import find_runbook
from analyzer.history.clickhouse import ClickHouseHistory
from anchorwatch.web import acts, pages
from anchorwatch.web.acts import Desk, read_form
from anchorwatch.web.console.asked import Asked
from anchorwatch.web.console.overview import brief
from anchorwatch.web.console.source import Source
from anchorwatch.web.doors import Refused
from anchorwatch.web.incidents import find_incident, whole_view
from anchorwatch.web.people import person_of
from anchorwatch.web.queries import find_evidence, find_findings
from schemas.catalogue import sentence_of, source_of
from schemas.cause import owner_of
from schemas.messages import Evidence, Finding

MOST_MESSAGES = 100
MOST_TEXT = 20_000
LISTED = 50


async def show_incident(source: Source, request: Request) -> Response:
    """Show one incident: who has it, what happened, who was told, and forms for what people do."""
    try:
        whole, head = await source.tell(_whole, source, request.path_params["id"])
    except Refused as refusal:
        return pages.missing(f"{refusal}", refusal.status)
    return pages.render(
        "incident.html",
        place="incidents",
        asked=Asked(request),
        is_live=True,
        person=person_of(request),
        incident=whole,
        brief=head,
        listed=LISTED,
    )


def _whole(source: Source, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    incident = find_incident(source.ledger, text)
    return whole_view(source.ledger, incident), brief(incident)


async def act_on_incident(source: Source, desk: Callable[[], Desk], request: Request) -> Response:
    """Do what a form of an incident's page says, then show the page again."""
    whole, _ = await source.tell(_whole, source, request.path_params["id"])
    path = f"/incidents/{whole['id']}"
    try:
        await desk().take_body(await read_form(request, whole["id"]), acts.source_of("page", request))
    except Refused as refusal:
        return pages.refused(f"{refusal}", path, refusal.status)
    return RedirectResponse(path, status_code=303)


async def show_finding(source: Source, request: Request) -> Response:
    """Show one finding: before and after, whom it affects, its evidence, its life."""
    try:
        versions = await source.read(_versions, source.history, request.path_params["id"])
    except Refused as refusal:
        return pages.missing(f"{refusal}", refusal.status)
    newest = versions[-1]
    incidents = [one for one in await source.incidents() if newest.id in one.entries]
    evidence = await source.read(source.history.evidence, newest.evidence) if newest.evidence else None
    return pages.render(
        "finding.html",
        place="findings",
        asked=Asked(request),
        is_live=True,
        finding=newest,
        versions=versions,
        sentence=sentence_of(newest.code),
        source=source_of(newest.code),
        runbook=find_runbook(newest.code),
        owner_name=owner_of(newest.cause_rrset),
        incidents=[brief(one) for one in incidents[:5]],
        listed=LISTED,
        messages=decode_messages(evidence)[:3] if evidence is not None else [],
        message_count=len(evidence.messages) if evidence is not None else 0,
    )


def _versions(history: ClickHouseHistory, text: str) -> list[Finding]:
    found = find_findings(history, text)
    if not found:
        raise Refused("there is no such finding", 404)
    return history.finding_versions(found[0].id)


async def show_evidence(source: Source, request: Request) -> Response:
    """Show the messages behind a verdict in presentation form."""
    try:
        found = await source.read(find_evidence, source.history, request.path_params["digest"])
    except Refused as refusal:
        return pages.missing(f"{refusal}", refusal.status)
    if found is None:
        return pages.missing("There is no such evidence.")
    messages = decode_messages(found)
    return pages.render("evidence.html", asked=Asked(request), evidence=found, messages=messages)


def decode_messages(evidence: Evidence) -> list[dict[str, Any]]:
    """Return each message in presentation form, with a line that says what it is about; at most 100 of them.

    What is no DNS message is said to be none: nothing that a server sends makes a page fail.
    """
    return [_decode(wire) for wire in evidence.messages[-MOST_MESSAGES:]]


def _decode(wire: bytes) -> dict[str, Any]:
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True, continue_on_error=True)
        text = message.to_text()
        about = ", ".join(f"{one.name} {dns.rdatatype.to_text(one.rdtype)}" for one in message.question)
        rcode = dns.rcode.to_text(message.rcode())
        counts = f"{len(message.answer)} answer, {len(message.authority)} authority RRsets"
    except (dns.exception.DNSException, ValueError, KeyError, IndexError, UnicodeError) as error:
        return {"about": "no DNS message", "rcode": type(error).__name__, "counts": "", "text": wire[:512].hex(" "),
                "octets": len(wire)}  # fmt: skip
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}\n… {len(text) - MOST_TEXT} more signs: download it whole"
    return {"about": about, "rcode": rcode, "counts": counts, "text": text, "octets": len(wire)}

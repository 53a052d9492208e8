"""``anchorwatch incident``, ``finding`` and ``why``: one of them on one screen, from a running instance."""

import json
from pathlib import Path
from typing import Any

import click

from anchorwatch.cli.api import api_options, fetch
from anchorwatch.cli.arguments import read_subject

SHOWN = 10
LATELY = "200"


@click.command()
@click.argument("incident_id", metavar="INCIDENT")
@api_options
def incident(incident_id: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Show INCIDENT: what is the case, who has it, and what happened. The beginning of its id is enough."""
    found = fetch(api, token_file, f"/api/v1/incidents/{incident_id}")
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    _print(_incident_lines(found))


def _incident_lines(found: dict[str, Any]) -> list[str]:
    taken = found["acknowledged"]
    lines = [
        found["summary"],
        f"incident   {found['id']}",
        f"state      {found['state']}" + (f" by {taken['by']} at {_at(taken['at'])}" if taken else ""),
    ]
    if found["reopened_because"]:
        lines.append(f"reopened   {found['reopened_because']}")
    lines.append(f"open       {_at(found['opened_at'])} to {_at(found['ended_at']) if found['ended_at'] else 'now'}")
    told = ", ".join(found["notified"]) if found["notified"] else f"nobody: {found['withheld']}"
    lines += [f"notified   {told}", "findings"]
    for one in found["details"][:SHOWN]:
        lines.append(f"  {one['id'][:8]} {one['severity']:8} {one['status']:7} {one['code']}: {one['detail']}")
        if one["evidence"]:
            lines.append(f"           evidence {one['evidence'][:8]}")
        if one["silenced"]:
            lines.append(f"           {one['silenced']}")
    lines += _more(found["details"])
    if found["identities"]:
        lines.append("affects")
        lines += [
            f"  {one['id']} ({', '.join(filter(None, (one['owner'], one['environment'], one['criticality'])))})"
            for one in found["identities"][:SHOWN]
        ]
        lines += _more(found["identities"])
    lines.append("timeline")
    for row in found["timeline"]:
        who = f"{row['by']}: " if row["by"] else ""
        lines.append(f"  {_at(row['at'])}  {row['what']:12} {who}{row['text']}")
    if found["earlier"]:
        lines.append("earlier on this cause")
        lines += [f"  {one['id'][:8]} {_at(one['opened_at'])}  {one['summary']}" for one in found["earlier"][:SHOWN]]
    return lines


@click.command()
@click.argument("finding_id", metavar="FINDING")
@api_options
def finding(finding_id: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Show FINDING with its life and whom it affects. The beginning of its id is enough."""
    versions = fetch(api, token_file, f"/api/v1/findings/{finding_id}")
    if as_json:
        click.echo(json.dumps(versions, indent=1))
        return
    _print(_finding_lines(versions))


def _finding_lines(versions: list[dict[str, Any]]) -> list[str]:
    from schemas.catalogue import sentence_of, source_of

    newest = versions[-1]
    closed = f"; {because}" if (because := newest.get("closed_because", "")) else ""
    lines = [
        f"[{newest['severity']}] {newest['code']}: {sentence_of(newest['code'])} ({source_of(newest['code'])})",
        f"finding    {newest['id']}, {newest['status']}{'' if newest['confirmed'] else ', not yet confirmed'}{closed}",
        f"cause      {newest['cause_zone']} {newest.get('cause_rrset', '')}".rstrip(),
        f"detail     {newest.get('detail', '')}",
    ]
    for word in ("before", "after", "evidence"):
        if newest.get(word):
            lines.append(f"{word:10} {newest[word]}")
    if newest.get("vantages"):
        lines.append(f"seen from  {', '.join(newest['vantages'])}")
    lines += [
        f"endpoints  {newest.get('endpoint_count', 0)}: {', '.join(newest.get('endpoints', [])[:SHOWN])}",
        "affects",
    ]
    lines += [
        f"  {one['id']} ({', '.join(filter(None, (one.get('owner'), one.get('environment'), one.get('criticality'))))})"
        for one in newest.get("identities", [])[:SHOWN]
    ]
    lines += [*_more(newest.get("identities", [])), "life"]
    lines += [
        f"  {_at(one['updated_at'])}  version {one['version']}, {one['status']}, {one['severity']}"
        f"{'' if one['confirmed'] else ', not yet confirmed'}"
        for one in versions[-SHOWN:]
    ]
    return lines


@click.command()
@click.argument("name", metavar="NAME")
@api_options
def why(name: str, api: str, token_file: Path | None, as_json: bool) -> None:
    """Show why NAME is as it is: the verdict now, its cause, findings and incidents about it, and the last evidence."""
    if any(character in name for character in "/@:;=?#"):
        name, _ = read_subject(name, "A")
    now = fetch(api, token_file, "/api/v1/endpoints", name=name)
    intervals = fetch(api, token_file, "/api/v1/history", name=name, limit=LATELY)
    if not now and not intervals:
        raise click.ClickException(f"{name} is not watched, and never was")
    findings = fetch(api, token_file, "/api/v1/findings", name=name, limit=LATELY)
    ids = {one["id"] for one in findings}
    incidents = [
        one
        for one in fetch(api, token_file, "/api/v1/incidents", limit=LATELY)
        if ids & {found["id"] for found in one["findings"]}
    ]
    if as_json:
        whole = {"now": now, "history": intervals, "findings": findings, "incidents": incidents}
        click.echo(json.dumps(whole, indent=1))
        return
    lines = [name]
    for one in now:
        cause = f", caused by {one['cause_zone']}" if one["cause_zone"] else ""
        said = f" ({', '.join(one['conditions'])})" if one["conditions"] else ""
        lines.append(f"now        {one['type']} through {one['vantage']}: {one['verdict']}{cause}{said}")
    lines += [
        f"incident   {one['id'][:8]} {one['state']:12} {_at(one['opened_at'])}  {one['summary']}"
        for one in incidents[:SHOWN]
    ]
    for one in sorted(findings, key=lambda one: (one["status"] == "closed", one["opened_at"]))[:SHOWN]:
        lines.append(
            f"finding    {one['id'][:8]} {one['status']:7} {one['severity']:8} {one['code']}: {one.get('detail', '')}"
        )
    for one in intervals[:SHOWN]:
        lines.append(
            f"history    {_at(one['first_seen_at'])} to {_at(one['last_seen_at'])}  {one['verdict']:13} {one['type']:5}"
            f" {one['vantage']}  {', '.join(one['reasons'])}  {'; '.join(one['answers'][:3])}"
        )
    if intervals:
        digest = intervals[0]["evidence"]
        lines.append(f"evidence   {digest[:8]}: anchorwatch evidence {digest[:8]} validates it again")
    _print(lines)


def _more(rows: list[Any]) -> list[str]:
    return [f"  and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []


def _at(text: str) -> str:
    return text[:19].replace("T", " ")


def _print(lines: list[str]) -> None:
    from alerts.delivery.wording import printable

    for line in lines:
        click.echo(printable(line))

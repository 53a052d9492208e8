"""What an incident says to people: one line, one screen, and one object for machines.

DNS data are hostile input: control characters never reach a terminal or a message.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from alerts.decision.incidents import Incident
from alerts.decision.order import Order
from alerts.delivery.advice import advise
from schemas.catalogue import sentence_of, source_of
from schemas.cause import bare, owner_of

MAX_IDENTITIES = 50
MAX_FINDINGS = 50
MAX_SERVERS = 50
MOST_SHOWN = 10
"""So much of a list is shown to people, with the number of the rest."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def printable(text: str) -> str:
    """Return the text with control and direction characters replaced."""
    return _CONTROL.sub("�", text)


def summarise(incident: Incident, event: str) -> str:
    """Return one line: what, where, whom it hits first, who is affected, since when."""
    sentence = f"{sentence_of(incident.lead.code)} ({incident.lead.code})"
    count, peak = incident.identity_count, incident.identity_peak
    who = f"{count} {'identity' if count == 1 else 'identities'}"
    if peak > count:
        who += f" now, {peak} at most,"
    if owners := sorted({i.owner for i in incident.identities if i.owner}):
        who += f" of {', '.join(owners[:3])}" + (f" and {len(owners) - 3} more" if len(owners) > 3 else "")
    prefix, affects = _outcome(incident, event, who)
    since = f"since {incident.opened_at:%Y-%m-%d %H:%M} UTC"
    first = _first_hit(incident) if event != "resolve" else ""
    rest = "; ".join(filter(None, (first, affects, since)))
    return printable(f"{prefix}[{incident.severity}] {_where(incident)}: {sentence}; {rest}")


def _where(incident: Incident) -> str:
    """Return what is at fault: a zone, a name in it, or how many incidents at once, the worst first."""
    if incident.is_storm:
        first = incident.members[0].cause if incident.members else ""
        return f"{incident.member_count} incidents at once ({bare(incident.cause)}), {bare(first)} first"
    owner, cause = bare(owner_of(incident.lead.cause_rrset)), bare(incident.cause)
    return f"{owner} ({cause})" if owner and owner != cause else cause


def _first_hit(incident: Incident) -> str:
    """Return the most critical identity with one of its hosts; empty where the incident affects none."""
    if incident.is_storm:
        worst = next((one for one in incident.members if one.identity), None)
        if worst is None:
            return ""
        return f"hits {worst.identity} ({worst.criticality})" + (f" at {worst.host}" if worst.host else "")
    first = next(iter(incident.identities), None)
    if first is None:
        return ""
    return f"hits {first.id} ({first.criticality})" + (f" at {first.hosts[0]}" if first.hosts else "")


def _outcome(incident: Incident, event: str, who: str) -> tuple[str, str]:
    """Return what became of it, in front, and whom it affects."""
    if event == "acknowledge":
        taken = incident.acknowledged
        return f"ACKNOWLEDGED by {taken.by} " if taken is not None else "", f"affects {who}"
    if left := incident.left_because:  # nobody saw it heal
        return "NO LONGER WATCHED ", f"{left}; close it by hand once it is put right; affected {who}"
    if event != "resolve":
        return "", f"affects {who}"
    if incident.ends_unproven:
        return "NO MORE NEWS ", f"closed, not seen to be undone: check that it was meant; affected {who}"
    if accepted := incident.accepted_because:
        return "ACCEPTED ", f"{accepted}; affected {who}"
    return "RESOLVED ", f"affects {who}"


def describe(delivery: Order) -> dict[str, Any]:
    """Return the incident as the object that receivers get; lists are cut, their true lengths are said."""
    incident = delivery.incident
    entries = sorted(incident.entries.values(), key=lambda e: (-e.severity.rank, e.finding.opened_at))
    identities, advice = incident.identities, advise(delivery)
    return {
        "incident": incident.id,
        "event": delivery.event,
        "reason": delivery.reason,
        "severity": str(incident.severity),
        "state": str(incident.state),
        "acknowledged_by": printable(incident.acknowledged.by) if incident.acknowledged is not None else "",
        "summary": summarise(incident, delivery.event),
        "cause": incident.cause,
        "opened_at": incident.opened_at.isoformat(),
        "advice_for": _advised(incident),
        "means": printable(advice.means),
        "who_does_what": [{"who": who, "what": printable(what)} for who, what in advice.who],
        "over_when": printable(advice.over),
        "links": advice.links,
        "commands": list(advice.commands),
        "findings": [
            {
                "id": e.finding.id,
                "code": e.finding.code,
                "severity": str(e.severity),
                "status": str(e.finding.status),
                "silenced": printable(str(e.silenced)) if e.silenced is not None and e.is_live else "",
                "detail": printable(e.finding.detail),
                "closed_because": printable(e.finding.closed_because),
                "before": printable(e.finding.before)[:500],
                "after": printable(e.finding.after)[:500],
                "source": source_of(e.finding.code),
                "vantages": list(e.finding.vantages),
                "servers": [printable(server) for server in e.finding.servers[:MAX_SERVERS]],
                "endpoint_count": e.finding.endpoint_count,
                "endpoints": list(e.finding.endpoints[:10]),
                "evidence": e.finding.evidence,
            }
            for e in entries[:MAX_FINDINGS]
        ],
        "finding_count": len(entries),
        "members": [
            {
                "incident": one.incident,
                "cause": printable(one.cause),
                "code": one.code,
                "severity": str(one.severity),
                "criticality": one.criticality,
                "identity": printable(one.identity),
                "host": printable(one.host),
                "open": one.is_open,
            }
            for one in incident.members[:MAX_FINDINGS]
        ],
        "member_count": incident.member_count,
        "shared_code": _shared_code(incident),
        "explains": [printable(cause) for cause in incident.explains[:MAX_FINDINGS]],
        "explains_count": len(incident.explains),
        "identities": [
            {"id": i.id, "owner": i.owner, "environment": i.environment, "criticality": i.criticality, "kind": i.kind}
            for i in identities[:MAX_IDENTITIES]
        ],
        "identity_count": incident.identity_count,
        "identity_peak": incident.identity_peak,
        "controls": [
            {"framework": c.framework, "control": c.control, "relation": c.relation, "why": c.why}
            for c in incident.controls
        ],
    }


def _advised(incident: Incident) -> str:
    """Return whom the advice is for, where a page is about several incidents; empty where it is about one."""
    if not incident.members:
        return ""
    return printable(f"{bare(incident.members[0].cause)}, the first of {incident.member_count}")


def _shared_code(incident: Incident) -> str:
    """Return the code that all incidents of a storm have, empty where they differ."""
    codes = {one.code for one in incident.members}
    return codes.pop() if len(codes) == 1 else ""


def screen(delivery: Order) -> str:
    """Return the incident as a few lines of plain text; lists are cut, with the number of what is left out."""
    described = describe(delivery)
    lines = [described["summary"]]
    if described["reason"]:
        lines.append(f"  why now: {printable(described['reason'])}")
    if delivery.event != "resolve":
        lines += advice_lines(described)
    for member in described["members"][:MOST_SHOWN]:
        lines.append(f"  {member_line(member, described['shared_code'])}")
    lines += _more(described["member_count"])
    for finding in [] if described["members"] else described["findings"][:MOST_SHOWN]:
        lines.append(f"  {finding['code']} ({finding['severity']}, {finding['status']}): {finding['detail']}")
        if finding["silenced"]:
            lines.append(f"    {finding['silenced']}")
        if finding["servers"]:
            lines.append(f"    servers: {some_of(finding['servers'])}")
    lines += [] if described["members"] else _more(described["finding_count"])
    for identity in described["identities"][:MOST_SHOWN]:
        where = ", ".join(filter(None, (identity["owner"], identity["environment"], identity["criticality"])))
        lines.append(f"  affects {printable(identity['id'])} ({printable(where)})")
    lines += _more(described["identity_count"])
    controls = [f"{c['control']} ({c['relation']})" for c in described["controls"]]
    if described["explains"]:
        more = described["explains_count"] - MOST_SHOWN
        said = ", ".join(described["explains"][:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"  explains, so that no page was sent for: {said}")
    if controls:
        lines.append(f"  touches {some_of(controls)}")
    lines += [f"  {name}: {url}" for name, url in described["links"].items()]
    return "\n".join(lines)


def advice_lines(described: Mapping[str, Any]) -> list[str]:
    """Return what it means, who must do what, and how to see that it is over, a line each."""
    lines = [f"  for {described['advice_for']}:"] if described["advice_for"] else []
    lines += [f"  it means: {described['means']}"] if described["means"] else []
    lines += [f"  {one['who']}: {one['what']}" for one in described["who_does_what"]]
    return lines + ([f"  it is over: {described['over_when']}"] if described["over_when"] else [])


def member_line(member: Mapping[str, Any], shared_code: str = "") -> str:
    """Return one incident of a storm in a line; what all of them share is said above."""
    what = "" if member["code"] == shared_code else f": {sentence_of(member['code'])} ({member['code']})"
    hit = f"{';' if what else ':'} hits {member['identity']}" if member["identity"] else ""
    hit += f" ({member['criticality']})" if member["identity"] and member["criticality"] else ""
    hit += f" at {member['host']}" if member["host"] else ""
    over = "" if member["open"] else ", over"
    return f"[{member['severity']}{over}] {bare(member['cause'])}{what}{hit}"


def some_of(texts: Sequence[str]) -> str:
    """Return the first of a list, with the number of those left out."""
    more = f" and {len(texts) - MOST_SHOWN} more" if len(texts) > MOST_SHOWN else ""
    return ", ".join(texts[:MOST_SHOWN]) + more


def _more(count: int) -> list[str]:
    return [f"  and {count - MOST_SHOWN} more"] if count > MOST_SHOWN else []

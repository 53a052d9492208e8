"""What an incident says to people: one line, one screen, and one object for machines.

DNS data are hostile input: control characters never reach a terminal or a message.
"""

import re
from typing import Any

from alerts.decision.incidents import Incident
from alerts.decision.order import Order
from schemas.catalogue import sentence_of, source_of
from schemas.cause import owner_of

MAX_IDENTITIES = 50
MAX_FINDINGS = 50
MAX_SERVERS = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def printable(text: str) -> str:
    """Return the text with control and direction characters replaced."""
    return _CONTROL.sub("�", text)


def summarise(incident: Incident, event: str) -> str:
    """Return one line: what, where, who is affected."""
    lead = incident.lead
    owners = sorted({i.owner for i in incident.identities if i.owner})
    count, peak = incident.identity_count, incident.identity_peak
    who = f"{count} {'identity' if count == 1 else 'identities'}"
    if peak > count:
        who += f" now, {peak} at most,"
    if owners:
        who += f" of {', '.join(owners[:3])}" + (f" and {len(owners) - 3} more" if len(owners) > 3 else "")
    sentence = sentence_of(lead.code)
    owner = owner_of(lead.cause_rrset)
    where = f"{owner} ({incident.cause})" if owner and owner != incident.cause else incident.cause
    prefix, affects = "", f"affects {who}"
    if event == "acknowledge" and incident.acknowledged is not None:
        prefix = f"ACKNOWLEDGED by {incident.acknowledged.by} "
    if event == "resolve":
        prefix = "RESOLVED "
        if accepted := incident.accepted_because:
            prefix, affects = "ACCEPTED ", f"{accepted}; affected {who}"
        if incident.ends_unproven:
            prefix, affects = "NO MORE NEWS ", f"closed, not seen to be undone: check that it was meant; affected {who}"
    if (left := incident.left_because) and event != "acknowledge":  # nobody saw it heal
        prefix, affects = "NO LONGER WATCHED ", f"{left}; close it by hand once it is put right; affected {who}"
    return printable(f"{prefix}[{incident.severity}] {where}: {sentence} ({lead.code}); {affects}")


def describe(delivery: Order) -> dict[str, Any]:
    """Return the incident as the object that receivers get; lists are cut, their true lengths are said."""
    incident = delivery.incident
    entries = sorted(incident.entries.values(), key=lambda e: (-e.severity.rank, e.finding.opened_at))
    identities = incident.identities
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


def screen(delivery: Order) -> str:
    """Return the incident as a few lines of plain text."""
    described = describe(delivery)
    lines = [described["summary"]]
    for finding in described["findings"][:5]:
        lines.append(f"  {finding['code']} ({finding['severity']}, {finding['status']}): {finding['detail']}")
        if finding["servers"]:
            lines.append(f"    servers: {', '.join(finding['servers'])}")
    more = described["identity_count"] - 5
    for identity in described["identities"][:5]:
        where = ", ".join(filter(None, (identity["owner"], identity["environment"], identity["criticality"])))
        lines.append(f"  affects {printable(identity['id'])} ({printable(where)})")
    if more > 0:
        lines.append(f"  and {more} more")
    controls = ", ".join(f"{c['control']} ({c['relation']})" for c in described["controls"])
    if described["explains"]:
        lines.append(f"  explains, so that no page was sent for: {', '.join(described['explains'][:5])}")
    if controls:
        lines.append(f"  touches {controls}")
    return "\n".join(lines)

"""A finding as an OCSF event, for a SIEM: Detection Finding (2004), or Compliance Finding (2003) for what is posture.

``finding_info.uid`` is the finding over all of its events; ``metadata.uid`` is the event, the same however often it is
sent; ``metadata.correlation_uid`` is the incident. Instants are milliseconds since 1970. Pure.

Source: OCSF 1.8.0, classes detection_finding and compliance_finding.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from alerts.decision.incidents import Entry
from alerts.decision.order import Order
from alerts.decision.reporting import Standing, report_on
from alerts.delivery.advice import INCIDENT, RUNBOOK, links_of
from alerts.delivery.wording import printable
from alerts.runbooks.library import fill, find_runbook
from schemas.catalogue import Kind, Severity, sentence_of, source_of
from schemas.cause import bare
from schemas.codes import Code
from schemas.messages import Control, Finding, FindingStatus
from schemas.release import VERSION

OCSF_VERSION = "1.8.0"
CATEGORY = (2, "Findings")
DETECTION, COMPLIANCE = (2004, "Detection Finding"), (2003, "Compliance Finding")
POSTURE = frozenset(
    {
        Code.ALGORITHM_DEPRECATED,
        Code.ALGORITHM_SIGNING_INCOMPLETE,
        Code.DS_ORPHAN,
        Code.ENVIRONMENT_MIXED,
        Code.EXPECTATION_MISSED,
        Code.KEY_WEAK,
        Code.KEYTAG_COLLISION,
        Code.NSEC3_ITERATIONS_OVER_LIMIT,
        Code.NSEC3_PARAMS_POOR,
        Code.RESOLVER_NOT_VALIDATING,
        Code.RRSIG_SHORTER_THAN_SOA_EXPIRE,
        Code.RRSIG_TTL_BEYOND_EXPIRY,
    }
)
"""What is no attack and no outage but falls short of a rule: it is held against a control, and passes once it ends."""
ACTIVITIES = {"trigger": (1, "Create"), "update": (2, "Update"), "resolve": (3, "Close")}
SEVERITIES = {
    Severity.INFO: (1, "Informational"),
    Severity.LOW: (2, "Low"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.HIGH: (4, "High"),
    Severity.CRITICAL: (5, "Critical"),
}
STANDINGS = {
    Standing.NEW: (1, "New"),
    Standing.IN_PROGRESS: (2, "In Progress"),
    Standing.SUPPRESSED: (3, "Suppressed"),
    Standing.RESOLVED: (4, "Resolved"),
    Standing.ARCHIVED: (5, "Archived"),
}
HOSTNAME, RESOURCE_UID = (1, "Hostname"), (10, "Resource UID")
MOST_LISTED = 20


def make_event(order: Order) -> dict[str, Any]:
    """Return the event of an order that reports one finding."""
    entry = order.incident.entries[order.finding]
    finding = entry.finding
    class_uid, class_name = COMPLIANCE if finding.code in POSTURE else DETECTION
    activity_id, activity = ACTIVITIES[order.event]
    severity_id, severity = SEVERITIES[entry.severity]
    report = report_on(entry, order.incident)
    status_id, status = STANDINGS[report.standing]
    links = links_of(order)
    event: dict[str, Any] = {
        "category_uid": CATEGORY[0],
        "category_name": CATEGORY[1],
        "class_uid": class_uid,
        "class_name": class_name,
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": class_uid * 100 + activity_id,
        "type_name": f"{class_name}: {activity}",
        "time": _ms(order.decided_at),
        "start_time": _ms(finding.opened_at),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "confidence_id": 3 if finding.confirmed else 1,
        "confidence": "High" if finding.confirmed else "Low",
        "is_alert": entry.is_audible and bool(entry.receivers),
        "message": printable(f"{_where(finding)}: {sentence_of(finding.code)} ({finding.code}); {finding.detail}"),
        "metadata": _metadata(order),
        "finding_info": _finding_info(order, entry),
        "resources": list(_resources(finding)),
        "observables": list(_observables(finding)),
        "evidences": list(_evidences(finding)),
        "unmapped": {
            "incident": order.incident.id,
            "version": finding.version,
            "vantages": list(finding.vantages),
            "servers": [printable(server) for server in finding.servers[:MOST_LISTED]],
            "identity_count": max(finding.identity_count, len(finding.identities)),
            "endpoint_count": max(finding.endpoint_count, len(finding.endpoints)),
            "receivers": list(entry.receivers),
            "compliance": _by_framework(entry.controls),
        },
    }
    if report.detail:
        event["status_detail"] = printable(report.detail)
    if finding.closed_at is not None:
        event["end_time"] = _ms(finding.closed_at)
    if INCIDENT in links:
        event["src_url"] = links[INCIDENT]
    if (remediation := _remediation(finding, links)) is not None:
        event["remediation"] = remediation
    if class_uid == COMPLIANCE[0]:
        event["compliance"] = _compliance(entry)
    elif finding.kind is Kind.DRIFT and finding.before and finding.after:
        event["anomaly_analyses"] = [_anomaly(finding)]
    return event


def _metadata(order: Order) -> dict[str, Any]:
    return {
        "version": OCSF_VERSION,
        "product": {"name": "Anchorwatch", "vendor_name": "Anchorwatch", "version": VERSION},
        "uid": order.id,
        "correlation_uid": order.incident.id,
        "event_code": order.incident.entries[order.finding].finding.code,
        "logged_time": _ms(order.decided_at),
    }


def _finding_info(order: Order, entry: Entry) -> dict[str, Any]:
    finding = entry.finding
    info = {
        "uid": finding.id,
        "title": printable(f"{sentence_of(finding.code)}: {_where(finding)}"),
        "desc": printable(finding.detail) or sentence_of(finding.code),
        "types": [str(finding.kind), finding.code],
        "analytic": {"type_id": 1, "type": "Rule", "uid": finding.code, "name": sentence_of(finding.code)},
        "created_time": _ms(finding.opened_at),
        "first_seen_time": _ms(finding.opened_at),
        "last_seen_time": _ms(finding.updated_at),
        "modified_time": _ms(finding.updated_at),
        "uid_alt": finding.key,
    }
    tags = [{"name": name, "values": controls} for name, controls in _by_framework(entry.controls).items()]
    tags += [{"name": "source", "value": source_of(finding.code)}] if source_of(finding.code) else []
    url = links_of(order).get(INCIDENT, "")
    return info | ({"tags": tags} if tags else {}) | ({"src_url": url} if url else {})


def _by_framework(controls: Iterable[Control]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in controls:
        found.setdefault(one.framework, []).append(one.control)
    return found


def _where(finding: Finding) -> str:
    return finding.cause_rrset or finding.cause_zone or finding.code


def _resources(finding: Finding) -> Iterable[dict[str, Any]]:
    if finding.cause_zone:
        yield {"name": printable(finding.cause_zone), "type": "DNS zone", "role_id": 1, "role": "Target"}
    for one in finding.identities[:MOST_LISTED]:
        resource: dict[str, Any] = {
            "uid": printable(one.id),
            "name": printable(one.id),
            "type": one.kind or "identity",
            "criticality": one.criticality,
            "role_id": 3,
            "role": "Affected",
        }
        if one.owner:
            resource["owner"] = {"name": printable(one.owner)}
        if one.environment:
            resource["namespace"] = printable(one.environment)
        yield resource


def _observables(finding: Finding) -> Iterable[dict[str, Any]]:
    hosts = dict.fromkeys(one.partition(" ")[0] for one in finding.endpoints[:MOST_LISTED])
    for host in hosts:
        yield _observable("evidences[].query.hostname", HOSTNAME, host)
    for one in finding.identities[:MOST_LISTED]:
        yield _observable("resources[].uid", RESOURCE_UID, one.id)


def _observable(name: str, kind: tuple[int, str], value: str) -> dict[str, Any]:
    return {"name": name, "type_id": kind[0], "type": kind[1], "value": printable(value)}


def _evidences(finding: Finding) -> Iterable[dict[str, Any]]:
    data = {
        name: printable(text)
        for name, text in (("before", finding.before), ("after", finding.after), ("digest", finding.evidence))
        if text
    }
    for endpoint in finding.endpoints[:MOST_LISTED]:
        host, _, kind = endpoint.partition(" ")
        query = {"hostname": printable(host), "type": kind or "A", "class": "IN"}
        yield {"query": query, **({"data": data} if data else {})}
    if data and not finding.endpoints:
        yield {"data": data}


def _anomaly(finding: Finding) -> dict[str, Any]:
    def observed(text: str) -> list[dict[str, Any]]:
        return [{"observation_parameter": finding.code, "observations": [{"value": printable(text)}]}]

    return {
        "analysis_targets": [{"name": printable(_where(finding)), "type": "DNS"}],
        "baselines": observed(finding.before),
        "anomalies": observed(finding.after),
    }


def _remediation(finding: Finding, links: dict[str, str]) -> dict[str, Any] | None:
    """Return who must do what, None for a code that has no runbook."""
    runbook = find_runbook(finding.code)
    if runbook is None:
        return None
    host = next((one.partition(" ")[0].rstrip(".") for one in finding.endpoints), "")
    steps = [f"{who}: {fill(what, bare(finding.cause_zone), host)}" for who, what in runbook.who]
    desc = {"desc": printable(" ".join(steps)) or sentence_of(finding.code)}
    return desc | ({"references": [links[RUNBOOK]]} if RUNBOOK in links else {})


def _compliance(entry: Entry) -> dict[str, Any]:
    """Return what the finding says of controls: failed while it lasts, passed once good polls ended it."""
    finding, frameworks = entry.finding, _by_framework(entry.controls)
    status_id, status = 3, "Fail"
    if finding.status is FindingStatus.CLOSED:
        status_id, status = (0, "Unknown") if finding.closed_because else (1, "Pass")
    controls = [f"{name} {control}" for name, some in frameworks.items() for control in some]
    check = {
        "uid": finding.code,
        "name": sentence_of(finding.code),
        "status_id": status_id,
        "status": status,
        "severity_id": SEVERITIES[entry.severity][0],
        "severity": SEVERITIES[entry.severity][1],
    }
    found: dict[str, Any] = {
        "control": controls[0] if controls else source_of(finding.code) or finding.code,
        "status_id": status_id,
        "status": status,
        "status_details": [printable(finding.closed_because or finding.detail) or sentence_of(finding.code)],
        "checks": [check],
        "standards": list(frameworks) or [source_of(finding.code) or "DNSSEC"],
    }
    return found | ({"requirements": controls} if controls else {})


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)

"""A report as OSCAL assessment results: what was observed, and which controls it speaks against. Pure.

An incident is an observation, with an id of its own over all reports; a control that incidents are evidence against, or
touch directly, is a finding that is not satisfied. A control that nothing touched is among those reviewed and no
finding: that nothing was found is no proof that it is met. There is no assessment plan: it is imported from a resource
of the document that says so. Source: NIST, OSCAL 1.2.3, assessment results model.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID, uuid5

from alerts.delivery.wording import printable
from anchorwatch.assessment.assess import ControlRow, Covered, Report, Touched
from schemas.release import VERSION

OSCAL_VERSION = "1.2.3"
SPACE = UUID("6f4ed8a1-5d0b-5f0e-9c0b-0b4c1f6f3a57")
"""In which the ids of our documents are named."""
NAMESPACE = "urn:anchorwatch:oscal"
SPEAKS_AGAINST = ("evidence", "direct")
"""The relations of an incident to a control by which it is a finding; others only explain."""
_NO_TOKEN = re.compile(r"[^0-9A-Za-z._-]+")
Json = dict[str, Any]


def make_results(report: Report, base: str = "") -> Json:
    """Return the document; ``base`` is the URL of the instance, for links to incidents."""
    incidents = {one.incident: one for row in report.controls for one in row.incidents}
    touched = [row for row in report.controls if any(one.relation in SPEAKS_AGAINST for one in row.incidents)]
    plan = _id("plan", report.framework)
    result: Json = {
        "uuid": _id("result", report.framework, report.since, report.until),
        "title": f"{report.framework}, {report.since[:10]} to {report.until[:10]}",
        "description": _summary(report),
        "start": report.since,
        "end": report.until,
        "props": [_prop(f"identities-{verdict}", str(count)) for verdict, count in report.verdicts.items()],
        "local-definitions": _definitions(report),
        "reviewed-controls": _reviewed(report.controls),
    }
    if incidents:
        listed = {one.id for one in report.identities}
        result["observations"] = [_observation(one, listed, base) for one in incidents.values()]
    if touched:
        result["findings"] = [_finding(row, report) for row in touched]
    return {
        "assessment-results": {
            "uuid": _id("results", report.framework, report.since, report.until),
            "metadata": {
                "title": f"Integrity of the DNS names that machine identities trust: {report.framework}",
                "last-modified": report.until,
                "version": report.until[:10],
                "oscal-version": OSCAL_VERSION,
            },
            "import-ap": {"href": f"#{plan}"},
            "results": [result],
            "back-matter": {
                "resources": [
                    {
                        "uuid": plan,
                        "title": "Continuous monitoring without an assessment plan",
                        "description": "The names of the inventory are polled and validated all the time; what is "
                        "mapped to controls is in the framework mapping of this product.",
                    }
                ]
            },
        }
    }


def token_of(control: str) -> str:
    """Return a control's name as an OSCAL token; those of SP 800-53 are as its catalogue has them, in lower case."""
    match = re.fullmatch(r"([A-Z]{2})-(\d+)(?:\((\d+)\))?", control)
    if match is not None:
        return f"{match[1].lower()}-{match[2]}" + (f".{match[3]}" if match[3] else "")
    token = _NO_TOKEN.sub("-", control).strip("-")
    return token if token[:1].isalpha() else f"_{token}"


def _summary(report: Report) -> str:
    times = report.response
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.verdicts.items() if count)
    return (
        f"Identities by the weakest name that they rest on: {counts or 'none'}. "
        f"{times.incidents} incidents, {times.told} paged, {times.acknowledged} acknowledged, {times.ended} ended, "
        f"{times.open} open. {len(report.silences)} silences, {len(report.accepted)} changes accepted."
    )


def _definitions(report: Report) -> Json:
    found: Json = {
        "components": [
            {
                "uuid": _tool(),
                "type": "software",
                "title": "Anchorwatch",
                "description": "Polls and validates the names, and decides who is paged.",
                "props": [_prop("version", VERSION)],
                "status": {"state": "operational"},
            }
        ]
    }
    if report.identities:
        found["inventory-items"] = [_item(one) for one in report.identities]
    return found


def _item(identity: Covered) -> Json:
    props = {
        "owner": identity.owner,
        "environment": identity.environment,
        "criticality": identity.criticality,
        "weakest-verdict": identity.verdict,
        "endpoints": str(identity.endpoints),
    }
    return {
        "uuid": _identity(identity.id),
        "description": _line(identity.id),
        "props": [_prop(name, value) for name, value in props.items() if _line(value)],
    }


def _reviewed(controls: Iterable[ControlRow]) -> Json:
    tokens = dict.fromkeys(token_of(row.control) for row in controls)
    selection: Json = (
        {"include-controls": [{"control-id": token} for token in tokens]} if tokens else {"include-all": {}}
    )
    return {
        "control-selections": [selection],
        "remarks": "A control without a finding was touched by no incident; that is no proof that it is met.",
    }


def _observation(incident: Touched, listed: Collection[str], base: str) -> Json:
    ended = {"ended-at": incident.ended_at} if incident.ended_at else {}
    props = {"incident": incident.incident, "severity": incident.severity, "state": incident.state, **ended}
    people = [one for one in incident.identities if one in listed]
    found: Json = {
        "uuid": _id("incident", incident.incident),
        "title": _line(f"{incident.cause}: {', '.join(incident.codes)}"),
        "description": _line(incident.summary),
        "props": [_prop(name, value) for name, value in props.items()],
        "methods": ["TEST"],
        "types": ["finding"],
        "origins": [{"actors": [{"type": "tool", "actor-uuid": _tool()}]}],
        "collected": incident.opened_at,
    }
    if people:
        found["subjects"] = [{"subject-uuid": _identity(one), "type": "inventory-item"} for one in people]
    if base:
        href = f"{base}/incidents/{incident.incident}"
        found["relevant-evidence"] = [{"href": href, "description": "The incident with its timeline and evidence."}]
    return found


def _finding(row: ControlRow, report: Report) -> Json:
    against = [one for one in row.incidents if one.relation in SPEAKS_AGAINST]
    still = sum(not one.ended_at for one in against)
    over = "" if still else " All of them are over."
    return {
        "uuid": _id("finding", report.framework, row.control, report.since, report.until),
        "title": _line(f"{report.framework} {row.control}"),
        "description": _line(row.why),
        "props": [_prop("control", row.control), _prop("citation", row.citation)],
        "target": {
            "type": "objective-id",
            "target-id": token_of(row.control),
            "status": {
                "state": "not-satisfied",
                "reason": "fail",
                "remarks": f"{len(against)} incidents speak against it, {still} are open.{over}",
            },
        },
        "related-observations": [{"observation-uuid": _id("incident", one.incident)} for one in row.incidents],
    }


def _prop(name: str, value: str) -> Json:
    return {"name": name, "ns": NAMESPACE, "value": _line(value) or "-"}


def _line(text: str) -> str:
    """Return a text as OSCAL's strings are: one line, no space at its ends."""
    return " ".join(printable(text).split())


def _tool() -> str:
    return _id("tool", "anchorwatch")


def _identity(name: str) -> str:
    return _id("identity", name)


def _id(*names: str) -> str:
    """Return an id that is the same whenever the same is named (RFC 9562 §5.5)."""
    return str(uuid5(SPACE, "\x1f".join(names)))

"""What a run comes to: a table of times for people, an object for machines. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from alerts.delivery.wording import printable, summarise
from anchorwatch.replay.judging import Outcome
from anchorwatch.replay.record import Record
from anchorwatch.replay.scenario import Scenario
from anchorwatch.replay.times import show_span
from schemas.messages import Finding

MOST_LINES = 400


def passed(outcomes: Iterable[Outcome]) -> bool:
    """Return whether all expectations were met."""
    return all(outcome.met for outcome in outcomes)


def table(scenario: Scenario, record: Record, outcomes: Sequence[Outcome], *, every_line: bool = False) -> str:
    """Return what happened when, then each expectation, then the verdict."""
    lines = [f"{scenario.name}: {scenario.title}" if scenario.title else scenario.name]
    rows = _rows(record)
    shown = rows if every_line or len(rows) <= MOST_LINES else [*rows[: MOST_LINES // 2], *rows[-MOST_LINES // 2 :]]
    lines += [f"  {show_span(at):>14}  {kind:<8} {printable(text)}" for at, kind, text in shown]
    if len(shown) < len(rows):
        lines.append(f"  {len(rows) - len(shown)} lines in the middle are left out")
    for outcome in outcomes:
        mark = "met   " if outcome.met else "FAILED"
        lines.append(f"  {mark} line {outcome.line}: {printable(outcome.text)}")
        if outcome.why:
            lines.append(f"         {printable(outcome.why)}")
    failed = sum(not outcome.met for outcome in outcomes)
    verdict = "passed" if not failed else f"FAILED, {failed} of {len(outcomes)} expectations"
    lines.append(f"{scenario.name}: {verdict} ({record.polls} polls, {len(record.restarts)} restarts)")
    return "\n".join(lines)


def _rows(record: Record) -> list[tuple[float, str, str]]:
    rows = [(one.at, "step", one.text) for one in record.happened]
    rows += [(at, "restart", "the monitor is killed and started again") for at in record.restarts]
    for story in record.findings.values():
        rows += [(at, "finding", _finding_line(finding)) for at, finding in story.versions]
    for receiver, arrived in record.arrived.items():
        rows += [(at, "page", f"{receiver}: {summarise(one.incident, one.event)}") for at, one in arrived]
    return sorted(rows, key=lambda row: row[0])


def _finding_line(finding: Finding) -> str:
    where = " ".join(filter(None, (finding.cause_zone, finding.cause_rrset))) or "ourselves"
    sure = "" if finding.confirmed else ", unconfirmed"
    return f"{finding.status}{sure} {finding.code} ({finding.severity}) at {where}: {finding.detail}"


def as_object(scenario: Scenario, record: Record, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the same for machines."""
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "passed": passed(outcomes),
        "polls": record.polls,
        "restarts": record.restarts,
        "steps": [{"at_s": one.at, "text": one.text} for one in record.happened],
        "findings": [
            {
                "id": finding.id,
                "version": finding.version,
                "at_s": at,
                "status": str(finding.status),
                "confirmed": finding.confirmed,
                "code": finding.code,
                "severity": str(finding.severity),
                "cause_zone": finding.cause_zone,
                "cause_rrset": finding.cause_rrset,
                "detail": finding.detail,
                "evidence": finding.evidence,
            }
            for story in record.findings.values()
            for at, finding in story.versions
        ],
        "notifications": [
            {
                "id": one.id,
                "at_s": at,
                "receiver": receiver,
                "event": one.event,
                "severity": str(one.incident.severity),
                "cause": one.incident.cause,
                "incident": one.incident.id,
                "reason": one.reason,
                "summary": summarise(one.incident, one.event),
            }
            for receiver, arrived in record.arrived.items()
            for at, one in arrived
        ],
        "expectations": [
            {"line": one.line, "expected": one.text, "met": one.met, "found": one.why} for one in outcomes
        ],
    }

"""A page that is a test: due on a schedule, sent as any other, over by itself. Pure.

It is a finding of ours that opens and closes, so that it travels through rules, routes, waiting, escalation and the
outbox as every page does. Its id is made of its instant: it is sent once, whoever is active, however often that begins.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from alerts.config import DrillPlan
from alerts.decision.incidents import Incident
from alerts.decision.timekeeping import Moment
from schemas.catalogue import Kind
from schemas.codes import Code
from schemas.messages import Finding, FindingStatus, Notification, NotificationStatus
from schemas.wire import digest_of

DRILL_CODE = Code.SELF_TEST_PAGE
CAUSE = "test page"
DETAIL = "TEST: somebody asked for this page every week; acknowledge it if you got it"


def drill_due(plan: DrillPlan, at: Moment) -> Finding | None:
    """Return the test page whose turn it is, whether or not it was sent already; None between its turns."""
    due_at = plan.schedule.due_at(at.wall)
    if due_at is None:
        return None
    key = digest_of(DRILL_CODE, CAUSE)[:32]
    return Finding(
        id=digest_of(key, due_at.isoformat())[:32],
        key=key,
        version=1,
        status=FindingStatus.OPENED,
        code=DRILL_CODE,
        kind=Kind.STATE,
        severity=plan.severity,
        confirmed=True,
        cause_zone="",
        cause_rrset=CAUSE,
        detail=DETAIL,
        opened_at=at.wall,
        updated_at=at.wall,
    )


def drills_over(incidents: Iterable[Incident], lasts: timedelta, at: Moment) -> list[tuple[Incident, Finding]]:
    """Return the test pages whose time is over, with the end of each.

    By either clock: one that is set back must not leave a test open.
    """
    return [
        (incident, _closed(entry.finding, at.wall))
        for incident in incidents
        for entry in incident.entries.values()
        if entry.finding.code == DRILL_CODE and entry.is_open and _is_over(entry.finding, lasts, at)
    ]


def _is_over(finding: Finding, lasts: timedelta, at: Moment) -> bool:
    return max(at.wall, at.steady) - finding.opened_at >= lasts


def _closed(finding: Finding, at: datetime) -> Finding:
    return msgspec.structs.replace(
        finding,
        version=finding.version + 1,
        status=FindingStatus.CLOSED,
        updated_at=at,
        closed_at=at,
    )


def arrived_at(incident: Incident, notifications: Iterable[Notification]) -> datetime | None:
    """Return when a test page had arrived at every receiver that it went to; None where it did not, or went nowhere."""
    sent: dict[str, datetime] = {}
    for one in notifications:
        if one.status is NotificationStatus.SENT and one.event == "trigger":
            sent.setdefault(one.receiver, one.at)
    if not incident.notified or not sent.keys() >= incident.notified.keys():
        return None
    return max(sent[name] for name in incident.notified)

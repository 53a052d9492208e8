"""The JSON of what the API puts together, for its description; what is a message is described by its type.

A test holds each of these against what is really answered.
"""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from anchorwatch.web.chains import ZoneView
from schemas.catalogue import Severity
from schemas.judgement import Verdict
from schemas.messages import Affected, Control


class Acknowledged(TypedDict):
    """Who has an incident."""

    by: str
    at: datetime
    why: str


class FindingBrief(TypedDict):
    """A finding of an incident, with the severity that the rules gave it."""

    id: str
    code: str
    severity: Severity
    status: str


class IncidentBrief(TypedDict):
    """An incident in a list; ``notified`` has the severity that each receiver was notified of."""

    id: str
    cause: str
    severity: Severity
    summary: str
    open: bool
    state: str
    acknowledged: Acknowledged | None
    first_acknowledged_at: datetime | None
    reopened_because: str
    opened_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    notified: dict[str, Severity]
    withheld: str
    silenced: list[str]
    findings: list[FindingBrief]
    identities: list[Affected]
    identity_count: int
    controls: list[Control]


class FindingDetail(FindingBrief):
    """A finding of an incident with what it says, and who is told."""

    detail: str
    before: str
    after: str
    evidence: str
    receivers: list[str]
    silenced: str


class TimelineRow(TypedDict):
    """Something that happened to an incident."""

    at: datetime
    what: str
    by: str
    text: str


class EarlierIncident(TypedDict):
    """An earlier incident on the same cause."""

    id: str
    opened_at: datetime
    ended_at: datetime | None
    summary: str


class IncidentWhole(IncidentBrief):
    """An incident with all that is known of it."""

    has_changes: bool
    details: list[FindingDetail]
    timeline: list[TimelineRow]
    earlier: list[EarlierIncident]


class Withheld(TypedDict):
    """An incident that is withheld."""

    id: str
    summary: str


class SilenceView(TypedDict):
    """A silence, or a maintenance window that recurs, with the open incidents that it withholds now."""

    id: str
    state: str
    matchers: list[str]
    begins_at: datetime
    ends_at: datetime
    by: str
    why: str
    made_at: datetime | None
    source: str
    expired_by: str
    recurs: bool
    withholds: list[Withheld]


class Muted(TypedDict):
    """An incident that matchers concern; ``silenced`` where they would mute it whole."""

    id: str
    silenced: bool
    summary: str


class Matching(TypedDict):
    """What a silence would mute, of so many ``open`` incidents; ``broad`` matchers match nearly everything."""

    open: int
    broad: bool
    incidents: list[Muted]


class ChangeView(TypedDict):
    """A declared change."""

    id: str
    subject: str
    what: list[str]
    answers: list[str]
    begins_at: datetime
    ends_at: datetime
    state: str
    by: str
    why: str
    declared_at: datetime
    source: str
    ended_at: datetime | None
    ended_by: str


Gap = TypedDict("Gap", {"from": datetime, "to": datetime})
"""A time in which nothing was observed."""


class Interval(TypedDict):
    """A name as it was for a while; ``chain`` where one instant was asked for."""

    name: str
    type: str
    vantage: str
    observation: str
    verdict: Verdict
    cause_zone: str
    reasons: list[str]
    answers: list[str]
    evidence: str
    first_seen_at: datetime
    last_seen_at: datetime
    signed_until: datetime | None
    chain: NotRequired[list[ZoneView]]


Document = dict[str, Any]
"""The description itself."""

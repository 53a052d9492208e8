"""What the alerts stage needs to know; the shell fills it from the configuration and the rule files."""

from pathlib import Path

import msgspec

from alerts.decision.matchers import Matcher
from alerts.decision.schedule import Recurring, Weekly
from alerts.decision.silences import Maintenance
from alerts.receivers.receiver import Receiver
from schemas.catalogue import Severity
from schemas.messages import Control, Criticality


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which findings are meant: each field given must fit, any of its values will do; an empty match fits all.

    ``criticality``, ``environment`` and ``owner`` fit when any identity affected has the value; ``zone`` are patterns
    with ``*``, matched against the cause zone.
    """

    code: tuple[str, ...] = ()
    severity: tuple[Severity, ...] = ()
    criticality: tuple[Criticality, ...] = ()
    environment: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()


class RuleEffect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule sets."""

    severity: Severity | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule: all are tried in order, each sees what the earlier ones set, and ``stop`` ends the row."""

    name: str
    match: Match = Match()
    set: RuleEffect = RuleEffect()
    receiver: str = ""
    stop: bool = False


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """How long pages wait for what belongs to them, in seconds.

    group_wait_s: the first page of an incident, from when it is due; group_wait_critical_s: while that is critical.
    group_interval_s: what is new in an incident, from the last page on; what makes it worse waits for nothing.
    storm: so many incidents of one code, or below one parent, within a minute are one page; 0: never.
    """

    group_wait_s: float = 30.0
    group_wait_critical_s: float = 10.0
    group_interval_s: float = 300.0
    storm: int = 5


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Business hours by their name: all windows in which somebody is there."""

    name: str
    windows: tuple[Weekly, ...]


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told if nobody acknowledged an incident so many seconds after its first page."""

    after_s: float
    receiver: str


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where findings go that fit ``match`` and ``matchers``, unless one of ``routes`` below takes them.

    Below a route the first that fits takes a finding, further ones only after one that ``continues``; what is not said
    is as the route above says it, but ``hours``. ``owners`` maps owners to receivers: each owner affected is told
    through its own, and ``receiver`` is told of those that have none. None, and an empty text: as above.
    """

    match: Match = Match()
    matchers: tuple[Matcher, ...] = ()
    receiver: str = ""
    owners: dict[str, str] = {}
    continues: bool = False
    group_by: tuple[str, ...] | None = None
    group_wait_s: float | None = None
    group_interval_s: float | None = None
    repeat_s: float | None = None
    hours: Hours | None = None
    escalate: tuple[Escalation, ...] | None = None
    routes: tuple["Route", ...] = ()


class ControlMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which controls codes touch; ``purpose`` limits it to endpoints whose purpose has one of the words in it."""

    codes: tuple[str, ...]
    purpose: tuple[str, ...] = ()
    controls: tuple[Control, ...]


class DigestPlan(msgspec.Struct, frozen=True, kw_only=True):
    """When owners are told what they must know of their identities, over the ``period_s`` before.

    ``owners`` maps owners to receivers; the others are told through ``receiver``, nobody where that is empty.
    """

    schedule: Recurring
    period_s: float = 7 * 86_400.0
    receiver: str = ""
    owners: dict[str, str] = {}


class DrillPlan(msgspec.Struct, frozen=True, kw_only=True):
    """When a page that says that it is a test is sent, how severe, and for how long it is open.

    It goes by the rules and routes, or to ``receivers`` where some are named.
    """

    schedule: Recurring
    severity: Severity = Severity.CRITICAL
    receivers: tuple[str, ...] = ()
    lasts_s: float = 600.0


class AlertsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of the alerts stage.

    routes: every one of them that fits takes a finding; ``route`` is a tree instead, of which the first does.
    repeat_s: an incident that stays open is said again after this long.
    drift_hold_s: an incident that only drift holds open ends after this long.
    join_s: findings on one cause within this time are one incident.
    acknowledged_for_s: an acknowledgement holds this long; then the incident is nobody's again.
    public_url: where people reach our pages, without a slash at its end; for the links in messages.
    maintenance: silences that come again on a schedule.
    digests, drill: what is sent on a schedule, None for never.
    max_attempts: deliveries are tried this often before they are reported as failed; what may still arrive is tried on.
    """

    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]
    receivers: tuple[Receiver, ...]
    mappings: tuple[ControlMapping, ...]
    ledger: Path
    repeat_s: float = 4 * 3600
    drift_hold_s: float = 24 * 3600
    join_s: float = 900
    acknowledged_for_s: float = 24 * 3600
    maintenance: tuple[Maintenance, ...] = ()
    route: Route | None = None
    pacing: Pacing = Pacing()
    public_url: str = ""
    digests: DigestPlan | None = None
    drill: DrillPlan | None = None
    max_attempts: int = 8

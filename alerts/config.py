"""What the alerts stage needs to know; the shell fills it from the configuration and the rule files."""

from pathlib import Path

import msgspec

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


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where findings go that no rule named a receiver for: every route that fits."""

    match: Match = Match()
    receiver: str


class ControlMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which controls codes touch; ``purpose`` limits it to endpoints whose purpose has one of the words in it."""

    codes: tuple[str, ...]
    purpose: tuple[str, ...] = ()
    controls: tuple[Control, ...]


class AlertsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of the alerts stage.

    repeat_s: an incident that stays open is said again after this long.
    drift_hold_s: an incident that only drift holds open ends after this long.
    join_s: findings on one cause within this time are one incident.
    acknowledged_for_s: an acknowledgement holds this long; then the incident is nobody's again.
    maintenance: silences that come again on a schedule.
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
    max_attempts: int = 8

"""Which rules fit a finding, and what they make of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from alerts.config import Match, Rule
from schemas.catalogue import Severity
from schemas.messages import Finding


@dataclass(frozen=True, slots=True)
class Assessment:
    """What rules and routes make of a finding: its severity and its receivers.

    ``paths`` name the route by which a receiver gets it, ``routes[0].routes[1]``; none where a rule named the receiver.
    """

    severity: Severity
    receivers: tuple[str, ...]
    paths: dict[str, str] = field(default_factory=dict)


def match_finding(match: Match, finding: Finding, severity: Severity) -> bool:
    """Return whether a finding, its severity being what earlier rules made it, is meant."""
    identities = finding.identities
    return (
        (not match.code or finding.code in match.code)
        and (not match.severity or severity in match.severity)
        and (not match.criticality or any(i.criticality in match.criticality for i in identities))
        and (not match.environment or any(i.environment in match.environment for i in identities))
        and (not match.owner or any(i.owner in match.owner for i in identities))
        and (not match.zone or any(fnmatchcase(finding.cause_zone, _absolute(pattern)) for pattern in match.zone))
    )


def _absolute(pattern: str) -> str:
    return pattern.lower() if pattern.endswith((".", "*")) else pattern.lower() + "."


def apply_rules(finding: Finding, rules: Sequence[Rule]) -> Assessment:
    """Run a finding through the rules in order; the receivers are those that rules named."""
    severity = finding.severity
    receivers: list[str] = []
    for rule in rules:
        if not match_finding(rule.match, finding, severity):
            continue
        severity = rule.set.severity or severity
        if rule.receiver:
            receivers.append(rule.receiver)
        if rule.stop:
            break
    return Assessment(severity, tuple(dict.fromkeys(receivers)))

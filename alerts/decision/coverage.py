"""Receivers that would be notified of nothing, and findings of which nobody would be. Pure."""

from collections.abc import Iterator

from alerts.config import AlertsConfig, Match
from schemas.catalogue import Severity

SEVERE = (Severity.CRITICAL, Severity.HIGH)


def find_gaps(config: AlertsConfig) -> list[str]:
    """Return a sentence for each gap between findings and people, empty if there is none."""
    if not config.receivers:
        return ["receivers: there is none, so nobody is notified of any finding"]
    return [*_idle_receivers(config), *_unheard_severities(config)]


def _idle_receivers(config: AlertsConfig) -> Iterator[str]:
    named = {route.receiver for route in config.routes} | {rule.receiver for rule in config.rules}
    for receiver in config.receivers:
        if receiver.name not in named:
            yield (
                f"receivers: no route and no rule names {receiver.name!r}, so it is notified of nothing but that"
                " another receiver can't be reached"
            )


def _unheard_severities(config: AlertsConfig) -> Iterator[str]:
    ways = [route.match for route in config.routes] + [rule.match for rule in config.rules if rule.receiver]
    for severity in SEVERE:
        fitting = [match for match in ways if not match.severity or severity in match.severity]
        if not fitting:
            yield f"routes: none takes findings of severity {severity}, so nobody is notified of them"
        elif all(map(_is_narrow, fitting)):
            yield (
                f"routes: those for severity {severity} take only some codes, zones, owners, environments or"
                " criticalities, so nobody is notified of the others"
            )


def _is_narrow(match: Match) -> bool:
    """Return whether findings of one severity may or may not fit."""
    return bool(match.code or match.zone or match.owner or match.environment or match.criticality)

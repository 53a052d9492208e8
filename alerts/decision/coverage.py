"""Receivers that would be notified of nothing, and findings of which nobody would be. Pure."""

from collections.abc import Iterator

from alerts.config import AlertsConfig, Match, Route
from alerts.decision.matchers import Matcher, MatcherSet
from schemas.catalogue import Severity

SEVERE = (Severity.CRITICAL, Severity.HIGH)


def find_gaps(config: AlertsConfig) -> list[str]:
    """Return a sentence for each gap between findings and people, empty if there is none."""
    if not config.receivers:
        return ["receivers: there is none, so nobody is notified of any finding"]
    if all(receiver.takes_findings for receiver in config.receivers):
        return ["receivers: all of them take findings as events, so nobody is notified of any finding"]
    return [*_idle_receivers(config), *_unheard_severities(config), *_no_escalation(config)]


def _idle_receivers(config: AlertsConfig) -> Iterator[str]:
    named = {rule.receiver for rule in config.rules}
    for _, route in all_routes(config):
        named |= {route.receiver, *route.owners.values(), *(one.receiver for one in route.escalate or ())}
    for receiver in config.receivers:
        if receiver.name not in named and not receiver.takes_findings:
            yield (
                f"receivers: no route and no rule names {receiver.name!r}, so it is notified of nothing but that"
                " another receiver can't be reached"
            )


def all_routes(config: AlertsConfig) -> Iterator[tuple[str, Route]]:
    """Yield every route with its path, in the order of the configuration."""
    roots = [(f"routes[{number}]", route) for number, route in enumerate(config.routes)]
    for path, route in [*roots, *([("route", config.route)] if config.route is not None else [])]:
        yield from _below(path, route)


def _below(path: str, route: Route) -> Iterator[tuple[str, Route]]:
    yield path, route
    for number, one in enumerate(route.routes):
        yield from _below(f"{path}.routes[{number}]", one)


def _unheard_severities(config: AlertsConfig) -> Iterator[str]:
    rules = [rule.match for rule in config.rules if rule.receiver]
    roots = [*config.routes, *([config.route] if config.route is not None else [])]
    for severity in SEVERE:
        fitting = [match for match in rules if _may_take(match, severity)]
        ways = [route for root in roots for _, route in _below("", root) if _may_take(route.match, severity)]
        if not fitting and not ways:
            yield f"routes: none takes findings of severity {severity}, so nobody is notified of them"
        elif all(map(_is_narrow, fitting)) and not any(_takes_all(root, severity, "") for root in roots):
            yield (
                f"routes: those for severity {severity} take only some codes, zones, owners, environments or"
                " criticalities, or only in business hours, so nobody is notified of the others"
            )


def _may_take(match: Match, severity: Severity) -> bool:
    return not match.severity or severity in match.severity


def _takes_all(route: Route, severity: Severity, above: str) -> bool:
    """Return whether every finding of a severity that comes to a route is told to somebody, at any hour.

    ``above`` is the receiver that it inherits. What a route below takes away is told by that, or is a gap.
    """
    receiver = route.receiver or above
    if not _may_take(route.match, severity) or _is_narrow(route.match) or route.hours is not None:
        return False
    if not all(_is_of_severity(one) for one in route.matchers):
        return False
    if any(matcher.label == "severity" for matcher in route.matchers) and not _severity_fits(route, severity):
        return False
    below = [one for one in route.routes if _may_take(one.match, severity) and _severity_fits(one, severity)]
    return bool(receiver) and all(_is_told(one, severity, receiver) for one in below)


def _is_told(route: Route, severity: Severity, above: str) -> bool:
    """Return whether what a route takes away from the one above is told at any hour."""
    receiver = route.receiver or above
    return bool(receiver) and route.hours is None and all(_is_told(one, severity, receiver) for one in route.routes)


def _severity_fits(route: Route, severity: Severity) -> bool:
    matchers = [matcher for matcher in route.matchers if matcher.label == "severity"]
    return all(MatcherSet([matcher]).fits("severity", severity) for matcher in matchers)


def _is_of_severity(matcher: Matcher) -> bool:
    return matcher.label == "severity"


def _is_narrow(match: Match) -> bool:
    """Return whether findings of one severity may or may not fit."""
    return bool(match.code or match.zone or match.owner or match.environment or match.criticality)


def _no_escalation(config: AlertsConfig) -> Iterator[str]:
    """Yield routes whose receiver's acknowledgements never reach us: to escalate them would be a false alarm."""
    deaf = {receiver.name for receiver in config.receivers if not receiver.hears_acknowledgements}
    for path, route in all_routes(config):
        if route.escalate and route.receiver in deaf:
            yield (
                f"{path}.escalate: acknowledgements at receiver {route.receiver!r} don't reach us, so nothing is"
                " escalated from there"
            )

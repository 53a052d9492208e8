"""Which receivers a finding goes to, by which route, and how insistently: Alertmanager's tree. Pure.

A finding enters at the root and goes down: of the routes below one the first that fits takes it, further ones only
after one that continues; where none below fits the route itself does. The list ``routes`` of the configuration has no
root: every route in it that fits takes a finding.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.config import AlertsConfig, Escalation, Hours, Pacing, Route, Rule
from alerts.decision.matchers import MatcherSet
from alerts.decision.rules import Assessment, apply_rules, match_finding
from schemas.catalogue import Severity
from schemas.messages import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a receiver is told by one route; ``group_by`` are labels, empty: by cause."""

    path: str = ""
    group_by: tuple[str, ...] = ()
    wait: timedelta = timedelta()
    wait_critical: timedelta = timedelta()
    interval: timedelta = timedelta()
    repeat: timedelta = timedelta()
    hours: Hours | None = None
    escalate: tuple[Escalation, ...] = ()

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when its business hours begin, None while they are on, and where it has none."""
        if self.hours is None or any(window.window_at(now) is not None for window in self.hours.windows):
            return None
        return min(_begin_after(self.hours, now))

    def closes_or_opens_at(self, now: datetime) -> datetime | None:
        """Return when its business hours begin or end next, None where it has none."""
        if self.hours is None:
            return None
        return min(window.next_change_at(now) for window in self.hours.windows)


def _begin_after(hours: Hours, now: datetime) -> Iterator[datetime]:
    """Yield for each window when it begins next; now is in none of them, so that the next change is a beginning."""
    for window in hours.windows:
        yield window.next_change_at(now)


@dataclass(frozen=True, slots=True)
class Step:
    """One route that a finding was held against: whether it fits, and if not why not, in words."""

    path: str
    depth: int
    fits: bool
    why: str
    receivers: tuple[str, ...] = ()


@dataclass(slots=True)
class _Node:
    """A route with what it inherits, its matchers compiled."""

    route: Route
    way: Way
    receiver: str
    matchers: list[MatcherSet]
    below: list["_Node"]
    continues: bool


class Routing:
    """State: none; the routes compiled. ``unheard`` are receivers whose acknowledgements never reach us."""

    def __init__(self, config: AlertsConfig, unheard: Iterable[str] = ()) -> None:
        self._rules: Sequence[Rule] = config.rules
        self._unheard = frozenset(unheard)
        self.default = _default_way(config.pacing, config.repeat_s)
        flat = [self._node(one, f"routes[{n}]", self.default, "", True) for n, one in enumerate(config.routes)]
        tree = [self._node(config.route, "route", self.default, "", False)] if config.route is not None else []
        self._roots = flat + tree
        self._ways = {node.way.path: node.way for root in self._roots for node in _all_below(root)}

    def _node(self, route: Route, path: str, above: Way, receiver: str, continues: bool) -> _Node:
        escalate = above.escalate if route.escalate is None else route.escalate
        name = route.receiver or receiver
        way = replace(
            above,
            path=path,
            group_by=above.group_by if route.group_by is None else route.group_by,
            wait=_given(route.group_wait_s, above.wait),
            wait_critical=min(_given(route.group_wait_s, above.wait_critical), above.wait_critical),
            interval=_given(route.group_interval_s, above.interval),
            repeat=_given(route.repeat_s, above.repeat),
            hours=route.hours,
            escalate=() if name in self._unheard else escalate,
        )
        below = [
            self._node(one, f"{path}.routes[{n}]", replace(way, escalate=escalate), name, one.continues)
            for n, one in enumerate(route.routes)
        ]
        return _Node(route, way, name, [MatcherSet([one]) for one in route.matchers], below, continues)

    def assess(self, finding: Finding) -> Assessment:
        """Run a finding through the rules, then through the routes where no rule named a receiver."""
        assessment = apply_rules(finding, self._rules)
        if assessment.receivers:
            return assessment
        paths: dict[str, str] = {}
        for node in self._take(self._roots, finding, assessment.severity, None):
            for receiver in _receivers_of(node, finding):
                paths.setdefault(receiver, node.way.path)
        return Assessment(assessment.severity, tuple(paths), paths)

    def way(self, path: str) -> Way:
        """Return how a route tells; the default for none, and for one that the configuration lost."""
        return self._ways.get(path, self.default)

    def explain(self, finding: Finding) -> tuple[Assessment, list[Step]]:
        """Return what becomes of a finding, with every route that it was held against, in order."""
        assessment = self.assess(finding)
        steps: list[Step] = []
        if apply_rules(finding, self._rules).receivers:
            return assessment, steps
        list(self._take(self._roots, finding, assessment.severity, steps))
        return assessment, steps

    def _take(
        self, nodes: Sequence[_Node], finding: Finding, severity: Severity, steps: list[Step] | None, depth: int = 0
    ) -> Iterator[_Node]:
        """Yield the routes that take a finding, and note those that were tried where somebody wants to know."""
        for node in nodes:
            if why_not := _why_not(node, finding, severity):
                if steps is not None:
                    steps.append(Step(node.way.path, depth, False, why_not))
                continue
            place = len(steps or ())
            below = list(self._take(node.below, finding, severity, steps, depth + 1))
            yield from below or [node]
            if steps is not None:
                steps.insert(place, _taken(node, finding, depth, is_below=bool(below)))
            if not node.continues:
                return


def _default_way(pacing: Pacing, repeat_s: float) -> Way:
    return Way(
        wait=timedelta(seconds=pacing.group_wait_s),
        wait_critical=timedelta(seconds=min(pacing.group_wait_s, pacing.group_wait_critical_s)),
        interval=timedelta(seconds=pacing.group_interval_s),
        repeat=timedelta(seconds=repeat_s),
    )


def _given(seconds: float | None, otherwise: timedelta) -> timedelta:
    return otherwise if seconds is None else timedelta(seconds=seconds)


def _all_below(node: _Node) -> Iterator[_Node]:
    yield node
    for one in node.below:
        yield from _all_below(one)


def _why_not(node: _Node, finding: Finding, severity: Severity) -> str:
    if not match_finding(node.route.match, finding, severity):
        return "its match does not fit"
    for one in node.matchers:
        if not one.concerns(finding, severity):
            return f"{one.matchers[0]} does not fit"
    return ""


def _taken(node: _Node, finding: Finding, depth: int, *, is_below: bool) -> Step:
    if is_below:
        return Step(node.way.path, depth, True, "a route below takes it")
    receivers = _receivers_of(node, finding)
    return Step(node.way.path, depth, True, f"goes to {', '.join(receivers) or 'nobody'}", receivers)


def _receivers_of(node: _Node, finding: Finding) -> tuple[str, ...]:
    """Return who is told: the receivers of the owners affected, and the route's own for everybody else."""
    owners = {identity.owner for identity in finding.identities}
    mapped = [node.route.owners[owner] for owner in sorted(owners) if owner in node.route.owners]
    listed_all = finding.identity_count <= len(finding.identities)
    is_left = not node.route.owners or not owners.issubset(node.route.owners) or not owners or not listed_all
    return tuple(dict.fromkeys([*mapped, *([node.receiver] if node.receiver and is_left else [])]))

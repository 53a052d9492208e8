"""Names that vantages see differently, in verdict or in answers that one of them never had. Pure.

Each vantage may have a set of its own, as load balancing by place and split horizons make it: only an answer that left
it counts, and only while other vantages, polled since then, do not show it. Caches lag behind a change for as long as
its TTL, so the finding is confirmed only after that. Of verdicts the weaker one is at fault, and only where both went
through the zone that makes the difference.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analyzer.detected import Condition, Drift
from analyzer.endpoints.baseline import Baseline
from analyzer.endpoints.current import Current, CurrentState
from schemas.answers import network_of
from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code
from schemas.judgement import Judgement, Verdict, data_of
from schemas.messages import Finding, Subject

SHORTEST_LAG, LONGEST_LAG = timedelta(minutes=15), timedelta(hours=24)
"""A TTL that is seen in a cache has run down, so short ones say little; caches keep nothing longer than about a day."""
VERDICT_LAG = timedelta(hours=1)
NOT_CAUGHT_UP = timedelta.max
COMPARED = (Verdict.SECURE, Verdict.INSECURE, Verdict.BOGUS)
Name = tuple[str, str]
"""Owner name and type."""


@dataclass(slots=True)
class Stray:
    """Data that one vantage alone began to show at ``at``; ``agreeing`` are other vantages that show them, too."""

    at: datetime
    data: frozenset[str]
    zone: str
    severity: Severity
    lag: timedelta
    agreeing: set[str] = field(default_factory=set)


def lag_of(ttl_s: int) -> timedelta:
    """Return for how long caches may differ honestly about data with that TTL."""
    return min(max(timedelta(seconds=ttl_s), SHORTEST_LAG), LONGEST_LAG)


def _may_be_stray(finding: Finding) -> bool:
    """Return whether an open finding tells of answers that a vantage alone may show."""
    if finding.code == Code.ANSWER_CHANGED:
        return finding.severity.rank >= Severity.MEDIUM.rank
    return finding.code == Code.VANTAGE_DISAGREEMENT


class Views:
    """The names that vantages see differently now; empty on most days, so that a poll costs one look."""

    def __init__(self, current: CurrentState) -> None:
        self._current = current
        self._strays: dict[Name, dict[str, Stray]] = {}
        self._split: set[Name] = set()

    def __bool__(self) -> bool:
        return bool(self._strays or self._split)

    def take_answers(
        self,
        judgement: Judgement,
        at: datetime,
        change: Drift | None,
        own: Baseline,
        others: dict[str, tuple[Baseline, frozenset[str]]],
    ) -> None:
        """Take in other answers of a vantage; ``change`` is how that was graded, None where it says nothing.

        ``own`` is what was learnt at this vantage, and ``others`` has of each other one what was learnt and what it
        shows now.
        """
        name, vantage = (judgement.name, judgement.type), judgement.vantage
        data = data_of(judgement.answers, judgement.type)
        strays = self._strays.setdefault(name, {})
        strays.pop(vantage, None)
        if change is not None and change.severity.rank >= Severity.MEDIUM.rank:
            networks = set(own.networks).union(*(learnt.networks for learnt, _ in others.values()))
            strange = frozenset(one for one in data if network_of(one) not in networks)
            ttl_s = max([own.ttl_s, *(learnt.ttl_s for learnt, _ in others.values())])
            if strange and own.data:
                agreeing = {other for other, (_, shown) in others.items() if strange <= shown}
                agreeing |= {other for other, stray in strays.items() if strange <= stray.data}
                strays[vantage] = Stray(at, strange, change.cause_zone, change.severity, lag_of(ttl_s), agreeing)
        for other, stray in list(strays.items()):
            if other != vantage:
                (stray.agreeing.add if stray.data <= data else stray.agreeing.discard)(vantage)
            if stray.agreeing >= {*others, vantage} - {other}:
                del strays[other]
        if not strays:
            del self._strays[name]

    def load(self, findings: Iterable[Finding], judgements: Iterable[Judgement], vantages: Collection[str]) -> None:
        """Take up which names the vantages see differently, from the open findings and the judgements that stand."""
        for subject in self._current if len(vantages) > 1 else ():
            self.take_verdict(subject, vantages)
        told = [finding for finding in findings if _may_be_stray(finding)]
        by_endpoint: dict[str, list[Judgement]] = {one: [] for finding in told for one in finding.endpoints}
        for judgement in judgements if by_endpoint else ():
            shown = by_endpoint.get(f"{judgement.name} {judgement.type}")
            if shown is not None and judgement.verdict is Verdict.INSECURE:
                shown.append(judgement)
        for finding in told:
            for endpoint in finding.endpoints:
                self._restore(finding, by_endpoint[endpoint])

    def _restore(self, finding: Finding, shown: Collection[Judgement]) -> None:
        """Take up where an earlier process stopped: it told of one name, which each vantage now shows like that."""
        data = {one.vantage: frozenset(data_of(one.answers, one.type)) for one in shown}
        honest = frozenset[str]().union(*(seen for vantage, seen in data.items() if vantage not in finding.vantages))
        known = {network_of(one) for one in (*honest, *finding.before.split(", "))}
        lag = lag_of(max((one.ttl_s for one in shown), default=0))
        for one in shown:
            strange = frozenset(seen for seen in data[one.vantage] if network_of(seen) not in known)
            if one.vantage in finding.vantages and strange:
                agreeing = {other for other, seen in data.items() if other != one.vantage and strange <= seen}
                stray = Stray(finding.opened_at, strange, finding.cause_zone, finding.severity, lag, agreeing)
                self._strays.setdefault((one.name, one.type), {})[one.vantage] = stray

    def take_verdict(self, subject: Subject, vantages: Collection[str]) -> None:
        """Note whether the vantages agree on the verdict of a name, now that one of them was observed."""
        name = subject[:2]
        seen = {current.verdict for _, current in self._seen(name, vantages) if current.verdict in COMPARED}
        (self._split.add if len(seen) > 1 else self._split.discard)(name)

    def drop(self, subject: Subject, vantages: Collection[str]) -> None:
        """Forget a name at a vantage, which is watched no more."""
        strays = self._strays.get(subject[:2], {})
        strays.pop(subject[2], None)
        for stray in strays.values():
            stray.agreeing.discard(subject[2])
        if not strays:
            self._strays.pop(subject[:2], None)
        if self._split:
            self.take_verdict(subject, vantages)

    def conditions(self, subject: Subject, vantages: Collection[str]) -> Iterator[Condition]:
        """Yield how a vantage differs from the others, as their last polls show it."""
        current, name = self._current.get(subject), subject[:2]
        if current is None:
            return
        if name in self._split:
            yield from self._verdict_condition(subject, current, vantages)
        stray = self._strays.get(name, {}).get(subject[2])
        if stray is not None and current.verdict is Verdict.INSECURE:
            yield from self._answer_condition(subject, stray, vantages)

    def _verdict_condition(self, subject: Subject, current: Current, vantages: Collection[str]) -> Iterator[Condition]:
        zone, vantage = current.cause_zone, subject[2]
        if current.verdict not in (Verdict.INSECURE, Verdict.BOGUS) or not zone:
            return
        better = [
            (other, seen)
            for other, seen in self._seen(subject[:2], vantages)
            if seen.verdict in COMPARED and seen.verdict.weakness < current.verdict.weakness
            if zone in seen.chain and not seen.absent
        ]
        if better:
            other, seen = better[0]
            is_zones = bool(current.broken) or current.verdict is Verdict.INSECURE
            what = zone if is_zones else f"{subject[0]} {subject[1]}"
            detail = f"{what} is {current.verdict} through {vantage}, and {seen.verdict} through {other}"
            severity = CATALOGUE[Code.VANTAGE_DISAGREEMENT].severity
            named = "" if is_zones else subject[0]
            yield Condition(Code.VANTAGE_DISAGREEMENT, zone, named, severity, detail, vantage, VERDICT_LAG)

    def _answer_condition(self, subject: Subject, stray: Stray, vantages: Collection[str]) -> Iterator[Condition]:
        name, rdtype, vantage = subject
        others = [
            (other, seen.applied_at)
            for other, seen in self._seen((name, rdtype), vantages)
            if other != vantage and other not in stray.agreeing and seen.validated and seen.applied_at > stray.at
        ]
        if others:
            polled_at = max(at for _, at in others)
            lag = timedelta() if polled_at - stray.at >= stray.lag else NOT_CAUGHT_UP
            through = ", ".join(other for other, _ in others)
            detail = f"{name} {rdtype} is {', '.join(sorted(stray.data))} through {vantage}, and not through {through}"
            where = f"{name} {rdtype}"
            severity = stray.severity
            yield Condition(Code.VANTAGE_DISAGREEMENT, stray.zone, where, severity, detail, vantage, lag)

    def _seen(self, name: Name, vantages: Collection[str]) -> Iterator[tuple[str, Current]]:
        for vantage in sorted(vantages):
            current = self._current.get((*name, vantage))
            if current is not None:
                yield vantage, current

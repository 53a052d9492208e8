"""What people did that still counts: declared changes, and answers that were accepted as planned. Pure.

It is filled from the acts that are stored and from those that arrive; the same act twice is one.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

import msgspec

from analyzer.detected import Drift
from analyzer.findings.changes import (
    CONFIGURATION,
    LONGEST_TAIL,
    REMEMBERED,
    ChangeState,
    DeclaredChange,
    Plan,
    change_of,
    check_change,
    check_words,
    end_of,
    explains,
    lowered,
    unannounced,
)
from schemas.catalogue import Change, Kind
from schemas.codes import Code
from schemas.judgement import Judgement, data_of
from schemas.messages import Act, Finding, FindingStatus
from schemas.wire import digest_of

MOST_CHANGES = 1_000
STANDING = ("accept", "declare_change", "end_change")
"""The kinds of act that count after they were handled."""
ALIVE = (ChangeState.AHEAD, ChangeState.OPEN)


def check_acceptance(act: Act, finding: Finding | None) -> list[str]:
    """Return why an act does not accept a finding, of which the newest version is given; empty if it does."""
    if finding is None:
        return ["there is no such finding"]
    if finding.kind is not Kind.DRIFT:
        return [f"{finding.code} is a state, which ends once it is put right; only changes can be accepted"]
    if finding.status is FindingStatus.CLOSED and finding.accepted_by != act.by:  # else it may be this very act
        return [f"it is closed: {finding.closed_because}"]
    return [] if act.rrset in ("", finding.cause_rrset) else [f"it is not about {act.rrset}"]


def acceptance_of(finding: Finding, judged: Judgement | None, *, by: str, why: str, at: datetime, source: str) -> Act:
    """Return the act that accepts a finding; ``judged`` is the answer that opened it, if one did."""
    act = Act(
        id=digest_of("accept", finding.id)[:32],
        kind="accept",
        by=by,
        at=at,
        why=why,
        subject=finding.id,
        vantages=finding.vantages,
        source=source,
    )
    if finding.code != Code.ANSWER_CHANGED or judged is None:
        return act
    answers = tuple(sorted(data_of(judged.answers, judged.type)))
    return msgspec.structs.replace(act, rrset=f"{judged.name} {judged.type}", answers=answers)


def counting(acts: Iterable[Act], accepted: Mapping[str, Finding]) -> list[Act]:
    """Return the stored acts that count: an acceptance only if its finding, by id, was accepted."""
    found = []
    for act in acts:
        finding = accepted.get(act.subject) if act.kind == "accept" else None
        if act.kind != "accept" or (
            finding is not None and finding.accepted_by and act.rrset in ("", finding.cause_rrset)
        ):
            found.append(act)
    return found


class Acts:
    """State: the declared changes that are not long over, by zone or name, and the accepted answers, by RRset."""

    def __init__(self, acts: Iterable[Act] = ()) -> None:
        self._known: set[str] = set()
        self._changes: dict[str, DeclaredChange] = {}
        self._by_subject: dict[str, dict[str, None]] = {}
        self._accepted: dict[str, list[Act]] = {}
        for act in sorted(acts, key=lambda one: one.at):
            self.put(act)

    def knows(self, act: Act) -> bool:
        """Return whether this very act was put before."""
        return act.id in self._known

    def put(self, act: Act) -> list[str]:
        """Take an act in; return why it has no effect, empty if it has one."""
        if act.kind not in STANDING or act.id in self._known:
            return []
        problems = self._check(act)
        if problems:
            return problems
        self._known.add(act.id)
        match act.kind:
            case "declare_change":
                self._changes[act.id] = change_of(act)
                self._by_subject.setdefault(act.subject, {})[act.id] = None
            case "end_change":
                self._changes[act.subject] = replace(self._changes[act.subject], ended=act)
            case _ if act.rrset:
                self._accepted.setdefault(act.rrset, []).append(act)
        return []

    def _check(self, act: Act) -> list[str]:
        """Return why an act can't be taken."""
        match act.kind:
            case "declare_change":
                problems = check_change(act)
                if not problems and len(self._changes) >= MOST_CHANGES:
                    self._prune(act.at)
                if len(self._changes) >= MOST_CHANGES:
                    problems.append(f"{MOST_CHANGES} changes are declared already: end some of them")
                return problems
            case "end_change":
                change = self._changes.get(act.subject)
                if change is None:
                    return ["there is no such change"]
                if change.ended is not None:
                    return [f"{change.ended.by} ended it already"]
        return check_words(act)

    def _prune(self, now: datetime) -> None:
        """Forget the changes that can explain nothing any more."""
        for key, change in list(self._changes.items()):
            if change.ends_at + LONGEST_TAIL < now or (change.ended is not None and change.ended.at < now):
                del self._changes[key]
                of_subject = self._by_subject[change.act.subject]
                del of_subject[key]
                if not of_subject:
                    del self._by_subject[change.act.subject]

    def lower(self, drift: Drift, at: datetime, *, lag_s: float = 0.0, came: Collection[str] = ()) -> Drift:
        """Return a drift seen at an instant with the severity and the words that it has as a planned one, if it is.

        ``lag_s`` is how much later than it happened a change may be seen; ``came`` the data that are new in an answer.
        """
        subjects = dict.fromkeys((drift.cause_zone, drift.cause_rrset.partition(" ")[0]))
        for key in [key for subject in subjects for key in self._by_subject.get(subject, ())]:
            change = self._changes[key]
            if change.counts_at(at, lag_s) and explains(change, drift, came):
                return lowered(drift, change)
        return drift

    def weigh_step(self, step: Drift, kinds: frozenset[Change], since: datetime, at: datetime, lag_s: float) -> Drift:
        """Return a step of the secure-entry keys or the DS set (``kinds``), as it is to be told, seen at an instant.

        It is planned if one window explains all of it. If it is not, and such steps of the zone are declared usually,
        it is unexpected. It may have happened since the zone was seen last, at ``since``.
        """
        changes = [self._changes[key] for key in self._by_subject.get(step.cause_zone, ())]
        counting_now = [one for one in changes if one.counts_between(since, at, lag_s)]
        if any(kinds <= set(one.act.what) for one in counting_now):
            return replace(step, is_planned=True)
        lately = [one for one in changes if one.last_at >= at - REMEMBERED]
        usual = kinds & {Change(what) for one in lately for what in one.act.what}
        return unannounced(step, usual) if usual else step

    def accepted_answers(self, name: str, rdtype: str, vantage: str) -> frozenset[str]:
        """Return the data (such as ``192.0.2.1``) that were accepted last for a name and type, seen there.

        Changes that were accepted at one stroke are accepted together.
        """
        acts = self._accepted.get(f"{name} {rdtype}", ())
        fitting = [act for act in acts if not act.vantages or vantage in act.vantages]
        last_at = max((act.at for act in fitting), default=None)
        return frozenset(data for act in fitting if act.at == last_at for data in act.answers)

    def changes(self) -> list[DeclaredChange]:
        """Return the declared changes, the one that begins last first."""
        return sorted(self._changes.values(), key=lambda one: (one.begins_at, one.act.id), reverse=True)

    def follow(self, plans: Iterable[Plan], now: datetime) -> list[Act]:
        """Return the acts that bring the declared changes into line with the configuration as it is now.

        What is new in it is declared now, and what is there no more ends now.
        """
        planned = [plan.declared(now, CONFIGURATION) for plan in plans if plan.ends_at > now]
        ids = {act.id for act in planned}
        gone = [
            change
            for change in self.changes()
            if change.act.source == CONFIGURATION and change.act.id not in ids and change.state_at(now) in ALIVE
        ]
        why = "it is no longer in the configuration"
        return [
            *(act for act in planned if not self.knows(act)),
            *(end_of(change, CONFIGURATION, why, now, CONFIGURATION) for change in gone),
        ]

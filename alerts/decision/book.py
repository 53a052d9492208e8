"""The incident book: findings and the passing of time in, orders out. Pure: it has neither clock nor ledger.

Only incidents that a call concerns are decided on: those whose findings changed, those whose instant has come, and
those that are withheld because of an incident that changed. So a batch costs what it changes, however much is open.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alerts.config import AlertsConfig
from alerts.decision.agenda import Agenda
from alerts.decision.bounds import bound_incident
from alerts.decision.decide import Decision, Holds, decide, next_look_at
from alerts.decision.deeds import (
    OF_INCIDENTS,
    OF_SILENCES,
    happening_of,
    reopen,
    silence_happenings,
    source_of_receiver,
    take_deed,
    why_reopened,
)
from alerts.decision.draft import Draft
from alerts.decision.drills import DRILL_CODE
from alerts.decision.failing import FAILED_CODE, end_failure
from alerts.decision.frameworks import match_controls
from alerts.decision.incidents import Entry, Incident, begin_incident, cause_of, find_incident, take_finding
from alerts.decision.inhibition import may_explain
from alerts.decision.open_incidents import OpenIncidents
from alerts.decision.order import Order, Step
from alerts.decision.pace import paces_of
from alerts.decision.reporting import report_changes
from alerts.decision.routing import Routing
from alerts.decision.silences import Silence, Silences
from alerts.decision.storms import Storms, keys_of, with_member
from alerts.decision.telling import (
    about_to_be_told,
    ended,
    make_orders,
    note_muted,
    note_waiting,
    note_withheld,
    told,
)
from alerts.decision.timekeeping import Moment
from schemas.messages import Act, Finding, FindingStatus

SILENCES = "silences"
"""Under this key the agenda has when other silences count."""


class IncidentBook:
    """State: the open incidents and the receivers that fail; each call returns what it changed.

    A book whose step could not be written is of no use any more: load another one from what was written.
    """

    def __init__(self, config: AlertsConfig, receivers: Iterable[str]) -> None:
        self._config, self._known = config, tuple(receivers)
        self._reported_to = tuple(
            one.name for one in config.receivers if one.takes_findings and one.name in self._known
        )
        self._receivers = tuple(name for name in self._known if name not in self._reported_to)
        self._join = timedelta(seconds=config.join_s)
        self._holds = Holds(
            drift=timedelta(seconds=config.drift_hold_s), acknowledged=timedelta(seconds=config.acknowledged_for_s)
        )
        self._routing = Routing(config, [one.name for one in config.receivers if not one.hears_acknowledgements])
        self._storms = Storms(config.pacing.storm)
        self._open = OpenIncidents()
        self._failing: dict[str, Finding] = {}
        self._agenda = Agenda()
        self._silences = Silences(config.maintenance)
        # Withheld, at least from some receivers, because another incident explains it: id and cause.
        self._explained: dict[str, str] = {}
        # To be decided on by the next call, though nothing new is reported of them.
        self._unfinished: dict[str, None] = {}

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """Return the open incidents by id."""
        return self._open

    def count_states(self) -> dict[str, int]:
        """Return how many are open, acknowledged, reopened, and silenced, of which nobody is told at all."""
        counts = dict.fromkeys(("open", "acknowledged", "reopened", "silenced"), 0)
        for incident in self._open.all():
            counts["silenced" if incident.silenced and not incident.receivers else str(incident.state)] += 1
        return counts

    @property
    def failing(self) -> Mapping[str, Finding]:
        """Return the receivers that can't be reached, with the finding that says so."""
        return self._failing

    def firing_at(self, receiver: str, at: Moment) -> list[Order]:
        """Return what a receiver was told of and still goes on there, as it is now."""
        return [
            Order(
                id=one.id,
                receiver=receiver,
                event="trigger",
                reason="still open",
                incident=msgspec.structs.replace(one, log=()),
                decided_at=at.wall,
                base=self._config.public_url,
            )
            for one in self._open.values()
            if receiver in one.notified and receiver in one.receivers
        ]

    def next_due_at(self) -> datetime | None:
        """Return the steady time at which time alone may change a decision next, None where it changes none."""
        return self._agenda.next_at()

    def load(self, incidents: Iterable[Incident], at: Moment, silences: Iterable[Silence] = ()) -> Step:
        """Take up open incidents and silences.

        Receivers that the configuration lost are forgotten, and so are their failures.
        """
        self._silences.load(silences)
        for incident in incidents:
            notified = {name: severity for name, severity in incident.notified.items() if name in self._receivers}
            entries = {key: self._without_lost(entry) for key, entry in incident.entries.items()}
            self._open.put(msgspec.structs.replace(incident, notified=notified, entries=entries))
            self._storms.load(incident, at)
            self._unfinished[incident.id] = None
            for entry in incident.entries.values():
                if entry.finding.code == FAILED_CODE and entry.is_open:
                    self._failing[entry.finding.cause_rrset] = entry.finding
        lost = [self._failing.pop(name) for name in list(self._failing) if name not in self._known]
        return self.take([end_failure(finding, at.wall) for finding in lost], {}, at)

    def _without_lost(self, entry: Entry) -> Entry:
        receivers = tuple(name for name in entry.receivers if name in self._receivers)
        return msgspec.structs.replace(entry, receivers=receivers)

    def take(
        self, findings: Sequence[Finding], handled: Mapping[str, int], at: Moment, acts: Sequence[Act] = ()
    ) -> Step:
        """Take findings in, then what people did, and decide; without any only time has passed.

        ``handled`` are the versions that were taken in before, by the finding's id: those and older ones are left out.
        So are acts whose id is among them.
        """
        draft = Draft()
        versions = dict(handled)
        for finding in findings:
            if finding.version > versions.get(finding.id, 0):
                versions[finding.id] = finding.version
                draft.taken.append(finding)
                self._place(finding, draft)
        # Once for all of a batch: what an incident explains, and how much of it is kept, costs all its entries.
        for key in dict.fromkeys(where for where, _ in draft.placed.values()):
            self._put(bound_incident(self._open[key]), draft)
        for act in acts:
            if act.id not in versions:
                versions[act.id] = 1
                self._take_act(act, draft, at)
        self._silence(draft, at)
        self._decide_on(self._concerned(draft, at), draft, at)
        for order in list(draft.orders):
            if order.receiver in self._failing:
                self._stand_in(order, draft, at)
        changed = draft.incidents.values()
        base = self._config.public_url
        draft.orders += report_changes(draft.before, changed, draft.placed, handled, at, self._reported_to, base)
        return draft.step()

    def fail(self, failure: Finding, undelivered: Iterable[Order], at: Moment) -> Step:
        """Note that the receiver ``failure.cause_rrset`` can't be reached; others are notified instead."""
        self._failing[failure.cause_rrset] = failure
        draft, step = Draft(), self.take([failure], {}, at)
        for order in {order.id: order for order in undelivered}.values():
            self._stand_in(order, draft, at)
        return Step.joined([step, draft.step()])

    def remember(self, memos: Iterable[tuple[str, str, str]]) -> Step:
        """Note what receivers want to find again: incident, receiver and memo each."""
        draft = Draft()
        for key, receiver, memo in memos:
            incident = self._open.get(key)
            if incident is not None and incident.memos.get(receiver) != memo:
                self._put(msgspec.structs.replace(incident, memos={**incident.memos, receiver: memo}), draft)
        return draft.step()

    def recover(self, receiver: str, at: Moment) -> Step:
        """Note that a receiver that failed works again."""
        return self.take([end_failure(self._failing.pop(receiver), at.wall)], {}, at)

    def _put(self, incident: Incident, draft: Draft) -> None:
        draft.before.setdefault(incident.id, self._open.get(incident.id))
        draft.incidents[incident.id] = incident
        self._storms.heed(incident)
        if self._open.put(incident):
            draft.shifted.add(incident.cause)

    def _place(self, finding: Finding, draft: Draft) -> None:
        """Put a finding into its incident, where the next one finds it; what that means is found out afterwards."""
        assessment = self._routing.assess(finding)
        incident = find_incident(finding, assessment.severity, self._open.on(cause_of(finding)), self._join)
        if incident is None:
            if finding.status is FindingStatus.CLOSED:
                return  # it was over before we ever heard of it
            incident = begin_incident(finding)
        drill = self._config.drill
        named = drill.receivers if drill is not None and finding.code == DRILL_CODE else ()
        entry = Entry(
            finding=finding,
            severity=assessment.severity,
            receivers=named or self._receivers_of(finding, assessment.receivers),
            controls=match_controls(finding, self._config.mappings),
            paths=assessment.paths,
        )
        taken = take_finding(incident, entry)
        if (happening := happening_of(incident.entries.get(finding.id), entry)) is not None:
            taken = taken.noting(happening)
        draft.before.setdefault(taken.id, self._open.get(taken.id))
        self._open.hold(taken)
        draft.placed.setdefault(finding.id, (taken.id, []))[1].append(entry)

    def _take_act(self, act: Act, draft: Draft, at: Moment) -> None:
        """Take in what somebody did, if it is for us."""
        if act.kind in OF_INCIDENTS:
            self._take_deed(act, draft, at)
        elif act.kind in OF_SILENCES:
            silence, why_not = self._silences.take(act)
            draft.acts.append((act, why_not))
            if silence is not None:
                draft.silences.append(silence)

    def _silence(self, draft: Draft, at: Moment) -> None:
        """Have the entries of incidents say what silences them now; of all incidents where other silences count."""
        keys = list(self._open) if self._silences.turn(at) else [key for key in draft.incidents if key in self._open]
        for key in keys:
            incident = self._open[key]
            if incident.is_storm:
                continue  # it shows what its members are
            entries = {one: self._as_silenced(entry) for one, entry in incident.entries.items()}
            if entries == incident.entries:
                continue
            for happening in silence_happenings(incident, entries, at):
                incident = incident.noting(happening)
            self._put(msgspec.structs.replace(incident, entries=entries), draft)
        self._agenda.note(SILENCES, self._silences.next_change_at(at))

    def _as_silenced(self, entry: Entry) -> Entry:
        silenced = self._silences.find(entry) if entry.finding.status is not FindingStatus.CLOSED else None
        return entry if silenced == entry.silenced else msgspec.structs.replace(entry, silenced=silenced)

    def _take_deed(self, act: Act, draft: Draft, at: Moment) -> None:
        """Do to an incident what somebody did to it; receivers that know of it hear that somebody has it."""
        incident, why_not = take_deed(self._open.get(act.subject), act, at)
        draft.acts.append((act, why_not))
        if incident is None:
            return
        self._put(incident, draft)
        if act.kind == "acknowledge":
            others = tuple(name for name in incident.notified if act.source != source_of_receiver(name))
            reason = f"acknowledged by {act.by}" + (f": {act.why}" if act.why else "")
            self._order(incident, Decision("acknowledge", others, reason), draft, at)

    def _receivers_of(self, finding: Finding, routed: Sequence[str]) -> tuple[str, ...]:
        """Return who is notified of a finding; of a receiver that fails any other one is."""
        if finding.code != FAILED_CODE:
            return tuple(routed)
        others = [name for name in routed if name != finding.cause_rrset]
        everybody = [name for name in self._receivers if name != finding.cause_rrset]
        for names in (others, everybody):
            if reachable := tuple(name for name in names if name not in self._failing):
                return reachable
        return tuple(others or everybody)

    def _concerned(self, draft: Draft, at: Moment) -> list[str]:
        """Return the incidents to decide on now."""
        found = dict.fromkeys(draft.incidents)
        found |= self._unfinished
        found |= dict.fromkeys(self._agenda.take_due(at.steady))
        found |= dict.fromkeys(self._explained_below(draft.shifted))
        self._unfinished = {}
        draft.shifted.clear()
        return [key for key in found if key in self._open]

    def _explained_below(self, causes: Collection[str]) -> list[str]:
        if not causes:
            return []
        return [key for key, below in self._explained.items() if any(may_explain(one, below) for one in causes)]

    def _decide_on(self, concerned: Sequence[str], draft: Draft, at: Moment) -> None:
        """Decide on incidents and carry it out; an incident that explains others names them in what it says."""
        concerned = list(dict.fromkeys([*concerned, *self._sync_storms(draft)]))
        for key in concerned:
            self._check_acknowledged(key, draft, at)
        decisions = {key: self._decision_on(key, at) for key in concerned}
        explained: dict[str, set[str]] = {}
        for key, decision in decisions.items():
            if decision.explained_by is not None:
                explained.setdefault(decision.explained_by.incident, set()).add(self._open[key].cause)
        for key, causes in explained.items():
            other = self._open[key]
            if not causes.issubset(other.explains):
                explains = tuple(sorted(causes.union(other.explains)))
                self._put(msgspec.structs.replace(other, explains=explains), draft)
                decisions[key] = self._decision_on(key, at)
        self._gather(decisions, draft, at)
        for key, decision in decisions.items():
            self._carry_out(self._open[key], decision, draft, at)
        self._unfinished |= dict.fromkeys(self._explained_below(draft.shifted))
        self._unfinished |= dict.fromkeys(self._sync_storms(draft))

    def _gather(self, decisions: dict[str, Decision], draft: Draft, at: Moment) -> None:
        """Have incidents whose first pages are due, or wait, join a storm or make one; decide again on all of these."""
        changed: dict[str, None] = {}
        for key, decision in decisions.items():
            if decision.event != "trigger" or decision.escalates or decision.ends or self._open[key].is_storm:
                continue
            for name in (*decision.receivers, *decision.waits):
                incident = self._open[key]
                if name in incident.storms or name not in incident.receivers:
                    continue
                ways = [self._routing.way(path) for path in sorted(incident.paths_of(name))]
                keys = self._storms.usable(one for way in ways for one in keys_of(incident, name, way))
                storm = self._open.get(self._storms.find_open(keys, at))
                members = [incident]
                if storm is None:
                    self._storms.note(incident, keys, at)
                if storm is None and name in decision.receivers:
                    shared, members = self._storms.gather(keys, self._open, at)
                    storm = self._storms.begin(shared, members, at) if members else None
                if storm is not None:
                    changed |= dict.fromkeys(self._enter(storm, members, name, draft))
        for key in changed:
            decisions[key] = self._decision_on(key, at)

    def _enter(self, storm: Incident, members: Sequence[Incident], receiver: str, draft: Draft) -> list[str]:
        """Put incidents into a storm; return all whose decisions that changes."""
        for incident in members:
            joined = msgspec.structs.replace(incident, storms={**incident.storms, receiver: storm.id})
            self._put(joined, draft)
            self._storms.add(storm.id, joined)
            storm = with_member(storm, joined, joins=True)
        self._put(storm, draft)
        return [*(one.id for one in members), storm.id]

    def _sync_storms(self, draft: Draft) -> list[str]:
        """Bring storms up to what their members are; return the storms that this concerns."""
        found: dict[str, None] = {}
        for incident in self._storms.take_unsynced():
            for key in incident.storms.values():
                if (storm := self._open.get(key)) is not None:
                    found[key] = None
                    newer = with_member(storm, incident)
                    if newer is not storm:
                        self._put(newer, draft)
        return list(found)

    def _check_acknowledged(self, key: str, draft: Draft, at: Moment) -> None:
        """Have nobody own an incident any more that is worse than what was acknowledged, or was forgotten."""
        incident = self._open[key]
        if because := why_reopened(incident, at, self._holds.acknowledged):
            self._put(reopen(incident, because, at), draft)

    def _decision_on(self, key: str, at: Moment) -> Decision:
        incident = self._open[key]
        paces = paces_of(incident, self._routing, at.wall)
        is_held = incident.is_storm and self._storms.is_held(key)
        return decide(incident, self._open.explaining, paces, at=at, holds=self._holds, is_held=is_held)

    def _carry_out(self, incident: Incident, decision: Decision, draft: Draft, at: Moment) -> None:
        if decision.receivers:
            return self._order(incident, decision, draft, at)
        before = incident
        incident = note_muted(note_withheld(note_waiting(incident, decision, at), decision, draft), draft)
        if decision.ends:
            incident = ended(incident, decision, at)
        elif any(severity.rank > incident.severity.rank for severity in incident.notified.values()):
            # The worst is over: when it comes back, receivers are notified of it again.
            incident = msgspec.structs.replace(incident, notified=dict.fromkeys(incident.notified, incident.severity))
        if incident is not before:
            self._put(incident, draft)
        return self._plan(incident, at)

    def _plan(self, incident: Incident, at: Moment) -> None:
        """Note when, and because of what else, to look at an incident again."""
        is_open = incident.ended_at is None
        paces = paces_of(incident, self._routing, at.wall) if is_open else {}
        self._agenda.note(incident.id, next_look_at(incident, paces, at=at, holds=self._holds) if is_open else None)
        if is_open and any(name not in (*incident.notified, *incident.storms) for name in incident.receivers):
            self._explained[incident.id] = incident.cause
        else:
            self._explained.pop(incident.id, None)

    def _order(self, incident: Incident, decision: Decision, draft: Draft, at: Moment) -> None:
        """Order a page for each receiver, and note in the incident that they are notified."""
        incident = about_to_be_told(note_waiting(note_muted(incident, draft), decision, at), decision)
        draft.orders += make_orders(incident, decision, at, self._config.public_url)
        ordered = told(incident, decision, at)
        if decision.ends:
            ordered = ended(ordered, decision, at)
        self._put(ordered, draft)
        self._plan(ordered, at)
        # Receivers that were notified before may need an update.
        self._unfinished[ordered.id] = None

    def _stand_in(self, undelivered: Order, draft: Draft, at: Moment) -> None:
        """Order for other receivers what a failing one does not take, unless one that works was notified of it."""
        if undelivered.finding or undelivered.letter is not None:
            return  # neither an event nor a digest pages anybody; it waits until its receiver takes it
        if undelivered.event == "acknowledge":
            return  # it stays nobody's secret: the incident and its next page say who has it
        reachable = [name for name in self._receivers if name not in self._failing]
        if not reachable:
            draft.undeliverable.append(undelivered)
            return
        incident = self._open.get(undelivered.incident.id)
        if incident is None or undelivered.event == "resolve":
            return  # receivers that were notified get its end anyway
        notified = [name for name in incident.notified if name in reachable]
        if notified and (undelivered.event == "trigger" or set(notified) & set(incident.receivers)):
            return
        failure = self._failing[undelivered.receiver]
        on_failures = self._receivers_of(failure, self._routing.assess(failure).receivers)
        stand_ins = notified or [name for name in on_failures if name in reachable] or reachable
        event = undelivered.event if notified else "trigger"
        reason = f"receiver {undelivered.receiver} can't be reached"
        self._order(incident, Decision(event, tuple(stand_ins), reason), draft, at)

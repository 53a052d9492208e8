"""The alerts stage: ``handle`` findings, decide, deliver, and say what was said.

What is decided is in the ledger before anything leaves, so a crash loses nothing. Deliveries go out in threads of each
receiver's own; ``handle`` waits for none of them longer than ``PATIENCE_S``, and takes in later what came of them. A
delivery is tried until it arrives, however long its incident is open. A receiver that refuses, or fails for long, is
itself a finding that goes to the others, and what it should have said goes to them as well.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TypeVar

import msgspec

from alerts.config import AlertsConfig
from alerts.decision.bounds import bound_incident
from alerts.decision.decide import Decision, decide, explaining_by_cause
from alerts.decision.frameworks import match_controls
from alerts.decision.incidents import Entry, Incident, begin_incident, cause_of, find_incident, take_finding
from alerts.decision.rules import Assessment, assess
from alerts.decision.timekeeping import SteadyClock
from alerts.delivery.delivery import Delivery, Outcome, Settled
from alerts.delivery.failures import FAILED_CODE, UNFIT, UNTOLD, end_failure, make_failure, shown_of, summary_of
from alerts.delivery.notifier import Notifier
from alerts.delivery.outbox import choose_lanes, pause_after, settle
from alerts.delivery.sending import GONE, Sender
from alerts.delivery.wording import describe, screen, summarise
from alerts.ledger.sqlite import SqliteLedger
from schemas.faults import Rejected, Transient
from schemas.messages import (
    Finding,
    FindingStatus,
    Message,
    Notification,
    NotificationEvent,
    NotificationStatus,
    utc,
)
from schemas.wire import digest_of

log = logging.getLogger(__name__)

DECIDE_ALL_S = 1.0
# So many deliveries to a receiver may be under way or not yet settled; a crash may send them again, each under its id.
AT_ONCE = 64
PATIENCE_S = 0.5
FAREWELL_S = 3.0
GATHER_S = 0.2
Result = TypeVar("Result")


class Alerts:
    """State: the open incidents, as the ledger has them, and what is on its way.

    ``ticks`` are seconds that only run on, by which it waits and holds; by default the clock. ``patience_s`` is how
    long ``handle`` waits for receivers. ``last_resort`` writes what no receiver takes, by default to standard error.
    """

    def __init__(
        self,
        config: AlertsConfig,
        ledger: SqliteLedger,
        notifiers: Mapping[str, Notifier],
        clock: Callable[[], float],
        *,
        ticks: Callable[[], float] | None = None,
        patience_s: float = PATIENCE_S,
        last_resort: Callable[[str], object] | None = None,
    ) -> None:
        self._config, self._ledger, self._notifiers, self._clock = config, ledger, notifiers, clock
        self._steady = SteadyClock(clock, ticks or clock)
        self._patience_s, self._last_resort = patience_s, last_resort or sys.stderr.write
        self._sender = Sender(notifiers, clock)
        # A thread of its own: others who hang in the shared ones must not keep anybody from being paged.
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._unsettled: list[tuple[Delivery, Outcome]] = []
        # By receiver: how many deliveries failed in a row, and until when it is spared.
        self._silences: dict[str, tuple[int, float]] = {}
        self._working: set[str] = set()
        self._open: dict[str, Incident] = {}
        self._failing: dict[str, Finding] = {}
        self._all_decided_at = 0.0
        self._explaining: frozenset[str] = frozenset()
        self._loaded = False

    def forget(self) -> None:
        """Take up the ledger again before the next batch: another process has been at work."""
        self._loaded = False

    @property
    def failing(self) -> dict[str, str]:
        """Return the receivers that can't be reached, with what they answer."""
        return {name: finding.detail.partition(UNTOLD)[0] for name, finding in list(self._failing.items())}

    @property
    def reaches_nobody(self) -> bool:
        """Return whether there are receivers, and all of them fail."""
        return bool(self._notifiers) and self._failing.keys() >= self._notifiers.keys()

    async def finish(self) -> None:
        """Let what is due go out, for a few seconds, and settle it; then end what is still under way.

        What did not go out is in the ledger, and goes out under the same id from the next process.
        """
        try:
            if self._loaded:
                await self._deliver(FAREWELL_S)
        except Transient as fault:
            log.warning("what went out last could not be settled", extra={"detail": str(fault)})
        finally:
            self._sender.close()
            self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Take in findings, decide, send what is due, and return the notifications that came of it so far.

        An empty batch means that time passed: reminders, retries and ends fall due. What is still on its way is in the
        notifications of a later call.

        Raises:
            Transient: the ledger can't be written; nothing was taken in.
            Rejected: a message that is no finding.
        """
        try:
            if not self._loaded:
                await self._in_thread(self._reload)
            withheld = await self._in_thread(partial(self._take, batch))
            sent = await self._deliver(self._patience_s)
        except BaseException:
            self._loaded = False  # what the ledger has is the truth
            raise
        return [*withheld, *sent]

    def _reload(self) -> None:
        """Take up what the ledger has; receivers that the configuration lost are forgotten, and so are their faults."""
        for delivery in self._ledger.deliveries():
            if delivery.receiver not in self._notifiers:
                gone = msgspec.structs.replace(
                    self._notification(delivery.incident, delivery.event, delivery.id),
                    status=NotificationStatus.FAILED,
                    receiver=delivery.receiver,
                    reason=GONE,
                )
                self._ledger.commit(settled=[Settled(delivery, True)], notifications=[gone])
        self._open, self._failing = {}, {}
        for incident in self._ledger.open_incidents():
            told = {name: severity for name, severity in incident.notified.items() if name in self._notifiers}
            entries = {key: self._without_gone(entry) for key, entry in incident.entries.items()}
            self._open[incident.id] = msgspec.structs.replace(incident, notified=told, entries=entries)
            for entry in incident.entries.values():
                if entry.finding.code == FAILED_CODE and entry.is_open:
                    self._failing[entry.finding.cause_rrset] = entry.finding
        self._loaded = True
        stale = [self._failing.pop(name) for name in list(self._failing) if name not in self._notifiers]
        self._take([end_failure(finding, utc(self._clock())) for finding in stale])

    def _without_gone(self, entry: Entry) -> Entry:
        receivers = tuple(name for name in entry.receivers if name in self._notifiers)
        return msgspec.structs.replace(entry, receivers=receivers)

    def _take(self, batch: Sequence[Message]) -> list[Notification]:
        """Take findings in and decide; all of it is written in one transaction, or none."""
        incidents = dict(self._open)
        ids_by_cause: dict[str, list[str]] = {}
        for incident in incidents.values():
            ids_by_cause.setdefault(incident.cause, []).append(incident.id)
        versions: dict[str, int] = {}
        taken: list[Finding] = []
        for message in batch:
            if not isinstance(message, Finding):
                raise Rejected(f"the alerts stage has no use for a {type(message).__name__}")
            known = versions.get(message.id) or self._ledger.handled_version(message.id)
            if message.version <= known:
                continue
            versions[message.id] = message.version
            taken.append(message)
            self._place(message, incidents, ids_by_cause.setdefault(cause_of(message), []))
        deliveries: list[Delivery] = []
        withheld: list[Notification] = []
        self._decide_all(self._to_decide(batch, incidents), incidents, deliveries, withheld)
        changed = [i for key, i in incidents.items() if self._open.get(key) is not i]
        if changed or versions:
            self._ledger.commit(
                incidents=changed, handled=versions.items(), deliveries=deliveries, notifications=withheld
            )
        self._open = {key: incident for key, incident in incidents.items() if incident.ended_at is None}
        for delivery in deliveries:
            if delivery.receiver in self._failing:
                self._tell_others(delivery)
        for finding in taken:
            log.info(f"finding {finding.status}", extra=shown_of(finding))
        for one in withheld:
            log.info("notification withheld", extra={"incident": one.incident, "reason": one.reason})
        return withheld

    def _to_decide(self, batch: Sequence[Message], incidents: Mapping[str, Incident]) -> list[Incident]:
        """Return what this batch changed; all there are in silence, once a second, and when one that explained is over.

        Reminders and ends fall due by time, and what an incident explained must be told once that one is over.
        """
        now = self._steady()
        explaining = frozenset(explaining_by_cause(incidents.values()))
        over = self._explaining - explaining
        self._explaining = explaining
        if batch and not over and now - self._all_decided_at < DECIDE_ALL_S:
            return [incident for key, incident in incidents.items() if self._open.get(key) is not incident]
        self._all_decided_at = now
        return list(incidents.values())

    def _decide_all(
        self,
        concerned: Sequence[Incident],
        incidents: dict[str, Incident],
        deliveries: list[Delivery],
        withheld: list[Notification],
    ) -> None:
        """Decide on incidents and carry it out; an incident that explains others names them in what it says."""
        explaining = explaining_by_cause(incidents.values())
        decisions = {incident.id: self._decision_on(incident, explaining) for incident in concerned}
        for key, decision in list(decisions.items()):
            other = incidents[decision.explained_by.id] if decision.explained_by is not None else None
            if other is not None and incidents[key].cause not in other.explains:
                explains = tuple(sorted({*other.explains, incidents[key].cause}))
                incidents[other.id] = msgspec.structs.replace(other, explains=explains)
                decisions[other.id] = self._decision_on(incidents[other.id], explaining)
        for key, decision in decisions.items():
            incidents[key] = self._carry_out(incidents[key], decision, deliveries, withheld)

    def _place(self, finding: Finding, incidents: dict[str, Incident], on_cause: list[str]) -> None:
        """Put a finding into its incident; ``on_cause`` are the ids of the open ones on its cause."""
        live = [incidents[key] for key in on_cause]
        assessment = assess(finding, self._config.rules, self._config.routes)
        incident = find_incident(finding, assessment.severity, live, timedelta(seconds=self._config.join_s))
        if incident is None:
            if finding.status is FindingStatus.CLOSED:
                return  # it was over before we ever heard of it
            incident = begin_incident(finding)
            on_cause.append(incident.id)
        entry = Entry(
            finding=finding,
            severity=assessment.severity,
            receivers=self._receivers_of(finding, assessment),
            controls=match_controls(finding, self._config.mappings),
        )
        incidents[incident.id] = bound_incident(take_finding(incident, entry))

    def _receivers_of(self, finding: Finding, assessment: Assessment) -> tuple[str, ...]:
        """Return who must hear of a finding; that a receiver fails is said to any other one."""
        if finding.code != FAILED_CODE:
            return assessment.receivers
        routed = [name for name in assessment.receivers if name != finding.cause_rrset]
        everybody = [name for name in self._notifiers if name != finding.cause_rrset]
        for names in (routed, everybody):
            if reachable := tuple(name for name in names if name not in self._failing):
                return reachable
        return tuple(routed or everybody)

    def _decision_on(self, incident: Incident, explaining: Mapping[str, Incident]) -> Decision:
        return decide(
            incident,
            explaining,
            now=utc(self._steady()),
            wall=utc(self._clock()),
            repeat=timedelta(seconds=self._config.repeat_s),
            drift_hold=timedelta(seconds=self._config.drift_hold_s),
        )

    def _carry_out(
        self, incident: Incident, decision: Decision, deliveries: list[Delivery], withheld: list[Notification]
    ) -> Incident:
        now = utc(self._clock())
        if decision.receivers:
            return self._order(incident, decision, deliveries)
        if not incident.notified and not decision.ends and decision.reason != incident.withheld:
            withheld.append(self._withheld(incident, decision))
            incident = msgspec.structs.replace(incident, withheld=decision.reason)
        if decision.ends:
            return msgspec.structs.replace(incident, ended_at=now)
        if any(severity.rank > incident.severity.rank for severity in incident.notified.values()):
            # What was worst is over: when it comes back, it is told again.
            return msgspec.structs.replace(incident, notified=dict.fromkeys(incident.notified, incident.severity))
        return incident

    def _order(self, incident: Incident, decision: Decision, deliveries: list[Delivery]) -> Incident:
        """Put a delivery for each receiver into the outbox, and note in the incident that they were told."""
        now = utc(self._clock())
        number = incident.deliveries + 1
        for receiver in decision.receivers:
            deliveries.append(
                Delivery(
                    id=digest_of(incident.id, receiver, decision.event, str(number))[:32],
                    receiver=receiver,
                    event=decision.event,
                    reason=decision.reason,
                    incident=incident,
                    decided_at=now,
                )
            )
        told = {**incident.notified, **dict.fromkeys(decision.receivers, incident.severity)}
        return msgspec.structs.replace(
            incident,
            notified=told,
            said={**incident.said, **dict.fromkeys(decision.receivers, incident.story)},
            last_notified_at=utc(self._steady()),
            deliveries=number,
            ended_at=now if decision.ends else None,
        )

    def _withheld(self, incident: Incident, decision: Decision) -> Notification:
        notification_id = digest_of(incident.id, "withheld", decision.reason)[:32]
        blank = self._notification(incident, decision.event, notification_id)
        return msgspec.structs.replace(blank, status=NotificationStatus.WITHHELD, reason=decision.reason)

    def _notification(self, incident: Incident, event: NotificationEvent, notification_id: str) -> Notification:
        """Return a notification about an incident; what became of it is the caller's to fill in."""
        return Notification(
            id=notification_id,
            incident=incident.id,
            event=event,
            status=NotificationStatus.SENT,
            receiver="",
            reason="",
            at=utc(self._clock()),
            severity=incident.severity,
            summary=summarise(incident, event),
            cause_zone=incident.lead.cause_zone,
            findings=tuple(incident.entries),
            controls=incident.controls,
        )

    async def _deliver(self, patience_s: float) -> list[Notification]:
        """Send what is due, and settle what came of deliveries, until nothing is under way or the patience is over."""
        notifications: list[Notification] = []
        ends_at = time.monotonic() + patience_s
        while True:
            notifications += await self._in_thread(self._settle_results)
            await self._in_thread(self._begin_due)
            left_s = ends_at - time.monotonic()
            if self._sender.is_idle or left_s <= 0:
                return notifications
            # Each step of the ledger costs as much for one result as for many: more of them come at once.
            await self._sender.wait(left_s, GATHER_S)

    def _begin_due(self) -> None:
        """Hand what is due to the receivers' threads."""
        now = self._steady()
        for due in self._ledger.due(now, AT_ONCE):
            receiver = due[0].receiver
            if self._silences.get(receiver, (0, 0.0))[1] > now:
                continue
            busy = self._sender.busy(receiver)
            fit = [one for one in due if not one.unfit or one.incident.id in busy or self._renew(one, now)]
            self._sender.begin(receiver, choose_lanes(fit, busy, works=receiver in self._working))

    def _renew(self, delivery: Delivery, now: float) -> bool:
        """Replace what must not be said again by the incident's newest state, put it off if that is the same.

        Returns False: this delivery does not go out.
        """
        current = self._open.get(delivery.incident.id)
        if current is None:
            self._ledger.commit(settled=[Settled(delivery, True)])
            return False
        newer = msgspec.structs.replace(
            delivery,
            id=digest_of(delivery.id, str(delivery.attempts))[:32],
            incident=current,
            attempts=0,
            next_at=0.0,
            refused=False,
            unfit=False,
        )
        if describe(newer) == describe(delivery):
            self._ledger.commit(settled=[settle(delivery, UNFIT, now, over_for=None)])
        else:
            self._ledger.commit(settled=[Settled(delivery, True)], deliveries=[newer])
        return False

    def _settle_results(self) -> list[Notification]:
        """Write down what came of deliveries; those that are no longer ours to make are dropped."""
        self._unsettled += self._sender.take()
        attempts = [(one, outcome) for one, outcome in self._unsettled if self._ledger.waits(one.id)]
        if not attempts:
            self._unsettled = []
            return []
        settled, said = [], []
        for delivery, outcome in attempts:
            one, notification = self._settle(delivery, outcome)
            settled.append(one)
            said += [notification] if notification is not None else []
        self._ledger.commit(settled=settled, notifications=said)
        self._unsettled = []
        for delivery, outcome in attempts:
            _log_attempt(delivery, outcome)
            self._note_silence(delivery.receiver, outcome)
        return [*said, *self._note_receivers(attempts)]

    def _note_silence(self, receiver: str, outcome: Outcome) -> None:
        """Spare a receiver that fails; one that refuses answers, so others of its deliveries may fare better."""
        if outcome.delivered:
            self._working.add(receiver)
            self._silences.pop(receiver, None)
        elif outcome.retry:
            count = self._silences.get(receiver, (0, 0.0))[0] + 1
            self._silences[receiver] = (count, self._steady() + pause_after(count, outcome))
            self._working.discard(receiver)

    def _settle(self, delivery: Delivery, outcome: Outcome) -> tuple[Settled, Notification | None]:
        """Decide what an attempt means: what may still arrive is not given up, only reported once as failed."""
        attempts = delivery.attempts + 1
        is_open = delivery.incident.id in self._open
        over_for = None if is_open else utc(self._clock()) - delivery.decided_at
        settled = settle(delivery, outcome, self._steady(), over_for=over_for)
        if delivery.receiver not in self._notifiers:
            settled = Settled(delivery, True)
        if not (outcome.delivered or settled.done or self._is_news(delivery, outcome)):
            return settled, None
        status = NotificationStatus.SENT if outcome.delivered else NotificationStatus.FAILED
        notification = msgspec.structs.replace(
            self._notification(delivery.incident, delivery.event, delivery.id),
            status=status,
            receiver=delivery.receiver,
            reason=delivery.reason if outcome.delivered else f"{delivery.reason}; {outcome.detail}",
            attempts=attempts,
        )
        return settled, notification

    def _is_news(self, delivery: Delivery, outcome: Outcome) -> bool:
        """Return whether a failure is to be told: the first refusal, and the last try before patience is over."""
        refused_first = not outcome.retry and not delivery.refused
        return not outcome.delivered and (refused_first or delivery.attempts + 1 == self._config.max_attempts)

    def _note_receivers(self, attempts: Sequence[tuple[Delivery, Outcome]]) -> list[Notification]:
        """Turn a receiver that fails into a finding of ours, and end that once it works again."""
        said: list[Notification] = []
        for delivery, outcome in attempts:
            name = delivery.receiver
            failing = self._failing.get(name)
            if outcome.delivered:
                if failing is not None:
                    said += self._take([end_failure(self._failing.pop(name), utc(self._clock()))])
                continue
            failures = max(delivery.attempts + 1, self._silences.get(name, (0, 0.0))[0])
            if failing is None and (not outcome.retry or failures >= self._config.max_attempts):
                self._failing[name] = make_failure(delivery, outcome.detail, utc(self._clock()))
                said += self._take([self._failing[name]])
                for waiting in [delivery, *self._ledger.deliveries()]:
                    if waiting.receiver == name and (waiting is delivery or waiting.id != delivery.id):
                        self._tell_others(waiting)
        return said

    def _tell_others(self, delivery: Delivery) -> None:
        """Say what a failing receiver does not take to others, unless one that works was told; else on the terminal."""
        reachable = [name for name in self._notifiers if name not in self._failing]
        if not reachable:
            log.error("nobody can be told", extra={"receiver": delivery.receiver, "summary": summary_of(delivery)})
            self._last_resort(
                f"NOT DELIVERED to {delivery.receiver}, and no receiver can be reached:\n{screen(delivery)}\n"
            )
            return
        incident = self._open.get(delivery.incident.id)
        if incident is None or delivery.event == "resolve":
            return  # whoever was told hears the end
        told = [name for name in incident.notified if name in reachable]
        if told and (delivery.event == "trigger" or set(told) & set(incident.receivers)):
            return
        on_failures = self._receivers_of(self._failing[delivery.receiver], self._assess_failure(delivery.receiver))
        stand_ins = told or [name for name in on_failures if name in reachable] or reachable
        event = delivery.event if told else "trigger"
        decision = Decision(event, tuple(stand_ins), f"receiver {delivery.receiver} can't be reached")
        deliveries: list[Delivery] = []
        ordered = self._order(incident, decision, deliveries)
        self._ledger.commit(incidents=[ordered], deliveries=deliveries)
        self._open[ordered.id] = ordered

    def _assess_failure(self, receiver: str) -> Assessment:
        return assess(self._failing[receiver], self._config.rules, self._config.routes)


def _log_attempt(delivery: Delivery, outcome: Outcome) -> None:
    shown = {
        "receiver": delivery.receiver,
        "event": delivery.event,
        "incident": delivery.incident.id,
        "delivery": delivery.id,
        "attempt": delivery.attempts + 1,
        "detail": outcome.detail,
    }
    if outcome.delivered:
        log.info("delivered", extra=shown)
    elif outcome.retry:
        log.warning("delivery failed, will be tried again", extra=shown)
    else:
        log.error("delivery refused, will be tried again while its incident is open", extra=shown)

"""The alerts stage: ``handle`` findings, decide, deliver, and say what was said.

What is decided is in the ledger before anything leaves, so a crash loses nothing. A delivery is tried until it arrives
or is refused for good; one that fails for long is itself a finding that goes to the other receivers.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec

from alerts.config import AlertsConfig
from alerts.decide import Decision, decide, explaining_by_cause
from alerts.delivery import Delivery, Settled
from alerts.frameworks import match_controls
from alerts.incidents import Entry, Incident, begin_incident, cause_of, find_incident, take_finding
from alerts.ledger import SqliteLedger
from alerts.notifier import SIDE_BY_SIDE, Notifier, Outcome
from alerts.rules import Assessment, assess
from alerts.wording import summarise
from schemas.catalogue import CATALOGUE, Kind
from schemas.faults import Rejected
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

FAILED_CODE = "self_alert_delivery_failed"
GONE = "the configuration has no such receiver any more"
DECIDE_ALL_S = 1.0
# So many deliveries to a receiver are settled in one step; a crash may send them again, each under its id.
AT_ONCE = 32
BACKOFF_S = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)


class Alerts:
    """State: the open incidents, as the ledger has them."""

    def __init__(
        self,
        config: AlertsConfig,
        ledger: SqliteLedger,
        notifiers: Mapping[str, Notifier],
        clock: Callable[[], float],
    ) -> None:
        self._config, self._ledger, self._notifiers, self._clock = config, ledger, notifiers, clock
        self._open: dict[str, Incident] = {}
        self._failing: dict[str, Finding] = {}
        self._all_decided_at = 0.0
        self._explaining: frozenset[str] = frozenset()
        self._loaded = False

    def forget(self) -> None:
        """Take up the ledger again before the next batch: another process has been at work."""
        self._loaded = False

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Take in findings, decide, try what is due, and return the notifications that came of it.

        An empty batch means that time passed: reminders, retries and ends fall due.

        Raises:
            Transient: the ledger can't be written; nothing was taken in.
            Rejected: a message that is no finding.
        """
        try:
            if not self._loaded:
                await asyncio.to_thread(self._reload)
            withheld = await asyncio.to_thread(self._take, batch)
            sent = await self._deliver()
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
        self._take([self._ended(finding) for finding in stale])

    def _without_gone(self, entry: Entry) -> Entry:
        receivers = tuple(name for name in entry.receivers if name in self._notifiers)
        return msgspec.structs.replace(entry, receivers=receivers)

    def _ended(self, finding: Finding) -> Finding:
        at = utc(self._clock())
        return msgspec.structs.replace(
            finding, version=finding.version + 1, status=FindingStatus.CLOSED, updated_at=at, closed_at=at
        )

    def _take(self, batch: Sequence[Message]) -> list[Notification]:
        """Take findings in and decide; all of it is written in one transaction, or none."""
        incidents = dict(self._open)
        ids_by_cause: dict[str, list[str]] = {}
        for incident in incidents.values():
            ids_by_cause.setdefault(incident.cause, []).append(incident.id)
        versions: dict[str, int] = {}
        for message in batch:
            if not isinstance(message, Finding):
                raise Rejected(f"the alerts stage has no use for a {type(message).__name__}")
            known = versions.get(message.id) or self._ledger.handled_version(message.id)
            if message.version <= known:
                continue
            versions[message.id] = message.version
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
        return withheld

    def _to_decide(self, batch: Sequence[Message], incidents: Mapping[str, Incident]) -> list[Incident]:
        """Return what this batch changed; all there are in silence, once a second, and when one that explained is over.

        Reminders and ends fall due by time, and what an incident explained must be told once that one is over.
        """
        now = self._clock()
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
        incidents[incident.id] = take_finding(incident, entry)

    def _receivers_of(self, finding: Finding, assessment: Assessment) -> tuple[str, ...]:
        """Return who must hear of a finding; that a receiver fails is said to any other one."""
        if finding.code != FAILED_CODE:
            return assessment.receivers
        others = tuple(name for name in assessment.receivers if name != finding.cause_rrset)
        return others or tuple(name for name in self._notifiers if name != finding.cause_rrset)

    def _decision_on(self, incident: Incident, explaining: Mapping[str, Incident]) -> Decision:
        now, config = utc(self._clock()), self._config
        hold = timedelta(seconds=config.drift_hold_s)
        return decide(incident, explaining, now=now, repeat=timedelta(seconds=config.repeat_s), drift_hold=hold)

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
            last_notified_at=now,
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

    async def _deliver(self) -> list[Notification]:
        """Try what is due, all receivers at once and each in its order, until nothing more can go out now."""
        notifications: list[Notification] = []
        for _ in range(100):
            due = await asyncio.to_thread(self._ledger.due, self._clock(), AT_ONCE)
            if not due:
                break
            tried = await asyncio.gather(*(self._try_waiting(waiting) for waiting in due))
            attempts = [attempt for one in tried for attempt in one]
            settled = []
            said = []
            for delivery, outcome in attempts:
                one, notification = self._settle(delivery, outcome)
                settled.append(one)
                said += [notification] if notification is not None else []
            await asyncio.to_thread(self._ledger.commit, settled=settled, notifications=said)
            notifications += said
            notifications += await asyncio.to_thread(self._note_receivers, attempts, settled)
        return notifications

    async def _try_waiting(self, waiting: Sequence[Delivery]) -> list[tuple[Delivery, Outcome]]:
        """Try one receiver's deliveries: the first alone, and if that is settled the others side by side.

        What is said of one incident stays in order: what follows a delivery that must be tried again waits for it.
        """
        attempts = await asyncio.to_thread(self._try_in_order, waiting[:1])
        if self._must_wait(attempts):
            return attempts
        by_incident: dict[str, list[Delivery]] = {}
        for delivery in waiting[1:]:
            by_incident.setdefault(delivery.incident.id, []).append(delivery)
        turn = asyncio.Semaphore(SIDE_BY_SIDE)

        async def try_group(group: Sequence[Delivery]) -> list[tuple[Delivery, Outcome]]:
            async with turn:
                return await asyncio.to_thread(self._try_in_order, group)

        tried = await asyncio.gather(*map(try_group, by_incident.values()))
        return [*attempts, *(attempt for group in tried for attempt in group)]

    def _try_in_order(self, group: Sequence[Delivery]) -> list[tuple[Delivery, Outcome]]:
        """Try deliveries until one must be tried again, now or later."""
        attempts: list[tuple[Delivery, Outcome]] = []
        for delivery in group:
            if delivery.next_at > self._clock() or self._must_wait(attempts):
                break
            attempts.append((delivery, self._try(delivery)))
        return attempts

    @staticmethod
    def _must_wait(attempts: Sequence[tuple[Delivery, Outcome]]) -> bool:
        return bool(attempts) and not attempts[-1][1].delivered and attempts[-1][1].retry

    def _try(self, delivery: Delivery) -> Outcome:
        notifier = self._notifiers.get(delivery.receiver)
        if notifier is None:
            return Outcome(False, GONE, retry=False)
        return notifier.send(delivery, self._clock())

    def _settle(self, delivery: Delivery, outcome: Outcome) -> tuple[Settled, Notification | None]:
        """Decide what an attempt means: what may still arrive is never given up, only reported once as failed."""
        attempts = delivery.attempts + 1
        again = not outcome.delivered and outcome.retry
        pause_s = max(BACKOFF_S[min(attempts - 1, len(BACKOFF_S) - 1)], outcome.retry_after_s or 0.0)
        settled = Settled(delivery, not again, self._clock() + pause_s)
        if again:
            log.warning(
                "delivery failed, will be tried again",
                extra={"receiver": delivery.receiver, "attempt": attempts, "detail": outcome.detail, "in_s": pause_s},
            )
            if attempts != self._config.max_attempts:
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

    def _note_receivers(
        self, attempts: Sequence[tuple[Delivery, Outcome]], settled: Sequence[Settled]
    ) -> list[Notification]:
        """Turn a delivery that failed for good into a finding of ours, and end that once the receiver works again."""
        findings = []
        for (delivery, outcome), one in zip(attempts, settled, strict=True):
            failing = self._failing.get(delivery.receiver)
            failed = not outcome.delivered and (one.done or delivery.attempts + 1 >= self._config.max_attempts)
            if failed and failing is None:
                findings.append(self._delivery_failed(delivery.receiver, outcome.detail))
            elif outcome.delivered and failing is not None:
                findings.append(self._ended(self._failing.pop(delivery.receiver)))
        return self._take(findings) if findings else []

    def _delivery_failed(self, receiver: str, detail: str) -> Finding:
        row = CATALOGUE[FAILED_CODE]
        at = utc(self._clock())
        key = digest_of(row.code, "", receiver)[:32]
        finding = Finding(
            id=digest_of(key, at.isoformat())[:32],
            key=key,
            version=1,
            status=FindingStatus.OPENED,
            code=row.code,
            kind=Kind.STATE,
            severity=row.severity,
            confirmed=True,
            cause_zone="",
            cause_rrset=receiver,
            detail=f"receiver {receiver}: {detail}",
            opened_at=at,
            updated_at=at,
        )
        self._failing[receiver] = finding
        return finding

"""What goes out now, and what attempts came to: the outbox of every receiver, seen together. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from alerts.decision.incidents import Incident
from alerts.decision.timekeeping import Moment
from alerts.delivery.delivery import Delivery, DeliveryOutcome, Settled
from alerts.delivery.failures import UNFIT
from alerts.delivery.outbox import Lane, choose_lanes, pause_after, settle
from alerts.delivery.record import record_delivery
from alerts.delivery.wording import describe
from schemas.messages import Notification, NotificationStatus
from schemas.wire import digest_of

Attempt = tuple[Delivery, DeliveryOutcome]


@dataclass(frozen=True, slots=True)
class Condition:
    """How a receiver does: whether the last delivery arrived, how many failed in a row, until when it is spared."""

    works: bool = False
    failures: int = 0
    spared_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What an attempt says of its receiver: it works, or it fails with what it answers."""

    delivery: Delivery
    works: bool
    detail: str = ""


@dataclass(slots=True)
class Settlement:
    """What is to be written of deliveries; ``conditions`` count once it is."""

    settled: list[Settled] = field(default_factory=list)
    renewed: list[Delivery] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    conditions: dict[str, Condition] = field(default_factory=dict)

    @property
    def done(self) -> set[str]:
        """Return the deliveries that wait no more."""
        return {one.delivery.id for one in self.settled if one.done}


class Dispatch:
    """State: how each receiver does. A delivery that fails ``max_attempts`` times is reported, and tried on."""

    def __init__(self, receivers: Collection[str], max_attempts: int) -> None:
        self._receivers, self._max_attempts = frozenset(receivers), max_attempts
        self._conditions: dict[str, Condition] = {}

    def choose(
        self, due: Sequence[Delivery], busy: Collection[str], incidents: Mapping[str, Incident], now: float
    ) -> tuple[list[Lane], Settlement]:
        """Return the deliveries of one receiver to begin now, by lane, and what must be written before.

        ``due`` is oldest first, ``busy`` are the incidents of deliveries under way, ``incidents`` are open.
        """
        settlement = Settlement()
        condition = self._conditions.get(due[0].receiver, Condition())
        if condition.spared_until > now:
            return [], settlement
        fit = []
        for delivery in due:
            if delivery.unfit and delivery.incident.id not in busy:
                self._renew(delivery, incidents.get(delivery.incident.id), now, settlement)
            else:
                fit.append(_with_memos(delivery, incidents.get(delivery.incident.id)))
        return choose_lanes(fit, busy, works=condition.works), settlement

    @staticmethod
    def _renew(delivery: Delivery, current: Incident | None, now: float, settlement: Settlement) -> None:
        """Replace words that must not be sent again by the newest state; put them off if that is the same."""
        if current is None:
            settlement.settled.append(Settled(delivery, True))
            return
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
            settlement.settled.append(settle(delivery, UNFIT, now, over_for=None))
        else:
            settlement.settled.append(Settled(delivery, True))
            settlement.renewed.append(newer)

    def settle(self, attempts: Sequence[Attempt], incidents: Mapping[str, Incident], at: Moment) -> Settlement:
        """Return what attempts mean: what may still arrive is not given up, only reported once as failed."""
        settlement = Settlement()
        for delivery, outcome in attempts:
            self._settle_one(delivery, outcome, delivery.incident.id in incidents, at, settlement)
        for delivery, outcome in attempts:
            failures = max(delivery.attempts + 1, settlement.conditions[delivery.receiver].failures)
            if outcome.delivered:
                settlement.reports.append(Report(delivery, True))
            elif not outcome.retry or failures >= self._max_attempts:
                settlement.reports.append(Report(delivery, False, outcome.detail))
        return settlement

    def conclude(self, settlement: Settlement) -> None:
        """Note how receivers do, now that it is written."""
        self._conditions |= settlement.conditions

    def _settle_one(
        self, delivery: Delivery, outcome: DeliveryOutcome, is_open: bool, at: Moment, settlement: Settlement
    ) -> None:
        now, receiver = at.steady.timestamp(), delivery.receiver
        before = settlement.conditions.get(receiver) or self._conditions.get(receiver, Condition())
        # A page that is refused says nothing of the others; of events that all look alike it does.
        may_be_its_words = not outcome.retry and not delivery.finding
        settlement.conditions[receiver] = before if may_be_its_words else _condition_after(outcome, before, now)
        over_for = None if is_open else at.wall - delivery.decided_at
        settled = settle(delivery, outcome, now, over_for=over_for)
        if receiver not in self._receivers:
            settled = Settled(delivery, True)
        settlement.settled.append(settled)
        if delivery.finding:
            # An event that arrived is no notification of anybody; one that is given up must be known.
            is_news = settled.done and not outcome.delivered
        else:
            is_news = outcome.delivered or settled.done or self._is_news(delivery, outcome)
        if not is_news:
            return
        status = NotificationStatus.SENT if outcome.delivered else NotificationStatus.FAILED
        reason = delivery.reason if outcome.delivered else f"{delivery.reason}; {outcome.detail}"
        attempts = delivery.attempts + 1
        settlement.notifications.append(record_delivery(delivery, status, reason, at.wall, attempts=attempts))

    def _is_news(self, delivery: Delivery, outcome: DeliveryOutcome) -> bool:
        """Return whether a failure goes on record: the first refusal, and the last try before patience is over."""
        refused_first = not outcome.retry and not delivery.refused
        return not outcome.delivered and (refused_first or delivery.attempts + 1 == self._max_attempts)


def _with_memos(delivery: Delivery, current: Incident | None) -> Delivery:
    """Return a delivery with what its receiver noted since it was ordered."""
    if current is None or current.memos == delivery.incident.memos:
        return delivery
    return msgspec.structs.replace(delivery, incident=msgspec.structs.replace(delivery.incident, memos=current.memos))


def _condition_after(outcome: DeliveryOutcome, before: Condition, now: float) -> Condition:
    """Return how a receiver does after an attempt that says something of it."""
    if outcome.delivered:
        return Condition(works=True)
    failures = before.failures + 1
    return Condition(works=False, failures=failures, spared_until=now + pause_after(failures, outcome))

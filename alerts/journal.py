"""What was decided, written to the ledger and then to the log, so that neither says what the other does not."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from alerts.decision.order import Order, Step
from alerts.delivery.delivery import delivery_of
from alerts.delivery.dispatch import Attempt, Settlement
from alerts.delivery.failures import shown_of, shown_of_attempt, summary_of
from alerts.delivery.record import record_withheld
from alerts.delivery.wording import screen
from alerts.ledger.ledger import Ledger
from schemas.messages import Act, Notification

log = logging.getLogger(__name__)


class Journal:
    """Writes steps; ``last_resort`` gets the text that no receiver takes."""

    def __init__(self, ledger: Ledger, last_resort: Callable[[str], object]) -> None:
        self._ledger, self._last_resort = ledger, last_resort

    def write(self, step: Step, settlement: Settlement, at: datetime) -> list[Notification]:
        """Write a step, whole or not at all; return its notifications.

        Raises:
            Transient: the ledger can't be written.
        """
        withheld = [record_withheld(one, at) for one in step.withheld]
        notifications = [*settlement.notifications, *withheld]
        self._ledger.commit(
            incidents=step.incidents,
            handled=step.handled.items(),
            deliveries=[*settlement.renewed, *map(delivery_of, step.orders)],
            settled=settlement.settled,
            notifications=notifications,
            silences=step.silences,
        )
        for finding in step.taken:
            log.info(f"finding {finding.status}", extra=shown_of(finding))
        for act, why_not in step.acts:
            _log_act(act, why_not)
        for one in withheld:
            log.info("notification withheld", extra={"incident": one.incident, "reason": one.reason})
        for order in step.undeliverable:
            self._print_undeliverable(order)
        return notifications

    def _print_undeliverable(self, order: Order) -> None:
        log.error("nobody can be notified", extra={"receiver": order.receiver, "summary": summary_of(order)})
        self._last_resort(f"NOT DELIVERED to {order.receiver}, and no receiver can be reached:\n{screen(order)}\n")

    @staticmethod
    def log_attempts(attempts: Iterable[Attempt]) -> None:
        """Log what attempts came to, one line each."""
        levels = logging.getLevelNamesMapping()
        for delivery, outcome in attempts:
            level, text, shown = shown_of_attempt(delivery, outcome)
            log.log(levels[level], text, extra=shown)


def _log_act(act: Act, why_not: str) -> None:
    """Log what somebody did: who can act can also try to hide something."""
    shown = {"act": act.id, "kind": act.kind, "who": act.by, "subject": act.subject, "why": act.why, "via": act.source}
    if why_not:
        log.warning("an act has no effect", extra={**shown, "detail": why_not})
    else:
        log.info("an act was taken in", extra=shown)

"""What the alerts would have ordered of findings of the past: the same decisions, on a virtual clock. Pure.

Every receiver counts as working. What was open when it begins counts as told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from alerts.config import AlertsConfig
from alerts.decision.book import IncidentBook
from alerts.decision.order import Order, Step, Withheld
from alerts.decision.timekeeping import Moment
from schemas.messages import Finding

MOST_TURNS = 100
"""So many times in a row something may follow from itself at one instant."""


@dataclass(slots=True)
class Rehearsal:
    """What would have been ordered, and what would have been withheld, each in order; ``findings`` are those seen."""

    orders: list[Order] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    findings: set[str] = field(default_factory=set)

    def note(self, step: Step) -> None:
        """Take in what one step orders and withholds."""
        self.orders += step.orders
        self.withheld += step.withheld
        self.findings.update(step.handled)


def rehearse(
    config: AlertsConfig, carried: Sequence[Finding], versions: Iterable[Finding], since: datetime, until: datetime
) -> Rehearsal:
    """Return what comes of findings between two instants.

    ``carried`` are the findings as they were at ``since``, ``versions`` what was reported of findings from then on,
    oldest first.
    """
    stage = _Stage(IncidentBook(config, [receiver.name for receiver in config.receivers]), since)
    stage.take(carried, since)
    stage.rehearsal.orders.clear()
    for at, some in groupby(versions, key=lambda finding: finding.updated_at):
        stage.wait_until(at)
        stage.take(list(some), at)
    stage.wait_until(until)
    return stage.rehearsal


class _Stage:
    """The incident book on a virtual clock."""

    def __init__(self, book: IncidentBook, now: datetime) -> None:
        self._book, self._now = book, now
        self._handled: dict[str, int] = {}
        self.rehearsal = Rehearsal()

    def take(self, findings: Sequence[Finding], at: datetime) -> None:
        """Take findings in, and whatever follows from them at the same instant; time never goes back."""
        self._now = max(self._now, at)
        moment = Moment(self._now, self._now)
        step = self._book.take(findings, self._handled, moment)
        self._handled |= step.handled
        self.rehearsal.note(step)
        for _ in range(MOST_TURNS):
            step = self._book.take([], {}, moment)
            self.rehearsal.note(step)
            if not step.orders and not step.incidents:
                return

    def wait_until(self, at: datetime) -> None:
        """Let time pass: reminders and ends fall due."""
        while (due_at := self._book.next_due_at()) is not None and due_at < at:
            self.take([], due_at)

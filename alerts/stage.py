"""The alerts stage: drives the incident book and the dispatch with a clock, a ledger and threads.

Decisions are in the ledger before anything leaves, so a crash loses nothing. Deliveries go out in threads of each
receiver's own; ``handle`` waits for none of them longer than ``PATIENCE_S``, and takes in later what came of them. A
delivery is tried until it arrives, however long its incident is open. A receiver that refuses, or fails for long, is
itself a finding that goes to the others, and what it should have said goes to them as well.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from alerts.config import AlertsConfig
from alerts.decision.book import IncidentBook
from alerts.decision.drills import CAUSE, arrived_at, drill_due, drills_over
from alerts.decision.letters import Letters, make_letters, period_of
from alerts.decision.order import Step
from alerts.decision.timekeeping import Moment, SteadyClock
from alerts.delivery.delivery import Delivery, DeliveryOutcome, Settled, delivery_of
from alerts.delivery.dispatch import Attempt, Dispatch, Settlement
from alerts.delivery.failures import UNDELIVERED, make_failure
from alerts.delivery.notifier import Notifier, Refreshing
from alerts.delivery.record import record_delivery
from alerts.delivery.sending import GONE, Sender
from alerts.journal import Journal
from alerts.ledger.ledger import Ledger
from schemas.faults import Rejected, Transient
from schemas.messages import Act, Finding, Message, Notification, NotificationStatus, Recall, utc

log = logging.getLogger(__name__)


class Sending(Protocol):
    """How deliveries are carried out; nothing here blocks but ``wait``."""

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is under way and nothing waits to be taken."""
        ...

    def busy(self, receiver: str) -> set[str]:
        """Return the incidents of the deliveries to a receiver that are under way or have results not taken."""
        ...

    def begin(self, receiver: str, lanes: Iterable[Sequence[Delivery]]) -> None:
        """Send the deliveries of each lane one after the other; one that fails ends its lane."""
        ...

    def take(self) -> list[tuple[Delivery, DeliveryOutcome]]:
        """Return what came of deliveries since the last time, in order."""
        ...

    async def wait(self, seconds: float, gather_s: float = 0.0) -> None:
        """Wait until there is something to take, at most so long; then ``gather_s`` for all that is under way."""
        ...

    def close(self) -> None:
        """Begin nothing more, and end what can be ended."""
        ...


# So many deliveries to a receiver may be under way or not yet settled; a crash may send them again, each under its id.
AT_ONCE = 64
PATIENCE_S = 0.5
FAREWELL_S = 3.0
GATHER_S = 0.2
REFRESH_EVERY_S = 60.0
MOST_DRILLS = 5
"""So many earlier test pages are looked at for when one arrived last."""
Result = TypeVar("Result")


class Alerts:
    """State: the incident book and the dispatch, as the ledger has them, and what is on its way.

    ``ticks`` are seconds that only run on, by which it waits and holds; by default the clock. ``patience_s`` is how
    long ``handle`` waits for receivers. ``last_resort`` writes what no receiver takes, by default to standard error.
    ``sender`` carries out the deliveries, by default in threads. ``letters`` says what digests say.
    """

    def __init__(
        self,
        config: AlertsConfig,
        ledger: Ledger,
        notifiers: Mapping[str, Notifier],
        clock: Callable[[], float],
        *,
        ticks: Callable[[], float] | None = None,
        patience_s: float = PATIENCE_S,
        last_resort: Callable[[str], object] | None = None,
        sender: Sending | None = None,
        letters: Letters | None = None,
    ) -> None:
        self._config, self._ledger, self._notifiers, self._clock = config, ledger, notifiers, clock
        self._pagers = notifiers.keys() - {one.name for one in config.receivers if one.takes_findings}
        self._steady = SteadyClock(clock, ticks or clock)
        self._patience_s = patience_s
        self._journal = Journal(ledger, last_resort or sys.stderr.write)
        self._sender: Sending = sender or Sender(notifiers, clock)
        self._letters = letters
        self._written: set[str] = set()
        self._drill_arrived_at = 0.0
        # A thread of its own: others who hang in the shared ones must not keep anybody from being paged.
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._refresher = ThreadPoolExecutor(1, "refresh")
        self._refreshing: Future[None] | None = None
        self._refreshed_at = 0.0
        self._book = IncidentBook(config, notifiers)
        self._dispatch = Dispatch(notifiers, config.max_attempts)
        self._unsettled: list[Attempt] = []
        self._loaded = False

    def forget(self) -> None:
        """Take up the ledger again before the next batch: another process has been at work."""
        self._loaded = False

    @property
    def failing(self) -> dict[str, str]:
        """Return the receivers that can't be reached, with what they answer."""
        return {name: finding.detail.partition(UNDELIVERED)[0] for name, finding in list(self._book.failing.items())}

    @property
    def states(self) -> dict[str, int]:
        """Return how many open incidents are in each state; silenced ones are one of their own."""
        return self._book.count_states()

    @property
    def drill_at(self) -> float:
        """Return when the last test page had arrived everywhere, in POSIX seconds; 0 for never."""
        return self._drill_arrived_at

    @property
    def reaches_nobody(self) -> bool:
        """Return whether there are receivers of pages, and all of them fail."""
        return bool(self._pagers) and self._book.failing.keys() >= self._pagers

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
            self._refresher.shutdown(wait=False, cancel_futures=True)

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Take in findings and what people did, decide, and send what is due.

        Returns the notifications that came of it so far; what is still on its way is in those of a later call. An empty
        batch means that time passed: reminders, retries and ends fall due.

        Raises:
            Transient: the ledger can't be written; nothing was taken in.
            Rejected: a message that is neither a finding nor an act.
        """
        try:
            if not self._loaded:
                await self._in_thread(self._reload)
            said = await self._in_thread(partial(self._advance, batch))
            return [*said, *await self._deliver(self._patience_s)]
        except BaseException:
            self._loaded = False  # what the ledger has is the truth
            raise

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _now(self) -> Moment:
        return Moment(utc(self._steady()), utc(self._clock()))

    def _reload(self) -> None:
        """Take up what the ledger has; deliveries to receivers that the configuration lost go on record as failed."""
        at = self._now()
        lost = [one for one in self._ledger.deliveries() if one.receiver not in self._notifiers]
        records = [record_delivery(one, NotificationStatus.FAILED, GONE, at.wall) for one in lost if not one.finding]
        book = IncidentBook(self._config, self._notifiers)
        step = book.load(self._ledger.open_incidents(), at, self._ledger.silences())
        self._journal.write(step, Settlement([Settled(one, True) for one in lost], notifications=records), at.wall)
        self._book, self._loaded = book, True
        self._written.clear()
        if self._config.drill is not None:
            earlier = (one for one in self._ledger.incidents_on(CAUSE, MOST_DRILLS) if one.ended_at is not None)
            arrivals = [arrived_at(one, self._ledger.notifications_of(one.id)) for one in earlier]
            self._drill_arrived_at = max((one.timestamp() for one in arrivals if one is not None), default=0.0)

    def _advance(self, batch: Sequence[Message] | None) -> list[Notification]:
        """Settle what came of deliveries, take a batch in, write both in one step, and begin what is due.

        Without a batch nothing is decided but what the deliveries say of their receivers.
        """
        at = self._now()
        findings, acts = _split(batch or ())
        handled = self._ledger.handled_versions([*(one.id for one in findings), *(act.id for act in acts)])
        self._unsettled += self._sender.take()
        attempts = self._own_attempts()
        settlement = self._dispatch.settle(attempts, self._book.incidents, at)
        memos = [(one.incident.id, one.receiver, outcome.memo) for one, outcome in attempts if outcome.memo]
        steps = [*self._hear(settlement, at), *([self._book.remember(memos)] if memos else [])]
        if batch is not None:
            begun, ended = self._begin_drill(handled, at), self._end_drills(at, steps)
            steps += [self._book.take([*findings, *begun, *ended], handled, at, acts), *self._write_letters(at)]
        said = self._journal.write(Step.joined(steps), settlement, at.wall)
        self._dispatch.conclude(settlement)
        self._unsettled = []
        self._journal.log_attempts(attempts)
        self._begin_due()
        self._refresh(at)
        return said

    def _begin_drill(self, handled: dict[str, int], at: Moment) -> list[Finding]:
        """Return the test page whose turn it is, none where it was sent already."""
        due = drill_due(self._config.drill, at) if self._config.drill is not None else None
        if due is None or due.id in self._written:
            return []
        handled.update(self._ledger.handled_versions([due.id]))
        self._written.add(due.id)
        return [due]

    def _end_drills(self, at: Moment, steps: list[Step]) -> list[Finding]:
        """Return the ends of test pages that are over; that one did not arrive is a finding, or at least in the log."""
        plan, ends = self._config.drill, []
        lasts_s = plan.lasts_s if plan is not None else 0.0  # without a plan the last one is over
        for incident, end in drills_over(self._book.incidents.values(), timedelta(seconds=lasts_s), at):
            ends.append(end)
            arrived = arrived_at(incident, self._ledger.notifications_of(incident.id))
            if arrived is not None:
                self._drill_arrived_at = arrived.timestamp()
            if arrived is not None or plan is None:
                continue
            waiting = {one.receiver: one for one in self._ledger.deliveries() if one.incident.id == incident.id}
            log.error(
                "the test page did not arrive",
                extra={"incident": incident.id, "receivers": sorted(waiting), "withheld": incident.withheld},
            )
            why = f"the test page did not arrive within {lasts_s / 60:g} min"
            late = [one for name, one in waiting.items() if name not in self._book.failing and name in self._pagers]
            steps += [self._book.fail(make_failure(one, why, at.wall), [], at) for one in late]
        return ends

    def _write_letters(self, at: Moment) -> list[Step]:
        """Return the digests whose turn it is, once what they say is known; each period is written once."""
        plan, letters = self._config.digests, self._letters
        period = period_of(plan, at) if plan is not None else None
        if plan is None or letters is None or period is None or period[0] in self._written:
            return []
        key, since, until = period
        if key not in self._ledger.handled_versions([key]):
            said = letters.ask(since, until)
            if said is None:
                return []
            self._written.add(key)
            return [Step(handled={key: 1}, orders=tuple(make_letters(plan, said, key, at)))]
        self._written.add(key)
        return []

    def _own_attempts(self) -> list[Attempt]:
        """Return the attempts to settle; those of deliveries that are no longer ours to make are left out."""
        waiting = self._ledger.waiting([delivery.id for delivery, _ in self._unsettled])
        return [(delivery, outcome) for delivery, outcome in self._unsettled if delivery.id in waiting]

    def _hear(self, settlement: Settlement, at: Moment) -> list[Step]:
        """Turn a receiver that fails into a finding of ours, and end that once it works again."""
        steps = []
        for report in settlement.reports:
            name, failing = report.delivery.receiver, self._book.failing
            if report.works and name in failing:
                steps.append(self._book.recover(name, at))
            elif not report.works and name not in failing:
                pages = name in self._pagers  # nobody stands in for events, of which there may be very many
                waiting = [one for one in self._ledger.deliveries() if one.receiver == name] if pages else []
                left = [report.delivery, *(one for one in waiting if one.id not in settlement.done)]
                steps.append(self._book.fail(make_failure(report.delivery, report.detail, at.wall), left, at))
        return steps

    def _refresh(self, at: Moment) -> None:
        """Have receivers that forget be told again, every minute, of what goes on; in a thread beside the others."""
        if self._refreshing is not None and not self._refreshing.done():
            return
        if abs(at.steady.timestamp() - self._refreshed_at) < REFRESH_EVERY_S:
            return
        self._refreshed_at = at.steady.timestamp()
        work = []
        for name, notifier in self._notifiers.items():
            firing = self._book.firing_at(name, at) if isinstance(notifier, Refreshing) else []
            if firing and isinstance(notifier, Refreshing):
                work.append(partial(notifier.refresh, list(map(delivery_of, firing)), self._clock()))
        if work:
            self._refreshing = self._refresher.submit(_run_all, work)

    def _begin_due(self) -> None:
        """Hand what is due to the receivers' threads."""
        now = self._steady()
        for due in self._ledger.due(now, AT_ONCE):
            receiver = due[0].receiver
            busy = self._sender.busy(receiver)
            lanes, settlement = self._dispatch.choose(due, busy, self._book.incidents, now)
            self._journal.write(Step(), settlement, utc(self._clock()))
            self._sender.begin(receiver, lanes)

    async def _deliver(self, patience_s: float) -> list[Notification]:
        """Settle what comes of deliveries, and send what is due, until nothing is under way or the patience is over."""
        said: list[Notification] = []
        ends_at = time.monotonic() + patience_s
        while not self._sender.is_idle and (left_s := ends_at - time.monotonic()) > 0:
            # Each step of the ledger costs as much for one result as for many: more of them come at once.
            await self._sender.wait(left_s, GATHER_S)
            said += await self._in_thread(partial(self._advance, None))
        return said


def _split(batch: Sequence[Message]) -> tuple[list[Finding], list[Act]]:
    """Return the findings and what people did; what analyzer and collectors ask each other is not for us."""
    for message in batch:
        if not isinstance(message, Finding | Act | Recall):
            raise Rejected(f"the alerts stage has no use for a {type(message).__name__}")
    findings = [message for message in batch if isinstance(message, Finding)]
    return findings, [message for message in batch if isinstance(message, Act)]


def _run_all(work: Iterable[Callable[[], DeliveryOutcome]]) -> None:
    """Do one thing after the other; what fails is logged, and comes again in a minute."""
    for one in work:
        outcome = one()
        if not outcome.delivered:
            log.warning("what goes on could not be said again", extra={"detail": outcome.detail})

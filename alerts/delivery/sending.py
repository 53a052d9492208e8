"""Deliveries under way: threads of each receiver's own, and what came of them.

Decisions never wait for a receiver. A thread that is still in one delivery after its time is abandoned (it may
hang in looking up a name, which nothing can cut) and counts as a failure; when all threads hang, no more are made.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, SIDE_BY_SIDE, Closing, Notifier

log = logging.getLogger(__name__)

LEFT_AFTER_S = DEADLINE_S + 5.0
GONE = "the configuration has no such receiver any more"


@dataclass(slots=True, eq=False)
class _Lane:
    """One thread: what it sends, since when, and whether it was left alone."""

    delivery: Delivery | None = None
    since: float = 0.0
    is_left: bool = False


@dataclass(slots=True, eq=False)
class _Threads:
    """One receiver's threads, and the deliveries, by incident, that wait for one of them."""

    lanes: list[_Lane] = field(default_factory=list)
    queue: deque[deque[Delivery]] = field(default_factory=deque)
    incidents: set[str] = field(default_factory=set)


class Sender:
    """Sends through the receivers; its methods don't block and may be called from one thread at a time.

    ``clock`` returns POSIX seconds, as receivers see them; ``monotonic`` measures how long a delivery takes.
    """

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        clock: Callable[[], float],
        *,
        left_after_s: float = LEFT_AFTER_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notifiers, self._clock, self._monotonic = notifiers, clock, monotonic
        self._left_after_s = left_after_s
        self._lock = threading.Lock()
        self._threads_by_receiver: dict[str, _Threads] = {}
        self._results: list[tuple[Delivery, DeliveryOutcome]] = []
        self._wake: Callable[[], object] | None = None

    def busy(self, receiver: str) -> set[str]:
        """Return the incidents of the deliveries to a receiver that are under way or have results not taken."""
        with self._lock:
            threads = self._threads_by_receiver.get(receiver)
            taken = {delivery.incident.id for delivery, _ in self._results if delivery.receiver == receiver}
            return taken | (threads.incidents if threads is not None else set())

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is under way and nothing waits to be taken; what was left alone does not count."""
        with self._lock:
            return not self._results and not any(threads.incidents for threads in self._threads_by_receiver.values())

    @property
    def is_busy(self) -> bool:
        """Return whether any delivery is under way."""
        with self._lock:
            return any(threads.incidents for threads in self._threads_by_receiver.values())

    def begin(self, receiver: str, lanes: Iterable[Sequence[Delivery]]) -> None:
        """Send the deliveries of each lane one after the other, the lanes side by side.

        A delivery that fails ends its lane: what follows it is in the ledger, and comes again.
        """
        notifier = self._notifiers.get(receiver)
        with self._lock:
            threads = self._threads_by_receiver.setdefault(receiver, _Threads())
            for lane in lanes:
                if notifier is None:
                    self._results += [(delivery, DeliveryOutcome(False, GONE, retry=False)) for delivery in lane]
                    continue
                threads.queue.append(deque(lane))
                threads.incidents.add(lane[0].incident.id)
            hanging = sum(lane.is_left for lane in threads.lanes)
            if threads.queue and notifier is not None and hanging >= SIDE_BY_SIDE:
                stuck = DeliveryOutcome(False, f"{hanging} earlier deliveries still hang")
                self._results += [(group[0], stuck) for group in threads.queue]
                self._give_back(threads)
            wanted = min(SIDE_BY_SIDE - len(threads.lanes), len(threads.queue))
            for _ in range(max(0, wanted)):
                assert notifier is not None
                one = _Lane()
                threads.lanes.append(one)
                name = f"to-{receiver}"
                threading.Thread(target=self._run, args=(threads, one, notifier), name=name, daemon=True).start()

    def take(self) -> list[tuple[Delivery, DeliveryOutcome]]:
        """Return what came of deliveries since the last time, in order; late ones have failed."""
        now = self._monotonic()
        with self._lock:
            for threads in self._threads_by_receiver.values():
                for lane in threads.lanes:
                    if lane.delivery is None or lane.is_left or now - lane.since <= self._left_after_s:
                        continue
                    late = DeliveryOutcome(False, f"no end within {now - lane.since:.0f} s")
                    self._results.append((lane.delivery, late))
                    threads.incidents.discard(lane.delivery.incident.id)
                    lane.is_left = True
                    self._give_back(threads)
            results, self._results = self._results, []
        return results

    async def wait(self, seconds: float, gather_s: float = 0.0) -> None:
        """Wait until there is something to take, at most so long; then ``gather_s`` for all that is under way."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        with self._lock:
            self._wake = lambda: loop.call_soon_threadsafe(woken.set)
        try:
            ends_at, is_gathering = loop.time() + seconds, False
            async with asyncio.timeout_at(ends_at) as limit:
                while self.is_busy or not self._results:
                    if self._results and not is_gathering:
                        is_gathering = True
                        limit.reschedule(min(loop.time() + gather_s, ends_at))
                    await woken.wait()
                    woken.clear()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._wake = None

    def close(self) -> None:
        """Begin nothing more, and end what can be ended."""
        with self._lock:
            for threads in self._threads_by_receiver.values():
                self._give_back(threads)
        for notifier in self._notifiers.values():
            if isinstance(notifier, Closing):
                notifier.close()

    @staticmethod
    def _give_back(threads: _Threads) -> None:
        """Drop what no thread has begun: it is in the ledger, and comes again."""
        for group in threads.queue:
            threads.incidents.discard(group[0].incident.id)
        threads.queue.clear()

    def _run(self, threads: _Threads, lane: _Lane, notifier: Notifier) -> None:
        """Be one thread: take groups while there are any."""
        while True:
            with self._lock:
                if not threads.queue or lane.is_left:
                    threads.lanes.remove(lane)
                    return
                group = threads.queue.popleft()
            self._send_group(threads, lane, notifier, group)

    def _send_group(self, threads: _Threads, lane: _Lane, notifier: Notifier, group: deque[Delivery]) -> None:
        incident = group[0].incident.id
        for delivery in group:
            with self._lock:
                lane.delivery, lane.since = delivery, self._monotonic()
            outcome = _send(notifier, delivery, self._clock())
            with self._lock:
                lane.delivery = None
                if lane.is_left:
                    return  # it counts as failed already, and is tried again
                self._results.append((delivery, outcome))
                if not outcome.delivered or delivery is group[-1]:
                    threads.incidents.discard(incident)
                if self._wake is not None:
                    self._wake()
            if not outcome.delivered:
                return


def _send(notifier: Notifier, delivery: Delivery, now: float) -> DeliveryOutcome:
    try:
        return notifier.send(delivery, now)
    except Exception as fault:  # a receiver's bug is this receiver's failure, and reported as such
        log.exception("a receiver's code failed", exc_info=fault, extra={"receiver": delivery.receiver})
        return DeliveryOutcome(False, f"a fault of our own: {type(fault).__name__}")

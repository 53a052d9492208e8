"""Polling by processes of their own: each has its share of the zones, and one that dies is replaced at once.

The inventory is followed here, once; the processes know of their share only. What they report is handed on as if one
had polled everything.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, Sequence

import msgspec

from anchorwatch.configuration.loading import LogSection
from anchorwatch.pipeline import worker_start
from anchorwatch.pipeline.frames import Again, Closed, Order, Start, Stop, order_frame, read_report
from anchorwatch.pipeline.progress import SLOW_S
from anchorwatch.telemetry import Meter
from collector.config import CollectorConfig
from collector.following import InventoryFollower, Read
from collector.inventory.sources import InventorySources
from collector.polling.merging import MergedReports
from collector.polling.registrable import public_suffixes
from collector.polling.roster import RosterChange
from collector.polling.shares import Shares
from collector.polling.status import PollingStatus, sum_of
from schemas.messages import Message

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", worker_start.__file__)
TURN_S = 0.5
QUEUED = 8
PART = 2000
LONGEST_FAREWELL_S = 8.0
LONGEST_SILENCE_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
STEADY_S = 60.0
MOST_ENDS, ENDS_WITHIN_S = 5, 300.0
MOST_BYTES = 1 << 22


def default_workers() -> int:
    """Return how many processes poll where nobody says it: one core is left to all the others, and one is the least."""
    return max((os.cpu_count() or 1) - 1, 1)


class Workers:
    """Polls the inventory's endpoints by ``count`` processes, as ``Collector`` does in one.

    ``log`` says how the processes log.
    """

    def __init__(self, config: CollectorConfig, count: int, meter: Meter, log: LogSection) -> None:
        self._config, self._meter = config, meter
        self._start = Start(_config_of_each(config, count), log.level, log.format)
        self._reports: asyncio.Queue[Sequence[Message]] = asyncio.Queue(QUEUED)
        files = InventorySources(config.sources, config.vantage_names, config.state)
        self._wake = asyncio.Event()
        self._following = InventoryFollower(config, files, time.time, self._wake.set)
        self._shares = Shares(count, public_suffixes())
        self._merged = MergedReports(count)
        self._hosts = 0
        self.interval_s = config.interval_s
        self.is_stopping = False
        self._workers = [_Worker(number, self) for number in range(count)]

    def status(self) -> PollingStatus:
        """Return what is polled, and how polling goes, by all together."""
        total = sum_of((one.total for one in self._workers), self._hosts)
        return msgspec.structs.replace(total, inventory_changes=dict(self._following.changes))

    def reload_soon(self) -> None:
        """Read the inventory again at the next occasion, changed or not."""
        self._following.reload_soon()

    def observe_again(self, subjects: Sequence[tuple[str, str, str]]) -> None:
        """Observe (name, type, vantage) anew with the next poll: what was observed of them did not arrive."""
        if subjects:
            for worker in self._workers:
                worker.tell(Again(tuple(subjects)))

    def stop(self) -> None:
        """End the stream once the polls under way are handed on."""
        self.is_stopping = True
        self._wake.set()

    async def observe(self) -> AsyncGenerator[Sequence[Message], None]:
        """Yield batches of messages until ``stop``; an empty batch means that time passed."""
        self._following.look_again()
        tasks = [asyncio.create_task(worker.run()) for worker in self._workers]
        try:
            while not self.is_stopping:
                self._raise_fault(tasks)
                read = self._following.look(time.monotonic())
                if read is not None:
                    self._divide(read)
                    yield read.messages
                elif told := self._following.tell_again():
                    yield told
                batch = await self._next(TURN_S)
                yield batch if batch is not None else ()
            for worker in self._workers:
                worker.tell(Stop.NOW)
            give_up_at = time.monotonic() + LONGEST_FAREWELL_S
            while not all(task.done() for task in tasks) and time.monotonic() < give_up_at:
                batch = await self._next(0.05)
                yield batch if batch is not None else ()
            while not self._reports.empty():
                yield self._reports.get_nowait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def take(self, number: int, messages: Sequence[Message]) -> Sequence[Message]:
        """Return what of a worker's messages is news, as all workers together have it."""
        return self._merged.take(number, messages)

    async def report(self, messages: Sequence[Message]) -> None:
        """Have messages handed on; waits while nobody takes them."""
        await self._reports.put(messages)
        self._wake.set()

    def begin_with(self) -> Start:
        """Return the first order of each worker."""
        return self._start

    async def share_of(self, number: int) -> RosterChange:
        """Return all that a worker polls by the inventory as it is when this returns."""
        while True:
            roster = self._following.roster
            share = await asyncio.to_thread(self._shares.all_of, number, roster, self._config.vantage_names)
            if roster is self._following.roster:
                return share

    def why_not(self) -> str:
        """Return which process does not poll its share, though others do; empty while all do."""
        return "; ".join(filter(None, (worker.why_not(time.monotonic()) for worker in self._workers)))

    def count_restart(self) -> None:
        """Count a worker that had to be replaced."""
        self._meter.restarts.labels("worker").inc()

    def _divide(self, read: Read) -> None:
        self._hosts = read.change.hosts
        for worker, part in zip(self._workers, self._shares.divide(read.change), strict=True):
            worker.change(part)

    async def _next(self, wait_s: float) -> Sequence[Message] | None:
        """Return what is to be handed on next, None where there is nothing for so long."""
        if self._reports.empty():
            self._wake.clear()
            timer = asyncio.get_running_loop().call_later(wait_s, self._wake.set)
            await self._wake.wait()
            timer.cancel()
        return self._reports.get_nowait() if not self._reports.empty() else None

    @staticmethod
    def _raise_fault(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                raise fault


class _Worker:
    """One process after another with the same number, and the same share."""

    def __init__(self, number: int, all_workers: Workers) -> None:
        self._number, self._all = number, all_workers
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._process: Process | None = None
        self._has_share = False
        self._is_over = False
        self._status = PollingStatus()
        self._before = PollingStatus()
        self._listening_since: float | None = None
        self._polled_at = time.monotonic()
        self._ended_at: deque[float] = deque(maxlen=MOST_ENDS)
        self._slow_s = SLOW_S + 2 * all_workers.interval_s

    @property
    def total(self) -> PollingStatus:
        """Return the counts of all its processes, and the states of the one that runs."""
        return sum_of([self._before, self._status], 0)

    def tell(self, order: Order) -> None:
        """Have the process told something, in this order; one that is replaced forgets it."""
        self._is_over = self._is_over or isinstance(order, Stop)
        self._orders.put_nowait(order)

    def change(self, change: RosterChange) -> None:
        """Have the process told how its share has changed. Before its first one it has nothing."""
        self._has_share = True
        for part in change.parts(PART):
            self.tell(part)

    async def run(self) -> None:
        """Keep a process running until it is told to stop."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._begin_anew()
            if self._is_over:
                return
            began_at = time.monotonic()
            await self._run_once()
            if self._is_over:
                return
            self._ended_at.append(time.monotonic())
            self._all.count_restart()
            pause_s = FIRST_PAUSE_S if time.monotonic() - began_at > STEADY_S else min(pause_s * 2, LONGEST_PAUSE_S)
            log.error(
                "a process that polls has ended; another takes its share over",
                extra={"worker": self._number, "in_s": round(pause_s, 1)},
            )
            await asyncio.sleep(pause_s)

    async def _begin_anew(self) -> None:
        """Have the next process told all that its share is now; what was to be told to the last one is part of that."""
        if not self._has_share:
            return
        share = await self._all.share_of(self._number)
        self._orders = asyncio.Queue()
        self.change(share)

    def why_not(self, now: float) -> str:
        """Return why the share is not polled as it should be, empty if it is; ``now`` is monotonic."""
        since = self._listening_since
        if len(self._ended_at) == MOST_ENDS and now - self._ended_at[0] < ENDS_WITHIN_S:
            return f"process {self._number} that polls ended {MOST_ENDS} times within {ENDS_WITHIN_S:g} s"
        if since is not None and now - since > self._slow_s:
            return f"process {self._number} that polls has said nothing for {now - since:.0f} s"
        if self._status.watched and now - self._polled_at > self._slow_s:
            return f"process {self._number} has polled nothing for {now - self._polled_at:.0f} s"
        return ""

    async def _run_once(self) -> None:
        process = await asyncio.create_subprocess_exec(*COMMAND, stdin=PIPE, stdout=PIPE, limit=MOST_BYTES)
        self._process = process
        self._before, self._status = self.total.counts(), PollingStatus()
        telling = asyncio.create_task(self._tell_all(process))
        watching = asyncio.create_task(self._watch_over(process))
        try:
            await self._listen(process)
        finally:
            for task in (telling, watching):
                task.cancel()
            _kill(process)
            await process.wait()

    async def _tell_all(self, process: Process) -> None:
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(order_frame(self._all.begin_with()))
            while True:
                process.stdin.write(order_frame(await self._orders.get()))
                await process.stdin.drain()

    async def _watch_over(self, process: Process) -> None:
        """Kill a process that says nothing though it is listened to."""
        while self._listening_since is None or time.monotonic() - self._listening_since < LONGEST_SILENCE_S:
            await asyncio.sleep(1)
        log.error("a process that polls hangs: it is ended", extra={"worker": self._number})
        _kill(process)

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        while True:
            self._listening_since = time.monotonic()
            try:
                report = await read_report(process.stdout)
            except Closed:
                return
            finally:
                self._listening_since = None
            if isinstance(report, PollingStatus):
                if report.polls != self._status.polls or not self._status.watched:
                    self._polled_at = time.monotonic()
                self._status = report
            elif messages := self._all.take(self._number, report):
                await self._all.report(messages)


def _config_of_each(config: CollectorConfig, count: int) -> CollectorConfig:
    """Return how each of so many processes polls, so that all together keep to what is promised of one address."""
    if config.authorities is None or count == 1:
        return config
    authorities = msgspec.structs.replace(
        config.authorities, rate=config.authorities.rate / count, total_rate=config.authorities.total_rate / count
    )
    return msgspec.structs.replace(config, authorities=authorities)


def _kill(process: Process) -> None:
    """End a process at once; not by its own ``kill``, which takes its status from whoever waits for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)

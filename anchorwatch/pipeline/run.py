"""Every stage in one process: put together, supervised, and shut down in order.

Shutdown follows the messages: the collector ends its polls, then each bus is drained and closed, so what was accepted
is stored and decided before the process ends.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from alerts.delivery.notifier import Notifier
from alerts.ledger.overflow import OverflowLedger
from alerts.receivers.exchange import Line
from alerts.receivers.receiver import Receiver
from alerts.stage import Alerts
from analyzer.history.clickhouse import open_history
from analyzer.history.overflow import OverflowHistory
from analyzer.stage import Analyzer
from anchorwatch.configuration.loading import Config
from anchorwatch.judging import PUBLIC, OnDemand, Settings
from anchorwatch.metrics import add_alerts_metrics, add_analyzer_metrics, add_collector_metrics, add_progress_metrics
from anchorwatch.pipeline.dead_letters import FileDeadLetters, dead_letter_file
from anchorwatch.pipeline.heartbeat import Heartbeat
from anchorwatch.pipeline.local_bus import LocalBus
from anchorwatch.pipeline.probe import HistoryProbe
from anchorwatch.pipeline.progress import SLOW_S, Progress
from anchorwatch.pipeline.pump import Polling, Pump, feed
from anchorwatch.pipeline.recalls import Recalls
from anchorwatch.pipeline.supervisor import Supervisor
from anchorwatch.pipeline.workers import Workers, default_workers
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from anchorwatch.web.hooks import hooks_of
from anchorwatch.web.server import Server
from collector.stage import Collector
from schemas.messages import Message

log = logging.getLogger(__name__)

LAST_WORDS_S = 2.0


class NotificationSink:
    """The end of the line: notifications are in the ledger already, so nothing is left to do with them."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Accept them."""

    async def close(self) -> None:
        """Nothing to close."""


def make_on_demand(config: Config) -> OnDemand:
    """Return what validates a name for who asks, as the collector would."""
    collector = config.collector
    settings = Settings(
        collector.anchors, collector.policy, egress=config.egress, authorities=collector.authorities or PUBLIC
    )
    return OnDemand(collector.vantages, settings)


def make_notifiers(receivers: Sequence[Receiver], line: Line) -> dict[str, Notifier]:
    """Return the notifier of each receiver, by name; those on the net are reached by ``line``."""
    return {receiver.name: receiver.make_notifier(line) for receiver in receivers}


class Instance:
    """One running anchorwatch: three stages, two buses, the history, the ledger and the HTTP side."""

    def __init__(self, config: Config) -> None:
        self.meter = meter = Meter()
        self.history: OverflowHistory = open_history(config.history, OverflowHistory)
        self.history.on_full = meter.transients.labels("analyzer").inc
        self.ledger = OverflowLedger(config.alerts.ledger)
        count = default_workers() if config.collectors is None else config.collectors
        workers = Workers(config.collector, count, meter, config.log) if count else None
        self.collector: Polling = workers or Collector(config.collector, time.time)
        disks = {"history": self.history.why_full, "ledger": self.ledger.why_full}
        interval_s = config.collector.interval_s
        self.analyzer = Analyzer(self.history, time.time, disks, config.changes, interval_s=interval_s)
        line = Line(config.egress)
        notifiers = make_notifiers(config.alerts.receivers, line)
        self.alerts = Alerts(config.alerts, self.ledger, notifiers, time.time, ticks=time.monotonic)
        dead_letters = FileDeadLetters(dead_letter_file(config.alerts.ledger))
        self._observations, self._findings = LocalBus("observations", dead_letters), LocalBus("findings", dead_letters)
        self.ready = False
        self.progress = progress = Progress(time.monotonic)
        progress.add_reason("start", lambda: "" if self.ready else "starting or ending")
        self._probe = HistoryProbe(self.history)
        progress.add_reason("history", self._probe.why_not)
        if workers is not None:
            progress.add_reason("polling", workers.why_not)
        add_delivery_reasons(progress, self.alerts)
        self._heartbeat = Heartbeat(config.heartbeat, progress, line, meter) if config.heartbeat else None
        log_warnings(config)
        for name, why_full in disks.items():
            progress.add_reason(f"disk of the {name}", why_full, grave=False)
        on_demand = make_on_demand(config)
        parts = Parts(
            meter=meter,
            progress=progress,
            explain=on_demand.judge,
            vantages=on_demand.vantages,
            analyzer=self.analyzer,
            history=self.history,
            ledger=self.ledger,
            reload=self.collector.reload_soon,
            act=self._act,
            warnings=config.warnings,
            maintenance=config.alerts.maintenance,
            hooks=hooks_of(config.alerts.receivers),
        )
        self.server = Server(make_app(parts, config.http), *config.listen)
        self._steps = {
            "collector": progress.track("collector", slow_s=slow_polling_s(config.collector.interval_s)),
            "analyzer": progress.track("analyzer"),
            "alerts": progress.track("alerts"),
        }
        add_progress_metrics(meter, progress)
        add_collector_metrics(meter, self.collector.status)
        add_analyzer_metrics(meter, self.analyzer)
        add_alerts_metrics(meter, self.ledger, self.alerts)
        buses = (self._observations, self._findings)
        text = "Messages on a bus within the process."
        meter.gauges("anchorwatch_bus_depth", text, ("bus",), lambda: {(bus.name,): bus.depth for bus in buses})

    async def _act(self, acts: Sequence[Message]) -> None:
        """Hand what people did to analyzer and alerts: each handles kinds of its own, the analyzer keeps all."""
        await self._observations.send(acts)
        await self._findings.send(acts)

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Run until ``stop`` (or a signal), then drain and close.

        Raises:
            Exception: a part that kept crashing, or the listener's address is taken.
        """
        supervisor, steps = Supervisor(self.meter), self._steps
        recalls = Recalls()

        async def analyze(batch: Sequence[Message]) -> Sequence[Message]:
            out = await self.analyzer.handle(batch)
            self.collector.observe_again(
                recalls.due(self.analyzer.take_unknown(), time.monotonic(), self.analyzer.last_of)
            )
            return out

        analyzer = Pump("analyzer", self._observations, analyze, self._findings, self.meter, steps["analyzer"])
        alerts = Pump("alerts", self._findings, self.alerts.handle, NotificationSink(), self.meter, steps["alerts"])
        polling = partial(feed, self.collector, self._observations, self.meter, steps["collector"])
        try:
            await self.server.start()
            self._probe.start()
            if self._heartbeat is not None:
                self._heartbeat.start()
            async with asyncio.TaskGroup() as group:
                group.create_task(supervisor.run("collector", polling))
                group.create_task(supervisor.run("analyzer", analyzer.run))
                group.create_task(supervisor.run("alerts", alerts.run))
                self.ready = True
                if started is not None:
                    started()
            log.info("all stages have ended, nothing is left on the buses")
        finally:
            self.ready = False
            if self._heartbeat is not None:
                self._heartbeat.stop()
            await self.alerts.finish()
            await self._probe.stop()
            await self.server.stop()
            self.ledger.close()
            self.history.close()

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        self.collector.stop()

    def reload(self) -> None:
        """Read the inventory again."""
        log.info("the inventory is read again")
        self.collector.reload_soon()


def add_delivery_reasons(progress: Progress, alerts: Alerts) -> None:
    """Have the process tell which receivers fail; if all of them fail the heartbeat ends, since nobody is notified."""

    def why_not_all() -> str:
        return "; ".join(f"deliveries fail: {detail}" for detail in alerts.failing.values())

    progress.add_reason("receivers", why_not_all, grave=False)
    progress.add_reason("paging", lambda: "no receiver can be reached" if alerts.reaches_nobody else "")


def log_warnings(config: Config) -> None:
    """Log which receivers would get nothing, and which findings would notify nobody."""
    for warning in config.warnings:
        log.warning("somebody will not be notified", extra={"detail": warning})


def slow_polling_s(interval_s: float) -> float:
    """Return after how many seconds without the end of a poll the collector is not ready."""
    return SLOW_S + 2 * interval_s


class Runnable(Protocol):
    """Something that runs in the foreground until ``stop``."""

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Run until ``stop``."""
        ...

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        ...

    def reload(self) -> None:
        """Read again what can change while it runs: the inventory."""
        ...


def run_until_signalled(instance: Runnable, *, started: Callable[[], None] | None = None) -> None:
    """Run an instance in the foreground; Ctrl-C or SIGTERM ends it in order, a second one at once.

    SIGHUP has it read the inventory again.
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        signalled = False

        def on_signal() -> None:
            nonlocal signalled
            if signalled:
                log.warning("second signal: ending at once")
                raise SystemExit(130)
            signalled = True
            log.info("ending: polls under way are finished, then everything accepted is stored")
            instance.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        loop.add_signal_handler(signal.SIGHUP, instance.reload)
        try:
            await instance.run(started=started)
        except BaseException:
            _end_soon(1)
            raise
        _end_soon(0)

    asyncio.run(main())


def _end_soon(status: int) -> None:
    """End the process though a thread hangs in what nothing can cut: all that had to be stored is stored."""
    timer = threading.Timer(LAST_WORDS_S, os._exit, (status,))
    timer.daemon = True
    timer.start()

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
from pathlib import Path
from typing import Protocol

import msgspec
from starlette.types import ASGIApp

from alerts.delivery.notifier import Notifier
from alerts.ledger.ledger import Ledger
from alerts.ledger.overflow import OverflowLedger
from alerts.receivers.exchange import Line
from alerts.receivers.receiver import Receiver, TopicWriter
from alerts.stage import Alerts
from analyzer.history.clickhouse import open_history
from analyzer.history.overflow import OverflowHistory
from analyzer.stage import Analyzer
from anchorwatch.assessment.letters import DigestWriter, identities_here
from anchorwatch.configuration.differences import Part, Reload
from anchorwatch.configuration.loading import Config, FileSections
from anchorwatch.judging import PUBLIC, OnDemand, Settings
from anchorwatch.metrics import add_alerts_metrics, add_analyzer_metrics, add_collector_metrics, add_progress_metrics
from anchorwatch.pipeline.dead_letters import FileDeadLetters, dead_letter_file
from anchorwatch.pipeline.heartbeat import Heartbeat
from anchorwatch.pipeline.local_bus import LocalBus
from anchorwatch.pipeline.probe import HistoryProbe
from anchorwatch.pipeline.progress import SLOW_S, Progress
from anchorwatch.pipeline.pump import Polling, Pump, feed
from anchorwatch.pipeline.recalls import Recalls
from anchorwatch.pipeline.reload import ConfigurationFile, add_configuration_metrics
from anchorwatch.pipeline.service_manager import ServiceManager
from anchorwatch.pipeline.supervisor import Supervisor
from anchorwatch.pipeline.switching import SwitchedAlerts, SwitchedApp, SwitchedPolling
from anchorwatch.pipeline.workers import Workers, default_workers
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from anchorwatch.web.hooks import hooks_of
from anchorwatch.web.server import Server
from collector.stage import Collector
from schemas.faults import AnchorwatchError, ConfigError
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


def make_notifiers(receivers: Sequence[Receiver], line: Line, topics: TopicWriter | None = None) -> dict[str, Notifier]:
    """Return the notifier of each receiver, by name: on the net by ``line``, over the bus by ``topics``."""
    return {
        receiver.name: receiver.make_bus_notifier(topics)
        if receiver.needs_bus and topics is not None
        else receiver.make_notifier(line)
        for receiver in receivers
    }


class Instance:
    """One running anchorwatch: three stages, two buses, the history, the ledger and the HTTP side.

    ``written`` is the file that the configuration is from, and its sections, for it to be read again; None where there
    is none.
    """

    def __init__(self, config: Config, written: tuple[Path, FileSections] | None = None) -> None:
        self.meter = meter = Meter()
        self._config = config
        self.history: OverflowHistory = open_history(config.history, OverflowHistory)
        self.history.on_full = meter.transients.labels("analyzer").inc
        self.ledger = OverflowLedger(config.alerts.ledger)
        self.collector = SwitchedPolling(make_polling(config, meter))
        disks = {"history": self.history.why_full, "ledger": self.ledger.why_full}
        interval_s = config.collector.interval_s
        self.analyzer = Analyzer(self.history, time.time, disks, config.changes, interval_s=interval_s)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._letters = DigestWriter(self.ledger, identities_here(self.analyzer, self._running_loop))
        self._alerting = SwitchedAlerts(make_alerts(config, self.ledger, self._letters))
        self._gone: dict[str, Receiver] = {}
        dead_letters = FileDeadLetters(dead_letter_file(config.alerts.ledger))
        self._observations, self._findings = LocalBus("observations", dead_letters), LocalBus("findings", dead_letters)
        self.ready = False
        self.progress = progress = Progress(time.monotonic)
        progress.add_reason("start", lambda: "" if self.ready else "starting or ending")
        self._probe = HistoryProbe(self.history)
        progress.add_reason("history", self._probe.why_not)
        progress.add_reason("polling", self._why_not_polling)
        add_delivery_reasons(progress, lambda: self.alerts)
        self._heartbeat = self._make_heartbeat(config)
        log_warnings(config)
        for name, why_full in disks.items():
            progress.add_reason(f"disk of the {name}", why_full, grave=False)
        self._app = SwitchedApp(self._make_app(config))
        self.server = Server(self._app, *config.listen)
        self._steps = {
            "collector": progress.track("collector", slow_s=slow_polling_s(config.collector.interval_s)),
            "analyzer": progress.track("analyzer"),
            "alerts": progress.track("alerts"),
        }
        add_progress_metrics(meter, progress)
        add_collector_metrics(meter, self.collector.status)
        add_analyzer_metrics(meter, self.analyzer)
        add_alerts_metrics(meter, self.ledger, lambda: self.alerts)
        buses = (self._observations, self._findings)
        text = "Messages on a bus within the process."
        meter.gauges("anchorwatch_bus_depth", text, ("bus",), lambda: {(bus.name,): bus.depth for bus in buses})
        self.file: ConfigurationFile | None = None
        if written is not None:
            path, sections = written
            self.file = ConfigurationFile(
                path, sections, config, live=frozenset(Part), apply=self._apply, tell=self._observations.send
            )
            add_configuration_metrics(meter, self.file)

    @property
    def alerts(self) -> Alerts:
        """Return who alerts now."""
        return self._alerting.current

    def _why_not_polling(self) -> str:
        polling = self.collector.current
        return polling.why_not() if isinstance(polling, Workers) else ""

    def _make_heartbeat(self, config: Config) -> Heartbeat | None:
        if config.heartbeat is None:
            return None
        return Heartbeat(config.heartbeat, self.progress, Line(config.egress), self.meter)

    def _make_app(self, config: Config) -> ASGIApp:
        on_demand = make_on_demand(config)
        parts = Parts(
            meter=self.meter,
            progress=self.progress,
            explain=on_demand.judge,
            vantages=on_demand.vantages,
            analyzer=self.analyzer,
            history=self.history,
            ledger=self.ledger,
            reload=partial(self.reload, "http"),
            act=self._act,
            warnings=config.warnings,
            maintenance=config.alerts.maintenance,
            hooks=hooks_of(config.alerts.receivers),
        )
        return make_app(parts, config.http)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "nothing is asked before it runs"
        return self._loop

    async def _act(self, acts: Sequence[Message]) -> None:
        """Hand what people did to analyzer and alerts: each handles kinds of its own, the analyzer keeps all."""
        await self._observations.send(acts)
        await self._findings.send(acts)

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Run until ``stop`` (or a signal), then drain and close.

        Raises:
            Exception: a part that kept crashing, or the listener's address is taken.
        """
        self._loop = asyncio.get_running_loop()
        supervisor, steps = Supervisor(self.meter), self._steps
        recalls = Recalls()

        async def analyze(batch: Sequence[Message]) -> Sequence[Message]:
            out = await self.analyzer.handle(batch)
            self.collector.observe_again(
                recalls.due(self.analyzer.take_unknown(), time.monotonic(), self.analyzer.last_of)
            )
            return out

        analyzer = Pump("analyzer", self._observations, analyze, self._findings, self.meter, steps["analyzer"])
        handle = self._alerting.handle
        alerts = Pump("alerts", self._findings, handle, NotificationSink(), self.meter, steps["alerts"])
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
                if self.file is not None:
                    group.create_task(self.file.clear())
                self.ready = True
                if started is not None:
                    started()
            log.info("all stages have ended, nothing is left on the buses")
        finally:
            self.ready = False
            if self._heartbeat is not None:
                self._heartbeat.stop()
            if self.file is not None:
                await self.file.stop()
            await self.alerts.finish()
            await self._probe.stop()
            await self.server.stop()
            self.ledger.close()
            self.history.close()

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        self.collector.stop()

    def reload(self, asked_by: str = "signal") -> None:
        """Read the inventory again, and the configuration where it is from a file."""
        log.info("the configuration and the inventory are read again", extra={"asked_by": asked_by})
        self.collector.reload_soon()
        if self.file is not None and not self.collector.is_stopping:
            self.file.read_soon(asked_by)

    async def reloaded(self) -> None:
        """Wait until what was read again counts, or is known not to."""
        if self.file is not None:
            await self.file.settled()

    async def _apply(self, reload: Reload) -> None:
        """Take the parts over that are different; all that may fail comes first.

        Raises:
            ConfigError: a part can't be made; nothing has changed.
        """
        config, before, parts = reload.config, self._config, reload.parts
        try:
            if Part.ALERTS in parts:
                make_notifiers(config.alerts.receivers, Line(config.egress))
            polling = make_polling(config, self.meter) if Part.COLLECTOR in parts else None
        except (AnchorwatchError, OSError, ValueError) as error:
            raise ConfigError([str(error)]) from error
        self._config = config
        if Part.ALERTS in parts:
            self._gone |= {one.name: one for one in before.alerts.receivers}
            self._alerting.replace(partial(self._next_alerts, config))
            self._app.app = self._make_app(config)
            log_warnings(config)
        if Part.CHANGES in parts:
            self.analyzer.plan(config.changes, config.collector.interval_s)
        if polling is not None:
            self._steps["collector"].expects(slow_polling_s(config.collector.interval_s))
            self.collector.replace(polling)
        if Part.HEARTBEAT in parts:
            if self._heartbeat is not None:
                self._heartbeat.stop()
            self._heartbeat = self._make_heartbeat(config)
            if self._heartbeat is not None:
                self._heartbeat.start()

    async def _next_alerts(self, config: Config) -> Alerts:
        """Return who alerts by a new configuration, with the receivers that are gone and for which something waits."""
        names = {one.name for one in config.alerts.receivers}
        needed = await asyncio.to_thread(receivers_needed, self.ledger)
        self._gone = {name: one for name, one in self._gone.items() if name in needed - names}
        for name in self._gone:
            log.warning("a receiver is gone, and is kept until what it was told is over", extra={"receiver": name})
        kept = msgspec.structs.replace(config.alerts, receivers=(*config.alerts.receivers, *self._gone.values()))
        return make_alerts(msgspec.structs.replace(config, alerts=kept), self.ledger, self._letters)


def make_polling(config: Config, meter: Meter) -> Polling:
    """Return who polls: so many processes, or this one."""
    count = default_workers() if config.collectors is None else config.collectors
    return Workers(config.collector, count, meter, config.log) if count else Collector(config.collector, time.time)


def make_alerts(config: Config, ledger: OverflowLedger, letters: DigestWriter) -> Alerts:
    """Return who alerts by a configuration and a ledger; ``letters`` writes the digests."""
    notifiers = make_notifiers(config.alerts.receivers, Line(config.egress))
    return Alerts(config.alerts, ledger, notifiers, time.time, ticks=time.monotonic, letters=letters)


def receivers_needed(ledger: Ledger) -> set[str]:
    """Return the receivers for which something waits, or which have to hear how something ends that they were told.

    Raises:
        Transient: the ledger can't be read.
    """
    needed = {delivery.receiver for delivery in ledger.deliveries()}
    for incident in ledger.open_incidents():
        needed |= incident.notified.keys()
        needed.update(name for entry in incident.entries.values() for name in entry.receivers)
    return needed


def add_delivery_reasons(progress: Progress, alerts: Callable[[], Alerts]) -> None:
    """Have the process tell which receivers fail; if all of them fail the heartbeat ends, since nobody is notified.

    ``alerts`` returns who alerts now.
    """

    def why_not_all() -> str:
        return "; ".join(f"deliveries fail: {detail}" for detail in alerts().failing.values())

    progress.add_reason("receivers", why_not_all, grave=False)
    progress.add_reason("paging", lambda: "no receiver can be reached" if alerts().reaches_nobody else "")


def log_warnings(config: Config) -> None:
    """Log which receivers would get nothing, and which findings would notify nobody."""
    for warning in config.warnings:
        log.warning("somebody will not be notified", extra={"detail": warning})


def slow_polling_s(interval_s: float) -> float:
    """Return after how many seconds without the end of a poll the collector is not ready."""
    return SLOW_S + 2 * interval_s


class Runnable(Protocol):
    """Something that runs in the foreground until ``stop``."""

    progress: Progress

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Run until ``stop``."""
        ...

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        ...

    def reload(self) -> None:
        """Read again what can change while it runs."""
        ...

    async def reloaded(self) -> None:
        """Wait until what was read again counts, or is known not to."""
        ...


def run_until_signalled(instance: Runnable, *, started: Callable[[], None] | None = None) -> None:
    """Run an instance in the foreground; Ctrl-C or SIGTERM ends it in order, a second one at once.

    SIGHUP has it read configuration and inventory again. A service manager is told of all that.
    """
    manager = ServiceManager()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        signalled = False

        def on_signal() -> None:
            nonlocal signalled
            if signalled:
                log.warning("second signal: ending at once")
                raise SystemExit(130)
            signalled = True
            manager.tell("STOPPING=1")
            log.info("ending: polls under way are finished, then everything accepted is stored")
            instance.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        tasks = {loop.create_task(manager.feed_watchdog(instance.progress))}

        async def reload() -> None:
            manager.reloading()
            instance.reload()
            await instance.reloaded()
            if not signalled:
                manager.tell("READY=1")

        def on_hangup() -> None:
            task = loop.create_task(reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def on_start() -> None:
            manager.tell("READY=1")
            if started is not None:
                started()

        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        try:
            await instance.run(started=on_start)
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

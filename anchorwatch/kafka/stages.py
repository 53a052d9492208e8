"""Each stage as a process of its own, over Kafka and a ClickHouse server; any number of each.

Collectors divide the work. Of the analyzers and of the alerts one is active and the others stand by, since a cause is
seen from everywhere. Every process can be killed at any time: what it had not committed comes again to another.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec

from alerts.receivers.exchange import Line
from alerts.stage import Alerts
from analyzer.history.clickhouse import ClickHouseHistory, open_history
from analyzer.history.overflow import OverflowHistory
from analyzer.stage import Analyzer
from anchorwatch.assessment.letters import DigestWriter, identities_at
from anchorwatch.configuration.loading import Config
from anchorwatch.kafka.assignment import AssignedInventory, longest_gap_s
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.ledger import KafkaLedger
from anchorwatch.kafka.outbox import Outbox
from anchorwatch.kafka.recovery import BegunLedger
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.source import KafkaSource
from anchorwatch.kafka.topic_writer import KafkaTopicWriter
from anchorwatch.kafka.topics import ACTS, FINDINGS, INVENTORY, OBSERVATIONS, POLLS, ZONES, prepare_topics
from anchorwatch.metrics import add_alerts_metrics, add_analyzer_metrics, add_collector_metrics, add_progress_metrics
from anchorwatch.pipeline.heartbeat import Heartbeat
from anchorwatch.pipeline.local_bus import Sink
from anchorwatch.pipeline.probe import HistoryProbe
from anchorwatch.pipeline.progress import Progress
from anchorwatch.pipeline.pump import Handler, Pump, feed
from anchorwatch.pipeline.recalls import REASON, Recalls
from anchorwatch.pipeline.reload import ConfigurationFile, add_configuration_metrics
from anchorwatch.pipeline.run import (
    NotificationSink,
    Runnable,
    add_delivery_reasons,
    log_warnings,
    make_notifiers,
    make_on_demand,
    slow_polling_s,
)
from anchorwatch.pipeline.supervisor import Supervisor
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from anchorwatch.web.hooks import hooks_of
from anchorwatch.web.server import Server
from collector.inventory.sources import InventorySources
from collector.stage import Collector
from schemas.faults import ConfigError
from schemas.messages import Message, Recall, Subject, utc

log = logging.getLogger(__name__)

NO_PARTITION = "has no assigned partition yet"
SILENT = "Kafka does not answer"
STANDS_BY = "stands by: another process of this stage is active"


class StageProcess(Runnable, Protocol):
    """One stage, run in the foreground."""

    server: Server


def make_stage(stage: str, config: Config, file: ConfigurationFile | None = None) -> StageProcess:
    """Return the process of a stage: collector, analyzer or alerts; ``file`` is what the configuration is from.

    Raises:
        ConfigError: the configuration has no Kafka, or something in it can't be used.
        Transient: Kafka or the history does not answer.
    """
    if config.bus is None:
        raise ConfigError([f"bus.url: 'local:' is inside one process; for 'anchorwatch {stage}' say kafka://host:port"])
    partitions = prepare_topics(config.bus, f"{config.bus.prefix}-{stage}")
    match stage:
        case "collector":
            process: StageProcess = CollectorProcess(config, config.bus, partitions, file)
        case "analyzer":
            process = _make_analyzer(config, config.bus, file)
        case _:
            process = _make_alerts(config, config.bus, file)
    return process


class CollectorProcess:
    """Polls the zones of its assigned partitions."""

    def __init__(
        self, config: Config, bus: KafkaConfig, partitions: int, file: ConfigurationFile | None = None
    ) -> None:
        self._meter = meter = Meter()
        self._file = _with_metrics(file, meter)
        _warn_of_gaps(config.collector.interval_s, bus.session_timeout_s)
        files = InventorySources(config.collector.sources, config.collector.vantage_names, config.collector.state)
        self._inventory = AssignedInventory(bus, partitions, files, config.collector.vantage_names, meter)
        named = msgspec.structs.replace(config.collector, by=socket.gethostname())
        self._collector = Collector(named, time.time, self._inventory)
        dead_letters = KafkaDeadLetters(bus, f"{bus.prefix}-collector")
        sink = KafkaSink(bus, "collector", _source("collector"), dead_letters, meter)
        self.progress = progress = Progress(time.monotonic)
        self._outbox = Outbox(sink, meter, progress.track("sending"), lambda: self._collector.is_stopping)
        progress.add_reason("bus", lambda: sink.trouble)
        progress.add_reason("inventory", lambda: self._inventory.why_not())
        progress.add_reason("partitions", lambda: "" if self._inventory.partitions else NO_PARTITION, grave=False)
        self._step = progress.track("collector", slow_s=slow_polling_s(config.collector.interval_s))
        add_progress_metrics(meter, progress)
        self._heartbeat = _make_heartbeat(config, progress, meter, "collector")
        parts = Parts(meter=meter, progress=progress, reload=partial(self.reload, "http"))
        self.server = Server(make_app(parts, config.http), *config.listen)
        add_collector_metrics(meter, self._collector.status)
        _add_partition_gauge(meter, "collector", lambda: len(self._inventory.partitions))
        meter.gauge("anchorwatch_outbox_depth", "Messages that wait for Kafka.", lambda: self._outbox.depth)
        text = "Polls that changed nothing and were given up while Kafka took nothing."
        meter.counter("anchorwatch_outbox_dropped", text, lambda: self._outbox.dropped)

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Poll until ``stop``; what was observed is handed on, then the partitions are given up."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            loop.call_soon_threadsafe(self._collector.reload_soon)

        def recall(subjects: tuple[Subject, ...]) -> None:
            loop.call_soon_threadsafe(self._collector.observe_again, subjects)

        self._inventory.start(notify, recall)
        if self._heartbeat is not None:
            self._heartbeat.start()
        supervisor = Supervisor(self._meter)
        try:
            polling = partial(feed, self._collector, self._outbox, self._meter, self._step)
            work = supervisor.run("collector", polling)
            await _serve(self.server, work, started)
        finally:
            if self._heartbeat is not None:
                self._heartbeat.stop()
            await asyncio.to_thread(self._inventory.stop)

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        self._collector.stop()

    def reload(self, asked_by: str = "signal") -> None:
        """Read the inventory again, and say what of the configuration needs a restart."""
        log.info("the configuration and the inventory are read again", extra={"asked_by": asked_by})
        self._collector.reload_soon()
        if self._file is not None:
            self._file.read_soon(asked_by)

    async def reloaded(self) -> None:
        """Wait until what waits for a restart is named."""
        if self._file is not None:
            await self._file.settled()


def _warn_of_gaps(interval_s: float, session_timeout_s: float) -> None:
    gap_s = longest_gap_s(interval_s, session_timeout_s)
    if gap_s > 2 * interval_s:
        log.warning(
            "poll.interval is short beside bus.session_timeout: names of a collector that is killed miss polls",
            extra={"interval_s": interval_s, "session_timeout_s": session_timeout_s, "longest_gap_s": gap_s},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Handling:
    """What a stage does with a batch, how it forgets and ends, and which of the ``Parts`` it shows.

    ``sink`` is where its outputs go if not to their topics, then ``why_not_sent`` says why they can't; ``history`` is
    what it can't work without; ``acts`` is where what people did goes to if not to ``sink``; ``finish``
    ends what it does beside the batches.
    """

    handle: Handler
    forget: Callable[[], None]
    close: Callable[[], None]
    shown: dict[str, Any]
    sink: Sink | None = None
    acts: Sink | None = None
    why_not_sent: Callable[[], str] | None = None
    history: ClickHouseHistory | None = None
    finish: Callable[[], Awaitable[None]] | None = None


class PumpedProcess:
    """A stage between topics, at work or standing by: its source, its sink, and the pump between them."""

    def __init__(
        self,
        config: Config,
        bus: KafkaConfig,
        stage: str,
        topics: tuple[str, ...],
        handler: Handling,
        meter: Meter,
        file: ConfigurationFile | None = None,
    ) -> None:
        self._file = _with_metrics(file, meter)
        self._stage, self._meter, self._handler = stage, meter, handler
        self._dead_letters = dead_letters = KafkaDeadLetters(bus, f"{bus.prefix}-{stage}")
        self._source = KafkaSource(bus, stage, topics, dead_letters, meter, gained=handler.forget)
        sink = handler.sink or KafkaSink(bus, stage, _source(stage), dead_letters, meter)
        why_not_sent = handler.why_not_sent or (lambda: getattr(sink, "trouble", ""))
        self.progress = progress = Progress(time.monotonic)
        step = progress.track(stage)
        self._source.turned = step.turned
        self._pump = Pump(stage, self._source, handler.handle, sink, meter, step)
        progress.add_reason("bus", lambda: SILENT if self._source.is_silent else why_not_sent())
        progress.add_reason("partitions", self._why_without_partitions, grave=False)
        self._probe = HistoryProbe(handler.history) if handler.history is not None else None
        if self._probe is not None:
            progress.add_reason("history", self._probe.why_not)
        if handler.history is not None:
            progress.add_reason("disk of the history", handler.history.why_full, grave=False)
        add_progress_metrics(meter, progress)
        self._heartbeat = _make_heartbeat(config, progress, meter, stage)
        self._acts = handler.acts or sink
        on_demand = make_on_demand(config)
        parts = Parts(
            meter=meter,
            progress=progress,
            act=self._acts.send,
            warnings=config.warnings,
            explain=on_demand.judge,
            vantages=on_demand.vantages,
            **handler.shown,
        )
        self.server = Server(make_app(parts, config.http), *config.listen)
        _add_partition_gauge(meter, stage, lambda: self._source.partitions)
        self.skews = self._source.skews
        text = "Seconds by which the clock of another process differs from ours, as far as that is too much; else 0."
        meter.gauge("anchorwatch_bus_clock_difference_seconds", text, lambda: self.skews.worst_s, stage=stage)
        text = "Messages not yet handled, on the partitions that this process has."
        meter.gauge("anchorwatch_bus_lag", text, lambda: self._source.lag, stage=stage)

    def _why_without_partitions(self) -> str:
        return "" if self._source.partitions or self._source.is_silent else STANDS_BY

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Pump until ``stop``, then leave the group so that another takes over at once."""
        if self._probe is not None:
            self._probe.start()
        if self._heartbeat is not None:
            self._heartbeat.start()
        try:
            await _serve(self.server, Supervisor(self._meter).run(self._stage, self._pump.run), started)
        finally:
            if self._heartbeat is not None:
                self._heartbeat.stop()
            if self._probe is not None:
                await self._probe.stop()
            try:
                if self._handler.finish is not None:
                    await self._handler.finish()
                await self._source.close()
                if self._handler.acts is not None:
                    await self._handler.acts.close()
            finally:
                self._handler.close()
                self._dead_letters.close()

    def stop(self) -> None:
        """End after the batch under way."""
        self._source.stop()

    def reload(self) -> None:
        """Say what of the configuration needs a restart; only collectors read the inventory."""
        if self._file is not None:
            self._file.read_soon("signal")

    async def reloaded(self) -> None:
        """Wait until what waits for a restart is named."""
        if self._file is not None:
            await self._file.settled()


def _make_analyzer(config: Config, bus: KafkaConfig, file: ConfigurationFile | None) -> PumpedProcess:
    meter, history = Meter(), open_history(config.history, OverflowHistory)
    history.on_full = meter.transients.labels("analyzer").inc
    disks, interval_s = {"history": history.why_full}, config.collector.interval_s
    analyzer = Analyzer(history, time.time, disks, config.changes, interval_s=interval_s)
    add_analyzer_metrics(meter, analyzer)
    recalls = Recalls()
    reports: list[Message] = []

    async def handle(batch: Sequence[Message]) -> Sequence[Message]:
        if not reports:  # those that were not taken come again, as they are
            reports.extend(process.skews.reports(time.time()))
        out = await analyzer.handle([*batch, *reports])
        reports.clear()
        subjects = recalls.due(analyzer.take_unknown(), time.monotonic(), analyzer.last_of)
        return [*out, Recall(at=utc(time.time()), subjects=subjects, reason=REASON)] if subjects else out

    shown = {"analyzer": analyzer, "history": history}
    handling = Handling(handle=handle, forget=analyzer.forget, close=history.close, shown=shown, history=history)
    topics = (INVENTORY, ACTS, ZONES, OBSERVATIONS, POLLS)
    process = PumpedProcess(config, bus, "analyzer", topics, handling, meter, file)
    return process


def _make_alerts(config: Config, bus: KafkaConfig, file: ConfigurationFile | None) -> PumpedProcess:
    meter, ledger = Meter(), KafkaLedger(bus, f"{bus.prefix}-alerts", _source("alerts"))
    topics = KafkaTopicWriter(bus, f"{bus.prefix}-events")
    alerts = Alerts(
        config.alerts,
        ledger,
        make_notifiers(config.alerts.receivers, Line(config.egress), topics),
        time.time,
        ticks=time.monotonic,
        letters=_letters_of(config, ledger),
    )
    log_warnings(config)
    add_alerts_metrics(meter, ledger, lambda: alerts)

    letters = KafkaDeadLetters(bus, f"{bus.prefix}-alerts")

    def forget() -> None:
        ledger.forget()
        alerts.forget()

    def close() -> None:
        ledger.close()
        letters.close()
        topics.close()

    begun = BegunLedger(bus, f"{bus.prefix}-alerts", ledger, alerts.handle, time.time)
    # The ledger sends notifications along with the step that they belong to.
    handling = Handling(
        handle=begun.handle,
        forget=forget,
        close=close,
        shown={
            "ledger": ledger,
            "maintenance": config.alerts.maintenance,
            "hooks": hooks_of(config.alerts.receivers),
        },
        sink=NotificationSink(),
        acts=KafkaSink(bus, "alerts", _source("alerts"), letters, meter),
        finish=alerts.finish,
        why_not_sent=lambda: ledger.trouble,
    )
    process = PumpedProcess(config, bus, "alerts", (ACTS, FINDINGS), handling, meter, file)
    add_delivery_reasons(process.progress, lambda: alerts)
    return process


def _letters_of(config: Config, ledger: KafkaLedger) -> DigestWriter | None:
    if config.digests_from is None:
        return None
    return DigestWriter(ledger, identities_at(config.digests_from, config.egress))


def _with_metrics(file: ConfigurationFile | None, meter: Meter) -> ConfigurationFile | None:
    if file is not None:
        add_configuration_metrics(meter, file)
    return file


def _make_heartbeat(config: Config, progress: Progress, meter: Meter, stage: str) -> Heartbeat | None:
    if config.heartbeat is None:
        return None
    if "{stage}" not in config.heartbeat.url:
        log.warning("heartbeat: the URL has no {stage}, so the calls of one stage hide that another has stopped")
    return Heartbeat(config.heartbeat, progress, Line(config.egress), meter, stage)


def _source(stage: str) -> str:
    """Return what a stage's messages name as their source."""
    return f"/{stage}/{socket.gethostname()}"


def _add_partition_gauge(meter: Meter, stage: str, read: Callable[[], int]) -> None:
    text = "Partitions that this process has; of a stage that stands by, none."
    meter.gauge("anchorwatch_bus_partitions", text, read, stage=stage)


async def _serve(server: Server, work: Awaitable[None], started: Callable[[], None] | None) -> None:
    await server.start()
    try:
        if started is not None:
            started()
        await work
        log.info("ended in order")
    finally:
        await server.stop()

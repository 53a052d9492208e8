"""Each stage as a process of its own, over Kafka and a ClickHouse server; any number of each.

Collectors share the work. Of the analyzers and of the alerts one is active and the others stand by, since a cause is
seen from everywhere. Every process can be killed at any time: what it had not committed comes again to another.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from alerts.ledger import SqliteLedger
from alerts.stage import Alerts
from analyzer.history import open_history
from analyzer.stage import Analyzer
from anchorwatch.api import Parts, Server, make_app
from anchorwatch.cluster.config import KafkaConfig
from anchorwatch.cluster.letters import KafkaLetters
from anchorwatch.cluster.shares import SharedInventory
from anchorwatch.cluster.sink import KafkaSink
from anchorwatch.cluster.source import KafkaSource
from anchorwatch.cluster.topics import FINDINGS, INVENTORY, OBSERVATIONS, POLLS, prepare_topics
from anchorwatch.config import Config
from anchorwatch.gauges import add_alerts_gauges, add_analyzer_gauges, add_collector_gauges
from anchorwatch.pump import Handler, Pump, feed
from anchorwatch.run import make_notifiers
from anchorwatch.supervisor import Supervisor
from anchorwatch.telemetry import Meter
from collector.sources import Sources
from collector.stage import Collector
from schemas.faults import ConfigError

log = logging.getLogger(__name__)

STANDS_BY = "stands by: another process of this stage is active"


class StageProcess(Protocol):
    """One stage, run in the foreground."""

    server: Server

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Run until ``stop``."""
        ...

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        ...


def make_stage(stage: str, config: Config) -> StageProcess:
    """Return the process of a stage: collector, analyzer or alerts.

    Raises:
        ConfigError: the configuration has no Kafka, or something in it can't be used.
        Transient: Kafka or the history does not answer.
    """
    if config.bus is None:
        raise ConfigError([f"bus.url: 'local:' is inside one process; for 'anchorwatch {stage}' say kafka://host:port"])
    match stage:
        case "collector":
            return CollectorProcess(config, config.bus)
        case "analyzer":
            return AnalyzerProcess(config, config.bus)
        case _:
            return AlertsProcess(config, config.bus)


class CollectorProcess:
    """Polls its share of the inventory."""

    def __init__(self, config: Config, bus: KafkaConfig) -> None:
        self._meter = meter = Meter()
        shares = prepare_topics(bus, f"{bus.prefix}-collector")
        files = Sources(config.collector.sources, config.collector.vantage_names)
        self._inventory = SharedInventory(bus, shares, files, config.collector.vantage_names, meter)
        self._collector = Collector(config.collector, time.time, self._inventory)
        self._sink = _sink(bus, "collector", meter)
        parts = Parts(meter=meter, why_not_ready=self._why_not_ready, reload=self._collector.reload_soon)
        self.server = Server(make_app(parts), *config.listen)
        add_collector_gauges(meter, self._collector)
        _add_share_gauge(meter, "collector", lambda: len(self._inventory.shares))

    def _why_not_ready(self) -> str:
        return "" if self._inventory.shares else "has no share of the work yet"

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Poll until ``stop``; what was observed is handed on, then the share is given up."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            loop.call_soon_threadsafe(self._collector.reload_soon)

        self._inventory.start(notify)
        supervisor = Supervisor(self._meter)
        try:
            work = supervisor.run("collector", partial(feed, self._collector, self._sink, self._meter))
            await _serve(self.server, work, started)
        finally:
            await asyncio.to_thread(self._inventory.stop)

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        self._collector.stop()


class AnalyzerProcess:
    """Keeps the history and finds what drifts, or stands by to."""

    def __init__(self, config: Config, bus: KafkaConfig) -> None:
        meter = Meter()
        prepare_topics(bus, f"{bus.prefix}-analyzer")
        self._history = open_history(config.history)
        self._analyzer = analyzer = Analyzer(self._history, time.time)
        self._pumped = _Pumped(
            bus, "analyzer", (INVENTORY, OBSERVATIONS, POLLS), analyzer.handle, analyzer.forget, meter
        )
        parts = Parts(meter=meter, why_not_ready=self._pumped.why_not_ready, analyzer=analyzer, history=self._history)
        self.server = Server(make_app(parts), *config.listen)
        add_analyzer_gauges(meter, analyzer)

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Analyze until ``stop``."""
        try:
            await _serve(self.server, self._pumped.run(), started)
        finally:
            self._history.close()

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        self._pumped.stop()


class AlertsProcess:
    """Decides and delivers, or stands by to."""

    def __init__(self, config: Config, bus: KafkaConfig) -> None:
        meter = Meter()
        prepare_topics(bus, f"{bus.prefix}-alerts")
        self._ledger = SqliteLedger(config.alerts.ledger)
        alerts = Alerts(config.alerts, self._ledger, make_notifiers(config.alerts.receivers), time.time)
        self._pumped = _Pumped(bus, "alerts", (FINDINGS,), alerts.handle, alerts.forget, meter)
        parts = Parts(meter=meter, why_not_ready=self._pumped.why_not_ready, ledger=self._ledger)
        self.server = Server(make_app(parts), *config.listen)
        add_alerts_gauges(meter, self._ledger)

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Alert until ``stop``."""
        try:
            await _serve(self.server, self._pumped.run(), started)
        finally:
            self._ledger.close()

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        self._pumped.stop()


class _Pumped:
    """A stage between topics: its source, its sink, and the pump between them."""

    def __init__(
        self,
        bus: KafkaConfig,
        stage: str,
        topics: tuple[str, ...],
        handle: Handler,
        forget: Callable[[], None],
        meter: Meter,
    ) -> None:
        letters = KafkaLetters(bus, f"{bus.prefix}-{stage}")
        self._stage, self._meter = stage, meter
        self._source = KafkaSource(bus, stage, topics, letters, meter, gained=forget)
        self._pump = Pump(stage, self._source, handle, _sink(bus, stage, meter), meter)
        _add_share_gauge(meter, stage, lambda: self._source.partitions)
        text = "Messages not yet handled, on the partitions that this process has."
        meter.gauge("anchorwatch_bus_lag", text, lambda: self._source.lag, stage=stage)

    def why_not_ready(self) -> str:
        """Return why this process does nothing now, empty where it is the active one."""
        return "" if self._source.partitions else STANDS_BY

    async def run(self) -> None:
        """Pump until ``stop``, then leave the group so that another takes over at once."""
        try:
            await Supervisor(self._meter).run(self._stage, self._pump.run)
        finally:
            await self._source.close()

    def stop(self) -> None:
        """End after the batch under way."""
        self._source.stop()


def _sink(bus: KafkaConfig, stage: str, meter: Meter) -> KafkaSink:
    letters = KafkaLetters(bus, f"{bus.prefix}-{stage}")
    return KafkaSink(bus, stage, f"/{stage}/{socket.gethostname()}", letters, meter)


def _add_share_gauge(meter: Meter, stage: str, read: Callable[[], int]) -> None:
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

"""Every stage in one process: put together, supervised, and shut down in order.

Shutdown follows the messages: the collector ends its polls, then each bus is drained and closed, so what was accepted
is stored and decided before the process ends.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from alerts.config import ReceiverConfig
from alerts.ledger import SqliteLedger
from alerts.local import CommandNotifier, ConsoleNotifier
from alerts.notifier import Notifier
from alerts.pagerduty import PagerDutyNotifier
from alerts.stage import Alerts
from alerts.webhook import WebhookNotifier
from analyzer.history import ClickHouseHistory, open_history
from analyzer.stage import Analyzer
from anchorwatch.api import Server, make_app
from anchorwatch.bus import LocalBus, Sink
from anchorwatch.config import Config
from anchorwatch.pump import Pump
from anchorwatch.telemetry import Meter
from collector.stage import Collector
from schemas.catalogue import Severity
from schemas.messages import Message
from schemas.wire import encode

log = logging.getLogger(__name__)

RESTARTS = 5
RESTART_WINDOW_S = 300.0


class NotificationSink:
    """The end of the line: notifications are in the ledger already, so nothing is left to do with them."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Accept them."""

    async def close(self) -> None:
        """Nothing to close."""


class Supervisor:
    """Restarts a part that crashed, and gives up once it crashes too often."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def run(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` until it ends by itself.

        Raises:
            Exception: the last crash, after ``RESTARTS`` within ``RESTART_WINDOW_S``.
        """
        crashes: list[float] = []
        while True:
            try:
                await work()
            except Exception as crash:
                now = time.monotonic()
                crashes = [at for at in crashes if now - at < RESTART_WINDOW_S] + [now]
                if len(crashes) > RESTARTS:
                    log.critical("a part keeps crashing, giving up", extra={"part": part})
                    raise
                self._meter.restarts.labels(part).inc()
                log.error("a part crashed, starting it again", extra={"part": part}, exc_info=crash)
                await asyncio.sleep(min(2 ** len(crashes), 30))
            else:
                return


def make_notifier(receiver: ReceiverConfig) -> Notifier:
    """Return the notifier of a receiver."""
    match receiver.type:
        case "webhook":
            return WebhookNotifier(receiver.url, receiver.secret)
        case "pagerduty":
            return PagerDutyNotifier(receiver.secret, receiver.url)
        case "command":
            return CommandNotifier(receiver.command)
        case "console":
            return ConsoleNotifier()


class Instance:
    """One running anchorwatch: three stages, two buses, the history, the ledger and the HTTP side."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.meter = Meter()
        self.history: ClickHouseHistory = open_history(config.history)
        self.ledger = SqliteLedger(config.alerts.ledger)
        notifiers = {receiver.name: make_notifier(receiver) for receiver in config.alerts.receivers}
        self.collector = Collector(config.collector, time.time)
        self.analyzer = Analyzer(self.history, time.time)
        self.alerts = Alerts(config.alerts, self.ledger, notifiers, time.time)
        self._observations = LocalBus("observations")
        self._findings = LocalBus("findings")
        self._dead_path = config.alerts.ledger.parent / "dead.jsonl"
        self.server = Server(make_app(self), *config.listen)
        self.ready = False
        self._add_gauges()

    def _add_gauges(self) -> None:
        gauge = self.meter.gauge
        gauge("anchorwatch_polls", "Polls made since the start.", lambda: self.collector.polls)
        gauge("anchorwatch_validations", "Full validations since the start.", lambda: self.collector.validations)
        gauge("anchorwatch_queries", "Questions sent to vantages since the start.", lambda: self.collector.queries)
        gauge("anchorwatch_watched", "Endpoints (name, type, vantage) being polled.", lambda: self.collector.watched)
        gauge("anchorwatch_deliveries_pending", "Deliveries that wait.", self.ledger.pending)
        for bus in (self._observations, self._findings):
            gauge(
                f"anchorwatch_bus_{bus.name}_depth",
                f"Messages on the bus of {bus.name}.",
                partial(getattr, bus, "depth"),
            )
        for severity in Severity:
            gauge(
                f"anchorwatch_open_findings_{severity}",
                f"Open state findings of severity {severity}.",
                partial(self._open_of, severity),
            )

    def _open_of(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.analyzer.findings())

    async def run(self, *, started: Callable[[], None] | None = None) -> None:
        """Run until ``stop`` (or a signal), then drain and close.

        Raises:
            Exception: a part that kept crashing, or the listener's address is taken.
        """
        supervisor = Supervisor(self.meter)
        analyzer = Pump("analyzer", self._observations, self.analyzer.handle, self._findings, self._dead, self.meter)
        alerts = Pump("alerts", self._findings, self.alerts.handle, NotificationSink(), self._dead, self.meter)
        try:
            await self.server.start()
            async with asyncio.TaskGroup() as group:
                group.create_task(supervisor.run("collector", lambda: self._collect(self._observations)))
                group.create_task(supervisor.run("analyzer", analyzer.run))
                group.create_task(supervisor.run("alerts", alerts.run))
                self.ready = True
                if started is not None:
                    started()
            log.info("all stages have ended, nothing is left on the buses")
        finally:
            self.ready = False
            await self.server.stop()
            self.ledger.close()
            self.history.close()

    async def _collect(self, sink: Sink) -> None:
        async for batch in self.collector.observe():
            await sink.send(batch)
            self.meter.count_out(batch)
        await sink.close()

    def stop(self) -> None:
        """Begin an orderly shutdown."""
        self.collector.stop()

    def _dead(self, message: Message, reason: str) -> None:
        """Keep a message that no stage can handle, with the reason."""
        letter = msgspec.json.encode({"reason": reason, "message": msgspec.Raw(encode(message))})
        with self._dead_path.open("ab") as file:
            file.write(letter + b"\n")


def run_until_signalled(instance: Instance, *, started: Callable[[], None] | None = None) -> None:
    """Run an instance in the foreground; Ctrl-C or SIGTERM ends it in order, a second one at once."""

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
        await instance.run(started=started)

    asyncio.run(main())

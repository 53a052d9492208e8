"""Logs, one JSON object a line, and Prometheus metrics."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alerts.delivery.wording import printable
from anchorwatch import __version__
from schemas.messages import Finding, Message, Notification, Observation

_PLAIN = set(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}
REPEAT_S = 1.0
MOST_REMEMBERED = 1000


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what was passed as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in record.__dict__.items() if key not in _PLAIN}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """One line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        extras = " ".join(f"{key}={value}" for key, value in record.__dict__.items() if key not in _PLAIN)
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        line = printable(f"{at} {record.levelname.lower():7} {record.getMessage()} {extras}".rstrip())
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


class RepeatFilter(logging.Filter):
    """Lets the same record pass once a second; what was held back is counted on the next one, as ``repeated``.

    The same are records of one logger with the same message and extras; of exceptions, with the same message and class.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record."""
        key, now = _same(record), self._clock()
        passed_at, held_back = self._seen.get(key, (-math.inf, 0))
        if now - passed_at < REPEAT_S:
            self._seen[key] = (passed_at, held_back + 1)
            return False
        if held_back:
            record.repeated = held_back
        if key not in self._seen and len(self._seen) >= MOST_REMEMBERED:
            self._seen = {one: seen for one, seen in self._seen.items() if now - seen[0] < REPEAT_S or seen[1]}
            if len(self._seen) >= MOST_REMEMBERED:
                self._seen.clear()
        self._seen[key] = (now, 0)
        return True


def _same(record: logging.LogRecord) -> tuple[object, ...]:
    said = (record.name, record.levelno, record.getMessage())
    if record.exc_info:
        return (*said, record.exc_info[0])
    extras = tuple(sorted((key, str(value)) for key, value in record.__dict__.items() if key not in _PLAIN))
    return (*said, extras)


def set_up_logging(level: str, format_name: str) -> None:
    """Send all logs to standard error in the given format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format_name == "json" else TextFormatter())
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("urllib3", "uvicorn", "uvicorn.error", "clickhouse_connect", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING")


Readings = Mapping[tuple[str, ...], float]
Family = type[CounterMetricFamily] | type[GaugeMetricFamily]


class _Reading(Collector):
    """A metric whose values are read when it is asked for."""

    def __init__(
        self, family: Family, name: str, text: str, labels: Sequence[str], read: Callable[[], Readings]
    ) -> None:
        self._family, self._name, self._text, self._labels, self._read = family, name, text, labels, read

    def describe(self) -> Iterator[Metric]:
        """Yield the metric without values: they can't be read while the process is put together."""
        yield self._family(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """Yield the metric as it is now."""
        metric = self._family(self._name, self._text, labels=self._labels)
        for values, number in self._read().items():
            metric.add_metric(values, number)
        yield metric


class Meter:
    """All metrics of one process, in a registry of their own; memory, processor time and descriptors among them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("anchorwatch_build", "What runs here.", registry=registry).info({"version": __version__})
        self.observations = Counter(
            "anchorwatch_observations_total", "Observations handed on, by verdict.", ["verdict"], registry=registry
        )
        self.findings = Counter(
            "anchorwatch_findings_total", "Findings handed on.", ["code", "status"], registry=registry
        )
        self.notifications = Counter(
            "anchorwatch_notifications_total",
            "Notifications, by receiver and what became of them.",
            ["receiver", "status"],
            registry=registry,
        )
        self.transients = Counter(
            "anchorwatch_transients_total", "Times a stage waited for a dependency.", ["stage"], registry=registry
        )
        self.dead_letters = Counter(
            "anchorwatch_dead_letters_total", "Messages kept as dead letters.", ["stage"], registry=registry
        )
        self.expired = Counter(
            "anchorwatch_bus_expired_total",
            "Messages that Kafka dropped before they were handled.",
            ["stage"],
            registry=registry,
        )
        self.rebalances = Counter(
            "anchorwatch_bus_rebalances_total",
            "Times the work was shared out anew among the processes of a stage.",
            ["stage"],
            registry=registry,
        )
        self.restarts = Counter(
            "anchorwatch_restarts_total", "Times a part was restarted after a crash.", ["part"], registry=registry
        )
        self.heartbeats = Counter(
            "anchorwatch_heartbeats_total",
            "Heartbeats, by what became of them: sent, failed, or withheld since not all makes progress.",
            ["outcome"],
            registry=registry,
        )
        self.handle_seconds = Histogram(
            "anchorwatch_handle_seconds",
            "Time to handle one batch.",
            ["stage"],
            registry=registry,
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
        )

    def gauge(self, name: str, text: str, read: Callable[[], float], *, stage: str = "") -> None:
        """Add a gauge that is read when it is asked for. ``stage`` becomes its label."""
        values = (stage,) if stage else ()
        self.gauges(name, text, ("stage",) if stage else (), lambda: {values: read()})

    def gauges(self, name: str, text: str, labels: Sequence[str], read: Callable[[], Readings]) -> None:
        """Add a gauge with labels; ``read`` returns a number for each combination of their values that there is."""
        self.registry.register(_Reading(GaugeMetricFamily, name, text, labels, read))

    def counter(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a counter that is kept elsewhere and only grows; its name gets the ending ``_total``."""
        self.counters(name, text, (), lambda: {(): read()})

    def counters(self, name: str, text: str, labels: Sequence[str], read: Callable[[], Readings]) -> None:
        """Add a counter with labels that is kept elsewhere."""
        self.registry.register(_Reading(CounterMetricFamily, name, text, labels, read))

    @contextmanager
    def handling(self, stage: str) -> Iterator[None]:
        """Time one batch."""
        started = time.perf_counter()
        yield
        self.handle_seconds.labels(stage).observe(time.perf_counter() - started)

    def count_out(self, messages: Sequence[Message]) -> None:
        """Count what left a stage."""
        for message in messages:
            match message:
                case Observation():
                    self.observations.labels(message.judgement.verdict).inc()
                case Finding():
                    self.findings.labels(message.code, message.status).inc()
                case Notification():
                    self.notifications.labels(message.receiver, message.status).inc()

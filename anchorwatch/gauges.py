"""What each stage shows of itself as gauges."""

from functools import partial

from alerts.ledger import SqliteLedger
from analyzer.stage import Analyzer
from anchorwatch.telemetry import Meter
from collector.stage import Collector
from schemas.catalogue import Severity


def add_collector_gauges(meter: Meter, collector: Collector) -> None:
    """Show how much is asked, and how much is watched."""
    gauge = meter.gauge
    gauge("anchorwatch_polls", "Polls made since the start.", lambda: collector.polls)
    gauge("anchorwatch_validations", "Full validations since the start.", lambda: collector.validations)
    gauge("anchorwatch_queries", "Questions sent to vantages since the start.", lambda: collector.queries)
    gauge("anchorwatch_watched", "Endpoints (name, type, vantage) being polled.", lambda: collector.watched)


def add_analyzer_gauges(meter: Meter, analyzer: Analyzer) -> None:
    """Show what is open, by severity, and the polls that fit no observation."""
    taken = "Observations stored and analysed since the start."
    meter.gauge("anchorwatch_taken", taken, lambda: analyzer.taken)
    text = "Polls, since the start, that changed nothing: they confirmed an observation."
    meter.gauge("anchorwatch_polls_confirmed", text, lambda: analyzer.confirmed)
    text = "Polls, since the start, that spoke of another observation than the last one known."
    meter.gauge("anchorwatch_polls_unmatched", text, lambda: analyzer.unmatched)
    for severity in Severity:
        name = f"anchorwatch_open_findings_{severity}"
        meter.gauge(name, f"Open state findings of severity {severity}.", partial(_open_of, analyzer, severity))


def add_alerts_gauges(meter: Meter, ledger: SqliteLedger) -> None:
    """Show what still has to be delivered."""
    meter.gauge("anchorwatch_deliveries_pending", "Deliveries that wait.", ledger.pending)


def _open_of(analyzer: Analyzer, severity: Severity) -> int:
    return sum(finding.severity is severity for finding in analyzer.findings())

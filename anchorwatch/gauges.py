"""What each stage shows of itself as gauges."""

from functools import partial

from alerts.ledger import SqliteLedger
from analyzer.stage import Analyzer
from anchorwatch.progress import Progress, Step
from anchorwatch.telemetry import Meter
from collector.matching import KINDS
from collector.stage import Collector
from schemas.catalogue import Severity


def add_progress_gauges(meter: Meter, progress: Progress) -> None:
    """Show for how long each stage has made no progress."""
    text = "Seconds since a stage made progress; waiting for work is progress."
    meter.gauge_by_stage("anchorwatch_stage_idle_seconds", text, {s.name: partial(_idle_of, s) for s in progress.steps})


def add_collector_gauges(meter: Meter, collector: Collector) -> None:
    """Show how much is asked, and how much is watched."""
    gauge = meter.gauge
    gauge("anchorwatch_polls", "Polls made since the start.", lambda: collector.polls)
    gauge("anchorwatch_validations", "Full validations since the start.", lambda: collector.validations)
    gauge("anchorwatch_queries", "Questions sent to vantages since the start.", lambda: collector.queries)
    gauge("anchorwatch_hosts", "Hosts (different names) being polled.", lambda: collector.hosts)
    gauge("anchorwatch_watched", "Checks (name, type, vantage) being polled.", lambda: collector.watched)
    late = "Polls that began late, or whose turn came before the last one was over, since the start."
    gauge("anchorwatch_polls_late", late, lambda: collector.polls_late)
    gauge("anchorwatch_polls_waiting", "Polls that are due and wait for a slot.", lambda: collector.polls_waiting)
    resting = "Endpoints in zones that do not answer: one of each is asked, at growing distance."
    gauge("anchorwatch_resting", resting, lambda: collector.resting)
    for kind in KINDS:
        text = f"Replies passed over since the start because they match no question of ours, by {kind}."
        gauge(f"anchorwatch_replies_passed_over_{kind}", text, partial(collector.mismatches, kind))


def add_analyzer_gauges(meter: Meter, analyzer: Analyzer) -> None:
    """Show what is open, by severity, and the polls that fit no observation."""
    taken = "Observations stored and analysed since the start."
    meter.gauge("anchorwatch_taken", taken, lambda: analyzer.taken)
    text = "Polls, since the start, that changed nothing: they confirmed an observation."
    meter.gauge("anchorwatch_polls_confirmed", text, lambda: analyzer.confirmed)
    text = "Polls, since the start, that spoke of another observation than the last one known."
    meter.gauge("anchorwatch_polls_unmatched", text, lambda: analyzer.unmatched)
    text = "Polls, since the start, that were not later than one taken in: they came again, or a clock was set back."
    meter.gauge("anchorwatch_polls_dropped", text, lambda: analyzer.dropped)
    for severity in Severity:
        name = f"anchorwatch_open_findings_{severity}"
        meter.gauge(name, f"Open state findings of severity {severity}.", partial(_open_of, analyzer, severity))


def add_alerts_gauges(meter: Meter, ledger: SqliteLedger) -> None:
    """Show what still has to be delivered."""
    meter.gauge("anchorwatch_deliveries_pending", "Deliveries that wait.", ledger.pending)


def _open_of(analyzer: Analyzer, severity: Severity) -> int:
    return sum(finding.severity is severity for finding in analyzer.findings())


def _idle_of(step: Step) -> float:
    return step.idle_s

"""What each stage shows of itself, read when it is asked for. Names and units as Prometheus has them.

Counters end in ``_total``, what differs is a label, times are seconds.

Source: https://prometheus.io/docs/practices/naming/
"""

from collections import Counter
from collections.abc import Callable, Mapping

from alerts.ledger.ledger import Record
from alerts.stage import Alerts
from analyzer.stage import Analyzer
from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter
from collector.polling.status import PollingStatus
from collector.resolvers.matching import KINDS


def add_progress_metrics(meter: Meter, progress: Progress) -> None:
    """Show for how long each stage has made no progress."""
    text = "Seconds since a stage made progress; waiting for work is progress."
    meter.gauges(
        "anchorwatch_stage_idle_seconds", text, ("stage",), lambda: {(s.name,): s.idle_s for s in progress.steps}
    )


def add_collector_metrics(meter: Meter, status: Callable[[], PollingStatus]) -> None:
    """Show how much is asked, and how much is watched."""
    count, gauge = meter.counter, meter.gauge
    count("anchorwatch_polls", "Polls made.", lambda: status().polls)
    count("anchorwatch_validations", "Full validations.", lambda: status().validations)
    text = "Polls whose answer was the same, under another signature: one signature verified."
    count("anchorwatch_polls_resigned", text, lambda: status().resigned)
    text = "Polls validated in full only to compare with the skim."
    count("anchorwatch_polls_shadowed", text, lambda: status().shadowed)
    text = "Such polls that came out otherwise: a fault of ours."
    count("anchorwatch_shadow_differences", text, lambda: status().shadow_differences)
    count("anchorwatch_queries", "Questions sent to vantages.", lambda: status().queries)
    gauge("anchorwatch_hosts", "Hosts (different names) being polled.", lambda: status().hosts)
    gauge("anchorwatch_watched", "Checks (name, type, vantage) being polled.", lambda: status().watched)
    changes = "Identities that came, went and changed in the inventory since the start."
    meter.counters(
        "anchorwatch_inventory_changes",
        changes,
        ("change",),
        lambda: {(kind,): status().inventory_changes.get(kind, 0) for kind in ("added", "removed", "changed")},
    )
    late = "Polls that began late, or whose turn came before the last one was over."
    count("anchorwatch_polls_late", late, lambda: status().polls_late)
    gauge("anchorwatch_polls_waiting", "Polls that are due and wait for a slot.", lambda: status().polls_waiting)
    resting = "Endpoints in zones that do not answer: one of each is asked, at growing distance."
    gauge("anchorwatch_resting", resting, lambda: status().resting)
    passed_over = "Replies passed over because they match no question of ours, by what was wrong."
    meter.counters(
        "anchorwatch_replies_passed_over",
        passed_over,
        ("kind",),
        lambda: {(kind,): status().passed_over.get(kind, 0) for kind in KINDS},
    )
    last = "When a vantage last answered a poll."
    meter.gauges(
        "anchorwatch_last_poll_timestamp_seconds",
        last,
        ("vantage",),
        lambda: {(name,): at for name, at in status().answered_at.items()},
    )


def add_analyzer_metrics(meter: Meter, analyzer: Analyzer) -> None:
    """Show what is the case, what is open, and the polls that fit no observation."""
    count = meter.counter
    count("anchorwatch_observations_taken", "Observations stored and analysed.", lambda: analyzer.taken)
    text = "Polls that changed nothing: they confirmed an observation."
    count("anchorwatch_polls_confirmed", text, lambda: analyzer.confirmed)
    text = "Polls that spoke of another observation than the last one known."
    count("anchorwatch_polls_unmatched", text, lambda: analyzer.unmatched)
    text = "Polls that were not later than one taken in: they came again, or a clock was set back."
    count("anchorwatch_polls_dropped", text, lambda: analyzer.dropped)
    text = "Endpoints (name and type) at each vantage, by verdict."
    meter.gauges("anchorwatch_endpoints", text, ("verdict", "vantage"), lambda: dict(analyzer.current.verdicts))
    text = "Open findings that are states."
    meter.gauges("anchorwatch_open_findings", text, ("severity", "code"), lambda: _open_findings(analyzer))
    text = "When the first signature of a zone ends that a verdict rests on; the 1,000 zones whose end is next."
    meter.gauges(
        "anchorwatch_zone_signature_expiry_timestamp_seconds",
        text,
        ("zone",),
        lambda: {(zone,): at.timestamp() for zone, at in analyzer.next_ends.items()},
    )


def add_alerts_metrics(meter: Meter, ledger: Record, alerts: Callable[[], Alerts]) -> None:
    """Show what still has to be delivered, and how the open incidents are; ``alerts`` returns who alerts."""
    meter.gauge("anchorwatch_deliveries_pending", "Deliveries that wait.", ledger.pending)
    text = "When the last test page had arrived at every receiver that it went to; 0: never, or none is asked for."
    meter.gauge("anchorwatch_test_page_timestamp_seconds", text, lambda: alerts().drill_at)
    text = "Open incidents: nobody's, somebody's, given back, or silenced for everybody."
    meter.gauges(
        "anchorwatch_open_incidents",
        text,
        ("state",),
        lambda: {(state,): float(count) for state, count in alerts().states.items()},
    )


def _open_findings(analyzer: Analyzer) -> Mapping[tuple[str, ...], float]:
    return Counter((str(finding.severity), finding.code) for finding in analyzer.findings())

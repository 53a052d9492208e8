"""What a scrape shows, by Prometheus' own parser."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from anchorwatch import __version__
from anchorwatch.metrics import add_analyzer_metrics, add_collector_metrics
from anchorwatch.telemetry import Meter
from collector.polling.status import PollingStatus
from tests.support.clock import NOW


def scraped(meter: Meter) -> dict[str, dict[tuple[str, ...], float]]:
    """Return what is scraped, by name and the values of the labels, in the order of the labels' names."""
    return {
        sample.name: {tuple(one.labels.values()): one.value for one in family.samples if one.name == sample.name}
        for family in text_string_to_metric_families(generate_latest(meter.registry).decode())
        for sample in family.samples
    }


def test_what_runs_and_what_it_takes_is_shown() -> None:
    shown = scraped(Meter())

    assert shown["anchorwatch_build_info"] == {(__version__,): 1.0}
    assert shown["process_resident_memory_bytes"][()] > 1e6


def test_what_the_analyzer_knows_is_read_at_each_scrape() -> None:
    meter = Meter()
    finding = SimpleNamespace(severity="critical", code="rrsig_expired")
    analyzer: Any = SimpleNamespace(
        taken=3, confirmed=2, unmatched=0, dropped=0, next_ends={}, current=SimpleNamespace(verdicts={}), findings=list
    )
    add_analyzer_metrics(meter, analyzer)
    assert "anchorwatch_open_findings" not in scraped(meter)

    analyzer.taken, analyzer.findings = 4, lambda: [finding, finding]
    analyzer.next_ends = {"bank.example.": NOW + timedelta(days=1)}
    analyzer.current.verdicts = {("secure", "corp"): 7, ("bogus", "corp"): 1}
    shown = scraped(meter)

    assert shown["anchorwatch_observations_taken_total"] == {(): 4.0}
    assert shown["anchorwatch_open_findings"] == {("rrsig_expired", "critical"): 2.0}
    assert shown["anchorwatch_endpoints"] == {("corp", "secure"): 7.0, ("corp", "bogus"): 1.0}
    ends = shown["anchorwatch_zone_signature_expiry_timestamp_seconds"]
    assert ends == {("bank.example.",): NOW.timestamp() + 86400}


def test_each_kind_of_reply_passed_over_is_a_label() -> None:
    meter = Meter()
    status = PollingStatus(polls=1, passed_over={"id": 2}, answered_at={"corp": 1e9})
    add_collector_metrics(meter, lambda: status)
    shown = scraped(meter)

    assert shown["anchorwatch_replies_passed_over_total"][("id",)] == 2.0
    assert shown["anchorwatch_last_poll_timestamp_seconds"] == {("corp",): 1e9}
    assert shown["anchorwatch_polls_total"] == {(): 1.0}

"""``alerts`` and ``routes``: rules, where findings go, and how insistent the alerts are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from alerts.config import AlertsConfig, DrillPlan, Pacing, Rule
from alerts.receivers.receiver import Receiver
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.routes import HoursSection, RouteSection, read_hours, read_routes, read_tree
from anchorwatch.configuration.rules import read_rules, shipped_mappings, shipped_rules
from anchorwatch.configuration.values import Duration, Natural, Section, read_seconds
from anchorwatch.configuration.windows import read_recurring
from schemas.catalogue import Severity
from schemas.redaction import safe

StormSize = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class PageTestSection(Section, frozen=True, kw_only=True):
    """When a test page is sent, and to whom: by the routes, or to these receivers."""

    at: str
    timezone: str = ""
    severity: Severity = Severity.CRITICAL
    receivers: tuple[str, ...] = ()
    lasts: str = msgspec.field(default="10m", name="for")


class AlertsSection(Section, frozen=True, kw_only=True):
    """Rules, and how insistent the alerts are."""

    rules: tuple[str, ...] = ()
    ledger: str = ""
    repeat: Duration = "4h"
    drift_hold: Duration = "24h"
    join: Duration = "15m"
    max_attempts: Natural = 8
    acknowledged_for: Duration = "24h"
    group_wait: Duration = "30s"
    group_wait_critical: Duration = "10s"
    group_interval: Duration = "5m"
    storm: StormSize = 5
    hours: dict[str, HoursSection] = msgspec.field(default_factory=dict)
    test_page: PageTestSection | None = None


def read_alerts(
    section: AlertsSection,
    routes: tuple[RouteSection, ...],
    tree: RouteSection | None,
    receivers: tuple[Receiver, ...],
    base: Path,
    data: Path,
    document: Document,
) -> AlertsConfig:
    """Return what the alerts stage needs; ``data`` is the folder of the ledger unless the section names a file."""
    if routes and tree is not None:
        document.problem("route", "say either 'route', a tree, or 'routes', a list of which every one that fits counts")
    hours, names = read_hours(section.hours, document), [one.name for one in receivers if not one.takes_findings]
    rules = tuple(rule for one in section.rules for rule in read_rules(base / one, document))
    if not section.rules:
        rules = shipped_rules()
    _check_receivers(rules, names, document)
    return AlertsConfig(
        rules=rules,
        routes=read_routes(routes, "routes", hours, names, document),
        route=read_tree(tree, hours, names, document),
        pacing=Pacing(
            group_wait_s=read_seconds(section.group_wait, "alerts.group_wait", document, least=0.0),
            group_wait_critical_s=read_seconds(
                section.group_wait_critical, "alerts.group_wait_critical", document, least=0.0
            ),
            group_interval_s=read_seconds(section.group_interval, "alerts.group_interval", document, least=0.0),
            storm=section.storm,
        ),
        receivers=receivers,
        mappings=shipped_mappings(),
        ledger=base / section.ledger if section.ledger else data / "alerts.sqlite",
        repeat_s=read_seconds(section.repeat, "alerts.repeat", document, least=1.0),
        drift_hold_s=read_seconds(section.drift_hold, "alerts.drift_hold", document, least=1.0),
        join_s=read_seconds(section.join, "alerts.join", document, least=0.0),
        max_attempts=section.max_attempts,
        drill=_read_drill(section.test_page, names, document),
        acknowledged_for_s=read_seconds(section.acknowledged_for, "alerts.acknowledged_for", document, least=60.0),
    )


def _read_drill(section: PageTestSection | None, known: Sequence[str], document: Document) -> DrillPlan | None:
    """Return when a test page is sent, None for never."""
    if section is None:
        return None
    for name in section.receivers:
        if name not in known:
            document.problem("alerts.test_page.receivers", f"there is no receiver {safe(name)} that takes pages")
    return DrillPlan(
        schedule=read_recurring(section.at, section.timezone, "alerts.test_page", document),
        severity=section.severity,
        receivers=section.receivers,
        lasts_s=read_seconds(section.lasts, "alerts.test_page.for", document, least=60.0),
    )


def _check_receivers(rules: Sequence[Rule], known: Sequence[str], document: Document) -> None:
    """Note each rule that names a receiver that is not there."""
    for rule in rules:
        if rule.receiver and rule.receiver not in known:
            document.problem(
                "alerts.rules",
                f"rule {safe(rule.name)} names receiver {safe(rule.receiver)}, which is not there or takes no pages",
            )


def check_bus_receivers(receivers: Sequence[Receiver], bus_url: str, document: Document) -> None:
    """Note receivers that are reached over Kafka where there is none."""
    for number, receiver in enumerate(receivers):
        if receiver.needs_bus and bus_url == "local:":
            document.problem(
                f"receivers[{number}]", "it is a topic of the bus between the stages: say bus.url kafka://"
            )


def check_ledger(section: AlertsSection, bus_url: str, prefix: str, document: Document) -> None:
    """Note a ledger file where the ledger is a topic."""
    if section.ledger and bus_url != "local:":
        document.problem("alerts.ledger", f"over Kafka the ledger is the topic {prefix}.ledger: leave it out")

"""``alerts`` and ``routes``: rules, where findings go, and how insistent the alerts are."""

from collections.abc import Sequence
from pathlib import Path

from alerts.config import AlertsConfig, Route, Rule
from alerts.receivers.receiver import Receiver
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.rules import check_match, read_rules, shipped_mappings, shipped_rules
from anchorwatch.configuration.values import Natural, Section, read_seconds
from schemas.redaction import safe


class AlertsSection(Section, frozen=True, kw_only=True):
    """Rules, and how insistent the alerts are."""

    rules: tuple[str, ...] = ()
    ledger: str = ""
    repeat: str = "4h"
    drift_hold: str = "24h"
    join: str = "15m"
    max_attempts: Natural = 8
    acknowledged_for: str = "24h"


def read_alerts(
    section: AlertsSection,
    routes: tuple[Route, ...],
    receivers: tuple[Receiver, ...],
    base: Path,
    data: Path,
    document: Document,
) -> AlertsConfig:
    """Return what the alerts stage needs; ``data`` is the folder of the ledger unless the section names a file."""
    rules = tuple(rule for one in section.rules for rule in read_rules(base / one, document))
    if not section.rules:
        rules = shipped_rules()
    _check_receivers(rules, routes, receivers, document)
    return AlertsConfig(
        rules=rules,
        routes=routes,
        receivers=receivers,
        mappings=shipped_mappings(),
        ledger=base / section.ledger if section.ledger else data / "alerts.sqlite",
        repeat_s=read_seconds(section.repeat, "alerts.repeat", document, least=1.0),
        drift_hold_s=read_seconds(section.drift_hold, "alerts.drift_hold", document, least=1.0),
        join_s=read_seconds(section.join, "alerts.join", document, least=0.0),
        max_attempts=section.max_attempts,
        acknowledged_for_s=read_seconds(section.acknowledged_for, "alerts.acknowledged_for", document, least=60.0),
    )


def _check_receivers(
    rules: Sequence[Rule], routes: Sequence[Route], receivers: Sequence[Receiver], document: Document
) -> None:
    """Note each route and rule that names a receiver that is not there."""
    known = {receiver.name for receiver in receivers}
    for number, route in enumerate(routes):
        check_match(route.match, f"routes[{number}].match", document)
        if route.receiver not in known:
            document.problem(f"routes[{number}].receiver", f"there is no receiver {safe(route.receiver)}")
    for rule in rules:
        if rule.receiver and rule.receiver not in known:
            document.problem(
                "alerts.rules", f"rule {safe(rule.name)} names receiver {safe(rule.receiver)}, which is not there"
            )


def check_ledger(section: AlertsSection, bus_url: str, prefix: str, document: Document) -> None:
    """Note a ledger file where the ledger is a topic."""
    if section.ledger and bus_url != "local:":
        document.problem("alerts.ledger", f"over Kafka the ledger is the topic {prefix}.ledger: leave it out")

"""An alerts stage over a real ledger, with receivers that keep what they were told."""

import asyncio
from pathlib import Path
from typing import Any

from alerts.config import AlertsConfig, Match, Route
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.wording import describe
from alerts.ledger.sqlite import SqliteLedger
from alerts.stage import Alerts
from anchorwatch.configuration.rules import shipped_mappings
from schemas.catalogue import Severity
from schemas.messages import Act, Finding, Notification
from tests.support.pacing import AT_ONCE

PAGED = (Severity.CRITICAL, Severity.HIGH)


class Recorder:
    """A receiver that keeps what it was told; ``outcomes`` are used up first."""

    def __init__(self, *outcomes: DeliveryOutcome) -> None:
        self.told: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.outcomes = list(outcomes)

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        self.ids.append(delivery.id)
        if self.outcomes and not (outcome := self.outcomes.pop(0)).delivered:
            return outcome
        self.told.append((delivery.event, delivery.incident.cause))
        self.bodies.append(describe(delivery))
        return DeliveryOutcome(True, "fine")


class Desk:
    """An alerts stage with receivers ``pager`` and ``backup``."""

    def __init__(self, folder: Path, clock: Any, **changes: Any) -> None:
        self.clock, self.pager, self.backup = clock, Recorder(), Recorder()
        self.shouted: list[str] = []
        self.ticks: Any = None
        routes = (
            Route(match=Match(severity=PAGED), receiver="pager"),
            Route(match=Match(code=("self_alert_delivery_failed",)), receiver="backup"),
        )
        self.config = AlertsConfig(
            rules=(),
            mappings=shipped_mappings(),
            ledger=folder / "alerts.sqlite",
            **{"pacing": AT_ONCE, "receivers": (), "routes": routes, **changes},
        )
        self.restart()

    def restart(self) -> None:
        self.ledger = SqliteLedger(self.config.ledger)
        self.stage = self.staffed({"pager": self.pager, "backup": self.backup})

    def staffed(self, receivers: dict[str, Recorder]) -> Alerts:
        """A stage with these receivers, patient enough for a slow machine: the recorders answer at once."""
        return Alerts(
            self.config,
            self.ledger,
            receivers,
            self.clock,
            ticks=self.ticks,
            patience_s=20.0,
            last_resort=self.shouted.append,
        )

    def handle(self, *batch: Finding) -> list[Notification]:
        return self.do(*batch)

    def do(self, *batch: Finding | Act) -> list[Notification]:
        """Take in findings and what people did."""
        return [one for one in asyncio.run(self.stage.handle(batch)) if isinstance(one, Notification)]

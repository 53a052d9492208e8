"""A scenario as it was read: everything named exists, and every instant is in seconds since the start. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import dns.name

from alerts.config import AlertsConfig
from analyzer.findings.changes import Plan
from anchorwatch.replay.language import Expectation, KeySection, VantageSection, Word, ZoneSection
from collector.config import CollectorConfig


@dataclass(frozen=True)
class ZonePlan:
    """A zone to be set up. ``servers`` are addresses by name."""

    name: dns.name.Name
    section: ZoneSection
    keys: dict[str, KeySection]
    servers: dict[str, tuple[str, ...]]
    records: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """Something that happens at ``at``; ``line`` is where it stands, ``order`` keeps those of one instant in order."""

    at: float
    order: int
    name: str
    word: Word
    line: int


@dataclass(frozen=True)
class Expected:
    """An expectation and where it stands; ``times`` are its instants by field."""

    name: str
    word: Expectation
    line: int
    times: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """What there is, what happens, and what must come of it."""

    name: str
    title: str
    path: str
    start: datetime
    lasts_s: float
    seed: int
    loss: float
    zones: tuple[ZonePlan, ...]
    vantages: dict[str, VantageSection]
    trust_anchors: tuple[str, ...]
    inventory: tuple[Any, ...]
    collector: CollectorConfig
    alerts: AlertsConfig
    plans: tuple[Plan, ...]
    steps: tuple[Step, ...]
    expected: tuple[Expected, ...]
    cause_at: float | None = None
    outage_at: float | None = None

    def cut(self, lasts_s: float) -> "Scenario":
        """Return the scenario as it is until an earlier end: what happens, and is expected, after it is left out."""
        if lasts_s >= self.lasts_s:
            return self
        steps = tuple(step for step in self.steps if step.at < lasts_s)
        expected = tuple(one for one in self.expected if all(at <= lasts_s for at in one.times.values()))
        return replace(self, lasts_s=lasts_s, steps=steps, expected=expected)

    @property
    def pager(self) -> str:
        """Return the receiver that is meant where none is named: the first."""
        return self.alerts.receivers[0].name

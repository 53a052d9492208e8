"""Observations in, pages out: the real analyzer on the real engine, and the real alerts."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from schemas.messages import Finding, Message
from tests.support.desk import Desk
from tests.support.making import AT, with_zones


class Pipeline:
    """``at`` a minute, take messages in; ``told`` is what the pager was told."""

    def __init__(self, folder: Path, history: ClickHouseHistory, clock: Any) -> None:
        self.analyzer, self.desk, self.clock = Analyzer(history, clock), Desk(folder, clock), clock
        self.findings: list[Finding] = []

    def at(self, minute: float, *batch: Message) -> None:
        self.clock.seconds = (AT + timedelta(minutes=minute)).timestamp()
        found = [one for one in asyncio.run(self.analyzer.handle(with_zones(batch))) if isinstance(one, Finding)]
        self.findings += found
        self.desk.handle(*found)
        self.desk.handle()

    @property
    def told(self) -> list[tuple[str, str]]:
        return self.desk.pager.told

    @property
    def said(self) -> list[str]:
        """Return the summaries."""
        return [body["summary"] for body in self.desk.pager.bodies]


@pytest.fixture
def pipeline(tmp_path: Path, history: ClickHouseHistory, clock: Any) -> Pipeline:
    return Pipeline(tmp_path, history, clock)


@pytest.fixture
def after() -> Callable[[float], Any]:
    return lambda minutes: AT + timedelta(minutes=minutes)

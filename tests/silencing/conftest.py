"""Observations in, pages out: the real analyzer on the real engine, and the real alerts."""

import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "analyzer"), str(HERE.parent / "alerts"), str(HERE.parent / "collector")]

from desk import Desk  # noqa: E402
from making import AT, with_zones  # noqa: E402

from analyzer.history.clickhouse import ClickHouseHistory  # noqa: E402
from analyzer.stage import Analyzer  # noqa: E402
from schemas.messages import Finding, Message  # noqa: E402


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

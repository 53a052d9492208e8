"""Observations in, pages out: the real analyzer and the real alerts."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analyzer.stage import Analyzer
from anchorwatch.replay.inline import InlineLoop
from schemas.messages import Finding, Message
from tests.support.databases import AnyHistory
from tests.support.desk import Desk
from tests.support.making import AT, with_zones


class Pipeline:
    """``at`` a minute, take messages in; ``told`` is what the pager was told."""

    def __init__(self, folder: Path, history: AnyHistory, clock: Any) -> None:
        self.analyzer, self.desk, self.clock = Analyzer(history, clock), Desk(folder, clock), clock
        self.findings: list[Finding] = []

    def at(self, minute: float, *batch: Message) -> None:
        self.clock.seconds = (AT + timedelta(minutes=minute)).timestamp()
        found = [one for one in InlineLoop().run(self.analyzer.handle(with_zones(batch))) if isinstance(one, Finding)]
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
def pipeline(tmp_path: Path, any_history: AnyHistory, clock: Any) -> Pipeline:
    return Pipeline(tmp_path, any_history, clock)


@pytest.fixture
def after() -> Callable[[float], Any]:
    return lambda minutes: AT + timedelta(minutes=minutes)

"""Databases of their own on one engine."""

import itertools

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.memory import MemoryHistory

AnyHistory = ClickHouseHistory | MemoryHistory

_numbers = itertools.count(1)


def new_database() -> str:
    return f"test_{next(_numbers)}"

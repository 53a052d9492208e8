"""Databases of their own on one engine."""

import itertools
from collections.abc import Iterable
from typing import Any

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.memory import MemoryHistory

AnyHistory = ClickHouseHistory | MemoryHistory

_numbers = itertools.count(1)


def new_database() -> str:
    return f"test_{next(_numbers)}"


def lay_out(client: Any, migrated: Iterable[str]) -> None:
    """Make the tables that the migrations would make: the fixture ``migrated`` has the statements."""
    for statement in migrated:
        client.command(statement)
    client.command("INSERT INTO schema_migrations SELECT * FROM migrated.schema_migrations")

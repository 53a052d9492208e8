"""A process that is killed between two tables of one batch: its message comes again, to another process."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DataError

from analyzer.history import rows
from analyzer.history.clickhouse import TABLES, ClickHouseHistory
from analyzer.stage import Analyzer
from schemas.faults import Rejected
from schemas.judgement import Judgement
from schemas.messages import Finding
from tests.support.making import AT, judgement, observation, snapshot, with_zones


class Killed(Exception):
    """What ends the process of these tests."""


class Dying:
    """The client of a process that is killed when it is about to fill a table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def insert(self, table: str, *more: Any, **other: Any) -> Any:
        if table == self._table:
            raise Killed
        return self._client.insert(table, *more, **other)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_every_table_is_filled() -> None:
    assert sorted(TABLES) == sorted(rows.COLUMNS)


@pytest.mark.parametrize("table", ["evidence_messages", "evidence", "findings", "observations", "verdicts"])
@pytest.mark.parametrize(
    ("found", "code"),
    [
        (judgement(answers=("192.0.2.99",)), "answer_changed"),
        (judgement(verdict="bogus", code="rrsig_expired"), "rrsig_expired"),
    ],
)
def test_no_finding_is_lost(
    history: ClickHouseHistory, client: Any, clock: Any, table: str, found: Judgement, code: str
) -> None:
    first = with_zones([snapshot("sa", "api.bank.example"), observation(judgement(), AT)])
    asyncio.run(Analyzer(history, clock).handle(first))
    made = observation(found, AT + timedelta(minutes=1))
    batch = with_zones([made])
    with pytest.raises(Killed):
        asyncio.run(Analyzer(ClickHouseHistory(Dying(client, table)), clock).handle(batch))

    out = asyncio.run(Analyzer(history, clock).handle(batch))

    assert {message.code for message in out if isinstance(message, Finding)} == {code}
    assert [finding.code for finding in history.findings()] == [code]
    assert made.judgement in [judged for _, _, _, judged in history.latest_judgements()]
    assert history.evidence(found.evidence) is not None


class Picky:
    """The client of a server that refuses one observation."""

    def __init__(self, client: Any, refused: str) -> None:
        self._client, self._refused = client, refused

    def insert(self, table: str, data: Any, **other: Any) -> Any:
        if table == "observations" and any(row[0] == self._refused for row in data):
            raise DataError("a value does not fit")
        return self._client.insert(table, data, **other)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_the_neighbours_of_a_row_that_is_refused_are_stored(
    history: ClickHouseHistory, client: Any, clock: Any
) -> None:
    hosts = ("a.bank.example", "b.bank.example", "c.bank.example")
    batch = [observation(judgement(f"{host}.", verdict="bogus", code="rrsig_expired"), AT) for host in hosts]
    analyzer = Analyzer(ClickHouseHistory(Picky(client, batch[1].id)), clock)
    asyncio.run(analyzer.handle([snapshot(f"sa-{host}", host) for host in hosts]))

    with pytest.raises(Rejected):
        asyncio.run(analyzer.handle(batch))
    for message in (batch[0], batch[2]):
        asyncio.run(analyzer.handle([message]))

    stored = {judged.name for _, _, _, judged in history.latest_judgements()}
    assert stored == {"a.bank.example.", "c.bank.example."}
    assert not any(finding.confirmed for finding in history.findings()), "each was polled once, however often it came"

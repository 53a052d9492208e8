"""The folder that an operator copies, and a history to look at: an hour of one broken zone among others."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import msgspec
import pytest

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch.replay.inline import InlineLoop
from schemas.judgement import ChainLink, Verdict
from schemas.messages import InventoryIndex, Message, Occasion
from tests.support.clock import ManualClock
from tests.support.databases import lay_out, new_database
from tests.support.making import AT, judgement, key, link, observation, polls, snapshot, with_zones

COMPOSE = Path(__file__).parents[2] / "compose"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def compose() -> Path:
    return COMPOSE


@pytest.fixture(scope="module")
def demo(engine: str, admin: Any, migrated: list[str]) -> Iterator[Any]:
    """A client of a history of the hour from AT on, to be read only, by real messages through the real analyzer.

    ``api.bank.example.`` renews its signatures and turns bogus for good; ``pay.bank.example.`` gets another address;
    ``www.shop.example.`` is unsigned. Both identities consume the first, one of them the others too.
    """
    database = new_database()
    admin.command(f"CREATE DATABASE {database}")
    client = clickhouse_connect.get_client(interface="chdb", path=engine, database=database)
    lay_out(client, migrated)
    clock = ManualClock()
    analyzer = Analyzer(ClickHouseHistory(client), clock)

    def handle(minute: int, *messages: Message) -> None:
        clock.seconds = (AT + minute * MINUTE).timestamp()
        InlineLoop().run(analyzer.handle(with_zones(messages)))

    soon, later = AT + timedelta(hours=12), AT + timedelta(days=9)
    old, new = _chain(soon), _chain(later, new_key=True)
    api, pay, shop = "api.bank.example.", "pay.bank.example.", "www.shop.example."
    first = [
        observation(judgement(api, chain=old, expires_at=soon), AT, Occasion.FIRST),
        observation(judgement(pay, chain=old, expires_at=soon), AT, Occasion.FIRST),
        observation(_unsigned(shop), AT, Occasion.FIRST),
    ]
    handle(
        0,
        snapshot("sa-settlement", "api.bank.example"),
        snapshot("sb-orders", "api.bank.example", "pay.bank.example", "www.shop.example"),
        InventoryIndex(seen_at=AT, ids=("sa-settlement", "sb-orders"), vantages=("corp",)),
        *first,
    )
    handle(10, polls(*first, at=AT + 10 * MINUTE))
    renewed = observation(judgement(api, chain=new, expires_at=later), AT + 20 * MINUTE)
    handle(20, renewed, polls(*first[1:], at=AT + 20 * MINUTE))
    moved = observation(judgement(pay, chain=new, expires_at=later, answers=("192.0.2.77",)), AT + 30 * MINUTE)
    handle(30, moved, polls(renewed, first[2], at=AT + 30 * MINUTE))
    broken = observation(
        judgement(api, verdict="bogus", code="rrsig_expired", chain=new, expires_at=None), AT + 40 * MINUTE
    )
    for minute in (40, 41, 42, 60):
        handle(minute, *([broken] if minute == 40 else []), polls(broken, moved, first[2], at=AT + minute * MINUTE))
    yield client
    client.close()
    admin.command(f"DROP DATABASE {database}")


def _chain(ends: Any, *, new_key: bool = False) -> tuple[ChainLink, ...]:
    keys = (key(1, entry=True), key(2)) + ((key(3),) if new_key else ())
    bank = msgspec.structs.replace(link("bank.example.", keys=keys), expires_at=ends)
    return link("."), link("example."), bank


def _unsigned(name: str) -> Any:
    chain = (link("."), link("example."), link("shop.example.", verdict=Verdict.INSECURE))
    return judgement(name, verdict="insecure", code="unsigned_delegation", zone="shop.example.", chain=chain)

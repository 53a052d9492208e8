"""What every bus promises, run over each implementation."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from anchorwatch.bus import LocalBus
from schemas.messages import Message, SelfReport

AT = datetime(2026, 11, 24, tzinfo=UTC)


def message(number: int) -> SelfReport:
    return SelfReport(code="self_inventory_stale", subject=str(number), at=AT, detail="x")


BUSES: list[Callable[[], Any]] = [lambda: LocalBus("test", most=10, batch=4, quiet_s=0.02)]


@pytest.fixture(params=BUSES, ids=["local"])
def make_bus(request: pytest.FixtureRequest) -> Callable[[], Any]:
    return request.param


def run(story: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(story, 10)

    return asyncio.run(bounded())


async def read_all(bus: Any) -> list[Message]:
    found: list[Message] = []
    while (batch := await bus.batch()) is not None:
        found += batch
        await bus.commit()
    return found


def test_messages_arrive_once_and_in_order(make_bus: Callable[[], Any]) -> None:
    async def story() -> list[Message]:
        bus = make_bus()
        await bus.send([message(n) for n in range(9)])
        await bus.close()
        return await read_all(bus)

    assert run(story()) == [message(n) for n in range(9)]


def test_what_is_not_committed_comes_again(make_bus: Callable[[], Any]) -> None:
    async def story() -> None:
        bus = make_bus()
        await bus.send([message(1), message(2)])
        first = await bus.batch()
        assert await bus.batch() == first
        await bus.commit()
        assert await bus.batch() == []

    run(story())


def test_a_quiet_spell_is_an_empty_batch_and_the_end_is_none(make_bus: Callable[[], Any]) -> None:
    async def story() -> None:
        bus = make_bus()
        assert await bus.batch() == []
        await bus.close()
        assert await bus.batch() is None

    run(story())


def test_a_closed_bus_is_drained_first(make_bus: Callable[[], Any]) -> None:
    async def story() -> None:
        bus = make_bus()
        await bus.send([message(1)])
        await bus.close()
        assert await bus.batch() == [message(1)]
        await bus.commit()
        assert await bus.batch() is None

    run(story())


def test_a_full_bus_makes_the_sender_wait(make_bus: Callable[[], Any]) -> None:
    async def story() -> None:
        bus = make_bus()
        await bus.send([message(n) for n in range(10)])
        waiting = asyncio.create_task(bus.send([message(10)]))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        await bus.batch()
        await bus.commit()
        await asyncio.wait_for(waiting, 1)

    run(story())

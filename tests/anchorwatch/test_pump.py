import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

import anchorwatch.pump
from anchorwatch.bus import LocalBus
from anchorwatch.letters import Letter
from anchorwatch.pump import Pump
from anchorwatch.telemetry import Meter
from schemas.faults import Rejected, Transient
from schemas.messages import Message, SelfReport
from schemas.wire import decode

AT = datetime(2026, 11, 24, tzinfo=UTC)


def message(number: int) -> SelfReport:
    return SelfReport(code="self_inventory_stale", subject=str(number), at=AT, detail="x")


class Collected:
    def __init__(self, failures: int = 0) -> None:
        self.messages: list[Message] = []
        self.closed = False
        self.failures = failures

    async def send(self, messages: Sequence[Message]) -> None:
        if self.failures:
            self.failures -= 1
            raise Transient("the bus is away")
        self.messages += messages

    async def close(self) -> None:
        self.closed = True


class Kept:
    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def put(self, letter: Letter) -> None:
        self.letters.append(letter)


def pump(
    handle: Any, messages: Sequence[Message], sink: Collected | None = None
) -> tuple[Collected, list[tuple[Message, str]]]:
    sink = sink or Collected()
    kept = Kept()

    async def story() -> None:
        bus = LocalBus("in", kept, batch=8, quiet_s=0.01)
        await bus.send(messages)
        await bus.close()
        await Pump("stage", bus, handle, sink, Meter()).run()

    asyncio.run(asyncio.wait_for(story(), 20))
    return sink, [(decode(letter.value), letter.reason) for letter in kept.letters]


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchorwatch.pump, "FIRST_PAUSE_S", 0.001)


def test_outputs_go_out_and_the_sink_is_closed_at_the_end() -> None:
    async def echo(batch: Sequence[Message]) -> Sequence[Message]:
        return batch

    sink, dead = pump(echo, [message(n) for n in range(20)])

    assert sink.messages == [message(n) for n in range(20)]
    assert sink.closed
    assert dead == []


def test_a_bad_message_is_found_and_its_neighbours_pass() -> None:
    async def picky(batch: Sequence[Message]) -> Sequence[Message]:
        if message(5) in batch:
            raise Rejected("five is right out")
        return batch

    sink, dead = pump(picky, [message(n) for n in range(8)])

    assert sink.messages == [message(n) for n in range(8) if n != 5]
    assert dead == [(message(5), "five is right out")]


def test_a_dependency_that_is_away_delays_and_loses_nothing() -> None:
    failures = [3]

    async def moody(batch: Sequence[Message]) -> Sequence[Message]:
        if failures[0]:
            failures[0] -= 1
            raise Transient("away")
        return batch

    sink, _ = pump(moody, [message(1), message(2)], Collected(failures=2))

    assert sink.messages == [message(1), message(2)]


def test_a_stage_told_to_end_does_not_wait_for_a_dependency_and_commits_nothing() -> None:
    class Stopping(LocalBus):
        is_stopping = False

    async def away(batch: Sequence[Message]) -> Sequence[Message]:
        bus.is_stopping = True
        raise Transient("away")

    async def story() -> Sequence[Message] | None:
        await bus.send([message(1)])
        await Pump("stage", bus, away, Collected(), Meter()).run()
        return await bus.batch()

    bus = Stopping("in", Kept())

    assert asyncio.run(asyncio.wait_for(story(), 20)) == [message(1)]


def test_a_bug_escapes() -> None:
    async def broken(batch: Sequence[Message]) -> Sequence[Message]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pump(broken, [message(1)])


def test_what_became_another_processes_while_it_was_tried_again_is_dropped() -> None:
    """The next batch is whatever the source says then; here it is the same one, since nobody else committed it."""
    asked = []

    class Shared(LocalBus):
        async def is_ours(self) -> bool:
            asked.append(1)
            return len(asked) > 1

    tries = []

    async def handle(batch: Sequence[Message]) -> Sequence[Message]:
        tries.append(list(batch))
        if len(tries) in (1, 2):
            raise Transient("the history is away")
        return batch

    sink = Collected()

    async def story() -> None:
        bus = Shared("in", Kept(), quiet_s=0.01)
        await bus.send([message(1)])
        await bus.close()
        await Pump("stage", bus, handle, sink, Meter()).run()

    asyncio.run(asyncio.wait_for(story(), 20))

    assert len(asked) == 2, "once after each failure"
    assert tries == [[message(1)]] * 3
    assert sink.messages == [message(1)]

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

import anchorwatch.pipeline.pump
from anchorwatch.pipeline.dead_letters import Letter
from anchorwatch.pipeline.local_bus import LocalBus
from anchorwatch.pipeline.progress import Step
from anchorwatch.pipeline.pump import MOST_IN_A_ROW, Pump
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
    monkeypatch.setattr(anchorwatch.pipeline.pump, "FIRST_PAUSE_S", 0.001)


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


def test_a_bug_that_no_message_causes_escapes() -> None:
    async def broken(batch: Sequence[Message]) -> Sequence[Message]:
        if not batch:
            raise ZeroDivisionError
        return batch

    async def story() -> None:
        await Pump("stage", LocalBus("in", Kept(), quiet_s=0.01), broken, Collected(), Meter()).run()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(asyncio.wait_for(story(), 20))


def test_a_message_that_raises_whenever_it_comes_is_put_aside_with_the_reason_and_its_neighbours_pass() -> None:
    async def stumbling(batch: Sequence[Message]) -> Sequence[Message]:
        if message(5) in batch:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return batch

    sink, dead = pump(stumbling, [message(n) for n in range(8)])

    assert sink.messages == [message(n) for n in range(8) if n != 5]
    assert dead == [(message(5), "OverflowError: Python int too large to convert to SQLite INTEGER")]


def test_what_raises_once_is_no_dead_letter() -> None:
    raised = []

    async def once(batch: Sequence[Message]) -> Sequence[Message]:
        if batch and not raised:
            raised.append(batch)
            raise ZeroDivisionError
        return batch

    sink, dead = pump(once, [message(1)])

    assert (sink.messages, dead) == ([message(1)], [])


def test_no_descriptors_and_a_full_disk_are_no_message_s_fault() -> None:
    failures = [OSError(24, "Too many open files"), OSError(28, "No space left on device"), TimeoutError()] * 3

    async def short_of_something(batch: Sequence[Message]) -> Sequence[Message]:
        if failures:
            raise failures.pop()
        return batch

    sink, dead = pump(short_of_something, [message(1), message(2)])

    assert (sink.messages, dead) == ([message(1), message(2)], [])


def test_a_fault_that_hits_every_message_puts_nothing_aside_is_told_and_time_goes_on() -> None:
    """As a bug of the analysis, or an error of the database that nobody foresaw: the messages wait until it is over."""
    ages: list[str] = []
    is_broken = True

    async def broken(batch: Sequence[Message]) -> Sequence[Message]:
        nonlocal is_broken
        if not batch:
            ages.append(step.why_slow())
            is_broken = len(ages) < 3
        elif is_broken:
            raise KeyError("a column")
        return batch

    sent = [message(n) for n in range(60)]
    kept, sink, meter = Kept(), Collected(), Meter()
    bus = LocalBus("in", kept, batch=60, quiet_s=0.01)
    step = Step("stage", lambda: 0.0)
    stage = Pump("stage", bus, broken, sink, meter, step)

    async def story() -> None:
        await bus.send(sent)
        running = asyncio.create_task(stage.run())
        while len(sink.messages) < len(sent):
            await asyncio.sleep(0.001)
        await bus.close()
        await running

    asyncio.run(asyncio.wait_for(story(), 20))

    assert kept.letters == []
    assert sink.messages == sent
    assert "stage takes nothing in: 21 messages in a row raise, the last KeyError: 'a column'" in ages[0]
    assert step.why_slow() == ""


def test_a_stage_that_takes_nothing_in_ends_when_nothing_new_will_come() -> None:
    async def broken(batch: Sequence[Message]) -> Sequence[Message]:
        if batch:
            raise KeyError("a column")
        return batch

    sink, dead = pump(broken, [message(n) for n in range(60)])

    assert sink.closed
    assert len(dead) <= MOST_IN_A_ROW


def test_standing_by_while_the_bus_is_away_is_no_crash() -> None:
    class Standby(LocalBus):
        failures = 3

        async def is_ours(self) -> bool:
            return False

        async def batch(self) -> Sequence[Message] | None:
            self.failures -= 1
            if self.failures >= 0:
                raise Transient("Kafka is away")
            return None

    async def nothing(batch: Sequence[Message]) -> Sequence[Message]:
        return batch

    sink = Collected()
    asyncio.run(Pump("stage", Standby("in", Kept()), nothing, sink, Meter()).run())

    assert sink.closed


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

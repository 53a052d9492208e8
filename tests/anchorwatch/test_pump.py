import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from anchorwatch.pipeline.dead_letters import DeadLetter
from anchorwatch.pipeline.intake import MOST_IN_A_ROW, MOST_IN_WINDOW
from anchorwatch.pipeline.local_bus import Batch, BatchSource, LocalBus, Unreadable
from anchorwatch.pipeline.progress import Progress, Step
from anchorwatch.pipeline.pump import Pump
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from schemas.faults import Rejected, Transient
from schemas.messages import Message, SelfReport
from schemas.wire import decode
from tests.support import virtual

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
        self.letters: list[DeadLetter] = []

    def put(self, letter: DeadLetter) -> None:
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

    virtual.run(story())
    return sink, [(decode(letter.value), letter.reason) for letter in kept.letters]


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

    assert virtual.run(story()) == [message(1)]


def test_a_bug_that_no_message_causes_escapes() -> None:
    async def broken(batch: Sequence[Message]) -> Sequence[Message]:
        if not batch:
            raise ZeroDivisionError
        return batch

    async def story() -> None:
        await Pump("stage", LocalBus("in", Kept(), quiet_s=0.01), broken, Collected(), Meter()).run()

    with pytest.raises(ZeroDivisionError):
        virtual.run(story())


def test_a_message_that_raises_whenever_it_comes_is_put_aside_with_the_reason_and_its_neighbours_pass() -> None:
    async def stumbling(batch: Sequence[Message]) -> Sequence[Message]:
        if message(5) in batch:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return batch

    sink, dead = pump(stumbling, [message(n) for n in range(8)])

    assert sink.messages == [message(n) for n in range(8) if n != 5]
    assert dead == [(message(5), "OverflowError: Python int too large to convert to SQLite INTEGER")]


def test_what_raises_once_is_no_dead_letter() -> None:
    raised: list[Sequence[Message]] = []

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


def test_a_fault_that_hits_every_message_makes_no_dead_letters_is_told_and_time_goes_on() -> None:
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

    virtual.run(story())

    assert kept.letters == []
    assert sink.messages == sent
    assert ages[0] == (
        "stage takes no messages: 21 messages in a row would be dead letters; the last: KeyError: 'a column'"
    )
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
                raise Transient("Kafka is unavailable")
            return None

    async def nothing(batch: Sequence[Message]) -> Sequence[Message]:
        return batch

    sink = Collected()
    virtual.run(Pump("stage", Standby("in", Kept()), nothing, sink, Meter()).run())

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

    virtual.run(story())

    assert len(asked) == 2, "once after each failure"
    assert tries == [[message(1)]] * 3
    assert sink.messages == [message(1)]


class Watch:
    """A stage over the local bus, with the HTTP side of its process."""

    def __init__(self, handle: Any, source: BatchSource | None = None) -> None:
        self.kept, self.sink = Kept(), Collected()
        self.bus = LocalBus("in", self.kept, batch=50, quiet_s=1.0)
        meter, self.progress = Meter(), Progress(lambda: 0.0)
        self.pump = Pump("analyzer", source or self.bus, handle, self.sink, meter, self.progress.track("analyzer"))
        self._app = make_app(Parts(meter=meter, progress=self.progress))

    async def ready(self) -> tuple[int, str]:
        """Return what ``/-/ready`` answers."""
        sent: list[Any] = []
        scope = {"type": "http", "method": "GET", "path": "/-/ready", "query_string": b"", "headers": []}
        addresses = {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8053)}

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(part: Any) -> None:
            sent.append(part)

        await self._app({**scope, **addresses}, receive, send)
        return sent[0]["status"], b"".join(part.get("body", b"") for part in sent).decode()


def test_bad_messages_between_good_ones_halt_the_stage_until_it_can_handle_them() -> None:
    """As a stage that can't store what half of the vantages see: no row of them is long."""
    is_broken = True
    quiet: list[float] = []

    def is_bad(one: Message) -> bool:
        return isinstance(one, SelfReport) and int(one.subject) % 5 < 3

    async def handle(batch: Sequence[Message]) -> Sequence[Message]:
        if not batch:
            quiet.append(asyncio.get_running_loop().time())
        if is_broken and any(map(is_bad, batch)):
            raise Rejected("a column is missing")
        return batch or [message(-1)]

    watch = Watch(handle)
    sent = [message(n) for n in range(300)]

    async def story() -> None:
        nonlocal is_broken
        await watch.bus.send(sent)
        running = asyncio.create_task(watch.pump.run())
        while not watch.progress.why_not_ready():
            await asyncio.sleep(0.1)
        status, body = await watch.ready()
        assert status == 503
        assert "analyzer takes no messages: 101 of the last" in body
        assert body.rstrip().endswith("messages would be dead letters; the last: a column is missing")
        assert watch.progress.why_no_heartbeat()
        kept, before = len(watch.kept.letters), len(quiet)
        await asyncio.sleep(600)
        assert len(watch.kept.letters) == kept, "no more dead letters"
        assert kept <= MOST_IN_WINDOW
        assert len(quiet) - before > 1000, "time goes on for the stage"
        assert max(later - earlier for earlier, later in pairwise(quiet[before:])) < 1.0
        assert watch.sink.messages.count(message(-1)) >= len(quiet) - before, "what is due goes out"

        is_broken = False
        await asyncio.sleep(61)
        assert await watch.ready() == (200, "ready\n")
        assert watch.progress.why_no_heartbeat() == []
        await watch.bus.close()
        await running

    virtual.run(story())

    done = {one.subject for one in watch.sink.messages if isinstance(one, SelfReport)}
    letters = [decode(letter.value) for letter in watch.kept.letters]
    dead = {one.subject for one in letters if isinstance(one, SelfReport)}
    assert done | dead == {"-1", *(str(n) for n in range(300))}
    assert not done & dead


def test_what_the_stage_found_before_the_fault_goes_out_at_once_and_once() -> None:
    async def handle(batch: Sequence[Message]) -> Sequence[Message]:
        if any(isinstance(one, SelfReport) and int(one.subject) >= 10 for one in batch):
            raise KeyError("a column")
        return batch

    watch = Watch(handle)

    async def story() -> None:
        await watch.bus.send([message(n) for n in range(50)])
        running = asyncio.create_task(watch.pump.run())
        await asyncio.sleep(600)
        running.cancel()

    virtual.run(story())

    assert watch.sink.messages == [message(n) for n in range(10)]
    assert watch.kept.letters == []


def test_a_fault_that_hits_time_too_while_halted_ends_no_process() -> None:
    is_broken = False

    async def handle(batch: Sequence[Message]) -> Sequence[Message]:
        if is_broken:
            raise KeyError("a table")
        return batch

    watch = Watch(handle)

    async def story() -> None:
        nonlocal is_broken
        is_broken = True
        await watch.bus.send([message(n) for n in range(50)])
        running = asyncio.create_task(watch.pump.run())
        await asyncio.sleep(600)
        assert (await watch.ready())[0] == 503
        is_broken = False
        await asyncio.sleep(61)
        assert (await watch.ready())[0] == 200
        await watch.bus.close()
        await running

    virtual.run(story())

    assert watch.sink.messages == [message(n) for n in range(50)]


class Mixed:
    """A source with things on it that are no messages."""

    is_stopping = is_ending = False

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches, self.dead = list(batches), list[str]()

    async def batch(self) -> Batch | None:
        return self.batches[0] if self.batches else None

    async def commit(self) -> None:
        del self.batches[:1]

    async def keep_dead_letter(self, message: Message | Unreadable, reason: str) -> None:
        self.dead.append(reason)

    async def is_ours(self) -> bool:
        return True


def test_what_can_not_be_read_becomes_a_dead_letter_and_its_neighbours_pass() -> None:
    async def echo(batch: Sequence[Message]) -> Sequence[Message]:
        return batch

    source = Mixed([[message(1), Unreadable("no JSON"), message(2)], [Unreadable("no tag")]])
    watch = Watch(echo, source)

    virtual.run(watch.pump.run())

    assert watch.sink.messages == [message(1), message(2)]
    assert source.dead == ["no JSON", "no tag"]


def test_a_topic_that_this_version_can_not_read_is_not_emptied_into_dead_letters() -> None:
    async def echo(batch: Sequence[Message]) -> Sequence[Message]:
        return batch

    source = Mixed([[message(1)], [Unreadable("the tag 'observation.v9' is unknown")] * 30])
    watch = Watch(echo, source)

    async def story() -> None:
        running = asyncio.create_task(watch.pump.run())
        await asyncio.sleep(600)
        status, body = await watch.ready()
        running.cancel()
        assert status == 503
        assert "21 messages in a row would be dead letters; the last: the tag 'observation.v9' is unknown" in body

    virtual.run(story())

    assert source.dead == []
    assert len(source.batches) == 1

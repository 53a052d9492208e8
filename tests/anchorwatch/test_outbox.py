"""What waits for Kafka: bounded, in order, observations before all."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

import anchorwatch.kafka.outbox
import anchorwatch.pipeline.pump
from anchorwatch.kafka.outbox import Outbox
from anchorwatch.pipeline.progress import Step
from anchorwatch.telemetry import Meter
from schemas.faults import Transient
from schemas.messages import Message, PollBatch, SelfReport

AT = datetime(2026, 11, 24, tzinfo=UTC)


class Kafka:
    """A sink that takes messages only while it is ``up``."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.up, self.fault, self.closed = True, None, False

    async def send(self, messages: Sequence[Message]) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if not self.up:
            raise Transient("fewer replicas in sync than min.insync.replicas")
        self.taken += messages

    async def close(self) -> None:
        self.closed = True


def report(number: int) -> SelfReport:
    return SelfReport(code="self_inventory_stale", subject=str(number), at=AT, detail="x")


def polls(number: int) -> PollBatch:
    return PollBatch(
        id=str(number),
        vantage="corp",
        names=("a.", "b."),
        types=("A",) * 2,
        observations=("o",) * 2,
        polled_at=(AT,) * 2,
    )


@pytest.fixture(autouse=True)
def _small_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchorwatch.pipeline.pump, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(anchorwatch.pipeline.pump, "LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(anchorwatch.kafka.outbox, "MOST_MESSAGES", 40)
    monkeypatch.setattr(anchorwatch.kafka.outbox, "MOST_POLL_BATCHES", 10)


def run(story: Any) -> Any:
    async def bounded() -> Any:
        kafka = Kafka()
        stopping: list[bool] = []
        step = Step("sending", lambda: 0.0)
        outbox = Outbox(kafka, Meter(), step, lambda: bool(stopping))
        return await asyncio.wait_for(story(outbox, kafka, stopping), 20)

    return asyncio.run(bounded())


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_everything_is_handed_on_in_order_and_the_sink_is_closed() -> None:
    async def story(outbox: Outbox, kafka: Kafka, stopping: list[bool]) -> None:
        for number in range(0, 30, 3):
            await outbox.send([report(number + n) for n in range(3)])
        await outbox.close()
        assert kafka.taken == [report(number) for number in range(30)]
        assert kafka.closed

    run(story)


def test_while_kafka_takes_nothing_the_sender_goes_on_and_the_oldest_polls_go_first() -> None:
    async def story(outbox: Outbox, kafka: Kafka, stopping: list[bool]) -> None:
        kafka.up = False
        for number in range(25):
            await outbox.send([report(number), polls(number)])
        assert outbox.dropped == 2 * 15
        kafka.up = True
        await outbox.close()
        assert [one for one in kafka.taken if isinstance(one, SelfReport)] == [report(n) for n in range(25)]
        assert [one for one in kafka.taken if isinstance(one, PollBatch)] == [polls(n) for n in range(15, 25)]

    run(story)


def test_without_room_the_sender_waits_and_no_observation_is_lost() -> None:
    async def story(outbox: Outbox, kafka: Kafka, stopping: list[bool]) -> None:
        kafka.up = False
        sending = asyncio.create_task(outbox.send([report(n) for n in range(60)]))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not sending.done()
        kafka.up = True
        await sending
        await outbox.close()
        assert kafka.taken == [report(n) for n in range(60)]

    run(story)


def test_told_to_end_while_kafka_is_away_it_ends() -> None:
    async def story(outbox: Outbox, kafka: Kafka, stopping: list[bool]) -> None:
        kafka.up = False
        await outbox.send([report(1)])
        stopping.append(True)
        await outbox.close()
        assert kafka.closed

    run(story)


def test_a_crash_reaches_the_sender_and_nothing_is_lost() -> None:
    async def story(outbox: Outbox, kafka: Kafka, stopping: list[bool]) -> None:
        kafka.fault = KeyError("a bug")  # type: ignore[assignment]
        await outbox.send([report(1)])
        await until(lambda: kafka.fault is None)
        await asyncio.sleep(0)
        with pytest.raises(KeyError):
            await outbox.send([report(2)])
        await outbox.send([report(3)])
        await outbox.close()
        assert kafka.taken == [report(1), report(2), report(3)]

    run(story)

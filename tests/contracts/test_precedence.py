"""Who consumes what comes before what they observe, and that before the polls that speak of it."""

import asyncio
import itertools
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.structs import TopicPartition

from anchorwatch.kafka.backlog import Backlog
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.source import KafkaSource
from anchorwatch.kafka.topics import INVENTORY, OBSERVATIONS, POLLS, prepare_topics
from anchorwatch.pipeline.local_bus import Unreadable
from anchorwatch.telemetry import Meter
from schemas.messages import Identity, InventorySnapshot, Message, PollBatch, SelfReport
from tests.contracts.test_bus import AT
from tests.support.daemons import free_port

pytestmark = pytest.mark.slow

_numbers = itertools.count()


def record(topic: str, partition: int, offset: int, at: int) -> Any:
    return SimpleNamespace(topic=topic, partition=partition, offset=offset, timestamp=at)


def places(records: list[Any]) -> list[tuple[str, int, int]]:
    return [(one.topic, one.partition, one.offset) for one in records]


@pytest.fixture
def backlog() -> Backlog:
    backlog = Backlog(["first", "second"])
    backlog.add({TopicPartition("second", 0): [record("second", 0, 7, 1)]})
    backlog.add({TopicPartition("first", 0): [record("first", 0, 3, 10), record("first", 0, 4, 30)]})
    backlog.add({TopicPartition("first", 1): [record("first", 1, 5, 20)]})
    return backlog


def test_earlier_topics_come_first_and_each_by_time(backlog: Backlog) -> None:
    assert places(backlog.take(9, {})) == [("first", 0, 3), ("first", 1, 5), ("first", 0, 4), ("second", 0, 7)]
    assert backlog.take(9, {}) == []


def test_no_more_are_taken_than_wanted_and_the_rest_stays(backlog: Backlog) -> None:
    assert places(backlog.take(2, {})) == [("first", 0, 3), ("first", 1, 5)]
    assert backlog.starts() == {TopicPartition("first", 0): 4, TopicPartition("second", 0): 7}
    assert (backlog.count("first"), backlog.count("second")) == (1, 1)


def test_a_topic_of_which_more_is_to_come_lets_none_pass(backlog: Backlog) -> None:
    assert len(backlog.take(9, {"first": 1})) == 3
    assert backlog.take(9, {"first": 1}) == []
    assert places(backlog.take(9, {"first": 0})) == [("second", 0, 7)]


def identity(number: int) -> InventorySnapshot:
    return InventorySnapshot(id=f"sa-{number}", seen_at=AT, identity=Identity(id=f"sa-{number}"))


def report(number: int) -> SelfReport:
    at = AT + timedelta(seconds=number)
    return SelfReport(code="self_inventory_stale", subject=str(number % 7), at=at, detail=str(number))


def poll(number: int) -> PollBatch:
    return PollBatch(id=str(number), vantage="corp", names=(), types=(), observations=(), polled_at=())


def test_long_backlogs_arrive_whole_and_in_precedence(kafka_address: str) -> None:
    prefix = f"precedence-{next(_numbers)}-{free_port()}"
    config = KafkaConfig(brokers=(kafka_address,), prefix=prefix, partitions=3, session_timeout_s=6.0)
    prepare_topics(config, "test")
    letters, meter = KafkaDeadLetters(config, "test"), Meter()

    async def read(source: KafkaSource, count: int) -> list[Message | Unreadable]:
        found: list[Message | Unreadable] = []
        while len(found) < count:
            batch = await source.batch()
            assert batch is not None
            assert len(batch) <= 500
            found += batch
            await source.commit()
        return found

    async def story() -> tuple[list[Message | Unreadable], list[Message | Unreadable]]:
        sink = await asyncio.to_thread(lambda: KafkaSink(config, "test", "/test", letters, meter))
        await sink.send([poll(1)])
        await sink.send([report(number) for number in range(6_000)])
        await sink.send([identity(number) for number in range(10)])
        topics = (INVENTORY, OBSERVATIONS, POLLS)
        source = await asyncio.to_thread(
            lambda: KafkaSource(config, "test", topics, letters, meter, gained=lambda: None)
        )
        try:
            first = await asyncio.wait_for(read(source, 6_011), 60)
            await sink.send([report(number) for number in range(900)])
            await sink.send([poll(2)])
            return first, await asyncio.wait_for(read(source, 901), 60)
        finally:
            await source.close()
            await sink.close()

    first, second = asyncio.run(story())

    kinds = [type(message) for message in first]
    assert kinds == [InventorySnapshot] * 10 + [SelfReport] * 6_000 + [PollBatch]
    assert {message.detail for message in first if isinstance(message, SelfReport)} == {str(n) for n in range(6_000)}
    assert [type(message) for message in second].count(SelfReport) == 900

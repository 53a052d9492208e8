"""What is missing on a topic, and whose clock its records show, is noticed; what was lost is asked for again."""

import asyncio
import itertools
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from anchorwatch.kafka.assignment import AssignedInventory
from anchorwatch.kafka.clients import open_producer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.sink import KafkaSink, headers_of
from anchorwatch.kafka.source import KafkaSource
from anchorwatch.kafka.topics import OBSERVATIONS, full_name, prepare_topics
from anchorwatch.pipeline.local_bus import Unreadable
from anchorwatch.telemetry import Meter
from collector.config import InventorySource
from collector.inventory.sources import InventorySources
from schemas.messages import Message, Recall, SelfReport
from schemas.wire import encode
from tests.support.broker import NEEDED, ApacheKafka, GivenKafka, WheelBroker
from tests.support.daemons import free_port, until
from tests.support.findings import AT

pytestmark = pytest.mark.cluster

_numbers = itertools.count()


@pytest.fixture
def config(broker: ApacheKafka | WheelBroker | GivenKafka) -> KafkaConfig:
    if isinstance(broker, WheelBroker):
        pytest.skip(f"{broker.kind} deletes no records; {NEEDED}")
    prefix = f"gaps-{next(_numbers)}-{free_port()}"
    config = KafkaConfig(brokers=(broker.address,), prefix=prefix, partitions=1, session_timeout_s=6.0)
    prepare_topics(config, "test")
    return config


def report(number: int) -> SelfReport:
    return SelfReport(code="self_inventory_stale", subject=str(number), at=AT, detail="x")


class Reader:
    """A stage's source of observations, opened and closed as a process would."""

    def __init__(self, config: KafkaConfig) -> None:
        self.meter = Meter()
        self._letters = KafkaDeadLetters(config, "test")
        self.source = KafkaSource(config, "test", (OBSERVATIONS,), self._letters, self.meter, gained=lambda: None)

    async def read(self, count: int) -> list[Message | Unreadable]:
        found: list[Message | Unreadable] = []
        while len(found) < count:
            found += await self.source.batch() or ()
            await self.source.commit()
        return found

    async def close(self) -> None:
        await self.source.close()
        self._letters.close()

    @property
    def expired(self) -> float:
        return self.meter.registry.get_sample_value("anchorwatch_bus_expired_total", {"stage": "test"}) or 0.0


async def send(config: KafkaConfig, *messages: Message) -> None:
    letters = KafkaDeadLetters(config, "test")
    sink = await asyncio.to_thread(lambda: KafkaSink(config, "test", "/collector/test", letters, Meter()))
    await sink.send(messages)
    await sink.close()


def expire(config: KafkaConfig, before: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    admin.delete_records({TopicPartition(full_name(config, OBSERVATIONS), 0): before})
    admin.close()


def test_messages_that_expired_under_a_stopped_stage_are_counted_and_told(
    config: KafkaConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        await send(config, *(report(n) for n in range(3)))
        first = await asyncio.to_thread(Reader, config)
        assert await first.read(3) == [report(n) for n in range(3)]
        assert first.expired == 0
        await first.close()

        await send(config, *(report(n) for n in range(3, 9)))
        await asyncio.to_thread(expire, config, 7)
        second = await asyncio.to_thread(Reader, config)
        assert await second.read(2) == [report(7), report(8)]
        assert second.expired == 4
        await second.close()

    asyncio.run(asyncio.wait_for(story(), 90))
    assert "messages expired before they were handled" in caplog.text


def test_a_batch_that_comes_again_is_no_gap(config: KafkaConfig) -> None:
    async def story() -> None:
        await send(config, *(report(n) for n in range(6)))
        reader = await asyncio.to_thread(Reader, config)
        while not await reader.source.batch():
            pass
        reader.source._interrupt()
        assert len(await reader.read(6)) == 6
        assert reader.expired == 0
        await reader.close()

    asyncio.run(asyncio.wait_for(story(), 90))


def test_a_sender_whose_clock_is_ahead_is_named(config: KafkaConfig, caplog: pytest.LogCaptureFixture) -> None:
    def stamped(number: int, ahead_s: float) -> None:
        producer = open_producer(config, "test")
        producer.send(
            full_name(config, OBSERVATIONS),
            key=b"k",
            value=encode(report(number)),
            headers=headers_of(report(number), "/collector/ahead"),
            timestamp_ms=int((time.time() + ahead_s) * 1000),
        ).get(timeout=10)
        producer.close()

    async def story() -> list[SelfReport]:
        reader = await asyncio.to_thread(Reader, config)
        await asyncio.to_thread(stamped, 1, 300.0)
        await reader.read(1)
        reports = reader.source.skews.reports(time.time())
        while not reader.source._looked_at:
            await reader.source.batch()
        await asyncio.to_thread(stamped, 2, 0.0)
        await reader.read(1)
        reports += reader.source.skews.reports(time.time())
        await reader.close()
        return reports

    with caplog.at_level(logging.WARNING):
        began, ended = asyncio.run(asyncio.wait_for(story(), 90))

    assert began.detail.startswith("the clock of /collector/ahead is ")
    assert " s ahead of that of /test/" in began.detail
    assert (ended.subject, ended.detail) == ("/collector/ahead", "")
    assert "clocks differ" in caplog.text


def test_a_recall_reaches_every_collector_that_runs(config: KafkaConfig, tmp_path: Path) -> None:
    subject = ("api.bank.example.", "A", "corp")
    asyncio.run(send(config, Recall(at=AT, subjects=(("before.example.", "A", "corp"),))))
    heard: list[Any] = []
    files = InventorySources((InventorySource(path=tmp_path / "none.yaml", format="yaml"),), ("corp",))
    inventory = AssignedInventory(config, 1, files, ("corp",), Meter())
    inventory.start(lambda: None, heard.append)
    try:
        until(inventory.changed, "the collector follows the topics")
        asyncio.run(send(config, Recall(at=AT, subjects=(subject,))))
        until(lambda: bool(heard), "the recall is heard")
    finally:
        inventory.stop()

    assert heard == [(subject,)]

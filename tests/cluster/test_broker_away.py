"""What a stage's source says while its broker is away."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.source import KafkaSource
from anchorwatch.kafka.topics import OBSERVATIONS
from anchorwatch.telemetry import Meter
from schemas.faults import Transient
from tests.contracts.test_kafka_faults import prepared
from tests.support.broker import NEEDED, ApacheKafka, fetch_jars

pytestmark = pytest.mark.cluster


async def read_on(source: KafkaSource) -> None:
    while True:
        await source.batch()


def test_a_broker_that_goes_away_is_told_and_heard_again_once_it_is_back(tmp_path: Path) -> None:
    if not fetch_jars():
        pytest.skip(NEEDED)
    broker = ApacheKafka(tmp_path)
    broker.start()
    config = KafkaConfig(brokers=(broker.address,), prefix="away", partitions=1, session_timeout_s=6.0)
    letters, meter = KafkaDeadLetters(config, "test"), Meter()

    async def story() -> None:
        await asyncio.to_thread(prepared, config)
        source = await asyncio.to_thread(
            lambda: KafkaSource(config, "test", (OBSERVATIONS,), letters, meter, gained=lambda: None)
        )
        assert await source.batch() == []
        broker.kill()
        with pytest.raises(Transient, match="Kafka is unavailable"):
            await read_on(source)
        assert source.is_silent
        broker.start()
        while source.is_silent:
            with contextlib.suppress(Transient):
                await source.batch()
        await source.close()

    try:
        asyncio.run(asyncio.wait_for(story(), 90))
    finally:
        broker.stop()

"""Three brokers, three copies: one may be killed; with too few copies left that is told, and nothing is lost."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from anchorwatch.kafka.clients import open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.reading import read_to_end
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.topics import OBSERVATIONS, TOPICS, full_name
from anchorwatch.telemetry import Meter
from schemas.messages import Message, SelfReport, utc
from schemas.wire import decode
from tests.contracts.test_kafka_faults import prepared
from tests.support.broker import NEEDED, ThreeBrokers, fetch_jars

pytestmark = pytest.mark.cluster
TOLD_WITHIN_S = 10.0


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeBrokers]:
    if not fetch_jars():
        pytest.skip(NEEDED)
    brokers = ThreeBrokers(tmp_path_factory.mktemp("three"))
    try:
        brokers.start()
        yield brokers
    finally:
        brokers.stop()


@pytest.fixture(scope="module")
def config(brokers: ThreeBrokers) -> KafkaConfig:
    config = KafkaConfig(brokers=tuple(brokers.address.split(",")), partitions=1, session_timeout_s=6.0)
    prepared(config)
    return config


def report(number: int) -> SelfReport:
    return SelfReport(code="self_inventory_stale", subject=str(number), at=utc(1_800_000_000), detail="x")


def stored(config: KafkaConfig) -> list[Message]:
    consumer = open_consumer(config, "test", group=None)
    try:
        return [decode(record.value) for record in read_to_end(consumer, full_name(config, OBSERVATIONS))]
    finally:
        consumer.close()


def test_on_three_brokers_each_topic_has_three_copies_of_which_two_must_have_a_message(config: KafkaConfig) -> None:
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    names = [full_name(config, topic.name) for topic in TOPICS]
    copies = {len(part["replica_nodes"]) for topic in admin.describe_topics(names) for part in topic["partitions"]}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    settings = admin.describe_configs(resources, config_filter="all")["topic"]
    admin.close()

    assert copies == {3}
    assert {settings[name]["min.insync.replicas"]["value"] for name in names} == {"2"}


def test_one_broker_may_be_killed_and_with_too_few_copies_it_is_told_and_nothing_is_lost(
    brokers: ThreeBrokers, config: KafkaConfig
) -> None:
    letters = KafkaDeadLetters(config, "test")

    async def story() -> None:
        sink = await asyncio.to_thread(lambda: KafkaSink(config, "test", "/test", letters, Meter()))
        await sink.send([report(1)])
        await asyncio.to_thread(brokers.nodes[2].kill)
        await sink.send([report(2)])
        assert sink.trouble == "", "two copies are enough"

        await asyncio.to_thread(want_all_copies, config)
        began = time.monotonic()
        sending = asyncio.create_task(sink.send([report(3)]))
        while not sink.trouble and not sending.done():
            await asyncio.sleep(0.1)
        assert time.monotonic() - began < TOLD_WITHIN_S
        assert "Kafka takes no messages: fewer replicas are in sync" in sink.trouble
        await asyncio.to_thread(brokers.nodes[2].start)
        await sending
        assert sink.trouble == ""
        await sink.close()

    asyncio.run(asyncio.wait_for(story(), 120))
    assert stored(config) == [report(1), report(2), report(3)]


def want_all_copies(config: KafkaConfig) -> None:
    """Have all three copies in sync before a message counts as sent, and wait until Kafka knows that one is not."""
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    name = full_name(config, OBSERVATIONS)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"min.insync.replicas": "3"})])
    until = time.monotonic() + 60
    while time.monotonic() < until:
        (topic,) = admin.describe_topics([name])
        if all(len(one["isr_nodes"]) < 3 for one in topic["partitions"]):
            break
        time.sleep(0.2)
    admin.close()

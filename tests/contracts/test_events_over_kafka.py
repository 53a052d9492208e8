"""Events of findings on a topic of a broker: stored before they count, and in order by finding."""

import json
import socket
import uuid
from typing import Any

import msgspec
import pytest
from kafka.structs import TopicPartition

from alerts.decision.order import Order
from alerts.delivery.delivery import delivery_of
from alerts.receivers.kafka import Kafka
from anchorwatch.kafka.clients import open_admin, open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.topic_writer import KafkaTopicWriter
from schemas.messages import Finding
from tests.alerts.test_ocsf import order_of
from tests.support.findings import closed, finding
from tests.support.ocsf import problems


@pytest.fixture
def config(kafka_address: str) -> KafkaConfig:
    return KafkaConfig(brokers=(kafka_address,), prefix=f"t{uuid.uuid4().hex[:8]}")


def test_events_are_stored_in_order_and_in_the_partition_of_their_finding(config: KafkaConfig) -> None:
    topic = f"{config.prefix}.siem"
    admin = open_admin(config, "test")
    admin.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    writer = KafkaTopicWriter(config, "test")
    notifier = Kafka(name="siem", topic=topic).make_bus_notifier(writer)
    life = [order for n in range(4) for one in [finding(zone=f"z{n}.")] for order in _life(one)]
    for order in life:
        outcome = notifier.send(delivery_of(order), 0.0)
        assert outcome.delivered, outcome.detail
    writer.close()

    reader = open_consumer(config, "test", group=None)
    partitions = [TopicPartition(topic, number) for number in range(3)]
    reader.assign(partitions)
    reader.seek_to_beginning(*partitions)
    found: list[Any] = []
    while len(found) < len(life):
        for records in reader.poll(timeout_ms=500).values():
            found += records
    reader.close()
    for one in {order.finding for order in life}:
        mine = [record for record in found if record.key == one.encode()]
        events = [json.loads(record.value) for record in mine]
        assert len({record.partition for record in mine}) == 1
        assert [event["activity_name"] for event in events] == ["Create", "Close"]
        assert [problem for event in events for problem in problems(event)] == []


def _life(one: Finding) -> list[Order]:
    return [
        msgspec.structs.replace(order_of(one), id=f"{one.id[:30]}-1"),
        msgspec.structs.replace(order_of(closed(one), "resolve"), id=f"{one.id[:30]}-2"),
    ]


def test_a_broker_that_is_away_is_a_failure_that_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    writer = KafkaTopicWriter(KafkaConfig(brokers=(address,)), "test")

    outcome = Kafka(name="siem", topic="siem").make_bus_notifier(writer).send(delivery_of(order_of(finding())), 0.0)

    assert (outcome.delivered, outcome.retry) == (False, True)
    assert "no Kafka broker answers" in outcome.detail

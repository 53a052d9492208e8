"""Reading a topic as far as it goes now, outside of any group."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from kafka.errors import KafkaTimeoutError
from kafka.structs import TopicPartition

from schemas.faults import Transient

POLL_MS = 200
PATIENCE_S = 10.0
"""So long nothing may arrive although there is something."""


def read_to_end(consumer: Any, topic: str) -> Iterator[Any]:
    """Yield every record that a topic has now, partition by partition in order.

    Raises:
        Transient: there is no such topic.
        KafkaError: Kafka is unavailable.
    """
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise Transient(f"topic {topic} is not there")
    partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    yield from read_on(consumer, partitions)


def read_on(consumer: Any, partitions: Iterable[TopicPartition]) -> Iterator[Any]:
    """Yield what assigned partitions have from the consumer's position to their end as it is now.

    Raises:
        KafkaError: Kafka is unavailable.
    """
    ends = consumer.end_offsets(list(partitions))
    heard_at = time.monotonic()
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        found = consumer.poll(timeout_ms=POLL_MS)
        for records in found.values():
            yield from records
        if found:
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > PATIENCE_S:
            raise KafkaTimeoutError(f"nothing arrives of {', '.join(partition.topic for partition in ends)}")

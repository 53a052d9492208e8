"""What was fetched and is not handed on yet: topics in order of precedence, each in order of time."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any

from kafka.structs import TopicPartition


class Backlog:
    """Records by partition. While a topic has messages waiting, here or at the broker, those after it wait."""

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics
        self._held: dict[TopicPartition, deque[Any]] = {}

    def add(self, found: Mapping[TopicPartition, Iterable[Any]]) -> None:
        """Take in what was fetched."""
        for partition, records in found.items():
            self._held.setdefault(partition, deque()).extend(records)

    def count(self, topic: str) -> int:
        """Return how many records of a topic are held."""
        return sum(len(records) for partition, records in self._held.items() if partition.topic == topic)

    def starts(self) -> dict[TopicPartition, int]:
        """Return the first offset that is held of each partition."""
        return {partition: records[0].offset for partition, records in self._held.items() if records}

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()

    def take(self, most: int, to_come: Mapping[str, int]) -> list[Any]:
        """Take up to ``most`` records; ``to_come`` says how many each topic still has at the broker.

        Within a topic they come by the time that Kafka gave them, as far as that keeps the order of each partition.
        """
        taken: list[Any] = []
        for topic in self._topics:
            queues = [records for partition, records in self._held.items() if partition.topic == topic]
            chosen = list(islice(merge(*queues, key=lambda record: record.timestamp), most - len(taken)))
            for record in chosen:
                self._held[TopicPartition(record.topic, record.partition)].popleft()
            taken += chosen
            if to_come.get(topic, 0) or len(taken) == most:
                break
        return taken

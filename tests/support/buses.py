"""The buses that the contract is run over: each makes buses of its own name, opened again at will."""

import asyncio
import itertools
import uuid
from pathlib import Path
from typing import Any

from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.source import KafkaSource
from anchorwatch.kafka.topics import OBSERVATIONS, prepare_topics
from anchorwatch.pipeline.dead_letters import DeadLetter, FileDeadLetters
from anchorwatch.pipeline.local_bus import LocalBus, Unreadable
from anchorwatch.telemetry import Meter
from schemas.messages import Message


class LocalBench:
    """Buses inside the process."""

    def __init__(self, folder: Path) -> None:
        self._letters = FileDeadLetters(folder / "dead.jsonl")

    def bus(self) -> LocalBus:
        return LocalBus("test", self._letters, most=10, batch=4, quiet_s=0.02)

    def letters(self) -> list[DeadLetter]:
        return self._letters.all()


class KafkaBus:
    """A topic with one writer and one reader, opened when first used; ``close`` ends the reader once it has all."""

    def __init__(self, config: KafkaConfig) -> None:
        self.config, self.meter = config, Meter()
        self._letters = KafkaDeadLetters(config, "test")
        self._sink: KafkaSink | None = None
        self._source: KafkaSource | None = None
        self._ending = False
        self.gained = 0

    def source(self) -> KafkaSource:
        if self._source is None:
            self._source = KafkaSource(
                self.config, "test", (OBSERVATIONS,), self._letters, self.meter, gained=self._note_gain
            )
        return self._source

    def _note_gain(self) -> None:
        self.gained += 1

    async def send(self, messages: list[Message]) -> None:
        if self._sink is None:
            self._sink = await asyncio.to_thread(
                lambda: KafkaSink(self.config, "test", "/test", self._letters, self.meter)
            )
        await self._sink.send(messages)

    async def close(self) -> None:
        self._ending = True

    async def batch(self) -> Any:
        found = await self.source().batch()
        if found == [] and self._ending and self.source().lag == 0:
            self.source().stop()
            return await self.source().batch()
        return found

    async def commit(self) -> None:
        await self.source().commit()

    async def keep_dead_letter(self, message: Message | Unreadable, reason: str) -> None:
        await self.source().keep_dead_letter(message, reason)

    async def reopened(self) -> "KafkaBus":
        """Return the same topic and group as another process would have it."""
        await self.leave()
        return KafkaBus(self.config)

    async def leave(self) -> None:
        if self._source is not None:
            await self._source.close()
            self._source = None
        if self._sink is not None:
            await self._sink.close()
            self._sink = None
        self._letters.close()


class KafkaBench:
    """Buses over a broker, each with topics and a group of its own."""

    _numbers = itertools.count()

    def __init__(self, address: str) -> None:
        self._address = address
        self._made: list[KafkaBus] = []
        self._config: KafkaConfig | None = None

    def bus(self) -> KafkaBus:
        prefix = f"test-{uuid.uuid4().hex[:8]}-{next(self._numbers)}"
        self._config = KafkaConfig(brokers=(self._address,), prefix=prefix, partitions=1, session_timeout_s=6.0)
        prepare_topics(self._config, "test")
        bus = KafkaBus(self._config)
        self._made.append(bus)
        return bus

    def letters(self) -> list[DeadLetter]:
        assert self._config is not None
        return KafkaDeadLetters(self._config, "test").all()

    async def close(self) -> None:
        for bus in self._made:
            await bus.leave()

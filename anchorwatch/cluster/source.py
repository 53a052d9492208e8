"""Messages from Kafka, as a member of a consumer group.

An offset is committed only when the pump says so, that is after the stage's outputs are stored. A member that stands by
waits here: no batch reaches its stage, not even an empty one, until partitions are its own.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from heapq import merge
from typing import Any, TypeVar

from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from kafka.structs import TopicPartition

from anchorwatch.cluster.active import ActiveAssignor
from anchorwatch.cluster.clients import open_consumer
from anchorwatch.cluster.config import KafkaConfig
from anchorwatch.cluster.letters import KafkaLetters
from anchorwatch.cluster.membership import Membership
from anchorwatch.cluster.topics import full_name
from anchorwatch.letters import Letter
from anchorwatch.telemetry import Meter
from schemas.faults import Rejected, Transient
from schemas.messages import Message
from schemas.wire import decode, time_of

log = logging.getLogger(__name__)

LOST_ITS_PLACE = (CommitFailedError, RebalanceInProgressError, IllegalGenerationError, UnknownMemberIdError)
QUIET_MS = 1000
Result = TypeVar("Result")


class KafkaSource:
    """The messages of some topics, for one stage.

    ``topics`` are in order of precedence: while one has messages waiting, those after it wait, so that who consumes
    what is known before what they observe, and an observation before the polls that speak of it. ``gained`` is called
    before the first batch after this member became the active one: what it knew is out of date.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """

    def __init__(
        self,
        config: KafkaConfig,
        stage: str,
        topics: Sequence[str],
        letters: KafkaLetters,
        meter: Meter,
        *,
        gained: Callable[[], None],
    ) -> None:
        self._config, self._stage, self._letters, self._meter, self._gained = config, stage, letters, meter, gained
        self._topics = [full_name(config, topic) for topic in topics]
        self._fetched: list[Any] = []
        self._uncommitted: list[Message] = []
        self._origins: dict[int, Any] = {}
        self._starts: dict[TopicPartition, int] = {}
        self._is_committed = True
        self._closing = asyncio.Event()
        self._membership = Membership(stage, meter)
        self._ends: dict[TopicPartition, int] = {}
        self._ends_wanted = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{stage}")  # the library's consumer wants one
        client_id = f"{config.prefix}-{stage}"
        self._consumer = open_consumer(config, client_id, group=f"{config.prefix}.{stage}", assignor=ActiveAssignor())
        self._consumer.subscribe(self._topics, listener=self._membership)
        self.lag = 0

    @property
    def partitions(self) -> int:
        """Return how many partitions this member has, 0 while it stands by."""
        return len(self._membership.owned)

    def stop(self) -> None:
        """Return None from the next ``batch``; what was not committed comes again, here or to another member."""
        self._closing.set()

    @property
    def is_stopping(self) -> bool:
        """Return whether ``stop`` was called."""
        return self._closing.is_set()

    async def batch(self) -> Sequence[Message] | None:
        """Return what was not committed, else what is new, else nothing after a quiet second; None once stopped.

        Raises:
            Transient: Kafka is away.
        """
        while not self._closing.is_set():
            if self._uncommitted:
                return list(self._uncommitted)
            await self._in_thread(self._poll)
            if self._membership.owned:
                return list(self._uncommitted)
            await self._in_thread(self._give_up_batch)  # whoever has the partitions next gets it
        return None

    async def commit(self) -> None:
        """Never deliver the last batch again, unless the group has gone on without us: then it comes again somewhere.

        Raises:
            Transient: Kafka is away.
        """
        if not self._is_committed:
            await self._in_thread(self._commit)
        self._forget_batch()

    async def is_ours(self) -> bool:
        """Return whether the last batch is still ours, and let the group know that we live while it is tried again."""
        return await self._in_thread(self._keep_place)

    def _keep_place(self) -> bool:
        """Follow the group without fetching; once it has shared out anew the batch comes again, here or elsewhere."""
        membership = self._membership
        try:
            self._consumer.pause(*membership.owned)
            self._note_starts(self._consumer.poll(timeout_ms=0))  # partitions that are new to us are not paused
            self._consumer.resume(*membership.owned)
        except KafkaError as error:
            log.warning("nothing is heard of the group", extra={"stage": self._stage, "detail": str(error)})
            return True  # what we do is repeatable; where another has begun, the commit will say so
        if membership.owned and not membership.has_news:
            return True
        self._give_up_batch()
        return False

    def _note_starts(self, found: dict[TopicPartition, list[Any]]) -> None:
        for partition, records in found.items():
            self._starts.setdefault(partition, records[0].offset)

    def _give_up_batch(self) -> None:
        """Drop the batch uncommitted; what of it is still ours is fetched again, since the library reads on."""
        for partition, offset in self._starts.items():
            if partition in self._consumer.assignment():
                self._consumer.seek(partition, offset)
        self._fetched = []
        self._forget_batch()

    def _forget_batch(self) -> None:
        self._uncommitted, self._origins, self._starts, self._is_committed = [], {}, {}, True

    async def put_aside(self, message: Message, reason: str) -> None:
        """Keep a message of this batch as a dead letter.

        Raises:
            Transient: Kafka is away.
        """
        letter = self._letter(self._origins[id(message)], reason)
        await self._in_thread(lambda: self._letters.put(letter))

    async def close(self) -> None:
        """Leave the group, so that another member takes over at once."""
        await self._in_thread(lambda: self._consumer.close(autocommit=False, timeout_ms=5000))
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except KafkaError as error:
            raise Transient(f"Kafka is away: {type(error).__name__}: {error}") from error

    def _poll(self) -> None:
        """Fetch what is new; what can't be read is put aside, and fetched things are kept until all of that is done."""
        if not self._fetched:
            found = self._consumer.poll(timeout_ms=QUIET_MS)
            self._note_starts(found)
            self._fetched = [record for records in found.values() for record in records]
        self._note_rebalances()
        self._give_precedence()
        batch: dict[TopicPartition, list[Message]] = {}
        origins = {}
        for record in self._fetched:
            if record.value is None:
                continue  # a tombstone: the inventory's compaction has done its work
            try:
                message = decode(record.value)
            except Rejected as fault:
                log.error("what can't be read is put aside", extra={"at": _place(record), "why": str(fault)})
                self._letters.put(self._letter(record, str(fault)))
                self._meter.dead_letters.labels(self._stage).inc()
                continue
            batch.setdefault(TopicPartition(record.topic, record.partition), []).append(message)
            origins[id(message)] = record
        self._uncommitted = [message for topic in self._topics for message in _merged(topic, batch)]
        self._origins, self._fetched, self._is_committed = origins, [], not self._fetched

    def _letter(self, record: Any, reason: str) -> Letter:
        return Letter(
            reason=reason,
            stage=self._stage,
            at=datetime.now(UTC),
            topic=record.topic.removeprefix(f"{self._config.prefix}."),
            partition=record.partition,
            offset=record.offset,
            key=record.key or b"",
            value=record.value or b"",
            headers=tuple(record.headers),
        )

    def _note_rebalances(self) -> None:
        membership = self._membership
        self._ends_wanted = membership.take_news() or self._ends_wanted
        if self._ends_wanted:
            self._ends = self._consumer.end_offsets(list(membership.owned)) if membership.owned else {}
            self._ends_wanted = False
        if membership.gained:
            membership.gained = False
            self._gained()

    def _give_precedence(self) -> None:
        """Let later topics wait while earlier ones have messages; count what waits."""
        waiting = dict.fromkeys(self._topics, 0)
        for partition in self._membership.owned:
            end = max(self._consumer.highwater(partition) or 0, self._ends.get(partition, 0))
            waiting[partition.topic] += max(0, end - self._consumer.position(partition))
        self.lag = sum(waiting.values())
        blocked = False
        for topic in self._topics:
            partitions = [partition for partition in self._membership.owned if partition.topic == topic]
            (self._consumer.pause if blocked else self._consumer.resume)(*partitions)
            blocked = blocked or waiting[topic] > 0

    def _commit(self) -> None:
        try:
            self._consumer.commit()
        except LOST_ITS_PLACE as error:
            log.warning(
                "the group has gone on without us; the batch comes again, and is known then",
                extra={"stage": self._stage, "detail": type(error).__name__},
            )
            self._membership.on_partitions_lost()
            self._give_up_batch()


def _merged(topic: str, batch: dict[TopicPartition, list[Message]]) -> Iterator[Message]:
    """Yield a topic's messages by time, as far as that keeps the order within each partition."""
    return merge(*(messages for partition, messages in batch.items() if partition.topic == topic), key=time_of)


def _place(record: Any) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"

"""Messages from Kafka, as a member of a consumer group.

An offset is committed only when the pump says so, that is after the stage's outputs are stored. A member that stands by
waits here: no batch reaches its stage, not even an empty one, until partitions are assigned to it; nor while Kafka is
unavailable.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from anchorwatch.kafka.active import ActiveAssignor
from anchorwatch.kafka.backlog import Backlog
from anchorwatch.kafka.clients import open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.membership import Membership
from anchorwatch.kafka.rows import read_message
from anchorwatch.kafka.skew import ClockSkews
from anchorwatch.kafka.topics import COMPACTED, full_name
from anchorwatch.pipeline.dead_letters import DeadLetter
from anchorwatch.pipeline.local_bus import Batch, Unreadable
from anchorwatch.telemetry import Meter
from schemas.faults import Rejected, Transient
from schemas.messages import Message

log = logging.getLogger(__name__)

LOST_ITS_PLACE = (CommitFailedError, RebalanceInProgressError, IllegalGenerationError, UnknownMemberIdError)
QUIET_S = 1.0
BATCH = 500
MOST_HELD = 2_000
"""Of a topic with so many records waiting here no more are fetched."""
PROBE_EVERY_S = 2.0
PROBE_S = 4.0
Result = TypeVar("Result")


class KafkaSource:
    """The messages of some topics, for one stage.

    ``topics`` are in order of precedence: while one has messages waiting, those after it wait, so that who consumes
    what is known before what they observe, and an observation before the polls that speak of it. ``gained`` is called
    before the first batch after this member became the active one, or gave a batch up half handled: what the stage
    knows is out of date.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """

    def __init__(
        self,
        config: KafkaConfig,
        stage: str,
        topics: Sequence[str],
        dead_letters: KafkaDeadLetters,
        meter: Meter,
        *,
        gained: Callable[[], None],
    ) -> None:
        self._config, self._stage, self._dead_letters, self._meter, self._gained = (
            config,
            stage,
            dead_letters,
            meter,
            gained,
        )
        self._topics = [full_name(config, topic) for topic in topics]
        self._backlog = Backlog(self._topics)
        self._taken: list[Any] = []
        self._batch: list[Message | Unreadable] | None = None
        self._origins: dict[int, Any] = {}
        self._closing = asyncio.Event()
        self._assignor = ActiveAssignor()
        self._membership = Membership(stage, meter, lambda: self._assignor.generation)
        self._ends: dict[TopicPartition, int] = {}
        self._is_unsettled = self._was_interrupted = False
        self._heard_at = time.monotonic()
        self._next: dict[TopicPartition, int] = {}
        self._looked_at = 0.0
        self.skews = ClockSkews(f"/{stage}/{socket.gethostname()}")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{stage}")  # the library's consumer wants one
        client_id = f"{config.prefix}-{stage}"
        self._consumer = open_consumer(config, client_id, group=f"{config.prefix}.{stage}", assignor=self._assignor)
        self._consumer.subscribe(self._topics, listener=self._membership)
        self.lag = 0
        self.is_silent = False
        self.turned: Callable[[], None] = _nothing
        """Called whenever Kafka was asked and answered, with work or without: to stand by is progress."""

    @property
    def partitions(self) -> int:
        """Return how many partitions this member has, 0 while it stands by or hears nothing from Kafka."""
        return 0 if self.is_silent else len(self._membership.owned)

    def stop(self) -> None:
        """Return None from the next ``batch``; what was not committed comes again, here or to another member."""
        self._closing.set()

    @property
    def is_stopping(self) -> bool:
        """Return whether ``stop`` was called."""
        return self._closing.is_set()

    @property
    def is_ending(self) -> bool:
        """Return whether ``stop`` was called."""
        return self._closing.is_set()

    async def batch(self) -> Batch | None:
        """Return what was not committed, else what is new, else nothing after a quiet second; None once stopped.

        Raises:
            Transient: Kafka is unavailable.
        """
        while not self._closing.is_set():
            if self._batch is None or not self._taken:
                await self._in_thread(self._poll)
                self.turned()
            if self._batch is not None:
                return list(self._batch)
        return None

    async def commit(self) -> None:
        """Never deliver the last batch again, unless the group has gone on without us: then it comes again somewhere.

        Raises:
            Transient: Kafka is unavailable.
        """
        if self._taken:
            await self._in_thread(self._commit)
        self._forget_batch()

    async def is_ours(self) -> bool:
        """Return whether the last batch is still ours, and let the group know that we live while it is tried again."""
        return await self._in_thread(self._keep_place)

    async def keep_dead_letter(self, message: Message | Unreadable, reason: str) -> None:
        """Keep an item of this batch as a dead letter.

        Raises:
            Transient: Kafka is unavailable.
        """
        record = message.record if isinstance(message, Unreadable) else self._origins[id(message)]
        letter = self._letter(record, reason)
        await self._in_thread(lambda: self._dead_letters.put(letter))

    async def close(self) -> None:
        """Leave the group, so that another member takes over at once."""
        try:
            await self._in_thread(lambda: self._consumer.close(autocommit=False, timeout_ms=5000))
        except Transient as fault:
            log.warning("a consumer could not close in order", extra={"stage": self._stage, "detail": str(fault)})
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except KafkaError as error:
            raise Transient(f"Kafka is unavailable: {type(error).__name__}: {error}") from error

    def _poll(self) -> None:
        """Take the next batch, if work is ours; a partly usable row of the inventory is a dead letter, too."""
        self._batch = None
        if not self._taken:
            self._taken = self._next_records()
        if not self._membership.owned:
            return
        batch: list[Message | Unreadable] = []
        origins = {}
        for record in self._taken:
            if record.value is None:
                continue  # a tombstone: the inventory's compaction has done its work
            try:
                message, problem = read_message(record)
            except Rejected as fault:
                batch.append(Unreadable(str(fault), record))
                continue
            if problem:
                self._keep_partly_usable(record, problem)
            batch.append(message)
            origins[id(message)] = record
        self._batch, self._origins = batch, origins

    def _keep_partly_usable(self, record: Any, reason: str) -> None:
        log.error("a row is only partly usable", extra={"at": _place(record), "why": reason})
        self._dead_letters.put(self._letter(record, reason))
        self._meter.dead_letters.labels(self._stage).inc()

    def _next_records(self) -> list[Any]:
        """Return the records whose turn it is, none after a quiet spell."""
        deadline = time.monotonic() + QUIET_S
        wait_s = 0.0 if self._backlog.starts() else QUIET_S
        while True:
            self._fetch(wait_s)
            if self._settle():
                deadline = time.monotonic() + QUIET_S
            if not self._membership.owned:
                return []
            records = self._backlog.take(BATCH, self._count_waiting())
            wait_s = max(0.0, deadline - time.monotonic())
            if records or not wait_s:
                return records

    def _fetch(self, wait_s: float) -> None:
        """Fetch; the library says nothing when Kafka is unavailable, so in quiet times it is asked for something.

        Raises:
            KafkaError: Kafka is unavailable.
        """
        found = self._consumer.poll(timeout_ms=int(wait_s * 1000))
        self._add(found)
        if not found and wait_s >= QUIET_S / 2:
            self._looked_at = time.time()  # at every broker there was nothing more
        now = time.monotonic()
        if not found and now - self._heard_at >= PROBE_EVERY_S:
            self.is_silent = True  # unless this succeeds
            self._consumer.end_offsets([TopicPartition(self._topics[0], 0)], timeout_ms=int(PROBE_S * 1000))
            now = time.monotonic()
        elif not found:
            return
        self._heard_at, self.is_silent = now, False

    def _add(self, found: Mapping[TopicPartition, Sequence[Any]]) -> None:
        self._backlog.add(found)
        for partition, records in found.items():
            self._note_records(partition, records)

    def _note_records(self, partition: TopicPartition, records: Sequence[Any]) -> None:
        """Notice that Kafka dropped records before these, and that the clocks of their senders differ from ours."""
        expected = self._next.get(partition, records[0].offset)
        self._note_expired(partition, records[0].offset - expected)
        self._next[partition] = records[-1].offset + 1
        now = time.time()
        for record in records:
            source = next((value for name, value in record.headers if name == "ce_source"), None)
            if source is None:
                continue
            said = source[:200].decode(errors="replace")
            if self.skews.note(said, record.timestamp / 1000, now, self._looked_at):
                log.warning("clocks differ, or agree again", extra={"other": said, "worst_s": self.skews.worst_s})

    def _note_expired(self, partition: TopicPartition, count: int) -> None:
        """Say that messages are gone that nobody handled; of a compacted topic only superseded ones are."""
        if count <= 0 or partition.topic.removeprefix(f"{self._config.prefix}.") in COMPACTED:
            return
        self._meter.expired.labels(self._stage).inc(count)
        log.error(
            "messages expired before they were handled",
            extra={"stage": self._stage, "from": f"{partition.topic}/{partition.partition}", "messages": count},
        )

    def _go_on_from(self, partition: TopicPartition, offset: int, begin: int, end: int) -> None:
        """Take a partition up where another left it, or where it begins now."""
        if offset > end:
            log.error(
                "a topic was made anew or cut off: it is read from its beginning", extra={"topic": partition.topic}
            )
            offset = begin
        self._note_expired(partition, begin - offset)
        self._next[partition] = max(offset, begin)
        self._consumer.seek(partition, max(offset, begin))

    def _settle(self) -> bool:
        """Take up a new assignment, if there is one, from where it was committed; return whether there was."""
        membership = self._membership
        self._is_unsettled = membership.take_news() or self._is_unsettled
        if not self._is_unsettled:
            return False
        self._rewind()
        owned = list(membership.owned)
        self._next = {partition: self._next[partition] for partition in owned if partition in self._next}
        self._ends = self._consumer.end_offsets(owned) if owned else {}
        if membership.gained:
            begins = self._consumer.beginning_offsets(owned) if owned else {}
            for partition in owned:  # where the library kept a position, another has gone on from it
                offset = self._consumer.committed(partition)
                if offset is not None:
                    self._go_on_from(partition, offset, begins[partition], self._ends[partition])
        if membership.gained or self._was_interrupted:
            self._gained()
        membership.gained = self._was_interrupted = self._is_unsettled = False
        return True

    def _rewind(self) -> None:
        """Drop what is not committed; what of it is still ours is fetched again."""
        starts = self._backlog.starts()
        for record in reversed(self._taken):
            starts[TopicPartition(record.topic, record.partition)] = record.offset
        for partition, offset in starts.items():
            if partition in self._consumer.assignment():
                self._consumer.seek(partition, offset)
                self._next[partition] = offset
        self._backlog.clear()
        self._forget_batch()

    def _count_waiting(self) -> dict[str, int]:
        """Return how much each topic still has at the broker; of what waits here for long no more is fetched."""
        to_come = dict.fromkeys(self._topics, 0)
        for partition in self._membership.owned:
            end = max(self._consumer.highwater(partition) or 0, self._ends.get(partition, 0))
            to_come[partition.topic] += max(0, end - self._consumer.position(partition))
        held = self._count_held()
        self.lag = sum(to_come.values()) + sum(held.values())
        self._pause_full(held)
        return to_come

    def _count_held(self) -> dict[str, int]:
        return {topic: self._backlog.count(topic) for topic in self._topics}

    def _pause_full(self, held: Mapping[str, int]) -> None:
        for partition in self._membership.owned:
            full = held[partition.topic] >= MOST_HELD
            (self._consumer.pause if full else self._consumer.resume)(partition)

    def _keep_place(self) -> bool:
        """Follow the group; once it assigns partitions anew the batch comes again, here or elsewhere."""
        try:
            self._add(self._consumer.poll(timeout_ms=0))
        except KafkaError as error:
            log.warning("Kafka does not answer for the group", extra={"stage": self._stage, "detail": str(error)})
            return True  # what we do is repeatable; where another has begun, the commit will say so
        self._is_unsettled = self._membership.take_news() or self._is_unsettled
        if self._membership.owned and not self._is_unsettled:
            self._pause_full(self._count_held())  # a batch may be tried again for hours
            return True
        self._interrupt()
        return False

    def _interrupt(self) -> None:
        """Give up a batch that may be half handled."""
        self._rewind()
        self._was_interrupted = self._is_unsettled = True

    def _forget_batch(self) -> None:
        self._batch, self._taken, self._origins = None, [], {}

    def _commit(self) -> None:
        owned = self._membership.owned
        ends = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in self._taken}
        try:
            self._consumer.commit({p: OffsetAndMetadata(end, "", -1) for p, end in ends.items() if p in owned})
        except LOST_ITS_PLACE as error:
            log.warning(
                "the group assigned the partitions anew; the batch comes again",
                extra={"stage": self._stage, "detail": type(error).__name__},
            )
            self._membership.on_partitions_lost()
            self._interrupt()

    def _letter(self, record: Any, reason: str) -> DeadLetter:
        return DeadLetter(
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


def _nothing() -> None:
    """Be what nobody listens to."""


def _place(record: Any) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"

"""Which collector polls which zone: the inventory is on a compacted topic, and its partitions divide the zones.

The hash of a zone says its partition, so one collector has the whole of a zone, and its chain. A collector polls the
zones of the partitions that Kafka assigns to it. The one with partition 0 reads the inventory files, too, and publishes
each difference from the topic.
"""

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2
from kafka.structs import TopicPartition

from anchorwatch.kafka.clients import open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.membership import Membership
from anchorwatch.kafka.publishing import differences, older_files, rows_by_source, versions_of
from anchorwatch.kafka.rows import read_message
from anchorwatch.kafka.topics import ACTS, INVENTORY, full_name
from anchorwatch.telemetry import Meter
from collector.dnssec.names import Name
from collector.inventory.rows import Inventory
from collector.inventory.sources import InventorySources
from collector.polling.registrable import public_suffixes, registrable_domain
from collector.polling.schedule import first_round_s
from schemas.faults import Rejected
from schemas.messages import Identity, InventoryIndex, InventorySnapshot, Message, Recall, Subject

log = logging.getLogger(__name__)

POLL_MS = 300
REBALANCE_S = 3.0
RETRY_S = 1.0
PUBLISHER_PARTITION = 0


def partition_of(zone: str, partitions: int) -> int:
    """Return the partition of a zone, the same in every process."""
    return int(murmur2(zone.encode()) & 0x7FFFFFFF) % partitions


def longest_gap_s(interval_s: float, session_timeout_s: float) -> float:
    """Return how long a name may go without a poll when the collector that had it is killed.

    At worst it died just before a poll was due; then Kafka must miss it and assign its partitions anew, and the name
    has its turn in another's first round.
    """
    return interval_s + session_timeout_s + REBALANCE_S + first_round_s(interval_s)


class AssignedInventory:
    """The inventory as the topic has it, and which of its partitions are assigned to us.

    Two consumers in one thread: a member of the collectors' group, which only learns its partitions; and a
    reader of the whole topic from its beginning. ``changed`` and ``load`` are what a collector asks of its feed.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """

    def __init__(
        self, config: KafkaConfig, partitions: int, files: InventorySources, vantages: tuple[str, ...], meter: Meter
    ) -> None:
        self._files, self._vantages = files, vantages
        self._name = f"/collector/{socket.gethostname()}"
        self._notify: Callable[[], None] = lambda: None
        self._recall: Callable[[tuple[Subject, ...]], None] = lambda subjects: None
        self._topic, self._acts = full_name(config, INVENTORY), full_name(config, ACTS)
        self._count = partitions
        self._known: dict[str, Identity | None] = {}
        self._places: dict[str, tuple[datetime, int]] = {}
        self._index: InventoryIndex | None = None
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._read_once = threading.Event()
        self._stopping = threading.Event()
        self._membership = Membership("collector", meter)
        self._ours: frozenset[int] = frozenset()
        self.troubles: dict[str, str] = {}
        self.shrunk: dict[str, str] = {}
        self._source_of: dict[str, str] = {}
        self.fault: BaseException | None = None
        client_id = f"{config.prefix}-collector"
        self._member = open_consumer(
            config, client_id, group=f"{config.prefix}.collector", assignor=StickyPartitionAssignor
        )
        self._member.subscribe([self._topic], listener=self._membership)
        self._reader = open_consumer(config, client_id, group=None)
        self._thread = threading.Thread(target=self._run, name="kafka-assignment", daemon=True)
        self._to_publish: list[Message] = []

    # life

    def start(self, notify: Callable[[], None], recall: Callable[[tuple[Subject, ...]], None] | None = None) -> None:
        """Begin to read; ``notify`` is called, from a thread, when ``load`` would return something else.

        ``recall`` is called, from a thread, with subjects that have to be observed anew.
        """
        self._notify, self._recall = notify, recall or self._recall
        self._thread.start()

    def stop(self) -> None:
        """Leave the group, so that other collectors take over at once."""
        self._stopping.set()
        self._thread.join(15)

    def _run(self) -> None:
        try:
            partitions = [TopicPartition(self._topic, number) for number in range(self._count)]
            acts = TopicPartition(self._acts, 0)
            self._reader.assign([*partitions, acts])
            self._reader.seek_to_beginning(*partitions)
            self._reader.seek_to_end(acts)  # a collector that starts observes everything anew
            ends = self._reader.end_offsets(partitions)
            while not self._stopping.is_set():
                try:
                    self._follow_group()
                    self._read()
                except KafkaError as error:
                    log.warning(
                        "Kafka is unavailable, trying again", extra={"detail": f"{type(error).__name__}: {error}"}
                    )
                    self._stopping.wait(RETRY_S)
                    continue
                if not self._read_once.is_set() and self._has_reached(ends):
                    self._read_once.set()
                    self._note_change()
        except Exception as fault:  # noqa: BLE001 - a thread has nobody else to tell
            self.fault = fault  # the collector raises it at its next look
            self._notify()
        finally:
            for consumer in (self._member, self._reader):
                try:
                    consumer.close(autocommit=False, timeout_ms=5000)
                except KafkaError as error:
                    log.warning(
                        "a consumer could not close in order",
                        extra={"detail": f"{type(error).__name__}: {error}"},
                    )

    def _has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all(self._reader.position(partition) >= end for partition, end in ends.items())

    def _follow_group(self) -> None:
        self._member.poll(timeout_ms=0 if self._membership.owned else POLL_MS)
        if owned := self._member.assignment():
            self._member.pause(*owned)
        if self._membership.take_news():
            self._note_change()

    def _note_change(self) -> None:
        self._dirty.set()
        if self._read_once.is_set():
            self._notify()

    def _read(self) -> None:
        fetched = [record for records in self._reader.poll(timeout_ms=POLL_MS).values() for record in records]
        for record in fetched:
            self._take(record)
        if any(record.topic == self._topic for record in fetched):
            self._note_change()

    def _take(self, record: Any) -> None:
        if record.value is None:
            return
        try:
            message, problem = read_message(record)
        except Rejected as fault:
            message, problem = None, str(fault)
        if problem:  # the analyzer keeps it as a dead letter
            log.warning("a row on the inventory's topic can't be used as it is", extra={"detail": problem})
        with self._lock:
            match message:
                case InventorySnapshot():
                    # After partitions were added, an older word may lie in another partition than the newer. Within
                    # one the last word counts, whatever the clock says of the collector that published it.
                    seen_at, partition = self._places.get(message.id, (message.seen_at, record.partition))
                    if partition == record.partition or message.seen_at >= seen_at:
                        self._known[message.id] = message.identity
                        self._source_of[message.id] = message.source
                        self._places[message.id] = message.seen_at, record.partition
                case InventoryIndex():
                    self._index = message
                case Recall():
                    log.warning(
                        "observed anew: what was observed did not arrive", extra={"subjects": len(message.subjects)}
                    )
                    self._recall(message.subjects)

    # what the collector asks

    @property
    def partitions(self) -> frozenset[int]:
        """Return the assigned partitions; while the group assigns anew, the last ones."""
        return frozenset(partition.partition for partition in self._membership.held)

    def is_ours(self, name: Name) -> bool:
        """Return whether a name's zone is in a partition that was assigned to us at the last ``load``."""
        return partition_of(registrable_domain(name, public_suffixes()), self._count) in self._ours

    def why_not(self) -> str:
        """Return why the inventory's topic is not followed, empty while it is."""
        return "" if self.fault is None else f"the inventory's topic is not followed any more: {self.fault}"

    def changed(self) -> bool:
        """Return whether there is news from the topic, from the group, or, if we publish them, from the files."""
        if self.fault is not None:
            raise self.fault
        if not self._read_once.is_set():
            return False
        return self._dirty.is_set() or (self._publishes and self._files.changed())

    @property
    def _publishes(self) -> bool:
        return PUBLISHER_PARTITION in self.partitions

    def load(self) -> Inventory:
        """Return the inventory of the topic; with partition 0, read the files too, and note the news to publish."""
        self._dirty.clear()
        self._ours = self.partitions
        self.troubles, self.shrunk = {}, {}
        problems: tuple[str, ...] = ()
        if self._publishes:
            with self._lock:
                known, index, was_in = dict(self._known), self._index, dict(self._source_of)
            self._files.adopt(rows_by_source(known, was_in))
            inventory = self._files.load()
            problems, self.troubles = inventory.problems, dict(self._files.troubles)
            self.shrunk = dict(self._files.shrunk)
            now = datetime.now(UTC)
            marks = {path: mark for path, mark in self._files.marks.items() if path not in self.shrunk}
            files = versions_of(marks, self._name, now)
            older = older_files(files, index)
            for path, sentence in older.items():
                self.troubles[path] = " | ".join(filter(None, (sentence, self.troubles.get(path))))
            self._to_publish = differences(
                inventory,
                known,
                index,
                self._vantages,
                complete=self._files.is_complete,
                now=now,
                sources={**was_in, **self._files.source_of},
                files={path: file for path, file in files.items() if path not in older},
                withheld=older,
            )
        with self._lock:
            identities = sorted((one for one in self._known.values() if one is not None), key=lambda one: one.id)
        return Inventory(tuple(identities), problems)

    def news(self, now: float) -> list[Message]:
        """Return what the files have and the topic has not, as of the last ``load``."""
        news, self._to_publish = self._to_publish, []
        return [*news, *self._files.take_acts()]

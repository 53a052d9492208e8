"""How collectors share the work: the inventory is on a compacted topic, and each of its partitions is a share.

A name belongs to the share that the hash of its zone says, so one collector has the whole of a zone, and its chain.
Being assigned partition 7 of the inventory by Kafka means polling the zones of share 7. Whoever has share 0 reads the
inventory files and publishes what differs from what is on the topic.
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
from publicsuffixlist import PublicSuffixList

from anchorwatch.kafka.clients import open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.membership import Membership
from anchorwatch.kafka.publishing import differences, older_files, rows_by_source, versions_of
from anchorwatch.kafka.rows import read_message
from anchorwatch.kafka.topics import ACTS, INVENTORY, full_name
from anchorwatch.telemetry import Meter
from collector.dnssec.names import Name
from collector.inventory.rows import Inventory
from collector.inventory.sources import Sources
from collector.polling.registrable import registrable_domain
from collector.polling.schedule import first_round_s
from schemas.faults import Rejected
from schemas.messages import Identity, InventoryIndex, InventorySnapshot, Message, Recall, Subject

log = logging.getLogger(__name__)

POLL_MS = 300
REBALANCE_S = 3.0
RETRY_S = 1.0
PUBLISHER_SHARE = 0


def share_of(zone: str, shares: int) -> int:
    """Return the share of a zone, the same in every process."""
    return int(murmur2(zone.encode()) & 0x7FFFFFFF) % shares


def longest_gap_s(interval_s: float, session_timeout_s: float) -> float:
    """Return how long a name may go without a poll when the collector that had it is killed.

    At worst it died just before a poll was due; then Kafka must miss it, share its part out, and the name has its turn
    in another's first round.
    """
    return interval_s + session_timeout_s + REBALANCE_S + first_round_s(interval_s)


class SharedInventory:
    """The inventory as the topic has it, and which part of it is ours.

    Two consumers in one thread: a member of the collectors' group, which only learns its shares; and a
    reader of the whole topic from its beginning. ``changed`` and ``load`` are what a collector asks of its feed.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """

    def __init__(
        self, config: KafkaConfig, shares: int, files: Sources, vantages: tuple[str, ...], meter: Meter
    ) -> None:
        self._files, self._vantages = files, vantages
        self._name = f"/collector/{socket.gethostname()}"
        self._notify: Callable[[], None] = lambda: None
        self._recall: Callable[[tuple[Subject, ...]], None] = lambda subjects: None
        self._topic, self._acts = full_name(config, INVENTORY), full_name(config, ACTS)
        self._shares = shares
        self._suffixes = PublicSuffixList()
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
        self._thread = threading.Thread(target=self._run, name="kafka-shares", daemon=True)
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
            partitions = [TopicPartition(self._topic, number) for number in range(self._shares)]
            acts = TopicPartition(self._acts, 0)
            self._reader.assign([*partitions, acts])
            self._reader.seek_to_beginning(*partitions)
            self._reader.seek_to_end(acts)  # whoever starts observes everything anew
            ends = self._reader.end_offsets(partitions)
            while not self._stopping.is_set():
                try:
                    self._follow_group()
                    self._read()
                except KafkaError as error:
                    log.warning("Kafka is away, trying again", extra={"detail": f"{type(error).__name__}: {error}"})
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
                    log.warning("left Kafka untidily", extra={"detail": f"{type(error).__name__}: {error}"})

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
        if problem:  # the analyzer puts it aside
            log.warning("of the inventory's topic a row is not as it should be", extra={"detail": problem})
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
    def shares(self) -> frozenset[int]:
        """Return which shares are ours; while the group shares out anew, which were."""
        return frozenset(partition.partition for partition in self._membership.held)

    def is_ours(self, name: Name) -> bool:
        """Return whether a name's zone is in one of the shares that were ours at the last ``load``."""
        return share_of(registrable_domain(name, self._suffixes), self._shares) in self._ours

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
        return PUBLISHER_SHARE in self.shares

    def load(self) -> Inventory:
        """Return what the topic says; whoever has share 0 reads the files too, and notes what is to be published."""
        self._dirty.clear()
        self._ours = self.shares
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
        return news

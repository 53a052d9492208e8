"""The alerts' ledger on a compacted topic, so that any alerts process can take over from any other.

A step is one transaction on the topic. Whoever becomes the active process takes the transactional id over: from then on
no step of the one before can succeed, and what is on the topic is the truth.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from kafka.errors import KafkaError, ProducerFencedError
from kafka.structs import TopicPartition

from alerts.delivery import Delivery
from alerts.incidents import Incident
from alerts.ledger import Change, SqliteLedger, Table
from anchorwatch.cluster.clients import open_consumer, open_producer
from anchorwatch.cluster.config import KafkaConfig
from anchorwatch.cluster.topics import LEDGER, full_name
from schemas.faults import Transient
from schemas.messages import Notification

POLL_MS = 200
TIDY_EVERY = 100
# What ended and what was said is kept for looking back: so many here, all of it on topics of their own.
KEPT = {Table.NOTIFICATIONS: 5_000, Table.INCIDENTS: 5_000, Table.HANDLED: 100_000}
TYPES: dict[Table, Any] = {
    Table.INCIDENTS: Incident,
    Table.HANDLED: int,
    Table.DELIVERIES: Delivery,
    Table.NOTIFICATIONS: Notification,
}


class KafkaLedger(SqliteLedger):
    """The ledger as the topic has it, with a copy in memory that is asked.

    The stage reads ``deliveries`` or ``open_incidents`` before its first step and after every fault: that takes the
    ledger over. ``incidents`` and ``notifications`` only look, so a process that stands by shows the same.
    """

    def __init__(self, config: KafkaConfig, client_id: str) -> None:
        super().__init__(Path(":memory:"))
        self._config, self._client_id = config, client_id
        self._topic = full_name(config, LEDGER)
        self._lock = threading.RLock()
        self._reader: Any = None
        self._writer: Any = None
        self._steps = 0

    def forget(self) -> None:
        """Take the ledger over anew before the next step: another process has been at work."""
        with self._lock:
            self._let_go()

    def close(self) -> None:
        """Let go of Kafka."""
        with self._lock:
            self._let_go()
            super().close()

    def incidents(self, limit: int) -> list[Incident]:
        """Return incidents, open ones first, then the newest."""
        self._look()
        return super().incidents(limit)

    def notifications(self, limit: int) -> list[Notification]:
        """Return what was said or withheld, newest first."""
        self._look()
        return super().notifications(limit)

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        self._take_over()
        return super().open_incidents()

    def deliveries(self) -> list[Delivery]:
        """Return everything that waits, oldest first."""
        self._take_over()
        return super().deliveries()

    def _look(self) -> None:
        with self._lock:
            if self._writer is None:
                self._talk("can't be read", self._catch_up)

    def _take_over(self) -> None:
        with self._lock:
            if self._writer is None:
                self._talk("can't be taken over", self._begin)

    def _begin(self) -> None:
        """Take the transactional id, which settles what its last owner left half done; then read all that there is."""
        self._writer = open_producer(self._config, self._client_id, transactional_id=self._topic)
        self._writer.init_transactions()
        self._catch_up()

    def _catch_up(self) -> None:
        partition = TopicPartition(self._topic, 0)
        if self._reader is None:
            self._reader = open_consumer(self._config, self._client_id, group=None)
            self._reader.assign([partition])
            self._reader.seek_to_beginning(partition)
        end = self._reader.end_offsets([partition])[partition]
        while self._reader.position(partition) < end:
            for records in self._reader.poll(timeout_ms=POLL_MS).values():
                self.apply([_change_of(record) for record in records])

    def _keep(self, changes: Sequence[Change]) -> None:
        with self._lock:
            if self._writer is None:
                raise Transient(f"the ledger on {self._topic} was lost on the way and must be read again first")
            self._steps += 1
            dropped = self.surplus(KEPT) if self._steps % TIDY_EVERY == 0 else []
            self._talk("can't be written", lambda: self._write([*changes, *dropped]))
            self.apply([*changes, *dropped])

    def _write(self, changes: Sequence[Change]) -> None:
        self._writer.begin_transaction()
        for change in changes:
            value = None if change.value is None else msgspec.json.encode(change.value)
            self._writer.send(self._topic, key=f"{change.table}/{change.key}".encode(), value=value)
        self._writer.commit_transaction()

    def _talk(self, fault: str, work: Callable[[], None]) -> None:
        """Do something with Kafka; when it fails nothing is known of how it ended, so all is begun anew."""
        try:
            work()
        except ProducerFencedError as error:
            self._let_go()
            raise Transient(f"the ledger on {self._topic} was taken over by another process") from error
        except KafkaError as error:
            self._let_go()
            raise Transient(f"the ledger on {self._topic} {fault}: {type(error).__name__}: {error}") from error
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        reader, writer = self._reader, self._writer
        self._reader = self._writer = None
        with contextlib.suppress(KafkaError):
            if reader is not None:
                reader.close()
        with contextlib.suppress(KafkaError):
            if writer is not None:
                writer.close(timeout=0)


def _change_of(record: Any) -> Change:
    table, _, key = record.key.decode().partition("/")
    kind = Table(table)
    return Change(kind, key, msgspec.json.decode(record.value, type=TYPES[kind]) if record.value else None)

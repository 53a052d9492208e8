"""The alerts' ledger on a compacted topic, so that any alerts process can take over from any other.

A step is one transaction on the topic. Whoever becomes the active process takes the transactional id over: from then on
no step of the one before can succeed, and what is on the topic is the truth.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from kafka.errors import KafkaError, ProducerFencedError
from kafka.structs import TopicPartition

from alerts.delivery import Delivery
from alerts.incidents import Incident
from alerts.ledger import Change, SqliteLedger, Table
from anchorwatch.cluster.clients import DELIVERY_S, open_again, open_consumer, open_producer
from anchorwatch.cluster.config import KafkaConfig
from anchorwatch.cluster.letters import TOO_LARGE
from anchorwatch.cluster.reading import read_on
from anchorwatch.cluster.sink import headers_of
from anchorwatch.cluster.topics import LEDGER, NOTIFICATIONS, full_name
from schemas.faults import Rejected, Transient
from schemas.messages import Notification
from schemas.wire import encode, key_of

TIDY_EVERY = 100
STALE_AFTER_S = 3600.0
"""A copy so old may have missed that a row was dropped, once Kafka has compacted that away; it takes a day at least."""
MARK = b"active"
PROOF_HOLDS_S = 1.0
"""Who wrote so lately is taken to be the active process still."""
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

    def __init__(self, config: KafkaConfig, client_id: str, source: str) -> None:
        super().__init__(Path(":memory:"))
        self._config, self._client_id, self._source = config, client_id, source
        self._topic = full_name(config, LEDGER)
        self._lock = threading.RLock()
        self._reader: Any = None
        self._writer: Any = None
        self._steps = 0
        self._read_at = self._wrote_at = 0.0

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

    def pending(self) -> int:
        """Return how many deliveries wait, as far as they are ours to make; does not block."""
        return super().pending() if self._writer is not None else 0

    def due(self, now: float, most: int) -> list[list[Delivery]]:
        """Return for each receiver up to ``most`` of its oldest deliveries, in order, if the first of them is due.

        Something is only due from whoever is still the active process: who has not written lately writes a mark first.
        """
        found = super().due(now, most)
        with self._lock:
            if found and time.monotonic() - self._wrote_at > PROOF_HOLDS_S:
                self._check_writer()
                self._talk("can't be written", lambda: self._write([]))
        return found

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
        self._writer = open_again(lambda: open_producer(self._config, self._client_id, transactional_id=self._topic))
        self._writer.init_transactions()
        self._read_at = 0.0
        self._catch_up()

    def _catch_up(self) -> None:
        partition = TopicPartition(self._topic, 0)
        if self._reader is None:
            self._reader = open_again(lambda: open_consumer(self._config, self._client_id, group=None))
            self._reader.assign([partition])
            self._read_at = 0.0
        anew = not self._read_at or time.monotonic() - self._read_at > STALE_AFTER_S
        if anew:
            self._reader.seek_to_beginning(partition)
        news = (_change_of(record) for record in read_on(self._reader, [partition]) if record.key != MARK)
        self.apply(news, anew=anew)
        self._read_at = time.monotonic()

    def _keep(self, changes: Sequence[Change]) -> None:
        with self._lock:
            self._check_writer()
            self._steps += 1
            dropped = self.surplus(KEPT) if self._steps % TIDY_EVERY == 0 else []
            step = [*dropped, *changes]
            self._talk("can't be written", lambda: self._write(step))
            self.apply(step)

    def _check_writer(self) -> None:
        if self._writer is None:
            raise Transient(f"the ledger on {self._topic} was lost on the way and must be read again first")

    def _write(self, changes: Sequence[Change]) -> None:
        """Write a step in one transaction, its notifications to their own topic as well; an empty one is a mark."""
        self._writer.begin_transaction()
        sent = [self._send(change) for change in changes]
        sent += [
            self._writer.send(
                full_name(self._config, NOTIFICATIONS),
                key=key_of(change.value).encode(),
                value=encode(change.value),
                headers=headers_of(change.value, self._source),
            )
            for change in changes
            if isinstance(change.value, Notification)
        ]
        sent += [] if changes else [self._writer.send(self._topic, key=MARK, value=self._source.encode())]
        # A commit waits for ever where Kafka is away; this does not.
        self._writer.flush(timeout=DELIVERY_S)
        for one in sent:
            one.get(timeout=0.1)
        self._writer.commit_transaction()
        self._wrote_at = time.monotonic()

    def _send(self, change: Change) -> Any:
        value = None if change.value is None else msgspec.json.encode(change.value)
        return self._writer.send(self._topic, key=f"{change.table}/{change.key}".encode(), value=value)

    def _talk(self, fault: str, work: Callable[[], None]) -> None:
        """Do something with Kafka; when it fails nothing is known of how it ended, so all is begun anew."""
        try:
            work()
        except TOO_LARGE as error:
            self._let_go()
            raise Rejected(f"an incident would be larger than topic {self._topic} takes: {error}") from error
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
        self._wrote_at = 0.0
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

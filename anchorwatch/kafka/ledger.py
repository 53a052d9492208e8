"""The alerts' ledger on a compacted topic, so that any alerts process can take over from any other.

A step is one transaction on the topic. Whoever becomes the active process takes the transactional id over: from then on
no step of the one before can succeed, and what is on the topic is the truth.

A topic that can be lost says whether it was: the record ``begun`` is on it once the findings that were open when it
began are in it. Without that record the ledger is new, or was lost, and open findings have to be taken up.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

import msgspec
from kafka.errors import KafkaError, ProducerFencedError
from kafka.structs import TopicPartition

from alerts.decision.incidents import Incident
from alerts.decision.silences import Silence
from alerts.delivery.delivery import Delivery
from alerts.ledger.ledger import Parts
from alerts.ledger.sqlite import LedgerWrite, SqliteLedger, Table
from anchorwatch.kafka.clients import DELIVERY_S, flush_reporting, open_again, open_consumer, open_producer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import TOO_LARGE
from anchorwatch.kafka.reading import read_on
from anchorwatch.kafka.sink import headers_of
from anchorwatch.kafka.topics import LEDGER, NOTIFICATIONS, full_name
from schemas.faults import Rejected, Transient
from schemas.messages import Finding, Notification, Version
from schemas.wire import encode, key_of

log = logging.getLogger(__name__)

TIDY_EVERY = 100
STALE_AFTER_S = 3600.0
"""A copy so old may have missed that a row was dropped, once Kafka has compacted that away; it takes a day at least."""
MARK = b"active"
BEGUN = b"begun"
RESTORED_AT_ONCE = 200
PROOF_HOLDS_S = 1.0
"""Who wrote so lately is taken to be the active process still."""
# What ended and what was said is kept for looking back: so many here, all of it on topics of their own.
KEPT = {Table.NOTIFICATIONS: 5_000, Table.INCIDENTS: 5_000, Table.HANDLED: 100_000, Table.SILENCES: 5_000}
TYPES: dict[Table, Any] = {
    Table.INCIDENTS: Incident,
    Table.HANDLED: Version,
    Table.DELIVERIES: Delivery,
    Table.NOTIFICATIONS: Notification,
    Table.SILENCES: Silence,
}


class KafkaLedger:
    """The ledger as the topic has it, with a copy in memory that is asked.

    The stage reads ``deliveries`` or ``open_incidents`` before its first step and after every fault: that takes the
    ledger over. ``incidents`` and ``notifications`` only look, so a process that stands by shows the same.
    """

    def __init__(self, config: KafkaConfig, client_id: str, source: str) -> None:
        self._copy = SqliteLedger(Path(":memory:"))
        self._config, self._client_id, self._source = config, client_id, source
        self._topic = full_name(config, LEDGER)
        self._lock = threading.RLock()
        self._reader: Any = None
        self._writer: Any = None
        self._steps = 0
        self._read_at = self._wrote_at = 0.0
        self._last_offset = -1
        self._has_begun = self._went_back = False
        self._damaged: dict[bytes, str] = {}
        self.trouble = ""

    def has_begun(self) -> bool:
        """Return whether what was open when the topic began is in it; takes the ledger over."""
        self._take_over()
        return self._has_begun

    def note_begun(self) -> None:
        """Say on the topic that what was open is in it now; rows that can't be read are dropped."""
        with self._lock:
            self._check_writer()
            rows = [(key, None) for key in self._damaged]
            self._talk("can't be written", lambda: self._write_rows([*rows, (BEGUN, self._source.encode())]))
            self._has_begun, self._damaged = True, {}

    def forget(self) -> None:
        """Take the ledger over anew before the next step: another process has been at work."""
        with self._lock:
            self._let_go()

    def close(self) -> None:
        """Let go of Kafka."""
        with self._lock:
            self._let_go()
            self._copy.close()

    def incidents(self, limit: int) -> list[Incident]:
        """Return incidents, open ones first, then the newest."""
        self._look()
        return self._copy.incidents(limit)

    def notifications(self, limit: int) -> list[Notification]:
        """Return what was said or withheld, newest first."""
        self._look()
        return self._copy.notifications(limit)

    def find_incidents(self, prefix: str, limit: int) -> list[Incident]:
        """Return the incidents whose id begins so, the newest first."""
        self._look()
        return self._copy.find_incidents(prefix, limit)

    def incidents_on(self, cause: str, limit: int) -> list[Incident]:
        """Return the incidents on a cause, the newest first."""
        self._look()
        return self._copy.incidents_on(cause, limit)

    def notifications_of(self, incident: str) -> list[Notification]:
        """Return what was said of an incident, or withheld, oldest first."""
        self._look()
        return self._copy.notifications_of(incident)

    def silences(self) -> list[Silence]:
        """Return the silences, those too that are over, the one that ends last first."""
        self._look()
        return self._copy.silences()

    def revision(self) -> int:
        """Return a number that is another one after each step that wrote an incident, a notification or a silence."""
        self._look()
        return self._copy.revision()

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        self._take_over()
        return self._copy.open_incidents()

    def deliveries(self) -> list[Delivery]:
        """Return everything that waits, oldest first."""
        self._take_over()
        return self._copy.deliveries()

    def handled_versions(self, findings: Collection[str]) -> dict[str, int]:
        """Return the last version that was taken in, by finding; what never was is left out."""
        return self._copy.handled_versions(findings)

    def waiting(self, deliveries: Collection[str]) -> set[str]:
        """Return which of these deliveries still have to be made."""
        return self._copy.waiting(deliveries)

    def pending(self) -> int:
        """Return how many deliveries wait, as far as they are ours to make; does not block."""
        return self._copy.pending() if self._writer is not None else 0

    def due(self, now: float, most: int) -> list[list[Delivery]]:
        """Return for each receiver up to ``most`` of its oldest deliveries that are due, in order.

        Only the active process may deliver: one that has not written lately writes a mark first, which fails elsewhere.
        """
        found = self._copy.due(now, most)
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
        if self._went_back:
            self._restore()
        if self._damaged:
            log.error(
                "rows of the ledger can't be read: findings that are open are taken up anew",
                extra={"rows": len(self._damaged), "first": next(iter(self._damaged.values()))},
            )
            self._has_begun = False
            self._forget_untold()

    def _catch_up(self) -> None:
        partition = TopicPartition(self._topic, 0)
        if self._reader is None:
            self._reader = open_again(lambda: open_consumer(self._config, self._client_id, group=None))
            self._reader.assign([partition])
            self._read_at = 0.0
        is_shorter = self._reader.end_offsets([partition])[partition] <= self._last_offset
        anew = is_shorter or not self._read_at or time.monotonic() - self._read_at > STALE_AFTER_S
        if anew:
            self._reader.seek_to_beginning(partition)
            self._has_begun, self._damaged = False, {}
        changes = self._changes_of(read_on(self._reader, [partition]))
        # Only a copy of what was on the topic is better than a topic that knows nothing.
        self._went_back = is_shorter and not self._has_begun
        self._copy.apply(changes, anew=anew and not self._went_back)
        self._read_at = time.monotonic()

    def _changes_of(self, records: Iterable[Any]) -> list[LedgerWrite]:
        """Return the rows in records; the keys whose last row can't be read are noted."""
        found = []
        for record in records:
            self._last_offset = record.offset
            self._has_begun = self._has_begun or record.key == BEGUN
            key = record.key or b""
            self._damaged.pop(key, None)
            if key in (MARK, BEGUN):
                continue
            try:
                found.append(_change_of(key, record.value))
            except (ValueError, RecursionError, msgspec.MsgspecError) as error:
                if record.value is not None:
                    self._damaged[key] = f"{self._topic}@{record.offset}: {type(error).__name__}: {error}"
        return found

    def _forget_untold(self) -> None:
        """Forget that findings were handled whose incident is not there: it may be the one that can't be read."""
        told = {finding.id for one in self._copy.open_incidents() for finding in _findings_of(one)}
        self._copy.apply([LedgerWrite(Table.HANDLED, key, None) for key, _ in self._copy.handled() if key not in told])

    def _restore(self) -> None:
        """Write the copy in memory to a topic that was made anew or cut off."""
        log.error(
            "the ledger's topic was lost: it is written anew from the copy in memory", extra={"topic": self._topic}
        )
        rows: list[tuple[bytes, bytes | None]] = [
            (f"{table}/{key}".encode(), content)
            for table in (Table.INCIDENTS, Table.NOTIFICATIONS, Table.SILENCES)
            for key, content in self._copy.rows(table)
        ]
        rows += [_row_of(LedgerWrite(Table.DELIVERIES, one.id, one)) for one in self._copy.deliveries()]
        rows += [_row_of(LedgerWrite(Table.HANDLED, key, version)) for key, version in self._copy.handled()]
        self._last_offset = -1
        for start in range(0, len(rows), RESTORED_AT_ONCE):
            self._write_rows(rows[start : start + RESTORED_AT_ONCE])

    def commit(self, **parts: Unpack[Parts]) -> None:
        """Write one step, whole or not at all."""
        if not (changes := self._copy.changes_of(**parts)):
            return
        with self._lock:
            self._check_writer()
            self._steps += 1
            dropped = self._copy.surplus(KEPT) if self._steps % TIDY_EVERY == 0 else []
            step = [*dropped, *changes]
            # What the copy in memory can't hold must not come onto the topic: nobody could take over from it.
            self._talk("can't be written", lambda: self._copy.apply(step, before_commit=lambda: self._write(step)))

    def _check_writer(self) -> None:
        if self._writer is None:
            raise Transient(f"the ledger on {self._topic} was lost on the way and must be read again first")

    def _write(self, changes: Sequence[LedgerWrite]) -> None:
        """Write a step in one transaction, its notifications to their own topic as well; an empty one is a mark."""
        rows = [_row_of(change) for change in changes] or [(MARK, self._source.encode())]
        notifications = [change.value for change in changes if isinstance(change.value, Notification)]
        if self._write_rows(rows, notifications):
            self._restore()

    def _write_rows(
        self, rows: Sequence[tuple[bytes, bytes | None]], notifications: Sequence[Notification] = ()
    ) -> bool:
        """Write in one transaction; return whether the topic was lost: it gave offsets that it had given before."""
        self._writer.begin_transaction()
        sent = [self._writer.send(self._topic, key=key, value=value) for key, value in rows]
        told = [
            self._writer.send(
                full_name(self._config, NOTIFICATIONS),
                key=key_of(notification).encode(),
                value=encode(notification),
                headers=headers_of(notification, self._source),
            )
            for notification in notifications
        ]
        # A commit waits for ever where Kafka is away; this does not.
        flush_reporting(self._writer, DELIVERY_S, self._tell)
        offsets = [one.get(timeout=0.1).offset for one in sent]
        for one in told:
            one.get(timeout=0.1)
        self._writer.commit_transaction()
        self._wrote_at = time.monotonic()
        was_lost = bool(min(offsets) <= self._last_offset)
        self._last_offset = max(offsets)
        return was_lost

    def _tell(self, trouble: str) -> None:
        if trouble and not self.trouble:
            log.warning("Kafka takes no messages", extra={"topic": self._topic, "detail": trouble})
        self.trouble = trouble

    def _talk(self, fault: str, work: Callable[[], object]) -> None:
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


def _findings_of(incident: Incident) -> list[Finding]:
    return [entry.finding for entry in incident.entries.values()]


def _row_of(change: LedgerWrite) -> tuple[bytes, bytes | None]:
    value = None if change.value is None else msgspec.json.encode(change.value)
    return f"{change.table}/{change.key}".encode(), value


def _change_of(row: bytes, value: bytes | None) -> LedgerWrite:
    table, _, key = row.decode().partition("/")
    kind = Table(table)
    return LedgerWrite(kind, key, msgspec.json.decode(value, type=TYPES[kind]) if value else None)

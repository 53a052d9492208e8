"""The ledger in one SQLite file, or in memory: one transaction a step."""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Unpack

import msgspec

from alerts.decision.incidents import Incident
from alerts.decision.silences import Silence
from alerts.delivery.delivery import Delivery, Settled
from alerts.delivery.outbox import LONGEST_PAUSE_S
from alerts.ledger.ledger import Parts
from schemas.faults import ConfigError, Transient
from schemas.messages import Notification

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, open INTEGER, updated_at REAL, content BLOB, cause TEXT DEFAULT ''
);
CREATE TABLE IF NOT EXISTS handled (finding TEXT PRIMARY KEY, version INTEGER);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, position INTEGER, receiver TEXT, attempts INTEGER, next_at REAL, content BLOB
);
CREATE TABLE IF NOT EXISTS notifications (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, at REAL, content BLOB, incident TEXT DEFAULT ''
);
CREATE TABLE IF NOT EXISTS silences (id TEXT PRIMARY KEY, ends_at REAL, content BLOB);
CREATE INDEX IF NOT EXISTS deliveries_receiver ON deliveries (receiver, position);
CREATE INDEX IF NOT EXISTS deliveries_next ON deliveries (receiver, next_at);
CREATE INDEX IF NOT EXISTS notifications_id ON notifications (id);
CREATE INDEX IF NOT EXISTS incidents_open ON incidents (open, updated_at);
CREATE INDEX IF NOT EXISTS incidents_cause ON incidents (cause);
CREATE INDEX IF NOT EXISTS notifications_incident ON notifications (incident);
"""
SINCE_1 = (
    "ALTER TABLE incidents ADD COLUMN cause TEXT DEFAULT ''",
    "ALTER TABLE notifications ADD COLUMN incident TEXT DEFAULT ''",
    "UPDATE incidents SET cause = json_extract(CAST(content AS TEXT), '$.cause')",
    "UPDATE notifications SET incident = json_extract(CAST(content AS TEXT), '$.incident')",
)
"""What a ledger of version 1 lacks."""


class Table(StrEnum):
    """What a row of the ledger is about."""

    INCIDENTS = "incidents"
    HANDLED = "handled"
    DELIVERIES = "deliveries"
    NOTIFICATIONS = "notifications"
    SILENCES = "silences"


OLDEST = {
    Table.INCIDENTS: "SELECT id FROM incidents WHERE open = 0 ORDER BY updated_at DESC LIMIT -1 OFFSET ?",
    Table.HANDLED: "SELECT finding FROM handled ORDER BY rowid DESC LIMIT -1 OFFSET ?",
    Table.NOTIFICATIONS: "SELECT id FROM notifications ORDER BY position DESC LIMIT -1 OFFSET ?",
    Table.SILENCES: "SELECT id FROM silences ORDER BY ends_at DESC LIMIT -1 OFFSET ?",
}


SHOWN = frozenset({Table.INCIDENTS, Table.NOTIFICATIONS, Table.SILENCES})
"""What people look at."""


@dataclass(frozen=True, slots=True)
class LedgerWrite:
    """One row as it is from now on: an Incident, the version of a finding, a Delivery, a Notification, a Silence.

    None: it is gone.
    """

    table: Table
    key: str
    value: Incident | int | Delivery | Notification | Silence | None


class _About(msgspec.Struct):
    id: str


class _Resting(msgspec.Struct):
    """As much of a delivery as says what it holds up."""

    incident: _About
    unfit: bool = False


class SqliteLedger:
    """The ledger; every method blocks. Other ledgers have one of these, as their file or as their copy in memory.

    Raises:
        Transient: the disk is full or the file is locked; the step left nothing behind.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=5, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise ConfigError([f"alerts.ledger: {path} was written by a newer anchorwatch: upgrade"])
            for sql in SINCE_1 if version == 1 else ():
                self._db.execute(sql)
            self._db.executescript(SCHEMA)
            self._revision = 0
            if version != SCHEMA_VERSION:
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            self._last_position = int(
                self._db.execute("SELECT coalesce(max(position), 0) FROM deliveries").fetchone()[0]
            )
        except (sqlite3.Error, OSError) as error:
            raise ConfigError([f"alerts.ledger: {path} can't be used: {error}"]) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def copy(self) -> "SqliteLedger":
        """Return a ledger in memory with the same content."""
        twin = SqliteLedger(Path(":memory:"))
        try:
            self._db.backup(twin._db)
        except sqlite3.Error as error:
            twin.close()
            raise Transient(f"the ledger can't be read: {error}") from error
        twin._last_position, twin._revision = self._last_position, self._revision
        return twin

    def handled_versions(self, findings: Collection[str]) -> dict[str, int]:
        """Return the last version that was taken in, by finding; what never was is left out."""
        if not findings:
            return {}
        sql = "SELECT finding, version FROM handled WHERE finding IN (SELECT value FROM json_each(?))"
        return dict(self._read(sql, (_json(findings),)))

    def handled(self) -> list[tuple[str, int]]:
        """Return every finding that was taken in, and its version, oldest first."""
        return [
            (key, version) for key, version in self._read("SELECT finding, version FROM handled ORDER BY rowid", ())
        ]

    def rows(self, table: Table) -> list[tuple[str, bytes]]:
        """Return the rows of incidents, notifications or silences as they were written, oldest first."""
        return [(key, content) for key, content in self._read(f"SELECT id, content FROM {table} ORDER BY rowid", ())]

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        rows = self._read("SELECT content FROM incidents WHERE open = 1 ORDER BY updated_at", ())
        return [msgspec.json.decode(content, type=Incident) for (content,) in rows]

    def incidents(self, limit: int) -> list[Incident]:
        """Return incidents, open ones first, then the newest."""
        rows = self._read("SELECT content FROM incidents ORDER BY open DESC, updated_at DESC, id LIMIT ?", (limit,))
        return [msgspec.json.decode(content, type=Incident) for (content,) in rows]

    def find_incidents(self, prefix: str, limit: int) -> list[Incident]:
        """Return the incidents whose id begins so, the newest first."""
        sql = "SELECT content FROM incidents WHERE substr(id, 1, ?) = ? ORDER BY updated_at DESC LIMIT ?"
        rows = self._read(sql, (len(prefix), prefix, limit))
        return [msgspec.json.decode(content, type=Incident) for (content,) in rows]

    def incidents_on(self, cause: str, limit: int) -> list[Incident]:
        """Return the incidents on a cause, the newest first."""
        rows = self._read(
            "SELECT content FROM incidents WHERE cause = ? ORDER BY updated_at DESC LIMIT ?", (cause, limit)
        )
        return [msgspec.json.decode(content, type=Incident) for (content,) in rows]

    def notifications_of(self, incident: str) -> list[Notification]:
        """Return what was said of an incident, or withheld, oldest first."""
        rows = self._read("SELECT content FROM notifications WHERE incident = ? ORDER BY position", (incident,))
        return [msgspec.json.decode(content, type=Notification) for (content,) in rows]

    def due(self, now: float, most: int) -> list[list[Delivery]]:
        """Return for each receiver up to ``most`` of its oldest deliveries that are due, in order."""
        found = []
        rests = "next_at > ? AND next_at <= ?"
        until = (now, now + LONGEST_PAUSE_S)
        for (receiver,) in self._read("SELECT DISTINCT receiver FROM deliveries", ()):
            sql = f"SELECT content FROM deliveries WHERE receiver = ? AND {rests}"
            resting = [msgspec.json.decode(row, type=_Resting) for (row,) in self._read(sql, (receiver, *until))]
            held_up = {one.incident.id for one in resting if not one.unfit}
            waiting = self._deliveries(f"WHERE receiver = ? AND NOT ({rests})", (receiver, *until))
            fit = (one for one in waiting if one.incident.id not in held_up)
            if due := list(islice(fit, most)):
                found.append(due)
        return found

    def waiting(self, deliveries: Collection[str]) -> set[str]:
        """Return which of these deliveries still have to be made."""
        if not deliveries:
            return set()
        sql = "SELECT id FROM deliveries WHERE id IN (SELECT value FROM json_each(?))"
        return {key for (key,) in self._read(sql, (_json(deliveries),))}

    def deliveries(self) -> list[Delivery]:
        """Return everything that waits, oldest first."""
        return list(self._deliveries("", ()))

    def _deliveries(self, where: str, parameters: tuple[object, ...]) -> Iterator[Delivery]:
        """Yield deliveries, oldest first; what is not asked for is not read."""
        sql = f"SELECT content, position, attempts, next_at FROM deliveries {where} ORDER BY position"
        try:
            with contextlib.closing(self._db.execute(sql, parameters)) as rows:
                for content, position, attempts, next_at in rows:
                    delivery = msgspec.json.decode(content, type=Delivery)
                    yield msgspec.structs.replace(delivery, position=position, attempts=attempts, next_at=next_at)
        except sqlite3.Error as error:
            raise Transient(f"the ledger can't be read: {error}") from error

    def pending(self) -> int:
        """Return how many deliveries wait."""
        return int(self._read("SELECT count(*) FROM deliveries", ())[0][0])

    def revision(self) -> int:
        """Return a number that is another one after each step that wrote an incident, a notification or a silence."""
        return self._revision

    def notifications(self, limit: int) -> list[Notification]:
        """Return what was said or withheld, newest first."""
        rows = self._read("SELECT content FROM notifications ORDER BY position DESC LIMIT ?", (limit,))
        return [msgspec.json.decode(content, type=Notification) for (content,) in rows]

    def silences(self) -> list[Silence]:
        """Return the silences, those too that are over, the one that ends last first."""
        rows = self._read("SELECT content FROM silences ORDER BY ends_at DESC, id", ())
        return [msgspec.json.decode(content, type=Silence) for (content,) in rows]

    def commit(self, **parts: Unpack[Parts]) -> None:
        """Write one step, whole or not at all."""
        if changes := self.changes_of(**parts):
            self.apply(changes)

    def changes_of(self, **parts: Unpack[Parts]) -> list[LedgerWrite]:
        """Return a step as rows; new deliveries come behind all others."""
        last = self._last_position
        deliveries = [
            msgspec.structs.replace(delivery, position=place)
            for place, delivery in enumerate(parts.get("deliveries", ()), last + 1)
        ]
        return [
            *(LedgerWrite(Table.INCIDENTS, incident.id, incident) for incident in parts.get("incidents", ())),
            *(LedgerWrite(Table.HANDLED, finding, version) for finding, version in parts.get("handled", ())),
            *(LedgerWrite(Table.DELIVERIES, delivery.id, delivery) for delivery in deliveries),
            *(_settled(one) for one in parts.get("settled", ())),
            *(
                LedgerWrite(Table.NOTIFICATIONS, f"{n.id}/{n.status}/{n.attempts}", n)
                for n in parts.get("notifications", ())
            ),
            *(LedgerWrite(Table.SILENCES, silence.id, silence) for silence in parts.get("silences", ())),
        ]

    def surplus(self, kept: Mapping[Table, int]) -> list[LedgerWrite]:
        """Return what drops all but the newest rows of tables; of incidents only those that ended count."""
        return [
            LedgerWrite(table, key, None)
            for table, count in kept.items()
            for (key,) in self._read(OLDEST[table], (count,))
        ]

    def apply(
        self, changes: Iterable[LedgerWrite], *, anew: bool = False, before_commit: Callable[[], None] = lambda: None
    ) -> None:
        """Write rows, all or none, ``anew`` instead of all that there are; the same again changes nothing.

        ``before_commit`` is called once the rows are in; if it raises none of them is.

        Raises:
            Transient: the ledger can't be written.
        """
        is_shown = anew
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for table in Table if anew else ():
                    self._db.execute(f"DELETE FROM {table}")
                for change in changes:
                    self._write_row(change)
                    is_shown |= change.table in SHOWN
                before_commit()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise Transient(f"the ledger can't be written: {error}") from error
        self._revision += is_shown

    def _write_row(self, change: LedgerWrite) -> None:
        key, value, run = change.key, change.value, self._db.execute
        if value is None or change.table is Table.NOTIFICATIONS:
            column = "finding" if change.table is Table.HANDLED else "id"
            run(f"DELETE FROM {change.table} WHERE {column} = ?", (key,))
        if value is None:
            return
        content = msgspec.json.encode(value)
        match value:
            case Incident():
                row: tuple[object, ...] = (
                    *(key, value.ended_at is None, value.updated_at.timestamp()),
                    *(content, value.cause),
                )
                run(
                    "INSERT OR REPLACE INTO incidents (id, open, updated_at, content, cause) VALUES (?, ?, ?, ?, ?)",
                    row,
                )
            case int():
                run("INSERT OR REPLACE INTO handled VALUES (?, ?)", (key, value))
            case Delivery():
                self._last_position = max(self._last_position, value.position)
                row = (key, value.position, value.receiver, value.attempts, value.next_at, content)
                run("INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?, ?)", row)
            case Silence():
                row = (key, value.ends_at.timestamp(), content)
                run("INSERT OR REPLACE INTO silences VALUES (?, ?, ?)", row)
            case Notification():
                row = (key, value.at.timestamp(), content, value.incident)
                run("INSERT INTO notifications (id, at, content, incident) VALUES (?, ?, ?, ?)", row)

    def _read(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise Transient(f"the ledger can't be read: {error}") from error


def _json(keys: Collection[str]) -> str:
    return msgspec.json.encode(list(keys)).decode()


def _settled(one: Settled) -> LedgerWrite:
    delivery = one.delivery
    again = msgspec.structs.replace(
        delivery, attempts=delivery.attempts + 1, next_at=one.next_at, refused=one.refused, unfit=one.unfit
    )
    return LedgerWrite(Table.DELIVERIES, delivery.id, None if one.done else again)

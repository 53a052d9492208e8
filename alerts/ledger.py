"""What was said, to whom, what is open, and what still has to be delivered: one SQLite file, one transaction a step."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from alerts.delivery import Delivery, Settled
from alerts.incidents import Incident
from schemas.faults import ConfigError, Transient
from schemas.messages import Notification

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS incidents (id TEXT PRIMARY KEY, open INTEGER, updated_at REAL, content BLOB);
CREATE TABLE IF NOT EXISTS handled (finding TEXT PRIMARY KEY, version INTEGER);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, position INTEGER, receiver TEXT, attempts INTEGER, next_at REAL, content BLOB
);
CREATE TABLE IF NOT EXISTS notifications (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, at REAL, content BLOB);
CREATE INDEX IF NOT EXISTS deliveries_receiver ON deliveries (receiver, position);
CREATE INDEX IF NOT EXISTS incidents_open ON incidents (open, updated_at);
"""


class SqliteLedger:
    """The ledger; every method blocks.

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
            self._db.executescript(SCHEMA)
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except (sqlite3.Error, OSError) as error:
            raise ConfigError([f"alerts.ledger: {path} can't be used: {error}"]) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def handled_version(self, finding_id: str) -> int:
        """Return the last version of a finding that was taken in, 0 for none."""
        row = self._read("SELECT version FROM handled WHERE finding = ?", (finding_id,))
        return int(row[0][0]) if row else 0

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        rows = self._read("SELECT content FROM incidents WHERE open = 1 ORDER BY updated_at", ())
        return [msgspec.json.decode(content, type=Incident) for (content,) in rows]

    def incidents(self, limit: int) -> list[Incident]:
        """Return incidents, open ones first, then the newest."""
        rows = self._read("SELECT content FROM incidents ORDER BY open DESC, updated_at DESC LIMIT ?", (limit,))
        return [msgspec.json.decode(content, type=Incident) for (content,) in rows]

    def due(self, now: float, most: int) -> list[list[Delivery]]:
        """Return for each receiver up to ``most`` of its oldest deliveries, in order, if the first of them is due."""
        found = []
        for (receiver,) in self._read("SELECT DISTINCT receiver FROM deliveries", ()):
            waiting = self._deliveries("WHERE receiver = ?", (receiver,), most)
            if waiting and waiting[0].next_at <= now:
                found.append(waiting)
        return found

    def deliveries(self) -> list[Delivery]:
        """Return everything that waits, oldest first."""
        return self._deliveries("", ())

    def _deliveries(self, where: str, parameters: tuple[object, ...], most: int = -1) -> list[Delivery]:
        sql = f"SELECT content, attempts, next_at FROM deliveries {where} ORDER BY position LIMIT ?"
        rows = self._read(sql, (*parameters, most))
        return [
            msgspec.structs.replace(msgspec.json.decode(content, type=Delivery), attempts=attempts, next_at=next_at)
            for content, attempts, next_at in rows
        ]

    def pending(self) -> int:
        """Return how many deliveries wait."""
        return int(self._read("SELECT count(*) FROM deliveries", ())[0][0])

    def notifications(self, limit: int) -> list[Notification]:
        """Return what was said or withheld, newest first."""
        rows = self._read("SELECT content FROM notifications ORDER BY position DESC LIMIT ?", (limit,))
        return [msgspec.json.decode(content, type=Notification) for (content,) in rows]

    def commit(
        self,
        *,
        incidents: Iterable[Incident] = (),
        handled: Iterable[tuple[str, int]] = (),
        deliveries: Iterable[Delivery] = (),
        settled: Iterable[Settled] = (),
        notifications: Iterable[Notification] = (),
    ) -> None:
        """Write one step, whole or not at all."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._write(incidents, handled, deliveries, settled, notifications)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise Transient(f"the ledger can't be written: {error}") from error

    def _write(
        self,
        incidents: Iterable[Incident],
        handled: Iterable[tuple[str, int]],
        deliveries: Iterable[Delivery],
        settled: Iterable[Settled],
        notifications: Iterable[Notification],
    ) -> None:
        run = self._db.executemany
        run(
            "INSERT INTO incidents VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET open = excluded.open,"
            " updated_at = excluded.updated_at, content = excluded.content",
            [(i.id, i.ended_at is None, i.updated_at.timestamp(), msgspec.json.encode(i)) for i in incidents],
        )
        run("INSERT INTO handled VALUES (?, ?) ON CONFLICT (finding) DO UPDATE SET version = excluded.version", handled)
        run(
            "INSERT OR IGNORE INTO deliveries VALUES"
            " (?, (SELECT coalesce(max(position), 0) + 1 FROM deliveries), ?, 0, 0, ?)",
            [(d.id, d.receiver, msgspec.json.encode(d)) for d in deliveries],
        )
        for one in settled:
            if one.done:
                self._db.execute("DELETE FROM deliveries WHERE id = ?", (one.delivery.id,))
            else:
                self._db.execute(
                    "UPDATE deliveries SET attempts = ?, next_at = ? WHERE id = ?",
                    (one.delivery.attempts + 1, one.next_at, one.delivery.id),
                )
        run(
            "INSERT INTO notifications (id, at, content) VALUES (?, ?, ?)",
            [(n.id, n.at.timestamp(), msgspec.json.encode(n)) for n in notifications],
        )

    def _read(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise Transient(f"the ledger can't be read: {error}") from error

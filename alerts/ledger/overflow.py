"""The ledger in a file, and in memory while the disk has no room: people are notified all the same.

Changes in memory are written once there is room. Only if the process ends before that, they are forgotten, and people
may be notified again.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Unpack

from alerts.decision.incidents import Incident
from alerts.decision.silences import Silence
from alerts.delivery.delivery import Delivery
from alerts.ledger.ledger import Parts
from alerts.ledger.sqlite import SHOWN, LedgerWrite, SqliteLedger, Table
from schemas.faults import Transient
from schemas.messages import Notification

log = logging.getLogger(__name__)

TRY_EVERY_S = 2.0
TIDY_EVERY = 200
# What ended and what was said is kept for looking back: so many of each.
KEPT = {Table.NOTIFICATIONS: 5_000, Table.INCIDENTS: 5_000, Table.HANDLED: 100_000, Table.SILENCES: 5_000}
FULL = "the disk of the ledger is full: notifications are noted in memory only; make room before a restart"
# Source: https://www.sqlite.org/rescode.html (primary codes: the low octet). A disk that fails or that the system made
# read-only is no place to write to either.
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def has_no_room(error: BaseException | None) -> bool:
    """Return whether a write failed since the file can't take it, not since somebody else uses it."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in NO_ROOM


def _rename_if_damaged(path: Path) -> None:
    """Rename a ledger that can't be read: open findings page again, which is better than silence."""
    if not path.is_file() or not path.stat().st_size:
        return
    connection = sqlite3.connect(path)
    try:
        damage = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if damage == "ok":
            return
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
            return  # in use, or no room: not for us to judge
        damage = str(error)
    finally:
        connection.close()
    renamed = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(renamed.with_name(renamed.name + suffix))
    log.error(
        "the ledger is damaged and was renamed: earlier notifications are not known, so open findings page again",
        extra={"renamed_to": str(renamed), "damage": damage},
    )


class OverflowLedger:
    """A ledger in a file that goes on in memory while it can't be written; ``clock`` is monotonic."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        _rename_if_damaged(path)
        self._file = SqliteLedger(path)
        self._memory: SqliteLedger | None = None
        self._clock = clock
        self._unwritten: dict[tuple[Table, str], LedgerWrite] = {}
        self._try_at = 0.0
        self._steps = self._revision = 0

    @property
    def _current(self) -> SqliteLedger:
        return self._memory or self._file

    def why_full(self) -> str:
        """Return that the disk has no room for the ledger, empty while it has."""
        return FULL if self._memory is not None else ""

    def incidents(self, limit: int) -> list[Incident]:
        """Return incidents, open ones first, then the newest."""
        return self._current.incidents(limit)

    def notifications(self, limit: int) -> list[Notification]:
        """Return what was said or withheld, newest first."""
        return self._current.notifications(limit)

    def find_incidents(self, prefix: str, limit: int) -> list[Incident]:
        """Return the incidents whose id begins so, the newest first."""
        return self._current.find_incidents(prefix, limit)

    def incidents_on(self, cause: str, limit: int) -> list[Incident]:
        """Return the incidents on a cause, the newest first."""
        return self._current.incidents_on(cause, limit)

    def notifications_of(self, incident: str) -> list[Notification]:
        """Return what was said of an incident, or withheld, oldest first."""
        return self._current.notifications_of(incident)

    def silences(self) -> list[Silence]:
        """Return the silences, those too that are over, the one that ends last first."""
        return self._current.silences()

    def pending(self) -> int:
        """Return how many deliveries wait."""
        return self._current.pending()

    def revision(self) -> int:
        """Return a number that is another one after each step that wrote an incident, a notification or a silence."""
        return self._revision

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        return self._current.open_incidents()

    def handled_versions(self, findings: Collection[str]) -> dict[str, int]:
        """Return the last version that was taken in, by finding; what never was is left out."""
        return self._current.handled_versions(findings)

    def deliveries(self) -> list[Delivery]:
        """Return everything that waits, oldest first."""
        return self._current.deliveries()

    def waiting(self, deliveries: Collection[str]) -> set[str]:
        """Return which of these deliveries still have to be made."""
        return self._current.waiting(deliveries)

    def due(self, now: float, most: int) -> list[list[Delivery]]:
        """Return for each receiver up to ``most`` of its oldest deliveries that are due, in order."""
        self._write_rest()
        return self._current.due(now, most)

    def commit(self, **parts: Unpack[Parts]) -> None:
        """Write one step, whole or not at all; in memory only while there is no room."""
        if not (changes := self._current.changes_of(**parts)):
            return
        self._write_rest()
        self._steps += 1
        step = [*(self._current.surplus(KEPT) if self._steps % TIDY_EVERY == 0 else ()), *changes]
        try:
            self._current.apply(step)
        except Transient as fault:
            if self._memory is not None or not has_no_room(fault.__cause__):
                raise
            log.error("the ledger goes on in memory", extra={"detail": str(fault)})
            self._memory = self._file.copy()
            self._try_at = self._clock() + TRY_EVERY_S
            self._memory.apply(step)
        if self._memory is not None:
            self._remember(step)
        self._revision += any(change.table in SHOWN for change in step)

    def close(self) -> None:
        """Write what is in memory only, if there is room now, and let go of the file."""
        self._try_at = 0.0
        self._write_rest()
        if self._memory is not None:
            log.error(
                "the disk is full at the end: the last notifications are in no ledger and may be sent again",
                extra={"rows": len(self._unwritten)},
            )
            self._memory.close()
        self._file.close()

    def _remember(self, step: Sequence[LedgerWrite]) -> None:
        for change in step:
            key = (change.table, change.key)
            self._unwritten.pop(key, None)  # the last word comes last, too
            self._unwritten[key] = change

    def _write_rest(self) -> None:
        """Write to the file what is in memory only, if there is room again."""
        if self._memory is None or self._clock() < self._try_at:
            return
        self._try_at = self._clock() + TRY_EVERY_S
        try:
            self._file.apply(self._unwritten.values())
        except Transient:
            return
        log.warning("there is room again: the file of the ledger is complete", extra={"rows": len(self._unwritten)})
        # Not closed here: another thread may be reading it.
        self._memory, self._unwritten = None, {}

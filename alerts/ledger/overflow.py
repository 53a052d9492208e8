"""The ledger in a file, and in memory while the disk has no room: people are told all the same.

What changed in memory is written once there is room. Only if the process ends before that is it forgotten what was
told, so that it may be told again.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from alerts.delivery.delivery import Delivery
from alerts.ledger.sqlite import Change, SqliteLedger, Table
from schemas.faults import Transient

log = logging.getLogger(__name__)

TRY_EVERY_S = 2.0
TIDY_EVERY = 200
# What ended and what was said is kept for looking back: so many of each.
KEPT = {Table.NOTIFICATIONS: 5_000, Table.INCIDENTS: 5_000, Table.HANDLED: 100_000}
FULL = "the disk of the ledger is full: what was told is kept in memory; make room before a restart"
# Source: https://www.sqlite.org/rescode.html (primary codes: the low octet). A disk that fails or that the system made
# read-only is no place to write to either.
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def has_no_room(error: BaseException | None) -> bool:
    """Return whether a write failed since the file can't take it, not since somebody else uses it."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in NO_ROOM


def _put_aside_if_damaged(path: Path) -> None:
    """Rename a ledger that can't be read: what is still open is then told again, which is better than silence."""
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
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    log.error(
        "the ledger is damaged and was put aside: what was told is not known, so what is open is told again",
        extra={"put_aside": str(aside), "damage": damage},
    )


class OverflowLedger(SqliteLedger):
    """A ledger in a file that goes on in memory while it can't be written; ``clock`` is monotonic."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        _put_aside_if_damaged(path)
        super().__init__(path)
        self._clock = clock
        self._file = self._db
        self._unwritten: dict[tuple[Table, str], Change] = {}
        self._try_at = 0.0
        self._steps = 0

    @property
    def _in_memory(self) -> bool:
        return self._db is not self._file

    def why_full(self) -> str:
        """Return that the disk has no room for the ledger, empty while it has."""
        return FULL if self._in_memory else ""

    def due(self, now: float, most: int) -> list[list[Delivery]]:
        """Return for each receiver up to ``most`` of its oldest deliveries, in order, if the first of them is due."""
        self._make_up()
        return super().due(now, most)

    def close(self) -> None:
        """Write what is in memory only, if there is room now, and let go of the file."""
        self._try_at = 0.0
        self._make_up()
        if self._in_memory:
            log.error(
                "the disk is full at the end: what was told lately is in no ledger and may be told again",
                extra={"rows": len(self._unwritten)},
            )
            self._file.close()
        super().close()

    def _keep(self, changes: Sequence[Change]) -> None:
        self._make_up()
        self._steps += 1
        step = [*(self.surplus(KEPT) if self._steps % TIDY_EVERY == 0 else ()), *changes]
        try:
            self.apply(step)
        except Transient as fault:
            if self._in_memory or not has_no_room(fault.__cause__):
                raise
            log.error("the ledger goes on in memory", extra={"detail": str(fault)})
            self._db = self._copy()
            self._try_at = self._clock() + TRY_EVERY_S
            self.apply(step)
        if self._in_memory:
            self._remember(step)

    def _copy(self) -> sqlite3.Connection:
        memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        try:
            self._file.backup(memory)
        except sqlite3.Error as error:
            memory.close()
            raise Transient(f"the ledger can't be read: {error}") from error
        return memory

    def _remember(self, step: Sequence[Change]) -> None:
        for change in step:
            key = (change.table, change.key)
            self._unwritten.pop(key, None)  # the last word comes last, too
            self._unwritten[key] = change

    def _make_up(self) -> None:
        """Write what is in memory only, if there is room again."""
        if not self._in_memory or self._clock() < self._try_at:
            return
        self._try_at = self._clock() + TRY_EVERY_S
        memory, self._db = self._db, self._file
        try:
            self.apply(self._unwritten.values())
        except Transient:
            self._db = memory
            return
        log.warning("there is room again: the ledger has what was told", extra={"rows": len(self._unwritten)})
        self._unwritten = {}

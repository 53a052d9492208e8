"""The ledger when its disk is full: it goes on in memory, and the file has everything once there is room."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.delivery.delivery import Settled
from alerts.ledger.ledger import Ledger
from alerts.ledger.overflow import TIDY_EVERY, TRY_EVERY_S, OverflowLedger
from alerts.ledger.sqlite import SqliteLedger
from tests.contracts.test_ledger import delivery, incident, notification


class SmallLedger(OverflowLedger):
    """A ledger whose file may be kept from growing, as by a full disk."""

    def fill(self) -> None:
        self._file._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (pages,) = self._file._db.execute("PRAGMA page_count").fetchone()
        self._file._db.execute(f"PRAGMA max_page_count={pages}")

    def make_room(self) -> None:
        self._file._db.execute("PRAGMA max_page_count=1000000")


@pytest.fixture
def ledger(tmp_path: Path, clock: Any) -> Iterator[SmallLedger]:
    ledger = SmallLedger(tmp_path / "alerts.sqlite", clock)
    ledger.commit(incidents=[incident()], handled=[("f0", 1)], deliveries=[delivery(0)])
    yield ledger
    ledger.close()


def commit_much(ledger: Ledger) -> None:
    """Write what no free page can hold."""
    for number in range(1, 40):
        ledger.commit(
            incidents=[incident(f"z{number}.example.", number)],
            handled=[(f"f{number}", number)],
            deliveries=[delivery(number, f"r{number}")],
            notifications=[notification(number)],
        )


def content(ledger: Ledger) -> list[Any]:
    return [
        sorted(ledger.open_incidents(), key=lambda one: one.id),
        ledger.handled_versions([f"f{number}" for number in range(41)]),
        ledger.deliveries(),
        ledger.notifications(100),
        ledger.pending(),
    ]


def test_what_is_decided_on_a_full_disk_is_known_and_due(ledger: SmallLedger) -> None:
    ledger.fill()

    commit_much(ledger)

    assert ledger.why_full()
    assert len(ledger.open_incidents()) == 40
    assert ledger.handled_versions(["f39"])["f39"] == 39
    assert len(ledger.due(0.0, 10)) == 40


def test_the_file_has_it_all_once_there_is_room(ledger: SmallLedger, tmp_path: Path, clock: Any) -> None:
    ledger.fill()
    commit_much(ledger)
    ledger.commit(settled=[Settled(delivery(5, "r5"), True)], notifications=[notification(1)])
    ledger.commit(settled=[Settled(delivery(6, "r6"), False, 99.0)])
    expected = content(ledger)

    ledger.make_room()
    clock.advance(TRY_EVERY_S)
    ledger.due(0.0, 1)  # time passes, nothing is decided

    assert not ledger.why_full()
    assert content(ledger) == expected
    assert content(SqliteLedger(tmp_path / "alerts.sqlite")) == expected


def test_it_stays_in_memory_as_long_as_there_is_no_room(ledger: SmallLedger, clock: Any) -> None:
    ledger.fill()
    commit_much(ledger)

    for _ in range(3):
        clock.advance(TRY_EVERY_S)
        ledger.commit(handled=[("late", 7)])

    assert ledger.why_full()
    assert ledger.handled_versions(["late"])["late"] == 7


def test_the_end_of_the_process_is_one_more_try(ledger: SmallLedger, tmp_path: Path) -> None:
    ledger.fill()
    commit_much(ledger)
    ledger.make_room()

    ledger.close()

    assert SqliteLedger(tmp_path / "alerts.sqlite").handled_versions(["f39"])["f39"] == 39


def test_a_ledger_that_another_process_writes_to_is_no_full_disk(
    ledger: SmallLedger, tmp_path: Path, open_other: Callable[[Path], Any]
) -> None:
    from schemas.faults import Transient

    other = open_other(tmp_path / "alerts.sqlite")
    other.execute("BEGIN IMMEDIATE")
    ledger._file._db.execute("PRAGMA busy_timeout=10")

    with pytest.raises(Transient, match="locked"):
        ledger.commit(handled=[("f1", 1)])

    assert not ledger.why_full()


@pytest.fixture
def open_other() -> Iterator[Callable[[Path], Any]]:
    import sqlite3

    opened: list[sqlite3.Connection] = []

    def open_one(path: Path) -> sqlite3.Connection:
        opened.append(sqlite3.connect(path, isolation_level=None))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


def test_the_file_is_pruned(tmp_path: Path) -> None:
    ledger = OverflowLedger(tmp_path / "alerts.sqlite")
    for start in range(0, 5_600, 100):
        ledger.commit(notifications=[notification(number) for number in range(start, start + 100)])
    for number in range(TIDY_EVERY):
        ledger.commit(handled=[("f", number)])

    (count,) = ledger._file._read("SELECT count(*) FROM notifications", ())[0]
    ledger.close()

    assert count == 5_000


@pytest.mark.parametrize("damage", ["header", "pages"])
def test_a_damaged_ledger_is_put_aside_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    path = tmp_path / "alerts.sqlite"
    ledger = OverflowLedger(path)
    commit_much(ledger)
    ledger.close()
    octets = bytearray(path.read_bytes())
    octets[: 16 if damage == "header" else 0] = b"x" * (16 if damage == "header" else 0)
    if damage == "pages":
        octets[4096:] = b"\xff" * (len(octets) - 4096)
    path.write_bytes(bytes(octets))

    anew = OverflowLedger(path)

    assert anew.open_incidents() == []
    anew.commit(handled=[("f1", 1)])
    anew.close()
    assert [one.name for one in tmp_path.glob("*.damaged-*")]
    assert "the ledger is damaged" in caplog.text


def test_a_whole_ledger_stays_where_it_is(tmp_path: Path) -> None:
    OverflowLedger(tmp_path / "alerts.sqlite").close()

    OverflowLedger(tmp_path / "alerts.sqlite").close()

    assert not list(tmp_path.glob("*.damaged-*"))

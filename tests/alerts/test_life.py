"""An incident's life: somebody takes it, it becomes worse, somebody gives it back, it ends."""

import sqlite3
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from alerts.decision.incidents import Entry, begin_incident, take_finding
from alerts.decision.life import FIRST_KEPT, LAST_KEPT, Happening, add_to_log
from alerts.delivery.delivery import DeliveryOutcome
from alerts.ledger.sqlite import SqliteLedger
from schemas.catalogue import Severity
from schemas.messages import Act, ActKind, Notification, NotificationStatus
from tests.support.desk import Desk
from tests.support.findings import AT, PAYMENTS, closed, finding

DAY_S = 24 * 3600


@pytest.fixture
def desk(tmp_path: Any, clock: Any) -> Desk:
    return Desk(tmp_path, clock)


def deed(desk: Desk, kind: ActKind, by: str = "ana", **more: Any) -> Act:
    (incident,) = desk.ledger.open_incidents()
    fields = {"id": f"{kind} {by} {len(desk.ledger.notifications(1000))}", "at": AT, "subject": incident.id, **more}
    return Act(kind=kind, by=by, **fields)


def state_of(desk: Desk) -> str:
    return str(desk.ledger.incidents(1)[0].state)


def log_of(desk: Desk) -> list[tuple[str, str]]:
    return [(one.what, one.by) for one in desk.ledger.incidents(1)[0].log]


def test_who_takes_an_incident_is_told_to_those_who_know_of_it_and_ends_reminders(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    desk.do(deed(desk, "acknowledge", why="I look"))
    for _ in range(9):
        desk.clock.advance(3600)
        desk.handle()

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge"]
    assert desk.pager.bodies[1]["summary"].startswith("ACKNOWLEDGED by ana [critical] bank.example: ")
    assert desk.pager.bodies[1]["reason"] == "acknowledged by ana: I look"
    assert state_of(desk) == "acknowledged"

    desk.handle(closed(opened))
    assert desk.pager.told[-1] == ("resolve", "bank.example.")
    assert state_of(desk) == "resolved"


def test_an_acknowledgement_survives_a_restart_and_counts_once(desk: Desk) -> None:
    desk.handle(finding())
    act = deed(desk, "acknowledge")
    desk.do(act)
    desk.restart()
    desk.do(act)

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge"]
    assert log_of(desk) == [("found", ""), ("acknowledged", "ana")]


@pytest.mark.parametrize(
    "worse",
    [{"severity": Severity.CRITICAL}, {"identities": (PAYMENTS,)}],
    ids=["severity", "criticality"],
)
def test_what_becomes_worse_is_nobodys_again(desk: Desk, worse: dict[str, Any]) -> None:
    mild = msgspec.structs.replace(PAYMENTS, id="sa-log", criticality="low")
    opened = finding("alias_chain_broken", identities=(mild,))
    desk.handle(opened)
    desk.do(deed(desk, "acknowledge"))
    desk.handle(msgspec.structs.replace(opened, version=2, **worse))

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge", "update"]
    assert state_of(desk) == "reopened"
    desk.clock.advance(5 * 3600)
    desk.handle()
    assert desk.pager.told[-1][0] == "reminder"


def test_what_does_not_become_worse_stays_somebodys(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    desk.do(deed(desk, "acknowledge"))
    desk.handle(msgspec.structs.replace(opened, version=2, severity=Severity.HIGH))
    desk.handle(msgspec.structs.replace(opened, version=3, severity=Severity.CRITICAL))

    assert state_of(desk) == "acknowledged"


def test_a_forgotten_incident_is_reminded_of_after_a_day(desk: Desk) -> None:
    desk.handle(finding())
    desk.do(deed(desk, "acknowledge"))
    desk.clock.advance(DAY_S + 2)
    desk.handle()

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge", "reminder"]
    assert "acknowledged it 24 hours ago" in desk.ledger.incidents(1)[0].reopened_because


def test_what_is_given_back_is_reminded_of(desk: Desk) -> None:
    desk.handle(finding())
    desk.do(deed(desk, "acknowledge"))
    desk.clock.advance(5 * 3600)
    desk.do(deed(desk, "reopen", "bo", why="not mine"))
    desk.handle()

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge", "reminder"]
    assert log_of(desk)[-1] == ("reopened", "bo")


def test_an_incident_that_ended_takes_no_acknowledgement_and_stays_ended(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    late = deed(desk, "acknowledge")
    desk.handle(closed(opened))
    desk.do(late)

    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve"]
    assert state_of(desk) == "resolved"


def test_acknowledged_and_over_in_one_batch_is_over(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    desk.do(deed(desk, "acknowledge"), closed(opened))

    assert [event for event, _ in desk.pager.told] == ["trigger", "acknowledge", "resolve"]
    assert state_of(desk) == "resolved"


def test_a_note_is_kept_and_tells_nobody(desk: Desk) -> None:
    desk.handle(finding())
    desk.do(deed(desk, "note", why="the registrar was called"))
    desk.restart()

    (incident,) = desk.ledger.open_incidents()
    assert incident.log[-1] == Happening(at=AT, what="note", text="the registrar was called", by="ana")
    assert [event for event, _ in desk.pager.told] == ["trigger"]


def test_the_log_says_what_happened_to_the_findings(desk: Desk) -> None:
    opened = finding(confirmed=False)
    desk.handle(opened)
    desk.handle(msgspec.structs.replace(opened, version=2, confirmed=True))
    desk.handle(msgspec.structs.replace(opened, version=3, confirmed=True, severity=Severity.HIGH))
    desk.handle(msgspec.structs.replace(opened, version=4, confirmed=True, endpoint_count=9, severity=Severity.HIGH))
    desk.handle(closed(msgspec.structs.replace(opened, confirmed=True), version=5))

    assert [what for what, _ in log_of(desk)] == ["suspected", "confirmed", "severity", "over", "resolved"]


def test_a_long_log_keeps_its_beginning_and_its_end() -> None:
    log: tuple[Happening, ...] = ()
    for number in range(500):
        log = add_to_log(log, Happening(at=AT + timedelta(seconds=number), what="note", text=str(number)))

    assert len(log) == FIRST_KEPT + LAST_KEPT
    assert (log[0].text, log[FIRST_KEPT - 1].text, log[-1].text) == ("0", str(FIRST_KEPT - 1), "499")


def test_a_page_carries_no_log(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "down")]
    desk.handle(finding())

    assert desk.ledger.open_incidents()[0].log
    assert [one.incident.log for one in desk.ledger.deliveries()] == [()]


class TestShortIds:
    def test_the_beginning_of_an_id_finds_its_incident_open_or_over(self, desk: Desk) -> None:
        opened = finding()
        desk.handle(opened)
        desk.handle(closed(opened))
        (incident,) = desk.ledger.incidents(10)

        assert [one.id for one in desk.ledger.find_incidents(incident.id[:4], 5)] == [incident.id]
        assert desk.ledger.find_incidents("zzzz", 5) == []

    def test_what_was_said_of_one_incident_and_earlier_ones_on_its_cause(self, desk: Desk) -> None:
        opened = finding()
        desk.handle(opened, finding(zone="idp.example."))
        desk.handle(closed(opened))
        desk.handle(finding(opened_at=AT + timedelta(days=1)))
        new, old = desk.ledger.incidents_on("bank.example.", 5)

        assert new.ended_at is None
        assert [one.event for one in desk.ledger.notifications_of(old.id)] == ["trigger", "resolve"]
        assert [one.event for one in desk.ledger.notifications_of(new.id)] == ["trigger"]


def test_a_ledger_of_before_is_taken_over(tmp_path: Any) -> None:
    path = tmp_path / "alerts.sqlite"
    old = sqlite3.connect(path)
    old.executescript(
        "CREATE TABLE incidents (id TEXT PRIMARY KEY, open INTEGER, updated_at REAL, content BLOB);"
        "CREATE TABLE handled (finding TEXT PRIMARY KEY, version INTEGER);"
        "CREATE TABLE deliveries (id TEXT PRIMARY KEY, position INTEGER, receiver TEXT, attempts INTEGER,"
        " next_at REAL, content BLOB);"
        "CREATE TABLE notifications (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, at REAL, content BLOB);"
        "PRAGMA user_version=1;"
    )
    opened = finding()
    entry = Entry(finding=opened, severity=Severity.CRITICAL, receivers=("soc",))
    about = take_finding(begin_incident(opened), entry)
    told = Notification(
        id="n1", incident=about.id, event="trigger", status=NotificationStatus.SENT, receiver="soc", reason="", at=AT
    )
    old.execute("INSERT INTO incidents VALUES (?, 1, 1.0, ?)", (about.id, msgspec.json.encode(about)))
    old.execute("INSERT INTO notifications (id, at, content) VALUES ('n1', 1.0, ?)", (msgspec.json.encode(told),))
    old.commit()
    old.close()
    ledger = SqliteLedger(path)

    assert ledger.open_incidents() == [about]
    assert ledger.incidents_on("bank.example.", 5) == [about]
    assert ledger.notifications_of(about.id) == [told]

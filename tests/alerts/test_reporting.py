"""Every finding is reported as an event, page or no page: through the outbox, in order, and never lost."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.ocsf import make_event
from alerts.receivers.file import File
from schemas.messages import Act
from tests.support.desk import Desk, Recorder
from tests.support.findings import AT, closed, finding
from tests.support.ocsf import problems


class Siem(Recorder):
    """A receiver of events that checks them."""

    def __init__(self, *outcomes: DeliveryOutcome) -> None:
        super().__init__(*outcomes)
        self.events: list[dict[str, Any]] = []

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        outcome = super().send(delivery, now)
        if outcome.delivered:
            self.events.append(make_event(delivery))
            assert list(problems(self.events[-1])) == []
        return outcome

    @property
    def shown(self) -> list[tuple[str, str, str]]:
        return [(one["activity_name"], one["status"], one.get("status_detail", "")) for one in self.events]


class Office(Desk):
    """A desk with a receiver of events beside those of pages."""

    def __init__(self, folder: Path, clock: Any, *outcomes: DeliveryOutcome, **changes: Any) -> None:
        self.siem = Siem(*outcomes)
        super().__init__(folder, clock, receivers=(File(name="siem", path="/nowhere"),), **changes)

    def restart(self) -> None:
        super().restart()
        self.stage = self.staffed({"pager": self.pager, "backup": self.backup, "siem": self.siem})


@pytest.fixture
def office(tmp_path: Path, clock: Any) -> Office:
    return Office(tmp_path, clock)


def test_a_finding_is_created_updated_and_closed_under_one_uid(office: Office) -> None:
    one = finding()
    office.handle(one)
    office.handle(msgspec.structs.replace(one, version=2, detail="worse"))
    office.handle(closed(one, 3))

    assert office.siem.shown == [("Create", "New", ""), ("Update", "New", ""), ("Close", "Resolved", "")]
    assert {event["finding_info"]["uid"] for event in office.siem.events} == {one.id}
    assert len({event["metadata"]["uid"] for event in office.siem.events}) == 3
    assert [event for event, _ in office.pager.told] == ["trigger", "resolve"], "pages are as ever"


def test_what_pages_nobody_is_reported_with_the_reason(office: Office) -> None:
    office.handle(finding("key_weak"), finding(zone="other.example.", confirmed=False))

    assert office.pager.told == []
    assert office.siem.shown == [
        ("Create", "New", "not paged: no route for severity low"),
        ("Create", "New", "not paged: not yet confirmed by further polls"),
    ]


def test_a_silence_is_reported_with_who_made_it_and_so_is_its_end(office: Office, clock: Any) -> None:
    office.handle(finding())
    silence = Act(
        id="s1", kind="silence", by="ana", at=AT, why="they move", matchers=("zone=bank.example",),
        begins_at=AT, ends_at=AT + timedelta(hours=1),
    )  # fmt: skip
    office.do(silence)
    clock.advance(3601)
    office.do()

    assert office.siem.shown == [
        ("Create", "New", ""),
        ("Update", "Suppressed", "silenced by ana until 2026-11-24 13:00 UTC: they move"),
        ("Update", "New", ""),
    ]
    assert [event["is_alert"] for event in office.siem.events] == [True, False, True]


def test_who_has_an_incident_is_reported(office: Office) -> None:
    office.handle(finding())
    (incident,) = office.ledger.open_incidents()
    office.do(Act(id="a", kind="acknowledge", by="bo", at=AT, subject=incident.id, why="I look"))
    office.do(Act(id="b", kind="note", by="bo", at=AT, subject=incident.id, why="called"))

    assert office.siem.shown[1:] == [("Update", "In Progress", "acknowledged by bo: I look")]
    assert {event["metadata"]["correlation_uid"] for event in office.siem.events} == {incident.id}


def test_the_same_finding_again_is_no_event_and_neither_is_time(office: Office, clock: Any) -> None:
    one = finding()
    office.handle(one)
    office.handle(one)
    clock.advance(5 * 3600)
    office.do()
    office.restart()
    office.do()

    assert len(office.siem.events) == 1
    assert [event for event, _ in office.pager.told] == ["trigger", "reminder"]


def test_events_wait_in_the_ledger_and_come_in_order_after_a_restart(tmp_path: Path, clock: Any) -> None:
    office = Office(tmp_path, clock, DeliveryOutcome(False, "down"))
    one = finding()
    office.handle(one)
    office.handle(closed(one))
    ids = list(office.siem.ids)
    office.restart()
    clock.advance(3600)
    office.do()

    assert [shown[0] for shown in office.siem.shown] == ["Create", "Close"]
    assert ids[0] == office.siem.ids[-2], "under the same id as before"
    assert office.ledger.pending() == 0


def test_what_a_siem_does_not_take_pages_nobody_and_is_told_once(tmp_path: Path, clock: Any) -> None:
    office = Office(tmp_path, clock, *[DeliveryOutcome(False, "HTTP 403", retry=False)] * 50)
    for number in range(5):
        office.handle(finding(zone=f"z{number}.example{number}."))
    office.do()

    failures = [cause for _, cause in office.backup.told if cause == "siem"]
    assert failures == ["siem"], "that it fails is one finding"
    assert office.shouted == []
    assert len([cause for _, cause in office.pager.told if cause != "siem"]) == 5, "no page is repeated for it"
    assert not office.stage.reaches_nobody
    assert office.siem.events == []
    assert office.ledger.pending() >= 5, "they wait"


def test_what_is_refused_for_a_week_is_given_up_and_that_is_on_record(tmp_path: Path, clock: Any) -> None:
    refusals = [DeliveryOutcome(False, "HTTP 403", retry=False)] * 10_000
    office = Office(tmp_path, clock, *refusals)
    one = finding("key_weak")
    office.handle(one)
    office.handle(closed(one))
    clock.advance(3 * 86_400)
    office.do()
    waiting = office.ledger.pending()
    clock.advance(5 * 86_400)
    said = office.do() + office.do()

    assert waiting >= 2
    assert {(one.status, one.receiver) for one in said if one.receiver == "siem"} == {("failed", "siem")}


def test_with_no_receiver_but_of_events_nobody_can_be_reached(tmp_path: Path, clock: Any) -> None:
    office = Office(tmp_path, clock, routes=())
    office.stage = office.staffed({"siem": office.siem})

    office.handle(finding())

    assert not office.stage.reaches_nobody, "there is nobody who could be"
    assert [shown[0] for shown in office.siem.shown] == ["Create"]


def test_versions_that_come_in_one_batch_are_each_an_event(office: Office) -> None:
    """What opened and closed between two looks at the bus was there: a SIEM must not learn of its end alone."""
    one = finding()
    office.handle(one, msgspec.structs.replace(one, version=2, detail="worse"), closed(one, 3))

    assert [shown[0] for shown in office.siem.shown] == ["Create", "Update", "Close"]
    assert [event["unmapped"]["version"] for event in office.siem.events] == [1, 2, 3]


def test_a_close_that_its_incident_forgets_at_once_is_reported(office: Office) -> None:
    """An incident keeps 100 entries of its past; what it drops was reported before."""
    opened = [finding(opened_at=AT + timedelta(seconds=number)) for number in range(150)]
    office.handle(*opened)
    office.handle(*(closed(one, at=AT + timedelta(minutes=1)) for one in opened[:-1]))

    assert sum(event["activity_name"] == "Close" for event in office.siem.events) == 149


def test_pages_are_recorded_and_events_are_not(office: Office) -> None:
    said = office.handle(finding())

    assert [(one.receiver, one.status) for one in said] == [("pager", "sent")]

"""A test page every week: by the way of every page, once, over by itself, and told where it does not arrive."""

import logging
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.config import DrillPlan, Escalation, Route
from alerts.decision.schedule import Recurring
from alerts.delivery.delivery import DeliveryOutcome
from alerts.receivers.file import File
from schemas.catalogue import Severity
from schemas.messages import Act
from tests.support.clock import ManualClock
from tests.support.desk import Desk, Recorder
from tests.support.findings import AT, finding

MONDAYS = Recurring(days=(0,), clock=time(9), zone=ZoneInfo("Europe/Berlin"))
MONDAY = datetime(2026, 11, 30, 8, tzinfo=UTC)
"""09:00 in Berlin."""


def desk_at(folder: Path, at: datetime, **changes: Any) -> Desk:
    return Desk(folder, ManualClock(at), **{"drill": DrillPlan(schedule=MONDAYS), **changes})


def test_a_test_page_travels_by_the_routes_says_that_it_is_one_and_ends(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, MONDAY - timedelta(minutes=1))
    desk.do()
    assert desk.pager.told == []

    desk.clock.advance(90)
    desk.do()
    desk.clock.advance(600)
    desk.do()

    assert desk.pager.told == [("trigger", "test page"), ("resolve", "test page")]
    page, end = desk.pager.bodies
    assert "this is a TEST" in page["summary"]
    assert page["severity"] == "critical"
    assert page["findings"][0]["detail"].startswith("TEST: ")
    assert end["summary"].startswith("RESOLVED ")
    assert desk.stage.drill_at == (MONDAY + timedelta(seconds=30)).timestamp()


def test_a_test_page_ends_where_nobody_wants_any_more(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, MONDAY)
    desk.do()
    later = desk_at(tmp_path, MONDAY + timedelta(minutes=2), drill=None)
    later.do()

    assert [event for event, _ in desk.pager.told] == ["trigger"]
    assert [event for event, _ in later.pager.told] == ["resolve"]
    assert not [one for one in later.ledger.incidents(10) if one.ended_at is None]


def test_it_is_sent_once_a_period_over_restarts_and_processes(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, MONDAY)
    for _ in range(40):
        desk.do()
        desk.clock.advance(600)
        if desk.clock.at.minute == 0:
            desk.restart()  # or another process that takes over
    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve"]

    desk.clock.advance(7 * 86_400 - 40 * 600)
    desk.do()
    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve", "trigger"]


def test_a_clock_that_is_set_back_sends_it_no_second_time(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, MONDAY)
    desk.ticks = ManualClock(MONDAY)
    desk.restart()
    desk.do()
    desk.clock.advance(-3600)
    desk.ticks.advance(601)
    desk.do()
    desk.clock.advance(3660)
    desk.do()

    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve"], "and its end waits for no clock"


def test_a_process_that_starts_late_makes_up_for_it_within_hours_and_no_later(tmp_path: Path) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    soon, tomorrow = desk_at(early, MONDAY + timedelta(hours=5)), desk_at(late, MONDAY + timedelta(hours=7))
    soon.do()
    tomorrow.do()

    assert [event for event, _ in soon.pager.told] == ["trigger"]
    assert tomorrow.pager.told == []


def test_whoever_acknowledges_it_ends_its_escalation_as_of_any_page(tmp_path: Path) -> None:
    route = Route(receiver="pager", escalate=(Escalation(after_s=120, receiver="backup"),))
    for folder, takes in (("taken", True), ("missed", False)):
        desk = desk_at(tmp_path / folder, MONDAY, routes=(route,))
        desk.do()
        (incident,) = desk.ledger.open_incidents()
        if takes:
            desk.do(Act(id="1", kind="acknowledge", by="ana", at=AT, subject=incident.id))
        desk.clock.advance(180)
        desk.do()

        assert [event for event, _ in desk.backup.told] == ([] if takes else ["trigger"])


def test_named_receivers_get_it_whatever_the_routes_say(tmp_path: Path) -> None:
    plan = DrillPlan(schedule=MONDAYS, receivers=("backup",), severity=Severity.LOW)
    desk = desk_at(tmp_path, MONDAY, drill=plan)
    desk.do()

    assert (desk.pager.told, desk.backup.told) == ([], [("trigger", "test page")])


def test_a_test_page_that_does_not_arrive_is_a_finding_through_another_receiver(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = desk_at(tmp_path, MONDAY)
    desk.pager = Recorder(*[DeliveryOutcome(False, "down")] * 20)
    desk.restart()
    desk.do()
    for _ in range(3):
        desk.clock.advance(230)
        desk.do()
    caplog.set_level(logging.ERROR)

    told = [body for body in desk.backup.bodies if body["cause"] == "pager"]
    assert "the test page did not arrive within 10 min" in told[0]["findings"][0]["detail"]
    assert desk.stage.drill_at == 0.0


def test_a_test_page_that_nobody_gets_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    desk = desk_at(tmp_path, MONDAY, routes=())
    desk.do()
    desk.clock.advance(601)
    desk.do()

    assert [record.message for record in caplog.records] == ["the test page did not arrive"]
    assert caplog.records[0].withheld == "no route for severity critical"  # type: ignore[attr-defined]
    assert desk.stage.drill_at == 0.0


def test_when_one_arrived_last_is_known_after_a_restart(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, MONDAY)
    desk.do()
    desk.clock.advance(601)
    desk.do()
    arrived_at = desk.stage.drill_at
    desk.restart()
    desk.do()

    assert desk.stage.drill_at == arrived_at == MONDAY.timestamp()


def test_a_siem_that_is_down_says_nothing_of_the_page(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, MONDAY, receivers=(File(name="siem", path="/nowhere"),))
    siem = Recorder(*[DeliveryOutcome(False, "down")] * 20)
    desk.stage = desk.staffed({"pager": desk.pager, "backup": desk.backup, "siem": siem})
    desk.do()
    desk.clock.advance(601)
    desk.do()

    assert desk.stage.drill_at == MONDAY.timestamp()
    assert desk.backup.told == []


def test_it_joins_no_other_incident_and_explains_nothing(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, MONDAY)
    desk.do(finding(opened_at=MONDAY), finding("self_vantage_lost", zone="", cause_rrset="corp", opened_at=MONDAY))

    assert sorted(cause for _, cause in desk.pager.told) == ["bank.example.", "corp", "test page"]

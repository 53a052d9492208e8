"""Reports: coverage, controls and response times, from what the API says; and what hostile names do to the page."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from anchorwatch.assessment.assess import FRAMEWORKS, Report, assess
from anchorwatch.assessment.digests import digest_of_owner, owners_of
from anchorwatch.assessment.page import in_words, render
from anchorwatch.configuration.rules import shipped_mappings
from anchorwatch.web.incidents import incident_view
from tests.support.desk import Desk
from tests.support.findings import AT, PAYMENTS, closed, finding

UNTIL = AT + timedelta(days=1)
CONTROLS = [
    {"framework": one.framework, "control": one.control, "why": one.why, "citation": one.citation}
    for mapping in shipped_mappings()
    for one in mapping.controls
]
IDENTITIES: list[dict[str, Any]] = [
    {"id": "sa-settlement", "owner": "payments", "environment": "prod", "criticality": "critical", "verdict": "bogus"},
    {"id": "sa-log", "owner": "logging", "environment": "test", "criticality": "low", "verdict": "secure"},
    {"id": "sa-new", "owner": "payments", "environment": "prod", "criticality": "low", "verdict": None},
]


def as_json(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


@pytest.fixture
def report(tmp_path: Any, clock: Any) -> Report:
    desk = Desk(tmp_path, clock)
    opened = finding()
    desk.handle(opened)
    clock.advance(600)
    desk.handle(closed(opened, at=AT))
    desk.handle(finding("secure_to_insecure", zone="idp.example.", opened_at=AT + timedelta(minutes=10)))
    long_ago = as_json(incident_view(desk.ledger.incidents(10)[-1])) | {
        "opened_at": "2020-01-01T00:00:00+00:00",
        "ended_at": "2020-01-02T00:00:00+00:00",
    }
    acts: list[dict[str, Any]] = [
        {"at": AT.isoformat(), "kind": "silence", "by": "ana", "why": "patches", "matchers": ["owner=payments"]},
        {"at": "2020-01-01T00:00:00+00:00", "kind": "accept", "by": "old", "subject": "x", "why": ""},
    ]
    return assess(
        "csf",
        AT - timedelta(days=30),
        UNTIL,
        identities=[{**one, "endpoints": ["a"]} for one in IDENTITIES],
        incidents=[*(as_json(incident_view(one)) for one in desk.ledger.incidents(10)), long_ago],
        notifications=as_json(desk.ledger.notifications(100)),
        acts=acts,
        controls=CONTROLS,
    )


def test_identities_are_counted_by_what_they_rest_on_the_weakest_first(report: Report) -> None:
    assert report.verdicts == {"bogus": 1, "indeterminate": 0, "insecure": 0, "unwatched": 1, "secure": 1}
    assert [one.id for one in report.identities] == ["sa-settlement", "sa-new", "sa-log"]


def test_incidents_stand_below_the_controls_that_they_touch_with_owner_and_environment(report: Report) -> None:
    (row,) = [one for one in report.controls if one.control == "PR.DS-02"]

    assert [(one.cause, one.state) for one in row.incidents] == [
        ("idp.example.", "open"),
        ("bank.example.", "resolved"),
    ]
    assert (row.incidents[0].owners, row.incidents[0].environments) == (("payments",), ("prod",))
    assert "NIST CSWP 29" in row.citation


def test_response_times_are_those_of_the_period(report: Report) -> None:
    response = report.response

    assert (response.incidents, response.told, response.ended, response.open) == (2, 2, 1, 1)
    assert response.to_end_s == 600.0
    assert response.to_page_s == 0.0
    assert report.silences == ("2026-11-24T12:00:00 ana: owner=payments (patches)",)
    assert report.accepted == ()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_control_of_a_framework_is_shown_though_nothing_touched_it(framework: str) -> None:
    made = assess(framework, AT, UNTIL, identities=[], incidents=[], notifications=[], acts=[], controls=CONTROLS)

    assert {one.control for one in made.controls} == {
        one["control"] for one in CONTROLS if one["framework"] == FRAMEWORKS[framework]
    }
    assert made.controls
    assert made.response.to_page_s is None
    assert "No incident touched it." in render(made)


def test_the_page_escapes_what_names_say_and_loads_nothing(report: Report) -> None:
    evil = "<script>alert(1)</script>\x1b[2J"
    identities = tuple(msgspec.structs.replace(one, id=evil, owner=evil) for one in report.identities)
    page = render(msgspec.structs.replace(report, identities=identities), "https://watch.corp.example")

    assert "<script" not in page
    assert "\x1b" not in page
    assert "src=" not in page
    assert '<a href="https://watch.corp.example/incidents/' in page
    assert "@media print" in page


def test_an_owner_is_told_of_its_own_accounts(report: Report) -> None:
    assert owners_of(report) == ["logging", "payments"]
    payments, logging = digest_of_owner(report, "payments"), digest_of_owner(report, "logging")

    assert payments.splitlines()[:2] == [
        "payments: your 2 accounts, 2026-10-25 to 2026-11-25",
        "They rest on names that are: 1 bogus, 1 unwatched.",
    ]
    assert "2 incidents touched them:" in payments
    assert "0 incidents touched them." in logging
    assert PAYMENTS.id in payments


def test_times_are_said_as_people_say_them() -> None:
    assert [in_words(one) for one in (None, 5.0, 600.0, 9000.0)] == ["–", "5 s", "10 min", "2.5 h"]

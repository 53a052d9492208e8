"""A report as OSCAL assessment results, against the schema that NIST publishes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anchorwatch.assessment.assess import FRAMEWORKS, Report, assess
from anchorwatch.assessment.oscal import make_results, token_of
from anchorwatch.web.incidents import incident_view
from tests.anchorwatch.test_assessment import CONTROLS, IDENTITIES, UNTIL, as_json
from tests.support.clock import ManualClock
from tests.support.desk import Desk
from tests.support.findings import AT, closed, finding
from tests.support.specification import problems

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "data/oscal/oscal_assessment-results_schema-1.2.3.json").read_text(encoding="utf-8")
)


def report_on(folder: Path, framework: str = "csf", **hostile: str) -> Report:
    desk = Desk(folder, ManualClock())
    opened = finding(**hostile)
    desk.handle(opened)
    desk.clock.advance(600)
    desk.handle(closed(opened, at=AT))
    desk.handle(finding("secure_to_insecure", zone="idp.example."))
    desk.handle(finding("self_vantage_lost", zone="", cause_rrset="corp"))
    return assess(
        framework,
        AT.replace(day=1),
        UNTIL,
        identities=[{**one, "endpoints": ["a"]} for one in IDENTITIES],
        incidents=[as_json(incident_view(one)) for one in desk.ledger.incidents(10)],
        notifications=as_json(desk.ledger.notifications(100)),
        acts=(),
        controls=CONTROLS,
    )


def made_of(report: Report, base: str = "https://watch.corp.example") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(msgspec.json.encode(make_results(report, base)))
    assert list(problems(document, SCHEMA, SCHEMA)) == []
    return dict(document["assessment-results"])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_is_valid_and_every_reference_leads_somewhere(tmp_path: Path, framework: str) -> None:
    document = made_of(report_on(tmp_path, framework))
    (result,) = document["results"]
    observations = {one["uuid"]: one for one in result.get("observations", ())}
    items = {one["uuid"] for one in result["local-definitions"]["inventory-items"]}
    reviewed = {one["control-id"] for one in result["reviewed-controls"]["control-selections"][0]["include-controls"]}

    for one in result.get("findings", ()):
        assert one["target"]["target-id"] in reviewed
        assert {related["observation-uuid"] for related in one["related-observations"]} <= observations.keys()
    for observation in observations.values():
        assert {subject["subject-uuid"] for subject in observation.get("subjects", ())} <= items
        assert (
            observation["origins"][0]["actors"][0]["actor-uuid"] == result["local-definitions"]["components"][0]["uuid"]
        )
    assert document["import-ap"]["href"] == "#" + document["back-matter"]["resources"][0]["uuid"]


def test_a_report_of_nothing_is_valid_and_finds_nothing(tmp_path: Path) -> None:
    empty = assess("csf", AT, UNTIL, identities=(), incidents=(), notifications=(), acts=(), controls=CONTROLS)
    (result,) = made_of(empty, "")["results"]

    assert "findings" not in result
    assert "no proof that it is met" in result["reviewed-controls"]["remarks"]


def test_what_speaks_against_a_control_is_not_satisfied_and_what_only_explains_is_no_finding(tmp_path: Path) -> None:
    report = report_on(tmp_path)
    (result,) = made_of(report)["results"]
    against = {
        row.control for row in report.controls for one in row.incidents if one.relation in ("evidence", "direct")
    }

    assert {one["props"][0]["value"] for one in result["findings"]} == against
    assert {one["target"]["status"]["state"] for one in result["findings"]} == {"not-satisfied"}
    assert any(row.control not in against for row in report.controls)


def test_an_incident_has_the_same_id_in_every_report(tmp_path: Path) -> None:
    report = report_on(tmp_path)
    later = msgspec.structs.replace(report, until="2027-01-01T00:00:00+00:00")
    first, second = (made_of(one)["results"][0] for one in (report, later))

    assert {one["uuid"] for one in first["observations"]} == {one["uuid"] for one in second["observations"]}
    assert first["uuid"] != second["uuid"]


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "  ", "\u202e", '"><script>'])
def test_what_dns_and_inventories_say_breaks_no_document(tmp_path: Path, text: str) -> None:
    report = report_on(tmp_path, detail=text, cause_rrset=text)
    hostile = msgspec.structs.replace(report.identities[0], id=f"x{text}", owner=text, environment=text)
    made_of(msgspec.structs.replace(report, identities=(hostile, *report.identities[1:])))


@pytest.mark.parametrize(
    ("control", "token"),
    [
        ("SC-20", "sc-20"),
        ("SC-20(2)", "sc-20.2"),
        ("PR.DS-02", "PR.DS-02"),
        ("NHI8:2025", "NHI8-2025"),
        ("tenet 2", "tenet-2"),
        ("2.1", "_2.1"),
    ],
)
def test_controls_are_tokens(control: str, token: str) -> None:
    assert token_of(control) == token


@pytest.mark.parametrize(
    "wrong",
    [{"uuid": "x"}, {"results": []}, {"import-ap": {}}, {"extra": 1}, {"metadata": {"title": "x"}}],
    ids=["uuid", "results", "plan", "unknown", "metadata"],
)
def test_the_schema_refuses_what_is_wrong(tmp_path: Path, wrong: dict[str, Any]) -> None:
    document = {"assessment-results": {**made_of(report_on(tmp_path)), **wrong}}

    assert list(problems(document, SCHEMA, SCHEMA))

"""The description of the API says what is there, and all of it."""

import json
import re
from datetime import timedelta
from typing import Any, get_type_hints

import msgspec
import pytest
from starlette.routing import Route

from alerts.decision.incidents import Incident
from alerts.decision.silences import make_silence, silence_of
from analyzer.findings.acts import Acts
from analyzer.findings.changes import Plan
from anchorwatch.web import shapes
from anchorwatch.web.acts import change_view
from anchorwatch.web.guard import HEALTH, METRICS, OIDC_CALLBACK, OPEN
from anchorwatch.web.incidents import incident_view, whole_view
from anchorwatch.web.silences import matching_view, read_matchers, silence_views
from schemas.messages import Notification
from tests.anchorwatch.test_doors import BEARER, EVERYWHERE, app_of, ask
from tests.contracts.test_ledger import incident, notification
from tests.support.making import AT


def described() -> dict[str, Any]:
    answer = ask(app_of(), "/api/v1/openapi.json")
    assert answer.status == 200
    document: dict[str, Any] = json.loads(answer.body)
    return document


def test_every_door_is_described_and_every_description_is_of_a_door() -> None:
    doors = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in app_of().routes
        if isinstance(route, Route) and re.match(r"/(api|-|metrics)(/|$)", route.path)
        for method in route.methods or ()
        if method != "HEAD"
    }
    paths = {(path, method) for path, methods in described()["paths"].items() for method in methods}

    assert doors == paths
    assert len(doors) > 30


def test_the_description_is_valid() -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="pip install -e .[dev]")

    validator.OpenAPIV31SpecValidator(described()).validate()


def test_every_reference_leads_somewhere() -> None:
    document = described()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))

    assert names == set(document["components"]["schemas"])


def test_each_door_says_who_may_ask_it() -> None:
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            is_open = path in OPEN or path == METRICS or path in HEALTH or "hooks" in path
            assert bool(operation["security"]) is not is_open, path
            real = path.replace("{id}", "abcd").replace("{digest}", "abcd").replace("{receiver}", "pd")
            answer = ask(app_of(EVERYWHERE), real, method.upper())
            assert ("www-authenticate" in answer.headers) is not is_open, path
            assert str(answer.status) in operation["responses"], (path, answer)


def test_each_door_takes_the_parameters_that_it_describes_and_no_other() -> None:
    for path, methods in described()["paths"].items():
        if "get" not in methods or path in (METRICS, OIDC_CALLBACK) or path in HEALTH:
            continue
        real = path.replace("{id}", "abcd").replace("{digest}", "abcd")
        answer = ask(app_of(EVERYWHERE), f"{real}?frobnicate=1", **BEARER)
        assert answer.status == 400, path
        known = [one["name"] for one in methods["get"].get("parameters", ()) if one["in"] == "query"]
        assert json.loads(answer.body)["detail"].endswith(", ".join(sorted(known)) if known else "it takes none"), path


def test_what_a_list_answers_is_described_with_its_link() -> None:
    listing = described()["paths"]["/api/v1/findings"]["get"]

    assert listing["responses"]["200"]["headers"]["Link"]["schema"] == {"type": "string"}
    assert listing["responses"]["200"]["content"]["application/json"]["schema"]["items"] == {
        "$ref": "#/components/schemas/Finding"
    }


class Book:
    """A ledger that has one incident."""

    def __init__(self, one: Incident) -> None:
        self.one = one

    def incidents_on(self, cause: str, limit: int) -> list[Incident]:
        return [self.one, msgspec.structs.replace(self.one, id="b" * 32)]

    def notifications_of(self, key: str) -> list[Notification]:
        return [notification(1)]


def views() -> list[tuple[Any, Any]]:
    one: Any = incident()
    act = make_silence(["owner=payments"], AT, AT + timedelta(hours=2), by="a", why="b", at=AT, source="t")
    plan = Plan(subject="a.example.", begins_at=AT, ends_at=AT + timedelta(hours=1), by="ana", what=("keys",), why="w")
    acts = Acts([plan.declared(AT, "t")])
    whole = whole_view(Book(one), one)  # type: ignore[arg-type]
    (silence,) = silence_views([silence_of(act)], (), [one], AT)
    matching = matching_view(read_matchers(["severity=~.*"]), [one])
    return [
        (shapes.IncidentBrief, incident_view(one)),
        (shapes.IncidentWhole, whole),
        (shapes.FindingDetail, whole["details"][0]),
        (shapes.TimelineRow, whole["timeline"][-1]),
        (shapes.EarlierIncident, whole["earlier"][0]),
        (shapes.SilenceView, silence),
        (shapes.Matching, matching),
        (shapes.Muted, matching["incidents"][0]),
        (shapes.ChangeView, change_view(acts.changes()[0], AT)),
    ]


@pytest.mark.parametrize(("shape", "view"), views(), ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_put_together_is_as_described(shape: Any, view: dict[str, Any]) -> None:
    assert set(view) == set(get_type_hints(shape))
    msgspec.json.decode(msgspec.json.encode(view, enc_hook=str), type=shape)

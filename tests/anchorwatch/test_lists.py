"""The lists of the API over a real ledger: filters, pages, single rows by short ids; and what is no place in a list."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.decision.silences import make_silence, silence_of
from alerts.ledger.sqlite import SqliteLedger
from anchorwatch.web.cursors import make_cursor
from tests.anchorwatch.test_doors import app_of, ask
from tests.contracts.test_ledger import incident, notification
from tests.support.making import AT

MINUTE = timedelta(minutes=1)


@pytest.fixture
def app() -> Any:
    ledger = SqliteLedger(Path(":memory:"))
    incidents = [incident(f"z{n}.example.", n) for n in range(7)]
    incidents[2] = msgspec.structs.replace(incidents[2], ended_at=AT)
    told = [
        msgspec.structs.replace(notification(n), receiver=("soc", "mail")[n % 2], incident=incidents[n].id)
        for n in range(7)
    ]
    silences = [
        silence_of(make_silence(["owner=a"], AT, AT + n * MINUTE, by="a", why="b", at=AT, source="t"))
        for n in range(1, 6)
    ]
    ledger.commit(incidents=incidents, notifications=told, silences=silences)
    return app_of(ledger=ledger)


def rows(app: Any, path: str) -> list[Any]:
    answer = ask(app, path)
    assert answer.status == 200, answer
    found: list[Any] = json.loads(answer.body)
    return found


def walk(app: Any, path: str) -> list[Any]:
    """Return all rows, following the links."""
    seen: list[Any] = []
    while path:
        answer = ask(app, path)
        assert answer.status == 200, answer
        seen += json.loads(answer.body)
        link = answer.headers.get("link", "")
        assert not link or link.endswith('>; rel="next"')
        path = link[1 : link.index(">")] if link else ""
    return seen


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
@pytest.mark.parametrize(
    "path", ["/api/v1/incidents?", "/api/v1/notifications?", "/api/v1/silences?", "/api/v1/incidents?state=open&"]
)
def test_pages_one_after_the_other_have_every_row_once(app: Any, path: str, limit: int) -> None:
    whole = rows(app, path)

    assert len(whole) >= 5
    assert walk(app, f"{path}limit={limit}") == whole


def test_a_list_that_is_whole_has_no_link(app: Any) -> None:
    assert "link" not in ask(app, "/api/v1/incidents?limit=7").headers


def test_filters_choose(app: Any) -> None:
    assert [one["cause"] for one in rows(app, "/api/v1/incidents?state=resolved")] == ["z2.example."]
    assert [one["cause"] for one in rows(app, "/api/v1/incidents?cause=z5.example.")] == ["z5.example."]
    assert rows(app, "/api/v1/incidents?severity=low") == []
    assert len(rows(app, f"/api/v1/incidents?since={(AT + 5 * MINUTE).isoformat().replace('+', '%2B')}")) == 2
    assert {one["receiver"] for one in rows(app, "/api/v1/notifications?receiver=mail")} == {"mail"}
    assert len(walk(app, "/api/v1/notifications?receiver=mail&limit=1")) == 3
    assert rows(app, "/api/v1/silences?state=active") == []


@pytest.mark.parametrize(
    "query",
    [
        "state=half",
        "severity=worst",
        "since=yesterday",
        "since=2026-01-01",
        "state=open&state=open",
        "cursor=",
        "open=1",
    ],
)
def test_what_does_not_fit_is_told(app: Any, query: str) -> None:
    answer = ask(app, f"/api/v1/incidents?{query}")

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    said = json.loads(answer.body)
    assert (said["status"], said["title"], said["detail"]) == (400, "Bad Request", said["error"])


def link_of(app: Any, path: str) -> str:
    link = ask(app, path).headers["link"]
    return link[1 : link.index(">")]


def test_a_cursor_of_another_list_or_other_filters_is_refused_and_says_what_to_do(app: Any) -> None:
    cursor = link_of(app, "/api/v1/incidents?limit=2").rpartition("cursor=")[2]
    forged = make_cursor("/api/v1/incidents?", ("x",))

    for path in (
        f"/api/v1/notifications?cursor={cursor}",
        f"/api/v1/incidents?state=open&cursor={cursor}",
        f"/api/v1/incidents?cursor={cursor[:-1]}",
        f"/api/v1/incidents?cursor={forged}",
        "/api/v1/incidents?cursor=%00",
    ):
        answer = ask(app, path)
        assert answer.status == 400, path
        if "%00" not in path:
            assert "begin the list anew, without cursor=" in json.loads(answer.body)["detail"]


def test_a_cursor_whose_row_is_gone_says_so(app: Any) -> None:
    gone = make_cursor("/api/v1/notifications?", ("n99", "sent", 0))

    answer = ask(app, f"/api/v1/notifications?cursor={gone}")

    assert answer.status == 400
    assert "no longer in the list: begin the list anew" in json.loads(answer.body)["detail"]


def test_one_row_is_found_by_the_beginning_of_its_id(app: Any) -> None:
    one = rows(app, "/api/v1/silences")[0]

    for key in (one["id"], one["id"][:8], one["id"][:8].upper()):
        assert json.loads(ask(app, f"/api/v1/silences/{key}").body) == one
    for key in ("ffff0000ffff", "abc", "%00", "nothing"):
        answer = ask(app, f"/api/v1/silences/{key}")
        assert answer.status == 404
        assert json.loads(answer.body)["detail"] == "there is no such silence"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/api/v1/incidents", "GET, HEAD"), ("/api/v1/acts", "GET, HEAD, POST"), ("/-/reload", "POST")],
)
def test_another_method_is_told_which_ones_there_are(app: Any, path: str, allowed: str) -> None:
    answer = ask(app, path, "DELETE")

    assert answer.status == 405
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed
    assert json.loads(answer.body)["title"] == "Method Not Allowed"


def test_a_path_that_is_not_there_is_a_problem_below_the_api_and_text_elsewhere(app: Any) -> None:
    assert ask(app, "/api/v1/nothing").headers["content-type"] == "application/problem+json"
    assert ask(app, "/nothing").headers["content-type"].startswith("text/plain")


def test_head_is_as_get_without_rows(app: Any) -> None:
    got, head = ask(app, "/api/v1/incidents?limit=2"), ask(app, "/api/v1/incidents?limit=2", "HEAD")

    assert head.status == 200
    assert head.headers == got.headers

"""What people do, as they do it: the commands against a running instance, and what its door refuses."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.web.config import HttpConfig
from schemas.messages import Act
from tests.anchorwatch.test_doors import BEARER, EVERYWHERE, app_of, ask
from tests.support.office import Office, finding_of, move
from tests.support.running import Lab, call_here, running


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def moving(lab: Lab) -> Iterator[Lab]:
    yield lab
    move(lab, "198.51.100.20")


@pytest.mark.slow
def test_a_change_is_accepted_by_its_name_and_stays_so_over_a_restart(moving: Lab, tmp_path: Path) -> None:
    office = Office(tmp_path, moving)
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")
        move(moving, "203.0.113.7")
        found = one.until(lambda: finding_of(one, "answer_changed"), "the change")
        assert found["severity"] == "high"

        said = office.say("accept", "soap.legacy.example", "--who", "ana", "--why", "moved to the new site")
        assert said == f"accepted: finding {found['id']}, soap.legacy.example. A is 203.0.113.7\n"

        closed = one.until(lambda: finding_of(one, "answer_changed", "closed"), "its end")
        assert closed["closed_because"] == "accepted by ana: moved to the new site"
        one.until(lambda: [told["event"] for told in office.told] == ["trigger", "resolve"], "the word of it")
        assert "accepted by ana: moved to the new site" in office.told[-1]["summary"]
        assert "it is closed: accepted by ana" in office.refused("accept", found["id"])
        assert "no change at soap.legacy.example. waits" in office.refused("accept", "soap.legacy.example")

    with running(office.config, office.url) as again:
        again.until(lambda: len(again.get("/api/v1/endpoints")) == 2, "both endpoints")
        (act,) = json.loads(office.say("acts", "--json"))
        assert (act["by"], act["kind"], act["answers"]) == ("ana", "accept", ["203.0.113.7"])
        assert act["source"] == "API, from 127.0.0.1"
        assert "accept" in office.say("acts")
        assert finding_of(again, "answer_changed") is None


@pytest.mark.slow
def test_a_change_is_declared_listed_and_ended(moving: Lab, tmp_path: Path) -> None:
    office = Office(tmp_path, moving)
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")
        words = ("--what", "answers", "--answer", "203.0.113.7", "--for", "2h", "--who", "ana", "--why", "ticket 7")
        said = office.say("change", "add", "soap.legacy.example", *words)
        assert said.startswith("declared: soap.legacy.example. changes answers to 203.0.113.7 from ")
        one.until(lambda: finding_of(one, "change_declared"), "the announcement")

        move(moving, "203.0.113.7")
        found = one.until(lambda: finding_of(one, "answer_changed"), "the change")
        assert found["severity"] == "low"
        assert "lowered from high: ana declared a change of answers" in found["detail"]
        assert office.told == []

        (change,) = json.loads(office.say("change", "list", "--json"))
        assert office.say("change", "list").startswith(f"open  {change['id']}  soap.legacy.example. changes answers")
        office.say("change", "end", change["id"], "--who", "bo")
        one.until(lambda: not json.loads(office.say("change", "list", "--json")), "its end")
        assert "ended by bo" in office.say("change", "list", "--all")
        assert "bo ended it" in office.refused("change", "end", change["id"])

        move(moving, "203.0.113.66")
        one.until(lambda: [told["event"] for told in office.told] == ["trigger"], "a page for what was not declared")


@pytest.mark.slow
def test_a_change_in_the_configuration_counts_from_the_start(moving: Lab, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    window = f"from: {now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}, to: {now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    said = f"changes: [{{name: soap.legacy.example, {window}, who: ana, what: [answers], answers: [203.0.113.7]}}]\n"
    office = Office(tmp_path, moving, said)
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")
        assert "[configuration]" in one.until(lambda: finding_of(one, "change_declared"), "its announcement")["detail"]
        move(moving, "203.0.113.7")

        assert one.until(lambda: finding_of(one, "answer_changed"), "the change")["severity"] == "low"
        assert "[configuration]" in office.say("acts")


@pytest.mark.slow
def test_zones_are_listed_and_one_is_shown_whole(lab: Lab, tmp_path: Path) -> None:
    office = Office(tmp_path, lab)
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")

        lines = office.say("zones").splitlines()
        names = [line.split()[:3] for line in lines]
        assert names[0] == ["insecure", "legacy.example.", "corp"], "the weakest comes first"
        assert names[1:] == [["secure", zone, "corp"] for zone in (".", "bank.example.", "example.")]
        assert "1 DS  KSK " in lines[2]

        whole = office.say("zones", "Bank.example")
        assert whole.startswith("bank.example. is SECURE through corp since ")
        assert ", below example." in whole.splitlines()[0]
        assert ", signs the key set" in whole
        assert "signature over bank.example. DNSKEY by bank.example.: " in whole
        assert "nothing is watched behind other.example" in office.say("zones", "other.example")
        (view,) = json.loads(office.say("zones", "bank.example", "--vantage", "corp", "--json"))
        assert view["zone"] == "bank.example."
        assert "empty label" in office.refused("zones", "a..example")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["change", "add", "a.example", "--what", "keys"], "say either --to or --for"),
        (["change", "add", "a.example", "--what", "keys", "--for", "soon"], "no duration"),
        (["change", "add", "a.example", "--what", "kyes", "--for", "1h"], "'keys', 'ds', 'ns'"),
        (["change", "add", "a.example", "--what", "keys", "--to", "2026-12-01T00:00:00"], "no time zone"),
        (["change", "add", "a.example", "--for", "1h"], "--what"),
        (["change", "end"], "ID"),
        (["accept"], "FINDING|INCIDENT|NAME"),
        (["accept", "a.example", "--api", "http://127.0.0.1:1"], "is it running?"),
    ],
)
def test_a_command_that_can_not_be_meant_is_refused_with_a_sentence(words: list[str], said: str) -> None:
    done = call_here(*words)

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


JSON = {"content_type": "application/json"}
LOCAL = HttpConfig()


class TestDoor:
    """What ``POST /api/v1/acts`` refuses, and what it hands on."""

    def door(self, history: Any, sent: list[Act], config: HttpConfig = LOCAL) -> Any:
        async def send(acts: Any) -> None:
            sent.extend(acts)

        return app_of(config, history=history, act=send)

    def declaring(self, **changes: Any) -> bytes:
        now = datetime.now(UTC)
        body = {
            "kind": "declare_change",
            "subject": "Bank.example",
            "by": "ana",
            "what": ["keys"],
            "begins_at": now.isoformat(),
            "ends_at": (now + timedelta(hours=1)).isoformat(),
            **changes,
        }
        return json.dumps(body).encode()

    def test_a_sound_declaration_is_handed_on_with_where_it_came_from(self, history: Any) -> None:
        sent: list[Act] = []

        answer = ask(self.door(history, sent), "/api/v1/acts", "POST", self.declaring(), **JSON)

        (act,) = sent
        assert answer.status == 202
        assert json.loads(answer.body)[0]["id"] == act.id
        assert (act.subject, act.source) == ("bank.example.", "API, from 127.0.0.1")

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"ends_at": "2020-01-01T00:00:00Z"}, "later than from"),
            ({"begins_at": "2020-01-01T00:00:00Z", "ends_at": "2020-01-02T00:00:00Z"}, "over already"),
            ({"begins_at": "2026-12-01T00:00:00"}, "timezone"),
            ({"begins_at": None}, "begins_at and ends_at are needed"),
            ({"what": ["kyes"]}, "one or more of keys"),
            ({"what": []}, "one or more of keys"),
            ({"subject": "a..example"}, "empty label"),
            ({"subject": "*.example"}, "a wildcard is none"),
            ({"by": ""}, "who"),
            ({"by": "a\u001b[2J"}, "who"),
            ({"why": "x" * 501}, "why"),
            ({"kind": "silence"}, "another process: ask the alerts stage"),
            ({"kind": "accept_inventory"}, "no act"),
            ({"until": "tomorrow"}, "unknown field"),
            ({"kind": "end_change", "subject": "nothing"}, "no such change"),
            ({"kind": "accept", "subject": "bank.example"}, "no change at bank.example. waits"),
        ],
    )
    def test_what_can_not_be_done_is_refused_with_a_sentence(
        self, history: Any, changes: dict[str, Any], said: str
    ) -> None:
        sent: list[Act] = []

        answer = ask(self.door(history, sent), "/api/v1/acts", "POST", self.declaring(**changes), **JSON)

        assert answer.status in (400, 404)
        assert said in json.loads(answer.body)["error"]
        assert sent == []

    @pytest.mark.parametrize(
        ("body", "headers", "status"),
        [
            (b"{}", {"content_type": "text/plain"}, 415),
            (b"{}", {}, 415),
            (b"{" * 20_000, JSON, 413),
            (b"[" * 16_000, JSON, 400),
            (b"\xff\xfe", JSON, 400),
            (b"", JSON, 400),
            (b"{}", {**JSON, "origin": "https://evil.example"}, 403),
            (b"{}", {**JSON, "sec_fetch_site": "cross-site"}, 403),
        ],
    )
    def test_what_is_no_act_or_comes_from_another_site_stays_outside(
        self, history: Any, body: bytes, headers: dict[str, str], status: int
    ) -> None:
        sent: list[Act] = []

        assert ask(self.door(history, sent), "/api/v1/acts", "POST", body, **headers).status == status
        assert sent == []

    def test_without_the_token_nobody_acts(self, history: Any) -> None:
        sent: list[Act] = []
        app = self.door(history, sent, EVERYWHERE)
        host = {"host": "watch.corp.example"}

        assert ask(app, "/api/v1/acts", "POST", self.declaring(), **host, **JSON).status == 401
        assert sent == []
        assert ask(app, "/api/v1/acts", "POST", self.declaring(), **host, **JSON, **BEARER).status == 202

    def test_too_many_at_once_are_put_off(self, history: Any) -> None:
        app = self.door(history, [])

        statuses = [ask(app, "/api/v1/acts", "POST", self.declaring(), **JSON).status for _ in range(60)]

        assert statuses[0] == 202
        assert statuses[-1] == 429

    def test_a_process_without_an_analyzer_says_where_to_ask(self) -> None:
        answer = ask(app_of(), "/api/v1/acts", "POST", self.declaring(), **JSON)

        assert answer.status == 404
        assert "ask the analyzer" in json.loads(answer.body)["error"]

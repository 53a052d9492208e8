"""``anchorwatch backtest`` against a running instance: new rules beside what was paged, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.anchorwatch.test_doors import app_of, ask
from tests.support.office import Office, finding_of, move
from tests.support.running import Lab, call_here, running

MILDER = """\
rules:
- name: answers of the old service are no page
  match: {code: [answer_changed]}
  set: {severity: low}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.mark.slow
def test_rules_are_tried_on_what_is_stored_and_nothing_is_sent(lab: Lab, tmp_path: Path) -> None:
    office = Office(tmp_path, lab)
    (tmp_path / "milder.yaml").write_text(MILDER)
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")
        move(lab, "203.0.113.7")
        one.until(lambda: finding_of(one, "answer_changed"), "the change")
        one.until(lambda: len(office.told) == 1, "the page")
        stored = one.get("/api/v1/findings"), one.get("/api/v1/notifications")

        def tried(*words: str) -> dict[str, Any]:
            document: dict[str, Any] = json.loads(
                office.say("backtest", str(office.config), "--since", "1h", "--json", *words)
            )
            return document

        same = tried()
        (compared,) = same["comparisons"]
        assert (same["would_page"], same["did_page"], compared["outcome"]) == (1, 1, "same")
        assert compared["would"]["incident"] == compared["did"]["incident"]
        assert compared["would"]["reason"] == "confirmed"
        assert [note[:12] for note in same["notes"]] == ["no data from"], "the hour before it was started"

        milder = tried("--rules", str(tmp_path / "milder.yaml"))
        (compared,) = milder["comparisons"]
        assert (milder["would_page"], milder["did_page"]) == (0, 1)
        assert (compared["outcome"], compared["why"]) == ("would not page", "no route for severity low")

        said = office.say("backtest", str(office.config), "--since", "1h", "--rules", str(tmp_path / "milder.yaml"))
        lines = said.splitlines()
        assert lines[0].endswith("receivers would be told of 0 incidents, and were told of 1")
        assert lines[-1].startswith("WOULD NOT PAGE          log ")

        assert (one.get("/api/v1/findings"), one.get("/api/v1/notifications")) == stored
        assert len(office.told) == 1


@pytest.mark.parametrize(
    ("rules", "words", "said"),
    [
        ("rules: [{name: a, match: {code: [rrsig_exired]}}]", [], "no finding 'rrsig_exired'"),
        ("rules: [{name: a, receiver: nobody}]", [], "'nobody', which is not there"),
        ("rules: [{name: a, colour: red}]", [], "unknown key"),
        ("rules: [", [], "not YAML"),
        ("rules: []", ["--since", "yesterday"], "RFC 3339"),
        ("rules: []", ["--since", "2199-01-01T00:00:00Z"], "1970 to 2106"),
        ("rules: []", ["--since", "2099-01-01T00:00:00Z"], "it lies ahead"),
        ("rules: []", ["--rules", "absent.yaml"], "can't be read"),
        ("rules: []", ["--api", "http://127.0.0.1:1"], "is it running?"),
    ],
)
def test_bad_rules_are_refused_as_at_the_start(tmp_path: Path, rules: str, words: list[str], said: str) -> None:
    (tmp_path / "inventory.yaml").write_text("identities:\n- {id: sa, endpoints: [a.example]}\n")
    (tmp_path / "anchorwatch.yaml").write_text(
        "inventory: [{path: inventory.yaml}]\nvantages: [{name: corp, resolver: 127.0.0.1}]\n"
    )
    (tmp_path / "new.yaml").write_text(rules)

    done = call_here("backtest", "--rules", "new.yaml", *words, folder=tmp_path)

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/v1/findings/versions", "either since= or at= is needed"),
        ("/api/v1/findings/versions?since=2026-11-24T12:00:00Z&at=2026-11-24T12:00:00Z", "either since= or at="),
        ("/api/v1/findings/versions?since=2026-11-24", "no time zone"),
        ("/api/v1/findings/versions?since=2026-11-24T12:00:00Z&after=nothing", "no ID.VERSION"),
        ("/api/v1/findings/versions?since=2026-11-24T12:00:00Z&after=no'thing.1", "no ID.VERSION"),
        ("/api/v1/history/gaps", "since= is needed"),
        ("/api/v1/history/gaps?since=2026-11-24T12:00:00Z&longer_than=0", "no number from 1"),
        ("/api/v1/changes?limit=none", "no number from 1"),
    ],
)
def test_a_question_that_can_not_be_meant_is_refused(history: Any, path: str, said: str) -> None:
    answer = ask(app_of(history=history), path)

    assert answer.status == 400
    assert said in json.loads(answer.body)["error"]

"""On call: from a page to the incident on the terminal and on the page, taken, noted, and over."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3

from tests.support.office import Office, finding_of, move
from tests.support.running import Lab, running

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


def send_form(url: str, fields: dict[str, str]) -> urllib3.BaseHTTPResponse:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return urllib3.request("POST", url, body=urlencode(fields), headers=headers, redirect=False, retries=False)


def test_an_incident_is_looked_at_taken_noted_accepted_and_over(lab: Lab, tmp_path: Path) -> None:
    office = Office(tmp_path, lab)
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")
        move(lab, "203.0.113.7")
        one.until(lambda: [told["event"] for told in office.told] == ["trigger"], "the page")
        key = office.told[0]["incident"]

        assert office.say("incidents").startswith(f"{key[:8]} OPEN")
        shown = office.say("incident", key[:4])
        assert f"incident   {key}" in shown
        assert "sent         trigger to log: confirmed" in shown
        found = finding_of(one, "answer_changed")
        assert found is not None
        assert office.say("finding", found["id"][:5]).startswith("[high] answer_changed: the answer changed")

        told = office.say("why", "soap.legacy.example")
        assert f"incident   {key[:8]} open" in told
        assert f"finding    {found['id'][:8]} opened  high     answer_changed" in told
        digest = re.search(r"evidence   (\w{8}):", told)
        assert digest is not None
        assert "soap.legacy.example. A" in office.say("evidence", digest[1])
        assert "is not watched, and never was" in office.refused("why", "nobody.example")

        assert office.say("ack", key[:6], "--who", "ana", "--why", "I look") == (
            f"acknowledged: incident {key[:8]} by ana\n"
        )
        one.until(lambda: [told["event"] for told in office.told][-1] == "acknowledge", "the word of it")
        assert office.say("note", key[:6], "asked the provider", "--who", "ana") == f"noted: incident {key[:8]}\n"

        page = f"{office.url}/incidents/{key[:8]}"
        assert "acknowledged by ana" in urllib3.request("GET", page).data.decode()
        form = {"kind": "reopen", "by": "bo", "why": "ana is ill"}
        done = send_form(page, form)
        assert (done.status, done.headers["location"]) == (303, f"/incidents/{key}")
        one.until(lambda: one.get(f"/api/v1/incidents/{key}")["state"] == "reopened", "the incident is nobody's")
        again = send_form(page, form)
        assert (again.status, b"nobody has acknowledged" in again.data) == (409, True)

        assert office.say("accept", key[:8], "--who", "ana", "--why", "they moved").startswith("accepted: finding ")
        one.until(lambda: [told["event"] for told in office.told][-1] == "resolve", "its end")
        whole = json.loads(office.say("incident", key[:8], "--json"))
        assert whole["state"] == "resolved"
        rows = [(row["what"], row["by"]) for row in whole["timeline"]]
        people = [row for row in rows if row[1]]
        assert people == [("acknowledged", "ana"), ("note", "ana"), ("reopened", "bo")]
        assert rows[-1][0] == "sent"
        assert "ended at" in office.refused("ack", key[:8])
        kinds = [act["kind"] for act in json.loads(office.say("acts", "--json"))]
        assert sorted(kinds) == ["accept", "acknowledge", "note", "reopen"], "every act is kept"

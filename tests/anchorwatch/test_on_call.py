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


def test_a_silence_is_added_seen_everywhere_and_expired(lab: Lab, tmp_path: Path) -> None:
    window = "from: '00:00', for: 24h, why: the lab"
    office = Office(tmp_path, lab, f"maintenance: [{{name: lab, matchers: ['environment=lab'], {window}}}]\n")
    with running(office.config, office.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 2, "both endpoints")
        words = ("silence", "add", "identity=sa-pay", "--for", "2h", "--who", "ana", "--why", "they move")
        said = office.say(*words).splitlines()
        assert said[0] == "0 of 0 open incidents will be silent"
        assert said[1].startswith("silenced until ")
        key = said[1].rpartition(" ")[2]
        listed = office.say("silence", "list").splitlines()
        assert listed[0].startswith(f'active   {key}  identity="sa-pay"')
        assert listed[1].startswith('active   maintenance lab  environment="lab"')
        assert "matches nearly every finding" in office.refused(
            "silence", "add", "code=~.*", "--for", "1h", "--why", "x"
        )
        assert "no label team" in office.refused("silence", "add", "team=a", "--for", "1h", "--why", "x")
        assert "RE2 syntax" in office.refused("silence", "add", r"host=~(a)\1", "--for", "1h", "--why", "x")
        assert "why: 1 to 500" in office.refused("silence", "add", "owner=a", "--for", "1h")

        move(lab, "203.0.113.7")
        incident = one.until(lambda: next(iter(one.get("/api/v1/incidents")), None), "the incident")
        assert incident["withheld"].startswith("silenced by ana until ")
        assert incident["silenced"] == [incident["withheld"]]
        assert "withholds 1" in office.say("silence", "list")
        assert "silenced by ana" in office.say("incident", incident["id"][:6])
        for path in ("/", "/silences", f"/incidents/{incident['id'][:8]}"):
            assert "they move" in urllib3.request("GET", f"{office.url}{path}").data.decode(), path
        assert one.get("/api/v1/notifications")[0]["status"] == "withheld"
        assert office.told == []
        muted = office.say("silence", "add", "zone=legacy.example", "--for", "1h", "--why", "too", "--who", "bo")
        assert f"  silent   {incident['id'][:8]}" in muted

        page = f"{office.url}/silences"
        for row in one.get("/api/v1/silences"):
            if not row["recurs"]:
                form = {"kind": "expire_silence", "subject": row["id"], "by": "cy"}
                assert send_form(page, form).status == 303
        one.until(lambda: [told["event"] for told in office.told] == ["trigger"], "the page that was withheld")
        assert "; until now silenced by " in office.told[0]["reason"]
        assert "expired by cy" in office.say("silence", "list", "--all")
        assert "cy expired it" in office.refused("silence", "expire", key)
        form = {"kind": "silence", "matchers": "owner=x\nzone=y.example", "lasts": "1h", "by": "cy", "why": "z"}
        assert send_form(page, form).status == 303
        one.until(lambda: 'owner="x" zone="y.example"' in office.say("silence", "list"), "the one of the form")
        assert send_form(page, {**form, "matchers": "nonsense"}).status == 400

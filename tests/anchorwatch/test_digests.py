"""Digests on a schedule: what they say, what they ask, and how a running instance sends them, and a test page."""

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.ledger.sqlite import SqliteLedger
from anchorwatch.assessment.letters import AGAIN_AFTER_S, DigestWriter, identities_at, write_letters
from anchorwatch.configuration.digests import AnalyzerApi
from anchorwatch.configuration.loading import load_config
from schemas.catalogue import Severity
from schemas.egress import DIRECT
from schemas.faults import Transient
from tests.alerts.test_channels import Server as PostServer
from tests.anchorwatch.test_commands import write_config
from tests.support.clock import ManualClock
from tests.support.daemons import free_port
from tests.support.findings import AT, finding
from tests.support.messages import incident_of
from tests.support.running import Lab, running

SINCE, UNTIL = AT - timedelta(days=6), AT + timedelta(days=1)


def identity(name: str, owner: str = "payments", verdict: str | None = "secure") -> dict[str, Any]:
    return {
        "id": name, "owner": owner, "environment": "prod", "criticality": "critical", "verdict": verdict,
        "endpoints": ["api.bank.example"],
    }  # fmt: skip


IDENTITIES = [identity("sa-settlement", verdict="bogus"), identity("sa-b"), identity("sa-ops", "ops", None)]


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    made = SqliteLedger(tmp_path / "alerts.sqlite")
    made.commit(incidents=[incident_of(finding())])
    return made


def test_each_owner_reads_of_its_own_accounts_and_the_incidents_that_touched_them(ledger: SqliteLedger) -> None:
    letters = write_letters(ledger, IDENTITIES, SINCE, UNTIL)

    assert letters.keys() == {"payments", "ops"}
    assert letters["payments"].subject == "[anchorwatch] payments: your 2 accounts, 2026-11-18 to 2026-11-25"
    assert letters["payments"].text.splitlines()[1:4] == [
        "They rest on names that are: 1 bogus, 1 secure.",
        "  sa-settlement (critical) rests on what is bogus",
        "1 incident touched them:",
    ]
    assert "[critical] bank.example: " in letters["payments"].text
    assert "0 incidents touched them." in letters["ops"].text


def test_what_an_inventory_says_is_no_control_character(ledger: SqliteLedger) -> None:
    letters = write_letters(ledger, [identity("a\x1b[2J", "own\ner")], SINCE, UNTIL)

    (letter,) = letters.values()
    assert "\x1b" not in letter.text
    assert "\n" not in letter.subject


class Analyzer:
    """What identities rest on, once it may be told."""

    def __init__(self) -> None:
        self.may_tell, self.asked, self.fails = threading.Event(), 0, False

    def __call__(self) -> Sequence[dict[str, Any]]:
        self.asked += 1
        assert self.may_tell.wait(30)
        if self.fails:
            raise Transient("nobody answers")
        return IDENTITIES


def test_whoever_asks_never_waits_and_is_told_once_it_is_written(ledger: SqliteLedger) -> None:
    analyzer = Analyzer()
    writer = DigestWriter(ledger, analyzer)

    assert writer.ask(SINCE, UNTIL) is None
    assert writer.ask(SINCE, UNTIL) is None
    analyzer.may_tell.set()
    assert writer.thread is not None
    writer.thread.join(30)

    assert set(writer.ask(SINCE, UNTIL) or ()) == {"payments", "ops"}
    assert analyzer.asked == 1
    assert writer.ask(SINCE, UNTIL + timedelta(days=7)) is None, "another period is another question"
    writer.thread.join(30)


def test_an_analyzer_that_does_not_answer_is_asked_again_a_minute_later(ledger: SqliteLedger) -> None:
    analyzer, ticks = Analyzer(), ManualClock()
    analyzer.may_tell.set()
    analyzer.fails = True
    writer = DigestWriter(ledger, analyzer, ticks)
    writer.ask(SINCE, UNTIL)
    assert writer.thread is not None
    writer.thread.join(30)
    assert (writer.ask(SINCE, UNTIL), analyzer.asked) == (None, 1)

    analyzer.fails = False
    ticks.advance(AGAIN_AFTER_S)
    writer.ask(SINCE, UNTIL)
    writer.thread.join(30)

    assert analyzer.asked == 2
    assert writer.ask(SINCE, UNTIL) is not None


class Api(PostServer):
    """An analyzer's API that answers GET."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(lambda path, headers, body: (200, {}, b""))
        self.seen: list[tuple[str, str]] = []
        seen = self.seen

        def do_GET(handler: Any) -> None:
            seen.append((handler.path, handler.headers.get("authorization", "")))
            handler.send_response(status)
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self._server.RequestHandlerClass.do_GET = do_GET  # type: ignore[attr-defined]

    def __enter__(self) -> "Api":
        return self


def test_the_analyzer_of_another_process_is_asked_with_its_token() -> None:
    with Api(200, json.dumps(IDENTITIES).encode()) as api:
        found = identities_at(AnalyzerApi(url=api.url, token="t0ken"), DIRECT)()

    assert [one["id"] for one in found] == ["sa-settlement", "sa-b", "sa-ops"]
    assert api.seen == [("/api/v1/identities?limit=10000", "Bearer t0ken")]
    assert "t0ken" not in repr(AnalyzerApi(url=api.url, token="t0ken"))


@pytest.mark.parametrize(("status", "body"), [(401, b'{"error": "a token is needed"}'), (200, b"<html>"), (503, b"[]")])
def test_what_is_no_answer_of_an_analyzer_passes(status: int, body: bytes) -> None:
    with Api(status, body) as api, pytest.raises(Transient, match=r"digests\.analyzer"):
        identities_at(AnalyzerApi(url=api.url), DIRECT)()


CONFIG = """
inventory: [{path: inventory.yaml}]
receivers:
  - {name: soc, type: console}
  - {name: desk, type: mail, host: mx.corp.example, from: a@corp.example, to: [b@corp.example], security: none}
alerts: {test_page: {at: "Mon,Thu 09:00", timezone: Europe/Berlin, for: 5m, severity: high, receivers: [soc]}}
digests: {at: "Mon 08:00", timezone: Europe/Berlin, period: 14d, receiver: desk, owners: {payments: desk}}
"""


def test_both_are_read_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text("identities: [{id: a, endpoints: [{host: a.example}]}]\n")
    (tmp_path / "anchorwatch.yaml").write_text(CONFIG)
    alerts = load_config(tmp_path / "anchorwatch.yaml").alerts

    assert alerts.drill is not None
    assert (alerts.drill.schedule.days, alerts.drill.lasts_s, alerts.drill.severity) == ((0, 3), 300.0, Severity.HIGH)
    assert alerts.digests is not None
    assert (alerts.digests.period_s, alerts.digests.owners) == (14 * 86_400.0, {"payments": "desk"})
    assert alerts.digests.schedule.last_at(datetime(2026, 12, 1, tzinfo=UTC)) == datetime(2026, 11, 30, 7, tzinfo=UTC)


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.mark.slow
def test_a_running_instance_sends_its_digest_and_its_test_page_once(lab: Lab, tmp_path: Path) -> None:
    def take(path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b""

    with PostServer(take) as server:
        port = free_port()
        config = write_config(tmp_path, lab, port)
        now = datetime.now(UTC) - timedelta(minutes=1)
        text = config.read_text().replace(
            "storm: 0}", f"storm: 0, test_page: {{at: '{now:%H:%M}', receivers: [hook]}}}}"
        )
        text = text.replace("\nreceivers: [", f"\nreceivers: [{{name: hook, type: webhook, url: '{server.url}'}}, ", 1)
        config.write_text(text + f"digests: {{at: '{now:%H:%M}', receiver: hook}}\n")
        for _ in range(2):
            with running(config, f"http://127.0.0.1:{port}") as one:
                one.until(lambda: len(server.taken) >= 2, "digest and test page")
                one.until(lambda: len(one.get("/api/v1/endpoints")) == 6, "six endpoints")
                assert one.end() == 0

    kinds = sorted(body["type"] for _, _, body in server.taken)
    owners = {body["data"]["owner"] for _, _, body in server.taken if body["type"] == "digest"}
    assert kinds.count("incident.triggered") == 1, "once, over a restart"
    assert kinds.count("digest") == len(owners) > 0

"""Can people be reached? A test page, and what a configuration is asked for online."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorwatch.__main__ import cli
from tests.support.daemons import free_port
from tests.support.findings import HttpReceiver
from tests.support.running import Lab

INVENTORY = "identities:\n- {id: sa, endpoints: [api.bank.example]}\n"


def config(folder: Path, receivers: str, vantage: str = "127.0.0.1", anchors: str = "") -> Path:
    (folder / "inventory.yaml").write_text(INVENTORY)
    path = folder / "anchorwatch.yaml"
    path.write_text(
        f"inventory: [{{path: inventory.yaml}}]\nvantages: [{{name: corp, resolver: '{vantage}'}}]\n{anchors}"
        f"receivers: [{receivers}]\nroutes: [{{receiver: soc}}]\nhttp: {{public_url: 'https://watch.corp.example/'}}\n"
    )
    return path


def test_a_test_page_and_its_end_arrive_and_say_that_they_are_one(tmp_path: Path) -> None:
    with HttpReceiver(200) as endpoint:
        path = config(tmp_path, f"{{name: soc, type: webhook, url: '{endpoint.url}'}}")
        said = CliRunner().invoke(cli, ["notify", "test", str(path), "soc"])
    bodies = [body["data"] for _, body in endpoint.requests]

    assert said.exit_code == 0, said.output
    assert said.output.splitlines() == ["soc: trigger arrived: HTTP 200", "soc: resolve arrived: HTTP 200"]
    assert [body["event"] for body in bodies] == ["trigger", "resolve"]
    assert bodies[0]["reason"].startswith("TEST: somebody tests this receiver")
    assert bodies[0]["severity"] == "low"
    assert bodies[0]["links"]["incident"].startswith("https://watch.corp.example/incidents/")
    assert len({body["incident"] for body in bodies}) == 1


def test_what_a_receiver_answers_is_said_and_is_the_exit_status(tmp_path: Path) -> None:
    program = json.dumps([sys.executable, "-c", "pass"])
    with HttpReceiver(403) as endpoint:
        receivers = (
            f"{{name: soc, type: webhook, url: '{endpoint.url}'}}, {{name: ok, type: command, command: {program}}}"
        )
        path = config(tmp_path, receivers)
        said = CliRunner().invoke(cli, ["notify", "test", str(path), "--all"])

    assert said.exit_code == 1
    assert said.output.splitlines()[0].startswith("soc: trigger did not arrive: HTTP 403")
    assert said.output.splitlines()[1:] == ["ok: trigger arrived: exit status 0", "ok: resolve arrived: exit status 0"]


@pytest.mark.parametrize(
    ("words", "why"), [(["pager"], "has no receiver pager; it has soc"), ([], "either RECEIVER or --all")]
)
def test_what_can_not_be_meant_is_refused(tmp_path: Path, words: list[str], why: str) -> None:
    path = config(tmp_path, "{name: soc, type: console}")
    said = CliRunner().invoke(cli, ["notify", "test", str(path), *words])

    assert said.exit_code != 0
    assert why in said.output


def test_online_resolvers_and_receivers_are_asked_and_nobody_is_paged(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        with HttpReceiver(200) as endpoint:
            anchors = f"trust_anchors: {{path: {lab.anchors}}}\n"
            path = config(tmp_path, f"{{name: soc, type: webhook, url: '{endpoint.url}'}}", lab.url, anchors)
            said = CliRunner().invoke(cli, ["run", str(path), "--check-config", "--online"])

            assert said.exit_code == 0, said.output
            assert said.output.splitlines()[-2:] == ["vantage corp: fine", "receiver soc: fine"]
            assert endpoint.requests == []
    finally:
        lab.close()


def test_what_does_not_answer_is_named(tmp_path: Path) -> None:
    closed = free_port()
    receivers = (
        f"{{name: soc, type: webhook, url: 'http://127.0.0.1:{closed}/s3cret'}},"
        " {name: cmd, type: command, command: [/nonexistent/x]}"
    )
    path = config(tmp_path, receivers, f"udp://127.0.0.1:{closed}")
    said = CliRunner().invoke(cli, ["run", str(path), "--check-config", "--online"])

    assert said.exit_code != 0
    lines = said.output.splitlines()
    assert any(line.startswith("vantage corp: indeterminate") for line in lines)
    assert f"receiver soc: 127.0.0.1:{closed} takes no connection (Connection refused)" in lines
    assert "receiver cmd: /nonexistent/x can't be run" in lines
    assert "s3cret" not in said.output

"""The whole watch as a process while its inventory shrinks, breaks and returns: never blind, never falsely healed."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import free_port
from tests.support.running import Lab, Running, call, running

pytestmark = pytest.mark.slow

HEADER = "id,kind,owner,environment,criticality,endpoints\n"
ROW = "sa-pay,service_account,payments,prod,critical,login.idp.example\n"
OTHER = "sa-other,workload,ops,prod,low,api.bank.example\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


class Setup:
    """A configuration in a folder, its inventory, and what its receiver was told."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.inventory, self.told_path, self.config = folder / "inv.csv", folder / "told", folder / "anchorwatch.yaml"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.inventory.write_text(HEADER + ROW + OTHER)
        self.config.write_text(
            f"inventory: [{{path: inv.csv}}]\nvantages: [{{name: corp, resolver: '{lab.url}'}}]\n"
            f"trust_anchors: {{path: {lab.anchors}}}\npoll: {{interval: 1s, claim_every: 2, timeout: 300ms}}\n"
            "alerts: {group_wait: 0s, group_interval: 0s, storm: 0}\n"
            f"receivers: [{{name: log, type: command, command: [sh, -c, 'cat >> {self.told_path};"
            f" echo >> {self.told_path}']}}]\nroutes: [{{match: {{severity: [critical, high]}}, receiver: log}}]\n"
            f"http: {{listen: '127.0.0.1:{port}'}}\n"
        )

    @property
    def told(self) -> list[dict[str, Any]]:
        lines = self.told_path.read_text().splitlines() if self.told_path.exists() else []
        return [json.loads(line) for line in lines if line]

    def say(self, one: Running, text: str) -> None:
        self.inventory.write_text(text)
        one.process.send_signal(signal.SIGHUP)


def open_codes(one: Running) -> set[str]:
    return {f["code"] for f in one.get("/api/v1/findings?status=open") if f["confirmed"]}


def test_an_emptied_inventory_ends_nothing_and_a_removed_identity_is_not_resolved(lab: Lab, tmp_path: Path) -> None:
    setup = Setup(tmp_path, lab)
    lab.stage(lambda world: world.stage_expired("idp.example."))
    try:
        with running(setup.config, setup.url) as one:
            one.until(lambda: "rrsig_expired" in open_codes(one), "the critical")
            setup.say(one, HEADER)
            one.until(lambda: "self_inventory_shrunk" in open_codes(one), "what is said of the inventory")
            assert "rrsig_expired" in open_codes(one)
            assert one.end() == 0

        with running(setup.config, setup.url) as again:
            again.until(lambda: len(again.get("/api/v1/endpoints")) == 4, "the last good rows, over a restart")
            assert {"self_inventory_shrunk", "rrsig_expired"} <= open_codes(again)
            assert not any("RESOLVED" in told["summary"] for told in setup.told)

            done = call("inventory", "accept", str(setup.config), "inv.csv", "--why", "gone for good")
            assert done.returncode == 0, done.stderr
            assert "accepted; 0 rows count now" in done.stdout
            again.until(lambda: not open_codes(again), "the end of both")
            again.until(lambda: any("NO LONGER WATCHED" in told["summary"] for told in setup.told), "the word of it")
            assert again.end() == 0
    finally:
        lab.stage(lambda world: world.restore("idp.example."))

    of_zone = [told for told in setup.told if told["cause"] == "idp.example."]
    assert [told["event"] for told in of_zone] == ["trigger", "update"]
    assert f"removed from {setup.inventory}" in of_zone[-1]["summary"]
    shown = call("inventory", "show", str(setup.config))
    assert "gone for good" in shown.stdout


def test_the_watch_starts_with_its_last_good_rows_though_the_file_is_gone(lab: Lab, tmp_path: Path) -> None:
    setup = Setup(tmp_path, lab)
    with running(setup.config, setup.url) as one:
        one.until(lambda: len(one.get("/api/v1/endpoints")) == 4, "four endpoints")
        assert one.end() == 0
    setup.inventory.unlink()

    with running(setup.config, setup.url) as again:
        again.until(lambda: len(again.get("/api/v1/endpoints")) == 4, "four endpoints")
        again.until(lambda: "self_inventory_stale" in open_codes(again), "what is said of the file")


def test_nothing_to_accept_is_said(lab: Lab, tmp_path: Path) -> None:
    setup = Setup(tmp_path, lab)

    done = call("inventory", "accept", str(setup.config), "inv.csv", "--wait", "0")
    other = call("inventory", "accept", str(setup.config), "other.csv")

    assert "nothing waits to be accepted" in done.stdout
    assert other.returncode == 2
    assert "inv.csv" in other.stderr


@pytest.mark.parametrize("format_name", ["table", "plugin", "json"])
def test_a_check_of_nothing_is_unknown_in_every_format(lab: Lab, tmp_path: Path, format_name: str) -> None:
    (tmp_path / "inv.csv").write_text(HEADER)

    done = call("check", str(tmp_path / "inv.csv"), *lab.options, "--format", format_name)

    assert done.returncode == 3
    assert "UNKNOWN" in done.stdout


def test_several_files_and_standard_input_are_one_inventory(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + OTHER)
    (tmp_path / "b.yaml").write_text("- login.idp.example\n")

    both = call("check", str(tmp_path / "a.csv"), str(tmp_path / "b.yaml"), *lab.options)
    piped = call("check", "-", *lab.options, input="# two\napi.bank.example\nhttps://u:p@login.idp.example/x\n")

    assert "2 hosts, 4 checks: SECURE 4" in both.stdout
    assert "2 hosts, 4 checks: SECURE 4" in piped.stdout


def test_a_url_is_taken_where_a_name_is(lab: Lab) -> None:
    done = call("validate", "https://svc:hunter2@api.bank.example:8443/v1?x=y", *lab.options, "--json")
    refused = call("validate", "postgres://svc:4711/hunter2@api.bank.example/x", *lab.options)

    assert json.loads(done.stdout)["name"] == "api.bank.example."
    assert refused.returncode == 3
    assert "hunter2" not in refused.stdout + refused.stderr

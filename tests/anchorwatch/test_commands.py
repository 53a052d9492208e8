"""The commands as a user types them, against the lab's resolver on loopback."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import free_port
from tests.support.running import Lab, call, call_here, running

INVENTORY = """\
identities:
  - id: sa-settlement
    kind: service_account
    owner: payments
    environment: prod
    criticality: critical
    endpoints: [api.bank.example, login.idp.example, soap.legacy.example]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


class TestValidate:
    @pytest.mark.parametrize(
        ("name", "code", "verdict"),
        [("api.bank.example", 0, "secure"), ("soap.legacy.example", 1, "insecure"), ("nope.bank.example", 0, "secure")],
    )
    def test_exit_status_and_json_say_the_verdict(self, lab: Lab, name: str, code: int, verdict: str) -> None:
        done = call("validate", name, *lab.options, "--json")

        assert done.returncode == code, done.stderr
        judgement = json.loads(done.stdout)
        assert judgement["verdict"] == verdict
        assert {"name", "type", "vantage", "rcode", "reasons", "cause_zone", "answers", "chain", "expires_at"} <= set(
            judgement
        )
        assert {"validated_at", "trust_anchor", "evidence"} <= set(judgement)

    @pytest.mark.parametrize(
        "name",
        [
            ".".join(["a"] * 120) + ".bank.example",
            "x" * 63 + "." + "y" * 63 + "." + "z" * 63 + ".bank.example",
            "a\\.b\\000\\255.bank.example",
            "b\u00fccher.bank.example",
            ".",
        ],
        ids=["121 labels", "long", "escapes", "internationalised", "root"],
    )
    def test_odd_names_are_judged_like_others(self, lab: Lab, name: str) -> None:
        done = call_here("validate", name, "TXT", *lab.options, "--json")

        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["verdict"] == "secure"

    def test_another_anchor_makes_it_bogus(self, lab: Lab) -> None:
        done = call_here("validate", "api.bank.example", "--resolver", lab.url)

        assert done.returncode == 2
        assert "trust_anchor_mismatch" in done.stdout
        assert "RFC 4035 §5" in done.stdout

    def test_another_time_makes_it_bogus(self, lab: Lab) -> None:
        done = call_here("validate", "api.bank.example", *lab.options, "--at", "2030-01-01T00:00:00Z", "--json")

        assert done.returncode == 2
        assert json.loads(done.stdout)["reasons"][0]["code"] == "rrsig_expired"

    def test_an_absent_resolver_makes_it_indeterminate(self) -> None:
        done = call_here("validate", "a.example", "--resolver", f"udp://127.0.0.1:{free_port()}", "--timeout", "0.1")

        assert done.returncode == 3
        assert "INDETERMINATE" in done.stdout

    def test_a_pipe_gets_no_colours_and_the_chain_from_the_anchor_down(self, lab: Lab) -> None:
        done = call("validate", "soap.legacy.example", *lab.options)

        assert "\x1b" not in done.stdout
        lines = [line.strip() for line in done.stdout.splitlines()]
        assert lines[0].startswith("soap.legacy.example. A is INSECURE")
        assert any(line.startswith("✓ .") for line in lines)
        assert any("legacy.example." in line and "weakest link" in line for line in lines)
        assert any(line.startswith("Clients that ask with DO=1 get NOERROR") for line in lines)
        assert any(line.startswith("Clients that ask with no EDNS get NOERROR") for line in lines)

    def test_a_batch_is_one_json_object_a_line(self, lab: Lab, tmp_path: Path) -> None:
        names = tmp_path / "names"
        names.write_text("# names\napi.bank.example A\nsoap.legacy.example AAAA\n\nlogin.idp.example\n")

        done = call_here("validate", "--batch", str(names), *lab.options)

        verdicts = [json.loads(line)["verdict"] for line in done.stdout.splitlines()]
        assert verdicts == ["secure", "insecure", "secure"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "NAME or --batch"),
            (["a..b"], "empty label"),
            (["a.example", "NOPE"], "no record type"),
            (["a.example", "--at", "yesterday"], "RFC 3339"),
            (["a.example", "--at", "2200-01-01T00:00:00Z"], "1970 to 2106"),
            (["a.example", "--at", "2026-01-01T00:00:00"], "time zone"),
            (["a.example", "--policy", "nonsense=1"], "KEY=VALUE"),
            (["a.example", "--policy", "profile=y2k"], "policy"),
            (["a.example", "--resolver", "ftp://x"], "begins with"),
            (["a.example", "--trust-anchor", "/nonexistent"], "can't be read"),
            (["a.example", "--colour"], "No such option"),
            (["a.example", "--resolver", "udp://a..b"], "label"),
            (["--batch", "/bin/true"], "UTF-8"),
            (["a" * 64 + ".example"], "64 octets"),
        ],
    )
    def test_usage_errors_are_3_and_a_sentence(self, words: list[str], said: str) -> None:
        done = call_here("validate", *words)

        assert done.returncode == 3
        assert said in done.stderr
        assert "Traceback" not in done.stderr


class TestCheck:
    def test_an_inventory_is_checked_once(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "inventory.yaml").write_text(INVENTORY)

        done = call("check", str(tmp_path / "inventory.yaml"), *lab.options)

        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 hosts, 6 checks: SECURE 4  INSECURE 2" in done.stdout

    def test_the_cause_and_who_is_behind_it_are_named(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "inventory.csv").write_text(
            "id,owner,endpoints\nsa,payments,gw.clearing.example files.clearing.example\n"
        )
        lab.stage(lambda world: world.stage_expired("clearing.example."))
        try:
            table = call_here("check", str(tmp_path / "inventory.csv"), *lab.options)
            as_json = call_here("check", str(tmp_path / "inventory.csv"), *lab.options, "--format", "json")
            plugin = call_here("check", str(tmp_path / "inventory.csv"), *lab.options, "--format", "plugin")
        finally:
            lab.stage(lambda world: world.restore("clearing.example."))

        assert table.returncode == as_json.returncode == plugin.returncode == 2
        assert "rrsig_expired at clearing.example." in table.stdout
        assert "owners: payments" in table.stdout
        (problem, *_) = json.loads(as_json.stdout)["problems"]
        assert problem["cause_zone"] == "clearing.example."
        assert len(problem["endpoints"]) == 4
        assert plugin.stdout.startswith(
            "DNSINTEGRITY CRITICAL - 4 bogus, 0 indeterminate of 2 hosts, 4 checks | secure=0"
        )

    def test_bad_rows_are_named_and_the_rest_is_checked(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "i.yaml").write_text("identities:\n- {id: sa, endpoints: [api.bank.example, 192.0.2.1]}\n")

        done = call_here("check", str(tmp_path / "i.yaml"), *lab.options)

        assert done.returncode == 3
        assert "i.yaml:2" in done.stdout
        assert "SECURE 2" in done.stdout

    @pytest.mark.parametrize(("name", "content"), [("gone.yaml", None), ("x.txt", ""), ("bad.yaml", "[")])
    def test_what_is_no_inventory_is_3(self, tmp_path: Path, name: str, content: str | None) -> None:
        if content is not None:
            (tmp_path / name).write_text(content)

        done = call_here("check", str(tmp_path / name))

        assert done.returncode == 3
        assert name in done.stderr
        assert "Traceback" not in done.stderr


def write_config(folder: Path, lab: Lab, port: int, **files: str) -> Path:
    (folder / "inventory.yaml").write_text(files.get("inventory", INVENTORY))
    config = folder / "anchorwatch.yaml"
    config.write_text(
        f"inventory: [{{path: inventory.yaml}}]\nvantages: [{{name: corp, resolver: '{lab.url}'}}]\n"
        f"trust_anchors: {{path: {lab.anchors}}}\npoll: {{interval: 1s, claim_every: 2, timeout: 300ms}}\n"
        "alerts: {group_wait: 0s, group_interval: 0s, storm: 0}\n"
        f"receivers: [{{name: log, type: command, command: [sh, -c, 'cat >> {folder}/told; echo >> {folder}/told']}}]\n"
        "routes: [{match: {severity: [critical, high]}, receiver: log}]\n"
        f"http: {{listen: '127.0.0.1:{port}'}}\n"
    )
    return config


class TestRun:
    def test_watch_restart_second_instance_and_shutdown(self, lab: Lab, tmp_path: Path) -> None:
        port = free_port()
        config, url = write_config(tmp_path, lab, port), f"http://127.0.0.1:{port}"
        with running(config, url) as first:
            first.until(lambda: len(first.get("/api/v1/endpoints")) == 6, "six endpoints")
            second = call("run", str(config))
            assert second.returncode == 2
            assert "in use by another anchorwatch" in second.stderr
            assert str(first.process.pid) in second.stderr

            lab.stage(lambda world: world.stage_expired("idp.example."))
            (opened,) = first.until(
                lambda: [f for f in first.get("/api/v1/findings?status=open") if f["confirmed"]], "a confirmed finding"
            )
            assert (opened["code"], opened["cause_zone"]) == ("rrsig_expired", "idp.example.")
            assert opened["identities"][0]["owner"] == "payments"
            assert first.until(lambda: (tmp_path / "told").exists(), "the notification")
            listed = call_here("findings", "--api", url)
            assert "rrsig_expired" in listed.stdout
            assert "OPEN" in call_here("incidents", "--api", url).stdout
            evidence = call_here("evidence", opened["evidence"], "--api", url)
            assert "is BOGUS" in evidence.stdout
            assert first.end(signal.SIGINT) == 0

        with running(config, url) as again:
            again.until(lambda: len(again.get("/api/v1/endpoints")) == 6, "six endpoints")
            (known,) = again.get("/api/v1/findings?status=open")
            assert known["id"] == opened["id"]
            lab.stage(lambda world: world.restore("idp.example."))
            again.until(lambda: not again.get("/api/v1/findings?status=open"), "the end of the finding")
            again.until(lambda: not [i for i in again.get("/api/v1/incidents") if i["open"]], "the end of the incident")
            intervals = again.get("/api/v1/history?name=login.idp.example&type=A")
            assert {interval["verdict"] for interval in intervals} == {"secure", "bogus"}
            assert "login.idp.example." in call_here("history", "login.idp.example", "--json", "--api", url).stdout
            assert again.end() == 0
        events = [json.loads(line)["event"] for line in (tmp_path / "told").read_text().splitlines() if line]
        assert events == ["trigger", "resolve"]

    @pytest.mark.slow
    def test_an_inventory_that_breaks_keeps_its_good_rows(self, lab: Lab, tmp_path: Path) -> None:
        port = free_port()
        config = write_config(tmp_path, lab, port)
        with running(config, f"http://127.0.0.1:{port}") as one:
            one.until(lambda: len(one.get("/api/v1/endpoints")) == 6, "six endpoints")
            (tmp_path / "inventory.yaml").write_text("identities: [\n")
            (stale,) = one.until(lambda: one.get("/api/v1/findings?status=open"), "a finding")
            assert stale["code"] == "self_inventory_stale"
            assert "inventory.yaml:2" in stale["detail"]
            assert len(one.get("/api/v1/endpoints")) == 6

            (tmp_path / "inventory.yaml").write_text(INVENTORY.replace(", soap.legacy.example", ""))
            one.until(lambda: not one.get("/api/v1/findings?status=open"), "the end of it")
            one.until(lambda: len(one.get("/api/v1/endpoints")) == 4, "four endpoints")

    @pytest.mark.slow
    def test_an_absent_resolver_is_one_finding_and_nothing_is_bogus(self, lab: Lab, tmp_path: Path) -> None:
        port = free_port()
        config = write_config(tmp_path, lab, port)
        with running(config, f"http://127.0.0.1:{port}") as one:
            one.until(lambda: len(one.get("/api/v1/endpoints")) == 6, "six endpoints")
            lab.resolver.muted = True
            try:
                one.until(
                    lambda: [f for f in one.get("/api/v1/findings?status=open") if f["code"] == "self_vantage_lost"],
                    "the loss of the vantage",
                )
                one.until(
                    lambda: all(e["verdict"] == "indeterminate" for e in one.get("/api/v1/endpoints")), "indeterminate"
                )
            finally:
                lab.resolver.muted = False
            one.until(lambda: not one.get("/api/v1/findings?status=open"), "the end of it")
            codes = {finding["code"] for finding in one.get("/api/v1/findings")}
            assert codes <= {"self_vantage_lost", "verdict_indeterminate"}

    @pytest.mark.slow
    def test_bad_queries_are_400_and_unknown_things_404(self, lab: Lab, tmp_path: Path) -> None:
        port = free_port()
        config = write_config(tmp_path, lab, port)
        with running(config, f"http://127.0.0.1:{port}") as one:
            for path, status in (
                ("/api/v1/findings?status=maybe", 400),
                ("/api/v1/findings?limit=-1", 400),
                ("/api/v1/findings?since=yesterday", 400),
                ("/api/v1/history", 400),
                ("/api/v1/evidence/nope", 404),
                ("/findings/nope", 404),
                ("/endpoints/nope", 404),
            ):
                assert one.ask(path)[0] == status, path
            assert "anchorwatch_polls_total" in one.get("/metrics")
            assert "healthy" in one.get("/-/healthy")

    def test_a_typo_is_named_and_nothing_starts(self, lab: Lab, tmp_path: Path) -> None:
        config = write_config(tmp_path, lab, free_port())
        config.write_text(config.read_text().replace("inventory.yaml", "inventroy.yaml"))

        done = call_here("run", str(config))

        assert done.returncode == 2
        assert "inventroy.yaml" in done.stderr
        assert "anchorwatch.yaml:1" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_taken_address_is_named(self, lab: Lab, tmp_path: Path) -> None:
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = call("run", str(write_config(tmp_path, lab, taken.getsockname()[1])))

        assert done.returncode == 1
        assert "http.listen" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.slow
    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a full file system: run as root")
    def test_a_full_disk_delays_and_is_said(self, lab: Lab, tmp_path: Path) -> None:
        import subprocess

        disk = tmp_path / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], check=False).returncode:
            pytest.skip("needs to mount a tmpfs: not allowed here")
        try:
            port = free_port()
            config = write_config(disk, lab, port)
            with running(config, f"http://127.0.0.1:{port}") as one:
                one.until(lambda: len(one.get("/api/v1/endpoints")) == 6, "six endpoints")
                filler = disk / "filler"
                with filler.open("wb", buffering=0) as file:
                    try:
                        while True:
                            file.write(b"x" * 65536)
                    except OSError:
                        pass
                lab.stage(lambda world: world.stage_expired("idp.example."))
                one.until(lambda: 'transients_total{stage="analyzer"}' in one.get("/metrics"), "a fault that is met")
                filler.unlink()
                one.until(lambda: one.get("/api/v1/findings?status=open"), "the finding, once there is room")
                assert one.end() == 0
        finally:
            lab.stage(lambda world: world.restore("idp.example."))
            subprocess.run(["umount", "-l", str(disk)], check=False)


def test_questions_to_nobody_are_a_sentence() -> None:
    done = call_here("findings", "--api", f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 1
    assert "is it running?" in done.stderr


def test_the_help_lists_the_commands() -> None:
    done = call("--help")

    assert done.returncode == 0
    for command in ("validate", "check", "run", "demo", "findings", "incidents", "history"):
        assert command in done.stdout


@pytest.mark.slow
@pytest.mark.long
def test_the_demo_tells_every_incident_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = call("demo", "--exit", "--listen", f"127.0.0.1:{free_port()}", TMPDIR=str(tmp_path))

    assert list(tmp_path.iterdir()) == []
    assert done.returncode == 0, done.stdout + done.stderr
    codes = "rrsig_expired dnskey_missing rrsig_crypto_invalid secure_to_insecure key_change_unexpected"
    for code in (*codes.split(), "alias_exits_signed_space", "PR.DS-02", "NHI8:2025", "6 incidents"):
        assert code in done.stdout

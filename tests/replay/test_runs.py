"""Whole runs: the same result each time, restarts that change nothing, and the scenarios that ship."""

import json
import signal
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from dns.exception import ExceptionWrapper, FormError

from anchorwatch.__main__ import cli
from anchorwatch.cli.exit_status import unwound_by_signals
from anchorwatch.replay.judging import judge
from anchorwatch.replay.reading import parse_scenario
from anchorwatch.replay.record import Record
from anchorwatch.replay.report import as_object, passed, table
from anchorwatch.replay.running import run_scenario
from tests.support.running import COMMAND, environment
from tests.support.scenarios import SCENARIOS, run, shipped

QUICK = {"A3", "R7"}
# Each takes minutes and more: `.ci/run` runs them (Q1 cut short), and `make replay`.
LONG = {"Q1", "R1", "R17", "R17-one"}
DEAR = {"R2", "R10", "R15", "R18", "old-secondary", "stall"}
NAMES = sorted(path.stem for path in SCENARIOS.glob("*.yaml"))

BROKEN = """\
scenario: broken
lasts: 8h
zones:
  example: {ttl: {negative: 5m}}
  bank.example: {ttl: {records: 5m, keys: 5m}, records: [www A 192.0.2.10]}
vantages: {resolver: {max_ttl: 5m, loss: 0.02}}
inventory:
  - {id: sa, owner: payments, environment: prod, criticality: critical,
     endpoints: [{host: www.bank.example, types: [A]}]}
steps:
  - {at: 2h, corrupt: {zone: bank.example, rrset: "@ DNSKEY"}}
  - {at: 5h, heal: bank.example}
expect:
  - finding: {code: rrsig_crypto_invalid, cause: bank.example, severity: critical, by: 2h 15m, closed_by: 6h}
  - pages: 1
  - pages: {count: 1, events: resolve}
"""


@cache
def record_of_broken() -> Record:
    """Return what happens in it: the same in each run, so that one is enough to look at."""
    return run(BROKEN)[1]


def test_a_fault_is_found_paged_and_closed() -> None:
    _, record, outcomes = run(BROKEN)

    assert [outcome.why for outcome in outcomes] == ["", "", ""]
    assert 90 <= record.polls <= 110


def test_the_same_scenario_gives_the_same_result_octet_for_octet() -> None:
    first, second = (json.dumps(as_object(*run(BROKEN, restarts=2))) for _ in range(2))

    assert first == second
    assert len(json.loads(first)["restarts"]) == 2


def test_another_seed_is_another_world() -> None:
    one, other = (as_object(*run(BROKEN.replace("lasts:", f"seed: {seed}\nlasts:"))) for seed in (1, 2))

    assert one["passed"]
    assert other["passed"]
    assert one["findings"] != other["findings"]


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_restarts_change_nothing_that_is_told(seed: int) -> None:
    _, record, outcomes = run(BROKEN, restarts=6, seed=seed)

    assert [outcome.why for outcome in outcomes] == ["", "", ""]
    assert len(record.restarts) == 6


@pytest.mark.parametrize(
    ("expectation", "why"),
    [
        ("finding: {code: rrsig_expired}", "no rrsig_expired at all"),
        ("finding: {code: rrsig_crypto_invalid, cause: example}", "only at bank.example."),
        ("finding: {code: rrsig_crypto_invalid, by: 1h}", "confirmed at 0d 02:"),
        ("finding: {code: rrsig_crypto_invalid, after: 3h}", "opened at 0d 02:"),
        ("finding: {code: rrsig_crypto_invalid, severity: low}", "its severity was critical"),
        ("finding: {code: rrsig_crypto_invalid, closed_by: 4h}", "closed at 0d 05:"),
        ("finding: {code: rrsig_crypto_invalid, open_until: 7h}", "already"),
        ("finding: {code: rrsig_crypto_invalid, detail: a teapot}", "does not say 'a teapot'"),
        ("no_finding: {}", "rrsig_crypto_invalid (critical) at bank.example."),
        ("no_finding: {code: rrsig_crypto_invalid, closed: true}", "was closed at"),
        ("pages: 0", "1 of them"),
        ("pages: {at_most: 0}", "1 of them"),
        ("pages: {by: 1h}", "the first came at"),
        ("pages: {count: 1, until: 1h}", "none came"),
        ("pages: {count: 1, cause: other.example}", "none came"),
        ("verdict: {name: www.bank.example, at: 3h}", "it is bogus (rrsig_crypto_invalid)"),
        ("verdict: {name: www.bank.example, verdict: bogus, at: 3h, reason: rrsig_expired}", "its reasons are"),
        ("verdict: {name: other.bank.example, at: 3h}", "not seen"),
    ],
)
def test_an_expectation_that_is_not_met_says_what_was_found(expectation: str, why: str) -> None:
    scenario = parse_scenario(BROKEN[: BROKEN.index("expect:")] + f"expect:\n  - {expectation}\n", "test.yaml")
    record = record_of_broken()
    outcomes = judge(scenario, record)

    (outcome,) = outcomes
    assert not outcome.met
    assert why in outcome.why
    assert not passed(outcomes)
    assert "FAILED" in table(scenario, record, outcomes)


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    return [] if name in QUICK else [pytest.mark.slow, *([pytest.mark.long] if name in DEAR else [])]


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in NAMES if name not in LONG])
def test_a_scenario_comes_out_as_it_must(name: str) -> None:
    scenario = shipped(name)

    record = run_scenario(scenario)

    assert [f"line {one.line}: {one.why}" for one in judge(scenario, record) if not one.met] == []


def test_a_scenario_that_is_cut_is_held_to_what_it_expects_until_then() -> None:
    scenario = parse_scenario(BROKEN, "test.yaml").cut(2 * 3600)

    assert [step.name for step in scenario.steps] == []
    assert [expected.name for expected in scenario.expected] == ["pages", "pages"]
    assert parse_scenario(BROKEN, "test.yaml").cut(9 * 3600).lasts_s == 8 * 3600


def test_the_command_says_what_happened_and_exits_by_the_result(tmp_path: Path) -> None:
    good, bad, typo = (tmp_path / name for name in ("good.yaml", "bad.yaml", "typo.yaml"))
    good.write_text(BROKEN)
    bad.write_text(BROKEN.replace("pages: 1", "pages: 7"))
    typo.write_text(BROKEN.replace("heal:", "heel:"))

    told = CliRunner().invoke(cli, ["replay", str(good)])
    failed = CliRunner().invoke(cli, ["replay", "--json", str(bad)])
    refused = CliRunner().invoke(cli, ["replay", str(typo), str(good)])

    assert told.exit_code == 0
    assert "broken: passed" in told.output
    assert "heal: zone bank.example" in told.output
    assert failed.exit_code == 1
    assert json.loads(failed.output)["expectations"][1]["found"].startswith("1 of them")
    assert "'heal' is meant?" in str(getattr(refused.exception, "problems", ""))


def test_a_signal_that_dnspython_makes_an_error_of_ends_it_all_the_same() -> None:
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        wrapper = ExceptionWrapper(FormError)  # type: ignore[no-untyped-call]
        with pytest.raises(SystemExit) as ended, unwound_by_signals(), wrapper:
            signal.raise_signal(number)

        assert ended.value.code == status


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_ends_it_and_leaves_nothing_behind(tmp_path: Path, number: int, status: int) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "long.yaml").write_text(BROKEN.replace("lasts: 8h", "lasts: 300d"))
    process = subprocess.Popen(
        [*COMMAND, "replay", str(tmp_path / "long.yaml")],
        stderr=subprocess.DEVNULL,
        env={**environment(), "TMPDIR": str(tmp_path / "made")},
    )
    try:
        while process.poll() is None and not list((tmp_path / "made").glob("anchorwatch-replay-*")):
            time.sleep(0.02)
        process.send_signal(number)
        ended = process.wait(30)
    finally:
        process.kill()
        process.wait()

    assert ended == status
    assert list((tmp_path / "made").iterdir()) == []

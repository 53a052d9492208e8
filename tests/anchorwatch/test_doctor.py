"""What ``doctor`` says of resolvers that can, can't, or say nothing, and that it never takes longer than it may."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from anchorwatch.configuration.loading import load_config
from anchorwatch.diagnosis.checks import Check, State, exit_status, to_table
from anchorwatch.diagnosis.clock import check_kernel, check_windows
from anchorwatch.diagnosis.examination import examine
from anchorwatch.diagnosis.machine import check_folder
from anchorwatch.diagnosis.patience import all_within
from anchorwatch.diagnosis.sights import Sight, checks_of
from anchorwatch.judging import Settings
from anchorwatch.lab.server import LabResolver
from schemas.judgement import Verdict
from tests.support.running import Lab, call

BOGUS = "api.bank.example"
LONGEST_S = 5.0


class Stripping(LabResolver):
    """Hands no signature on, and believes whatever it gets."""

    def reply_to(self, wire: bytes, *, stream: bool) -> bytes | None:
        reply = super().reply_to(wire, stream=True)
        if reply is None:
            return None
        message = dns.message.from_wire(reply)
        for section in (message.answer, message.authority):
            section[:] = [rrset for rrset in section if rrset.rdtype != dns.rdatatype.RRSIG]
        message.flags &= ~(dns.flags.AD | dns.flags.CD)
        return bytes(message.to_wire())


class Believing(LabResolver):
    """Passes signatures on, and validates nothing."""

    def reply_to(self, wire: bytes, *, stream: bool) -> bytes | None:
        asked = dns.message.from_wire(wire)
        checking_disabled = asked.flags & dns.flags.CD
        asked.flags |= dns.flags.CD
        reply = super().reply_to(asked.to_wire(), stream=stream)
        if reply is None or checking_disabled:
            return reply
        message = dns.message.from_wire(reply)
        message.flags &= ~dns.flags.CD
        return bytes(message.to_wire())


class WithoutTcp(LabResolver):
    """Answers over UDP alone."""

    def reply_to(self, wire: bytes, *, stream: bool) -> bytes | None:
        return None if stream else super().reply_to(wire, stream=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def states_by(folder: Path, kind: type[LabResolver], *words: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the exit status, and by what was checked of the resolver (and of anchors) the state and the change."""
    lab = Lab(folder, kind)
    lab.stage(lambda world: world.stage_expired("bank.example."))
    try:
        done = call("doctor", "--json", *lab.options, "--bogus-name", BOGUS, *words, folder=folder)
    finally:
        lab.close()
    said = json.loads(done.stdout)
    assert said["exit_status"] == done.returncode, done.stderr
    wanted = [one for one in said["checks"] if one["part"].startswith(("resolver", "trust"))]
    return done.returncode, {one["what"].partition(" by ")[0]: (one["state"], one["change"]) for one in wanted}


def test_a_resolver_that_does_all_of_it_is_fine(folder: Path) -> None:
    _, found = states_by(folder, LabResolver)

    assert {what: state for what, (state, _) in found.items()} == {
        "answers": "ok",
        "DNSSEC records (DO)": "ok",
        "answers unchecked (CD)": "ok",
        "large answers over UDP": "unknown",  # the lab's root has a small key set
        "TCP": "ok",
        "validates for its clients": "ok",
        "refuses what is bogus": "ok",
        "agree with .": "ok",
    }


def test_a_resolver_that_strips_signatures_is_critical_and_says_how_to_mend_it(folder: Path) -> None:
    status, found = states_by(folder, Stripping)

    assert status == 2
    assert found["DNSSEC records (DO)"][0] == "critical"
    assert "dnssec-validation auto" in found["DNSSEC records (DO)"][1]
    assert found["answers unchecked (CD)"][0] == "warning"
    assert found["validates for its clients"][0] == "warning"
    assert found["refuses what is bogus"][0] == "unknown"
    assert found["agree with ."][0] != "ok"


def test_a_resolver_that_validates_nothing_is_a_warning(folder: Path) -> None:
    status, found = states_by(folder, Believing)

    assert status == 1
    assert found["DNSSEC records (DO)"][0] == "ok"
    assert found["validates for its clients"][0] == "warning"
    assert found["refuses what is bogus"][0] == "warning"


def test_a_resolver_without_tcp_is_critical(folder: Path) -> None:
    status, found = states_by(folder, WithoutTcp)

    assert status == 2
    assert found["TCP"][0] == "critical"


def test_anchors_that_do_not_fit_are_critical_and_no_key_is_taken_from_an_answer(folder: Path) -> None:
    (folder / "other.ds").write_text(". IN DS 1 13 2 " + "AB" * 32 + "\n")

    status, found = states_by(folder, LabResolver, "--trust-anchor", str(folder / "other.ds"))

    assert status == 2
    assert found["agree with ."][0] == "critical"
    assert "do not copy a key from an answer" in found["agree with ."][1]


@pytest.fixture
def silent() -> Iterator[str]:
    """A resolver that takes everything and answers nothing, over UDP and TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as listener:
        datagrams.bind(("127.0.0.1", 0))
        listener.bind(datagrams.getsockname())
        listener.listen(64)
        yield f"udp://127.0.0.1:{datagrams.getsockname()[1]}"


def test_where_nothing_answers_nothing_is_said_to_be_fine_and_it_ends_in_time(folder: Path, silent: str) -> None:
    (folder / "inventory.txt").write_text("a.example\n")
    config = folder / "anchorwatch.yaml"
    config.write_text(
        f"inventory: [{{path: inventory.txt}}]\nvantages: [{{name: a, resolver: '{silent}'}}]\n"
        f"history: {{url: 'clickhouse://u@127.0.0.1:{silent.rpartition(':')[2]}/db'}}\n"
        f"receivers: [{{name: soc, type: webhook, url: 'http://127.0.0.1:{silent.rpartition(':')[2]}/'}}]\n"
        "routes: [{match: {severity: [critical, high, medium]}, receiver: soc}]\nhttp: {listen: '127.0.0.1:1'}\n"
    )

    loaded = load_config(config)
    settings = Settings(loaded.collector.anchors, loaded.collector.policy)

    began_at = time.monotonic()
    checks = examine(loaded.collector.vantages, settings, BOGUS, loaded)

    assert time.monotonic() - began_at < LONGEST_S
    of_the_net = [one for one in checks if one.part.startswith(("resolver", "trust")) or "signatures" in one.what]
    assert len(of_the_net) > 6
    assert {one.state for one in of_the_net} <= {State.UNKNOWN, State.CRITICAL}
    assert exit_status(checks) == 2


def test_a_configuration_that_cannot_be_used_is_critical_with_every_problem(folder: Path, silent: str) -> None:
    config = folder / "anchorwatch.yaml"
    config.write_text("inventory: []\npoll: {interval: often}\n")

    done = call("doctor", "--json", "--resolver", silent, str(config), folder=folder)

    of_it = [one for one in json.loads(done.stdout)["checks"] if one["part"] == "configuration"]
    assert done.returncode == 2
    assert [one["state"] for one in of_it] == ["critical", "critical"]
    assert "no duration" in of_it[0]["detail"] + of_it[1]["detail"]


def test_a_mistaken_call_is_unknown() -> None:
    assert call("doctor", "--resolver", "ftp://x").returncode == 3


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([], 3),
        ([State.NOTE], 3),
        ([State.OK, State.NOTE], 0),
        ([State.OK, State.UNKNOWN], 3),
        ([State.UNKNOWN, State.WARNING], 1),
        ([State.WARNING, State.CRITICAL, State.UNKNOWN], 2),
    ],
)
def test_the_exit_status_is_the_gravest(states: list[State], status: int) -> None:
    assert exit_status(Check(part="p", what="w", state=state, detail="") for state in states) == status


def test_what_did_not_end_is_given_up() -> None:
    began_at = time.monotonic()

    found = all_within(0.2, [lambda: 1, lambda: time.sleep(60), lambda: 1 // 0])

    assert time.monotonic() - began_at < 10
    assert found[:2] == [1, None]
    assert isinstance(found[2], ZeroDivisionError)


def sight(**more: object) -> Sight:
    return Sight(name="a", url="udp://192.0.2.1:53", **more)  # type: ignore[arg-type]


def test_a_sight_of_nothing_says_nothing_good() -> None:
    assert {one.state for one in checks_of(sight(), BOGUS)} == {State.UNKNOWN}
    assert {one.state for one in checks_of(sight(trouble="no answer"), BOGUS)} == {State.UNKNOWN, State.CRITICAL}


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ({"udp_bytes": 1139}, State.OK),
        ({"udp_bytes": 512}, State.UNKNOWN),
        ({"udp_bytes": None, "truncated": True}, State.OK),
        ({"udp_bytes": None, "over_tcp": True}, State.WARNING),
    ],
)
def test_large_answers_are_judged_by_what_came(seen: dict[str, object], state: State) -> None:
    found = {one.what: one for one in checks_of(sight(answered=True, **seen), BOGUS)}

    assert found["large answers over UDP"].state is state


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ({"bogus_verdict": Verdict.BOGUS, "bogus_rcode": "SERVFAIL"}, State.OK),
        ({"bogus_verdict": Verdict.BOGUS, "bogus_rcode": "NOERROR", "bogus_data": True}, State.WARNING),
        ({"bogus_verdict": Verdict.BOGUS, "bogus_rcode": "REFUSED"}, State.UNKNOWN),
        ({"bogus_verdict": Verdict.SECURE, "bogus_rcode": ""}, State.UNKNOWN),
        ({"bogus_verdict": Verdict.INDETERMINATE, "bogus_rcode": "SERVFAIL"}, State.UNKNOWN),
    ],
)
def test_a_refusal_counts_only_of_a_name_that_we_know_to_be_bogus(seen: dict[str, object], state: State) -> None:
    found = {one.what: one for one in checks_of(sight(answered=True, **seen), BOGUS)}

    assert found["refuses what is bogus"].state is state


def test_the_clock_is_bounded_by_signatures_that_hold() -> None:
    now = 1_000_000.0

    assert check_windows([], now).state is State.UNKNOWN
    assert check_windows([(0, 999_999)], now).state is State.UNKNOWN
    found = check_windows([(0, 2_000_000), (996_400, 1_864_000)], now)
    assert found.state is State.OK
    assert found.detail == "by them it is at most 1.0 hours ahead and 10.0 days behind"


@pytest.mark.parametrize(
    ("said", "state"),
    [(None, State.UNKNOWN), ((False, 0.0), State.WARNING), ((True, 3.0), State.WARNING), ((True, 0.02), State.OK)],
)
def test_the_kernel_knows_whether_something_keeps_the_clock(said: tuple[bool, float] | None, state: State) -> None:
    assert check_kernel(said).state is state


def test_a_folder_is_judged_by_the_nearest_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert f" GiB free at {tmp_path}" in check_folder("history.url", tmp_path / "data" / "deep").detail
    assert check_folder("history.url", tmp_path / "file").state is State.CRITICAL


def test_the_table_has_what_to_change_below_its_line() -> None:
    checks = [
        Check(part="clock", what="is kept", state=State.WARNING, detail="no", change="start one"),
        Check(part="disk", what="x", state=State.OK, detail="room"),
    ]

    assert to_table(checks).splitlines() == [
        "warning  clock  is kept  no",
        "         change: start one",
        "ok       disk   x        room",
        "1 warning, 1 ok",
    ]

"""Sweeps through the analyzer over its history: restarts, replays, late ones, and zones that nobody watches."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from analyzer.zones.sweeps import read_memory, write_memory
from anchorwatch.replay.inline import InlineLoop
from schemas.messages import Evidence, Finding, Message, ServerStatus, ZoneSweep
from tests.support.databases import AnyHistory
from tests.support.making import AT, judgement, observation, snapshot, with_zones
from tests.support.sweeps import HOUR, OWN, ZONE, Sweeping, invalid, of_parent, own, sweep

SILENT = {"status": ServerStatus.SILENT, "detail": "timeout"}
OTHER = {"answers": {"api.bank.example. A": ("203.0.113.66",)}}
MOVED = ("ns1.elsewhere.test.",)


class Run:
    """An analyzer over a history; with ``restarts`` a new one takes up before each batch."""

    def __init__(self, history: AnyHistory, clock: Any, *, restarts: bool = False) -> None:
        self.history, self.clock, self.restarts = history, clock, restarts
        self.analyzer = Analyzer(history, clock)
        self.at(0, snapshot("sa", "api.bank.example"), *with_zones([observation(judgement(), AT)]))

    def at(self, hour: float, *batch: Message) -> list[tuple[Any, ...]]:
        """Return what a batch makes known, without what a restart announces again."""
        self.clock.seconds = (AT + hour * HOUR).timestamp()
        if self.restarts:
            self.analyzer = Analyzer(self.history, self.clock)
            InlineLoop().run(self.analyzer.handle([]))
        found = InlineLoop().run(self.analyzer.handle(batch))
        return [(f.id, f.version, f.code, str(f.status), f.servers) for f in found if isinstance(f, Finding)]


def story() -> list[ZoneSweep]:
    """A day in which much goes wrong and heals, an hour after the other."""
    said: list[list[Any]] = [
        [],
        [own(1, **SILENT)],
        [own(1, **SILENT), own(2, **invalid())],
        [own(1, **SILENT), own(2, **invalid())],
        [own(1, **SILENT), own(2, **OTHER), own(3, **SILENT)],
        [own(2, **OTHER), of_parent(1, ns=MOVED)],
        [of_parent(1, ns=MOVED), of_parent(2, **SILENT), own(1, serial=9)],
        [of_parent(1, ns=MOVED), of_parent(2, ns=MOVED), own(1, serial=9)],
        [own(1, serial=9), own(2, cds=("0 0 0 00",))],
        *([own(1, serial=9), own(3, serial=9)] for _ in range(6)),
    ]
    return [sweep(*sights, at=AT + hour * HOUR) for hour, sights in enumerate(said, 1)]


def test_a_restart_before_each_sweep_changes_nothing(any_history: AnyHistory, clock: Any) -> None:
    steady = Sweeping()
    expected = []
    for hour, one in enumerate(story(), 1):
        steady.hours = hour
        expected.append([(f.id, f.version, f.code, str(f.status), f.servers) for f in steady.take(one).messages])
    run = Run(any_history, clock, restarts=True)

    found = [run.at(hour, one) for hour, one in enumerate(story(), 1)]

    assert found == expected
    assert len({code for step in found for _, _, code, _, _ in step}) == 5


def test_a_batch_that_comes_again_says_the_same(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    told = [run.at(hour, one) for hour, one in enumerate(story(), 1)]

    again = [run.at(20, one) for one in story()]

    assert [sorted(step) for step in again] == [sorted(step) for step in told]
    assert len(history.sweeps(ZONE)) == len(story())


def test_what_is_remembered_is_written_and_read(any_history: AnyHistory) -> None:
    run = Sweeping()
    for hour, one in enumerate(story(), 1):
        run.hours = hour
        run.take(one)

    (memory,) = run.analysis.swept.values()

    assert read_memory(write_memory(memory)) == memory


def test_a_sweep_that_comes_late_says_nothing_of_now(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.at(1, sweep(at=AT + HOUR))
    run.at(5, sweep(at=AT + 5 * HOUR))

    late = [run.at(5, sweep(own(1, **SILENT), of_parent(1, ns=MOVED), at=AT + hour * HOUR)) for hour in (2, 3, 4)]

    assert late == [[], [], []]
    assert run.analyzer.dropped == 3
    assert len(history.sweeps(ZONE)) == 5, "kept all the same"
    assert run.at(6, sweep(at=AT + 6 * HOUR)) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_sweep_from_the_future_does_not_outdo_those_to_come(
    any_history: AnyHistory, clock: Any, restarts: bool
) -> None:
    run = Run(any_history, clock, restarts=restarts)
    run.at(1, sweep(at=AT + timedelta(days=900)))

    said = [one for hour in (2, 3) for one in run.at(hour, sweep(own(1, **SILENT), at=AT + hour * HOUR))]

    assert [(code, status) for _, _, code, status, _ in said] == [("auth_server_unreachable", "opened")]


def test_sweeps_of_two_collectors_at_one_instant_are_two_looks(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    bad = sweep(own(1, **SILENT), at=AT + HOUR)

    said = run.at(1, bad, msgspec.structs.replace(bad, id="of another collector"))

    assert [code for _, _, code, _, _ in said] == ["auth_server_unreachable"]


def test_a_clock_that_was_ahead_and_is_set_back_stops_no_sweep(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.at(9000, sweep(at=AT + 9000 * HOUR))

    said = [one for hour in (2, 3) for one in run.at(hour, sweep(own(1, **SILENT), at=AT + hour * HOUR))]

    assert [code for _, _, code, _, _ in said] == ["auth_server_unreachable"]


def test_a_zone_that_nobody_watches_tells_nothing(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)

    said = [run.at(hour, sweep(own(1, **SILENT), zone="other.test.", at=AT + hour * HOUR)) for hour in range(1, 5)]

    assert said == [[], [], [], []]
    run.at(6)
    assert not any(zone == "other.test." for zone, _, _ in run.analyzer.swept), "nor is it remembered for long"


def test_a_zone_that_nobody_watches_any_more_is_told_to_be_so(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    for hour in (1, 2):
        run.at(hour, sweep(own(1, **SILENT), at=AT + hour * HOUR))

    run.at(3, msgspec.structs.replace(snapshot("sa"), identity=None))

    (closed,) = any_history.findings(code="auth_server_unreachable")
    assert closed.closed_because.startswith("no longer watched")
    assert run.at(4, sweep(own(1, **SILENT), at=AT + 4 * HOUR)) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_name_that_nobody_needs_any_more_is_told_to_be_so(
    any_history: AnyHistory, clock: Any, restarts: bool
) -> None:
    run = Run(any_history, clock, restarts=restarts)
    run.at(0.5, snapshot("sb", "www.bank.example"), *with_zones([observation(judgement("www.bank.example."), AT)]))
    for hour in (1, 2):
        run.at(hour, sweep(own(2, **OTHER), at=AT + hour * HOUR))

    run.at(3, msgspec.structs.replace(snapshot("sa", at=AT + 3 * HOUR), identity=None))

    (closed,) = any_history.findings(code="auth_answer_divergence")
    assert closed.closed_because == "no longer watched: removed from the inventory"
    later = [run.at(hour, sweep(*(own(n, answers={}) for n in (1, 2, 3)), at=AT + hour * HOUR)) for hour in (4, 5)]
    assert later == [[], []]


def test_a_zone_that_is_watched_again_is_measured_from_what_was_known(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.at(1, sweep(at=AT + HOUR))
    run.at(2, msgspec.structs.replace(snapshot("sa"), identity=None))
    run.at(3, snapshot("sa", "api.bank.example"), *with_zones([observation(judgement(), AT + 3 * HOUR)]))

    said = run.at(4, sweep(*(of_parent(n, ns=MOVED) for n in (1, 2)), at=AT + 4 * HOUR))

    assert "ns_set_changed" in {code for _, _, code, _, _ in said}


def test_evidence_of_a_sweep_is_kept_and_named(history: ClickHouseHistory, clock: Any) -> None:
    evidence = Evidence(
        digest="d" * 64, name=ZONE, type="SOA", at=AT, messages=(b"\x00\x01",), trust_anchors=(), policy={}
    )
    run = Run(history, clock)
    bad = [sweep(own(2, **invalid()), at=AT + hour * HOUR, evidence=evidence) for hour in (1, 2)]

    for hour, one in enumerate(bad, 1):
        run.at(hour, one)

    (opened,) = history.findings(code="auth_signature_divergence")
    found = history.evidence(opened.evidence)
    assert found is not None
    assert found.messages == (b"\x00\x01",)
    assert history.sweeps(ZONE)[0].evidence == msgspec.structs.replace(evidence, messages=())


def test_servers_of_a_finding_are_a_column_of_their_own(history: ClickHouseHistory, clock: Any, client: Any) -> None:
    run = Run(history, clock)
    for hour in (1, 2):
        run.at(hour, sweep(own(1, **SILENT), at=AT + hour * HOUR))

    found = client.query("SELECT code FROM findings WHERE has(servers, %(server)s)", {"server": OWN[0]}).result_rows

    assert found == [("auth_server_unreachable",)]


def test_endpoints_behind_a_zone_at_any_vantage_are_affected(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    home = observation(judgement("www.bank.example.", vantage="home"), AT)
    both = [home, observation(judgement("api.bank.example.", vantage="home"), AT)]
    run.at(0.5, snapshot("sb", "www.bank.example"), *with_zones(both))
    for hour in (1, 2):
        run.at(hour, sweep(own(1, **SILENT), at=AT + hour * HOUR))

    (found,) = any_history.findings(code="auth_server_unreachable")
    assert (found.endpoints, found.endpoint_count) == (("api.bank.example. A", "www.bank.example. A"), 2)
    assert [one.id for one in found.identities] == ["sa", "sb"]

"""The history while its disk is full: rows that wait are read like stored ones, and stored once there is room."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from analyzer.findings.changes import Plan
from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.migrations import migrate
from analyzer.history.overflow import TRY_EVERY_S, OverflowHistory
from analyzer.stage import Analyzer
from schemas.faults import DiskFull
from schemas.messages import Finding, FindingStatus
from tests.support.making import AT, judgement, observation, polls, snapshot
from tests.support.sweeps import sweep


class Disk:
    """The client of a database whose disk is full while ``full``."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.full = False

    def insert(self, table: str, *more: Any, **other: Any) -> Any:
        if self.full:
            raise DatabaseError(
                "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"
            )
        return self._client.insert(table, *more, **other)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def disk(client: Any) -> Disk:
    migrate(client)
    return Disk(client)


@pytest.fixture
def overflow(disk: Disk, clock: Any) -> OverflowHistory:
    return OverflowHistory(disk, clock=clock)


def handle(analyzer: Analyzer, *messages: Any) -> list[Finding]:
    return [one for one in asyncio.run(analyzer.handle(list(messages))) if isinstance(one, Finding)]


def make(overflow: OverflowHistory, clock: Any) -> Analyzer:
    return Analyzer(overflow, clock, {"history": overflow.why_full})


MINUTE = timedelta(minutes=1)
GOOD, BAD = judgement(), judgement(verdict="bogus", code="rrsig_expired")
CHANGED = judgement(answers=("192.0.2.99",))


def codes(findings: list[Finding], status: str = "opened") -> set[str]:
    return {finding.code for finding in findings if finding.status == status}


def test_what_is_found_is_told_while_the_disk_is_full(disk: Disk, overflow: OverflowHistory, clock: Any) -> None:
    analyzer = make(overflow, clock)
    handle(analyzer, snapshot("sa", "api.bank.example"), observation(GOOD, AT))

    disk.full = True
    found = handle(analyzer, observation(BAD, AT + MINUTE))

    assert "rrsig_expired" in codes(found)
    assert overflow.waiting > 0


def test_a_full_disk_is_told_once_and_so_is_its_end(disk: Disk, overflow: OverflowHistory, clock: Any) -> None:
    analyzer = make(overflow, clock)
    handle(analyzer, snapshot("sa", "api.bank.example"), observation(GOOD, AT))
    disk.full = True
    handle(analyzer, observation(CHANGED, AT + MINUTE))

    told = [handle(analyzer) for _ in range(3)]
    disk.full = False
    clock.advance(TRY_EVERY_S)
    over = [handle(analyzer) for _ in range(3)]

    (opened,) = [one for batch in told for one in batch if one.code == "self_disk_full"]
    assert (opened.severity, opened.confirmed, opened.cause_rrset) == ("critical", True, "history")
    (closed,) = [one for batch in over for one in batch if one.code == "self_disk_full"]
    assert (closed.id, closed.status) == (opened.id, FindingStatus.CLOSED)


def test_nothing_is_lost_once_there_is_room(disk: Disk, client: Any, overflow: OverflowHistory, clock: Any) -> None:
    analyzer = make(overflow, clock)
    handle(analyzer, snapshot("sa", "api.bank.example"), observation(GOOD, AT))
    disk.full = True
    found = handle(analyzer, observation(BAD, AT + MINUTE))
    handle(analyzer, snapshot("sb", "www.bank.example"))

    disk.full = False
    clock.advance(TRY_EVERY_S)
    handle(analyzer)

    stored = ClickHouseHistory(client)
    assert overflow.waiting == 0
    assert not overflow.why_full()
    assert {finding.id for finding in found} <= {finding.id for finding in stored.findings()}
    assert {judged.verdict for _, _, _, judged in stored.latest_judgements()} == {"bogus"}
    assert stored.evidence(BAD.evidence) is not None
    assert [key for key, _ in stored.identities()] == ["sa", "sb"]
    assert len(stored.intervals("api.bank.example.")) == 2


def test_polls_that_wait_make_a_stored_record_last_as_long_as_stored_ones(
    disk: Disk, overflow: OverflowHistory, clock: Any
) -> None:
    analyzer = make(overflow, clock)
    first = observation(GOOD, AT)
    handle(analyzer, snapshot("sa", "api.bank.example"), first, polls(first, at=AT + MINUTE))
    disk.full = True
    for minutes in (2, 3):
        handle(analyzer, polls(first, at=AT + minutes * MINUTE))
    until = {first.subject: AT + timedelta(hours=1)}

    waiting = overflow.sightings_before(until)
    disk.full = False
    clock.advance(TRY_EVERY_S)
    handle(analyzer)

    assert not overflow.waiting
    assert [one.held for one in waiting[first.subject]] == [3 * MINUTE]
    assert waiting == overflow.sightings_before(until)


def test_what_waits_is_known_like_what_is_stored(disk: Disk, overflow: OverflowHistory, clock: Any) -> None:
    """The same questions, before and after there is room, have the same answers."""
    analyzer = make(overflow, clock)
    handle(analyzer, snapshot("sa", "api.bank.example"), observation(GOOD, AT))
    disk.full = True
    first, second = observation(CHANGED, AT + MINUTE), observation(BAD, AT + 2 * MINUTE)
    handle(analyzer, first)
    handle(analyzer, second, snapshot("sb", "www.bank.example"))
    swept = [sweep(at=AT + number * MINUTE) for number in (3, 4)]
    handle(analyzer, *swept)
    plan = Plan(subject="bank.example.", what=("ns",), begins_at=AT, ends_at=AT + timedelta(hours=1), by="ana")
    handle(analyzer, plan.declared(AT, "API"))

    def known() -> list[Any]:
        until = {first.subject: AT + timedelta(hours=1)}
        found = overflow.findings()
        ids = [finding.id for finding in found]
        return [
            overflow.standing_acts(["declare_change"]),
            sorted(overflow.findings_of(ids), key=lambda f: f.id),
            overflow.first_triggers(ids),
            overflow.versions(AT, None, 100),
            overflow.versions(AT + MINUTE, None, 2),
            overflow.validated_before(until),
            {
                subject: sorted(seen, key=lambda one: one.record)
                for subject, seen in overflow.sightings_before(until).items()
            },
            sorted(overflow.latest_judgements(), key=str),
            sorted(overflow.open_findings(), key=lambda f: f.id),
            sorted(found, key=lambda f: f.id),
            overflow.findings(status="open", code="rrsig_expired"),
            overflow.findings(code="nothing"),
            [overflow.finding_versions(finding.id) for finding in sorted(found, key=lambda f: f.id)],
            sorted(overflow.findings_triggered_by([first.id, second.id]), key=lambda f: (f.id, f.version)),
            overflow.stored_of([first.id, second.id, "none"]),
            overflow.judgements_of([first.id, second.id]),
            overflow.identities(),
            overflow.renewals(),
            overflow.sweep_memories(),
            overflow.sweep_memories([("other.test.", "authoritative")]),
            overflow.sweeps_stored_of({swept[0].id: "bank.example.", "none": "bank.example."}),
            overflow.sweeps("bank.example."),
            overflow.sweeps(),
            overflow.row_counts(),
        ]

    waiting = known()
    disk.full = False
    clock.advance(TRY_EVERY_S)
    overflow.append({})

    assert overflow.waiting == 0
    assert known() == waiting


def test_a_replay_while_the_disk_is_full_says_the_same(disk: Disk, overflow: OverflowHistory, clock: Any) -> None:
    analyzer = make(overflow, clock)
    handle(analyzer, snapshot("sa", "api.bank.example"), observation(GOOD, AT))
    disk.full = True
    batch = observation(BAD, AT + MINUTE)
    first = handle(analyzer, batch)

    again = handle(analyzer, batch)

    assert [(f.id, f.version) for f in again if f.code == "rrsig_expired"] == [(f.id, f.version) for f in first]


def test_polls_of_one_observation_take_one_row(disk: Disk, overflow: OverflowHistory, clock: Any) -> None:
    analyzer = make(overflow, clock)
    seen = observation(GOOD, AT)
    handle(analyzer, snapshot("sa", "api.bank.example"), seen)
    disk.full = True

    for number in range(1, 50):
        handle(analyzer, polls(seen, at=AT + number * MINUTE))

    assert overflow.waiting < 10
    ((_, _, seen_at, _),) = overflow.latest_judgements()
    assert seen_at == AT + 49 * MINUTE


def test_memory_is_bounded_evidence_goes_first_and_then_the_stage_waits(disk: Disk, clock: Any) -> None:
    overflow = OverflowHistory(disk, clock=clock, most_bytes=20_000)
    analyzer = make(overflow, clock)
    handle(analyzer, snapshot("sa", "api.bank.example"), observation(GOOD, AT))
    disk.full = True

    def go_on() -> None:
        for number in range(1, 100):
            handle(analyzer, observation(judgement(answers=(f"192.0.2.{number}",)), AT + number * MINUTE))

    with pytest.raises(DiskFull, match="no memory for more"):
        go_on()

    assert "evidence was dropped" in overflow.why_full()

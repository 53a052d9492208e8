"""The analyzer on the real engine: drift, states, restarts, replays."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from making import AT, judgement, link, observation, polls, snapshot

from analyzer.history import ClickHouseHistory
from analyzer.stage import Analyzer
from schemas.faults import Rejected, Transient
from schemas.judgement import Verdict
from schemas.messages import Finding, FindingStatus, InventoryIndex, Message, SelfReport

MINUTE = timedelta(minutes=1)


class Run:
    """One analyzer over a history; ``handle`` returns findings as (code, status, confirmed)."""

    def __init__(self, history: Any, clock: Any) -> None:
        self.analyzer = Analyzer(history, clock)
        self.last: list[Finding] = []

    def handle(self, *batch: Message) -> list[tuple[str, str, bool]]:
        out = asyncio.run(self._handle(batch))
        self.last = out
        return [(f.code, str(f.status), f.confirmed) for f in out]

    async def _handle(self, batch: Sequence[Message]) -> list[Finding]:
        return [message for message in await self.analyzer.handle(batch) if isinstance(message, Finding)]


def bogus(name: str = "api.bank.example.", **more: Any) -> Any:
    return judgement(name, verdict="bogus", code="rrsig_expired", **more)


def test_a_fault_opens_is_confirmed_and_closes_after_three_good_polls(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    bad = observation(bogus(), AT)
    good = observation(judgement(), AT + 2 * MINUTE)

    assert run.handle(snapshot("sa", "api.bank.example"), bad) == [("rrsig_expired", "opened", False)]
    assert run.handle(polls(bad, at=AT + MINUTE)) == [("rrsig_expired", "updated", True)]
    assert [identity.id for identity in run.last[0].identities] == ["sa"]
    assert run.handle(good) == []
    assert run.handle(polls(good, at=AT + 3 * MINUTE)) == []
    assert run.handle(polls(good, at=AT + 4 * MINUTE)) == [("rrsig_expired", "closed", True)]
    assert history.open_findings() == []


def test_one_bad_poll_is_never_confirmed(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(bogus(), AT))
    good = observation(judgement(), AT + MINUTE)

    statuses = (
        run.handle(good) + run.handle(polls(good, at=AT + 2 * MINUTE)) + run.handle(polls(good, at=AT + 3 * MINUTE))
    )

    assert statuses == [("rrsig_expired", "closed", False)]


def test_four_hundred_names_below_one_zone_are_one_finding(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    hosts = [f"h{i}.bank.example" for i in range(400)]

    found = run.handle(snapshot("sa", *hosts), *[observation(bogus(f"{host}."), AT) for host in hosts])

    assert found == [("rrsig_expired", "opened", False)]
    assert run.last[0].endpoint_count == 400


def test_a_drift_is_found_against_what_was_validated_before(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(judgement(), AT))
    run.handle(observation(bogus(answers=("203.0.113.9",)), AT + MINUTE))
    unsigned = judgement(
        verdict="insecure", code="unsigned_delegation",
        chain=(link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE)),
    )  # fmt: skip

    codes = {code for code, _, _ in run.handle(observation(unsigned, AT + 2 * MINUTE))}

    assert {"secure_to_insecure", "ds_changed"} <= codes
    assert "answer_changed" not in codes


def test_a_drift_never_closes_by_itself(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(judgement(), AT))
    run.handle(observation(judgement(answers=("192.0.2.99",)), AT + MINUTE))

    for minute in range(2, 8):
        assert (
            run.handle(polls(observation(judgement(answers=("192.0.2.99",)), AT + MINUTE), at=AT + minute * MINUTE))
            == []
        )
    assert [finding.code for finding in history.open_findings()] == ["answer_changed"]


def test_an_indeterminate_poll_says_nothing_about_an_open_fault(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(bogus(), AT))
    away = observation(judgement(verdict="indeterminate", code="verdict_indeterminate"), AT + MINUTE)
    run.handle(away)

    for minute in range(2, 7):
        run.handle(polls(away, at=AT + minute * MINUTE))

    assert {finding.code for finding in history.open_findings()} == {"rrsig_expired", "verdict_indeterminate"}


def test_a_lost_vantage_is_one_finding_and_no_name_is_blamed(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    names = [f"h{i}.bank.example." for i in range(5)]
    run.handle(*[observation(judgement(name), AT) for name in names])
    lost = SelfReport(code="self_vantage_lost", subject="corp", at=AT + MINUTE, detail="no answer")
    away = [judgement(name, verdict="indeterminate", code="verdict_indeterminate", zone=".") for name in names]

    found = run.handle(lost, *[observation(one, AT + MINUTE) for one in away])

    assert {code for code, _, _ in found} == {"self_vantage_lost"}
    assert found[-1][2]
    back = SelfReport(code="self_vantage_lost", subject="corp", at=AT + 2 * MINUTE)
    assert ("self_vantage_lost", "closed", True) in run.handle(back)


def test_critical_needs_two_vantages_or_a_third_poll(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(judgement(vantage="other"), AT))
    bad = observation(bogus(), AT)

    assert run.handle(bad) == [("rrsig_expired", "opened", False)]
    assert run.handle(polls(bad, at=AT + MINUTE)) == []
    assert run.handle(polls(bad, at=AT + 2 * MINUTE)) == [("rrsig_expired", "updated", True)]


def test_expiring_signatures_are_reported_by_time_alone(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(judgement(), AT))
    severities = []

    for day in range(1, 14):
        clock.advance(86_400)
        run.handle()
        severities += [(day, str(f.severity)) for f in run.last if f.code == "rrsig_expiring"]

    assert severities == [(9, "low"), (11, "high"), (12, "critical")]


def test_a_restart_forgets_nothing_and_opens_nothing_twice(history: ClickHouseHistory, clock: Any) -> None:
    first = Run(history, clock)
    bad = observation(bogus(), AT)
    first.handle(snapshot("sa", "api.bank.example"), bad, polls(bad, at=AT + MINUTE))
    known = history.open_findings()

    second = Run(history, clock)
    assert second.handle() == [("rrsig_expired", "opened", True)]
    assert [(f.id, f.version) for f in second.last] == [(f.id, f.version) for f in known]

    again = observation(bogus(), AT + 2 * MINUTE)
    assert second.handle(again) == []
    good = observation(judgement(), AT + 3 * MINUTE)
    closed = second.handle(good, polls(good, at=AT + 4 * MINUTE), polls(good, at=AT + 5 * MINUTE))
    assert closed == [("rrsig_expired", "closed", True)]
    assert second.last[0].id == known[0].id
    assert [identity.id for identity in second.last[0].identities] == ["sa"]


def test_a_fault_that_healed_while_we_were_away_closes(history: ClickHouseHistory, clock: Any) -> None:
    first = Run(history, clock)
    bad = observation(bogus(), AT)
    first.handle(bad, polls(bad, at=AT + MINUTE))
    second = Run(history, clock)
    second.handle()
    good = observation(judgement(), AT + 60 * MINUTE)

    second.handle(good)
    second.handle(polls(good, at=AT + 61 * MINUTE))

    assert second.handle(polls(good, at=AT + 62 * MINUTE)) == [("rrsig_expired", "closed", True)]


def test_a_replayed_batch_reports_the_same_drift(history: ClickHouseHistory, clock: Any) -> None:
    first = Run(history, clock)
    first.handle(observation(judgement(), AT))
    batch = [observation(judgement(answers=("192.0.2.99",)), AT + MINUTE)]
    first.handle(*batch)
    reported = [(f.id, f.version, f.code) for f in first.last]
    assert reported

    first.handle(*batch)
    assert [(f.id, f.version, f.code) for f in first.last] == reported

    second = Run(history, clock)
    second.handle()
    second.handle(*batch)
    assert [(f.id, f.version, f.code) for f in second.last] == reported
    assert len(history.findings()) == len({identity for identity, _, _ in reported})


class Flaky:
    """A history that is away once: the real one behind it."""

    def __init__(self, history: ClickHouseHistory) -> None:
        self._history, self.fail = history, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._history, name)

    def append(self, tables: Any) -> None:
        if self.fail:
            self.fail -= 1
            raise Transient("away")
        self._history.append(tables)


def test_a_history_that_is_away_changes_nothing_about_the_outcome(history: ClickHouseHistory, clock: Any) -> None:
    flaky = Flaky(history)
    run = Run(flaky, clock)
    bad = observation(bogus(), AT)
    flaky.fail = 1

    with pytest.raises(Transient):
        run.handle(bad)

    assert run.handle(bad) == [("rrsig_expired", "opened", False)]
    assert run.handle(polls(bad, at=AT + MINUTE)) == [("rrsig_expired", "updated", True)]


def test_what_is_watched_no_more_holds_nothing_open(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(snapshot("sa", "api.bank.example"), observation(bogus(), AT))

    gone = run.handle(snapshot("sa", "other.example"))

    assert gone == [("rrsig_expired", "closed", False)]


def test_who_left_the_inventory_while_we_were_away_holds_nothing_open(history: ClickHouseHistory, clock: Any) -> None:
    Run(history, clock).handle(snapshot("sa", "api.bank.example"), snapshot("sb"), observation(bogus(), AT))
    second = Run(history, clock)
    second.handle()

    gone = second.handle(InventoryIndex(seen_at=AT + MINUTE, ids=("sb",)))

    assert gone == [("rrsig_expired", "closed", False)]
    assert [identity_id for identity_id, _ in history.identities()] == ["sb"]


def test_an_inventory_that_can_not_be_read_is_a_finding_until_it_can(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    stale = SelfReport(
        code="self_inventory_stale", subject="inventory.yaml", at=AT, detail="inventory.yaml:3: not YAML"
    )

    assert run.handle(stale) == [("self_inventory_stale", "opened", True)]
    over = SelfReport(code="self_inventory_stale", subject="inventory.yaml", at=AT + MINUTE)
    assert run.handle(over) == [("self_inventory_stale", "closed", True)]


def test_a_message_of_another_stage_is_rejected(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(bogus(), AT))

    with pytest.raises(Rejected):
        run.handle(run.last[0])


def test_every_observation_is_stored_with_evidence_and_intervals(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    one = observation(judgement(), AT)
    run.handle(one, polls(one, at=AT + 5 * MINUTE))

    (interval,) = history.intervals("api.bank.example.")
    evidence = history.evidence(one.judgement.evidence)

    assert (interval["verdict"], interval["first_seen_at"], interval["last_seen_at"]) == ("secure", AT, AT + 5 * MINUTE)
    assert evidence is not None
    assert evidence.messages == (b"\x00\xff", b"x")
    assert FindingStatus.OPENED

"""What people do, over its history: accepted drifts close, over restarts and repetitions."""

import logging
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analyzer.analysis import Analysis
from analyzer.findings.changes import Plan
from analyzer.stage import Analyzer
from schemas.judgement import Verdict
from schemas.messages import Act, Finding
from tests.analyzer.test_stage import MINUTE, Run
from tests.support.databases import AnyHistory
from tests.support.making import AT, judgement, link, observation, snapshot

UNSIGNED = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))


def insecure(**more: Any) -> Any:
    return judgement(
        verdict="insecure", code="unsigned_delegation", chain=UNSIGNED, expires_at=None, inception_at=None, **more
    )


def accepting(finding: Finding, **changes: Any) -> Act:
    fields = {"id": f"accept-{finding.id}", "by": "ana", "at": AT + 5 * MINUTE, "why": "planned", **changes}
    return Act(kind="accept", subject=finding.id, **fields)


@pytest.fixture
def run(any_history: AnyHistory, clock: Any) -> Run:
    run = Run(any_history, clock)
    run.handle(snapshot("sa", "api.bank.example", answers=("192.0.2.1",)), observation(judgement(), AT))
    return run


def lost_protection(run: Run, vantage: str = "corp", minute: float = 1) -> Finding:
    run.handle(observation(insecure(vantage=vantage), AT + minute * MINUTE))
    return next(one for one in run.last if one.code == "secure_to_insecure")


def test_an_accepted_drift_is_closed_with_who_and_why(run: Run, any_history: AnyHistory) -> None:
    finding = lost_protection(run)

    assert run.handle(accepting(finding)) == [("secure_to_insecure", "closed", True)]

    (closed,) = run.last
    assert (closed.id, closed.version) == (finding.id, finding.version + 1)
    assert (closed.accepted_by, closed.closed_because) == ("ana", "accepted by ana: planned")
    assert finding.id not in {one.id for one in any_history.open_findings()}
    assert [act.by for act in any_history.acts()] == ["ana"]


def test_the_same_acceptance_twice_closes_once_and_says_the_same(run: Run) -> None:
    finding = lost_protection(run)
    act = accepting(finding)
    run.handle(act)
    first = run.last

    run.handle(act)
    assert run.last == first, "its batch came again: what it said is said again"
    assert run.handle(accepting(finding, id="another", by="bo")) == []


def test_a_batch_that_was_not_stored_whole_is_taken_in_again(run: Run, any_history: AnyHistory, clock: Any) -> None:
    """The process ended between the tables: what an act comes to is stored before the act."""
    finding = lost_protection(run)

    class Torn:
        def __getattr__(self, name: str) -> Any:
            return getattr(any_history, name)

        def append(self, tables: Any) -> None:
            any_history.append({"findings": tables["findings"]})
            raise KeyboardInterrupt

    torn = Run(Torn(), clock)
    with pytest.raises(KeyboardInterrupt):
        torn.handle(accepting(finding))

    again = Run(any_history, clock)
    again.handle(accepting(finding))
    assert [one.status for one in again.last if one.id == finding.id] == ["closed"]
    assert again.analyzer.acts.knows(accepting(finding))
    assert [act.subject for act in any_history.acts()] == [finding.id]


def test_the_same_change_seen_from_elsewhere_stays_accepted_over_a_restart(
    run: Run, any_history: AnyHistory, clock: Any
) -> None:
    run.handle(observation(judgement(vantage="isp"), AT))
    run.handle(accepting(lost_protection(run)))
    clock.advance(600)
    again = Run(any_history, clock)

    again.handle(observation(insecure(vantage="isp"), AT + 6 * MINUTE))

    assert [one for one in again.last if one.code == "secure_to_insecure" and one.status != "closed"] == []


def test_the_same_change_at_the_same_place_is_another_finding(run: Run) -> None:
    first = lost_protection(run)
    run.handle(accepting(first))
    run.handle(observation(judgement(), AT + 6 * MINUTE))

    second = lost_protection(run, minute=7)

    assert second.id != first.id
    assert second.status == "opened"


def test_a_drift_of_last_month_can_be_accepted(run: Run, any_history: AnyHistory, clock: Any) -> None:
    finding = lost_protection(run)
    clock.advance(30 * 24 * 3600)
    later = Run(any_history, clock)
    later.handle()

    assert later.handle(accepting(finding, at=clock.at)) == [("secure_to_insecure", "closed", True)]


@pytest.mark.parametrize("subject", ["no-such-finding", ""])
def test_what_is_not_there_is_accepted_by_nobody(run: Run, subject: str) -> None:
    finding = lost_protection(run)

    assert run.handle(msgspec.structs.replace(accepting(finding), subject=subject)) == []


def test_what_had_no_effect_has_none_after_a_restart(run: Run, any_history: AnyHistory, clock: Any) -> None:
    """Acts are kept whatever came of them: answers of one that accepted no finding must not be learnt from it."""
    answers: dict[str, Any] = {"rrset": "api.bank.example. A", "answers": ("203.0.113.66",)}
    drift = lost_protection(run)
    run.handle(
        Act(kind="accept", id="1", by="eve", at=AT + 5 * MINUTE, subject="none", **answers),
        Act(kind="accept", id="2", by="eve", at=AT + 5 * MINUTE, subject=drift.id, **answers),
    )
    again = Run(any_history, clock)
    again.handle()

    for one in (run, again):
        assert one.analyzer.acts.accepted_answers("api.bank.example.", "A", "corp") == frozenset()
    assert len(any_history.acts()) == 2


def test_a_state_is_not_accepted(run: Run) -> None:
    run.handle(observation(judgement(verdict="bogus", code="rrsig_expired"), AT + MINUTE))
    (state,) = run.last

    assert run.handle(accepting(state)) == []
    assert [one.code for one in run.analyzer.findings()] == ["rrsig_expired"]


def test_an_accepted_answer_is_silent_when_it_comes_back_over_a_restart(
    run: Run, any_history: AnyHistory, clock: Any
) -> None:
    run.handle(observation(judgement(answers=("192.0.2.7",)), AT + MINUTE))
    (moved,) = run.last
    answers = {"rrset": "api.bank.example. A", "answers": ("192.0.2.7",), "vantages": ("corp",)}
    run.handle(accepting(moved, **answers))
    again = Run(any_history, clock)
    again.handle(observation(judgement(), AT + 6 * MINUTE))

    assert again.handle(observation(judgement(answers=("192.0.2.7",)), AT + 7 * MINUTE)) == []
    again.handle(observation(judgement(answers=("192.0.2.7", "203.0.113.66")), AT + 8 * MINUTE))
    assert [(one.code, str(one.severity)) for one in again.last] == [("answer_changed", "high")]


def test_a_change_in_the_configuration_is_declared_once_and_ends_with_it(any_history: AnyHistory, clock: Any) -> None:
    plan = Plan(
        subject="bank.example.",
        what=("unsign",),
        begins_at=AT,
        ends_at=AT + timedelta(hours=2),
        by="ana",
    )

    def kinds() -> list[tuple[str, str]]:
        return [(act.kind, act.by) for act in reversed(any_history.acts())]

    for _ in range(2):
        run = Run(any_history, clock)
        run.analyzer = Analyzer(any_history, clock, plans=[plan])
        run.handle(snapshot("sa", "api.bank.example"))
        clock.advance(60)
    assert kinds() == [("declare_change", "ana")]

    run = Run(any_history, clock)
    run.handle()
    assert kinds() == [("declare_change", "ana"), ("end_change", "configuration")]
    assert [str(one.ended.by) for one in run.analyzer.acts.changes() if one.ended] == ["configuration"]


def test_every_act_is_logged_and_one_without_effect_says_why(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    plan = Plan(subject="*.example.", what=("ns",), begins_at=AT, ends_at=AT + timedelta(hours=2), by="eve")

    with caplog.at_level(logging.INFO, "analyzer.stage"):
        run.handle(accepting(lost_protection(run)), plan.declared(AT, "API"))

    said = [(record.message, record.who, getattr(record, "detail", "")) for record in caplog.records]  # type: ignore[attr-defined]
    assert said == [
        ("an act was taken in", "ana", ""),
        ("an act has no effect", "eve", "a change is declared for one zone or name: a wildcard is none"),
    ]


def test_a_thousand_windows_cost_a_drift_no_more_than_one() -> None:
    from analyzer.detected import drift_of
    from schemas.codes import Code
    from tests.support.operations import calls_of

    def cost(count: int) -> int:
        analysis = Analysis()
        for number in range(count):
            plan = Plan(
                subject=f"z{number}.example.", what=("ns",), begins_at=AT, ends_at=AT + timedelta(hours=2), by="ana"
            )
            assert analysis.acts.put(plan.declared(AT, "API")) == []
        return calls_of(lambda: analysis.acts.lower(drift_of(Code.DS_CHANGED, "z0.example.", "", "1", "2"), AT))

    assert cost(1_000) <= cost(1) + 2

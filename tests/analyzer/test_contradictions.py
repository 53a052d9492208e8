"""Denials that deny what is there, after slack.com in 2021."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analyzer.stage import Analyzer
from anchorwatch.replay.inline import InlineLoop
from schemas.judgement import AliasLink, Judgement, Verdict
from schemas.messages import Finding, Message, Observation
from tests.support.databases import AnyHistory
from tests.support.making import AT, judgement, observation, polls, snapshot, with_zones

NAME, TARGET = "api.bank.example.", "edge.bank.example."
OTHERS = ("CNAME", "MX", "TXT")


def data(owner: str = NAME, **more: Any) -> Judgement:
    made = judgement(**{"ttl_s": 3600, **more})
    alias = (AliasLink(NAME, "CNAME", "bank.example.", Verdict.SECURE, owner),) if owner != NAME else ()
    return msgspec.structs.replace(made, links=(*alias, AliasLink(owner, "A", "bank.example.", made.verdict)))


def denial(*denies: str, owner: str = NAME, **more: Any) -> Judgement:
    made = data(owner, answers=(), **more)
    return msgspec.structs.replace(made, type="AAAA", denies=denies)


class Run:
    """The two types of one name, by the minute; ``told`` are the findings of this code."""

    def __init__(self, history: AnyHistory, clock: Any) -> None:
        self.analyzer, self.clock = Analyzer(history, clock), clock
        self.told: list[Finding] = []
        self.made: dict[str, Observation] = {}
        self.take(0, snapshot("sa", "api.bank.example"))

    def take(self, minute: float, *batch: Message) -> None:
        self.clock.seconds = (AT + timedelta(minutes=minute)).timestamp()
        found = InlineLoop().run(self.analyzer.handle(with_zones(batch)))
        self.told += [one for one in found if isinstance(one, Finding) and one.code == "denial_contradicts_data"]

    def see(self, minute: float, *judged: Judgement) -> None:
        at = AT + timedelta(minutes=minute)
        made = [observation(one, at) for one in judged]
        self.made |= {one.judgement.type: one for one in made}
        self.take(minute, *made)

    def poll(self, *minutes: float) -> None:
        for minute in minutes:
            self.take(minute, polls(*self.made.values(), at=AT + timedelta(minutes=minute)))

    @property
    def now(self) -> list[tuple[str, str, bool]]:
        newest = {one.id: one for one in self.told}.values()
        return [(str(one.severity), one.cause_rrset, one.confirmed) for one in newest if one.status != "closed"]


@pytest.fixture
def run(any_history: AnyHistory, clock: Any) -> Run:
    return Run(any_history, clock)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_denial_that_leaves_out_a_type_that_is_there_is_told_after_an_hour_and_closes(
    run: Run, reverse: bool
) -> None:
    judged = [denial("A", *OTHERS), data()]
    run.see(0, *(reversed(judged) if reverse else judged))
    run.poll(5, 30, 55)
    assert run.now == [("high", NAME, False)]
    run.poll(61, 66)
    assert run.now == [("high", NAME, True)]
    assert "has no AAAA, by a record that says it has no A either; but its A is there" in run.told[-1].detail

    run.see(70, denial(*OTHERS))
    run.poll(75, 80)
    assert run.now == []


def test_it_outlives_a_restart(run: Run) -> None:
    run.see(0, denial("A", *OTHERS), data())
    run.poll(5, 66, 71)
    run.analyzer.forget()
    run.poll(75, 80, 85, 90)

    assert run.now == [("high", NAME, True)]


@pytest.mark.parametrize(
    "judged",
    [
        (denial(*OTHERS), data()),
        (denial("A", *OTHERS), denial("AAAA", *OTHERS)),
        (denial("A", *OTHERS), data(verdict="insecure", code="unsigned_delegation")),
        (denial("A", *OTHERS, owner=TARGET), data("other.bank.example.")),
        (denial("A", *OTHERS), judgement(verdict="bogus", code="rrsig_missing")),
    ],
    ids=["it lists the type", "nothing is there", "unsigned data", "another target", "bogus data"],
)
def test_what_contradicts_nothing_is_silent(run: Run, judged: tuple[Judgement, ...]) -> None:
    first = msgspec.structs.replace(judged[1], type="A")
    run.see(0, judged[0], first)
    run.poll(5, 66, 71)

    assert run.told == []


def test_behind_an_alias_the_targets_denial_is_held_against_the_targets_data(run: Run) -> None:
    run.see(0, denial("A", *OTHERS, owner=TARGET), data(TARGET))
    run.poll(5, 66, 71)

    assert run.now == [("high", NAME, True)]


def test_a_denied_alias_that_another_type_follows_is_told(run: Run) -> None:
    run.see(0, denial("A", *OTHERS), data(TARGET))
    run.poll(61, 66)

    assert "its CNAME is there and secure" in run.told[-1].detail


def test_data_that_a_cached_denial_does_not_know_yet_are_never_told(run: Run) -> None:
    run.see(0, denial("A", *OTHERS), denial("AAAA", *OTHERS))
    run.see(30, data())
    run.poll(35, 50)
    run.see(70, denial(*OTHERS))
    run.poll(75, 80, 100)

    assert not any(one.confirmed for one in run.told)
    assert run.now == []

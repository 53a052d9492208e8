"""Names that production shares with other environments, or that are answered from there."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analyzer.findings.environments import is_other, is_production
from analyzer.stage import Analyzer
from anchorwatch.replay.inline import InlineLoop
from schemas.judgement import AliasLink, Judgement, Verdict
from schemas.messages import Endpoint, Finding, Identity, InventorySnapshot, Message, Observation
from tests.support.databases import AnyHistory
from tests.support.making import AT, judgement, observation, polls, with_zones

NAME, STAGING = "api.bank.example", "staging.bank.example"


@pytest.mark.parametrize(
    ("environment", "production", "other"),
    [
        ("prod", True, False),
        (" Production", True, False),
        ("prod-eu", True, False),
        ("live", True, False),
        ("pre-prod", False, True),
        ("non_prod", False, True),
        ("preproduction", False, True),
        ("staging", False, True),
        ("product-demo", False, True),
        ("", False, False),
        (" ", False, False),
    ],
)
def test_an_environment_is_production_by_its_words(environment: str, production: bool, other: bool) -> None:
    assert (is_production(environment), is_other(environment)) == (production, other)


def identity(name: str, environment: str, *hosts: str, answers: tuple[str, ...] = ()) -> InventorySnapshot:
    endpoints = tuple(Endpoint(host=host, types=("A",), answers=answers) for host in hosts)
    return InventorySnapshot(
        id=name, seen_at=AT, identity=Identity(id=name, environment=environment, endpoints=endpoints)
    )


def gone(name: str) -> InventorySnapshot:
    return InventorySnapshot(id=name, seen_at=AT, identity=None)


def aliased(target: str) -> Judgement:
    links = (
        AliasLink(f"{NAME}.", "CNAME", "bank.example.", Verdict.SECURE, f"{target}."),
        AliasLink(f"{target}.", "A", "bank.example.", Verdict.SECURE),
    )
    return msgspec.structs.replace(judgement(answers=()), links=links, answers=(f"{target}. A 192.0.2.1",))


class Run:
    """One name, by the minute; ``told`` are the findings of this code."""

    def __init__(self, history: AnyHistory, clock: Any) -> None:
        self.analyzer, self.told = Analyzer(history, clock), list[Finding]()
        self.made: Observation | None = None

    def take(self, *batch: Message) -> None:
        found = InlineLoop().run(self.analyzer.handle(with_zones(batch)))
        self.told += [one for one in found if isinstance(one, Finding) and one.code == "environment_mixed"]

    def see(self, minute: float, judged: Judgement) -> None:
        self.made = observation(judged, AT + timedelta(minutes=minute))
        self.take(self.made)

    def poll(self, *minutes: float) -> None:
        assert self.made is not None
        for minute in minutes:
            self.take(polls(self.made, at=AT + timedelta(minutes=minute)))

    @property
    def now(self) -> list[tuple[str, str, str, bool]]:
        newest = {one.id: one for one in self.told}.values()
        return [(str(f.severity), f.cause_zone, f.cause_rrset, f.confirmed) for f in newest if f.status != "closed"]


MIXED = [("medium", "bank.example.", f"{NAME}.", True)]


@pytest.fixture
def run(any_history: AnyHistory, clock: Any) -> Run:
    return Run(any_history, clock)


def test_a_name_that_production_and_staging_consume_is_told_until_one_of_them_left(run: Run) -> None:
    run.take(identity("sa-pay", "prod", NAME), identity("sa-test", "staging", NAME))
    run.see(0, judgement())
    run.poll(1)
    assert run.now == MIXED
    assert run.told[-1].detail == f"{NAME}. is consumed by sa-pay of production, and by sa-test (staging)"

    run.take(gone("sa-test"))
    run.poll(2, 3, 4)
    assert run.now == []


def test_it_is_told_though_the_name_is_not_observed_anew(run: Run) -> None:
    run.take(identity("sa-pay", "prod", NAME))
    run.see(0, judgement())
    run.take(identity("sa-test", "staging", NAME))
    run.poll(1, 2)

    assert run.now == MIXED


@pytest.mark.parametrize(
    "others",
    [
        (identity("sa-b", "production", NAME),),
        (identity("sa-b", "", NAME),),
        (identity("sa-b", "staging", STAGING),),
        (identity("sa-pay", "dev", NAME), identity("sa-b", "staging", NAME)),
    ],
    ids=["production too", "unknown", "another name", "no production"],
)
def test_one_environment_for_itself_is_silent(run: Run, others: tuple[InventorySnapshot, ...]) -> None:
    run.take(identity("sa-pay", "prod", NAME), *others)
    run.see(0, judgement())
    run.poll(1, 2)

    assert run.told == []


def test_a_production_name_that_leads_to_a_host_of_staging_is_told_until_it_leads_elsewhere(run: Run) -> None:
    run.take(identity("sa-pay", "prod", NAME), identity("sa-test", "staging", STAGING))
    run.see(0, aliased(STAGING))
    run.poll(1)
    assert run.now == MIXED
    assert "leads to staging.bank.example., which only sa-test (staging) consume" in run.told[-1].detail

    run.see(2, aliased("edge.bank.example"))
    run.poll(3, 4)
    assert run.now == []


def test_a_host_that_production_consumes_as_well_is_no_host_of_staging(run: Run) -> None:
    run.take(identity("sa-pay", "prod", NAME, STAGING), identity("sa-test", "staging", STAGING))
    run.see(0, aliased(STAGING))
    run.poll(1, 2)

    assert run.told == []


def test_a_production_name_in_a_network_that_only_staging_allows_is_told(run: Run) -> None:
    test = identity("sa-test", "staging", STAGING, answers=("198.51.100.0/24", "198.51.0.0/16"))
    run.take(identity("sa-pay", "prod", NAME), test)
    run.see(0, judgement(answers=("198.51.100.7",)))
    run.poll(1)
    assert run.now == MIXED

    run.take(identity("sa-pay", "prod", NAME, answers=("198.51.100.0/24",)))
    run.see(2, judgement(answers=("198.51.100.7",)))
    run.poll(3, 4)
    assert run.now == [], "production allows it as well now"


def test_a_network_of_a_row_that_is_gone_counts_no_more(run: Run) -> None:
    run.take(identity("sa-pay", "prod", NAME), identity("sa-test", "dev", STAGING, answers=("198.51.100.0/24",)))
    run.take(gone("sa-test"))
    run.see(0, judgement(answers=("198.51.100.7",)))
    run.poll(1, 2)

    assert run.told == []


def test_it_outlives_a_restart(run: Run) -> None:
    run.take(identity("sa-pay", "prod", NAME), identity("sa-test", "staging", STAGING, NAME))
    run.see(0, aliased(STAGING))
    run.poll(1)
    run.analyzer.forget()
    run.poll(2, 3, 4, 5)
    assert run.now == MIXED


def test_an_answer_that_is_not_validated_says_nothing_of_it(run: Run) -> None:
    run.take(identity("sa-pay", "prod", NAME), identity("sa-test", "staging", NAME))
    run.see(0, judgement())
    run.poll(1)
    run.see(2, judgement(verdict="bogus", code="rrsig_expired"))
    run.poll(3, 4, 5)

    assert run.now == MIXED

"""Endpoints that nobody polls while others are polled, through the real analyzer."""

from datetime import timedelta
from typing import Any

import pytest

from analyzer.stage import Analyzer
from anchorwatch.replay.inline import InlineLoop
from schemas.messages import Finding, InventoryIndex, Message, Observation, SelfReport
from tests.support.databases import AnyHistory
from tests.support.making import AT, judgement, observation, polls, snapshot, with_zones

HOSTS = ("a.bank.example", "b.bank.example", "c.shop.example")


class Run:
    """Three hosts, polled every minute as told; ``told`` are the findings of this code."""

    def __init__(self, history: AnyHistory, clock: Any, vantages: tuple[str, ...] = ("corp",)) -> None:
        self.analyzer, self.clock = Analyzer(history, clock, interval_s=60.0), clock
        self.told: list[Finding] = []
        self.made: dict[str, Observation] = {}
        self.minute = 0
        endpoints = snapshot("sa", *HOSTS, types=("A",))
        self.take(InventoryIndex(seen_at=AT, ids=("sa",), vantages=vantages), endpoints)

    @property
    def at(self) -> Any:
        return AT + timedelta(minutes=self.minute)

    def take(self, *batch: Message) -> None:
        self.clock.seconds = self.at.timestamp()
        found = InlineLoop().run(self.analyzer.handle(with_zones(batch)))
        self.told += [one for one in found if isinstance(one, Finding) and one.code == "self_observation_gap"]

    def see(self, *hosts: str, **judged: Any) -> None:
        for host in hosts:
            made = observation(judgement(f"{host}.", **judged), self.at)
            self.made[host + judged.get("vantage", "")] = made
            self.take(made)

    def poll(self, minutes: int, *hosts: str) -> None:
        """Have these hosts polled each minute, and the others not."""
        for _ in range(minutes):
            self.minute += 1
            self.take(*(polls(self.made[host], at=self.at) for host in hosts))

    @property
    def now(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        newest = {one.id: one for one in self.told}.values()
        return [(one.vantages, one.endpoints) for one in newest if one.status != "closed"]


@pytest.fixture
def run(any_history: AnyHistory, clock: Any) -> Run:
    run = Run(any_history, clock)
    run.see(*HOSTS)
    run.poll(15, *HOSTS)
    return run


def test_endpoints_that_are_not_polled_while_others_are_are_one_finding_until_they_are(run: Run) -> None:
    run.poll(9, HOSTS[2])
    assert run.now == []
    run.poll(3, HOSTS[2])

    assert run.now == [(("corp",), ("a.bank.example. A", "b.bank.example. A"))]
    (found,) = run.told
    assert (found.severity, found.confirmed, found.cause_rrset) == ("high", True, "vantage corp")
    assert found.detail.startswith("2 endpoints were not polled through corp for 10 minutes: a.bank.example. A")
    assert [one.id for one in found.identities] == ["sa"]

    run.poll(2, *HOSTS[1:])
    assert run.now == [(("corp",), ("a.bank.example. A",))]
    run.poll(2, *HOSTS)
    assert run.now == []


def test_an_endpoint_that_no_poll_ever_spoke_of_is_missed_too(run: Run) -> None:
    """A part of the inventory that no collector has, from the start."""
    run.take(snapshot("sb", "new.shop.example", types=("A",)), InventoryIndex(seen_at=run.at, ids=("sa", "sb")))
    run.poll(13, *HOSTS)
    assert run.now == [(("corp",), ("new.shop.example. A",))]

    run.see("new.shop.example")
    run.poll(2, *HOSTS, "new.shop.example")
    assert run.now == []


def test_an_endpoint_that_left_before_it_was_ever_polled_is_not_missed(run: Run) -> None:
    run.take(snapshot("sb", "new.shop.example", types=("A",)))
    run.poll(5, *HOSTS)
    run.take(InventoryIndex(seen_at=run.at, ids=("sa",)))
    run.poll(15, *HOSTS)

    assert run.told == []


def test_when_nothing_at_all_is_polled_the_heartbeat_tells_it_and_afterwards_we_are_patient(run: Run) -> None:
    run.poll(60)
    assert run.told == []
    run.poll(9, HOSTS[0])
    assert run.told == []
    run.poll(1, *HOSTS)
    run.poll(9, *HOSTS)

    assert run.told == []


def test_a_backlog_that_comes_unevenly_is_no_gap(run: Run) -> None:
    """The analyzer was away for an hour; one part of the polls is an hour newer than the other for a moment."""
    run.minute += 60
    run.take(*(polls(run.made[HOSTS[0]], at=run.at - timedelta(minutes=60 - n)) for n in range(1, 60)))
    run.poll(1, HOSTS[0])
    run.take(*(polls(run.made[host], at=run.at) for host in HOSTS[1:]))
    run.poll(12, *HOSTS)

    assert run.told == []


def test_a_vantage_that_is_lost_has_a_finding_of_its_own(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock, ("corp", "other"))
    run.see(*HOSTS)
    run.see(*HOSTS, vantage="other")
    both = (*HOSTS, *(f"{host}other" for host in HOSTS))
    run.poll(15, *both)
    run.take(SelfReport(code="self_vantage_lost", subject="other", at=run.at, detail="no answer"))
    run.poll(20, *HOSTS)

    assert run.told == []


def test_a_vantage_that_no_collector_polls_is_missed(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock, ("corp", "other"))
    run.see(*HOSTS)
    run.poll(25, *HOSTS)

    assert run.now == [(("other",), tuple(f"{host}. A" for host in HOSTS))]


def test_names_of_a_zone_that_is_silent_rest_and_are_not_missed(run: Run) -> None:
    run.see(HOSTS[0], verdict="indeterminate", code="verdict_indeterminate")
    run.poll(20, HOSTS[0], HOSTS[2])

    assert run.told == []


def test_a_restart_neither_closes_nor_opens_it(run: Run) -> None:
    run.poll(12, HOSTS[2])
    assert run.now != []
    run.analyzer.forget()
    run.poll(12, HOSTS[2])
    assert len(run.now) == 1
    run.analyzer.forget()
    run.poll(14, *HOSTS)

    assert run.now == []


def test_without_an_interval_nothing_is_missed(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.analyzer = Analyzer(any_history, clock)
    run.see(*HOSTS)
    run.poll(30, HOSTS[0])

    assert run.told == []

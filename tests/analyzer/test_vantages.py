"""What vantages see differently, from the observations through the real analyzer."""

from datetime import timedelta
from typing import Any

import pytest

from analyzer.stage import Analyzer
from anchorwatch.replay.inline import InlineLoop
from schemas.judgement import Verdict
from schemas.messages import Finding, InventoryIndex, Message, Observation
from tests.support.databases import AnyHistory
from tests.support.making import AT, judgement, link, observation, polls, snapshot, with_zones

HOME, AWAY, THERE = "192.0.2.1", "203.0.113.66", "198.51.100.9"
DAY = 24 * 60
CUT = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))
BROKEN = (link("."), link("example."), link("bank.example.", verdict=Verdict.BOGUS))
VANTAGES = ("a", "b", "c")


class Run:
    """One name through three vantages, by the minute; ``findings`` are those of this code."""

    def __init__(self, history: AnyHistory, clock: Any, vantages: tuple[str, ...] = VANTAGES) -> None:
        self.analyzer, self.clock, self.vantages = Analyzer(history, clock), clock, vantages
        self.findings: list[Finding] = []
        self.last: dict[str, Observation] = {}
        self.take(0, InventoryIndex(seen_at=AT, ids=("sa",), vantages=vantages), snapshot("sa", "api.bank.example"))

    def take(self, minute: float, *batch: Message) -> None:
        at = AT + timedelta(minutes=minute)
        self.clock.seconds = at.timestamp()
        found = InlineLoop().run(self.analyzer.handle(with_zones(batch)))
        self.findings += [one for one in found if isinstance(one, Finding) and one.code == "vantage_disagreement"]

    def see(self, minute: float, vantage: str, **judged: Any) -> None:
        at = AT + timedelta(minutes=minute)
        made = self.last[vantage] = observation(judgement(vantage=vantage, **judged), at)
        self.take(minute, made)

    def unsigned(self, minute: float, vantage: str, *answers: str, **more: Any) -> None:
        fields: dict[str, Any] = {"verdict": "insecure", "code": "unsigned_delegation", "chain": CUT, "ttl_s": 60}
        self.see(minute, vantage, **{**fields, "answers": answers, **more})

    def poll(self, minute: float, *vantages: str) -> None:
        at = AT + timedelta(minutes=minute)
        for vantage in vantages or self.vantages:
            self.take(minute, polls(self.last[vantage], at=at))

    def settle(self, days: int = 2, **homes: str) -> None:
        """Have each vantage see one answer for days."""
        for vantage in self.vantages:
            self.unsigned(0, vantage, homes.get(vantage, HOME))
        for minute in range(360, days * DAY + 1, 360):
            self.poll(minute)

    @property
    def now(self) -> list[tuple[str, bool, tuple[str, ...]]]:
        """Return severity, confirmation and vantages of what is open."""
        newest = {finding.id: finding for finding in self.findings}.values()
        return [(str(f.severity), f.confirmed, f.vantages) for f in newest if f.status != "closed"]


@pytest.fixture
def run(any_history: AnyHistory, clock: Any) -> Run:
    return Run(any_history, clock)


START = 2 * DAY


def test_an_address_that_one_vantage_alone_sees_is_high_once_caches_can_lag_no_more(run: Run) -> None:
    """The TTL that a forger gives his answer does not count."""
    run.settle()
    run.unsigned(START + 5, "a", AWAY, ttl_s=86_400)
    for minute in (10, 15):
        run.poll(START + minute)
    assert run.now == [("high", False, ("a",))]
    for minute in (20, 25, 30):
        run.poll(START + minute)
    assert run.now == [("high", True, ("a",))]
    assert "203.0.113.66 through a, and not through b, c" in run.findings[-1].detail

    run.unsigned(START + 60, "a", HOME)
    for minute in (65, 70, 75):
        run.poll(START + minute)
    assert run.now == []


def test_a_change_that_the_others_follow_within_the_ttl_is_never_told(run: Run) -> None:
    run.settle()
    for vantage, minute in (("a", 5), ("b", 9), ("c", 14)):
        run.unsigned(START + minute, vantage, AWAY)
    for minute in (15, 20, 25, 30, 35):
        run.poll(START + minute)

    assert run.now == []
    assert not any(finding.confirmed for finding in run.findings)


def test_vantages_that_were_not_polled_since_are_no_evidence(run: Run) -> None:
    run.settle()
    run.unsigned(START + 5, "a", AWAY)
    for minute in range(10, 300, 5):
        run.poll(START + minute, "a")

    assert run.now == []


def test_a_long_ttl_is_waited_for(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock, ("a", "b"))
    for vantage in run.vantages:
        run.unsigned(0, vantage, HOME, ttl_s=4 * 3600)
    for minute in range(360, START + 1, 360):
        run.poll(minute)
    run.unsigned(START + 5, "a", AWAY)
    for minute in range(10, 240, 10):
        run.poll(START + minute)
    assert [confirmed for _, confirmed, _ in run.now] == [False]
    for minute in (250, 255):
        run.poll(START + minute)

    assert run.now == [("high", True, ("a",))]


def test_vantages_that_always_had_sets_of_their_own_are_silent(run: Run) -> None:
    run.settle(a=HOME, b=AWAY, c=THERE)
    run.unsigned(START + 5, "a", "192.0.2.7")
    run.unsigned(START + 6, "b", THERE)
    for minute in (10, 30, 60, 90):
        run.poll(START + minute)

    assert run.findings == []


def test_of_three_vantages_two_may_be_astray_together(run: Run) -> None:
    run.settle()
    run.unsigned(START + 5, "a", AWAY)
    run.unsigned(START + 6, "b", AWAY)
    for minute in (10, 20, 30, 40):
        run.poll(START + minute)

    assert run.now == [("high", True, ("a", "b"))]


def test_a_batch_that_brings_the_change_of_all_vantages_is_silent(run: Run) -> None:
    run.settle()
    at = AT + timedelta(minutes=START + 5)
    made = [
        observation(
            judgement(vantage=v, verdict="insecure", code="unsigned_delegation", chain=CUT, answers=(AWAY,)), at
        )
        for v in VANTAGES
    ]
    run.take(START + 5, *made)
    run.last = dict(zip(VANTAGES, made, strict=True))
    for minute in (10, 30, 60):
        run.poll(START + minute)

    assert run.findings == []


def test_a_restart_neither_closes_nor_forgets_it(run: Run) -> None:
    run.settle()
    run.unsigned(START + 5, "a", AWAY)
    run.analyzer.forget()
    for minute in (70, 75, 80, 85):
        run.poll(START + minute)
    assert run.now == [("high", True, ("a",))]
    run.analyzer.forget()
    for minute in (90, 95, 100, 105):
        run.poll(START + minute)
    assert run.now == [("high", True, ("a",))]

    run.unsigned(START + 110, "b", AWAY)
    run.unsigned(START + 110, "c", AWAY)
    for minute in (115, 120, 125):
        run.poll(START + minute)
    assert run.now == []


def test_a_zone_that_is_broken_at_one_vantage_is_one_finding_on_the_zone(run: Run) -> None:
    for vantage in VANTAGES:
        run.see(0, vantage)
    run.see(5, "b", verdict="bogus", code="rrsig_expired", rrset="bank.example. DNSKEY", chain=BROKEN)
    for minute in (10, 40):
        run.poll(minute)
    assert [confirmed for _, confirmed, _ in run.now] == [False]
    for minute in (66, 71):
        run.poll(minute)

    assert run.now == [("medium", True, ("b",))]
    (found,) = {finding.key: finding for finding in run.findings}.values()
    assert (found.cause_zone, found.cause_rrset) == ("bank.example.", "")
    assert found.detail == "bank.example. is bogus through b, and secure through a"

    run.see(80, "b")
    for minute in (85, 90, 95):
        run.poll(minute)
    assert run.now == []


def test_an_alias_that_leads_one_vantage_into_another_zone_is_no_disagreement(run: Run) -> None:
    elsewhere = (link("."), link("example."), link("cdn.example.", verdict=Verdict.INSECURE))
    run.see(0, "a")
    run.see(0, "b", verdict="insecure", code="unsigned_delegation", zone="cdn.example.", chain=elsewhere)
    run.see(0, "c")
    for minute in (60, 70, 80, 90):
        run.poll(minute)

    assert run.findings == []


def test_a_vantage_without_a_verdict_disagrees_with_nobody(run: Run) -> None:
    run.see(0, "a")
    run.see(0, "c")
    run.see(0, "b", verdict="indeterminate", code="verdict_indeterminate")
    for minute in (60, 70, 80, 90):
        run.poll(minute)

    assert run.findings == []


def test_a_vantage_that_is_watched_no_more_disagrees_with_nobody(run: Run) -> None:
    run.settle()
    run.unsigned(START + 5, "a", AWAY)
    for minute in (10, 25, 30):
        run.poll(START + minute)
    run.take(START + 35, InventoryIndex(seen_at=AT, ids=("sa",), vantages=("b", "c")))

    assert run.now == []
    assert run.findings[-1].closed_because.startswith("no longer watched")

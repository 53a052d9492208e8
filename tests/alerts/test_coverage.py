from pathlib import Path
from typing import Any

from alerts.config import AlertsConfig, Match, Route, Rule
from alerts.decision.coverage import find_gaps
from alerts.receivers.console import Console
from schemas.catalogue import Severity

SOC, CHAT = (Console(name=name) for name in ("soc", "chat"))
ALL = Route(match=Match(), receiver="soc")


def config(*, receivers: Any = (SOC,), routes: Any = (), rules: Any = ()) -> AlertsConfig:
    return AlertsConfig(rules=rules, routes=routes, receivers=receivers, mappings=(), ledger=Path("x"))


def test_a_receiver_for_everything_leaves_no_gap() -> None:
    assert find_gaps(config(routes=(ALL,))) == []


def test_without_a_receiver_nobody_is_told() -> None:
    assert find_gaps(config(receivers=())) == ["receivers: there is none, so nobody is notified of any finding"]


def test_a_receiver_that_nothing_names_is_told_of_nothing() -> None:
    (gap,) = find_gaps(config(receivers=(SOC, CHAT), routes=(ALL,)))

    assert "'chat'" in gap


def test_routes_that_take_nothing_severe_are_a_gap() -> None:
    mild = Route(match=Match(severity=(Severity.LOW, Severity.MEDIUM)), receiver="soc")

    assert [gap.split(",")[0] for gap in find_gaps(config(routes=(mild,)))] == [
        "routes: none takes findings of severity critical",
        "routes: none takes findings of severity high",
    ]


def test_routes_that_take_some_severe_findings_only_are_a_gap() -> None:
    narrow = Route(match=Match(severity=(Severity.CRITICAL, Severity.HIGH), owner=("payments",)), receiver="soc")

    assert len(find_gaps(config(routes=(narrow,)))) == 2
    assert find_gaps(config(routes=(narrow, ALL))) == []


def test_a_rule_with_a_receiver_is_a_way_too() -> None:
    assert find_gaps(config(rules=(Rule(name="all", receiver="soc"),))) == []

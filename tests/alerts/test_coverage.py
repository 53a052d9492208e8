from datetime import UTC, time
from pathlib import Path
from typing import Any

from alerts.config import AlertsConfig, Escalation, Hours, Match, Route, Rule
from alerts.decision.coverage import find_gaps
from alerts.decision.matchers import parse_matchers
from alerts.decision.schedule import Weekly
from alerts.receivers.console import Console
from alerts.receivers.pagerduty import PagerDuty
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


def tree(**more: Any) -> AlertsConfig:
    root = Route(receiver="soc", **more)
    return AlertsConfig(rules=(), routes=(), route=root, receivers=(SOC, CHAT), mappings=(), ledger=Path("x"))


def below(*matchers: str, **more: Any) -> Route:
    return Route(matchers=parse_matchers(matchers), **{"receiver": "chat", **more})


OFFICE = Hours(name="office", windows=(Weekly(days=(0,), begins=time(8), ends=time(18), zone=UTC),))


def test_a_tree_whose_routes_all_tell_somebody_leaves_no_gap() -> None:
    assert (
        find_gaps(tree(routes=(below("owner=payments"), below("severity=low", routes=(below("zone=x.example"),)))))
        == []
    )


def test_a_route_that_takes_findings_for_business_hours_only_is_a_gap() -> None:
    gaps = find_gaps(tree(routes=(below("owner=payments", hours=OFFICE),)))

    assert [gap.partition(" take")[0] for gap in gaps] == [
        "routes: those for severity critical",
        "routes: those for severity high",
    ]
    assert find_gaps(tree(routes=(below("owner=payments", "severity=~low|medium", hours=OFFICE),))) == []


def test_escalation_from_where_acknowledgements_never_reach_us_is_said() -> None:
    deaf = PagerDuty(name="soc", routing_key="key")
    root = Route(receiver="soc", escalate=(Escalation(after_s=900.0, receiver="chat"),))
    gaps = find_gaps(
        AlertsConfig(rules=(), routes=(), route=root, receivers=(deaf, CHAT), mappings=(), ledger=Path("x"))
    )

    assert gaps == [
        "route.escalate: acknowledgements at receiver 'soc' don't reach us, so nothing is escalated from there"
    ]


def test_a_rule_with_a_receiver_is_a_way_too() -> None:
    assert find_gaps(config(rules=(Rule(name="all", receiver="soc"),))) == []

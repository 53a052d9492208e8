from pathlib import Path

import msgspec
import pytest

from alerts.config import AlertsConfig, Match, Route, Rule, RuleEffect
from alerts.decision.routing import Routing
from alerts.decision.rules import Assessment, match_finding
from anchorwatch.configuration.rules import shipped_rules
from schemas.catalogue import Severity
from schemas.messages import Finding
from tests.support.findings import PAYMENTS, finding


def assess(found: Finding, rules: tuple[Rule, ...], routes: tuple[Route, ...]) -> Assessment:
    config = AlertsConfig(rules=rules, routes=routes, receivers=(), mappings=(), ledger=Path("none"))
    return Routing(config).assess(found)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (Match(), True),
        (Match(code=("rrsig_expired",)), True),
        (Match(code=("rrsig_missing",)), False),
        (Match(severity=(Severity.CRITICAL,)), True),
        (Match(severity=(Severity.LOW,)), False),
        (Match(criticality=("critical",)), True),
        (Match(criticality=("low",)), False),
        (Match(environment=("prod", "dev")), True),
        (Match(environment=("dev",)), False),
        (Match(owner=("payments",)), True),
        (Match(owner=("Payments",)), False),
        (Match(zone=("bank.example",)), True),
        (Match(zone=("*.example",)), True),
        (Match(zone=("*.example.",)), True),
        (Match(zone=("other.example",)), False),
        (Match(code=("rrsig_expired",), owner=("nobody",)), False),
    ],
)
def test_every_field_given_must_fit(match: Match, fits: bool) -> None:
    assert match_finding(match, finding(), Severity.CRITICAL) is fits


def test_rules_apply_in_order_and_each_sees_what_the_earlier_set() -> None:
    rules = (
        Rule(name="raise", match=Match(code=("ds_changed",)), set=RuleEffect(severity=Severity.CRITICAL)),
        Rule(name="page critical", match=Match(severity=(Severity.CRITICAL,)), receiver="pager"),
        Rule(name="stop", match=Match(), stop=True),
        Rule(name="never", match=Match(), set=RuleEffect(severity=Severity.INFO)),
    )

    assessment = assess(finding("ds_changed"), rules, ())

    assert assessment.severity is Severity.CRITICAL
    assert assessment.receivers == ("pager",)


def test_routes_serve_what_no_rule_named_a_receiver_for() -> None:
    routes = (
        Route(match=Match(severity=(Severity.CRITICAL,)), receiver="pager"),
        Route(match=Match(owner=("payments",)), receiver="payments-chat"),
        Route(match=Match(owner=("shop",)), receiver="shop-chat"),
    )

    assert assess(finding(), (), routes).receivers == ("pager", "payments-chat")
    assert assess(finding(), (Rule(name="x", receiver="direct"),), routes).receivers == ("direct",)


def test_the_shipped_rules_raise_drift_on_critical_production() -> None:
    high = finding("ds_changed", severity=Severity.HIGH)

    assert assess(high, shipped_rules(), ()).severity is Severity.CRITICAL
    elsewhere = msgspec.structs.replace(PAYMENTS, environment="dev")
    assert assess(msgspec.structs.replace(high, identities=(elsewhere,)), shipped_rules(), ()).severity is Severity.HIGH

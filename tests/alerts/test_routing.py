"""Alertmanager's tree, the flat list, owners, and why a finding goes where."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import AlertsConfig, Escalation, Match, Route, Rule
from alerts.decision.matchers import parse_matchers
from alerts.decision.routing import Routing
from schemas.catalogue import Severity
from schemas.messages import Finding
from tests.support.findings import PAYMENTS, finding


def routing(*routes: Route, tree: Route | None = None, rules: tuple[Rule, ...] = (), unheard: Any = ()) -> Routing:
    config = AlertsConfig(rules=rules, routes=routes, route=tree, receivers=(), mappings=(), ledger=Path("none"))
    return Routing(config, unheard)


def route(*matchers: str, **more: Any) -> Route:
    return Route(matchers=parse_matchers(matchers) if matchers else (), **more)


def owned(*owners: str, **more: Any) -> Finding:
    identities = tuple(msgspec.structs.replace(PAYMENTS, id=f"sa-{one}", owner=one) for one in owners)
    return finding(identities=identities, **more)


# After the example in Alertmanager's documentation ("Configuration", "route").
TREE = route(
    receiver="default",
    group_wait_s=40.0,
    routes=(
        route("code=~rrsig_.*", receiver="signers", continues=True),
        route("owner=payments", receiver="payments", routes=(route("severity=critical", receiver="payments-pager"),)),
        route("owner=trading"),
        route("zone=~.*", receiver="never"),
    ),
)


@pytest.mark.parametrize(
    ("found", "receivers"),
    [
        (owned("payments"), ("signers", "payments-pager")),
        (owned("payments", severity=Severity.HIGH), ("signers", "payments")),
        (owned("trading"), ("signers", "default")),
        (owned("payments", code="dnskey_missing"), ("payments-pager",)),
        (finding("self_disk_full", zone="", identities=()), ("never",)),
    ],
    ids=["continue, then deepest", "the parent where no child fits", "inherits its receiver", "first", "last"],
)
def test_the_first_that_fits_takes_it_deepest_first(found: Finding, receivers: tuple[str, ...]) -> None:
    assert routing(tree=TREE).assess(found).receivers == receivers


def test_where_none_below_fits_the_root_takes_it() -> None:
    tree = route(receiver="default", routes=(route("owner=nobody", receiver="x"),))

    assert routing(tree=tree).assess(finding()).receivers == ("default",)


def test_of_the_flat_list_every_route_takes_what_fits() -> None:
    flat = (route("severity=critical", receiver="a"), route("owner=payments", receiver="b"), route(receiver="c"))

    assert routing(*flat).assess(finding()).receivers == ("a", "b", "c")


def test_matchers_and_match_must_both_fit() -> None:
    both = Route(match=Match(owner=("payments",)), matchers=parse_matchers(["zone=bank.example"]), receiver="a")

    assert routing(both).assess(finding()).receivers == ("a",)
    assert routing(both).assess(finding(zone="idp.example.")).receivers == ()


def test_a_route_is_taken_by_any_owner_that_fits() -> None:
    assert routing(route("owner=trading", receiver="a")).assess(owned("payments", "trading")).receivers == ("a",)


class TestOwners:
    BY_OWNER = route(receiver="rest", owners={"payments": "pay", "trading": "trade"})

    @pytest.mark.parametrize(
        ("owners", "receivers"),
        [
            (("payments",), ("pay",)),
            (("payments", "trading"), ("pay", "trade")),
            (("payments", "logging"), ("pay", "rest")),
            (("logging",), ("rest",)),
            ((), ("rest",)),
            (("",), ("rest",)),
        ],
    )
    def test_each_is_told_through_its_own_receiver_and_the_rest_through_the_routes(
        self, owners: tuple[str, ...], receivers: tuple[str, ...]
    ) -> None:
        assert routing(self.BY_OWNER).assess(owned(*owners)).receivers == receivers

    def test_a_list_of_identities_that_is_cut_short_may_have_others(self) -> None:
        assert routing(self.BY_OWNER).assess(owned("payments", identity_count=5_000)).receivers == ("pay", "rest")

    def test_owners_without_a_receiver_are_nobodys_where_the_route_has_none(self) -> None:
        assert routing(route(owners={"payments": "pay"})).assess(owned("logging")).receivers == ()


def test_what_is_not_said_is_as_the_route_above_says_it() -> None:
    escalate = (Escalation(after_s=900.0, receiver="boss"),)
    tree = route(
        receiver="a",
        group_wait_s=40.0,
        repeat_s=60.0,
        escalate=escalate,
        routes=(route("owner=payments", group_wait_s=5.0), route("owner=trading", escalate=())),
    )
    found = routing(tree=tree)
    child, other = found.way("route.routes[0]"), found.way("route.routes[1]")

    assert (child.wait.total_seconds(), child.repeat.total_seconds(), child.escalate) == (5.0, 60.0, escalate)
    assert child.wait_critical.total_seconds() == 5.0
    assert (other.wait.total_seconds(), other.escalate) == (40.0, ())
    assert found.way("route.routes[9]") == found.default, "a route that the configuration lost"


def test_there_is_no_escalation_from_where_acknowledgements_never_reach_us() -> None:
    escalate = (Escalation(after_s=900.0, receiver="boss"),)
    tree = route(receiver="deaf", escalate=escalate, routes=(route("owner=payments", receiver="a"),))
    found = routing(tree=tree, unheard=["deaf"])

    assert found.way("route").escalate == ()
    assert found.way("route.routes[0]").escalate == escalate


def test_every_route_that_was_tried_says_why() -> None:
    assessment, steps = routing(tree=TREE).explain(owned("payments", severity=Severity.HIGH))

    assert assessment.receivers == ("signers", "payments")
    assert [(step.path, step.fits, step.why) for step in steps] == [
        ("route", True, "a route below takes it"),
        ("route.routes[0]", True, "goes to signers"),
        ("route.routes[1]", True, "goes to payments"),
        ("route.routes[1].routes[0]", False, 'severity="critical" does not fit'),
    ]


def test_a_rule_that_names_a_receiver_leaves_nothing_to_the_routes() -> None:
    found = routing(tree=TREE, rules=(Rule(name="x", receiver="direct"),))

    assert found.explain(finding()) == (found.assess(finding()), [])
    assert found.assess(finding()).receivers == ("direct",)

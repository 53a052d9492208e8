"""Many incidents at once are one page with the list, and nothing is buried in it."""

from typing import Any

import msgspec
import pytest

from alerts.config import Pacing, Route
from alerts.decision.timekeeping import Moment
from alerts.delivery.wording import describe
from schemas.catalogue import Severity
from schemas.messages import Finding
from tests.alerts.test_pacing import MILD, Night
from tests.support.findings import AT, PAYMENTS, closed, finding


def zones(count: int, code: str = "rrsig_expired", start: int = 0, **more: Any) -> list[Finding]:
    """As many incidents of one code, none below the same parent."""
    return [finding(code, zone=f"z{n}.tld{n}.", **{"identities": (MILD,), **more}) for n in range(start, start + count)]


def storms(night: Night) -> list[Any]:
    return [one for one in night.book.incidents.values() if one.is_storm]


def orders(night: Night) -> list[Any]:
    return [order for step in night.steps for order in step.orders]


def test_five_of_one_code_within_a_minute_are_one_page_with_the_list() -> None:
    night = Night()
    night.at(0, *zones(5))
    assert night.at(10) == [("pager", "trigger")]

    (order,) = orders(night)
    assert order.incident.cause == "storm of rrsig_expired"
    assert [one["cause"] for one in describe(order)["members"]] == [f"z{n}.tld{n}." for n in range(5)]
    withheld = {one.withheld for one in night.book.incidents.values() if not one.is_storm}
    assert withheld == {f"it is listed in the page of storm {storms(night)[0].id[:8]}"}


def test_four_are_four_pages_and_so_are_five_within_more_than_a_minute() -> None:
    night = Night()
    night.at(0, *zones(4))
    assert night.at(10) == [("pager", "trigger")] * 4
    night.at(80, *zones(1, start=4))
    assert night.at(90) == [("pager", "trigger")]
    assert storms(night) == []


def test_five_below_one_parent_are_one_page_whatever_their_codes() -> None:
    night = Night()
    codes = ("rrsig_expired", "dnskey_missing", "rrsig_missing", "denial_missing", "ds_dnskey_mismatch")
    night.at(0, *(finding(code, zone=f"z{n}.example.") for n, code in enumerate(codes)))

    assert night.at(10) == [("pager", "trigger")]
    assert orders(night)[0].incident.cause == "storm below example."


def test_the_most_critical_member_comes_first() -> None:
    night = Night()
    night.at(0, *zones(6), finding(zone="bank.tld.", identities=(PAYMENTS,)))
    night.at(10)

    (order,) = orders(night)
    first = describe(order)["members"][0]
    assert (first["cause"], first["identity"], first["host"]) == ("bank.tld.", "sa-settlement", "api.bank.example")
    assert order.incident.member_count == 7


def test_a_more_critical_one_that_joins_is_an_update_that_rings_so_that_decoys_do_not_bury_it() -> None:
    night = Night()
    night.at(0, *zones(20))
    night.at(10)
    night.at(60, finding(zone="bank.tld.", identities=(PAYMENTS,)))

    assert [(one.event, one.reason) for one in orders(night)[1:]] == [
        (
            "update",
            "an identity of criticality critical is affected; also affects payments; also in this storm: bank.tld.",
        )
    ]
    assert storms(night)[0].rings == {"pager": 1}
    assert storms(night)[0].members[0].cause == "bank.tld."


def test_others_that_join_are_named_in_one_update_after_the_interval() -> None:
    night = Night()
    night.at(0, *zones(5))
    night.at(10)
    for second in range(20, 200, 10):
        assert night.at(second, *zones(1, start=second)) == []
    assert night.at(310) == [("pager", "update")]

    assert orders(night)[-1].reason.startswith("also in this storm: z100.tld100., z110")
    assert orders(night)[-1].reason.endswith("and 13 more")


def test_a_member_that_becomes_worse_rings_through_the_storm() -> None:
    night = Night()
    found = zones(6, "alias_chain_broken")
    night.at(0, *found)
    night.at(30)
    assert night.at(40, msgspec.structs.replace(found[3], version=2, severity=Severity.CRITICAL)) == [
        ("pager", "update")
    ]
    assert storms(night)[0].rings == {"pager": 1}


def test_it_ends_with_its_last_member_and_is_told_once() -> None:
    night = Night()
    found = zones(6)
    night.at(0, *found)
    night.at(10)
    for number, one in enumerate(found[:-1]):
        assert night.at(20 + number, closed(one)) == []
    assert [one.is_open for one in storms(night)[0].members].count(True) == 1

    assert night.at(60, closed(found[-1])) == [("pager", "resolve")]
    assert not night.book.incidents


def test_members_that_were_told_by_themselves_before_end_by_themselves() -> None:
    night = Night()
    found = zones(4)
    night.at(0, *found)
    night.at(10)
    more = zones(1, start=4)
    night.at(20, *more)
    assert night.at(30) == [("pager", "trigger")]
    assert storms(night)[0].member_count == 5
    night.at(40, closed(found[0]))

    assert [(one.event, one.incident.cause) for one in orders(night)[-1:]] == [("resolve", "z0.tld0.")]


def test_after_five_minutes_without_a_joiner_the_next_is_a_page_of_its_own() -> None:
    night = Night()
    night.at(0, *zones(5))
    night.at(10)
    night.at(320, *zones(1, start=9))

    assert night.at(330) == [("pager", "trigger")]
    assert orders(night)[-1].incident.cause == "z9.tld9."


def test_each_receiver_has_a_storm_of_what_is_its_own() -> None:
    night = Night(
        Route(receiver="chat", owners={"payments": "pager"}, group_wait_s=10.0),
    )
    night.at(0, *zones(5), *zones(5, start=10, identities=(PAYMENTS,)))

    assert sorted(night.at(10)) == [("chat", "trigger"), ("pager", "trigger")]
    causes = {one.receiver: {member.cause for member in one.incident.members} for one in orders(night)}
    assert causes["pager"] == {f"z{n}.tld{n}." for n in range(10, 15)}
    assert causes["chat"] == {f"z{n}.tld{n}." for n in range(5)}


def test_a_restart_keeps_storm_members_and_end() -> None:
    night = Night()
    found = zones(6)
    night.at(0, *found)
    night.at(10)
    kept = list(night.book.incidents.values())
    again = Night()
    again.book.load(kept, Moment(AT, AT))
    for one in found[:-1]:
        again.at(20, closed(one))
    assert again.at(100) == []

    assert again.at(110, closed(found[-1])) == [("pager", "resolve")]


def test_without_storms_each_is_a_page() -> None:
    night = Night(pacing=Pacing(storm=0))
    night.at(0, *zones(7))

    assert night.at(10) == [("pager", "trigger")] * 7


def test_a_route_groups_by_labels() -> None:
    night = Night(Route(receiver="pager", group_by=("owner",)))
    night.at(0, finding(zone="a.tld1."), finding("dnskey_missing", zone="b.tld2."), *zones(1))

    assert sorted(night.at(10)) == [("pager", "trigger")] * 2
    causes = sorted(one.incident.cause for one in orders(night))
    assert causes == ["storm of owner=payments", "z0.tld0."]
    assert night.at(4000, finding("rrsig_missing", zone="c.tld3.")) == [("pager", "update")]


@pytest.mark.parametrize("count", [1_000])
def test_a_large_storm_stays_small_and_every_member_counts(count: int) -> None:
    night = Night()
    found = zones(count)
    night.at(0, *found)
    night.at(10)
    (storm,) = storms(night)

    assert (storm.member_count, len(storm.members), len(storm.entries)) == (count, 200, 50)
    assert len(msgspec.json.encode(storm)) < 150_000
    for one in found[:-1]:
        night.at(20, closed(one))
    assert storms(night), "one of those that are not listed is open"
    assert night.at(30, closed(found[-1])) == [("pager", "resolve")]

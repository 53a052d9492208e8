"""Somebody who stole the token, or makes noise of his own, hides no page for long, and none without a trace."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from alerts.config import Pacing
from alerts.decision.silences import make_silence
from schemas.judgement import Verdict
from schemas.messages import Act
from tests.support.desk import Desk
from tests.support.findings import AT, PAYMENTS, closed, finding
from tests.support.making import judgement, link, observation, snapshot

UNSIGNED: dict[str, Any] = {
    "verdict": "insecure",
    "code": "unsigned_delegation",
    "expires_at": None,
    "inception_at": None,
}
UNSIGNED_ZONES = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))
MILD = msgspec.structs.replace(PAYMENTS, id="sa-lab", owner="lab", environment="test", criticality="low")


@pytest.fixture
def desk(tmp_path: Any, clock: Any) -> Desk:
    return Desk(tmp_path, clock)


def silence(*matchers: str, days: float = 30, **more: Any) -> Act:
    words = {"by": "eve", "why": "maintenance", "at": AT, "source": "API, from 192.0.2.200", **more}
    return make_silence(matchers, AT, AT + timedelta(days=days), **words)


def events(desk: Desk) -> list[str]:
    return [event for event, _ in desk.pager.told]


def pass_days(desk: Desk, days: int) -> None:
    for _ in range(days * 4):
        desk.clock.advance(6 * 3600)
        desk.handle()


def test_a_silence_of_everything_ends_after_a_month_and_leaves_its_name_on_all_that_it_hid(desk: Desk) -> None:
    desk.do(silence("code=~.*"))
    desk.handle(finding())
    pass_days(desk, 31)

    assert events(desk)[0] == "trigger"
    assert "silenced by eve" in desk.pager.bodies[0]["reason"]
    withheld = [one.reason for one in desk.ledger.notifications(100) if one.status == "withheld"]
    assert withheld == ["silenced by eve until 2026-12-24 12:00 UTC: maintenance"]


def test_a_silence_of_one_owner_hides_no_incident_that_hits_another_one_too(desk: Desk) -> None:
    desk.do(silence("owner=lab"))
    desk.handle(finding(identities=(MILD, PAYMENTS)))

    assert events(desk) == ["trigger"]


def test_a_silence_of_what_is_mild_hides_nothing_that_becomes_critical(desk: Desk) -> None:
    desk.do(silence("severity=high"))
    opened = finding("alias_chain_broken")
    desk.handle(opened)
    assert events(desk) == []
    desk.handle(msgspec.structs.replace(opened, version=2, severity=finding().severity))

    assert events(desk) == ["trigger"]


def test_a_silence_is_never_taken_by_a_list_that_may_hide_somebody(desk: Desk) -> None:
    desk.do(silence("owner=lab"))
    desk.handle(finding(identities=(MILD,), identity_count=1_500))

    assert events(desk) == ["trigger"]


def test_acknowledging_all_that_opens_hides_no_first_page_no_worsening_and_no_end(desk: Desk) -> None:
    opened = finding("alias_chain_broken", identities=(MILD,))
    desk.handle(opened)
    (incident,) = desk.ledger.open_incidents()
    desk.do(Act(id="1", kind="acknowledge", by="eve", at=AT, subject=incident.id))
    desk.handle(msgspec.structs.replace(opened, version=2, identities=(MILD, PAYMENTS)))
    desk.handle(closed(msgspec.structs.replace(opened, identities=(MILD, PAYMENTS)), version=3))

    assert events(desk) == ["trigger", "acknowledge", "update", "resolve"]


def test_acknowledged_again_and_again_it_is_still_said_who_does_so(desk: Desk) -> None:
    desk.handle(finding())
    (incident,) = desk.ledger.open_incidents()
    for number in range(3):
        desk.do(Act(id=str(number), kind="acknowledge", by="eve", at=AT, subject=incident.id))
        desk.clock.advance(23 * 3600)
        desk.handle()

    assert events(desk) == ["trigger", "acknowledge", "acknowledge", "acknowledge"], "each is told to everybody"


def test_accepting_and_declaring_reach_no_state(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    for kind in ("accept", "declare_change", "end_change", "accept_inventory"):
        desk.do(Act(id=kind, kind=kind, by="eve", at=AT, subject=opened.id))

    assert events(desk) == ["trigger"]
    assert len(desk.ledger.open_incidents()) == 1


def test_a_page_hidden_in_a_storm_of_decoys_is_named_at_once_where_it_is_worse(tmp_path: Any, clock: Any) -> None:
    desk = Desk(tmp_path, clock, pacing=Pacing(group_wait_s=0, group_wait_critical_s=0, group_interval_s=300, storm=5))
    desk.handle(*(finding(zone=f"decoy{n}.tld{n}.", identities=(MILD,)) for n in range(30)))
    desk.handle()
    before = len(desk.pager.told)
    desk.handle(finding(zone="bank.tld.", identities=(PAYMENTS,)))
    desk.handle()

    assert [event for event, _ in desk.pager.told[before:]] == ["update"]
    assert desk.pager.bodies[-1]["members"][0]["cause"] == "bank.tld."


def test_a_page_hidden_in_a_storm_of_equals_is_delayed_by_the_interval_at_most(tmp_path: Any, clock: Any) -> None:
    desk = Desk(tmp_path, clock, pacing=Pacing(group_wait_s=0, group_wait_critical_s=0, group_interval_s=300, storm=5))
    desk.handle(*(finding(zone=f"decoy{n}.tld{n}.") for n in range(30)))
    desk.handle()
    desk.clock.advance(60)
    desk.handle(finding(zone="bank.tld."))
    desk.handle()
    desk.clock.advance(241)
    desk.handle()

    assert "bank.tld." in desk.pager.bodies[-1]["reason"]


def test_short_attacks_within_the_wait_are_paged(tmp_path: Any, clock: Any) -> None:
    desk = Desk(tmp_path, clock, pacing=Pacing())
    opened = finding()
    desk.handle(opened)
    desk.clock.advance(3)
    desk.handle(closed(opened))
    desk.handle()

    assert events(desk) == ["trigger", "resolve"]


def test_a_silence_changes_nothing_of_what_is_found(pipeline: Any, after: Any) -> None:
    pipeline.at(0, snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    pipeline.desk.do(silence("zone=bank.example"))
    pipeline.at(10, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), after(10)))

    codes = {one.code for one in pipeline.findings}
    assert "secure_to_insecure" in codes
    assert pipeline.told == []
    (incident,) = pipeline.desk.ledger.open_incidents()
    assert {entry.finding.code for entry in incident.entries.values()} >= {"secure_to_insecure"}
    assert incident.withheld.startswith("silenced by eve")


def test_a_zone_that_breaks_after_one_of_its_names_rings_though_the_name_was_acknowledged(desk: Desk) -> None:
    of_name = finding(id="1" * 32, key="a" * 32, cause_rrset="api.bank.example.", before="secure")
    of_zone = finding(id="2" * 32, key="b" * 32, cause_rrset="bank.example. DNSKEY", before="secure")
    desk.handle(of_name)
    (incident,) = desk.ledger.open_incidents()
    desk.do(Act(id="1", kind="acknowledge", by="ana", at=AT, subject=incident.id))
    desk.handle(of_zone)

    assert events(desk) == ["trigger", "acknowledge", "update"]
    (incident,) = desk.ledger.open_incidents()
    assert incident.reopened_because == "ana acknowledged a fault of names, and now the zone as a whole is at fault"
    assert list(incident.rings.values()) == [1]
    assert incident.lead.cause_rrset == "bank.example. DNSKEY", "the page says that it is the zone now"

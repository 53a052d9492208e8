"""Decisions and deliveries, over a real ledger, from findings to what receivers got."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import Match, Route
from alerts.delivery.delivery import DeliveryOutcome
from alerts.delivery.wording import summarise
from alerts.ledger.sqlite import SqliteLedger
from schemas.catalogue import Severity
from schemas.faults import Rejected
from schemas.messages import Finding, PollBatch
from tests.support.desk import Desk
from tests.support.findings import AT, PAYMENTS, closed, finding
from tests.support.operations import calls_of

LATER = timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path, clock: Any) -> Desk:
    return Desk(tmp_path, clock)


def test_a_confirmed_finding_is_told_once_and_resolved(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    desk.handle(opened)
    desk.handle()
    desk.handle(closed(opened))

    assert desk.pager.told == [("trigger", "bank.example."), ("resolve", "bank.example.")]
    assert [n.event for n in desk.ledger.notifications(10)] == ["resolve", "trigger"]


LEFT = "no longer watched: removed from inventory.csv"


def test_what_left_the_inventory_is_told_as_no_longer_watched_never_as_resolved(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)

    gone = msgspec.structs.replace(closed(opened), closed_because=LEFT)
    (notification,) = desk.handle(gone)

    assert [event for event, _ in desk.pager.told] == ["trigger", "update"]
    said = desk.pager.bodies[-1]["summary"]
    assert said.startswith("NO LONGER WATCHED [critical] bank.example: ")
    assert "removed from inventory.csv" in said
    assert "RESOLVED" not in said
    assert "removed from inventory.csv" in notification.reason
    assert desk.handle() == []
    assert not list(desk.ledger.open_incidents())


def test_what_healed_after_it_had_left_and_come_back_is_resolved(desk: Desk) -> None:
    first = finding()
    desk.handle(first, finding("ds_orphan", severity=Severity.HIGH))
    desk.handle(msgspec.structs.replace(closed(first), closed_because=LEFT))
    again = finding(opened_at=AT + timedelta(minutes=5))
    desk.handle(again)

    desk.handle(closed(again), closed(finding("ds_orphan", severity=Severity.HIGH)))

    assert desk.pager.told[-1] == ("resolve", "bank.example.")


def test_what_nobody_was_told_of_leaves_in_silence(desk: Desk) -> None:
    opened = finding(confirmed=False)
    desk.handle(opened)

    desk.handle(msgspec.structs.replace(closed(opened), closed_because=LEFT))

    assert desk.pager.told == []


def test_an_unconfirmed_finding_is_withheld_with_its_reason(desk: Desk) -> None:
    (withheld,) = desk.handle(finding(confirmed=False))

    assert (withheld.status, withheld.reason) == ("withheld", "not yet confirmed by further polls")
    assert desk.pager.told == []
    assert desk.handle() == []

    desk.handle(finding(version=2))
    assert desk.pager.told == [("trigger", "bank.example.")]


def test_what_closes_unconfirmed_was_never_told(desk: Desk) -> None:
    opened = finding(confirmed=False)
    desk.handle(opened)
    desk.handle(closed(opened))

    assert desk.pager.told == []
    assert desk.ledger.open_incidents() == []


def test_many_findings_on_one_cause_are_one_page(desk: Desk) -> None:
    desk.handle(finding("rrsig_expired"), finding("denial_missing"), finding("secure_to_insecure"))
    desk.handle(finding("rrsig_crypto_invalid", opened_at=AT + timedelta(minutes=5)))

    assert desk.pager.told == [("trigger", "bank.example.")]
    assert len(desk.ledger.open_incidents()[0].entries) == 4


def test_two_causes_are_two_pages(desk: Desk) -> None:
    desk.handle(finding(), finding(zone="idp.example."))

    assert sorted(desk.pager.told) == [("trigger", "bank.example."), ("trigger", "idp.example.")]


def below_and_above(**above: Any) -> tuple[Finding, Finding]:
    """A fault of a zone, and one of the chain above it that the same endpoint shows."""
    return finding("rrsig_missing"), finding("dnskey_missing", zone="example.", **above)


def test_a_broken_chain_above_explains_those_whose_chain_breaks_there_and_names_them(desk: Desk) -> None:
    below, above = below_and_above()
    desk.handle(above, below)
    desk.handle()
    assert desk.pager.told == [("trigger", "example.")]
    assert desk.pager.bodies[0]["explains"] == ["bank.example."]

    desk.handle(closed(above))
    assert sorted(desk.pager.told[1:]) == [("resolve", "example."), ("trigger", "bank.example.")]


def test_what_is_withheld_later_is_named_in_an_update_of_the_page_that_explains_it(desk: Desk) -> None:
    below, above = below_and_above()
    desk.handle(above)
    desk.handle(below)

    assert desk.pager.told == [("trigger", "example."), ("update", "example.")]
    assert "withheld as explained by it: bank.example." in desk.pager.bodies[1]["reason"]


@pytest.mark.parametrize(
    "above",
    [
        finding("rrsig_missing", zone="example.", cause_rrset="vault.example."),
        finding("rrsig_missing", zone="example."),
        finding("rrsig_crypto_invalid", zone=".", cause_rrset="vault.corp.internal."),
        finding("dnskey_missing", zone="example.", cause_rrset="www.example."),
        finding("dnskey_missing", zone="example.", endpoints=("other.example. A",)),
        finding("dnskey_missing", zone="example.", vantages=("elsewhere",)),
        finding("dnskey_missing", zone="example.", severity=Severity.HIGH),
    ],
    ids=["odd name", "zone without a chain fault", "private name", "one RRset", "others", "vantage", "mild"],
)
def test_a_fault_above_that_is_not_the_chain_of_these_endpoints_explains_nothing(desk: Desk, above: Finding) -> None:
    desk.handle(msgspec.structs.replace(above, vantages=above.vantages or ("corp",)))
    desk.handle(finding("rrsig_missing", vantages=("corp",)))

    assert ("trigger", "bank.example.") in desk.pager.told


def test_a_list_that_is_cut_short_explains_nothing(desk: Desk) -> None:
    below, above = below_and_above()
    desk.handle(above, msgspec.structs.replace(below, endpoint_count=2000))

    assert ("trigger", "bank.example.") in desk.pager.told


def test_a_drift_below_a_broken_chain_is_told(desk: Desk) -> None:
    desk.handle(finding("dnskey_missing", zone="example."), finding("key_change_unexpected"))

    assert ("trigger", "bank.example.") in desk.pager.told


def test_only_those_are_spared_who_are_told_of_the_fault_that_explains(tmp_path: Path, clock: Any) -> None:
    desk = Desk(tmp_path, clock)
    below, above = below_and_above()
    routes = (
        Route(match=Match(code=("dnskey_missing", "rrsig_missing")), receiver="pager"),
        Route(match=Match(code=("rrsig_missing",)), receiver="backup"),
    )
    desk.config = msgspec.structs.replace(desk.config, routes=routes)
    desk.restart()
    desk.handle(above, below)

    assert desk.pager.told == [("trigger", "example.")]
    assert desk.backup.told == [("trigger", "bank.example.")]


class TestOneOddNameMutesNothing:
    """A name that is wrong for good, and later a forgery of another one in the same zone."""

    ODD = finding("rrsig_missing", cause_rrset="vault.bank.example.", endpoints=("vault.bank.example. A",), key="odd")

    def forged(self, **changes: Any) -> Finding:
        fields: dict[str, Any] = {
            "id": "forged",
            "cause_rrset": "api.bank.example.",
            "before": "secure: 192.0.2.1",
            "opened_at": AT + timedelta(seconds=10),
            **changes,
        }
        return finding("rrsig_missing", **fields)

    def test_the_forgery_is_a_page_of_its_own(self, desk: Desk) -> None:
        desk.handle(self.ODD)
        desk.handle(self.forged())

        assert [event for event, _ in desk.pager.told] == ["trigger", "trigger"]

    def test_the_end_of_the_odd_name_ends_no_forgery(self, desk: Desk) -> None:
        desk.handle(self.ODD)
        desk.handle(self.forged())
        desk.handle(closed(self.ODD))

        assert [event for event, _ in desk.pager.told] == ["trigger", "trigger", "resolve"]
        assert [incident.lead.id for incident in desk.ledger.open_incidents()] == ["forged"]

    def test_a_zone_that_breaks_as_a_whole_rings_though_a_name_of_it_is_odd(self, desk: Desk) -> None:
        desk.handle(self.ODD)
        desk.handle(self.forged(cause_rrset="bank.example. DNSKEY", opened_at=AT + LATER))

        assert [event for event, _ in desk.pager.told] == ["trigger", "trigger"]

    def test_a_cut_below_a_zone_that_fails_as_a_whole_is_told_in_its_incident(self, desk: Desk) -> None:
        desk.handle(self.forged(id="zone", cause_rrset=""))
        desk.handle(self.forged(cause_rrset="shop.bank.example. DS", opened_at=AT + LATER))

        assert [event for event, _ in desk.pager.told] == ["trigger", "update"]
        assert desk.pager.bodies[-1]["reason"] == "also at fault: shop.bank.example."

    def test_a_name_of_a_zone_that_fails_as_a_whole_is_a_page_of_its_own(self, desk: Desk) -> None:
        desk.handle(self.forged(id="zone", cause_rrset=""))
        desk.handle(self.forged(opened_at=AT + LATER))

        assert [event for event, _ in desk.pager.told] == ["trigger", "trigger"]

    def test_a_cut_beside_another_cut_is_a_page_of_its_own(self, desk: Desk) -> None:
        desk.handle(self.forged(id="other", cause_rrset="www.bank.example. DS"))
        desk.handle(self.forged(cause_rrset="shop.bank.example. DS", opened_at=AT + LATER))

        assert [event for event, _ in desk.pager.told] == ["trigger", "trigger"]

    def test_names_that_show_what_the_whole_zone_shows_are_no_news_beside_it(self, desk: Desk) -> None:
        desk.handle(self.forged(id="zone", cause_rrset="", before="secure"))
        desk.handle(self.forged(before="secure"))
        desk.handle(finding("alias_chain_broken", cause_rrset="www.bank.example.", before="secure"))

        assert [event for event, _ in desk.pager.told] == ["trigger", "update"]
        assert desk.pager.bodies[-1]["reason"] == "also at fault: www.bank.example."

    def test_names_that_go_wrong_together_are_one_page(self, desk: Desk) -> None:
        desk.handle(self.forged(), self.forged(id="second", cause_rrset="www.bank.example."))
        desk.handle(self.forged(id="zone", cause_rrset=""))

        assert [event for event, _ in desk.pager.told] == ["trigger"]


class TestNewsInAnOpenIncident:
    def test_another_leading_code_is_told_with_a_corrected_summary(self, desk: Desk) -> None:
        desk.handle(finding("dnskey_missing"))
        dnskey, change = finding("dnskey_missing"), finding("key_change_unexpected")
        desk.handle(change)
        desk.handle(closed(dnskey))

        assert [event for event, _ in desk.pager.told] == ["trigger", "update", "update"]
        assert "dnskey_missing became key_change_unexpected" in desk.pager.bodies[-1]["reason"]
        assert "key_change_unexpected" in desk.pager.bodies[-1]["summary"]
        assert desk.pager.bodies[0]["incident"] == desk.pager.bodies[-1]["incident"]

    def test_another_team_and_a_more_critical_identity_are_told_once(self, desk: Desk) -> None:
        mild = msgspec.structs.replace(PAYMENTS, id="sa-log", owner="logging", criticality="low")
        opened = finding(identities=(mild,))
        desk.handle(opened)
        desk.handle(msgspec.structs.replace(opened, version=2, identities=(mild, PAYMENTS)))
        desk.handle(msgspec.structs.replace(opened, version=3, identities=(mild, PAYMENTS)))
        desk.handle()

        assert [event for event, _ in desk.pager.told] == ["trigger", "update"]
        reason = desk.pager.bodies[1]["reason"]
        assert "an identity of criticality critical is affected" in reason
        assert "also affects payments" in reason

    def test_another_server_at_fault_is_told_by_its_address(self, desk: Desk) -> None:
        opened = finding("auth_signature_divergence", servers=("192.0.2.2",))
        desk.handle(opened)
        desk.handle(msgspec.structs.replace(opened, version=2, servers=("192.0.2.2", "192.0.2.3")))
        desk.handle(msgspec.structs.replace(opened, version=3, servers=("192.0.2.3",)))

        assert [event for event, _ in desk.pager.told] == ["trigger", "update"]
        assert desk.pager.bodies[1]["reason"] == "also at fault, of the servers: 192.0.2.3"
        assert desk.pager.bodies[1]["findings"][0]["servers"] == ["192.0.2.2", "192.0.2.3"]

    def test_less_is_no_news(self, desk: Desk) -> None:
        opened = finding(identity_count=22, identity_peak=22)
        desk.handle(opened)
        desk.handle(msgspec.structs.replace(opened, version=2, identity_count=6, identity_peak=22))

        assert [event for event, _ in desk.pager.told] == ["trigger"]
        (incident,) = desk.ledger.open_incidents()
        assert "affects 6 identities now, 22 at most, of payments" in summarise(incident, "reminder")

    def test_a_restart_repeats_no_news(self, desk: Desk) -> None:
        desk.handle(finding("dnskey_missing"))
        desk.handle(finding("key_change_unexpected"))
        desk.restart()
        desk.handle()

        assert [event for event, _ in desk.pager.told] == ["trigger", "update"]


def test_inhibition_never_stops_a_resolution(desk: Desk) -> None:
    below = finding()
    desk.handle(below)
    desk.handle(finding(zone="example."))
    desk.handle(closed(below))

    assert ("resolve", "bank.example.") in desk.pager.told


def test_our_own_clock_explains_every_zone(desk: Desk) -> None:
    desk.handle(finding("self_clock_skew", zone=""), finding(), finding(zone="idp.example."))

    assert desk.pager.told == [("trigger", "self_clock_skew")]


def test_without_a_route_it_is_withheld_with_its_reason(desk: Desk) -> None:
    (withheld,) = desk.handle(finding("key_weak"))

    assert withheld.reason == "no route for severity low"


def test_a_higher_severity_is_told_again(desk: Desk) -> None:
    high = finding("alias_chain_broken")
    desk.handle(high)
    desk.handle(msgspec.structs.replace(high, version=2, severity=Severity.CRITICAL))

    assert [event for event, _ in desk.pager.told] == ["trigger", "update"]


def test_an_incident_that_stays_open_is_said_again_every_four_hours(desk: Desk) -> None:
    desk.handle(finding())
    for _ in range(9):
        desk.clock.advance(3600)
        desk.handle()

    assert [event for event, _ in desk.pager.told] == ["trigger", "reminder", "reminder"]


def test_reminders_fall_due_though_findings_never_cease(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)

    for number in range(5):
        desk.clock.advance(3601)
        desk.handle(finding(zone=f"other{number}.example.", confirmed=False))

    assert ("reminder", "bank.example.") in desk.pager.told


def test_while_the_first_delivery_fails_a_receiver_is_spared_the_others(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "HTTP 503", retry=True)]

    desk.handle(*(finding(zone=f"zone{number}.example.") for number in range(4)))
    assert len(desk.pager.ids) == 1
    desk.clock.advance(60)
    desk.handle()

    assert desk.pager.told[0] == ("trigger", "zone0.example.")
    assert sorted(desk.pager.told) == [("trigger", f"zone{number}.example.") for number in range(4)]
    assert len(set(desk.pager.ids)) == 4, "the one that failed keeps its id"


def test_what_is_said_of_one_incident_stays_in_order_though_one_of_it_fails(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "HTTP 503", retry=True)]
    opened = finding()
    desk.handle(finding(zone="first.example."), opened)
    desk.handle(closed(opened))
    desk.clock.advance(60)
    desk.pager.outcomes = [DeliveryOutcome(True, "fine"), DeliveryOutcome(False, "HTTP 503", retry=True)]
    desk.handle()
    assert desk.pager.told == [("trigger", "first.example.")]

    desk.clock.advance(60)
    desk.handle()
    assert desk.pager.told[1:] == [("trigger", "bank.example."), ("resolve", "bank.example.")]


def test_one_delivery_that_fails_holds_up_no_other_incident(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(True, "fine"), DeliveryOutcome(False, "HTTP 503", retry=True)]

    desk.handle(*(finding(zone=f"zone{number}.example.") for number in range(4)))

    assert len(desk.pager.told) == 3


def test_a_drift_outlives_the_recovery_and_ends_after_its_hold(desk: Desk) -> None:
    desk.handle(finding("secure_to_insecure"))
    desk.clock.advance(23 * 3600)
    desk.handle()
    assert "resolve" not in {event for event, _ in desk.pager.told}

    desk.clock.advance(2 * 3600)
    desk.handle()
    assert desk.pager.told[-1] == ("resolve", "bank.example.")


def test_a_new_fault_long_after_a_drift_rings_again(desk: Desk) -> None:
    desk.handle(finding("secure_to_insecure"))
    desk.handle(finding("rrsig_expired", opened_at=AT + LATER))

    assert [event for event, _ in desk.pager.told] == ["trigger", "trigger"]


def test_a_restart_in_the_middle_changes_nothing(desk: Desk) -> None:
    opened = finding()
    desk.handle(opened)
    desk.restart()

    assert desk.handle(opened) == []
    desk.handle(closed(opened))
    assert desk.pager.told == [("trigger", "bank.example."), ("resolve", "bank.example.")]


def test_a_failed_delivery_is_tried_again_under_the_same_id(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "HTTP 503"), DeliveryOutcome(False, "HTTP 429", retry_after_s=30)]
    desk.handle(finding())
    assert desk.pager.told == []
    desk.clock.advance(3)
    desk.handle()
    desk.clock.advance(29)
    desk.handle()
    assert desk.pager.told == []
    desk.clock.advance(2)

    (sent,) = desk.handle()

    assert sent.attempts == 3
    assert len(set(desk.pager.ids)) == 1


def test_a_crash_between_decision_and_delivery_loses_nothing(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "down")]
    desk.handle(finding())
    desk.restart()
    desk.clock.advance(10)
    desk.handle()

    assert desk.pager.told == [("trigger", "bank.example.")]


def test_a_resolution_waits_for_its_trigger(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "down")]
    opened = finding()
    desk.handle(opened)
    desk.handle(closed(opened))
    assert desk.pager.told == []
    desk.clock.advance(10)
    desk.handle()

    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve"]


def test_what_can_not_be_delivered_is_reported_by_another_receiver(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "HTTP 400: bad key", retry=False)]

    notifications = desk.handle(finding())
    desk.handle()

    failed = next(n for n in notifications if n.status == "failed")
    assert "HTTP 400: bad key" in failed.reason
    assert sorted(desk.backup.told) == [("trigger", "bank.example."), ("trigger", "pager")]

    desk.clock.advance(3600)
    desk.handle()
    desk.handle()
    assert desk.pager.told == [("trigger", "bank.example.")], "it is tried again while its incident is open"
    assert ("resolve", "pager") in desk.backup.told


def test_after_the_last_try_it_is_reported_and_tried_on(tmp_path: Path, clock: Any) -> None:
    desk = Desk(tmp_path, clock, max_attempts=3)
    desk.pager.outcomes = [DeliveryOutcome(False, "down")] * 5
    desk.handle(finding())
    for _ in range(6):
        clock.advance(600)
        desk.handle()

    assert len(set(desk.pager.ids)) == 1
    assert desk.pager.told == [("trigger", "bank.example.")]
    assert [n.attempts for n in desk.ledger.notifications(50) if n.status == "failed"] == [3]
    assert [event for event, about in desk.backup.told if about == "pager"] == ["trigger", "resolve"]
    assert [event for event, about in desk.backup.told if about != "pager"] == ["trigger"]


def test_a_receiver_that_left_the_configuration_is_reported(desk: Desk) -> None:
    desk.stage = desk.staffed({"backup": desk.backup})
    desk.handle(finding())
    desk.handle()

    assert sorted(desk.backup.told) == [("trigger", "bank.example."), ("trigger", "pager")]


def test_a_message_that_is_no_finding_is_rejected(desk: Desk) -> None:
    polls = PollBatch(id="x", vantage="v", names=(), types=(), observations=(), polled_at=())

    with pytest.raises(Rejected):
        asyncio.run(desk.stage.handle([polls]))


def test_a_mild_state_on_the_zone_does_not_keep_the_pager_from_hearing_the_end(desk: Desk) -> None:
    severe = finding()
    desk.handle(finding("nsec3_params_poor"), severe)
    desk.handle(closed(severe))

    assert desk.pager.told == [("trigger", "bank.example."), ("resolve", "bank.example.")]


def test_the_same_fault_again_rings_again(desk: Desk) -> None:
    mild, severe = finding("nsec3_params_poor"), finding()
    desk.handle(mild, severe)
    desk.handle(closed(severe))
    desk.handle(finding("rrsig_missing", opened_at=AT + 2 * LATER))

    assert [event for event, _ in desk.pager.told] == ["trigger", "resolve", "trigger"]


def test_a_worse_fault_beside_one_that_smoulders_rings(desk: Desk) -> None:
    desk.handle(finding("alias_chain_broken"))
    desk.handle(finding("rrsig_missing", opened_at=AT + 2 * LATER))

    assert [event for event, _ in desk.pager.told] == ["trigger", "trigger"]


def test_an_unconfirmed_fault_raises_nothing(desk: Desk) -> None:
    desk.handle(finding("alias_chain_broken"))
    desk.handle(finding("rrsig_crypto_invalid", confirmed=False))

    assert [event for event, _ in desk.pager.told] == ["trigger"]


def test_what_was_worst_is_told_again_when_it_comes_back(desk: Desk) -> None:
    high, critical = finding("alias_chain_broken"), finding()
    desk.handle(high, critical)
    desk.handle(closed(critical))
    desk.handle(finding("rrsig_missing", opened_at=AT + timedelta(minutes=5)))

    assert [event for event, _ in desk.pager.told] == ["trigger", "update"]


def test_what_nobody_hears_of_explains_nothing(tmp_path: Path, clock: Any) -> None:
    desk = Desk(tmp_path, clock)
    routes = (Route(match=Match(zone=("*bank.example",)), receiver="pager"),)
    desk.config = msgspec.structs.replace(desk.config, routes=routes)
    desk.restart()

    desk.handle(finding(zone="example."), finding())

    assert desk.pager.told == [("trigger", "bank.example.")]


def test_a_resolution_is_never_given_up(tmp_path: Path, clock: Any) -> None:
    desk = Desk(tmp_path, clock, max_attempts=2)
    opened = finding()
    desk.handle(opened)
    desk.pager.outcomes = [DeliveryOutcome(False, "down")] * 20
    desk.handle(closed(opened))
    for _ in range(40):
        clock.advance(400)
        desk.handle()

    assert ("resolve", "bank.example.") in desk.pager.told
    assert [event for event, _ in desk.backup.told] == ["trigger", "resolve"]


def test_a_receiver_that_is_gone_for_good_is_forgotten_at_the_next_start(desk: Desk) -> None:
    desk.pager.outcomes = [DeliveryOutcome(False, "down")] * 50
    desk.handle(finding())
    for _ in range(20):
        desk.clock.advance(400)
        desk.handle()
    assert ("trigger", "pager") in desk.backup.told

    desk.ledger = SqliteLedger(desk.config.ledger)
    desk.stage = desk.staffed({"backup": desk.backup})
    desk.handle()

    assert [event for event, about in desk.backup.told if about == "pager"] == ["trigger", "resolve"]
    assert desk.ledger.pending() == 0


def test_silence_costs_what_is_open_and_no_more(tmp_path: Path, clock: Any) -> None:
    def cost(count: int) -> int:
        desk = Desk(tmp_path / str(count), clock)
        desk.handle(*[finding(zone=f"z{n}.example.") for n in range(count)])
        while desk.ledger.pending():
            desk.handle()
        return calls_of(desk.handle)

    assert cost(200) < 12 * max(cost(20), 2000)

"""Somebody who may declare changes, or stole the token of one who may, hides nothing but what he said would change."""

from datetime import timedelta
from typing import Any

import pytest

from analyzer.findings.changes import Plan
from schemas.catalogue import Change, Severity
from schemas.judgement import ResolverClaim, Verdict
from schemas.messages import Act, ZoneSweep
from tests.support.making import AT, judgement, key, link, observation, polls, snapshot
from tests.support.sweeps import of_parent, sweep

HOUR = timedelta(hours=1)
UNSIGNED: dict[str, Any] = {
    "verdict": "insecure",
    "code": "unsigned_delegation",
    "expires_at": None,
    "inception_at": None,
}
UNSIGNED_ZONES = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))
NEW_KEYS = link("bank.example.", keys=(key(8, entry=True), key(9)), ds=("8 13 2 BB",))
REPLACED = (link("."), link("example."), NEW_KEYS)


def declared(subject: str, *what: str, hours: float = 2, begins: float = 0, **more: Any) -> Act:
    plan = Plan(
        subject=subject,
        what=what or tuple(Change),
        begins_at=AT + begins * HOUR,
        ends_at=AT + (begins + hours) * HOUR,
        by="eve",
        **more,
    )
    return plan.declared(AT, "API, from 192.0.2.200")


def everything(subject: str = "bank.example.", **more: Any) -> Act:
    return declared(subject, *Change, answers=("192.0.2.7",), **more)


def pages_of(pipeline: Any) -> list[str]:
    return [event for event, _ in pipeline.told]


@pytest.fixture
def watched(pipeline: Any) -> Any:
    pipeline.at(0, snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    return pipeline


def test_the_change_that_was_declared_pages_nobody_and_the_rest_of_this_file_would(watched: Any, after: Any) -> None:
    watched.at(0, declared("bank.example.", "keys", "ds"))
    watched.at(10, observation(judgement(chain=REPLACED), after(10)))

    (found,) = [one for one in watched.findings if one.code == "key_change_unexpected"]
    assert found.severity is Severity.LOW
    assert "lowered from critical: eve declared a change of keys, ds" in found.detail
    assert watched.told == []


def test_without_a_declaration_it_pages(watched: Any, after: Any) -> None:
    watched.at(10, observation(judgement(chain=REPLACED), after(10)))

    assert pages_of(watched) == ["trigger"]


@pytest.mark.parametrize("subject", ["example.", ".", "api.bank.example.", "other.example."])
def test_a_window_of_another_zone_hides_nothing(watched: Any, after: Any, subject: str) -> None:
    watched.at(0, everything(subject))
    watched.at(10, observation(judgement(chain=REPLACED), after(10)))

    assert pages_of(watched) == ["trigger"]


@pytest.mark.parametrize("subject", ["*.example.", "*", "", "bank.example", "bank.example. "])
def test_a_window_of_a_pattern_is_none(watched: Any, after: Any, subject: str) -> None:
    watched.at(0, everything(subject))
    watched.at(10, observation(judgement(chain=REPLACED), after(10)))

    assert pages_of(watched) == ["trigger"]


@pytest.mark.parametrize(
    "window",
    [{"hours": 1}, {"hours": 2, "begins": 4}, {"hours": 31 * 24}, {"hours": -1}],
    ids=["over", "ahead", "too long", "turned round"],
)
def test_a_change_outside_its_window_pages(watched: Any, after: Any, window: dict[str, Any]) -> None:
    watched.at(0, everything(**window))
    watched.at(90, observation(judgement(chain=REPLACED), after(90)))

    assert pages_of(watched) == ["trigger"]


def test_a_window_that_is_declared_after_the_fact_ends_nothing(watched: Any, after: Any) -> None:
    watched.at(10, observation(judgement(chain=REPLACED), after(10)))
    plan = Plan(subject="bank.example.", what=("keys", "ds"), begins_at=AT, ends_at=AT + HOUR, by="eve")
    watched.at(11, plan.declared(after(11), "API"))
    late = judgement("www.bank.example.", chain=REPLACED)
    watched.at(12, snapshot("sa", "api.bank.example", "www.bank.example"), observation(late, after(12)))

    assert pages_of(watched) == ["trigger"]
    assert [one.severity for one in watched.findings if one.code == "key_change_unexpected"][-1] is Severity.CRITICAL


def test_a_bogus_zone_in_its_window_pages(watched: Any, after: Any) -> None:
    watched.at(0, everything())
    bad = observation(judgement(verdict="bogus", code="ds_dnskey_mismatch", rrset="bank.example. DNSKEY"), after(10))
    watched.at(10, bad)
    watched.at(11, polls(bad, at=after(11)))

    assert pages_of(watched) == ["trigger"]


def test_a_lie_to_clients_in_its_window_pages(watched: Any, after: Any) -> None:
    watched.at(0, everything("api.bank.example."))
    forged = ResolverClaim(False, "NOERROR", ("api.bank.example. A 203.0.113.66",))
    claim = ResolverClaim(True, "NOERROR", ("api.bank.example. A 192.0.2.1",))
    bad = observation(judgement(claim=claim, plain=forged), after(10))
    watched.at(10, bad)
    for minute in (11, 12, 13):
        watched.at(minute, polls(bad, at=after(minute)))

    assert pages_of(watched) == ["trigger"]


@pytest.mark.parametrize("subject", ["bank.example.", "api.bank.example."])
def test_a_forged_address_in_the_window_of_its_zone_or_name_pages(pipeline: Any, after: Any, subject: str) -> None:
    inventory = snapshot("sa", "api.bank.example", answers=("192.0.2.1",))
    pipeline.at(0, inventory, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), AT), everything(subject))
    forged = judgement(chain=UNSIGNED_ZONES, answers=("203.0.113.66",), **UNSIGNED)
    pipeline.at(10, observation(forged, after(10)))

    assert pages_of(pipeline) == ["trigger"]


def test_the_address_that_was_declared_pages_nobody(pipeline: Any, after: Any) -> None:
    inventory = snapshot("sa", "api.bank.example", answers=("192.0.2.1",))
    act = declared("api.bank.example.", "answers", answers=("192.0.2.7",))
    pipeline.at(0, inventory, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), AT), act)
    moved = judgement(chain=UNSIGNED_ZONES, answers=("192.0.2.7",), **UNSIGNED)
    pipeline.at(10, observation(moved, after(10)))

    assert pipeline.told == []


def test_protection_that_goes_in_a_window_for_keys_pages(watched: Any, after: Any) -> None:
    watched.at(0, declared("bank.example.", "keys", "ds", "ns"))
    watched.at(10, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), after(10)))

    assert pages_of(watched) == ["trigger"]


def test_what_was_planned_at_one_vantage_pages_at_another_after_the_window(watched: Any, after: Any) -> None:
    """Both see the same edge, so it is one finding; the worse of both counts."""
    watched.at(0, observation(judgement(vantage="isp"), AT), declared("bank.example.", "unsign", hours=1))
    watched.at(10, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), after(10)))
    assert watched.told == []
    watched.at(90, observation(judgement(chain=UNSIGNED_ZONES, vantage="isp", **UNSIGNED), after(90)))

    assert pages_of(watched) == ["trigger"]


def test_nobody_declares_in_silence(watched: Any) -> None:
    watched.at(1, everything())

    (told,) = [one for one in watched.findings if one.code == "change_declared"]
    assert told.severity is Severity.LOW
    assert [identity.id for identity in told.identities] == ["sa"]
    assert "eve declared a change of keys, ds, ns, unsign, answers of bank.example." in told.detail
    assert "[API, from 192.0.2.200]" in told.detail


def test_an_announced_window_takes_in_no_page_of_its_zone(watched: Any, after: Any) -> None:
    """A receiver that was told of the window must ring anew: it is no update of that."""
    watched.at(1, everything())
    watched.at(2, observation(judgement(verdict="bogus", code="rrsig_expired", rrset="bank.example. DNSKEY"), after(2)))

    causes = {incident.cause for incident in watched.desk.ledger.open_incidents()}
    assert causes == {"change bank.example.", "bank.example."}


def test_an_acceptance_of_one_change_permits_no_other(pipeline: Any, after: Any) -> None:
    inventory = snapshot("sa", "api.bank.example", answers=("192.0.2.1",))
    pipeline.at(0, inventory, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), AT))
    moved = judgement(chain=UNSIGNED_ZONES, answers=("192.0.2.7",), **UNSIGNED)
    pipeline.at(10, observation(moved, after(10)))
    (finding,) = [one for one in pipeline.findings if one.code == "answer_changed"]
    act = Act(
        id="a",
        kind="accept",
        by="ana",
        at=after(11),
        subject=finding.id,
        rrset="api.bank.example. A",
        answers=("192.0.2.7",),
        vantages=("corp",),
    )
    pipeline.at(11, act)
    assert pages_of(pipeline) == ["trigger", "resolve"]
    forged = judgement(chain=UNSIGNED_ZONES, answers=("203.0.113.66",), **UNSIGNED)
    pipeline.at(12, observation(forged, after(12)))

    assert pages_of(pipeline) == ["trigger", "resolve", "trigger"]


def moved(minute: int, to: str) -> ZoneSweep:
    return sweep(*(of_parent(n, ns=(to,)) for n in (1, 2)), at=AT + timedelta(minutes=minute))


@pytest.mark.parametrize(
    ("subject", "what", "events"),
    [
        ("bank.example.", ("ns",), []),
        ("bank.example.", ("keys", "ds", "unsign"), ["trigger"]),
        ("example.", ("ns",), ["trigger"]),
        ("ns.new.test.", ("ns",), ["trigger"]),
    ],
)
def test_name_servers_that_move_page_unless_just_that_was_declared(
    watched: Any, subject: str, what: tuple[str, ...], events: list[str]
) -> None:
    watched.at(0, sweep(), declared(subject, *what, hours=1))
    watched.at(60, moved(60, "ns.new.test."))
    assert pages_of(watched) == events


def test_a_sweep_finds_after_the_window_what_happened_in_it_and_the_next_one_does_not(watched: Any) -> None:
    """The servers of a zone are asked once an hour: what the first sweep after the window finds may have been in it."""
    watched.at(0, sweep(), declared("bank.example.", "ns", hours=1))
    watched.at(55, sweep(at=AT + timedelta(minutes=55)))
    watched.at(115, moved(115, "ns.new.test."))
    assert pages_of(watched) == []
    watched.at(175, moved(175, "ns.evil.test."))

    assert pages_of(watched) == ["trigger"]


class TestTakeover:
    """A move of a zone to other name servers under other keys is what a takeover looks like, planned or not."""

    def begin(self, watched: Any, *what: str) -> None:
        watched.at(0, sweep(), declared("bank.example.", *what))

    def move(self, watched: Any, after: Any) -> None:
        watched.at(60, moved(60, "ns.new.test."))
        watched.at(61, observation(judgement(chain=REPLACED), after(61)))

    def patterns(self, watched: Any) -> list[tuple[str, str]]:
        found = [one for one in watched.findings if one.code == "takeover_pattern"]
        return [(str(one.severity), str(one.status)) for one in found]

    def test_a_planned_one_is_high(self, watched: Any, after: Any) -> None:
        self.begin(watched, "ns", "keys", "ds")
        self.move(watched, after)

        assert self.patterns(watched) == [("high", "opened")]

    @pytest.mark.parametrize("what", [("ns",), ("keys", "ds"), ("ns", "keys")])
    def test_one_of_which_a_part_was_not_declared_is_critical(
        self, watched: Any, after: Any, what: tuple[str, ...]
    ) -> None:
        self.begin(watched, *what)
        self.move(watched, after)

        assert self.patterns(watched) == [("critical", "opened")]

    def test_a_part_that_nobody_declared_makes_a_planned_one_critical(self, watched: Any, after: Any) -> None:
        self.begin(watched, "ns", "keys", "ds")
        self.move(watched, after)
        watched.at(70, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), after(70)))

        assert self.patterns(watched)[-1] == ("critical", "updated")

    def test_an_accepted_one_that_goes_on_rings_anew(self, watched: Any, after: Any) -> None:
        self.begin(watched, "ns", "keys", "ds")
        self.move(watched, after)
        (pattern,) = [one for one in watched.findings if one.code == "takeover_pattern"]
        watched.at(65, Act(id="a", kind="accept", by="ana", at=after(65), subject=pattern.id))
        watched.at(70, observation(judgement(chain=UNSIGNED_ZONES, **UNSIGNED), after(70)))

        assert self.patterns(watched) == [("high", "opened"), ("high", "closed"), ("critical", "opened")]

"""The analyzer over its history: drift, states, restarts, replays."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.memory import MemoryHistory
from analyzer.stage import Analyzer
from anchorwatch.replay.inline import InlineLoop
from schemas.faults import Rejected, Transient
from schemas.judgement import Reason, ResolverClaim, Verdict
from schemas.messages import Finding, InventoryIndex, InventorySnapshot, Message, SelfReport
from tests.support.databases import AnyHistory
from tests.support.making import AT, judgement, link, observation, polls, snapshot, with_zones
from tests.support.operations import calls_of

MINUTE = timedelta(minutes=1)


class Run:
    """One analyzer over a history; ``handle`` returns findings as (code, status, confirmed)."""

    def __init__(self, history: Any, clock: Any) -> None:
        self.analyzer = Analyzer(history, clock)
        self.last: list[Finding] = []

    def handle(self, *batch: Message) -> list[tuple[str, str, bool]]:
        out = InlineLoop().run(self._handle(batch))
        self.last = out
        return [(f.code, str(f.status), f.confirmed) for f in out]

    async def _handle(self, batch: Sequence[Message]) -> list[Finding]:
        return [message for message in await self.analyzer.handle(with_zones(batch)) if isinstance(message, Finding)]


def bogus(name: str = "api.bank.example.", **more: Any) -> Any:
    return judgement(name, verdict="bogus", code="rrsig_expired", **more)


def test_a_fault_opens_is_confirmed_and_closes_after_three_good_polls(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    bad = observation(bogus(), AT)
    good = observation(judgement(), AT + 2 * MINUTE)

    assert run.handle(snapshot("sa", "api.bank.example"), bad) == [("rrsig_expired", "opened", False)]
    assert run.handle(polls(bad, at=AT + MINUTE)) == [("rrsig_expired", "updated", True)]
    assert [identity.id for identity in run.last[0].identities] == ["sa"]
    assert run.handle(good) == []
    assert run.handle(polls(good, at=AT + 3 * MINUTE)) == []
    assert run.handle(polls(good, at=AT + 4 * MINUTE)) == [("rrsig_expired", "closed", True)]
    assert any_history.open_findings() == []


def test_who_asks_while_what_is_stored_is_taken_up_hears_what_was_known(clock: Any) -> None:
    seen: list[int] = []

    class Watched(MemoryHistory):
        def open_findings(self) -> list[Finding]:
            seen.append(len(run.analyzer.current))
            return super().open_findings()

    run = Run(Watched(), clock)
    run.handle(snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    run.analyzer.forget()
    run.handle()

    assert seen == [0, 1], "at the start nothing was known"
    assert len(run.analyzer.current) == 1


class TestNamesApart:
    """A fault of one owner name is told by itself, until so many names show it that the zone has it."""

    def forged(self, name: str, at: Any) -> Any:
        return observation(bogus(f"{name}.bank.example.", rrset=f"{name}.bank.example. A"), at)

    def test_a_forgery_beside_an_odd_name_is_a_finding_of_its_own(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(self.forged("odd", AT), observation(judgement("www.bank.example."), AT))
        forged = self.forged("www", AT + MINUTE)

        assert run.handle(forged) == [("rrsig_expired", "opened", False)]
        assert run.last[0].cause_rrset == "www.bank.example."
        assert run.last[0].before == "secure: 192.0.2.1"
        assert run.handle(polls(forged, at=AT + 2 * MINUTE)) == [("rrsig_expired", "updated", True)]

    def test_many_names_of_a_zone_are_the_zones_fault(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(*(self.forged(f"h{number}", AT) for number in range(40)))

        assert sorted(f.cause_rrset for f in run.last) == ["", *(f"h{n}.bank.example." for n in range(3))]
        assert max(f.endpoint_count for f in run.last) == 37

    def test_cuts_of_many_names_below_a_zone_are_one_finding(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(*(observation(bogus(f"h{n}.bank.example.", rrset=f"h{n}.bank.example. DS"), AT) for n in range(40)))

        assert sorted(f.cause_rrset for f in run.last) == ["", *(f"h{n}.bank.example. DS" for n in range(3))]

    def test_a_cut_that_healed_makes_no_room_in_a_fault_of_many(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(*(observation(bogus(f"h{n}.bank.example.", rrset=f"h{n}.bank.example. DS"), AT) for n in range(40)))
        healed = observation(judgement("h0.bank.example."), AT + MINUTE)
        run.handle(healed)
        for minute in (2, 3):
            run.handle(polls(healed, at=AT + minute * MINUTE))
        assert [(one.cause_rrset, one.status) for one in run.last] == [("h0.bank.example. DS", "closed")]
        late = observation(bogus("late.bank.example.", rrset="late.bank.example. DS"), AT + 90 * MINUTE)

        run.handle(late)

        assert [(finding.cause_rrset, finding.status) for finding in run.last] == [("", "updated")]

    def test_where_few_names_of_many_are_left_another_one_is_apart(self, any_history: AnyHistory, clock: Any) -> None:
        """Decoys that made a fault the zone's, and then went, take in no forgery of another name."""
        run = Run(any_history, clock)
        run.handle(*(self.forged(f"d{number}", AT) for number in range(5)))
        healed = [observation(judgement(f"d{number}.bank.example."), AT + MINUTE) for number in range(4)]
        run.handle(*healed)
        for minute in (2, 3):
            run.handle(polls(*healed, at=AT + minute * MINUTE))
        assert {finding.cause_rrset for finding in any_history.open_findings()} == {""}

        run.handle(self.forged("www", AT + 90 * MINUTE))

        assert [finding.cause_rrset for finding in run.last] == ["www.bank.example."]

    def test_a_fault_at_one_cut_affects_what_lies_below_it_alone(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(observation(judgement("www.bank.example."), AT))
        run.handle(observation(bogus("odd.bank.example.", rrset="odd.bank.example. DS"), AT + MINUTE))

        assert run.last[0].endpoints == ("odd.bank.example. A",)

    def test_of_a_vantage_three_names_of_ten_zones_are_apart(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        forged = [f"h{n}.z{z}.example." for z in range(11) for n in range(4)]
        run.handle(
            *(
                observation(judgement(one, plain=ResolverClaim(False, "NOERROR", (f"{one} A 203.0.113.66",))), AT)
                for one in forged
            )
        )

        places = {finding.cause_rrset for finding in run.last}
        assert places == {"vantage corp", *(f"vantage corp h{n}.z{z}.example." for z in range(10) for n in range(3))}

    def test_a_restart_keeps_them_apart(self, any_history: AnyHistory, clock: Any) -> None:
        first = Run(any_history, clock)
        made = [self.forged(f"h{number}", AT) for number in range(6)]
        first.handle(snapshot("sa", *(f"h{number}.bank.example" for number in range(6))), *made)
        opened = {finding.id for finding in first.last}
        second = Run(any_history, clock)
        second.handle()
        second.handle(polls(*made, at=AT + MINUTE))

        assert {finding.id for finding in any_history.open_findings()} == opened


class TestHealedMeansProvenHealed:
    @pytest.mark.parametrize("restarts", [False, True])
    def test_a_clock_set_back_heals_no_signature_that_has_ended(
        self, any_history: AnyHistory, clock: Any, restarts: bool
    ) -> None:
        run = Run(any_history, clock)
        ended = AT - timedelta(minutes=5)
        bad = observation(bogus(), AT)
        run.handle(snapshot("sa", "api.bank.example"), bad, polls(bad, at=AT + MINUTE))
        if restarts:
            run = Run(any_history, clock)
            run.handle()
        back = AT - timedelta(minutes=30)
        seems_good = observation(judgement(expires_at=ended), back)
        run.handle(seems_good)
        for minute in range(1, 6):
            assert run.handle(polls(seems_good, at=back + minute * MINUTE)) == []

        renewed = observation(judgement(), back + 6 * MINUTE)
        run.handle(renewed)
        run.handle(polls(renewed, at=back + 7 * MINUTE))
        assert run.handle(polls(renewed, at=back + 8 * MINUTE)) == [("rrsig_expired", "closed", True)]

    def test_verdicts_are_counted_and_the_ends_of_signatures_known(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        soon = judgement(inception_at=AT - timedelta(days=1), expires_at=AT + timedelta(days=9))
        run.handle(snapshot("sa", "api.bank.example", "www.bank.example"))
        run.handle(observation(soon, AT), observation(judgement("www.bank.example."), AT))
        assert run.analyzer.current.verdicts == {("secure", "corp"): 2}
        clock.advance(60)
        run.handle(observation(bogus("www.bank.example."), AT + MINUTE))

        assert run.analyzer.current.verdicts == {("secure", "corp"): 1, ("bogus", "corp"): 1}
        above = dict.fromkeys((".", "example."), AT + timedelta(days=60))
        assert run.analyzer.next_ends == {"bank.example.": AT + timedelta(days=9), **above}

    def test_only_the_next_ends_are_kept(
        self, any_history: AnyHistory, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("analyzer.signatures.MOST_ENDS_KNOWN", 2)
        run = Run(any_history, clock)
        ends = {f"h{n}.z{n}.example.": AT + timedelta(days=20 - n) for n in range(4)}
        run.handle(*(observation(judgement(name, zone=name, chain=(), expires_at=at), AT) for name, at in ends.items()))
        clock.advance(60)
        run.handle()

        assert sorted(run.analyzer.next_ends.values()) == [AT + timedelta(days=17), AT + timedelta(days=18)]

    def test_signatures_are_looked_at_when_the_clock_was_set_back(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(snapshot("sa", "api.bank.example"), observation(judgement(), AT))
        clock.advance(-3600)
        back = AT - timedelta(hours=1)
        soon = judgement(inception_at=back - timedelta(days=14), expires_at=back + timedelta(hours=1))
        expiring = observation(soon, back)

        assert run.handle(expiring) == [("rrsig_expiring", "opened", True)]

    def test_a_chain_that_breaks_above_says_nothing_of_a_fault_below(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(observation(bogus(rrset="api.bank.example. A"), AT))
        above = judgement(
            verdict="bogus",
            code="dnskey_missing",
            zone="example.",
            rrset="example. DNSKEY",
            chain=(link("."), link("example.", verdict=Verdict.BOGUS)),
        )
        broken = observation(above, AT + MINUTE)
        run.handle(broken)
        for minute in range(2, 7):
            run.handle(polls(broken, at=AT + minute * MINUTE))

        assert {f.code for f in any_history.open_findings()} == {"rrsig_expired", "dnskey_missing"}

    def test_a_claim_that_was_not_heard_ends_no_disagreement(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        forged = ResolverClaim(True, "NOERROR", ("api.bank.example. A 203.0.113.66",))
        run.handle(observation(judgement(plain=forged), AT))
        unheard = observation(judgement(), AT + MINUTE)
        run.handle(unheard)
        for minute in range(2, 7):
            run.handle(polls(unheard, at=AT + minute * MINUTE))

        assert [f.code for f in any_history.open_findings()] == ["resolver_disagrees"]

    def test_the_blast_radius_told_is_the_live_one_and_says_what_it_was_at_most(
        self, any_history: AnyHistory, clock: Any
    ) -> None:
        run = Run(any_history, clock)
        names = [f"h{number}.bank.example" for number in range(22)]
        run.handle(snapshot("sa", *names))
        made = [observation(bogus(f"{name}.", rrset="bank.example. DNSKEY"), AT) for name in names]
        run.handle(*made)
        good = [observation(judgement(f"{name}."), AT + MINUTE) for name in names[6:]]
        run.handle(*good)
        for minute in (2, 3, 4):
            run.handle(polls(*good, at=AT + minute * MINUTE))
        clock.advance(600)
        run.handle()

        (finding,) = any_history.open_findings()
        assert (finding.endpoint_count, finding.endpoint_peak) == (6, 22)


def test_one_renewal_of_a_zone_is_one_however_many_names_show_it(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    names = [f"h{number}.bank.example." for number in range(9)]
    ending = AT + timedelta(days=12, hours=12)
    run.handle(*(observation(judgement(name, expires_at=ending), AT) for name in names))
    later = AT + 12 * timedelta(days=1)
    for minute, name in enumerate(names):
        at = later + minute * MINUTE
        run.analyzer.current[name, "A", "corp"].applied_at = at - MINUTE
        run.handle(observation(judgement(name, inception_at=at, expires_at=at + timedelta(days=14)), at))

    (shares,) = any_history.renewals().values()
    assert len(shares) == 1


class TestAHostThatDoesNotExist:
    def absent(self, at: Any, rdtype: str = "A", rcode: str = "NOERROR") -> Any:
        judged = msgspec.structs.replace(judgement(answers=()), type=rdtype, rcode=rcode)
        return observation(judged, at)

    def test_it_is_absent_only_when_no_type_is_there(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(snapshot("sa", "api.bank.example", types=("A", "AAAA")))
        run.handle(observation(judgement(), AT), self.absent(AT, "AAAA"))
        assert any_history.open_findings() == []

        assert run.handle(self.absent(AT + MINUTE)) == [("endpoint_absent", "opened", False)]
        assert run.last[0].severity == "high", "it was there until now"

    def test_at_first_sight_it_is_medium(self, any_history: AnyHistory, clock: Any) -> None:
        run = Run(any_history, clock)
        run.handle(snapshot("sa", "api.bank.example", types=("A",)), self.absent(AT, rcode="NXDOMAIN"))

        assert [(f.code, str(f.severity)) for f in run.last] == [("endpoint_absent", "medium")]


def test_a_forged_claim_is_confirmed_by_the_second_poll(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(judgement(), AT))
    forged = observation(
        judgement(plain=ResolverClaim(True, "NOERROR", ("api.bank.example. A 203.0.113.66",))), AT + MINUTE
    )

    assert run.handle(forged) == [("resolver_disagrees", "opened", False)]
    assert run.handle(polls(forged, at=AT + MINUTE + timedelta(seconds=5))) == [("resolver_disagrees", "updated", True)]
    assert run.last[0].severity == "critical"


def test_a_claim_that_repeats_what_was_proven_lately_is_no_disagreement(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(judgement(answers=("192.0.2.7",)), AT))
    run.handle(observation(judgement(), AT + MINUTE))
    lagging = ResolverClaim(True, "NOERROR", ("api.bank.example. A 192.0.2.7",))
    run.handle(observation(judgement(plain=lagging), AT + 2 * MINUTE))

    assert "resolver_disagrees" not in {finding.code for finding in any_history.open_findings()}


def test_a_suspected_negative_anchor_outlives_a_restart_and_ends_once_the_resolver_refuses(
    any_history: AnyHistory, clock: Any
) -> None:
    run = Run(any_history, clock)
    good = observation(judgement("www.bank.example.", claim=ResolverClaim(True, "NOERROR")), AT)
    run.handle(snapshot("sa", "api.bank.example", "www.bank.example"), good)
    handed = observation(bogus(claim=ResolverClaim(False, "NOERROR")), AT + MINUTE)
    run.handle(handed)
    run.handle(polls(handed, at=AT + 2 * MINUTE))
    run.handle(polls(handed, at=AT + 4 * MINUTE))
    named = {f.cause_rrset for f in any_history.open_findings() if f.code == "resolver_nta_suspected" and f.confirmed}
    assert named == {"vantage corp bank.example."}

    run = Run(any_history, clock)
    for minute in (5, 6, 7):
        run.handle(polls(handed, at=AT + minute * MINUTE))
    assert "resolver_nta_suspected" in {one.code for one in any_history.open_findings()}

    refused = observation(bogus(claim=ResolverClaim(False, "SERVFAIL")), AT + 8 * MINUTE)
    run.handle(refused)
    for minute in (9, 10):
        run.handle(polls(refused, at=AT + minute * MINUTE))
    assert {one.code for one in any_history.open_findings()} == {"rrsig_expired"}


def test_an_observation_that_another_collector_made_meanwhile_is_the_one_that_goes_on(
    any_history: AnyHistory, clock: Any
) -> None:
    run = Run(any_history, clock)
    first, second = observation(judgement(), AT), observation(bogus(), AT + timedelta(seconds=1))
    run.handle(snapshot("sa", "api.bank.example"), first)
    run.handle(polls(first, at=AT + timedelta(seconds=2)))

    assert run.handle(second) == [("rrsig_expired", "opened", False)], "late, and no replay"
    assert run.handle(second) == [("rrsig_expired", "opened", False)], "now it is one"
    assert run.handle(polls(second, at=AT + timedelta(seconds=3))) == [("rrsig_expired", "updated", True)]
    assert run.analyzer.unmatched == 0

    again = Run(any_history, clock)
    again.handle()
    assert again.analyzer.current["api.bank.example.", "A", "corp"].observation == second.id


def test_polls_of_a_collector_whose_first_word_was_overtaken_go_on_with_it(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    new, old = observation(judgement(), AT + timedelta(seconds=2)), observation(bogus(), AT + timedelta(seconds=1))
    run.handle(snapshot("sa", "api.bank.example"), new)
    run.handle(old)

    for minute in (1, 2, 3):
        found = run.handle(polls(new, at=AT + minute * MINUTE))

    assert found == [("rrsig_expired", "closed", False)]
    assert run.analyzer.current["api.bank.example.", "A", "corp"].observation == new.id


def test_the_observation_polled_last_goes_on_after_a_restart_though_clocks_differ(
    any_history: AnyHistory, clock: Any
) -> None:
    run = Run(any_history, clock)
    first, second = observation(judgement(), AT), observation(bogus(), AT - MINUTE)
    run.handle(snapshot("sa", "api.bank.example"), first)
    run.handle(second)
    run.handle(polls(second, at=AT + MINUTE))

    again = Run(any_history, clock)
    again.handle()

    assert again.analyzer.current["api.bank.example.", "A", "corp"].observation == second.id


def test_a_collector_that_was_five_minutes_ahead_silences_no_name_that_it_handed_over(
    any_history: AnyHistory, clock: Any
) -> None:
    run = Run(any_history, clock)
    ahead = observation(judgement(), AT + 5 * MINUTE)
    run.handle(snapshot("sa", "api.bank.example"), ahead)
    run.handle(polls(ahead, at=AT + 6 * MINUTE))

    first = observation(judgement(), AT + MINUTE)
    bad = observation(bogus(), AT + 2 * MINUTE)
    run.handle(first)
    assert run.handle(bad) == [("rrsig_expired", "opened", False)]
    assert run.handle(polls(bad, at=AT + 2 * MINUTE + timedelta(seconds=10))) == [("rrsig_expired", "updated", True)]
    assert (run.analyzer.unmatched, run.analyzer.dropped) == (0, 0)


def test_the_last_polls_of_a_collector_that_is_ahead_do_not_silence_the_one_that_goes_on(
    any_history: AnyHistory, clock: Any
) -> None:
    run = Run(any_history, clock)
    ahead, bad = observation(judgement(), AT + 5 * MINUTE), observation(bogus(), AT + MINUTE)
    run.handle(snapshot("sa", "api.bank.example"), ahead)
    run.handle(bad)
    run.handle(polls(ahead, at=AT + 6 * MINUTE))

    found = [run.handle(polls(bad, at=AT + 2 * MINUTE + n * timedelta(seconds=10))) for n in range(3)]
    assert [("rrsig_expired", "updated", True)] in found
    assert run.analyzer.dropped == 0

    again = Run(any_history, clock)
    again.handle()
    assert again.handle(polls(bad, at=AT + 2 * MINUTE + timedelta(seconds=40))) == []
    assert again.analyzer.confirmed == 1, "after a restart, too"


def test_polls_that_come_again_are_dropped_and_counted(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    ahead, other = observation(judgement(), AT + 5 * MINUTE), observation(judgement(), AT + MINUTE)
    run.handle(snapshot("sa", "api.bank.example"), ahead)
    run.handle(polls(ahead, at=AT + 6 * MINUTE))
    run.handle(other)
    run.handle(polls(other, at=AT + 2 * MINUTE))

    run.handle(polls(ahead, at=AT + 6 * MINUTE))
    run.handle(polls(other, at=AT + 2 * MINUTE))

    assert (run.analyzer.confirmed, run.analyzer.dropped) == (2, 2)
    assert run.analyzer.current["api.bank.example.", "A", "corp"].observation == other.id
    run.handle(ahead)
    assert run.analyzer.taken == 2, "an observation that comes again is known, whatever came after it"


def test_polls_of_an_observation_that_never_arrived_are_counted_and_their_subjects_named(
    any_history: AnyHistory, clock: Any
) -> None:
    """It expired on its topic while the analyzer was stopped, or is a dead letter."""
    run = Run(any_history, clock)
    first, lost, never = (observation(judgement(f"{n}.bank.example."), AT) for n in ("a", "b", "c"))
    later = observation(judgement("a.bank.example."), AT + MINUTE)
    run.handle(snapshot("sa", "a.bank.example", "b.bank.example"), first)

    run.handle(polls(later, at=AT + 2 * MINUTE), polls(lost, at=AT + MINUTE), polls(never, at=AT + MINUTE))

    assert run.analyzer.take_unknown() == {
        ("a.bank.example.", "A", "corp"): later.id,
        ("b.bank.example.", "A", "corp"): lost.id,
    }
    assert run.analyzer.last_of(("a.bank.example.", "A", "corp")) == first.id
    assert run.analyzer.unmatched == 2, "nobody consumes the third"
    assert run.analyzer.take_unknown() == {}


def test_one_bad_poll_is_never_confirmed(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(bogus(), AT))
    good = observation(judgement(), AT + MINUTE)

    statuses = (
        run.handle(good) + run.handle(polls(good, at=AT + 2 * MINUTE)) + run.handle(polls(good, at=AT + 3 * MINUTE))
    )

    assert statuses == [("rrsig_expired", "closed", False)]


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (ResolverClaim(False, "SERVFAIL"), "resolver_disagrees"),
        (ResolverClaim(False, "NOERROR"), "resolver_not_validating"),
    ],
)
def test_what_a_resolver_claims_counts_once_it_outlasts_its_caches(
    any_history: AnyHistory, clock: Any, claim: ResolverClaim, code: str
) -> None:
    run = Run(any_history, clock)
    lagging = observation(judgement(claim=claim), AT)
    start = run.handle(lagging)

    assert start == [(code, "opened", False)]
    assert run.handle(polls(lagging, at=AT + timedelta(seconds=45))) == []
    assert run.handle(polls(lagging, at=AT + timedelta(seconds=89))) == []
    assert run.handle(polls(lagging, at=AT + timedelta(seconds=90))) == [(code, "updated", True)]


def test_four_hundred_names_below_one_zone_are_one_finding(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    hosts = [f"h{i}.bank.example" for i in range(400)]

    found = run.handle(snapshot("sa", *hosts), *[observation(bogus(f"{host}."), AT) for host in hosts])

    assert found == [("rrsig_expired", "opened", False)]
    assert run.last[0].endpoint_count == 400


def test_a_drift_is_found_against_what_was_validated_before(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(judgement(), AT))
    run.handle(observation(bogus(answers=("203.0.113.9",)), AT + MINUTE))
    unsigned = judgement(
        verdict="insecure", code="unsigned_delegation",
        chain=(link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE)),
    )  # fmt: skip

    codes = {code for code, _, _ in run.handle(observation(unsigned, AT + 2 * MINUTE))}

    assert {"secure_to_insecure", "ds_changed"} <= codes
    assert "answer_changed" not in codes


def test_a_drift_never_closes_by_itself(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(judgement(), AT))
    run.handle(observation(judgement(answers=("192.0.2.99",)), AT + MINUTE))

    for minute in range(2, 8):
        assert (
            run.handle(polls(observation(judgement(answers=("192.0.2.99",)), AT + MINUTE), at=AT + minute * MINUTE))
            == []
        )
    assert [finding.code for finding in any_history.open_findings()] == ["answer_changed"]


def test_an_indeterminate_poll_says_nothing_about_an_open_fault(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(bogus(), AT))
    away = observation(judgement(verdict="indeterminate", code="verdict_indeterminate"), AT + MINUTE)
    run.handle(away)

    for minute in range(2, 7):
        run.handle(polls(away, at=AT + minute * MINUTE))

    assert {finding.code for finding in any_history.open_findings()} == {"rrsig_expired", "verdict_indeterminate"}


def test_a_lost_vantage_is_one_finding_and_no_name_is_blamed(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    names = [f"h{i}.bank.example." for i in range(5)]
    run.handle(*[observation(judgement(name), AT) for name in names])
    lost = SelfReport(code="self_vantage_lost", subject="corp", at=AT + MINUTE, detail="no answer")
    away = [judgement(name, verdict="indeterminate", code="verdict_indeterminate", zone=".") for name in names]

    found = run.handle(lost, *[observation(one, AT + MINUTE) for one in away])

    assert {code for code, _, _ in found} == {"self_vantage_lost"}
    assert found[-1][2]
    back = SelfReport(code="self_vantage_lost", subject="corp", at=AT + 2 * MINUTE)
    assert ("self_vantage_lost", "closed", True) in run.handle(back)


def test_critical_needs_two_vantages_or_a_third_poll(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(judgement(vantage="other"), AT))
    bad = observation(bogus(), AT)

    assert run.handle(bad) == [("rrsig_expired", "opened", False), ("vantage_disagreement", "opened", False)]
    assert run.handle(polls(bad, at=AT + MINUTE)) == []
    assert run.handle(polls(bad, at=AT + 2 * MINUTE)) == [("rrsig_expired", "updated", True)]


def test_expiring_signatures_are_reported_by_time_alone(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(observation(judgement(), AT))
    severities = []

    for day in range(1, 14):
        clock.advance(86_400)
        run.handle()
        severities += [(day, str(f.severity)) for f in run.last if f.code == "rrsig_expiring"]

    assert severities == [(9, "low"), (11, "high"), (12, "critical")]


def test_a_restart_forgets_nothing_and_opens_nothing_twice(any_history: AnyHistory, clock: Any) -> None:
    first = Run(any_history, clock)
    bad = observation(bogus(), AT)
    first.handle(snapshot("sa", "api.bank.example"), bad, polls(bad, at=AT + MINUTE))
    known = any_history.open_findings()

    second = Run(any_history, clock)
    assert second.handle() == [("rrsig_expired", "opened", True)]
    assert [(f.id, f.version) for f in second.last] == [(f.id, f.version) for f in known]

    again = observation(bogus(), AT + 2 * MINUTE)
    assert second.handle(again) == []
    good = observation(judgement(), AT + 3 * MINUTE)
    closed = second.handle(good, polls(good, at=AT + 4 * MINUTE), polls(good, at=AT + 5 * MINUTE))
    assert closed == [("rrsig_expired", "closed", True)]
    assert second.last[0].id == known[0].id
    assert [identity.id for identity in second.last[0].identities] == ["sa"]


def test_a_fault_that_healed_while_we_were_away_closes(any_history: AnyHistory, clock: Any) -> None:
    first = Run(any_history, clock)
    bad = observation(bogus(), AT)
    first.handle(snapshot("sa", "api.bank.example"), bad, polls(bad, at=AT + MINUTE))
    second = Run(any_history, clock)
    second.handle()
    good = observation(judgement(), AT + 60 * MINUTE)

    second.handle(good)
    second.handle(polls(good, at=AT + 61 * MINUTE))

    assert second.handle(polls(good, at=AT + 62 * MINUTE)) == [("rrsig_expired", "closed", True)]


def test_a_replayed_batch_reports_the_same_drift(any_history: AnyHistory, clock: Any) -> None:
    first = Run(any_history, clock)
    first.handle(snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    batch = [observation(judgement(answers=("192.0.2.99",)), AT + MINUTE)]
    first.handle(*batch)
    reported = [(f.id, f.version, f.code) for f in first.last]
    assert reported

    first.handle(*batch)
    assert [(f.id, f.version, f.code) for f in first.last] == reported

    second = Run(any_history, clock)
    second.handle()
    second.handle(*batch)
    assert [(f.id, f.version, f.code) for f in second.last] == reported
    assert len(any_history.findings()) == len({identity for identity, _, _ in reported})


class Flaky:
    """A history whose method ``failing`` is away: another one behind it."""

    def __init__(self, history: AnyHistory) -> None:
        self._history, self.failing = history, ""

    def __getattr__(self, name: str) -> Any:
        if name == self.failing:
            raise Transient("away")
        return getattr(self._history, name)


@pytest.mark.parametrize("method", ["validated_before", "sightings_before", "append"])
def test_a_history_that_is_away_changes_nothing_about_the_outcome(
    history: ClickHouseHistory, clock: Any, method: str
) -> None:
    flaky = Flaky(history)
    run = Run(flaky, clock)
    names = [f"h{n}.bank.example." for n in range(3)]
    run.handle(*[observation(judgement(name), AT) for name in names])
    batch = [observation(judgement(name, answers=("192.0.2.9",)), AT + MINUTE) for name in names]
    flaky.failing = method
    for _ in range(2):
        with pytest.raises(Transient):
            run.handle(*batch)
    flaky.failing = ""

    assert run.handle(*batch) == [("answer_changed", "opened", True)] * 3
    for name in names:
        assert [interval["answers"] for interval in history.intervals(name)] == [
            [f"{name} A 192.0.2.9"],
            [f"{name} A 192.0.2.1"],
        ]


def test_a_batch_that_was_given_up_and_comes_otherwise_cut_loses_nothing(any_history: AnyHistory, clock: Any) -> None:
    flaky = Flaky(any_history)
    run = Run(flaky, clock)
    names = [f"h{n}.bank.example." for n in range(3)]
    run.handle(snapshot("sa", *(name.rstrip(".") for name in names)))
    run.handle(*[observation(judgement(name), AT) for name in names])
    changed = [observation(judgement(name, answers=("192.0.2.9",)), AT + MINUTE) for name in names]
    flaky.failing = "append"
    with pytest.raises(Transient):
        run.handle(*changed[:2])
    flaky.failing = ""

    found = run.handle(*changed)

    assert found.count(("answer_changed", "opened", True)) == 3
    assert len({finding.id for finding in run.last}) == 3
    assert len(any_history.findings(code="answer_changed")) == 3


def test_a_bug_in_the_middle_of_a_batch_loses_nothing(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(snapshot("sa", "api.bank.example"))
    broken = judgement("b.bank.example.", claim=ResolverClaim(True, "NOERROR", ("no record",)))
    good = observation(judgement(), AT)

    with pytest.raises(ValueError, match="unpack"):
        run.handle(good, observation(broken, AT))

    run.handle(good)
    assert len(history.intervals("api.bank.example.")) == 1


def test_what_is_watched_no_more_holds_nothing_open(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    run.handle(snapshot("sa", "api.bank.example"), observation(bogus(), AT))

    gone = run.handle(snapshot("sa", "other.example"))

    assert gone == [("rrsig_expired", "closed", False)]


def test_what_ends_since_it_left_the_inventory_says_so_and_what_healed_does_not(
    any_history: AnyHistory, clock: Any
) -> None:
    run = Run(any_history, clock)
    run.handle(snapshot("sa", "api.bank.example"), observation(bogus(), AT))

    run.handle(InventorySnapshot(id="sa", seen_at=AT + MINUTE, identity=None, source="/etc/inventory.csv"))

    (left,) = [finding for finding in run.last if finding.status == "closed"]
    assert left.closed_because == "no longer watched: removed from /etc/inventory.csv"
    bad = observation(bogus(), AT + 2 * MINUTE)
    run.handle(snapshot("sa", "api.bank.example"), bad)
    good = observation(judgement(), AT + 3 * MINUTE)
    run.handle(good, polls(good, at=AT + 4 * MINUTE), polls(good, at=AT + 5 * MINUTE))
    (healed,) = [finding for finding in run.last if finding.status == "closed"]
    assert healed.closed_because == ""


def test_who_left_the_inventory_while_we_were_away_holds_nothing_open(any_history: AnyHistory, clock: Any) -> None:
    Run(any_history, clock).handle(snapshot("sa", "api.bank.example"), snapshot("sb"), observation(bogus(), AT))
    second = Run(any_history, clock)
    second.handle()

    gone = second.handle(InventoryIndex(seen_at=AT + MINUTE, ids=("sb",)))

    assert gone == [("rrsig_expired", "closed", False)]
    assert [identity_id for identity_id, _ in any_history.identities()] == ["sb"]


def test_a_vantage_that_left_the_configuration_holds_nothing_open(any_history: AnyHistory, clock: Any) -> None:
    Run(any_history, clock).handle(snapshot("sa", "api.bank.example"), observation(bogus(), AT))
    second = Run(any_history, clock)
    second.handle()

    gone = second.handle(InventoryIndex(seen_at=AT + MINUTE, ids=("sa",), vantages=("other",)))

    assert gone == [("rrsig_expired", "closed", False)]


def test_nobody_is_told_of_names_that_are_watched_no_more(any_history: AnyHistory, clock: Any) -> None:
    first = Run(any_history, clock)
    first.handle(snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    first.handle(snapshot("sa", "other.example"))
    clock.advance(13 * 86_400)

    assert Run(any_history, clock).handle() == []


def test_stored_signatures_page_nobody_before_the_first_poll(any_history: AnyHistory, clock: Any) -> None:
    Run(any_history, clock).handle(snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    clock.advance(12.5 * 86_400)
    second = Run(any_history, clock)

    assert second.handle() == []
    second.handle(observation(judgement(), clock.at))
    clock.advance(60)
    assert second.handle() == [("rrsig_expiring", "opened", True)]


def test_an_end_that_no_longer_matters_closes_its_finding(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    clock.advance(12.5 * 86_400)
    run.handle(observation(judgement(), clock.at))
    assert [finding.code for finding in run.last] == ["rrsig_expiring"]
    declared = judgement(verdict="insecure", code="negative_trust_anchor", expires_at=None, inception_at=None)
    clock.advance(60)

    assert ("rrsig_expiring", "closed", True) in run.handle(observation(declared, clock.at))


@pytest.mark.parametrize("code", ["self_vantage_lost", "self_inventory_stale", "spoofing_suspected"])
def test_our_own_troubles_end_across_a_restart(any_history: AnyHistory, clock: Any, code: str) -> None:
    first = Run(any_history, clock)
    first.handle(snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    first.handle(SelfReport(code=code, subject="corp", at=AT, detail="away"))
    second = Run(any_history, clock)
    second.handle()

    assert second.handle(SelfReport(code=code, subject="corp", at=AT + MINUTE)) == [(code, "closed", True)]
    assert not [finding for finding in any_history.open_findings() if finding.code == code]


def test_suspected_spoofing_is_a_finding_on_the_vantage_at_once_and_outlives_a_restart(
    any_history: AnyHistory, clock: Any
) -> None:
    first = Run(any_history, clock)
    suspected = SelfReport(code="spoofing_suspected", subject="corp", at=AT, detail="corp: 21 replies match nothing")

    assert first.handle(suspected) == [("spoofing_suspected", "opened", True)]
    assert (first.last[0].cause_zone, first.last[0].cause_rrset) == ("", "vantage corp")
    assert first.last[0].vantages == ("corp",)
    second = Run(any_history, clock)
    second.handle()
    assert [finding.code for finding in any_history.open_findings()] == ["spoofing_suspected"]


def test_each_jump_of_our_clock_is_a_drift_of_its_own(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    back = SelfReport(code="self_clock_jumped", subject="back 1800 s to X", at=AT, detail="set back")
    forward = SelfReport(code="self_clock_jumped", subject="forward 1800 s to Y", at=AT + MINUTE, detail="set forward")

    assert run.handle(back) == [("self_clock_jumped", "opened", True)]
    assert run.handle(forward) == [("self_clock_jumped", "opened", True)]


def test_an_unstable_answer_is_one_finding_on_its_name_until_the_remark_is_gone(
    any_history: AnyHistory, clock: Any
) -> None:
    run = Run(any_history, clock)
    where = "api.bank.example. A"
    remark = Reason("answer_unstable", "bank.example.", "changed 13 times", None, where)
    unstable = observation(msgspec.structs.replace(judgement(), remarks=(remark,)), AT)

    run.handle(unstable)
    run.handle(polls(unstable, at=AT + MINUTE))

    finding = next(one for one in any_history.open_findings() if one.code == "answer_unstable")
    assert (finding.cause_rrset, finding.confirmed) == (where, True)
    calm = observation(judgement(), AT + 60 * MINUTE)
    run.handle(calm)
    for minute in range(61, 64):
        run.handle(polls(calm, at=AT + minute * MINUTE))
    assert "answer_unstable" not in {one.code for one in any_history.open_findings()}


def test_the_cost_of_a_poll_does_not_grow_with_the_members_of_a_finding(any_history: AnyHistory, clock: Any) -> None:
    def cost(count: int) -> int:
        run = Run(any_history, clock)
        claim = ResolverClaim(False, "NOERROR")
        made = [observation(judgement(f"h{n}.bank.example.", claim=claim), AT) for n in range(count)]
        run.handle(*made)
        again = polls(*made, at=AT + MINUTE)
        return calls_of(lambda: run.handle(again))

    assert cost(600) < 12 * cost(60)


def test_an_inventory_that_can_not_be_read_is_a_finding_until_it_can(any_history: AnyHistory, clock: Any) -> None:
    run = Run(any_history, clock)
    stale = SelfReport(
        code="self_inventory_stale", subject="inventory.yaml", at=AT, detail="inventory.yaml:3: not YAML"
    )

    assert run.handle(stale) == [("self_inventory_stale", "opened", True)]
    over = SelfReport(code="self_inventory_stale", subject="inventory.yaml", at=AT + MINUTE)
    assert run.handle(over) == [("self_inventory_stale", "closed", True)]


def test_a_message_of_another_stage_is_rejected(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    run.handle(observation(bogus(), AT))

    neighbour = observation(judgement("b.bank.example."), AT)
    with pytest.raises(Rejected):
        run.handle(neighbour, run.last[0])

    run.handle(neighbour)
    assert len(history.intervals("b.bank.example.")) == 1


def test_every_observation_is_stored_with_evidence_and_intervals(history: ClickHouseHistory, clock: Any) -> None:
    run = Run(history, clock)
    one = observation(judgement(), AT)
    run.handle(one, polls(one, at=AT + 5 * MINUTE))

    (interval,) = history.intervals("api.bank.example.")
    evidence = history.evidence(one.judgement.evidence)

    assert (interval["verdict"], interval["first_seen_at"], interval["last_seen_at"]) == ("secure", AT, AT + 5 * MINUTE)
    assert evidence is not None
    assert evidence.messages == (b"\x00\xff", b"x")

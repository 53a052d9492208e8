from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analyzer.detected import Drift
from analyzer.endpoints.answers import outside
from analyzer.endpoints.baseline import learn
from analyzer.endpoints.drift import detect_drift, detect_forbidden
from analyzer.sightings import Sighting
from analyzer.zones.drift import detect_zone_drift
from analyzer.zones.keychange import classify_key_change
from schemas.catalogue import Severity
from schemas.judgement import AliasLink, Judgement, Verdict, ZoneKey
from tests.support.making import AT, judgement, key, link, zones_of


def zone_drift(before: Judgement, after: Judgement) -> list[Drift]:
    """What the timelines of the zones in both chains show."""
    earlier = {one.zone: one for one in zones_of(before, AT)}
    return [
        drift
        for one in zones_of(after, AT)
        if one.zone in earlier
        for drift in detect_zone_drift(earlier[one.zone], one)
    ]


def codes(found: list[Drift]) -> list[tuple[str, str, str]]:
    return [(drift.code, drift.cause_zone, str(drift.severity)) for drift in found]


def with_bank(**changes: object) -> Judgement:
    return judgement(chain=(link("."), link("example."), link("bank.example.", **changes)))  # type: ignore[arg-type]


def test_the_same_again_is_no_drift() -> None:
    assert detect_drift(judgement(), judgement()) == []


def test_a_ds_removed_is_two_edges_on_one_cause() -> None:
    after = judgement(
        verdict="insecure",
        code="unsigned_delegation",
        chain=(link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE)),
    )

    assert detect_drift(judgement(), after) == [], "the zone tells it, not each name below"
    assert codes(zone_drift(judgement(), after)) == [
        ("secure_to_insecure", "bank.example.", "critical"),
        ("ds_changed", "bank.example.", "high"),
    ]


def test_an_alias_to_an_unsigned_place_is_not_a_loss_of_security_of_the_zone() -> None:
    after = judgement(verdict="insecure", code="unsigned_delegation", zone="cdn.example.net.")

    assert "secure_to_insecure" not in {drift.code for drift in detect_drift(judgement(), after)}


def test_security_lost_above_the_zone_is_noticed() -> None:
    gone = link("example.", verdict=Verdict.INSECURE)
    after = judgement(verdict="insecure", code="unsigned_delegation", zone="example.", chain=(link("."), gone))

    assert codes(zone_drift(judgement(), after))[0] == ("secure_to_insecure", "example.", "critical")


def test_an_unsigned_cut_that_is_new_above_a_signed_zone_is_noticed() -> None:
    before = judgement(chain=(link("."), link("bank.example.")))
    gone = link("example.", verdict=Verdict.INSECURE)
    after = judgement(verdict="insecure", code="unsigned_delegation", zone="example.", chain=(link("."), gone))

    assert codes(detect_drift(before, after)) == [
        ("secure_to_insecure", "example.", "critical"),
        ("zone_cut_changed", "example.", "high"),
    ]


def test_a_declared_negative_anchor_is_no_drift() -> None:
    after = judgement(verdict="insecure", code="negative_trust_anchor")

    assert detect_drift(judgement(), after) == []


@pytest.mark.parametrize("verdict", ["bogus", "indeterminate"])
def test_what_is_not_validated_is_never_a_side_of_a_drift(verdict: str) -> None:
    broken = judgement(verdict=verdict, code="rrsig_missing", answers=("203.0.113.1",))

    assert detect_drift(judgement(), broken) == []
    assert detect_drift(broken, judgement()) == []


@pytest.mark.parametrize(
    ("before", "after", "severity", "words"),
    [
        (("1 13 2 AA",), ("1 13 2 AA", "2 13 2 BB"), "medium", "DS 2 came"),
        (("1 13 2 AA", "2 13 2 BB"), ("2 13 2 BB",), "medium", "DS 1 went"),
        (("1 13 2 AA", "2 13 2 BB"), ("2 13 2 BB", "3 13 2 CC"), "medium", "DS 1 went and 3 came"),
        (("1 13 2 AA",), ("2 13 2 BB",), "high", "without overlap"),
    ],
)
def test_ds_changes_are_told_apart(before: tuple[str, ...], after: tuple[str, ...], severity: str, words: str) -> None:
    (drift,) = [d for d in zone_drift(with_bank(ds=before), with_bank(ds=after)) if d.code == "ds_changed"]

    assert drift.severity == severity
    assert words in drift.detail


def test_a_ds_added_to_an_unsigned_zone_is_noticed() -> None:
    before = judgement(
        verdict="insecure", code="unsigned_delegation",
        chain=(link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE)),
    )  # fmt: skip

    assert ("ds_changed", "bank.example.", "medium") in codes(zone_drift(before, judgement()))


def test_a_weaker_algorithm_or_digest_is_noticed_and_a_stronger_is_not() -> None:
    strong, weak = with_bank(ds=("1 13 2 AA",)), with_bank(ds=("1 13 2 AA", "9 8 2 BB"))

    downgrade = zone_drift(strong, with_bank(ds=("9 8 2 BB",)))
    assert "algorithm_downgraded" in {drift.code for drift in downgrade}
    assert "algorithm_downgraded" not in {drift.code for drift in zone_drift(with_bank(ds=("9 8 2 BB",)), strong)}
    assert "algorithm_downgraded" not in {drift.code for drift in zone_drift(strong, weak)}
    assert "algorithm_downgraded" in {
        d.code for d in zone_drift(with_bank(ds=("1 13 4 A",)), with_bank(ds=("1 13 2 B",)))
    }


class TestKeyChanges:
    KSK, KSK2, ZSK, ZSK2 = key(1, entry=True), key(3, entry=True), key(2), key(4)

    def scheme(
        self, before: tuple[ZoneKey, ...], after: tuple[ZoneKey, ...], ds: tuple[str, str] = ("1 13 2 AA", "1 13 2 AA")
    ) -> str:
        change = classify_key_change(link("z.", keys=before, ds=(ds[0],)), link("z.", keys=after, ds=(ds[1],)))
        return f"{change.code}/{change.scheme}"

    def test_a_zone_signing_key_comes_or_goes(self) -> None:
        assert self.scheme((self.KSK, self.ZSK), (self.KSK, self.ZSK, self.ZSK2)) == "key_rollover/zsk_prepublish"
        assert self.scheme((self.KSK, self.ZSK, self.ZSK2), (self.KSK, self.ZSK2)) == "key_rollover/zsk_prepublish"

    def test_a_secure_entry_key_rolls_in_steps(self) -> None:
        both = (self.KSK, self.KSK2, self.ZSK)

        assert self.scheme((self.KSK, self.ZSK), both) == "key_rollover/ksk_double_key"
        assert self.scheme(both, (self.KSK2, self.ZSK)) == "key_rollover/ksk_double_key"
        assert self.scheme((self.KSK, self.ZSK), (self.KSK2, self.ZSK)) == "key_rollover/ksk_double_key"

    def test_key_and_ds_replaced_together_is_unexpected(self) -> None:
        scheme = self.scheme((self.KSK, self.ZSK), (self.KSK2, self.ZSK), ("1 13 2 AA", "3 13 2 BB"))

        assert scheme == "key_change_unexpected/replaced_without_overlap"

    def test_a_revocation_is_named(self) -> None:
        revoked = ZoneKey(129, 13, 257 | 0x80, None, "digest1")

        assert self.scheme((self.KSK, self.KSK2), (revoked, self.KSK2)) == "key_rollover/revoke"

    def test_an_algorithm_roll_is_named(self) -> None:
        other = key(9, entry=True, algorithm=8)

        assert self.scheme((other,), (other, self.KSK)) == "key_rollover/algorithm_conservative"

    def test_a_single_signing_key_is_named(self) -> None:
        assert self.scheme((self.KSK,), (self.KSK, self.KSK2)) == "key_rollover/csk"


def test_an_alias_that_leads_elsewhere_hangs_on_the_alias_own_zone() -> None:
    here = AliasLink("api.bank.example.", "A", "bank.example.", Verdict.SECURE)
    alias = AliasLink("api.bank.example.", "CNAME", "bank.example.", Verdict.SECURE, "edge.cdn.example.")
    there = AliasLink("edge.cdn.example.", "A", "cdn.example.", Verdict.INSECURE)
    before = msgspec.structs.replace(judgement(), links=(here,))
    after = msgspec.structs.replace(judgement(answers=("198.51.100.1",)), links=(alias, there))

    (drift,) = detect_drift(before, after)

    assert (drift.code, drift.cause_zone) == ("answer_changed", "bank.example.")


DAY = timedelta(days=1)


def seen(data: str, days: float = 30.0, *, times: int = 1, held: timedelta | None = None, ttl_s: int = 60) -> Sighting:
    """A record that came so many days ago, and has been there until now unless ``held`` says for how long."""
    record = data if " " in data else f"api.bank.example. A {data}"
    began_at = AT - days * DAY
    return Sighting(record, began_at, AT, days * DAY if held is None else held, times, ttl_s)


HOME, NEAR, AWAY = "192.0.2.1", "192.0.2.7", "203.0.113.66"


class TestAnswers:
    def change(
        self,
        before: tuple[str, ...],
        after: tuple[str, ...],
        verdict: str = "secure",
        *,
        allowed: Sequence[tuple[str, ...]] = (),
        undeclared: bool = False,
        sightings: Sequence[Sighting] = (),
        **more: Any,
    ) -> list[Drift]:
        code = "unsigned_delegation" if verdict == "insecure" else ""
        one = judgement(answers=before, verdict=verdict, code=code, chain=())
        other = judgement(answers=after, verdict=verdict, code=code, chain=(), **more)
        found = detect_drift(one, other, allowed=allowed, undeclared=undeclared, baseline=learn(sightings, "A", AT))
        return [drift for drift in found if drift.code == "answer_changed"]

    def grade(self, *args: Any, **kwargs: Any) -> str:
        return next((str(drift.severity) for drift in self.change(*args, **kwargs)), "silent")

    def test_order_does_not_count(self) -> None:
        assert self.change(("1", "2"), ("2", "1")) == []

    def test_one_address_of_many_does_not_count(self) -> None:
        assert self.change(("1", "2"), ("2", "3")) == []

    def test_another_set_counts_by_its_signature(self) -> None:
        assert self.grade(("1",), ("2",)) == "low"
        assert self.grade(("1",), ("2",), verdict="insecure") == "medium"

    def test_outside_the_allowed_set_is_high(self) -> None:
        assert self.grade(("1",), ("2",), allowed=[("1",)]) == "high"
        assert self.grade(("1",), ("1", "2"), allowed=[("1",)]) == "high"

    @pytest.mark.parametrize("verdict", ["secure", "insecure"])
    def test_within_the_allowed_set_nothing_counts(self, verdict: str) -> None:
        assert self.grade((HOME,), (HOME, NEAR), verdict, allowed=[("192.0.2.0/24",)]) == "silent"
        assert self.grade((HOME,), (AWAY,), verdict, allowed=[(HOME, AWAY)], sightings=[seen(HOME)]) == "silent"

    def test_a_first_answer_that_no_row_allows_is_high(self) -> None:
        (drift,) = detect_forbidden(judgement(answers=(AWAY,)), [("192.0.2.0/24",)])

        assert (drift.code, drift.severity, drift.before) == ("answer_changed", "high", "192.0.2.0/24")
        assert detect_forbidden(judgement(answers=(HOME,)), [("192.0.2.0/24",)]) == []
        assert detect_forbidden(judgement(answers=(AWAY,)), []) == []
        assert detect_forbidden(judgement(answers=(AWAY,), verdict="bogus", code="rrsig_missing"), [(HOME,)]) == []

    def test_what_one_row_allows_stays_visible_to_a_row_that_allows_nothing(self) -> None:
        allowed = [(HOME, AWAY)]

        assert (
            self.grade((HOME,), (AWAY,), "insecure", allowed=allowed, undeclared=True, sightings=[seen(HOME)]) == "low"
        )

    def test_an_allowed_alias_allows_what_it_leads_to_only_if_it_is_signed(self) -> None:
        def led(verdict: Verdict) -> Judgement:
            alias = AliasLink("api.bank.example.", "CNAME", "bank.example.", verdict, "edge.cdn.example.")
            there = AliasLink("edge.cdn.example.", "A", "cdn.example.", Verdict.INSECURE)
            after = judgement(verdict="insecure", code="unsigned_delegation", answers=(AWAY,))
            return msgspec.structs.replace(after, links=(alias, there))

        assert outside(led(Verdict.SECURE), [("edge.cdn.example.",)]) == set()
        assert outside(led(Verdict.INSECURE), [("edge.cdn.example.",)]) == {AWAY}
        assert outside(led(Verdict.SECURE), [("edge.cdn.example.",), (HOME,)]) == {AWAY}

    def test_an_unsigned_name_that_leaves_where_it_always_was_is_high(self) -> None:
        (drift,) = self.change((HOME,), (AWAY,), "insecure", sightings=[seen(HOME)])

        assert drift.severity is Severity.HIGH
        assert drift.detail.endswith("not signed, and outside all that was learnt in 30 days")

    def test_a_name_that_was_watched_for_hours_only_is_medium(self) -> None:
        assert self.grade((HOME,), (AWAY,), "insecure", sightings=[seen(HOME, 0.9)]) == "medium"
        assert self.grade((HOME,), (AWAY,), "insecure", sightings=[seen(HOME, 1.1)]) == "high"

    def test_a_neighbour_of_a_fixed_address_is_medium(self) -> None:
        assert self.grade((HOME,), (NEAR,), "insecure", sightings=[seen(HOME)]) == "medium"

    def test_what_is_learnt_may_come_back(self) -> None:
        for learnt in (seen(AWAY, 20, held=DAY), seen(AWAY, 20, held=timedelta(), times=3)):
            assert self.grade((HOME,), (AWAY,), "insecure", sightings=[seen(HOME), learnt]) == "silent"

    def test_an_answer_that_was_rehearsed_is_not_learnt(self) -> None:
        for rehearsed in (seen(AWAY, 20, held=timedelta(minutes=5)), seen(AWAY, 20, held=timedelta(hours=3), times=2)):
            assert self.grade((HOME,), (AWAY,), "insecure", sightings=[seen(HOME), rehearsed]) == "high"

    def test_on_the_first_day_everything_that_was_seen_may_come_back(self) -> None:
        turns = [seen(HOME, 0.5), seen(AWAY, 0.4, held=timedelta())]

        assert self.grade((HOME,), (AWAY,), "insecure", sightings=turns) == "silent"

    def test_an_address_that_joins_from_nowhere_is_medium_and_staying_alone_is_high(self) -> None:
        """Two steps, of which each keeps one address, lead no further than one."""
        assert self.grade((HOME,), (HOME, AWAY), "insecure", sightings=[seen(HOME)]) == "medium"
        assert self.grade((HOME, AWAY), (AWAY,), "insecure", sightings=[seen(HOME), seen(AWAY, 0.1)]) == "high"

    def test_an_address_that_joins_from_the_same_network_is_silent(self) -> None:
        assert self.grade((HOME,), (HOME, NEAR), "insecure", sightings=[seen(HOME)]) == "silent"

    def pool(self, networks: int, days: float) -> list[Sighting]:
        return [seen(f"198.51.{n}.1", days, times=40, held=timedelta(hours=2)) for n in range(networks)]

    def test_a_rotating_name_is_settled_after_a_week_and_a_wide_pool_never(self) -> None:
        def grade(networks: int, days: float) -> str:
            return self.grade(("198.51.0.1",), (AWAY,), "insecure", sightings=self.pool(networks, days))

        assert (grade(4, 3), grade(4, 8), grade(40, 30)) == ("medium", "high", "medium")

    def test_a_further_address_of_a_rotating_names_network_is_silent(self) -> None:
        sightings = self.pool(4, 30)

        assert self.grade(("198.51.0.1",), ("198.51.2.99",), "insecure", sightings=sightings) == "silent"
        assert self.grade(("198.51.0.1",), ("198.51.3.1",), "insecure", sightings=sightings) == "silent"

    def test_a_collapsed_ttl_raises_a_signed_change_to_medium(self) -> None:
        (drift,) = self.change((HOME,), (AWAY,), sightings=[seen(HOME, ttl_s=86_400)], ttl_s=60)

        assert drift.severity is Severity.MEDIUM
        assert drift.detail.endswith("its TTL fell from 86400 s to 60 s")
        assert self.grade((HOME,), (AWAY,), sightings=[seen(HOME, ttl_s=3600)], ttl_s=900) == "low"
        assert self.grade((HOME,), (AWAY,), sightings=[seen(HOME, ttl_s=300)], ttl_s=30) == "low"

    def aliased(self, target: str, address: str, verdict: Verdict = Verdict.INSECURE, **more: Any) -> Judgement:
        alias = AliasLink("api.bank.example.", "CNAME", "bank.example.", verdict, target)
        there = AliasLink(target, "A", "cdn.example.", Verdict.INSECURE)
        found = judgement(verdict="insecure", code="unsigned_delegation", answers=(), **more)
        answers = (f"{target} A {address}",) if address else ()
        return msgspec.structs.replace(found, links=(alias, there), answers=answers)

    def test_behind_the_alias_that_it_always_had_addresses_are_the_providers(self) -> None:
        before, after = (self.aliased("lb.cdn.example.", one) for one in (HOME, AWAY))
        sightings = [seen(HOME), seen("api.bank.example. CNAME lb.cdn.example.")]

        (drift,) = detect_drift(before, after, baseline=learn(sightings, "A", AT))
        assert drift.severity is Severity.MEDIUM

        elsewhere = self.aliased("lb.evil.example.", AWAY)
        (drift,) = detect_drift(before, elsewhere, baseline=learn(sightings, "A", AT))
        assert drift.severity is Severity.HIGH

        signed_turn = self.aliased("lb.other.example.", AWAY, Verdict.SECURE)
        (drift,) = detect_drift(before, signed_turn, baseline=learn(sightings, "A", AT))
        assert drift.severity is Severity.MEDIUM

    def test_an_alias_whose_target_was_absent_and_exists_again_elsewhere_is_high(self) -> None:
        absent = msgspec.structs.replace(self.aliased("gone.cdn.example.", "", Verdict.SECURE), rcode="NXDOMAIN")
        back = self.aliased("gone.cdn.example.", AWAY, Verdict.SECURE)

        (drift,) = detect_drift(absent, back, baseline=learn([seen(HOME)], "A", AT))

        assert (drift.code, drift.severity) == ("answer_changed", Severity.HIGH)
        assert "no such name became 203.0.113.66, it was absent" in drift.detail
        assert detect_drift(absent, back, baseline=learn([seen(HOME), seen(AWAY)], "A", AT)) == []

    def test_a_name_that_was_absent_for_a_while_and_is_where_it_was_is_silent(self) -> None:
        assert self.grade((), (HOME,), sightings=[seen(HOME, held=2 * DAY)]) == "silent"

    def test_a_type_that_a_name_did_not_have_is_graded_by_its_signature(self) -> None:
        assert self.grade((), (HOME,)) == "low"
        assert self.grade((), (HOME,), "insecure") == "medium"
        assert self.grade((), (AWAY,), "insecure", sightings=[seen(HOME)]) == "high"


class TestCuts:
    """A name whose way from the root has other zones on it than before."""

    SHORT = (link("."), link("example."), link("bank.example."))
    LONG = (*SHORT, link("api.bank.example."))

    def cuts(self, before: Judgement, after: Judgement) -> list[tuple[str, str]]:
        return [(d.cause_zone, d.after) for d in detect_drift(before, after) if d.code == "zone_cut_changed"]

    def test_a_cut_that_is_new_is_reported(self) -> None:
        assert self.cuts(judgement(chain=self.SHORT), judgement(chain=self.LONG)) == [("api.bank.example.", "a cut")]

    def test_a_cut_that_is_gone_is_reported(self) -> None:
        assert self.cuts(judgement(chain=self.LONG), judgement(chain=self.SHORT)) == [("api.bank.example.", "no cut")]

    def test_a_new_cut_that_is_not_signed_is_a_loss_of_security_too(self) -> None:
        chain = (*self.SHORT, link("api.bank.example.", verdict=Verdict.INSECURE))
        after = judgement(verdict="insecure", code="unsigned_delegation", zone="api.bank.example.", chain=chain)

        assert codes(detect_drift(judgement(chain=self.SHORT), after)) == [
            ("secure_to_insecure", "api.bank.example.", "critical"),
            ("zone_cut_changed", "api.bank.example.", "high"),
        ]

    def test_nothing_is_known_of_cuts_below_a_zone_that_is_not_signed(self) -> None:
        unsigned = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))
        ended = judgement(verdict="insecure", code="unsigned_delegation", chain=unsigned)

        assert self.cuts(judgement(chain=self.LONG), ended) == []
        assert self.cuts(ended, judgement(chain=self.LONG)) == []

    def test_the_zones_of_an_alias_target_are_no_cuts_of_the_name(self) -> None:
        assert self.cuts(judgement(chain=self.SHORT), judgement(chain=(*self.SHORT, link("cdn.example.")))) == []

from collections.abc import Sequence

import msgspec
import pytest

from analyzer.detected import Drift
from analyzer.endpoints.drift import detect_drift
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

    assert codes(detect_drift(before, after)) == [("secure_to_insecure", "example.", "critical")]


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


class TestAnswers:
    def change(
        self,
        before: tuple[str, ...],
        after: tuple[str, ...],
        verdict: str = "secure",
        *,
        allowed: Sequence[tuple[str, ...]] = (),
        learnt: tuple[str, ...] = (),
    ) -> list[Drift]:
        code = "unsigned_delegation" if verdict == "insecure" else ""
        one = judgement(answers=before, verdict=verdict, code=code, chain=())
        other = judgement(answers=after, verdict=verdict, code=code, chain=())
        return [d for d in detect_drift(one, other, allowed=allowed, learnt=learnt) if d.code == "answer_changed"]

    def test_order_does_not_count(self) -> None:
        assert self.change(("1", "2"), ("2", "1")) == []

    def test_one_address_of_many_does_not_count(self) -> None:
        assert self.change(("1", "2"), ("2", "3")) == []

    def test_another_set_counts_by_its_signature(self) -> None:
        assert self.change(("1",), ("2",))[0].severity is Severity.LOW
        assert self.change(("1",), ("2",), verdict="insecure")[0].severity is Severity.MEDIUM

    def test_outside_the_allowed_set_is_high(self) -> None:
        assert self.change(("1",), ("2",), allowed=[("1",)])[0].severity is Severity.HIGH
        assert self.change(("1",), ("1", "2"), allowed=[("1",)])[0].severity is Severity.HIGH

    def test_within_the_allowed_set_only_a_new_set_counts(self) -> None:
        assert self.change(("1",), ("1", "2"), allowed=[("1", "2")]) == []

    def test_answers_seen_before_do_not_count(self) -> None:
        assert self.change(("1",), ("2",), learnt=("api.bank.example. A 2",)) == []

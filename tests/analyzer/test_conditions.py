from typing import Any

import msgspec
import pytest

from analyzer.detected import Condition
from analyzer.endpoints.conditions import NOTHING_KNOWN, Known, conditions_of
from schemas.catalogue import Severity
from schemas.judgement import ResolverClaim, Verdict
from schemas.messages import Endpoint
from tests.support.making import judgement, link


def codes(*args: object, **kwargs: object) -> list[tuple[str, str]]:
    endpoints = kwargs.pop("endpoints", ())
    return [(c.code, c.cause_zone or c.cause_rrset) for c in conditions_of(judgement(*args, **kwargs), endpoints)]  # type: ignore[arg-type]


def claimed(ad: bool, rcode: str, *data: str, rdtype: str = "A", **more: Any) -> ResolverClaim:
    """What a resolver says of api.bank.example; the truth where nothing else is given."""
    answers = tuple(f"api.bank.example. {rdtype} {one}" for one in data or ("192.0.2.1",))
    return ResolverClaim(ad, rcode, () if data == ("",) else answers, **more)


def test_a_secure_endpoint_shows_nothing() -> None:
    assert codes(claim=claimed(True, "NOERROR")) == []


def test_a_fault_of_one_name_hangs_on_that_name_and_all_its_types_share_it() -> None:
    one, other = (
        conditions_of(judgement(verdict="bogus", code="rrsig_expired", rrset=f"api.bank.example. {rdtype}"), ())[0]
        for rdtype in ("A", "AAAA")
    )

    assert one.key == other.key == ("rrsig_expired", "bank.example.", "api.bank.example.")


def test_of_keys_that_no_anchor_of_ours_is_for_the_resolver_may_think_otherwise() -> None:
    broken = {"verdict": "bogus", "code": "trust_anchor_mismatch", "zone": ".", "rrset": ". DNSKEY"}

    assert codes(claim=claimed(True, "NOERROR"), **broken) == [("trust_anchor_mismatch", ".")]
    handed_out = codes(claim=claimed(False, "NOERROR"), **broken)
    assert handed_out == [("trust_anchor_mismatch", "."), ("resolver_not_validating", "vantage corp")]


def test_names_below_one_broken_chain_share_one_condition() -> None:
    one, other = (
        conditions_of(judgement(name, verdict="bogus", code="rrsig_expired", rrset="bank.example. DNSKEY"), ())[0]
        for name in ("a.bank.example.", "b.bank.example.")
    )

    assert one.key == other.key


def test_the_key_set_of_a_zone_is_a_cause_of_its_own() -> None:
    (condition,) = conditions_of(judgement(verdict="bogus", code="rrsig_expired", rrset="bank.example. DNSKEY"), ())

    assert condition.cause_rrset == "bank.example. DNSKEY"


def test_bogus_without_an_exact_reason_is_still_a_condition() -> None:
    assert [code for code, _ in codes(verdict="bogus")] == ["verdict_bogus"]


def test_reasons_that_are_no_fault_open_nothing() -> None:
    assert codes(verdict="insecure", code="unsigned_delegation") == []


class TestClock:
    def root_expired(self, claim: ResolverClaim | None) -> list[tuple[str, str]]:
        chain = (link(".", verdict=Verdict.BOGUS),)
        return codes(verdict="bogus", code="rrsig_expired", zone=".", chain=chain, claim=claim)

    def test_an_anchor_out_of_its_time_is_our_clock(self) -> None:
        assert [code for code, _ in self.root_expired(None)] == ["self_clock_skew"]
        assert [code for code, _ in self.root_expired(claimed(True, "NOERROR"))] == ["self_clock_skew"]

    def test_unless_the_resolver_says_so_too(self) -> None:
        assert ("rrsig_expired", ".") in self.root_expired(ResolverClaim(False, "SERVFAIL"))

    def test_a_zone_below_it_is_the_zones_own(self) -> None:
        assert codes(verdict="bogus", code="rrsig_expired")[0] == ("rrsig_expired", "bank.example.")


@pytest.mark.parametrize(
    ("verdict", "code", "claim", "expected"),
    [
        ("secure", "", claimed(True, "NOERROR"), None),
        ("secure", "", claimed(False, "NOERROR"), "resolver_not_validating"),
        ("secure", "", ResolverClaim(False, "SERVFAIL"), "resolver_disagrees"),
        ("insecure", "unsigned_delegation", claimed(False, "NOERROR"), None),
        ("insecure", "unsigned_delegation", claimed(True, "NOERROR"), "resolver_disagrees"),
        ("insecure", "algorithm_unsupported", claimed(True, "NOERROR"), None),
        ("bogus", "rrsig_missing", ResolverClaim(False, "SERVFAIL"), None),
        ("bogus", "rrsig_missing", claimed(False, "NOERROR"), "resolver_not_validating"),
        ("bogus", "rrsig_missing", claimed(True, "NOERROR"), "resolver_disagrees"),
        ("indeterminate", "verdict_indeterminate", ResolverClaim(False, "SERVFAIL"), None),
        ("secure", "", None, None),
    ],
)
def test_the_resolvers_claim_is_held_against_our_verdict(
    verdict: str, code: str, claim: ResolverClaim | None, expected: str | None
) -> None:
    found = {(c, cause) for c, cause in codes(verdict=verdict, code=code, claim=claim) if c.startswith("resolver")}

    assert found == ({(expected, "vantage corp")} if expected else set())


class TestNegativeTrustAnchors:
    BROKEN = (link("."), link("example."), link("bank.example.", verdict=Verdict.BOGUS))

    def suspected(self, claim: ResolverClaim | None, *, validates: bool = True, **judged: Any) -> list[tuple[str, str]]:
        fields: dict[str, Any] = {"verdict": "bogus", "code": "rrsig_missing", "chain": self.BROKEN, **judged}
        found = conditions_of(judgement(claim=claim, **fields), (), Known(validates=validates))
        return [(one.code, one.cause_rrset) for one in found if one.code == "resolver_nta_suspected"]

    def test_a_resolver_that_validates_and_hands_out_what_is_bogus_is_suspected(self) -> None:
        assert self.suspected(claimed(False, "NOERROR")) == [("resolver_nta_suspected", "vantage corp bank.example.")]

    def test_it_replaces_neither_the_fault_nor_what_is_said_of_the_resolver(self) -> None:
        found = conditions_of(
            judgement(claim=claimed(False, "NOERROR"), verdict="bogus", code="rrsig_missing", chain=self.BROKEN),
            (),
            Known(validates=True),
        )

        assert {one.code for one in found} == {"rrsig_missing", "resolver_not_validating", "resolver_nta_suspected"}

    def test_a_resolver_that_never_validates_needs_no_such_anchor(self) -> None:
        assert self.suspected(claimed(False, "NOERROR"), validates=False) == []

    @pytest.mark.parametrize("claim", [ResolverClaim(False, "SERVFAIL"), claimed(True, "NOERROR"), None])
    def test_a_resolver_that_refuses_or_lies_has_none(self, claim: ResolverClaim | None) -> None:
        assert self.suspected(claim) == []

    @pytest.mark.parametrize(("verdict", "code"), [("secure", ""), ("insecure", "unsigned_delegation"), ("bogus", "x")])
    def test_a_resolver_that_says_so_is_believed_whatever_the_verdict(self, verdict: str, code: str) -> None:
        claim = claimed(False, "NOERROR", ede=((33, "NTA until Friday"),))

        found = self.suspected(claim, validates=False, verdict=verdict, code=code)
        assert found == [("resolver_nta_suspected", "vantage corp bank.example.")]

    def test_what_other_policies_may_honestly_accept_proves_none(self) -> None:
        assert self.suspected(claimed(False, "NOERROR"), code="nsec3_iterations_over_limit") == []


def test_an_expectation_that_is_missed_is_a_condition() -> None:
    endpoints = (Endpoint(host="api.bank.example", expect=Verdict.SECURE),)

    assert codes(endpoints=endpoints) == []
    found = codes(verdict="insecure", code="unsigned_delegation", endpoints=endpoints)
    assert found == [("expectation_missed", "bank.example.")]
    assert codes(verdict="bogus", code="rrsig_missing", endpoints=endpoints) == [("rrsig_missing", "bank.example.")]


def test_an_allowed_unsigned_alias_is_only_information() -> None:
    found = judgement(verdict="insecure", code="alias_exits_signed_space", rrset="a. CNAME")
    allowed = (Endpoint(host="api.bank.example", unsigned_alias_ok=True),)

    assert conditions_of(found, ())[0].severity is Severity.LOW
    assert conditions_of(found, allowed)[0].severity is Severity.INFO


def test_a_vantage_that_strips_is_blamed_itself() -> None:
    assert codes(verdict="indeterminate", code="vantage_strips_dnssec", zone=".") == [
        ("vantage_strips_dnssec", "vantage corp")
    ]


class TestWhatClientsAreTold:
    """The content of a claim is held against what was proven, in whichever way it was asked."""

    def found(self, known: Known = NOTHING_KNOWN, *, rdtype: str = "A", **more: Any) -> list[Condition]:
        judged = msgspec.structs.replace(judgement(**more), type=rdtype)
        return [c for c in conditions_of(judged, (), known) if c.code == "resolver_disagrees"]

    @pytest.mark.parametrize("way", ["plain", "claim"])
    def test_a_forged_address_is_critical_and_both_answers_are_named(self, way: str) -> None:
        forged: dict[str, Any] = {way: claimed(True, "NOERROR", "203.0.113.66")}
        (condition,) = self.found(**forged)

        assert condition.severity is Severity.CRITICAL
        assert condition.cause_rrset == "vantage corp api.bank.example."
        assert "192.0.2.1" in condition.detail
        assert "203.0.113.66" in condition.detail

    @pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
    def test_absence_against_proven_data_is_critical(self, rcode: str) -> None:
        (condition,) = self.found(plain=claimed(False, rcode, ""))

        assert condition.severity is Severity.CRITICAL

    def test_data_against_proven_absence_is_critical(self) -> None:
        (condition,) = self.found(answers=(), plain=claimed(False, "NOERROR", "203.0.113.66"))

        assert condition.severity is Severity.CRITICAL

    def test_what_was_proven_lately_is_no_disagreement(self) -> None:
        known = Known(proven=frozenset({"192.0.2.7"}))

        assert self.found(known, plain=claimed(False, "NOERROR", "192.0.2.7")) == []

    def test_what_its_own_signatures_prove_is_no_disagreement(self) -> None:
        assert self.found(claim=claimed(True, "NOERROR", "192.0.2.9", proven=True)) == []

    def test_of_a_name_that_is_not_signed_it_is_high(self) -> None:
        (condition,) = self.found(
            verdict="insecure", code="unsigned_delegation", plain=claimed(False, "NOERROR", "203.0.113.66")
        )

        assert condition.severity is Severity.HIGH

    def test_the_claim_of_another_name_has_a_finding_of_its_own(self) -> None:
        plain = claimed(False, "NOERROR", "203.0.113.66")
        keys = {c.key for name in ("a.", "b.") for c in self.found(name=name, plain=plain)}

        assert len(keys) == 2

    @pytest.mark.parametrize(
        ("address", "severity"),
        [("64:ff9b::c000:201", Severity.INFO), ("2001:db8:64::c000:201", Severity.HIGH)],
        ids=["well known", "some prefix"],
    )
    def test_dns64_is_recognised_by_the_well_known_prefixes_alone(self, address: str, severity: Severity) -> None:
        plain = claimed(False, "NOERROR", address, rdtype="AAAA", translated=True)
        (condition,) = self.found(answers=(), rdtype="AAAA", plain=plain)

        assert condition.severity is severity

    def test_an_ipv6_address_that_holds_no_proven_ipv4_address_is_no_dns64(self) -> None:
        plain = claimed(False, "NOERROR", "64:ff9b::1", rdtype="AAAA")
        (condition,) = self.found(answers=(), rdtype="AAAA", plain=plain)

        assert condition.severity is Severity.CRITICAL

    def test_a_verdict_that_proves_nothing_is_compared_with_nothing(self) -> None:
        plain = claimed(False, "NOERROR", "203.0.113.66")

        assert self.found(verdict="bogus", code="rrsig_missing", plain=plain) == []
        assert self.found(verdict="indeterminate", code="verdict_indeterminate", plain=plain) == []


class TestAVantageThatStrips:
    def found(self, known: Known = NOTHING_KNOWN, **more: Any) -> dict[str, Condition]:
        judged = judgement(verdict="indeterminate", code="vantage_strips_dnssec", zone=".", **more)
        return {c.code: c for c in conditions_of(judged, (), known)}

    def test_it_is_critical_once_it_has_served_dnssec(self) -> None:
        assert self.found()["vantage_strips_dnssec"].severity is Severity.HIGH
        stripping = self.found(Known(serves_dnssec=True))["vantage_strips_dnssec"]
        assert stripping.severity is Severity.CRITICAL
        assert "it has served DNSSEC before" in stripping.detail

    def test_data_that_were_never_proven_are_a_fault_of_the_name_all_the_same(self) -> None:
        known = Known(proven=frozenset({"192.0.2.1"}))

        assert "rrsig_missing" not in self.found(known)
        forged = self.found(known, answers=("203.0.113.66",))["rrsig_missing"]
        assert (forged.severity, forged.cause_rrset) == (Severity.CRITICAL, "api.bank.example.")
        assert "203.0.113.66" in forged.detail
        assert "192.0.2.1" in forged.detail


def test_a_host_that_does_not_exist_says_so_and_louder_when_it_did_until_now() -> None:
    judged = msgspec.structs.replace(judgement(answers=()), rcode="NXDOMAIN")
    first = conditions_of(judged, ())[0]
    later = conditions_of(judged, (), Known(was_present=True))[0]

    assert (first.code, first.severity) == ("endpoint_absent", Severity.MEDIUM)
    assert "DOES NOT EXIST" in first.detail
    assert later.severity is Severity.HIGH


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (None, "to clients without EDNS"),
        (claimed(True, "NOERROR"), "to clients without EDNS"),
        (claimed(False, "SERVFAIL", ""), "the resolver refuses it with SERVFAIL"),
    ],
)
def test_servfail_to_clients_is_one_disagreement_and_says_to_whom(claim: ResolverClaim | None, said: str) -> None:
    (found,) = conditions_of(judgement(claim=claim, plain=claimed(False, "SERVFAIL", "")), ())

    assert (found.code, found.cause_rrset) == ("resolver_disagrees", "vantage corp")
    assert found.detail.endswith(said)


def test_a_bogus_verdict_for_a_reason_of_a_newer_version_is_still_told() -> None:
    assert codes(verdict="bogus", code="colour_of_zone") == [("verdict_bogus", "bank.example.")]

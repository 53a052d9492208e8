import pytest
from making import judgement, link

from analyzer.conditions import conditions_of
from schemas.catalogue import Severity
from schemas.judgement import ResolverClaim, Verdict
from schemas.messages import Endpoint


def codes(*args: object, **kwargs: object) -> list[tuple[str, str]]:
    endpoints = kwargs.pop("endpoints", ())
    return [(c.code, c.cause_zone or c.cause_rrset) for c in conditions_of(judgement(*args, **kwargs), endpoints)]  # type: ignore[arg-type]


def test_a_secure_endpoint_shows_nothing() -> None:
    assert codes(claim=ResolverClaim(True, "NOERROR")) == []


def test_names_below_one_broken_zone_share_one_condition() -> None:
    one, other = (
        conditions_of(judgement(name, verdict="bogus", code="rrsig_expired", rrset=f"{name} A"), ())[0]
        for name in ("a.bank.example.", "b.bank.example.")
    )

    assert one.key == other.key == ("rrsig_expired", "bank.example.", "")


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
        assert [code for code, _ in self.root_expired(ResolverClaim(True, "NOERROR"))] == ["self_clock_skew"]

    def test_unless_the_resolver_says_so_too(self) -> None:
        assert ("rrsig_expired", ".") in self.root_expired(ResolverClaim(False, "SERVFAIL"))

    def test_a_zone_below_it_is_the_zones_own(self) -> None:
        assert codes(verdict="bogus", code="rrsig_expired")[0] == ("rrsig_expired", "bank.example.")


@pytest.mark.parametrize(
    ("verdict", "code", "claim", "expected"),
    [
        ("secure", "", ResolverClaim(True, "NOERROR"), None),
        ("secure", "", ResolverClaim(False, "NOERROR"), "resolver_not_validating"),
        ("secure", "", ResolverClaim(False, "SERVFAIL"), "resolver_disagrees"),
        ("insecure", "unsigned_delegation", ResolverClaim(False, "NOERROR"), None),
        ("insecure", "unsigned_delegation", ResolverClaim(True, "NOERROR"), "resolver_disagrees"),
        ("insecure", "algorithm_unsupported", ResolverClaim(True, "NOERROR"), None),
        ("bogus", "rrsig_missing", ResolverClaim(False, "SERVFAIL"), None),
        ("bogus", "rrsig_missing", ResolverClaim(False, "NOERROR"), "resolver_not_validating"),
        ("bogus", "rrsig_missing", ResolverClaim(True, "NOERROR"), "resolver_disagrees"),
        ("indeterminate", "verdict_indeterminate", ResolverClaim(False, "SERVFAIL"), None),
        ("secure", "", None, None),
    ],
)
def test_the_resolvers_claim_is_held_against_our_verdict(
    verdict: str, code: str, claim: ResolverClaim | None, expected: str | None
) -> None:
    found = {(c, cause) for c, cause in codes(verdict=verdict, code=code, claim=claim) if c.startswith("resolver")}

    assert found == ({(expected, "vantage corp")} if expected else set())


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

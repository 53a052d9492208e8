import re
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.catalogue import CATALOGUE, ROWS, CatalogueRow, Confirmation, Doubt, Kind, Scope, Severity, codes_where
from schemas.judgement import Verdict

SHARED = Path(__file__).parents[3] / "shared" / "FINDINGS.md"
CODES = re.compile(r"^\| ([a-z0-9_]+) \| ([SD]) \| ([CHMLI])", re.MULTILINE)
LETTERS = {"C": Severity.CRITICAL, "H": Severity.HIGH, "M": Severity.MEDIUM, "L": Severity.LOW, "I": Severity.INFO}


def test_codes_are_unique_and_snake_case() -> None:
    assert len(CATALOGUE) == len(ROWS)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", row.code) for row in ROWS)


def test_every_row_has_a_sentence_and_a_source() -> None:
    for row in ROWS:
        assert row.sentence, row.code
        assert row.sentence[0].islower() or row.sentence.startswith(("DS", "NSEC3")), row.code
        assert row.source, row.code


def test_the_catalogue_holds_every_row_of_the_written_one() -> None:
    if not SHARED.exists():
        pytest.skip(f"needs {SHARED}, which comes beside a checkout and is not part of it")
    written = CODES.findall(SHARED.read_text(encoding="utf-8"))

    assert len(written) > 60
    for code, kind, severity in written:
        assert code in CATALOGUE
        assert CATALOGUE[code].kind is (Kind.STATE if kind == "S" else Kind.DRIFT), code
        assert CATALOGUE[code].severity is LETTERS[severity], code


def test_severities_are_ordered() -> None:
    assert [severity.rank for severity in Severity] == sorted(severity.rank for severity in Severity)


def test_what_is_about_ourselves_is_named_so() -> None:
    assert codes_where(lambda row: row.scope is Scope.SELF) == codes_where(lambda row: row.code.startswith("self_"))


def test_a_drift_waits_for_no_second_poll() -> None:
    assert all(row.confirmed_by in (Confirmation.ONCE, Confirmation.REPORT) for row in ROWS if row.kind is Kind.DRIFT)


def test_what_a_resolver_claims_is_about_its_vantage() -> None:
    assert all(row.scope is Scope.VANTAGE for row in ROWS if row.confirmed_by is Confirmation.CLAIM)


@pytest.mark.parametrize(
    ("holds", "codes"),
    [
        (lambda row: Doubt.CLOCK in row.doubts, {"rrsig_expired", "rrsig_not_yet_valid"}),
        (lambda row: Doubt.STRIPPING in row.doubts, {"rrsig_missing", "denial_missing", "dnskey_missing"}),
        (
            lambda row: Doubt.POLICY in row.doubts,
            {"algorithm_unsupported", "nsec3_iterations_over_limit", "negative_trust_anchor"},
        ),
        (
            lambda row: row.confirmed_by is Confirmation.ALARM,
            {"auth_signature_divergence", "auth_server_unsigned", "delegation_dangling"},
        ),
        (lambda row: row.after_end, {"rrsig_expired", "rrsig_expiring", "rrsig_refresh_overdue"}),
        (lambda row: row.proves_unsigned, {"unsigned_delegation", "opt_out_span"}),
        (lambda row: row.umbrella, {"verdict_bogus", "verdict_indeterminate", "expectation_missed"}),
        (lambda row: Verdict.INDETERMINATE not in row.unknown_when, {"verdict_indeterminate", "vantage_strips_dnssec"}),
        (
            lambda row: Verdict.BOGUS in row.unknown_when,
            {
                "endpoint_absent",
                "expectation_missed",
                "vantage_disagreement",
                "denial_contradicts_data",
                "environment_mixed",
            },
        ),
        (
            lambda row: row.explains_below,
            {
                "trust_anchor_mismatch",
                "dnskey_missing",
                "ds_dnskey_mismatch",
                "dnskey_not_zone_key",
                "dnskey_revoked_in_use",
                "self_clock_skew",
            },
        ),
    ],
    ids=["clock", "stripping", "policy", "alarm", "end", "unsigned", "umbrella", "indeterminate", "bogus", "explains"],
)
def test_a_column_changes_for_a_code_only_on_purpose(holds: Callable[[CatalogueRow], bool], codes: set[str]) -> None:
    """What hides a page, or sends one, hangs on these."""
    assert codes_where(holds) == codes

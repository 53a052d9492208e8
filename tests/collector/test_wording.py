"""Every sentence about a fault is made in one place, from its particulars."""

import ast
from dataclasses import fields
from pathlib import Path
from string import Formatter

import pytest

from collector.dnssec import names, records
from collector.dnssec.fault import Case, Fault, KeyId, RRsetName
from collector.dnssec.proof import Gap, Proof, ProofOutcome
from collector.dnssec.questions import FetchFailure
from collector.dnssec.wording import GAPS, SENTENCES, describe, describe_duration, make_reason
from schemas.codes import Code

ROOT = Path(__file__).parents[2]
ZONE = names.from_text("zone.test")
WWW = RRsetName(names.from_text("www.zone.test"), records.A)
NOW = 1_795_687_920  # 2026-11-26 10:12 UTC
# Particulars that a sentence shows in another way than as they are.
FIELDS = {"sizes": "keys", "begin": "inception", "end": "expiration", "ttl": "ttl_s"}


def needed(case: Case) -> set[str]:
    shown = {field for _, field, _, _ in Formatter().parse(SENTENCES[case]) if field}
    return {FIELDS.get(field, field) for field in shown} - {"zone"}


def test_every_case_and_every_gap_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Case)
    assert set(GAPS) == set(Gap)


@pytest.mark.parametrize("case", Case, ids=lambda case: case.name)
def test_a_sentence_shows_only_what_a_fault_has(case: Case) -> None:
    assert needed(case) <= {field.name for field in fields(Fault)}


def test_a_fault_is_made_with_what_its_sentence_shows() -> None:
    made, lacking = set(), []
    for path in (*(ROOT / "collector/dnssec").glob("*.py"), ROOT / "collector/resolvers/stripping.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "Fault" or len(call.args) < 2:
                continue
            if isinstance(call.args[1], ast.Attribute):
                case = Case[call.args[1].attr]
                made.add(case)
                given = {keyword.arg for keyword in call.keywords}
                lacking += [(path.name, call.lineno, field) for field in sorted(needed(case)) if field not in given]

    assert lacking == []
    assert len(made) > 40


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            Fault(Code.RRSIG_EXPIRED, Case.EXPIRED, ZONE, rrset=WWW, expiration=NOW - 3720),
            "the signature over www.zone.test. A expired 2026-11-26 09:10 UTC, 1 h 2 min ago",
        ),
        (
            Fault(Code.RRSIG_PARTIAL_INVALID, Case.SOME_WITHOUT_KEY, ZONE, rrset=WWW, count=1),
            "1 of the signatures over www.zone.test. A are by keys that zone.test. does not have",
        ),
        (
            Fault(Code.RRSIG_NOT_YET_VALID, Case.NOT_YET_VALID, ZONE, rrset=WWW, inception=NOW + 3 * 3600),
            "the signature over www.zone.test. A begins 2026-11-26 13:12 UTC, in 3 h",
        ),
        (
            Fault(
                Code.RRSIG_WINDOW_INVERTED,
                Case.WINDOW_INVERTED,
                ZONE,
                rrset=WWW,
                inception=NOW,
                expiration=NOW - 86_400,
            ),
            "the signature over www.zone.test. A ends 2026-11-25 10:12 UTC and begins later, 2026-11-26 10:12 UTC",
        ),
        (
            Fault(Code.DNSKEY_MISSING, Case.NO_SUCH_KEY, ZONE, rrset=WWW, keys=(KeyId(7, 13), KeyId(9, 8))),
            "www.zone.test. A is signed by keys 7 (algorithm 13), 9 (algorithm 8), and zone.test. has no such key",
        ),
        (
            Fault(
                Code.DENIAL_INVALID,
                Case.NOT_PROVEN,
                ZONE,
                proofs=(Proof(ProofOutcome.FAILED, Gap.WILDCARD_NOT_DENIED, names.from_text("*.zone.test")),),
            ),
            "no record denies the wildcard *.zone.test.",
        ),
        (
            Fault(
                Code.VERDICT_INDETERMINATE,
                Case.NOT_FETCHED,
                ZONE,
                rrset=RRsetName(ZONE, records.DNSKEY),
                failure=FetchFailure("timeout", "no answer from 192.0.2.53 in 3 tries"),
            ),
            "zone.test. DNSKEY could not be fetched: no answer from 192.0.2.53 in 3 tries",
        ),
        (
            Fault(
                Code.TRUST_ANCHOR_MISMATCH,
                Case.NOT_ANCHORED,
                names.ROOT,
                because=Fault(Code.DS_DNSKEY_MISMATCH, Case.OTHER_DIGEST, names.ROOT, numbers=(20326, 38696)),
            ),
            "no configured trust anchor signs the key set of .: the digest of DS 20326, 38696 matches no key of .",
        ),
    ],
    ids=lambda value: value.case.name if isinstance(value, Fault) else "",
)
def test_a_sentence_has_the_particulars(fault: Fault, sentence: str) -> None:
    assert describe(fault, NOW) == sentence


def test_a_sentence_is_made_even_of_a_fault_that_lacks_something() -> None:
    for case in Case:
        assert describe(Fault(Code.VERDICT_BOGUS, case, ZONE), NOW)


@pytest.mark.parametrize("at", [-(2**40), 2**40])
def test_an_instant_beyond_the_calendar_is_told_as_well(at: int) -> None:
    said = describe(Fault(Code.RRSIG_EXPIRED, Case.EXPIRED, ZONE, rrset=WWW, expiration=at), NOW)

    assert f"{at} s after 1970" in said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_661, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
        (86_400 * 400 + 59, "400 d"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(seconds: int, text: str) -> None:
    assert describe_duration(seconds) == text


def test_a_reason_has_the_extended_error_of_its_code_or_its_own() -> None:
    expired = Fault(Code.RRSIG_EXPIRED, Case.EXPIRED, ZONE, blamed=WWW, rrset=WWW, expiration=NOW - 1)
    digest = Fault(Code.ALGORITHM_UNSUPPORTED, Case.UNSUPPORTED_DIGESTS, ZONE, numbers=(3,), ede=2)

    assert (make_reason(expired, NOW).ede, make_reason(expired, NOW).rrset) == (7, "www.zone.test. A")
    assert (make_reason(digest, NOW).ede, make_reason(digest, NOW).rrset) == (2, "")

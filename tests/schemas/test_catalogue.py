import re
from pathlib import Path

import pytest

from schemas.catalogue import CATALOGUE, ROWS, Kind, Severity

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

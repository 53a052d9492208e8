"""A code is a name that mypy knows, and has a row; in messages it is text, for a newer version may know more."""

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from schemas.catalogue import CATALOGUE, ROWS, find_row, sentence_of, source_of
from schemas.codes import Code
from schemas.judgement import Reason

ROOT = Path(__file__).parents[2]
ROOMS = ("collector", "analyzer/endpoints", "analyzer/findings", "analyzer/zones", "schemas")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path.name != "codes.py")


def test_every_code_has_one_row_in_the_same_order() -> None:
    assert [row.code for row in ROWS] == list(Code)
    assert list(CATALOGUE) == list(Code)


@pytest.mark.parametrize(("name", "is_known"), [("RRSIG_EXPIRED", True), ("RRSIG_EXPIRD", False)])
def test_a_misspelt_code_does_not_pass_mypy(name: str, is_known: bool, tmp_path: Path) -> None:
    source = f"from schemas.codes import Code\nCode.{name}\n"
    words = ["--config-file", "/dev/null", "--cache-dir", str(tmp_path), "-c", source]

    mypy = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (mypy.returncode == 0) is is_known, mypy.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_codes_are_named_not_spelt(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    spelt = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value in set(map(str, Code))]

    assert spelt == []


def test_a_reason_of_a_newer_version_is_read() -> None:
    newer = Reason("colour_of_zone", "zone.test.", "it is green")

    assert msgspec.json.decode(msgspec.json.encode(newer), type=Reason) == newer
    assert find_row(newer.code) is None
    assert sentence_of(newer.code) != ""
    assert source_of(newer.code) == ""


def test_a_code_is_plain_text_in_a_message() -> None:
    assert b'"code":"rrsig_expired"' in msgspec.json.encode(Reason(Code.RRSIG_EXPIRED, ".", ""))

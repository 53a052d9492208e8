"""Each row of the catalogue is found where it is, ends (or outlives) its cause, and stays silent on what is near it.

The collector's watch and the analysis are the real ones, on a virtual clock; see ``tests/support/watched_world.py``.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from schemas.catalogue import CATALOGUE, ROWS, Kind
from schemas.messages import Finding
from tests.catalogue.case import Elsewhere
from tests.catalogue.table import CASES, ELSEWHERE

ROOT = Path(__file__).parents[2]
SILENT_FOR_MINUTES = 8.0
BY_CODE = {str(case.code): case for case in CASES}
STATES = [code for code in BY_CODE if CATALOGUE[BY_CODE[code].code].kind is Kind.STATE]
DRIFTS = [code for code in BY_CODE if CATALOGUE[BY_CODE[code].code].kind is Kind.DRIFT]


@dataclass(frozen=True)
class Story:
    """What was confirmed before anything happened, once it had happened, and once it was mended."""

    before: list[Finding]
    staged: list[Finding]
    healed: list[Finding]


@cache
def story_of(code: str) -> Story:
    case = BY_CODE[code]
    world = case.made()
    world.run(case.settles_in * 60)
    before = world.findings()
    case.stage(world)
    world.run(case.minutes * 60)
    staged = world.findings()
    case.heal(world)
    world.run(case.heals_in * 60)
    return Story(before, staged, world.findings())


def test_every_state_and_every_drift_has_its_case() -> None:
    codes = [*(case.code for case in CASES), *(case.code for case in ELSEWHERE)]

    assert sorted(codes) == sorted(row.code for row in ROWS if row.kind is not Kind.REASON)


@pytest.mark.parametrize("case", ELSEWHERE, ids=lambda case: str(case.code))
def test_what_takes_real_files_and_processes_has_tests_of_its_own(case: Elsewhere) -> None:
    for node in (case.opens, case.ends, case.silent):
        assert node.split("::")[1:] in _tests_in(node.split("::")[0]), node


def _tests_in(path: str) -> list[list[str]]:
    """Return the tests of a file as their node ids have them: the class, if there is one, and the function."""
    found = []
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        outer = [node.name] if isinstance(node, ast.ClassDef) else []
        found += [[*outer, one.name] for one in inner if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("code", BY_CODE)
def test_it_is_found_with_its_cause_and_nothing_else_is(code: str) -> None:
    case, story = BY_CODE[code], story_of(code)

    assert story.before == []
    found = [one for one in story.staged if one.code == code]
    severity = case.severity or CATALOGUE[case.code].severity
    assert {(one.cause_zone, one.severity) for one in found} == {(case.cause, severity)}
    assert "closed" not in {one.status for one in found}
    assert {one.code for one in story.staged} == {code, *case.beside}


@pytest.mark.slow
@pytest.mark.parametrize("code", STATES)
def test_a_state_closes_once_it_is_mended(code: str) -> None:
    found = [one for one in story_of(code).healed if one.code == code]

    assert [(one.status, one.closed_because) for one in found] == [("closed", "")] * len(found)
    assert found


@pytest.mark.slow
@pytest.mark.parametrize("code", BY_CODE)
def test_no_state_stays_open_once_all_is_mended(code: str) -> None:
    is_open = {one.code for one in story_of(code).healed if one.kind is Kind.STATE and one.status != "closed"}

    assert is_open == set()


@pytest.mark.slow
@pytest.mark.parametrize("code", DRIFTS)
def test_a_drift_outlives_its_recovery(code: str) -> None:
    earlier = {one.id for one in story_of(code).staged if one.code == code}
    found = {one.id: one.status for one in story_of(code).healed if one.id in earlier}

    assert earlier
    assert set(found.values()) <= {"opened", "updated"}


@pytest.mark.slow
@pytest.mark.parametrize("code", BY_CODE)
def test_what_is_near_to_it_is_not_told_as_it(code: str) -> None:
    case = BY_CODE[code]
    world = case.made()
    world.run(case.settles_in * 60)

    case.near(world)
    world.run(max(case.minutes, SILENT_FOR_MINUTES) * 60)

    assert case.code not in case.beside_near
    assert world.codes() == case.beside_near

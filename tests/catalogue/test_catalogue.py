"""Each row of the catalogue is found where it is, ends (or outlives) its cause, and stays silent on what is near it.

The collector's watch and the analysis are the real ones, on a virtual clock; see ``tests/support/estate.py``.
"""

from dataclasses import dataclass
from functools import cache

import pytest

from schemas.catalogue import CATALOGUE, Kind
from schemas.messages import Finding
from tests.catalogue.case import Case
from tests.catalogue.table import CASES

SETTLES_S, SILENT_FOR_MINUTES = 360.0, 13.0
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
    estate = case.made()
    estate.run(SETTLES_S)
    before = estate.findings()
    case.stage(estate)
    estate.run(case.minutes * 60)
    staged = estate.findings()
    case.heal(estate)
    estate.run(case.heals_in * 60)
    return Story(before, staged, estate.findings())


@pytest.mark.parametrize("code", BY_CODE)
def test_it_is_found_with_its_cause_and_nothing_else_is(code: str) -> None:
    case, story = BY_CODE[code], story_of(code)

    assert story.before == []
    found = [one for one in story.staged if one.code == code]
    assert {(one.cause_zone, one.status) for one in found} <= {(case.cause, "opened"), (case.cause, "updated")}
    assert {one.code for one in story.staged} == {code, *case.beside}


@pytest.mark.parametrize("code", STATES)
def test_a_state_closes_once_it_is_mended(code: str) -> None:
    found = [one for one in story_of(code).healed if one.code == code]

    assert [(one.status, one.closed_because) for one in found] == [("closed", "")] * len(found)
    assert found


@pytest.mark.parametrize("code", DRIFTS)
def test_a_drift_outlives_its_recovery(code: str) -> None:
    earlier = {one.id for one in story_of(code).staged if one.code == code}
    found = {one.id: one.status for one in story_of(code).healed if one.id in earlier}

    assert earlier
    assert set(found.values()) <= {"opened", "updated"}


@pytest.mark.parametrize("code", BY_CODE)
def test_what_is_near_to_it_is_not_told_as_it(code: str) -> None:
    case = BY_CODE[code]
    estate = case.made()
    estate.run(SETTLES_S)

    case.near(estate)
    estate.run(max(case.minutes, SILENT_FOR_MINUTES) * 60)

    assert case.code not in case.beside_near
    assert estate.codes() == case.beside_near

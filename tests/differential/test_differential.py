"""A few cases of the differential test on every run; ``make differential`` does thousands."""

import time

import oracles
import pytest
from classes import is_failure
from differential import CASES_PER_WORLD, Outcome, ask_us, make_case, opinion_of, run_cases, world_of

pytestmark = pytest.mark.slow

SEED = "suite"
CASES = 60


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    if oracles.missing():
        pytest.skip(oracles.missing())
    return run_cases(SEED, int(time.time()), range(CASES))


def test_what_we_call_secure_unbound_never_calls_bogus_without_a_class(outcomes: list[Outcome]) -> None:
    assert [one for one in outcomes if is_failure(one.disagreements)] == []


def test_most_cases_have_one_verdict(outcomes: list[Outcome]) -> None:
    alike = sum(one.ours.verdict == one.unbound.verdict for one in outcomes)

    assert alike > 0.8 * len(outcomes)


def test_every_verdict_occurs(outcomes: list[Outcome]) -> None:
    assert {"secure", "insecure", "bogus"} <= {one.ours.verdict for one in outcomes}


def test_a_seed_and_a_number_make_the_same_case_again() -> None:
    now, number = 1_800_000_000, CASES_PER_WORLD + 3
    first, again = (make_case(SEED, number, world_of(SEED, number, now)) for _ in range(2))

    assert first.question == again.question
    assert first.damages == again.damages
    assert opinion_of(ask_us(first), first.made.now) == opinion_of(ask_us(again), again.made.now)

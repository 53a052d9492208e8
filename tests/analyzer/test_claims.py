"""What a resolver tells its clients, held against what was validated."""

from typing import Any

import msgspec
import pytest

from analyzer.endpoints.claims import disagreements
from schemas.judgement import Judgement, ResolverClaim
from tests.support.making import judgement

NAME = "api.bank.example."
FORGED = "203.0.113.66"


def claim(*answers: str, rcode: str = "NOERROR", rdtype: str = "A", **more: Any) -> ResolverClaim:
    made = ResolverClaim(False, rcode, tuple(f"{NAME} {rdtype} {one}" for one in answers))
    return msgspec.structs.replace(made, **more)


def judged(said: ResolverClaim, **more: Any) -> Judgement:
    return msgspec.structs.replace(judgement(), resolver=said, **more)


def severities(one: Judgement, *proven: str) -> list[str]:
    return [str(severity) for severity, _ in disagreements(one, frozenset(proven))]


@pytest.mark.parametrize(("verdict", "severity"), [("secure", "critical"), ("insecure", "high")])
def test_data_that_nothing_proves_are_as_grave_as_what_they_replace(verdict: str, severity: str) -> None:
    made = msgspec.structs.replace(judgement(verdict=verdict), resolver=claim(FORGED))

    assert severities(made) == [severity]


def test_the_same_data_and_those_that_are_known_are_fine() -> None:
    assert severities(judged(claim("192.0.2.1"))) == []
    assert severities(judged(claim("192.0.2.9")), "192.0.2.9") == []
    assert severities(judged(claim(FORGED, proven=True))) == []


@pytest.mark.parametrize(("rcode", "word"), [("NXDOMAIN", "NXDOMAIN"), ("NOERROR", "NODATA")])
def test_what_is_withheld_from_clients_is_told(rcode: str, word: str) -> None:
    ((severity, said),) = disagreements(judged(claim(rcode=rcode)), frozenset())

    assert (str(severity), word in said) == ("critical", True)


def test_an_error_is_no_answer() -> None:
    assert severities(judged(claim(rcode="SERVFAIL"))) == []


def test_where_nothing_was_validated_nothing_is_held_against_it() -> None:
    bad = msgspec.structs.replace(judgement(verdict="bogus", code="rrsig_expired"), resolver=claim(FORGED))

    assert severities(bad) == []


@pytest.mark.parametrize(("made", "severity"), [("64:ff9b::c000:201", "info"), ("2001:db8:64::c000:201", "high")])
def test_addresses_that_dns64_makes_are_information_by_a_well_known_prefix_only(made: str, severity: str) -> None:
    said = claim(made, rdtype="AAAA", translated=True)
    none = judged(said, type="AAAA", answers=())

    assert severities(none) == [severity]


def test_of_two_ways_of_asking_the_first_that_differs_is_told() -> None:
    both = judged(claim(FORGED), plain=claim("203.0.113.67"))

    ((_, said),) = disagreements(both, frozenset())
    assert "203.0.113.67" in said

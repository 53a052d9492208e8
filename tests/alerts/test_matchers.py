"""What matchers fit: everything for what mutes, anything for where something goes; and which are refused."""

import time

import msgspec
import pytest

from alerts.decision.matchers import BadMatcher, MatcherSet, parse_matcher, parse_matchers
from schemas.messages import Finding
from tests.support.findings import PAYMENTS, finding

TRADING = msgspec.structs.replace(PAYMENTS, id="sa-trade", owner="trading", environment="test", criticality="low")
BOTH = finding(
    identities=(PAYMENTS, TRADING),
    endpoints=("api.bank.example. A", "www.bank.example. A"),
    endpoint_count=2,
    vantages=("corp", "branch"),
)


def fits(found: Finding, *texts: str) -> tuple[bool, bool]:
    """Whether matchers cover a finding, and whether they concern it."""
    chosen = MatcherSet(parse_matchers(texts))
    return chosen.covers(found, found.severity), chosen.concerns(found, found.severity)


@pytest.mark.parametrize(
    ("text", "covers", "concerns"),
    [
        ("code=rrsig_expired", True, True),
        ("code!=rrsig_expired", False, False),
        ("code=~rrsig_.*", True, True),
        ("code=~rrsig", False, False),
        ("code!~rrsig_.*", False, False),
        ("severity=critical", True, True),
        ("severity=low", False, False),
        ("zone=bank.example", True, True),
        ("zone=Bank.Example.", True, True),
        ('zone=~".*\\.example"', True, True),
        ("zone=example", False, False),
        ("host=api.bank.example", False, True),
        ('host=~".*\\.bank\\.example"', True, True),
        ("host!=api.bank.example", False, True),
        ("owner=payments", False, True),
        ("owner=~payments|trading", True, True),
        ("owner!=payments", False, True),
        ("owner!=logging", True, True),
        ("environment = prod", False, True),
        ('identity="sa-trade"', False, True),
        ("criticality=critical", False, True),
        ("vantage=corp", False, True),
        ("vantage=~corp|branch", True, True),
    ],
)
def test_what_mutes_must_fit_everything_and_what_routes_anything(text: str, covers: bool, concerns: bool) -> None:
    assert fits(BOTH, text) == (covers, concerns)


def test_all_matchers_must_fit() -> None:
    assert fits(BOTH, "code=rrsig_expired", "severity=low") == (False, False)
    assert fits(BOTH, "code=rrsig_expired", "severity=critical") == (True, True)


@pytest.mark.parametrize(
    "found",
    [
        msgspec.structs.replace(BOTH, identity_count=2_000),
        msgspec.structs.replace(BOTH, endpoint_count=2_000),
    ],
    ids=["identities", "endpoints"],
)
def test_a_list_that_is_cut_short_is_never_covered(found: Finding) -> None:
    cut = "owner=~.*" if found.identity_count > 2 else "host=~.*"

    assert fits(found, cut) == (False, True)
    assert fits(found, "code=rrsig_expired") == (True, True)


def test_what_has_no_value_has_an_empty_one() -> None:
    bare = finding("self_clock_skew", zone="", identities=(), endpoints=(), endpoint_count=0)

    assert fits(bare, "owner=") == (True, True)
    assert fits(bare, "owner!=payments") == (True, True)
    assert fits(bare, "zone=~.+") == (False, False)
    assert fits(bare, "host=~.*") == (True, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("payments", "as owner=payments"),
        ("", "as owner=payments"),
        ("team=payments", "there is no label team"),
        ("code=rrsig_expird", "there is no code rrsig_expird"),
        ("severity=urgent", "severity is one of"),
        ("owner=~(", "missing"),
        (r"owner=~(a)\1", "invalid escape sequence"),
        ("owner=~(?=a)b", "invalid perl operator"),
        ("owner=~(?:(?:a{1,1000}){1,1000})", "repetition"),
        ("owner=" + "a" * 600, "as owner=payments"),
        ("owner=pay\x1b[31m", "as owner=payments"),
    ],
)
def test_what_is_no_matcher_is_refused_with_a_sentence(text: str, why: str) -> None:
    with pytest.raises(BadMatcher, match=why):
        parse_matcher(text)


def test_none_and_too_many_are_refused() -> None:
    for texts in ([], ["owner=a"] * 21):
        with pytest.raises(BadMatcher, match="1 to 20"):
            parse_matchers(texts)


def test_a_pattern_that_backtracks_for_ever_elsewhere_is_matched_in_linear_time() -> None:
    """In Python's own engine this takes longer than the age of the Earth."""
    found = msgspec.structs.replace(BOTH, identities=(msgspec.structs.replace(PAYMENTS, owner="a" * 200 + "!"),))
    began = time.process_time()

    assert fits(found, "owner=~(a+)+b", "owner=~(a|aa)+$") == (False, False)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("texts", "broad"),
    [
        (("code=~.*",), True),
        (("severity=~critical|high|medium|low|info",), True),
        (("zone=~.*",), True),
        (("zone!=bank.example",), True),
        (("owner!~nobody", "host=~.*"), True),
        (("host=~.+",), True),
        (("owner=payments",), False),
        (("severity=~critical|high",), False),
        (("code=~rrsig_.*", "zone=~.*"), False),
        (("zone=~.*\\.example",), False),
    ],
)
def test_matchers_that_let_everything_pass_are_known(texts: tuple[str, ...], broad: bool) -> None:
    assert MatcherSet(parse_matchers(texts)).is_broad is broad


def test_a_matcher_written_out_is_read_back() -> None:
    for text in ("owner=payments", "host=~.*\\.bank", "severity!=low", 'identity="a b"'):
        once = parse_matcher(text)
        assert parse_matcher(str(once)) == once

"""Zones as vantages see them: who bears witness for them, what they leave behind, and when they are forgotten."""

from datetime import datetime, timedelta

import pytest

from schemas.judgement import ChainLink, Reason, Verdict
from schemas.messages import FindingStatus, Observation, ZoneObservation
from tests.support.analysing import Parts
from tests.support.making import AT, judgement, link, observation, polls, zone_observation

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ZONE = "bank.example."
SUBJECT = (ZONE, "", "corp")
MISMATCH = Reason("ds_dnskey_mismatch", ZONE, "no DS matches", 9, f"{ZONE} DNSKEY")


def bad_zone(at: datetime = AT) -> ZoneObservation:
    return zone_observation(ChainLink(ZONE, Verdict.BOGUS, ("1 13 2 AA",)), at, parent="example.", reasons=(MISMATCH,))


def good_zone(at: datetime = AT) -> ZoneObservation:
    return zone_observation(link(ZONE), at, parent="example.")


def below(name: str, at: datetime = AT, verdict: Verdict = Verdict.BOGUS) -> Observation:
    chain = (link("."), link("example."), link(ZONE, verdict=verdict))
    code = MISMATCH.code if verdict is Verdict.BOGUS else ""
    return observation(judgement(name, verdict=verdict, code=code, rrset=MISMATCH.rrset, chain=chain), at)


@pytest.fixture
def parts() -> Parts:
    parts = Parts("a.bank.example", "b.bank.example")
    parts.zones.take(bad_zone(), parts.knowledge, parts.out)
    return parts


def test_a_zone_that_says_the_same_is_stored_and_changes_nothing(parts: Parts) -> None:
    parts.zones.take(bad_zone(AT + MINUTE), parts.knowledge, parts.out)

    assert len(parts.out.tables["zones"]) == 2
    assert parts.estate.zones[SUBJECT].observation.observed_at == AT


def test_the_polls_of_one_name_count_for_it_however_many_lie_below(parts: Parts) -> None:
    one, other = below("a.bank.example."), below("b.bank.example.")
    for seen in (one, other):
        parts.endpoints.take(seen, parts.knowledge, parts.out)
    parts.settle()
    parts.endpoints.take_polls(polls(other, at=AT + MINUTE), parts.knowledge, parts.out)
    parts.settle(AT + MINUTE)
    assert not parts.found[MISMATCH.code].confirmed, "the witness is another one"

    parts.endpoints.take_polls(polls(one, at=AT + MINUTE), parts.knowledge, parts.out)
    parts.settle(AT + MINUTE)
    assert parts.found[MISMATCH.code].confirmed


def test_a_witness_that_is_away_gives_way(parts: Parts) -> None:
    one, other = below("a.bank.example."), below("b.bank.example.")
    for seen in (one, other):
        parts.endpoints.take(seen, parts.knowledge, parts.out)
    parts.endpoints.take_polls(polls(other, at=AT + 3 * MINUTE), parts.knowledge, parts.out)
    parts.settle(AT + 3 * MINUTE)

    assert parts.found[MISMATCH.code].confirmed


def test_a_zone_that_is_whole_again_needs_a_witness_until_its_finding_is_over(parts: Parts) -> None:
    parts.endpoints.take(below("a.bank.example."), parts.knowledge, parts.out)
    parts.zones.take(good_zone(AT + MINUTE), parts.knowledge, parts.out)
    well = below("a.bank.example.", AT + MINUTE, Verdict.SECURE)
    parts.endpoints.take(well, parts.knowledge, parts.out)
    assert SUBJECT in parts.zones.witnesses

    for minute in (2, 3, 4):
        parts.endpoints.take_polls(polls(well, at=AT + minute * MINUTE), parts.knowledge, parts.out)

    assert parts.settle(AT + 4 * MINUTE)[MISMATCH.code] is FindingStatus.CLOSED
    assert SUBJECT not in parts.zones.witnesses


def test_a_zone_that_nothing_leads_to_is_forgotten_after_an_hour(parts: Parts) -> None:
    parts.settle()
    parts.zones.drop_unclaimed(AT + HOUR - MINUTE)
    assert SUBJECT in parts.estate.zones

    parts.zones.drop_unclaimed(AT + HOUR)

    assert SUBJECT not in parts.estate.zones
    assert parts.settle(AT + HOUR)[MISMATCH.code] is FindingStatus.CLOSED
    assert "no longer watched" in parts.found[MISMATCH.code].closed_because


def test_what_is_recalled_is_stale_until_a_name_behind_it_was_polled() -> None:
    parts = Parts("a.bank.example")
    parts.zones.recall([good_zone()])
    assert parts.estate.zones.stale == {SUBJECT}

    parts.endpoints.take(below("a.bank.example.", AT, Verdict.SECURE), parts.knowledge, parts.out)

    assert parts.estate.zones.stale == set()


def test_a_recall_does_not_undo_what_is_known(parts: Parts) -> None:
    parts.zones.recall([good_zone(AT - HOUR)])

    assert parts.estate.zones[SUBJECT].observation.link.verdict is Verdict.BOGUS

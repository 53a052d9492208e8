"""Endpoints as vantages see them: what observations and polls change, and what they leave alone."""

from datetime import timedelta

from schemas.messages import FindingStatus, Observation
from tests.support.analysing import Parts
from tests.support.making import AT, judgement, observation, polls

MINUTE = timedelta(minutes=1)
SUBJECT = ("api.bank.example.", "A", "corp")


def broken() -> Observation:
    return observation(judgement(verdict="bogus", code="rrsig_expired", rrset="api.bank.example. A"), AT)


def test_an_observation_is_stored_and_says_what_is_the_case() -> None:
    parts, seen = Parts(), observation(judgement(), AT)

    parts.endpoints.take(seen, parts.knowledge, parts.out)

    assert parts.estate.current[SUBJECT].observation == seen.id
    assert {table: len(rows) for table, rows in parts.out.tables.items()} == {
        "observations": 1,
        "verdicts": 1,
        "evidence": 1,
        "evidence_messages": 2,
    }


def test_the_same_observation_again_is_a_replay_and_changes_nothing() -> None:
    parts, seen = Parts(), observation(judgement(), AT)
    parts.endpoints.take(seen, parts.knowledge, parts.out)
    parts.out.tables.clear()

    parts.endpoints.take(seen, parts.knowledge, parts.out)

    assert parts.out.replayed == [seen.id]
    assert parts.out.tables == {}


def test_polls_confirm_what_an_observation_opened() -> None:
    parts, seen = Parts(), broken()
    parts.endpoints.take(seen, parts.knowledge, parts.out)
    parts.settle()
    assert not parts.found["rrsig_expired"].confirmed

    parts.endpoints.take_polls(polls(seen, at=AT + MINUTE), parts.knowledge, parts.out)
    parts.settle(AT + MINUTE)

    assert parts.found["rrsig_expired"].confirmed
    assert parts.counts.confirmed == 1


def test_good_polls_close_it() -> None:
    parts, seen = Parts(), broken()
    parts.endpoints.take(seen, parts.knowledge, parts.out)
    parts.settle()
    well = observation(judgement(), AT + MINUTE)
    parts.endpoints.take(well, parts.knowledge, parts.out)
    for minute in (2, 3):
        parts.endpoints.take_polls(polls(well, at=AT + minute * MINUTE), parts.knowledge, parts.out)

    assert parts.settle(AT + 3 * MINUTE)["rrsig_expired"] is FindingStatus.CLOSED


def test_a_poll_that_came_before_counts_for_nothing() -> None:
    parts, seen = Parts(), broken()
    parts.endpoints.take(seen, parts.knowledge, parts.out)

    parts.endpoints.take_polls(polls(seen, at=AT), parts.knowledge, parts.out)

    assert (parts.counts.confirmed, parts.counts.dropped) == (0, 1)


def test_polls_of_an_observation_that_never_came_are_asked_for_again() -> None:
    parts, lost = Parts(), observation(judgement(), AT)

    parts.endpoints.take_polls(polls(lost, at=AT + MINUTE), parts.knowledge, parts.out)

    assert parts.endpoints.take_unknown() == {SUBJECT: lost.id}
    assert parts.endpoints.take_unknown() == {}
    assert parts.counts.unmatched == 1


def test_but_not_of_what_nobody_consumes() -> None:
    parts = Parts("other.example")

    parts.endpoints.take_polls(polls(observation(judgement(), AT), at=AT), parts.knowledge, parts.out)

    assert parts.endpoints.take_unknown() == {}


def test_what_is_watched_no_more_holds_nothing_open_and_that_is_said() -> None:
    parts, seen = Parts(), broken()
    parts.endpoints.take(seen, parts.knowledge, parts.out)
    parts.endpoints.take_polls(polls(seen, at=AT + MINUTE), parts.knowledge, parts.out)
    parts.settle(AT + MINUTE)

    parts.endpoints.forget(SUBJECT, AT + MINUTE, "no longer watched")

    assert parts.settle(AT + MINUTE)["rrsig_expired"] is FindingStatus.CLOSED
    assert parts.found["rrsig_expired"].closed_because == "no longer watched"
    assert SUBJECT not in parts.estate.current

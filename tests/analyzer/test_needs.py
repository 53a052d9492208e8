"""What must be asked of the history before a batch: enough, and nothing that is known."""

from datetime import timedelta

import msgspec

from analyzer.needs import needs_of, seen_as, sightings_needed
from schemas.messages import Act
from tests.support.analysing import Parts
from tests.support.making import AT, judgement, link, observation, polls, zone_observation
from tests.support.sweeps import sweep

MINUTE = timedelta(minutes=1)
SUBJECT = ("api.bank.example.", "A", "corp")


def watched() -> Parts:
    parts = Parts()
    parts.zones.take(zone_observation(link("bank.example."), AT), parts.knowledge, parts.out)
    parts.endpoints.take(observation(judgement(), AT), parts.knowledge, parts.out)
    return parts


def test_of_a_first_sight_only_the_zones_are_asked_for() -> None:
    needs = needs_of([observation(judgement(), AT)], Parts().estate)

    assert needs.until == {}
    assert needs.zones == {(zone, "corp") for zone in (".", "example.", "bank.example.")}


def test_a_change_needs_what_was_known_strictly_before_it() -> None:
    needs = needs_of([observation(judgement(), AT + MINUTE)], watched().estate)

    assert needs.until == {SUBJECT: AT + MINUTE}
    assert needs.late == []
    assert ("bank.example.", "corp") not in needs.zones, "it is known"


def test_what_is_not_later_may_have_come_before() -> None:
    again, zone = observation(judgement(), AT), zone_observation(link("bank.example."), AT)

    needs = needs_of([again, zone], watched().estate)

    assert (needs.late, needs.late_zones) == ([again.id], [zone.id])


def test_polls_of_another_observation_than_the_last_need_that() -> None:
    other = observation(judgement(), AT - MINUTE)
    estate = watched().estate

    assert needs_of([polls(other, at=AT + MINUTE)], estate).spoken_of == {other.id: SUBJECT[0]}
    assert needs_of([polls(observation(judgement(), AT), at=AT + MINUTE)], estate).spoken_of == {}


def test_a_sweep_needs_what_is_remembered_unless_it_is_known() -> None:
    parts, one = watched(), sweep(at=AT)
    assert needs_of([one], parts.estate).swept == {(one.zone, one.vantage)}

    parts.servers.take(one, parts.knowledge, parts.out, AT)
    needs = needs_of([one], parts.estate)
    assert (needs.swept, needs.sweeps) == (set(), {one.id: one.zone})


def test_an_acceptance_needs_its_finding() -> None:
    act = Act(id="a", kind="accept", by="ops", at=AT, subject="finding")

    assert needs_of([act], Parts().estate).accepted == ["finding"]


def test_of_unsigned_data_all_vantages_count_as_having_seen_them() -> None:
    unsigned = observation(judgement(verdict="insecure", expires_at=None, inception_at=None), AT)

    assert seen_as(observation(judgement(), AT), ["corp", "home"]) == [SUBJECT]
    assert seen_as(unsigned, ["home"]) == [SUBJECT, ("api.bank.example.", "A", "home")]


def test_earlier_answers_are_asked_for_only_where_something_differs() -> None:
    before, same = judgement(), observation(judgement(), AT + MINUTE)
    other = observation(msgspec.structs.replace(before, answers=("api.bank.example. A 192.0.2.9",)), AT + MINUTE)
    until, baselines = {SUBJECT: AT + MINUTE}, {SUBJECT: before}

    assert sightings_needed([same], until, baselines, ["corp"]) == {}
    assert sightings_needed([other], until, baselines, ["corp"]) == until

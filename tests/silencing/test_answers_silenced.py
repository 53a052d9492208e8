"""What an attacker does so that a forged answer counts as one of the endpoint's own, or as nobody's fault."""

from typing import Any

import msgspec
import pytest

from schemas.judgement import AliasLink, Verdict
from schemas.messages import Observation
from tests.support.making import judgement, link, observation, polls, snapshot

CUT = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))
UNSIGNED: dict[str, Any] = {
    "verdict": "insecure",
    "code": "unsigned_delegation",
    "expires_at": None,
    "inception_at": None,
    "chain": CUT,
}
HOME, AWAY = "192.0.2.1", "203.0.113.66"
DAY = 24 * 60.0


def seen(pipeline: Any, after: Any, minute: float, address: str = HOME, **more: Any) -> Observation:
    """The unsigned name answers with an address."""
    made = observation(judgement(answers=(address,), **{**UNSIGNED, **more}), after(minute))
    pipeline.at(minute, made)
    return made


def changes(pipeline: Any) -> list[str]:
    return [str(one.severity) for one in pipeline.findings if one.code == "answer_changed" and one.version == 1]


@pytest.fixture
def settled(pipeline: Any, after: Any) -> Any:
    """A pipeline that has seen the name at one address for two days."""
    pipeline.at(0, snapshot("sa", "api.bank.example"))
    first = seen(pipeline, after, 0)
    for hours in range(6, 49, 6):
        pipeline.at(hours * 60, polls(first, at=after(hours * 60)))
    return pipeline


def test_an_answer_rehearsed_weeks_before_is_high_again(settled: Any, after: Any) -> None:
    for day in (3, 12):
        seen(settled, after, day * DAY, AWAY)
        home = seen(settled, after, day * DAY + 5)
        settled.at((day + 5) * DAY, polls(home, at=after((day + 5) * DAY)))
    before = len(settled.told)
    seen(settled, after, 20 * DAY, AWAY)

    assert changes(settled) == ["high", "high", "high"]
    assert [event for event, _ in settled.told[before:]] == ["trigger"]


def test_an_answer_of_a_bogus_spell_teaches_nothing(settled: Any, after: Any) -> None:
    forged = seen(settled, after, 3 * DAY, AWAY, verdict="bogus", code="rrsig_crypto_invalid")
    settled.at(5 * DAY, polls(forged, at=after(5 * DAY)))
    seen(settled, after, 5 * DAY + 5)
    seen(settled, after, 6 * DAY, AWAY)

    assert changes(settled) == ["high"]


def test_two_steps_that_each_keep_an_address_are_paged_all_the_same(settled: Any, after: Any) -> None:
    settled.at(3 * DAY, observation(judgement(answers=(HOME, AWAY), **UNSIGNED), after(3 * DAY)))
    assert changes(settled) == ["medium"]
    seen(settled, after, 3 * DAY + 5, AWAY)

    assert changes(settled) == ["medium", "high"]


def test_what_was_learnt_outlives_a_restart(settled: Any, after: Any) -> None:
    settled.analyzer.forget()
    seen(settled, after, 3 * DAY, AWAY)

    assert changes(settled) == ["high"]
    assert [event for event, _ in settled.told] == ["trigger"]


def test_a_change_back_to_where_it_always_was_is_no_further_change(settled: Any, after: Any) -> None:
    seen(settled, after, 3 * DAY, AWAY)
    seen(settled, after, 3 * DAY + 60)

    assert changes(settled) == ["high"]
    assert [one.code for one in settled.analyzer.findings()] == []


def signed(pipeline: Any, after: Any, minute: float, name: str = "api.bank.example.") -> Observation:
    made = observation(judgement(name), after(minute))
    pipeline.at(minute, made)
    return made


def test_a_takeover_that_was_undone_within_the_hour_is_one_page_and_outlives_it(pipeline: Any, after: Any) -> None:
    """After Sea Turtle: the DS goes first, the addresses change for half an hour, and all is as it was."""
    pipeline.at(0, snapshot("sa", "api.bank.example"))
    signed(pipeline, after, 0)
    unsigned = seen(pipeline, after, 10)
    pipeline.at(15, polls(unsigned, at=after(15)))
    seen(pipeline, after, 20, AWAY)
    signed(pipeline, after, 50)
    for minute in (55, 60, 65, 70):
        pipeline.at(minute)

    (pattern,) = {one.id: one for one in pipeline.findings if one.code == "takeover_pattern"}.values()
    assert (pattern.cause_zone, pattern.severity, pattern.status) == ("bank.example.", "critical", "opened")
    assert [event for event, _ in pipeline.told].count("trigger") == 1
    assert "resolve" not in [event for event, _ in pipeline.told]
    codes = {one.code for one in pipeline.findings}
    assert {"secure_to_insecure", "answer_changed", "takeover_pattern"} <= codes, "the parts are not hidden"


def test_a_takeover_across_a_restart_is_seen_as_one(pipeline: Any, after: Any) -> None:
    pipeline.at(0, snapshot("sa", "api.bank.example"))
    signed(pipeline, after, 0)
    seen(pipeline, after, 10)
    pipeline.analyzer.forget()
    seen(pipeline, after, 20, AWAY)

    assert [one.code for one in pipeline.findings if one.code == "takeover_pattern"] == ["takeover_pattern"]


def test_an_alias_left_dangling_whose_target_is_taken_weeks_later_is_paged(pipeline: Any, after: Any) -> None:
    """Nobody lies: the alias is signed, and the provider gave the name to somebody else."""
    target = "bank.provider.example."
    there: dict[str, Any] = {**UNSIGNED, "zone": "provider.example."}

    def led(minute: float, address: str, rcode: str = "NOERROR") -> None:
        alias = AliasLink("api.bank.example.", "CNAME", "bank.example.", Verdict.SECURE, target)
        end = AliasLink(target, "A", "provider.example.", Verdict.INSECURE)
        answers = (f"{target} A {address}",) if address else ()
        made = msgspec.structs.replace(judgement(answers=(), **there), links=(alias, end), answers=answers, rcode=rcode)
        pipeline.at(minute, observation(made, after(minute)))

    pipeline.at(0, snapshot("sa", "api.bank.example"))
    led(0, HOME)
    led(3 * DAY, "", "NXDOMAIN")
    before = len(pipeline.told)
    led(24 * DAY, AWAY)

    assert changes(pipeline) == ["high"]
    assert [event for event, _ in pipeline.told[before:]] == ["trigger"]

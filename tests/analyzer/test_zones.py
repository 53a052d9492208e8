"""A zone is told once, however many names lie below it: the pure analysis, without a database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from analyzer.analysis import Analysis
from analyzer.batch import Batch, Knowledge
from schemas.judgement import ChainLink, Reason, Verdict, ZoneKey
from schemas.messages import Message, Observation, ZoneObservation
from tests.support.making import AT, judgement, key, link, observation, polls, snapshot, with_zones, zone_observation

MINUTE = timedelta(minutes=1)
MANY = 200


class Run:
    """The analysis of one estate; ``at`` a minute it takes messages in."""

    def __init__(self, names: int) -> None:
        self.analysis = Analysis()
        hosts = [f"h{number}.bank.example" for number in range(names)]
        self.first = [observation(judgement(f"{host}."), AT) for host in hosts]
        self.at(0, snapshot("sa", *hosts), *with_zones(self.first[:1]), *self.first[1:])

    def at(self, minute: float, *batch: Message) -> Batch:
        knowledge = Knowledge()
        return self.analysis.take(batch, knowledge, (AT + minute * MINUTE).timestamp())


def root(at: datetime, *keys: Any, verdict: Verdict = Verdict.SECURE) -> ZoneObservation:
    return zone_observation(msgspec.structs.replace(link(".", keys=keys), verdict=verdict), at)


def broken(at: datetime, zone: str = "bank.example.", code: str = "ds_dnskey_mismatch") -> ZoneObservation:
    reason = Reason(code, zone, "because", None, f"{zone} DNSKEY")
    return zone_observation(ChainLink(zone, Verdict.BOGUS, ("1 13 2 AA",)), at, parent="example.", reasons=(reason,))


def codes(out: Batch) -> list[tuple[str, str, int]]:
    return [(one.code, str(one.status), one.endpoint_count) for one in out.messages]


def test_a_new_key_at_the_root_is_one_fact_and_one_finding() -> None:
    run = Run(MANY)
    changed = root(AT + MINUTE, key(1, entry=True), key(2), key(3))

    out = run.at(1, changed)

    assert codes(out) == [("key_rollover", "opened", MANY)]
    assert [table for table, rows in out.tables.items() if rows] == [
        "evidence",
        "evidence_messages",
        "zones",
        "findings",
    ]


def test_polls_after_a_key_change_say_nothing_more_of_it() -> None:
    run = Run(MANY)
    run.at(1, root(AT + MINUTE, key(1, entry=True), key(2), key(3)))

    for minute in (2, 3, 4):
        assert codes(run.at(minute, polls(*run.first, at=AT + minute * MINUTE))) == []


def test_the_same_again_from_another_collector_adds_nothing() -> None:
    run = Run(1)

    out = run.at(1, root(AT + MINUTE))

    assert len(out.tables["zones"]) == 1, "kept so that it is known when it comes again"
    assert out.messages == []


def test_a_broken_zone_is_confirmed_and_healed_by_the_polls_of_one_name() -> None:
    run = Run(MANY)
    bad = [observation(spoilt(one), AT + MINUTE) for one in run.first]

    assert codes(run.at(1, broken(AT + MINUTE), *bad)) == [("ds_dnskey_mismatch", "opened", MANY)]
    out = run.at(2, polls(*bad, at=AT + 2 * MINUTE))
    assert [(one.code, one.confirmed) for one in out.messages] == [("ds_dnskey_mismatch", True)]

    good = [observation(judgement(one.judgement.name), AT + 3 * MINUTE) for one in run.first]
    healed = with_zones(good[:1])
    assert codes(run.at(3, *healed, *good[1:])) == []
    assert codes(run.at(4, polls(*good, at=AT + 4 * MINUTE))) == []
    assert codes(run.at(5, polls(*good, at=AT + 5 * MINUTE))) == [("ds_dnskey_mismatch", "closed", MANY)]


def spoilt(one: Observation) -> Any:
    chain = (link("."), link("example."), ChainLink("bank.example.", Verdict.BOGUS, ("1 13 2 AA",)))
    name = one.judgement.name
    return judgement(name, verdict="bogus", code="ds_dnskey_mismatch", rrset="bank.example. DNSKEY", chain=chain)


def test_many_names_polled_at_once_are_one_poll_of_the_zone() -> None:
    run = Run(MANY)
    bad = [observation(spoilt(one), AT + MINUTE) for one in run.first]

    out = run.at(1, broken(AT + MINUTE), *bad, polls(*bad[1:], at=AT + MINUTE + timedelta(seconds=1)))

    assert [one.confirmed for one in out.messages] == [False], "they all rest on one answer"


def test_silence_does_not_heal_a_broken_zone() -> None:
    run = Run(3)
    bad = [observation(spoilt(one), AT + MINUTE) for one in run.first]
    run.at(1, broken(AT + MINUTE), *bad)
    run.at(2, polls(*bad, at=AT + 2 * MINUTE))
    unknown = ChainLink("bank.example.", Verdict.INDETERMINATE)
    why = Reason("verdict_indeterminate", "bank.example.", "no answer", 22, "")
    silent = zone_observation(unknown, AT + 3 * MINUTE, parent="example.", reasons=(why,))
    dark = [observation(unheard(one), AT + 3 * MINUTE) for one in run.first]

    run.at(3, silent, *dark)
    for minute in range(4, 9):
        run.at(minute, polls(*dark, at=AT + minute * MINUTE))

    assert {one.code for one in run.analysis.findings()} == {"ds_dnskey_mismatch", "verdict_indeterminate"}


def unheard(one: Observation) -> Any:
    chain = (link("."), link("example."), ChainLink("bank.example.", Verdict.INDETERMINATE))
    return judgement(one.judgement.name, verdict="indeterminate", code="verdict_indeterminate", answers=(), chain=chain)


def test_a_fault_above_does_not_end_a_zones_own_finding() -> None:
    """Whoever breaks the parent must not make the child's fault look healed, or no longer watched."""
    run = Run(3)
    bad = [observation(spoilt(one), AT + MINUTE) for one in run.first]
    run.at(1, broken(AT + MINUTE), *bad)
    run.at(2, polls(*bad, at=AT + 2 * MINUTE))
    chain = (link("."), ChainLink("example.", Verdict.BOGUS, ("1 13 2 AA",)))
    above = [
        observation(
            judgement(
                one.judgement.name, verdict="bogus", code="ds_dnskey_mismatch", zone="example.", chain=chain,
                rrset="example. DNSKEY",
            ),
            AT + 3 * MINUTE,
        )
        for one in run.first
    ]  # fmt: skip

    run.at(3, broken(AT + 3 * MINUTE, "example."), *above)
    for minute in range(4, 9):
        run.at(minute, polls(*above, at=AT + minute * MINUTE))

    assert {one.cause_zone for one in run.analysis.findings()} == {"example.", "bank.example."}


def test_a_zone_that_nobody_needs_any_more_is_said_not_to_be_watched() -> None:
    run = Run(1)
    bad = [observation(spoilt(one), AT + MINUTE) for one in run.first]
    run.at(1, broken(AT + MINUTE), *bad)

    (closed,) = run.at(2, msgspec.structs.replace(snapshot("sa"), identity=None)).messages

    assert closed.closed_because.startswith("no longer watched")
    assert len(run.analysis.zones) == 0


def test_a_finding_that_grows_is_drawn_now_and_then() -> None:
    run = Run(0)
    hosts = [f"h{number}.bank.example" for number in range(MANY)]
    run.at(0, snapshot("sa", *hosts))
    dark = [observation(unheard(observation(judgement(f"{host}."), AT)), AT) for host in hosts]

    drawn = sum(len(run.at(start / MANY / 60, *dark[start : start + 10]).messages) for start in range(0, MANY, 10))

    assert drawn < 15, "while it is small each batch, then seldom: fifty batches come within a second"
    out = run.at(1)
    assert codes(out)[-1] == ("verdict_indeterminate", "updated", MANY), "and the last word has all of them"


def test_signatures_made_anew_at_each_answer_leave_no_trace_but_the_window() -> None:
    run = Run(1)
    (first,) = run.first
    stored: list[Sequence[Any]] = []
    for minute in range(1, 24 * 60):
        at = AT + minute * MINUTE
        inception, expiration = int(at.timestamp()), int((at + timedelta(days=2)).timestamp())
        batch = msgspec.structs.replace(polls(first, at=at), inceptions=(inception,), expirations=(expiration,))
        out = run.at(minute, batch)
        stored += [table for table, rows in out.tables.items() if rows and table != "verdicts"]

    assert len(stored) < 10
    current = run.analysis.current["h0.bank.example.", "A", "corp"]
    assert current.expiry is not None
    assert current.expiry.expires_at > AT + timedelta(days=2.9)
    assert run.analysis.findings() == []


def test_a_zone_that_breaks_does_not_end_the_fault_of_a_name_in_it() -> None:
    """While the keys can't be trusted, nothing is learnt of the signatures made with them."""
    run = Run(2)
    name = run.first[0].judgement.name
    forged = observation(judgement(name, verdict="bogus", code="rrsig_crypto_invalid", rrset=f"{name} A"), AT + MINUTE)
    run.at(1, forged)
    run.at(2, polls(forged, at=AT + 2 * MINUTE))
    bad = [observation(spoilt(one), AT + 3 * MINUTE) for one in run.first]

    run.at(3, broken(AT + 3 * MINUTE), *bad)
    for minute in range(4, 9):
        run.at(minute, polls(*bad, at=AT + minute * MINUTE))

    assert sorted(one.code for one in run.analysis.findings()) == ["ds_dnskey_mismatch", "rrsig_crypto_invalid"]


def test_a_tag_that_another_key_had_is_told_no_longer_than_caches_remember_though_the_zone_stays_the_same() -> None:
    run = Run(1)
    twin = ZoneKey(2, 13, 256, None, "another key of that tag")
    changed = root(AT + MINUTE, key(1, entry=True), twin)
    week = 7 * 24 * 60

    opened = run.at(1, changed)
    for minute in (2, 3):
        run.at(minute, polls(*run.first, at=AT + minute * MINUTE))
    later = root(AT + (week + 2) * MINUTE, key(1, entry=True), twin)
    closing = [run.at(week + 2, later)]
    for minute in (week + 3, week + 4, week + 5):
        closing.append(run.at(minute, polls(*run.first, at=AT + minute * MINUTE)))

    assert ("keytag_collision", "opened", 1) in codes(opened)
    assert ("keytag_collision", "closed") in {(code, status) for out in closing for code, status, _ in codes(out)}


def test_a_key_set_that_is_signed_for_a_new_key_teaches_no_rhythm() -> None:
    run = Run(1)
    day = 24 * 60
    for number in range(1, 6):  # a key comes or goes each day; the rhythm is a week
        keys = (key(1, entry=True), key(2), *((key(3),) if number % 2 else ()))
        at = AT + number * day * MINUTE
        one = zone_observation(link("bank.example.", keys=keys), at, parent="example.")
        ends = msgspec.structs.replace(one.windows[0], inception_at=at, expires_at=at + 14 * day * MINUTE)
        out = run.at(number * day, msgspec.structs.replace(one, windows=(ends,)))
        assert [row for row in out.tables["renewals"] if row[3]] == []

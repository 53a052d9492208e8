"""What somebody does to a zone, or around it, so that its finding is not told, or looks healed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from analyzer.analysis import Analysis
from analyzer.batch import Knowledge, Stored
from schemas.judgement import ChainLink, Reason, Verdict
from schemas.messages import Identity, Message, Observation, ZoneObservation
from tests.analyzer.test_zones import MINUTE, Run, broken, spoilt, unheard
from tests.support.making import (
    AT,
    judgement,
    key,
    link,
    observation,
    polls,
    snapshot,
    with_zones,
    zone_observation,
    zones_of,
)


def at(minute: float) -> datetime:
    return AT + minute * MINUTE


def consumers(*hosts: str) -> list[tuple[str, Identity]]:
    identity = snapshot("sa", *hosts).identity
    assert identity is not None
    return [("sa", identity)]


def secure(zone: str, when: datetime, parent: str = "example.", **kw: Any) -> ZoneObservation:
    return zone_observation(link(zone, **kw), when, parent=parent)


def test_good_look_of_another_collector_does_not_heal_names_that_still_are_bogus() -> None:
    run = Run(4)
    bad = [observation(spoilt(one), at(1)) for one in run.first[:3]]
    run.at(1, broken(at(1)), *bad)
    run.at(2, polls(*bad, at=at(2)))
    # another collector, same vantage: its resolver (anycast) sees the zone as it was; it never told it before
    run.at(3, secure("bank.example.", at(2.5), keys=(key(1, entry=True), key(2), key(7))))
    for minute in range(3, 9):
        run.at(minute, polls(*bad, at=at(minute)))
    assert "ds_dnskey_mismatch" in {one.code for one in run.analysis.findings()}


def test_a_batch_that_comes_again_does_not_put_the_zone_back() -> None:
    run = Run(3)
    bad = [observation(spoilt(one), at(2)) for one in run.first]
    same = secure("bank.example.", at(1))  # a collector that started tells what is known
    batch = (same, broken(at(2)), *bad)
    out = run.at(2, *batch)
    run.at(3, polls(*bad, at=at(3)))
    stored = {row[0] for row in out.tables["zones"]} | {row[0] for row in out.tables["observations"]}
    needs = run.analysis.needs(batch)
    knowledge = Knowledge(stored=stored & {*needs.late, *needs.late_zones})
    run.analysis.take(batch, knowledge, at(3.5).timestamp())
    for minute in range(4, 9):
        run.at(minute, polls(*bad, at=at(minute)))
    assert "ds_dnskey_mismatch" in {one.code for one in run.analysis.findings()}


def test_who_turns_out_to_lie_behind_a_broken_zone_is_announced() -> None:
    run = Run(0)
    hosts = ["low.bank.example", "crown.bank.example"]
    low = snapshot("low", hosts[0])
    assert low.identity is not None
    low = msgspec.structs.replace(low, identity=msgspec.structs.replace(low.identity, criticality="low"))
    run.at(0, low, snapshot("crown", hosts[1]))
    first = [observation(judgement(f"{h}."), AT) for h in hosts]
    bad = [observation(spoilt(o), at(1)) for o in first]
    run.at(1, broken(at(1)), bad[0])
    run.at(2, polls(bad[0], at=at(2)))
    said = []
    late = observation(spoilt(first[1]), at(2.5))
    said += run.at(2.5, late).messages
    for minute in range(3, 12):
        said += run.at(minute, polls(bad[0], late, at=at(minute))).messages
    assert {one.id for f in said for one in f.identities} >= {"crown"}


def test_identity_that_comes_to_a_broken_host_is_announced() -> None:
    run = Run(1)
    bad = [observation(spoilt(o), at(1)) for o in run.first]
    run.at(1, broken(at(1)), *bad)
    run.at(2, polls(*bad, at=at(2)))
    said = run.at(3, snapshot("crown", "h0.bank.example", at=at(3))).messages
    for minute in range(4, 12):
        said += run.at(minute, polls(*bad, at=at(minute))).messages
    assert {one.id for f in said for one in f.identities} >= {"crown"}


def known_of(run: Run, batch: Sequence[Message], *made: Observation) -> dict[str, Any]:
    """What the history has of the zones that the analysis asks for."""
    asked = run.analysis.needs(batch).zones
    return (
        {"zones": [z for one in made for z in zones_of(one.judgement, one.observed_at) if (z.zone, z.vantage) in asked]}
        if asked
        else {}
    )


def elsewhere(name: str, when: datetime) -> Observation:
    return observation(judgement(name, zone="cdn.test.", chain=(link("."), link("test."), link("cdn.test."))), when)


def test_a_zone_that_comes_back_to_a_chain_is_measured_from_what_was_known() -> None:
    run = Run(1)
    (home,) = run.first
    name = home.judgement.name
    away = elsewhere(name, at(1))
    run.at(1, *with_zones([away]))
    # back; the collector has told bank.example. before and it says the same: nothing is told again
    back = observation(judgement(name), at(2))
    knowledge = Knowledge(baselines={back.subject: away.judgement}, **known_of(run, [back], home))
    run.analysis.take([back], knowledge, at(2).timestamp())
    # now the DS is removed
    chain = (link("."), link("example."), ChainLink("bank.example.", Verdict.INSECURE))
    why = (Reason("delegation_unsigned", "bank.example.", "no DS", None, "bank.example. DS"),)
    gone = zone_observation(chain[2], at(3), parent="example.", reasons=why)
    after = observation(judgement(name, verdict="insecure", code="delegation_unsigned", chain=chain), at(3))
    out = run.analysis.take([gone, after], Knowledge(baselines={back.subject: back.judgement}), at(3).timestamp())
    assert "secure_to_insecure" in [one.code for one in out.messages]


def test_a_domain_on_hold_that_comes_back_without_ds() -> None:
    run = Run(1)
    (home,) = run.first
    name = home.judgement.name
    held = observation(judgement(name, answers=(), zone="example.", chain=(link("."), link("example."))), at(1))
    run.analysis.take([held], Knowledge(baselines={held.subject: home.judgement}), at(1).timestamp())
    chain = (link("."), link("example."), ChainLink("bank.example.", Verdict.INSECURE))
    why = (Reason("delegation_unsigned", "bank.example.", "no DS", None, "bank.example. DS"),)
    gone = zone_observation(chain[2], at(3), parent="example.", reasons=why)
    after = observation(
        judgement(name, verdict="insecure", code="delegation_unsigned", chain=chain, answers=("6.6.6.6",)), at(3)
    )
    knowledge = Knowledge(baselines={held.subject: held.judgement}, **known_of(run, [gone, after], home))
    out = run.analysis.take([gone, after], knowledge, at(3).timestamp())
    assert "secure_to_insecure" in [one.code for one in out.messages]


def test_what_was_known_days_ago_is_what_a_zone_is_measured_from() -> None:
    run = Run(1)
    (home,) = run.first
    name = home.judgement.name
    away = elsewhere(name, at(1))
    run.at(1, *with_zones([away]))
    run.at(3000)  # the zone is forgotten
    chain = (link("."), link("example."), ChainLink("bank.example.", Verdict.INSECURE))
    why = (Reason("delegation_unsigned", "bank.example.", "no DS", None, "bank.example. DS"),)
    gone = zone_observation(chain[2], at(3001), parent="example.", reasons=why)
    known = known_of(run, [gone], home)
    out = run.analysis.take([gone], Knowledge(**known), at(3001).timestamp())
    assert "secure_to_insecure" in [one.code for one in out.messages]


def test_silence_does_not_end_signatures_that_run_out() -> None:
    run = Run(1)
    soon = link("bank.example.")
    soon = msgspec.structs.replace(soon, inception_at=AT - timedelta(days=99), expires_at=AT + timedelta(days=2))
    run.at(1, zone_observation(soon, at(1), parent="example."))
    assert ("rrsig_expiring", "critical") in {(f.code, str(f.severity)) for f in run.analysis.findings()}
    why = Reason("verdict_indeterminate", "bank.example.", "no answer", 22, "")
    dark = [observation(unheard(o), at(2)) for o in run.first]
    run.at(
        2,
        zone_observation(ChainLink("bank.example.", Verdict.INDETERMINATE), at(2), parent="example.", reasons=(why,)),
        *dark,
    )
    run.at(3, polls(*dark, at=at(3)))
    assert "rrsig_expiring" in {f.code for f in run.analysis.findings()}


def test_silence_does_not_end_a_names_signature_that_runs_out() -> None:
    run = Run(0)
    run.at(0, snapshot("sa", "h.bank.example"))
    soon = observation(
        judgement("h.bank.example.", inception_at=AT - timedelta(days=99), expires_at=AT + timedelta(days=2)), at(0)
    )
    run.at(0, *with_zones([soon]))
    run.at(1)
    assert "rrsig_expiring" in {f.code for f in run.analysis.findings()}
    dark = observation(
        judgement(
            "h.bank.example.",
            verdict="indeterminate",
            code="verdict_indeterminate",
            answers=(),
            inception_at=None,
            expires_at=None,
        ),
        at(2),
    )
    run.at(2, dark)
    run.at(3, polls(dark, at=at(3)))
    assert "rrsig_expiring" in {f.code for f in run.analysis.findings()}


def test_polls_without_windows_say_nothing_of_signatures() -> None:
    run = Run(0)
    run.at(0, snapshot("sa", "h.bank.example"))
    soon = observation(
        judgement("h.bank.example.", inception_at=AT - timedelta(days=99), expires_at=AT + timedelta(days=2)), at(0)
    )
    run.at(0, *with_zones([soon]))
    run.at(1)
    early = msgspec.structs.replace(polls(soon, at=at(2)), inceptions=(), expirations=())
    run.at(2, early)
    run.at(3)
    assert "rrsig_expiring" in {f.code for f in run.analysis.findings()}


def test_a_witness_that_is_polled_no_more_does_not_keep_a_zone_unconfirmed() -> None:
    run = Run(5)
    bad = [observation(spoilt(o), at(1)) for o in run.first]
    run.at(1, broken(at(1)), *bad)
    for minute in range(2, 12):
        run.at(minute, polls(*bad[1:], at=at(minute)))  # the first, whose servers are the attacker's, is silent
    (found,) = run.analysis.findings()
    assert found.confirmed


def test_an_edge_that_happens_again_after_a_restart_is_another_finding() -> None:
    run = Run(1)
    why = (Reason("delegation_unsigned", "bank.example.", "no DS", None, "bank.example. DS"),)

    def off(m: float) -> ZoneObservation:
        unsigned = ChainLink("bank.example.", Verdict.INSECURE)
        return zone_observation(unsigned, at(m), parent="example.", reasons=why)

    said = run.at(1, off(1)).messages
    on = secure("bank.example.", at(2))
    said += run.at(2, on).messages
    drifts = list(said)
    second = Analysis()
    (first,) = run.first
    second.load(
        Stored(
            identities=consumers("h0.bank.example"),
            renewals={},
            judgements=[(first.id, AT, at(2), first.judgement)],
            zones=[*zones_of(first.judgement, AT)[:2], on],
            open_findings=drifts,
            closed_findings=[],
        ),
        at(2.5).timestamp(),
    )
    out = second.take([off(3)], Knowledge(), at(3).timestamp())
    again = run.at(3, off(3))
    ids = {f.id for f in drifts}
    assert [f.id in ids for f in again.messages] == [False, False]
    assert [f.id in ids for f in out.messages] == [False, False]


def test_zones_that_no_name_leads_through_are_forgotten() -> None:
    run = Run(1)
    for number in range(200):
        run.at(
            number,
            secure(f"x{number}.evil.test.", at(number), parent="evil.test."),
            polls(*run.first, at=at(number + 1)),
        )
    assert len(run.analysis.zones) < 150


def test_an_alias_that_rotates_while_bogus_keeps_no_trail() -> None:
    run = Run(1)
    name = run.first[0].judgement.name
    for number in range(200):
        chain = (
            link("."),
            link("example."),
            link("bank.example."),
            link("evil.test."),
            ChainLink(f"x{number}.evil.test.", Verdict.BOGUS),
        )
        bad = observation(
            judgement(name, verdict="bogus", code="dnskey_missing", zone=f"x{number}.evil.test.", chain=chain),
            at(number + 1),
        )
        run.at(number + 1, *with_zones([bad]))
    assert len(run.analysis.current[name, "A", "corp"].zones) < 50


def test_a_fault_in_the_second_of_two_broken_zones_is_not_over() -> None:
    run = Run(1)
    name = run.first[0].judgement.name
    good = (link("."), link("example."), link("bank.example."), link("test."), link("cdn.test."))
    forged = observation(
        judgement(
            name, verdict="bogus", code="rrsig_crypto_invalid", zone="cdn.test.", rrset="edge.cdn.test. A", chain=good
        ),
        at(1),
    )
    run.at(1, *with_zones([forged]))
    run.at(2, polls(forged, at=at(2)))
    both = (
        link("."),
        link("example."),
        ChainLink("bank.example.", Verdict.BOGUS),
        link("test."),
        ChainLink("cdn.test.", Verdict.BOGUS),
    )
    bad = observation(
        judgement(
            name, verdict="bogus", code="dnskey_missing", zone="bank.example.", rrset="bank.example. DNSKEY", chain=both
        ),
        at(3),
    )
    run.at(3, *with_zones([bad]))
    for m in range(4, 9):
        run.at(m, polls(bad, at=at(m)))
    assert "rrsig_crypto_invalid" in {f.code for f in run.analysis.findings()}


def test_a_name_that_sees_the_break_counts_before_one_that_does_not() -> None:
    run = Run(2)
    seer, other = run.first
    run.analysis._book.vantages.add("isp")  # so that one vantage alone needs three looks
    bad = observation(spoilt(seer), at(1))
    run.at(1, broken(at(1)), polls(other, at=AT + timedelta(seconds=61)), bad)
    run.at(1.2, polls(bad, at=at(1.2)))
    run.at(1.4, polls(bad, at=at(1.4)))
    (found,) = run.analysis.findings()
    assert found.confirmed


def test_a_restart_does_not_end_what_a_zones_windows_hold_open() -> None:
    run = Run(1)
    soon = msgspec.structs.replace(
        link("bank.example."), inception_at=AT - timedelta(days=99), expires_at=AT + timedelta(days=2)
    )
    zone = zone_observation(soon, at(1), parent="example.")
    (opened,) = run.at(1, zone).messages
    second = Analysis()
    hosts = [o.judgement.name.rstrip(".") for o in run.first]
    second.load(
        Stored(
            identities=consumers(*hosts),
            renewals={},
            judgements=[(o.id, AT, at(1), o.judgement) for o in run.first],
            zones=[*zones_of(run.first[0].judgement, AT)[:2], zone],
            open_findings=[opened],
            closed_findings=[],
        ),
        at(2).timestamp(),
    )
    said = []
    for minute in range(2, 6):
        for o in run.first:
            said += second.take([polls(o, at=at(minute))], Knowledge(), at(minute).timestamp()).messages
            said += second.take([], Knowledge(), at(minute + 0.6).timestamp()).messages
    assert "closed" not in {str(f.status) for f in said}
    assert [f.id for f in second.findings()] == [opened.id]


def test_a_zone_that_arrives_after_its_last_name_left_does_not_stay_for_ever() -> None:
    run = Run(1)
    run.at(1, msgspec.structs.replace(snapshot("sa"), identity=None))
    run.at(1.1, broken(at(1)))
    run.at(120)
    assert run.analysis.findings() == []
    assert len(run.analysis.zones) == 0


def test_an_alias_that_leads_away_in_between_does_not_keep_a_zone_unconfirmed() -> None:
    run = Run(1)
    name = run.first[0].judgement.name
    confirmed = False
    for minute in range(1, 13, 2):
        mark = key(100 + minute, entry=True)
        sick = ChainLink("cdn.test.", Verdict.BOGUS, ("1 13 2 AA",), (mark,))
        chain = (link("."), link("test."), sick)
        bad = observation(
            judgement(
                name,
                verdict="bogus",
                code="ds_dnskey_mismatch",
                zone="cdn.test.",
                rrset="cdn.test. DNSKEY",
                chain=chain,
            ),
            at(minute),
        )
        said = run.at(minute, *with_zones([bad])).messages
        said += run.at(minute + 1, observation(judgement(name), at(minute + 1))).messages
        confirmed |= any(f.confirmed for f in said if f.code == "ds_dnskey_mismatch")
    assert confirmed

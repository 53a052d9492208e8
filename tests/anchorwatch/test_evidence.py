"""What a collector saw can be validated again from the history, offline: the messages of the zones come first."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch.lab.partners import PartnerWorld
from collector.dnssec.replay import replay
from schemas.judgement import Judgement, Verdict
from schemas.messages import Evidence, Message, Observation, ZoneObservation
from tests.anchorwatch.test_doors import app_of, ask
from tests.collector.test_stage import Watch
from tests.support.clock import ManualClock

ZONES = [".", "example.", "bank.example."]
INVENTORY = """\
identities:
- {id: sa, endpoints: [{host: api.bank.example, types: [A]}, {host: token.bank.example, types: [A]}]}
"""


class Kept:
    """A collector's messages, taken in by an analyzer; evidence comes over HTTP, as by ``anchorwatch evidence``."""

    def __init__(self, watch: Watch, history: ClickHouseHistory, clock: ManualClock) -> None:
        self.watch, self.history = watch, history
        self.analyzer = Analyzer(history, clock)

    def see(self, *stages: Callable[[PartnerWorld], None]) -> list[Message]:
        """Let the collector see the world, then each change of it, and the analyzer take in what it says."""

        async def two_more(watch: Watch, change: Callable[[PartnerWorld], object]) -> None:
            seen = len(watch.of(Observation))
            change(watch.world)
            await watch.until(lambda said: len(watch.of(Observation)) >= seen + 2)

        async def story(watch: Watch) -> None:
            for change in (lambda world: None, *stages):
                await two_more(watch, change)

        self.watch.path.write_text(INVENTORY)
        said = self.watch.run(story)
        asyncio.run(self.analyzer.handle(said))
        return said

    def evidence(self, digest: str) -> Evidence:
        answer = ask(app_of(analyzer=self.analyzer, history=self.history), f"/api/v1/evidence/{digest}")
        assert answer.status == 200, answer
        return msgspec.convert(json.loads(answer.body), Evidence, strict=False)

    def last(self, name: str = "api.bank.example.") -> Observation:
        seen: list[Observation] = self.watch.of(Observation)
        return [one for one in seen if one.judgement.name == name][-1]


@pytest.fixture
def kept(tmp_path: Path, history: ClickHouseHistory, clock: ManualClock) -> Kept:
    return Kept(Watch(tmp_path), history, clock)


def essence(judgement: Judgement) -> Any:
    return (
        judgement.name,
        judgement.type,
        judgement.verdict,
        judgement.rcode,
        [(reason.code, reason.zone, reason.rrset) for reason in judgement.reasons],
        judgement.answers,
        judgement.cause_zone,
        judgement.expires_at,
        [(link.zone, link.verdict) for link in judgement.chain],
    )


@pytest.mark.parametrize(
    ("stages", "verdict", "code"),
    [
        ([], "secure", ""),
        ([lambda world: world.stage_expired("bank.example.")], "bogus", "rrsig_expired"),
        ([lambda world: world.stage_swapped_keys("bank.example.")], "bogus", "dnskey_missing"),
        ([lambda world: world.stage_ds_removed("bank.example.")], "insecure", "unsigned_delegation"),
        (
            [lambda world: [world.stage_forged("bank.example.", host, "203.0.113.9") for host in ("api", "token")]],
            "bogus",
            "rrsig_crypto_invalid",
        ),
    ],
    ids=["secure", "expired", "other keys", "unsigned", "forged"],
)
def test_the_evidence_of_an_endpoint_gives_its_verdict_again(
    kept: Kept, stages: list[Callable[[PartnerWorld], None]], verdict: str, code: str
) -> None:
    kept.see(*stages)
    observed = kept.last()

    evidence = kept.evidence(observed.judgement.evidence)

    assert (observed.judgement.verdict, [r.code for r in observed.judgement.reasons][:1]) == (
        verdict,
        [code] * bool(code),
    )
    assert essence(replay(evidence)) == essence(observed.judgement)


def test_the_messages_of_a_zone_are_stored_once_for_all_names_below_it(kept: Kept, client: Any) -> None:
    kept.see()
    one, other = kept.last(), kept.last("token.bank.example.")

    shared = set(kept.evidence(one.judgement.evidence).messages) & set(kept.evidence(other.judgement.evidence).messages)

    assert one.zones == other.zones
    assert one.evidence is not None
    assert other.evidence is not None
    assert len(one.evidence.messages) == len(other.evidence.messages) == 1
    assert len(shared) == sum(len(zone.evidence.messages) for zone in kept.watch.of(ZoneObservation)[:3])
    ((stored,),) = client.query("SELECT count() FROM evidence_messages FINAL").result_rows
    assert stored == len(shared) + 2


def test_the_evidence_of_a_zone_gives_its_verdict_again(kept: Kept) -> None:
    kept.see()
    zones = {zone.zone: zone for zone in kept.watch.of(ZoneObservation)}

    assert list(zones) == ZONES
    for zone in zones.values():
        evidence = kept.evidence(zone.evidence.digest)
        again = replay(evidence)

        assert (evidence.name, evidence.type) == (zone.zone, "DNSKEY")
        assert again.verdict == zone.link.verdict == Verdict.SECURE
        assert again.chain[-1] == zone.link, "with its DS, its keys and their signatures"


def test_the_evidence_of_a_zone_that_turned_unsigned_is_the_proof_that_it_has_no_ds(kept: Kept) -> None:
    kept.see(lambda world: world.stage_ds_removed("bank.example."))
    unsigned = kept.watch.of(ZoneObservation)[-1]

    evidence = kept.evidence(unsigned.evidence.digest)
    again = replay(evidence)

    assert (unsigned.zone, unsigned.link.verdict, evidence.type) == ("bank.example.", "insecure", "DS")
    assert again.rcode == "NOERROR"
    assert again.answers == ()
    assert again.verdict is Verdict.SECURE, "that there is none is proven by the zone above"


def test_a_zone_that_fails_keeps_the_evidence_of_its_failure(kept: Kept) -> None:
    kept.see(lambda world: world.stage_swapped_keys("bank.example."))
    broken = kept.watch.of(ZoneObservation)[-1]

    again = replay(kept.evidence(broken.evidence.digest))

    assert (broken.zone, broken.link.verdict) == ("bank.example.", "bogus")
    assert [reason.code for reason in again.reasons] == [reason.code for reason in broken.reasons]


def test_old_evidence_stays_as_it_was(kept: Kept) -> None:
    kept.see(lambda world: world.stage_expired("bank.example."))
    first = next(one for one in kept.watch.of(Observation) if one.judgement.name == "api.bank.example.")

    assert essence(replay(kept.evidence(first.judgement.evidence))) == essence(first.judgement)

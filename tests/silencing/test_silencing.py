"""What an attacker does so that the page is not sent, or is called off: each was possible once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from schemas.judgement import ResolverClaim, Verdict
from schemas.messages import InventoryIndex, Observation, PollBatch
from tests.collector.test_stage import POLLED, DeafResolver, Watch
from tests.support.making import AT, judgement, link, observation, polls, snapshot

UNSIGNED: dict[str, Any] = {
    "verdict": "insecure",
    "code": "unsigned_delegation",
    "expires_at": None,
    "inception_at": None,
}
CUT = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))
HONEST = ResolverClaim(True, "NOERROR", ("api.bank.example. A 192.0.2.1",))
FORGED = ResolverClaim(False, "NOERROR", ("api.bank.example. A 203.0.113.66",))
SERVFAIL = ResolverClaim(False, "SERVFAIL")


def told_to_clients(name: str, zone: str, address: str, at: Any) -> Observation:
    """A secure name of which plain clients get that address, and validating ones the true one."""
    claim = ResolverClaim(True, "NOERROR", (f"{name} A 192.0.2.1",))
    plain = ResolverClaim(False, "NOERROR", (f"{name} A {address}",))
    chain = (link("."), link("example."), link(zone))
    return observation(judgement(name, zone=zone, chain=chain, claim=claim, plain=plain), at)


def test_cheap_drift_pushes_no_grave_one_out(pipeline: Any, after: Any) -> None:
    """Nine names of a zone that lost its DS get a new address each minute: a hundred drifts in eleven minutes."""
    hosts = [f"h{number}.bank.example" for number in range(9)]
    pipeline.at(0, snapshot("sa", *hosts), *(observation(judgement(f"{host}."), AT) for host in hosts))
    for minute in range(1, 20):
        moved = [
            observation(judgement(f"{host}.", chain=CUT, answers=(f"198.51.{minute}.{n}",), **UNSIGNED), after(minute))
            for n, host in enumerate(hosts)
        ]
        pipeline.at(minute, *moved)

    assert "resolve" not in [event for event, _ in pipeline.told]


def test_decoys_of_one_zone_take_in_no_forgery_of_another(pipeline: Any, after: Any) -> None:
    """Four names of one zone are lied about for good, as rotating answers make it look."""
    decoys = [f"d{number}.evil.example." for number in range(4)]
    pipeline.at(0, snapshot("sa", "api.bank.example", *(name.rstrip(".") for name in decoys)))
    pipeline.at(0, told_to_clients("api.bank.example.", "bank.example.", "192.0.2.1", AT))
    lied = [told_to_clients(name, "evil.example.", "203.0.113.7", AT) for name in decoys]
    pipeline.at(0, *lied)
    for minute in (1, 2, 3):
        pipeline.at(minute, polls(*lied, at=after(minute)))
    before = len(pipeline.told)
    forged = told_to_clients("api.bank.example.", "bank.example.", "203.0.113.66", after(180))
    pipeline.at(180, forged)
    for minute in (181, 182, 183):
        pipeline.at(minute, polls(forged, at=after(minute)))

    assert [event for event, _ in pipeline.told[before:]] == ["trigger"]
    assert "api.bank.example" in pipeline.said[-1]


@pytest.mark.parametrize(
    ("turns", "event"),
    [
        # One is lied about for good and the other comes and goes: the second outbreak is young, takes the name in, and
        # says so.
        (lambda minute: (True, minute // 8 % 2 == 1), "update"),
        # They take turns, so that there is always a young outbreak: it takes the name in, and says so.
        (lambda minute: (minute // 8 % 2 == 0 or minute % 8 < 2, minute // 8 % 2 == 1 or minute % 8 < 2), "update"),
    ],
    ids=["one for good", "in turn"],
)
def test_decoys_that_are_in_the_news_again_and_again_hide_no_other_name(
    pipeline: Any, after: Any, turns: Callable[[int], tuple[bool, bool]], event: str
) -> None:
    decoys = ["d0.evil.example.", "d1.evil.example."]
    pipeline.at(0, snapshot("sa", "api.bank.example", *(name.rstrip(".") for name in decoys)))
    first = [told_to_clients(name, "evil.example.", "192.0.2.1", AT) for name in decoys]
    pipeline.at(0, told_to_clients("api.bank.example.", "bank.example.", "192.0.2.1", AT), *first)
    for minute in range(1, 44):
        batch = [
            told_to_clients(name, "evil.example.", "203.0.113.7" if lied else "192.0.2.1", after(minute))
            for name, lied in zip(decoys, turns(minute), strict=True)
        ]
        if minute >= 36:
            batch.append(told_to_clients("api.bank.example.", "bank.example.", "203.0.113.66", after(minute)))
        pipeline.at(minute, *batch)

    naming = [body["event"] for body in pipeline.desk.pager.bodies if "api.bank" in body["summary"] + body["reason"]]
    assert event in naming


def test_another_name_at_fault_within_one_outbreak_is_named_in_an_update(pipeline: Any, after: Any) -> None:
    both = ("api.bank.example.", "www.shop.example.")
    first = [told_to_clients(name, name.partition(".")[2], "192.0.2.1", AT) for name in both]
    pipeline.at(0, snapshot("sa", *(name.rstrip(".") for name in both)), *first)
    for minute, name in ((1, both[0]), (5, both[1])):
        lied = told_to_clients(name, name.partition(".")[2], "203.0.113.66", after(minute))
        pipeline.at(minute, lied)
        pipeline.at(minute + 1, polls(lied, at=after(minute + 1)))
        pipeline.at(minute + 2, polls(lied, at=after(minute + 2)))

    assert [event for event, _ in pipeline.told] == ["trigger", "update"]
    assert pipeline.desk.pager.bodies[-1]["reason"] == "also at fault: www.shop.example."


def test_two_changes_in_one_batch_are_told(pipeline: Any, after: Any) -> None:
    insecure = judgement(chain=CUT, **UNSIGNED)
    pipeline.at(0, snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    there_and_back = [observation(one, after(n)) for n, one in enumerate((insecure, judgement(), insecure), 1)]
    pipeline.at(4, *there_and_back)

    assert [event for event, _ in pipeline.told] == ["trigger"]
    (found,) = [one for one in pipeline.findings if one.code == "secure_to_insecure"]
    assert found.opened_at == after(1), "the first is told, and not replaced unsaid"


@pytest.mark.parametrize("plain", [None, SERVFAIL], ids=["silent", "servfail"])
def test_a_lie_is_not_over_because_the_question_goes_unanswered(
    pipeline: Any, after: Any, plain: ResolverClaim | None
) -> None:
    pipeline.at(0, snapshot("sa", "api.bank.example"), observation(judgement(claim=HONEST, plain=HONEST), AT))
    bad = observation(judgement(claim=HONEST, plain=FORGED), after(1))
    pipeline.at(1, bad)
    pipeline.at(2, polls(bad, at=after(2)))
    unheard = observation(judgement(claim=HONEST, plain=plain), after(3))
    pipeline.at(3, unheard)
    for minute in (4, 5, 6):
        pipeline.at(minute, polls(unheard, at=after(minute)))

    assert "resolve" not in [event for event, _ in pipeline.told]


class Liar(DeafResolver):
    """Forges once for plain clients, and gives later plain questions no answer."""

    lies, lied, servfail = False, 0, False

    def reply_to(self, wire: bytes, *, stream: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        is_plain = query.edns < 0 and not query.flags & dns.flags.CD and query.question[0].name == POLLED
        if not (self.lies and is_plain):
            return super().reply_to(wire, stream=stream)
        self.lied += 1
        reply = dns.message.make_response(query, recursion_available=True)
        if self.lied > 1:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire() if self.servfail else None
        reply.answer = [dns.rrset.from_text(POLLED, 60, "IN", "A", "203.0.113.66")]
        return reply.to_wire()


@pytest.mark.parametrize("servfail", [False, True])
def test_a_lie_that_was_told_once_is_confirmed_and_paged(tmp_path: Path, pipeline: Any, servfail: bool) -> None:
    (tmp_path / "watch").mkdir()
    watch = Watch(tmp_path / "watch")
    watch.resolver = liar = Liar(watch.world.world, watch.world.anchors, lambda: watch.clock())
    liar.servfail = servfail

    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        liar.lies = True
        await asyncio.sleep(1800)

    for message in watch.run(story):
        at = message.observed_at if isinstance(message, Observation) else None
        at = message.polled_at[-1] if isinstance(message, PollBatch) else at
        minute = (at - AT).total_seconds() / 60 if at is not None else 0
        pipeline.at(minute, message)

    assert [event for event, _ in pipeline.told] == ["trigger"]
    assert "api.bank.example" in pipeline.said[0]


@pytest.mark.parametrize(("vantages", "turns"), [(("corp", "other"), "BBG"), (("corp",), "BGG")])
def test_a_forgery_dealt_out_among_good_polls_is_confirmed(
    pipeline: Any, after: Any, vantages: tuple[str, ...], turns: str
) -> None:
    index = InventoryIndex(seen_at=AT, ids=("sa",), vantages=vantages)
    pipeline.at(
        0, index, snapshot("sa", "api.bank.example"), *(observation(judgement(vantage=v), AT) for v in vantages)
    )
    forged: dict[str, Any] = {"verdict": "bogus", "code": "rrsig_crypto_invalid", "rrset": "api.bank.example. A"}
    for minute in range(1, 13):
        bad = turns[(minute - 1) % 3] == "B"
        pipeline.at(minute, observation(judgement(**(forged if bad else {})), after(minute)))

    assert [event for event, _ in pipeline.told] == ["trigger"]


def test_a_change_that_was_rehearsed_is_told_again(pipeline: Any, after: Any) -> None:
    """Ten minutes without a DS, back, and an hour later for good."""
    insecure = judgement(chain=CUT, **UNSIGNED)
    pipeline.at(0, snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    pipeline.at(1, observation(insecure, after(1)))
    pipeline.at(11, observation(judgement(), after(11)))
    before = len(pipeline.told)
    pipeline.at(71, observation(insecure, after(71)))

    assert [event for event, _ in pipeline.told[before:]] == ["trigger"]


def test_what_one_row_allows_permits_no_change_at_another(pipeline: Any, after: Any) -> None:
    pipeline.at(
        0,
        snapshot("sa", "api.bank.example", answers=("192.0.2.1",)),
        snapshot("zz", "api.bank.example", answers=("203.0.113.66",)),
        observation(judgement(**UNSIGNED), AT),
    )
    pipeline.at(1, observation(judgement(answers=("203.0.113.66",), **UNSIGNED), after(1)))

    assert [event for event, _ in pipeline.told] == ["trigger"]


def test_silence_after_a_forgery_is_high_after_ten_minutes(pipeline: Any, after: Any) -> None:
    """Names that do not answer are polled seldom: the number of their polls says little."""
    pipeline.at(0, snapshot("sa", "api.bank.example"), observation(judgement(), AT))
    silent = observation(judgement(verdict="indeterminate", code="verdict_indeterminate"), after(1))
    pipeline.at(1, silent)
    pipeline.at(5, polls(silent, at=after(5)))
    assert pipeline.told == []
    pipeline.at(12, polls(silent, at=after(12)))

    assert [event for event, _ in pipeline.told] == ["trigger"]

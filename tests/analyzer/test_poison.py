"""Messages that decode and that the analysis can't digest: each a dead letter, and its neighbours are analysed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch.pipeline.dead_letters import DeadLetter
from anchorwatch.pipeline.local_bus import LocalBus
from anchorwatch.pipeline.progress import Step
from anchorwatch.pipeline.pump import Pump
from anchorwatch.telemetry import Meter
from schemas.messages import Finding, Message, SelfReport
from schemas.wire import decode, encode
from tests.support.making import AT, judgement, observation, polls, snapshot

BAD = judgement("api.bank.example.", verdict="bogus", code="rrsig_expired")


class Sink:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    async def close(self) -> None:
        pass


class Kept:
    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def put(self, letter: DeadLetter) -> None:
        self.letters.append(letter)


def odd(name: str, **fields: Any) -> Message:
    return observation(msgspec.structs.replace(judgement(name), **fields), AT)


ODD = (
    odd("no-rdata.example.", answers=("one-word",)),
    odd("nul\0.example.", answers=("nul\0.example. A 192.0.2.1",)),
    odd("", answers=("",)),
    odd("x" * 100_000),
    odd("odd-type.example.", type="\x00é" * 100),
    odd("odd-vantage.example.", vantage=""),
    odd("odd-zone.example.", cause_zone="\0" * 1000),
    odd("odd-anchor.example.", rcode="\x1b[31m", trust_anchor="\0"),
    SelfReport(code="answer_changed", subject="\0", at=AT, detail="\0"),
    SelfReport(code="no such code", subject="x", at=AT, detail="x"),
)


def test_what_the_analysis_can_not_digest_is_a_dead_letter_and_a_zone_that_burns_is_found(
    history: ClickHouseHistory, clock: Any
) -> None:
    analyzer, kept, sink = Analyzer(history, clock), Kept(), Sink()
    bus = LocalBus("observations", kept, quiet_s=0.01)
    hosts = ("api.bank.example", "no-rdata.example", "odd-type.example")
    burning = observation(BAD, AT)
    again = [observation(msgspec.structs.replace(one.judgement, answers=("x",)), AT) for one in (burning,)]
    step = Step("analyzer", lambda: 0.0)

    async def story() -> None:
        await bus.send([snapshot("sa", *hosts), *ODD, burning, *again, polls(burning, at=AT.replace(minute=1)), *ODD])
        await bus.close()
        await Pump("analyzer", bus, analyzer.handle, sink, Meter(), step).run()

    asyncio.run(asyncio.wait_for(story(), 120))

    found = [(one.code, one.confirmed) for one in sink.messages if isinstance(one, Finding)]
    assert ("rrsig_expired", True) in found
    assert step.why_slow() == ""
    assert all(decode(letter.value) in ODD for letter in kept.letters)
    assert any("no such code" in letter.reason for letter in kept.letters)
    assert any(letter.reason.startswith("ValueError: ") for letter in kept.letters), "no bug stops the others"
    assert all(decode(encode(message)) == message for message in ODD)

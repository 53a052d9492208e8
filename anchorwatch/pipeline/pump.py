"""Drive one stage: read a batch, handle it, send its outputs, then commit.

What comes out is sent before what went in is forgotten, so nothing is lost; a stage's ``handle`` is repeatable, so
nothing is said twice under two ids.

A message that raises alone is kept as a dead letter with the exception's text, whatever it is, and its neighbours pass.
Only when many in a row raise is it the stage's own fault, or its database's: then nothing is taken in, aloud, and tried
again at growing distances.

Source: KIP-1033 and KIP-1034 (a processing exception handler, and dead letters for what it gives up).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from anchorwatch.pipeline.local_bus import Sink, Source
from anchorwatch.pipeline.progress import Step
from anchorwatch.telemetry import Meter
from collector.stage import Collector
from schemas.faults import Rejected, Transient
from schemas.messages import Message

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Message]], Awaitable[Sequence[Message]]]
Result = TypeVar("Result")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STOP_CHECK_S = 0.5
MOST_IN_A_ROW = 20
"""So many messages in a row may raise and be put aside; one more, and the stage takes nothing in."""
LONGEST_HALT_S = 60.0
LONGEST_REASON = 2_000


class GivenUp(Exception):
    """The process ends while a dependency is away; the batch was not committed and comes again."""


class TakenOver(Exception):
    """The batch under way is another process's now."""


class Overwhelmed(Exception):
    """Many messages in a row raise: the fault is the stage's or its database's, not that of one message."""


@dataclass(slots=True)
class Sifted:
    """What came of a batch: the stage's outputs, and the messages that it can't handle, each with the reason."""

    outputs: list[Message] = field(default_factory=list)
    unfit: list[tuple[Message, str]] = field(default_factory=list)


class Pump:
    """One stage between a source and a sink; ``step`` is told of its progress."""

    def __init__(
        self, name: str, source: Source, handle: Handler, sink: Sink, meter: Meter, step: Step | None = None
    ) -> None:
        self._name, self._source, self._handle, self._sink, self._meter = name, source, handle, sink, meter
        self._step = step or Step(name, time.monotonic)
        self._raised_in_a_row = 0
        self._halt_s = 0.0

    async def run(self) -> None:
        """Run until the source closes, then close the sink; a fault that no message causes escapes."""
        try:
            # A source looks itself whether it still has a share of the work: reading again needs no question.
            while (batch := await self._patiently("read", self._source.batch, batch_is_out=False)) is not None:
                self._step.turned()
                try:
                    await self._take_or_halt(batch)
                except TakenOver:
                    self._step.halted = ""
                    log.warning("while it was tried again the batch became another's", extra={"stage": self._name})
        except GivenUp as fault:
            log.warning("ending while a dependency is away", extra={"stage": self._name, "detail": str(fault)})
        self._step.ended()
        await self._sink.close()

    async def _take_or_halt(self, batch: Sequence[Message]) -> None:
        try:
            await self._take(batch)
        except Overwhelmed as fault:
            await self._halt(batch, fault)

    async def _take(self, batch: Sequence[Message]) -> None:
        """Handle a batch, send what comes of it, keep what can't be handled as dead letters, commit."""
        sifted = Sifted()
        with self._meter.handling(self._name):
            await self._sift(batch, sifted)
        for message, reason in sifted.unfit:
            log.error("message put aside as dead letter", extra={"stage": self._name, "detail": reason})
            await self._patiently("put aside", partial(self._source.put_aside, message, reason))
            self._meter.dead_letters.labels(self._name).inc()
        await self._patiently("send", partial(self._sink.send, sifted.outputs))
        await self._patiently("commit", self._source.commit)
        self._meter.count_out(sifted.outputs)
        if self._step.halted and batch:
            log.warning("the stage takes messages in again", extra={"stage": self._name})
            self._step.halted, self._halt_s = "", 0.0
        self._step.turned()

    async def _sift(self, batch: Sequence[Message], sifted: Sifted) -> None:
        """Handle a batch; a message that can't be handled is found by halving.

        Raises:
            Overwhelmed: ``MOST_IN_A_ROW`` messages in a row raised what no stage should.
        """
        try:
            sifted.outputs += await self._handled(batch)
        except (GivenUp, TakenOver):
            raise
        except Exception as fault:
            if not batch:
                raise
            if len(batch) == 1:
                await self._look_again(batch, fault, sifted)
                return
        else:
            self._raised_in_a_row = 0 if batch else self._raised_in_a_row
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if not await self._source.is_ours():
                raise TakenOver
            await self._sift(half, sifted)

    async def _look_again(self, single: Sequence[Message], fault: Exception, sifted: Sifted) -> None:
        """Put a single message aside; what is not ``Rejected`` was not foreseen, and must happen twice."""
        if not isinstance(fault, Rejected):
            await _sleep(FIRST_PAUSE_S, lambda: self._source.is_stopping)
            try:
                sifted.outputs += await self._handled(single)
            except (GivenUp, TakenOver):
                raise
            except Exception as again:  # noqa: BLE001 - kept with its text in the letter
                fault = again
            else:
                self._raised_in_a_row = 0
                return
        sifted.unfit.append((single[0], self._reason_of(fault)))

    def _reason_of(self, fault: Exception) -> str:
        """Return why a message that was handled alone can't be.

        Raises:
            Overwhelmed: so many in a row were not foreseen that it is not for any one of them.
        """
        if isinstance(fault, Rejected):
            return str(fault)
        self._raised_in_a_row += 1
        reason = f"{type(fault).__name__}: {fault}"[:LONGEST_REASON]
        if self._raised_in_a_row > MOST_IN_A_ROW:
            raise Overwhelmed(reason) from fault
        log.error("a message raises", extra={"stage": self._name, "detail": reason}, exc_info=fault)
        return reason

    async def _handled(self, batch: Sequence[Message]) -> Sequence[Message]:
        async def attempt() -> Sequence[Message]:
            try:
                return await self._handle(batch)
            except OSError as error:  # a full disk, no descriptors left: no message is at fault
                raise Transient(f"{type(error).__name__}: {error}") from error

        return await self._patiently("handle", attempt)

    async def _halt(self, batch: Sequence[Message], fault: Overwhelmed) -> None:
        """Take nothing in for a while, but let time pass: what is open goes on paging. The batch comes again."""
        self._halt_s = min(self._halt_s * 2 or FIRST_PAUSE_S, LONGEST_HALT_S)
        self._step.halted = f"takes nothing in: {self._raised_in_a_row} messages in a row raise, the last {fault}"
        log.critical(
            "the stage takes nothing in: messages in a row raise, so the fault is not one message's",
            extra={"stage": self._name, "detail": str(fault), "waiting": len(batch), "in_s": self._halt_s},
            exc_info=fault.__cause__,
        )
        loop = asyncio.get_running_loop()
        until = loop.time() + self._halt_s
        while loop.time() < until:
            if self._source.is_ending:
                raise GivenUp(self._step.halted)
            if not await self._source.is_ours():
                raise TakenOver
            outputs = await self._handled(())
            await self._patiently("send", partial(self._sink.send, outputs))
            self._meter.count_out(outputs)
            await _sleep(min(STOP_CHECK_S, max(0.0, until - loop.time())), lambda: self._source.is_ending)

    async def _patiently(
        self, what: str, attempt: Callable[[], Awaitable[Result]], *, batch_is_out: bool = True
    ) -> Result:
        async def again() -> Result:
            if not await self._source.is_ours():
                raise TakenOver
            return await attempt()

        def is_stopping() -> bool:
            return self._source.is_stopping

        return await patiently(self._step, what, attempt, self._meter, is_stopping, again if batch_is_out else None)


async def feed(collector: Collector, sink: Sink, meter: Meter, step: Step | None = None) -> None:
    """Hand on what the collector observes until it ends, then close the sink.

    While the sink is away nothing is lost: the collector waits. What it can't hand on when it is told to end is left:
    it observes everything anew when it starts again. ``step`` is told of its progress: that the loop turns is none
    while there is something to poll and no poll ends.
    """
    step = step or Step("collector", time.monotonic)
    polls = -1
    try:
        async for batch in collector.observe():
            if collector.polls != polls or not collector.watched:
                polls = collector.polls
                step.turned()
            await patiently(step, "send", partial(sink.send, batch), meter, lambda: collector.is_stopping)
            step.begins("poll")
            meter.count_out(batch)
    except GivenUp as fault:
        log.warning("ending while a dependency is away", extra={"stage": "collector", "detail": str(fault)})
    step.ended()
    await sink.close()


async def patiently(
    step: Step,
    what: str,
    attempt: Callable[[], Awaitable[Result]],
    meter: Meter,
    is_stopping: Callable[[], bool],
    again: Callable[[], Awaitable[Result]] | None = None,
) -> Result:
    """Try again, with growing pauses, while a dependency is away; by ``again``, if given, from the second time on.

    ``step`` is the stage that waits.

    Raises:
        GivenUp: it is away, and the process is to end.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        step.begins(what)
        try:
            return await attempt()
        except Transient as fault:
            step.waits(str(fault))
            if is_stopping():
                raise GivenUp(str(fault)) from fault
            meter.transients.labels(step.name).inc()
            log.warning(
                "a dependency is away, trying again",
                extra={"stage": step.name, "doing": what, "detail": str(fault), "in_s": pause_s},
            )
            await _sleep(pause_s, is_stopping)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            attempt = again or attempt


async def _sleep(seconds: float, is_stopping: Callable[[], bool]) -> None:
    """Sleep, but not on when the process is to end."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0 and not is_stopping():
        await asyncio.sleep(min(left, STOP_CHECK_S))

"""Drive one stage: read a batch, handle it, send its outputs, then commit.

What comes out is sent before what went in is forgotten, so nothing is lost; a stage's ``handle`` is repeatable, so
nothing is said twice under two ids.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from anchorwatch.bus import Sink, Source
from anchorwatch.progress import Step
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


class GivenUp(Exception):
    """The process ends while a dependency is away; the batch was not committed and comes again."""


class TakenOver(Exception):
    """The batch under way is another process's now."""


class Pump:
    """One stage between a source and a sink; ``step`` is told of its progress."""

    def __init__(
        self, name: str, source: Source, handle: Handler, sink: Sink, meter: Meter, step: Step | None = None
    ) -> None:
        self._name, self._source, self._handle, self._sink, self._meter = name, source, handle, sink, meter
        self._step = step or Step(name, time.monotonic)

    async def run(self) -> None:
        """Run until the source closes, then close the sink; a fault that is neither Transient nor Rejected escapes."""
        try:
            while (batch := await self._patiently("read", self._source.batch)) is not None:
                self._step.turned()
                try:
                    with self._meter.handling(self._name):
                        outputs = await self._handled(batch)
                    await self._patiently("send", partial(self._sink.send, outputs))
                    await self._patiently("commit", self._source.commit)
                except TakenOver:
                    log.warning("while it was tried again the batch became another's", extra={"stage": self._name})
                    continue
                self._step.turned()
                self._meter.count_out(outputs)
        except GivenUp as fault:
            log.warning("ending while a dependency is away", extra={"stage": self._name, "detail": str(fault)})
        self._step.ended()
        await self._sink.close()

    async def _handled(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Handle a batch; one message that can never be handled is found by halving and put aside."""
        try:
            result = await self._patiently("handle", partial(self._handle, batch))
        except Rejected as fault:
            if not batch:
                raise
            if len(batch) == 1:
                log.error("message put aside as dead letter", extra={"stage": self._name, "detail": str(fault)})
                await self._patiently("put aside", partial(self._source.put_aside, batch[0], str(fault)))
                self._meter.dead_letters.labels(self._name).inc()
                return ()
        else:
            return result
        middle = len(batch) // 2
        return [*await self._handled(batch[:middle]), *await self._handled(batch[middle:])]

    async def _patiently(self, what: str, attempt: Callable[[], Awaitable[Result]]) -> Result:
        async def again() -> Result:
            if not await self._source.is_ours():
                raise TakenOver
            return await attempt()

        return await patiently(self._step, what, attempt, self._meter, lambda: self._source.is_stopping, again)


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

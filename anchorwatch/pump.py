"""Drive one stage: read a batch, handle it, send its outputs, then commit.

What comes out is sent before what went in is forgotten, so nothing is lost; a stage's ``handle`` is repeatable, so
nothing is said twice under two ids.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from anchorwatch.bus import Sink, Source
from anchorwatch.telemetry import Meter
from schemas.faults import Rejected, Transient
from schemas.messages import Message

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Message]], Awaitable[Sequence[Message]]]
DeadLetters = Callable[[Message, str], None]

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Pump:
    """One stage between a source and a sink."""

    def __init__(self, name: str, source: Source, handle: Handler, sink: Sink, dead: DeadLetters, meter: Meter) -> None:
        self._name, self._source, self._handle, self._sink = name, source, handle, sink
        self._dead, self._meter = dead, meter

    async def run(self) -> None:
        """Run until the source closes, then close the sink; a fault that is neither Transient nor Rejected escapes."""
        while (batch := await self._source.batch()) is not None:
            with self._meter.handling(self._name):
                outputs = await self._handled(batch)
            await self._patiently("send", lambda outputs=outputs: self._sink.send(outputs))  # type: ignore[misc]
            await self._source.commit()
            self._meter.count_out(outputs)
        await self._sink.close()

    async def _handled(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Handle a batch; one message that can never be handled is found by halving and put aside."""
        try:
            result: Sequence[Message] = await self._patiently("handle", lambda: self._handle(batch))
        except Rejected as fault:
            if not batch:
                raise
            if len(batch) == 1:
                log.error("message put aside as dead letter", extra={"stage": self._name, "detail": str(fault)})
                self._dead(batch[0], str(fault))
                self._meter.dead_letters.labels(self._name).inc()
                return ()
        else:
            return result
        middle = len(batch) // 2
        return [*await self._handled(batch[:middle]), *await self._handled(batch[middle:])]

    async def _patiently(
        self, what: str, attempt: Callable[[], Awaitable[Sequence[Message] | None]]
    ) -> Sequence[Message]:
        """Try again, with growing pauses, while a dependency is away."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await attempt() or ()
            except Transient as fault:
                self._meter.transients.labels(self._name).inc()
                log.warning(
                    "a dependency is away, trying again",
                    extra={"stage": self._name, "doing": what, "detail": str(fault), "in_s": pause_s},
                )
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

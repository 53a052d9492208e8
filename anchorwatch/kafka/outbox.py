"""What a collector observed and Kafka does not take yet: kept within bounds, so that polling goes on.

Observations are kept, all of them: when there is no more room the collector waits. Of polls that changed nothing the
oldest go first: the next poll of the name says the same.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from anchorwatch.pipeline.local_bus import Sink
from anchorwatch.pipeline.progress import Step
from anchorwatch.pipeline.pump import GivenUp, patiently
from anchorwatch.telemetry import Meter
from schemas.messages import Message, PollBatch

log = logging.getLogger(__name__)

MOST_MESSAGES = 5_000
MOST_POLL_BATCHES = 1_000
AT_ONCE = 500


class Outbox:
    """A sink that returns as soon as there is room; a task of its own hands everything on, in order.

    ``dropped`` counts the polls that were given up; ``step`` notes how the handing on goes.
    """

    def __init__(self, sink: Sink, meter: Meter, step: Step, is_stopping: Callable[[], bool]) -> None:
        self._sink, self._meter, self._step, self._is_stopping = sink, meter, step, is_stopping
        self._waiting: deque[Message] = deque()
        self._poll_batches = 0
        self._changed = asyncio.Condition()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    @property
    def depth(self) -> int:
        """Return how many messages wait."""
        return len(self._waiting)

    async def send(self, messages: Sequence[Message]) -> None:
        """Take messages once there is room for them.

        Raises:
            Exception: the handing on crashed; it begins anew with the next call.
        """
        async with self._changed:
            if not self._waiting:
                self._step.turned()  # having nothing to hand on is progress
            self._waiting.extend(messages)
            self._poll_batches += sum(isinstance(message, PollBatch) for message in messages)
            self._thin_out()
            self._changed.notify_all()
        self._run()
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < MOST_MESSAGES or self._is_over())
        self._run()

    async def close(self) -> None:
        """Hand on what is left, as far as Kafka takes it, and close the sink."""
        async with self._changed:
            self._closing = True
            self._changed.notify_all()
        try:
            if self._task is not None:
                await self._task
        except GivenUp as fault:
            log.warning(
                "ending while Kafka takes nothing: what waits is observed anew after the start",
                extra={"messages": len(self._waiting), "detail": str(fault)},
            )
        self._step.ended()
        await self._sink.close()

    def _is_over(self) -> bool:
        return self._task is None or self._task.done()

    def _run(self) -> None:
        """Begin to hand on, if nobody does; a crash is raised once."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
        if self._task is None and not self._closing:
            self._task = asyncio.create_task(self._hand_on())

    async def _hand_on(self) -> None:
        while True:
            async with self._changed:
                self._step.turned()
                await self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                batch = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
            await patiently(self._step, "send", partial(self._sink.send, batch), self._meter, self._is_stopping)
            async with self._changed:
                self._forget(batch)
                self._changed.notify_all()

    def _forget(self, batch: Sequence[Message]) -> None:
        """Drop what was handed on; some of its polls may have been given up meanwhile."""
        handed = {id(message) for message in batch}
        while self._waiting and id(self._waiting[0]) in handed:
            message = self._waiting.popleft()
            self._poll_batches -= isinstance(message, PollBatch)

    def _thin_out(self) -> None:
        """Give up the oldest polls where too many wait."""
        surplus = self._poll_batches - MOST_POLL_BATCHES
        if surplus <= 0:
            return
        kept: deque[Message] = deque()
        for message in self._waiting:
            if surplus > 0 and isinstance(message, PollBatch):
                surplus -= 1
                self._poll_batches -= 1
                self.dropped += len(message.names)
            else:
                kept.append(message)
        self._waiting = kept

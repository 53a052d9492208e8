"""Drive one stage: read a batch, handle it, send its outputs, then commit.

What comes out is sent before what went in is forgotten, so nothing is lost; a stage's ``handle`` is repeatable, so
nothing is said twice under two ids.

A message that raises alone is kept as a dead letter with the exception's text, whatever it is, and its neighbours pass.
Where too many would be dead letters (``Intake`` has the limits) the fault is the stage's own, or its database's: the
stage halts and tries the same batch again at growing distances, while time goes on for it.

Source: KIP-1033 and KIP-1034 (a processing exception handler, and dead letters for what it gives up).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from anchorwatch.pipeline.intake import Intake
from anchorwatch.pipeline.local_bus import Batch, BatchSource, Sink, Unreadable
from anchorwatch.pipeline.progress import Step
from anchorwatch.telemetry import Meter
from collector.polling.status import PollingStatus
from schemas.faults import Rejected, Transient
from schemas.messages import Message

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Message]], Awaitable[Sequence[Message]]]
Result = TypeVar("Result")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STOP_CHECK_S = 0.5
MOST_PAUSES = 20
"""So many messages of one batch are tried again after a pause, the others at once: time must go on."""
LONGEST_REASON = 2_000


class GivenUp(Exception):
    """The process ends while a dependency is unavailable; the batch was not committed and comes again."""


class TakenOver(Exception):
    """The batch under way is another process's now."""


class Overwhelmed(Exception):
    """Too many messages would be dead letters: the fault is not that of one message."""


@dataclass(slots=True)
class Sifted:
    """What came of a batch: the stage's outputs, and the messages that it can't handle, each with the reason.

    ``outcomes`` says of each message, in order, whether it is a dead letter.
    """

    outputs: list[Message] = field(default_factory=list)
    unfit: list[tuple[Message | Unreadable, str]] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)
    pauses: int = 0


class Pump:
    """One stage between a source and a sink; ``step`` notes its progress."""

    def __init__(
        self, name: str, source: BatchSource, handle: Handler, sink: Sink, meter: Meter, step: Step | None = None
    ) -> None:
        self._name, self._source, self._handle, self._sink, self._meter = name, source, handle, sink, meter
        self._step = step or Step(name, time.monotonic)
        self._intake = Intake()

    async def run(self) -> None:
        """Run until the source closes, then close the sink; a fault that no message causes escapes."""
        try:
            # A source checks by itself whether partitions are still assigned to it: reading again needs no question.
            while (batch := await self._patiently("read", self._source.batch, batch_is_out=False)) is not None:
                self._step.turned()
                try:
                    await self._take_or_halt(batch)
                except TakenOver:
                    self._resume()
                    log.warning(
                        "another process took the batch over while it was tried again", extra={"stage": self._name}
                    )
        except GivenUp as fault:
            log.warning("ending while a dependency is unavailable", extra={"stage": self._name, "detail": str(fault)})
        self._step.ended()
        await self._sink.close()

    async def _take_or_halt(self, batch: Batch) -> None:
        sifted = Sifted()
        try:
            await self._sift_all(batch, sifted)
        except Overwhelmed as fault:
            if not self._intake.why_halted:  # what was found before the fault need not wait until it is over
                await self._send(sifted.outputs)
            await self._halt(batch, fault)
        else:
            await self._finish(batch, sifted)

    async def _finish(self, batch: Batch, sifted: Sifted) -> None:
        """Send what came of a batch, keep what can't be handled as dead letters, commit."""
        for message, reason in sifted.unfit:
            log.error("message kept as a dead letter", extra={"stage": self._name, "detail": reason})
            await self._patiently("keep dead letter", partial(self._source.keep_dead_letter, message, reason))
            self._meter.dead_letters.labels(self._name).inc()
        await self._send(sifted.outputs)
        await self._patiently("commit", self._source.commit)
        self._intake.accept(sifted.outcomes)
        if self._intake.why_halted and batch:
            log.warning("the stage takes messages again", extra={"stage": self._name})
            self._resume()
        self._step.turned()

    async def _send(self, outputs: Sequence[Message]) -> None:
        await self._patiently("send", partial(self._sink.send, outputs))
        self._meter.count_out(outputs)

    async def _sift_all(self, batch: Batch, sifted: Sifted) -> None:
        """Handle a batch, and find what of it can't be handled.

        Raises:
            Overwhelmed: too many messages would be dead letters.
        """
        with self._meter.handling(self._name):
            await self._sift([one for one in batch if not isinstance(one, Unreadable)], sifted)
        handled = iter(sifted.outcomes)
        sifted.outcomes = [isinstance(one, Unreadable) or next(handled) for one in batch]
        unreadable = [(one, one.reason) for one in batch if isinstance(one, Unreadable)]
        if unreadable:
            self._check_limits(sifted, unreadable[-1][1])
            sifted.unfit += unreadable

    async def _sift(self, batch: Sequence[Message], sifted: Sifted) -> None:
        """Handle messages; one that can't be handled is found by halving.

        Raises:
            Overwhelmed: too many messages would be dead letters.
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
            sifted.outcomes += [False] * len(batch)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if not await self._source.is_ours():
                raise TakenOver
            await self._sift(half, sifted)

    async def _look_again(self, single: Sequence[Message], fault: Exception, sifted: Sifted) -> None:
        """Note a single message as unfit; what is not ``Rejected`` was not foreseen, and must happen twice."""
        if not isinstance(fault, Rejected):
            if sifted.pauses < MOST_PAUSES and not self._intake.why_halted:
                sifted.pauses += 1
                await _sleep(FIRST_PAUSE_S, lambda: self._source.is_stopping)
            try:
                sifted.outputs += await self._handled(single)
            except (GivenUp, TakenOver):
                raise
            except Exception as again:  # noqa: BLE001 - kept with its text in the letter
                fault = again
            else:
                sifted.outcomes.append(False)
                return
        reason = _reason_of(fault)
        sifted.outcomes.append(True)
        try:
            self._check_limits(sifted, reason)
        except Overwhelmed as overwhelmed:
            raise overwhelmed from fault
        if not isinstance(fault, Rejected) and not self._intake.why_halted:
            log.error("a message raises", extra={"stage": self._name, "detail": reason}, exc_info=fault)
        sifted.unfit.append((single[0], reason))

    def _check_limits(self, sifted: Sifted, last_reason: str) -> None:
        """Return if what was sifted so far may be kept as dead letters.

        Raises:
            Overwhelmed: there are too many of them.
        """
        why = self._intake.why_too_many(sifted.outcomes)
        if why:
            raise Overwhelmed(f"{why}; the last: {last_reason}")

    async def _handled(self, batch: Sequence[Message]) -> Sequence[Message]:
        async def attempt() -> Sequence[Message]:
            try:
                return await self._handle(batch)
            except OSError as error:  # a full disk, no descriptors left: no message is at fault
                raise Transient(f"{type(error).__name__}: {error}") from error

        return await self._patiently("handle", attempt)

    async def _halt(self, batch: Batch, fault: Overwhelmed) -> None:
        """Take no messages for a while, but let time pass: what is open goes on paging. The batch comes again."""
        now = asyncio.get_running_loop().time
        self._intake.halt(f"takes no messages: {fault}", now())
        self._step.halted = self._intake.why_halted
        log.critical(
            "the stage takes no messages: too many would be dead letters, so the fault is not one message's",
            extra={
                "stage": self._name,
                "detail": str(fault),
                "waiting": len(batch),
                "in_s": self._intake.retry_at - now(),
            },
            exc_info=fault.__cause__,
        )
        last_fault = ""
        while (left_s := self._intake.retry_at - now()) > 0:
            if self._source.is_ending:
                raise GivenUp(self._step.halted)
            if not await self._source.is_ours():
                raise TakenOver
            last_fault = await self._let_time_pass(last_fault)
            await _sleep(min(STOP_CHECK_S, left_s), lambda: self._source.is_ending)

    async def _let_time_pass(self, last_fault: str) -> str:
        """Have a halted stage send what is due; return why it can't, which is logged if it differs from the last."""
        try:
            outputs = await self._handled(())
        except (GivenUp, TakenOver):
            raise
        except Exception as fault:
            said = _reason_of(fault)
            if said != last_fault:
                log.error("a halted stage raises", extra={"stage": self._name, "detail": said}, exc_info=fault)
            return said
        await self._send(outputs)
        return ""

    def _resume(self) -> None:
        self._intake.resume()
        self._step.halted = ""

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


def _reason_of(fault: Exception) -> str:
    """Return why a message can't be handled."""
    text = str(fault) if isinstance(fault, Rejected) else f"{type(fault).__name__}: {fault}"
    return text[:LONGEST_REASON]


class Polling(Protocol):
    """Whoever polls, in this process or in others."""

    @property
    def is_stopping(self) -> bool:
        """Return whether ``stop`` was called."""
        ...

    def observe(self) -> AsyncIterator[Sequence[Message]]:
        """Yield batches of messages until ``stop``; an empty batch means that time passed."""
        ...

    def status(self) -> PollingStatus:
        """Return what is polled, and how polling goes."""
        ...

    def observe_again(self, subjects: Sequence[tuple[str, str, str]]) -> None:
        """Observe (name, type, vantage) anew with the next poll."""
        ...

    def reload_soon(self) -> None:
        """Read the inventory again at the next occasion, changed or not."""
        ...

    def stop(self) -> None:
        """End the stream once the polls under way are handed on."""
        ...


async def feed(collector: Polling, sink: Sink, meter: Meter, step: Step | None = None) -> None:
    """Hand on what the collector observes until it ends, then close the sink.

    While the sink is unavailable nothing is lost: the collector waits. Messages that it can't hand on at the end are
    dropped: it observes everything again when it starts again. ``step`` notes its progress: a turn of the loop is none
    while there is something to poll and no poll ends.
    """
    step = step or Step("collector", time.monotonic)
    polls = -1
    try:
        async for batch in collector.observe():
            status = collector.status()
            if status.polls != polls or not status.watched:
                polls = status.polls
                step.turned()
            await patiently(step, "send", partial(sink.send, batch), meter, lambda: collector.is_stopping)
            step.begins("poll")
            meter.count_out(batch)
    except GivenUp as fault:
        log.warning("ending while a dependency is unavailable", extra={"stage": "collector", "detail": str(fault)})
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
    """Try again, with growing pauses, while a dependency is unavailable; ``again`` is the later tries, if given.

    ``step`` is the stage that waits.

    Raises:
        GivenUp: it is unavailable, and the process is to end.
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
                "a dependency is unavailable, trying again",
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

"""Streams of events: one task looks once a second whether something changed, however many streams there are.

A stream holds no queue: it is told the last change of each kind, so one that is read slowly costs no memory. One that
is not read at all is dropped.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.types import Receive, Scope, Send

from alerts.ledger.ledger import Record
from analyzer.history.clickhouse import ClickHouseHistory
from anchorwatch.web.doors import Refused
from anchorwatch.web.events import KEEP_ALIVE, OPENING, Changes, Mark, What
from anchorwatch.web.threads import Threads
from schemas.faults import Transient
from schemas.messages import utc

log = logging.getLogger(__name__)

EXTENSION = "anchorwatch.stream"
HEAD = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"connection", b"close"),  # what comes after a stream is another one, not another request
    (b"x-accel-buffering", b"no"),  # nginx in front must hand on each event at once
)
Look = Callable[[], Mapping[What, Mark]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often is looked, how long a silent stream waits for a sign of life, a write for its reader, all of it.

    A stream ends after ``life_s``: who opens the next one has to be signed in still.
    """

    look_s: float = 1.0
    keep_alive_s: float = 15.0
    write_s: float = 10.0
    life_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Held:
    """A connection that the server holds for a stream: it sets ``ended`` when it ends; ``drop`` cuts it off."""

    ended: asyncio.Event
    drop: Callable[[], None]


class SlowReader(Exception):
    """What is written is not read."""


class _Writer:
    """Writes to one reader, who has so many seconds for each write."""

    def __init__(self, send: Send, held: Held | None, patience_s: float) -> None:
        self._send, self._held, self._patience_s = send, held, patience_s

    async def __call__(self, octets: bytes) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._send({"type": "http.response.body", "body": octets, "more_body": True})
        except TimeoutError as error:
            if self._held is not None:
                self._held.drop()
            raise SlowReader from error


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Streams:
    """What changed, for all streams of a process; ``looks`` ask a part each, and block."""

    def __init__(self, looks: Sequence[tuple[Threads, Look]], pace: Pace | None = None) -> None:
        self._looks, self.pace = looks, pace or Pace()
        self.changes = Changes(secrets.token_hex(4))
        self._readers = 0
        self._task: asyncio.Task[None] | None = None
        self.news = asyncio.Event()

    async def look(self) -> None:
        """Ask every part for its marks; one that does not answer is asked again the next time."""
        marks: dict[What, Mark] = {}
        for threads, look in self._looks:
            with contextlib.suppress(Transient):
                marks |= await threads.ask(look)
        if self.changes.take(marks, utc(time.time())):
            self._wake()

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    async def _go_on(self) -> None:
        try:
            while True:
                await asyncio.sleep(self.pace.look_s)
                await self.look()
        except Exception:
            log.exception("nobody looks for changes any more: the streams end, and begin anew")
            self._readers = 0
            self._wake()
            raise

    @property
    def is_looking(self) -> bool:
        """Return whether changes will be noticed."""
        return self._task is not None and not self._task.done()

    def join(self) -> None:
        """Count one more stream; the first one has changes looked for."""
        self._readers += 1
        if not self.is_looking:
            self._task = asyncio.create_task(self._go_on())

    def leave(self) -> None:
        """Count one less; after the last one nobody looks any more."""
        self._readers = max(0, self._readers - 1)
        if not self._readers and self._task is not None:
            self._task.cancel()
            self._task = None


def looks_of(
    history: ClickHouseHistory | None, of_history: Threads, ledger: Record | None, of_ledger: Threads
) -> list[tuple[Threads, Look]]:
    """Return how the parts of this process are asked what is in them; who writes there does not matter."""
    looks: list[tuple[Threads, Look]] = []
    if history is not None:
        looks.append((of_history, partial(_look_at_history, history)))
    if ledger is not None:
        looks.append((of_ledger, lambda: {"incidents": (ledger.revision(),)}))
    return looks


def _look_at_history(history: ClickHouseHistory) -> dict[What, Mark]:
    findings, observations = history.row_counts()
    return {"findings": (findings,), "verdicts": (observations,)}


class EventStream:
    """The answer of ``/api/v1/events``, until the reader goes, the server ends or its time is over.

    Source: HTML Standard, "Server-sent events".
    """

    def __init__(self, streams: Streams, last_event_id: str) -> None:
        self._streams, self._last_event_id = streams, last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what changes.

        Raises:
            Refused: there are as many streams as there may be.
        """
        hold = scope.get("extensions", {}).get(EXTENSION, {}).get("hold")
        is_head = scope["method"] == "HEAD"
        held: Held | None = None
        if hold is not None and not is_head:
            held = hold()
            if held is None:
                raise Refused("there are as many streams as there may be: ask again later", 503, retry_after="30")
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        if is_head:
            await send({"type": "http.response.body", "body": b""})
            return
        write = _Writer(send, held, self._streams.pace.write_s)
        gone = asyncio.create_task(_disconnected(receive))
        ended = asyncio.create_task((held.ended if held is not None else asyncio.Event()).wait())
        self._streams.join()
        try:
            await self._tell(write, gone, ended)
        except SlowReader:
            log.info("a stream of events was dropped: nobody reads it")
        finally:
            self._streams.leave()
            gone.cancel()
            ended.cancel()
        if not gone.done() or gone.cancelled():
            await send({"type": "http.response.body", "body": b""})

    async def _tell(self, write: "_Writer", gone: "asyncio.Task[None]", ended: "asyncio.Task[bool]") -> None:
        streams, pace = self._streams, self._streams.pace
        loop = asyncio.get_running_loop()
        until = loop.time() + pace.life_s
        await streams.look()
        told = streams.changes.number
        missed = streams.changes.missed(self._last_event_id, utc(time.time()))
        await write(OPENING + b"".join(map(streams.changes.encode, missed)))
        while streams.is_looking and (left_s := until - loop.time()) > 0:
            news = asyncio.create_task(streams.news.wait())
            try:
                await asyncio.wait(
                    {news, gone, ended}, timeout=min(pace.keep_alive_s, left_s), return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                news.cancel()
            if gone.done() or ended.done():
                return
            events = streams.changes.after(told)
            told = streams.changes.number
            await write(b"".join(map(streams.changes.encode, events)) or KEEP_ALIVE)

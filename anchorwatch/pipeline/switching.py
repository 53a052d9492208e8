"""Parts of a running process that others may take the place of: who polls, who alerts, what is served.

Nothing accepted is lost by it. Who polled hands on all that was polled before the next one begins; whoever alerts goes
by the ledger, in which is all that was decided, delivered or not; a request that came is answered by what was there.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from alerts.stage import Alerts
from anchorwatch.pipeline.pump import Polling
from collector.polling.status import PollingStatus, sum_of
from schemas.messages import Message

log = logging.getLogger(__name__)


class SwitchedPolling:
    """Polls as ``first`` does, then as whoever it is replaced by."""

    def __init__(self, first: Polling) -> None:
        self._current = first
        self._next: Polling | None = None
        self._before = PollingStatus()
        self.is_stopping = False

    @property
    def current(self) -> Polling:
        """Return who polls, or will next."""
        return self._next or self._current

    def replace(self, other: Polling) -> None:
        """Have another one poll once the polls under way are handed on."""
        self._next = other
        self._current.stop()

    async def observe(self) -> AsyncGenerator[Sequence[Message], None]:
        """Yield batches of messages until ``stop``, whoever polls; an empty batch means that time passed."""
        while True:
            async for batch in self._current.observe():
                yield batch
            if self._next is None or self.is_stopping:
                return
            self._before = sum_of([self._before, self._current.status()], 0).counts()
            self._current, self._next = self._next, None
            log.info("polling goes on by the new configuration")

    def status(self) -> PollingStatus:
        """Return what is polled, and how polling goes; counts are those of all who polled."""
        now = self._current.status()
        return sum_of([self._before, now], now.hosts)

    def observe_again(self, subjects: Sequence[tuple[str, str, str]]) -> None:
        """Observe (name, type, vantage) anew with the next poll."""
        self._current.observe_again(subjects)

    def reload_soon(self) -> None:
        """Read the inventory again at the next occasion."""
        self._current.reload_soon()

    def stop(self) -> None:
        """End the stream once the polls under way are handed on."""
        self.is_stopping = True
        self._current.stop()


class SwitchedAlerts:
    """Alerts as ``first`` does, then as what ``make`` makes, from the batch after ``replace`` on."""

    def __init__(self, first: Alerts) -> None:
        self.current = first
        self._make: Callable[[], Awaitable[Alerts]] | None = None
        self._has_let_go = False

    def replace(self, make: Callable[[], Awaitable[Alerts]]) -> None:
        """Have another one take its place, which ``make`` makes once this one has let go of everything."""
        self._make = make

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Take a batch in, by whoever is next."""
        while (make := self._make) is not None:
            if not self._has_let_go:
                await self.current.finish()
                self._has_let_go = True
            self.current = await make()  # where that raises, the batch comes again, and so does this
            self._has_let_go = False
            if self._make is make:
                self._make = None
            log.info("alerts go on by the new configuration")
        return await self.current.handle(batch)


class SwitchedApp:
    """Serves what ``app`` is when a request comes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.app(scope, receive, send)

"""One connection to a resolver: writes queries together, reads replies as they come, and says when it ends.

Replies are taken where they arrive, by no task; what is to be sent is gathered for one write a turn of the loop.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from collector.dnssec.message import FormError
from collector.resolvers.framing import Framing

MOST_EARLY_BYTES = 65_536
# Of queries that were given up the server may still work on so many; some servers read no further beyond some.
MOST_FORGOTTEN = 16


@dataclass(slots=True, eq=False)
class Exchange:
    """A query, its reply once it is there, and where and when (seconds of the loop) it was sent last.

    ``sent`` counts how often, ``unheard`` on how many connections that ended without any reply.
    """

    wire: bytes
    reply: "asyncio.Future[bytes]"
    connection: "Connection | None" = None
    sent_at: float = 0.0
    sent: int = 0
    unheard: int = 0


class Connection(asyncio.Protocol):
    """Open once it has a framing; ``answered`` counts the replies of its whole life.

    ``on_replies`` is called after replies came. ``on_end`` is called once, at its end, with the exchanges that are not
    answered yet, ``on_return`` with one that is to be asked elsewhere; both are told why. ``live`` is how many of them
    somebody still waits for. On a retired connection nothing more is asked; it closes once nobody waits.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_replies: Callable[["Connection"], None],
        on_return: Callable[[Exchange, Exception], None],
        on_end: Callable[["Connection", list[Exchange], Exception], None],
    ) -> None:
        self._loop, self._on_replies, self._on_return, self._on_end = loop, on_replies, on_return, on_end
        self.framing: Framing[Exchange] | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self.retired = False
        self.live = self.answered = 0
        self.opened_at = self.used_at = self.replied_at = loop.time()
        self._transport: asyncio.Transport | None = None
        self._early = b""
        self._fault: Exception | None = None
        self._is_flush_due = False

    @property
    def is_open(self) -> bool:
        """Return whether queries may be sent, unless it is retired."""
        return self.framing is not None and not self.ended.done()

    def frame(self, framing: Framing[Exchange]) -> None:
        """Begin: the other end has proven who it is."""
        self.framing = framing
        self.opened_at = self.used_at = self.replied_at = self._loop.time()
        early, self._early = self._early, b""
        self._flush_soon()
        if early:
            self.data_received(early)

    def room(self, most: int) -> int:
        """Return how many more queries may be sent now, with at most so many unanswered."""
        if self.framing is None or self.retired or self.ended.done():
            return 0
        return min(self.framing.room, most - self.live)

    def send(self, exchange: Exchange) -> None:
        """Send a query with all others of this turn of the loop."""
        assert self.framing is not None
        exchange.connection, exchange.sent_at = self, self._loop.time()
        self.used_at = exchange.sent_at
        exchange.sent += 1
        self.live += 1
        self.framing.ask(exchange, exchange.wire)
        self._flush_soon()

    def forget(self, exchange: Exchange) -> None:
        """Note that nobody waits for this exchange any longer; its reply may still come, and is passed over."""
        assert self.framing is not None
        self.live -= 1
        forgotten = len(self.framing.awaited()) - self.live
        # A whole reply since then shows that the other end is alive; else the next query goes elsewhere, as it does
        # before those that are forgotten take up what the server works on at once.
        is_silent = self.replied_at <= exchange.sent_at
        if is_silent or forgotten >= MOST_FORGOTTEN or forgotten > self.framing.room:
            self.retired = True
        self.close_if_done()

    def close_if_done(self) -> None:
        """Close a connection that is retired once nobody waits."""
        if self.framing is not None and self.framing.is_spent:
            self.retired = True
        if self.retired and not self.live:
            self.close()

    def close(self) -> None:
        """Close it in good order."""
        self.retired = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drop it at once."""
        self.retired = True
        if self._transport is not None:
            self._transport.abort()

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport: over TLS after the handshake."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._fault is not None:
            return
        if self.framing is None:
            self._early += data
            if len(self._early) > MOST_EARLY_BYTES:
                self.abort()
            return
        replies = 0
        try:
            for exchange, outcome in self.framing.receive(data):
                replies += 1
                self._settle(exchange, outcome)
        except FormError as fault:
            self._fault = fault
            self.abort()
            return
        self._flush_soon()
        if replies:
            self.answered += replies
            self.replied_at = self._loop.time()
            self._on_replies(self)
        self.close_if_done()

    def eof_received(self) -> None:
        """Take the end of what is sent: for a reply that ends with the connection that is its end."""
        self.data_received(b"")

    def connection_lost(self, error: Exception | None) -> None:
        """Hand back what was not answered."""
        if self.ended.done():
            return
        self.ended.set_result(None)
        reason: Exception = self._fault or error or ConnectionAbortedError("the connection was closed")
        left: list[Exchange] = []
        if self.framing is not None:
            left = [exchange for exchange in self.framing.awaited() if not exchange.reply.done()]
            if self._fault is None and not isinstance(error, OSError):
                reason = self.framing.cut()
        self._on_end(self, left, reason)

    def _settle(self, exchange: Exchange, outcome: bytes | OSError | None) -> None:
        if exchange.reply.done():
            return
        self.live -= 1
        if outcome is None:
            self._on_return(exchange, ConnectionRefusedError("the server takes no more requests on the connection"))
        elif isinstance(outcome, OSError):
            exchange.reply.set_exception(outcome)
        else:
            exchange.reply.set_result(outcome)

    def _flush_soon(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self.framing is not None and self._transport is not None and not self.ended.done():
            octets = self.framing.octets()
            if octets:
                self._transport.write(octets)

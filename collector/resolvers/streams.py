"""A few kept-open connections to one resolver, on which many queries are in flight at once.

A query goes to the connection with the fewest; another connection is opened where all are crowded. What was in flight
on a connection that ends is asked once more on another one, and first of all by few at a time: so a server that answers
one query and closes answers all, and a query at which connections are cut takes few others with it. On a connection on
which a query was given up, and nothing else was answered since, nothing more is asked.

Source: RFC 7766 §6.2 (connections, idle time, closing), RFC 7858 §3.4, RFC 8484 §5.
"""

import asyncio
from collections import deque
from typing import Protocol

from collector.resolvers.connection import Connection, Exchange
from collector.resolvers.framing import Framing

IDLE_S = 20.0
LONGEST_IDLE_S = 120.0
FIRST_LOOK_S = 1.0
# Then the resolver is looked up and authenticated again: a certificate that ended, or a host that moved, shows.
LONGEST_LIFE_S = 300.0
MOST_UNANSWERED = 128
CROWDED = 32
MOST_WAITING = 2048
# A query is over once so many connections ended without a reply to anything, or it was sent so often.
MOST_UNHEARD, MOST_SENT = 2, 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.2


class Line(Protocol):
    """The way to one resolver."""

    async def open(self, connection: Connection) -> Framing[Exchange]:
        """Connect; return once the other end has proven who it is, and how queries are framed.

        Raises:
            OSError: there is no connection, or the other end is not who it should be.
        """
        ...


class Streams:
    """Connections by one line. ``patience_s`` is how long opening one may take; unused ones close after ``idle_s``.

    Its connections end with the event loop in which they were opened.
    """

    def __init__(self, line: Line, *, patience_s: float, idle_s: float = IDLE_S) -> None:
        self._line, self._patience_s, self._idle_s = line, patience_s, idle_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[Exchange] = deque()
        self._most_connections = 1
        self._most_unanswered = MOST_UNANSWERED
        self._opening = 0
        self._failures = 0
        self._pause_until = self._lost_at = float("-inf")
        self._is_ending = False

    async def ask(self, wire: bytes) -> bytes:
        """Return the reply to a query; for how long to wait is the caller's matter.

        Raises:
            OSError: the resolver can't be reached, is not who it should be, or closed the connection, twice.
            FormError: what came was no reply, or the connection ended within one, twice.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._begin(loop)
        if len(self._waiting) >= MOST_WAITING:
            raise OSError(f"{MOST_WAITING} queries wait for a connection already")
        exchange = Exchange(wire, loop.create_future())
        self._waiting.append(exchange)
        self._serve()
        try:
            return await exchange.reply
        except asyncio.CancelledError:
            if exchange.reply.cancelled():  # else it was answered just now, and counted as such
                self._forget(exchange)
            raise

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start anew in this loop: what belonged to another one has ended with it."""
        self._loop = loop
        self._connections, self._tasks, self._waiting = [], set(), deque()
        self._opening = self._failures = 0
        self._pause_until = self._lost_at = float("-inf")
        self._is_ending = False

    def _serve(self) -> None:
        """Send what waits where there is room, and open another connection where there is none."""
        waiting, crowded = self._waiting, False
        while waiting:
            if waiting[0].reply.done():
                waiting.popleft()
                continue
            connection = self._roomiest()
            if connection is None:
                break
            connection.send(waiting.popleft())
            crowded = connection.live >= CROWDED
        if waiting or crowded:
            self._open_another()

    def _roomiest(self) -> Connection | None:
        """Return the connection with room that has the fewest in flight."""
        found = None
        for one in self._connections:
            if (found is None or one.live < found.live) and one.room(self._most_unanswered) > 0:
                found = one
        return found

    def _open_another(self) -> None:
        """Open a connection, one at a time (several where each takes few queries); after failures not at once."""
        if self._is_ending or self._loop is None:
            return
        at_once = 1 if self._most_unanswered >= CROWDED else min(self._most_connections, len(self._waiting))
        usable = sum(not one.retired for one in self._connections) + self._opening
        whole = len(self._connections) + self._opening
        if self._opening >= at_once or usable >= self._most_connections or whole >= 2 * self._most_connections:
            return
        wait_s = self._pause_until - self._loop.time()
        self._opening += 1
        if wait_s > 0:
            self._loop.call_later(wait_s, self._open)
        else:
            self._open()

    def _open(self) -> None:
        assert self._loop is not None
        connection = Connection(self._loop, self._on_replies, self._on_return, self._on_end)
        task = self._loop.create_task(self._run(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, connection: Connection) -> None:
        """Open a connection and keep it until its end; cancelled, with the loop, drop it."""
        assert self._loop is not None
        try:
            framing = await self._connect(connection)
            if framing is None:
                return
            self._most_connections = framing.most_connections
            self._connections.append(connection)
            connection.frame(framing)
            self._serve()
            if self._idle_s:
                self._loop.call_later(min(self._idle_s, FIRST_LOOK_S), self._check_idle, connection)
            elif not connection.live:
                connection.close()
            await connection.ended
        except asyncio.CancelledError:
            self._is_ending = True
            raise
        finally:
            connection.abort()

    async def _connect(self, connection: Connection) -> Framing[Exchange] | None:
        """Return the framing of a new connection; None where there is no connection, which those who wait are told."""
        failure: Exception
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._line.open(connection)
        except TimeoutError:
            failure = ConnectionError(f"no connection within {self._patience_s:g} s")
        except (OSError, UnicodeError) as error:
            failure = error
        finally:
            self._opening -= 1
        self._note_failure()
        if not any(one.is_open and not one.retired for one in self._connections):
            waiting, self._waiting = self._waiting, deque()
            for exchange in waiting:
                _fail(exchange, failure)
        return None

    def _note_failure(self) -> None:
        """Pause before the next connection; not after the first failure: a server may have just closed."""
        assert self._loop is not None
        self._failures += 1
        if self._failures > 1:
            pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._failures - 2, 8), LONGEST_PAUSE_S)
            self._pause_until = self._loop.time() + pause_s

    def _forget(self, exchange: Exchange) -> None:
        """Note that nobody waits for an exchange any longer."""
        connection = exchange.connection
        if connection is None or connection.framing is None:
            return
        connection.forget(exchange)
        self._go_on(connection)

    def _on_replies(self, connection: Connection) -> None:
        self._failures, self._pause_until = 0, float("-inf")
        if (
            self._most_unanswered < MOST_UNANSWERED
            and connection.opened_at >= self._lost_at
            and connection.answered > 1
        ):
            # A second reply since queries were lost shows that the server does not close after each.
            self._most_unanswered += 1
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """Ask what waits; close a connection that is not to be kept once it has nothing to do."""
        if self._waiting:
            self._serve()
        elif not self._idle_s and not connection.live:
            connection.close()

    def _on_return(self, exchange: Exchange, reason: Exception) -> None:
        self._ask_again([exchange], reason)

    def _on_end(self, connection: Connection, left: list[Exchange], reason: Exception) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        if self._is_ending:
            for exchange in left:
                _fail(exchange, reason)
            return
        if left and self._loop is not None:
            self._lost_at = self._loop.time()
            self._most_unanswered = max(1, min(self._most_unanswered, connection.answered, len(left) // 4))
            if not connection.answered:
                self._note_failure()
        for exchange in left:
            exchange.unheard += not connection.answered
        self._ask_again(left, reason)
        if self._waiting:
            self._serve()

    def _ask_again(self, left: list[Exchange], reason: Exception) -> None:
        """Have exchanges asked on another connection, before all others; those that were often enough are over."""
        for exchange in reversed(left):
            exchange.connection = None
            if exchange.unheard >= MOST_UNHEARD or exchange.sent >= MOST_SENT:
                _fail(exchange, reason)
            else:
                self._waiting.appendleft(exchange)

    def _check_idle(self, connection: Connection) -> None:
        """Close a connection that was not used for too long, or is old, or look again once it might be."""
        if connection.ended.done() or self._loop is None or connection.framing is None:
            return
        now = self._loop.time()
        if now - connection.opened_at >= LONGEST_LIFE_S:
            connection.retired = True
            connection.close_if_done()
        said_s = connection.framing.idle_s
        idle_s = self._idle_s if said_s is None else min(said_s, LONGEST_IDLE_S)
        idle_until = max(connection.used_at, connection.replied_at) + idle_s
        if connection.live:
            self._loop.call_later(max(idle_s, FIRST_LOOK_S), self._check_idle, connection)
        elif idle_until > now:
            self._loop.call_later(idle_until - now, self._check_idle, connection)
        else:
            connection.close()


def _fail(exchange: Exchange, reason: Exception) -> None:
    if not exchange.reply.done():
        exchange.reply.set_exception(reason)

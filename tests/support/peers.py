"""The other ends of connections, without sockets: each test says what they do with the queries that arrive."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from collector.resolvers.connection import Connection, Exchange
from collector.resolvers.framing import LengthPrefixed

LATENCY_S = 0.001


class Peer(asyncio.Transport):
    """One connection as the server sees it: what was written, each a turn of the loop, and the queries in it."""

    def __init__(self, number: int, connection: Connection, treat: Callable[["Peer", bytes], None]) -> None:
        super().__init__()
        self.number = number
        self.writes: list[bytes] = []
        self.queries: list[bytes] = []
        self.closed_by_client = False
        self._connection, self._treat = connection, treat
        self._rest = b""
        self._over = False
        self._events: deque[Callable[[], None]] = deque()
        self._loop = asyncio.get_running_loop()

    def send(self, *octets: bytes) -> None:
        """Send these octets; each comes in by itself."""
        for one in octets:
            self._next(partial(self._deliver, one))

    def answer(self, query: bytes, message: bytes | None = None) -> None:
        """Reply to a query, by default as an echo that says it is a response."""
        self.send(framed(echo(query) if message is None else message))

    def end(self, error: OSError | None = None) -> None:
        """Close, with an error as by RST."""
        self._next(partial(self._lose, error))

    def _next(self, event: Callable[[], None]) -> None:
        """Have this happen after all before it: the loop itself keeps no order among what is due together."""
        self._events.append(event)
        self._loop.call_later(LATENCY_S, lambda: self._events.popleft()())

    def _deliver(self, octets: bytes) -> None:
        if not self._over:
            self._connection.data_received(octets)

    def _lose(self, error: OSError | None) -> None:
        if not self._over:
            self._over = True
            if error is None:
                self._connection.eof_received()
            self._connection.connection_lost(error)

    # the client's side of it

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        self._rest += data
        while len(self._rest) >= 2 and len(self._rest) >= 2 + int.from_bytes(self._rest[:2], "big"):
            stop = 2 + int.from_bytes(self._rest[:2], "big")
            query, self._rest = self._rest[2:stop], self._rest[stop:]
            self.queries.append(query)
            self._loop.call_later(LATENCY_S, self._treat, self, query)

    def close(self) -> None:
        self.closed_by_client = True
        self._loop.call_soon(self._lost_by_client)

    def abort(self) -> None:
        self.close()

    def _lost_by_client(self) -> None:
        if not self._over:
            self._over = True
            self._connection.connection_lost(None)


class Narrow(LengthPrefixed[Exchange]):
    """The framing of TCP with a server that says how many queries it takes at once."""

    def __init__(self, most: int, *, keepalive: bool) -> None:
        super().__init__(random.Random(1).getrandbits, keepalive=keepalive)
        self._most = most

    @property
    def room(self) -> int:
        return min(super().room, self._most - len(self.awaited()))


class PeerLine:
    """The way to such ends, which work on ``most`` queries at once. ``refuses`` is what a connection meets instead."""

    def __init__(self, treat: Callable[[Peer, bytes], None], *, keepalive: bool = False, most: int = 1024) -> None:
        self.treat, self.keepalive, self.most = treat, keepalive, most
        self.refuses: OSError | None = None
        self.peers: list[Peer] = []
        self.tried_at: list[float] = []

    async def open(self, connection: Connection) -> Narrow:
        self.tried_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(LATENCY_S)
        if self.refuses is not None:
            raise self.refuses
        peer = Peer(len(self.peers), connection, lambda peer, query: self.treat(peer, query))
        self.peers.append(peer)
        connection.connection_made(peer)
        return Narrow(self.most, keepalive=self.keepalive)

    @property
    def queries(self) -> list[bytes]:
        """Return all queries of all connections."""
        return [query for peer in self.peers for query in peer.queries]


def framed(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return len(message).to_bytes(2, "big") + message


def echo(query: bytes) -> bytes:
    """Return a query as a response."""
    return query[:2] + bytes([query[2] | 0x80]) + query[3:]

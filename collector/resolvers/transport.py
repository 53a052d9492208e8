"""Carry one query to a resolver and bring back what comes: datagrams, or a message over TCP, DoT or DoH.

A UDP socket is connected and used for one query, so answers from elsewhere never arrive, and its port is a fresh one.

Source: RFC 5452 §9, RFC 7766 (TCP), RFC 7858 (DoT), RFC 8484 (DoH).
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from collector.resolvers.address import Address
from collector.resolvers.authentication import Authentication
from collector.resolvers.lines import TcpLine, TlsLine
from collector.resolvers.streams import IDLE_S, Line, Streams
from schemas.egress import Egress

MAX_MESSAGE_BYTES = 65_535
LOOK_UP_EVERY_S = 300.0

SocketAddress = tuple[int, tuple[Any, ...]]


class Transport(Protocol):
    """Carries queries in wire format; raises OSError where it can't."""

    def datagrams(self, wire: bytes) -> AsyncGenerator[bytes, None]:
        """Send a query over UDP and yield each datagram that comes back, for as long as anybody wants more."""
        ...

    async def stream(self, wire: bytes) -> bytes:
        """Send a query over a connection and return the one reply.

        Raises:
            FormError: the connection closed within a message.
        """
        ...


class Sockets:
    """Sockets of this machine; ``patience_s`` is how long a connection may take to open.

    Of a UDP resolver that is asked over TCP for once, connections are not kept once nothing is in flight.
    """

    def __init__(self, address: Address, egress: Egress, *, patience_s: float) -> None:
        self._address = address
        self._found: SocketAddress | None = None
        self._found_at = 0.0
        idle_s = 0.0 if address.scheme == "udp" else IDLE_S
        self._streams = Streams(_line_to(address, egress), patience_s=patience_s, idle_s=idle_s)

    async def datagrams(self, wire: bytes) -> AsyncGenerator[bytes, None]:
        """Send a query over UDP and yield each datagram that comes back.

        Raises:
            OSError: the socket can't; or the resolver is one that is never asked over UDP (RFC 8310 §5.1).
        """
        if self._address.scheme != "udp":
            raise OSError(f"{self._address.to_url()} is never asked over UDP")
        family, sockaddr = await self._endpoint()
        loop = asyncio.get_running_loop()
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.connect(sockaddr)
            await loop.sock_sendall(connection, wire)
            while True:
                yield await _next_datagram(loop, connection)

    async def stream(self, wire: bytes) -> bytes:
        """Send a query over TCP, DoT or DoH and return the reply."""
        return await self._streams.ask(wire)

    async def _endpoint(self) -> SocketAddress:
        """Return family and socket address; a host that is a name is looked up again now and then."""
        loop = asyncio.get_running_loop()
        if self._found is None or loop.time() - self._found_at > LOOK_UP_EVERY_S:
            self._found, self._found_at = await look_up(self._address), loop.time()
        return self._found


async def look_up(address: Address) -> SocketAddress:
    """Return where a resolver is, looked up where its host is a name."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return infos[0][0], infos[0][4]


async def _next_datagram(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    """Return what the socket receives next; unlike ``loop.sock_recv`` it waits first, as there is nothing yet."""
    received: asyncio.Future[bytes] = loop.create_future()
    descriptor = connection.fileno()

    def receive() -> None:
        if received.done():
            return
        try:
            received.set_result(connection.recv(MAX_MESSAGE_BYTES))
        except (BlockingIOError, InterruptedError):
            return  # a datagram with a bad checksum: the kernel drops it only when it is read
        except OSError as error:
            received.set_exception(error)

    loop.add_reader(descriptor, receive)
    try:
        return await received
    finally:
        loop.remove_reader(descriptor)


def _line_to(address: Address, egress: Egress) -> Line:
    """Return the way to a resolver; what HTTP takes is loaded only where it is used."""
    if address.scheme == "https":
        from collector.resolvers.https import HttpsLine

        return HttpsLine(address, egress)
    if address.scheme == "tls":
        return TlsLine(address, Authentication(address, egress))
    return TcpLine(address, keepalive=address.scheme == "tcp")

"""Carry one query to a resolver and bring back what comes: datagrams, or a message over TCP, DoT or DoH.

A UDP socket is connected and used for one query, so answers from elsewhere never arrive, and its port is a fresh one.

Source: RFC 5452 §9, RFC 7766 (TCP), RFC 7858 (DoT), RFC 8484 (DoH).
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Protocol

from collector.dnssec.message import FormError
from collector.resolvers.address import Address
from schemas.egress import Egress

if TYPE_CHECKING:
    from collector.resolvers.https import HttpsSender

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
    """Sockets of this machine; ``patience_s`` is for a DoH request, whose thread can't be called back."""

    def __init__(self, address: Address, egress: Egress, *, patience_s: float) -> None:
        self._address = address
        self._found: SocketAddress | None = None
        self._found_at = 0.0
        trust = functools.partial(ssl.create_default_context, cafile=egress.ca_path or None)
        self._tls = trust() if address.scheme == "tls" else None
        is_https = address.scheme == "https"
        self._https = _https_sender(address.to_url(), egress, trust(), patience_s) if is_https else None

    async def datagrams(self, wire: bytes) -> AsyncGenerator[bytes, None]:
        """Send a query over UDP and yield each datagram that comes back."""
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
        if self._https is not None:
            return await self._https.send(wire)
        host = self._address.host
        reader, writer = await asyncio.open_connection(
            host, self._address.port, ssl=self._tls, server_hostname=host if self._tls else None
        )
        try:
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
            length = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise FormError("the connection closed within a message") from error
        finally:
            writer.close()

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


def _https_sender(url: str, egress: Egress, trusted: ssl.SSLContext, patience_s: float) -> "HttpsSender":
    from collector.resolvers.https import HttpsSender

    return HttpsSender(url, egress, trusted, patience_s=patience_s)

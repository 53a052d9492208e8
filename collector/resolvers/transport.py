"""Carry one query to a resolver and bring back what comes: datagrams, or a message over TCP, DoT or DoH.

A UDP socket is connected and used for one query, so answers from elsewhere never arrive, and its port is a fresh one.

Source: RFC 5452 §9, RFC 7766 (TCP), RFC 7858 (DoT), RFC 8484 (DoH).
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import urllib3

from collector.dnssec.message import FormError
from collector.resolvers.address import Address
from schemas.egress import Egress

MAX_MESSAGE_BYTES = 65_535
LOOK_UP_EVERY_S = 300.0
DOH_THREADS = 16

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
        self._address, self._patience_s = address, patience_s
        self._found: SocketAddress | None = None
        self._found_at = 0.0
        trust = functools.partial(ssl.create_default_context, cafile=egress.ca_path or None)
        self._tls = trust() if address.scheme == "tls" else None
        self._pool = _open_pool(address.to_url(), egress, trust()) if address.scheme == "https" else None
        self._threads = ThreadPoolExecutor(DOH_THREADS, "doh") if address.scheme == "https" else None

    async def datagrams(self, wire: bytes) -> AsyncGenerator[bytes, None]:
        """Send a query over UDP and yield each datagram that comes back."""
        family, sockaddr = await self._endpoint()
        loop = asyncio.get_running_loop()
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.connect(sockaddr)
            await loop.sock_sendall(connection, wire)
            while True:
                yield await loop.sock_recv(connection, MAX_MESSAGE_BYTES)

    async def stream(self, wire: bytes) -> bytes:
        """Send a query over TCP, DoT or DoH and return the reply."""
        if self._pool is not None:
            return await self._over_https(self._pool, wire)
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
            infos = await loop.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_STREAM)
            self._found, self._found_at = (infos[0][0], infos[0][4]), loop.time()
        return self._found

    async def _over_https(self, pool: urllib3.PoolManager, wire: bytes) -> bytes:
        headers = {"content-type": "application/dns-message", "accept": "application/dns-message"}
        try:
            post = functools.partial(pool.request, "POST", self._address.to_url(), body=wire, headers=headers)
            call = functools.partial(post, timeout=self._patience_s, redirect=False)
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(str(error)) from error
        if answer.status != 200:
            raise OSError(f"HTTP status {answer.status}")
        return bytes(answer.data)


def _open_pool(url: str, egress: Egress, trusted: ssl.SSLContext) -> urllib3.PoolManager:
    """Return connections to a DoH resolver, through the proxy that the rule says."""
    options: dict[str, Any] = {"maxsize": DOH_THREADS, "retries": False, "ssl_context": trusted}
    proxy = egress.proxy_for(url)
    if not proxy:
        return urllib3.PoolManager(**options)
    user = egress.user_of(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
    if proxy.startswith("https:"):
        options["proxy_ssl_context"] = trusted
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)

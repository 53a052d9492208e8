"""Ask one recursive resolver: UDP with fallback to TCP, TCP, DoT or DoH by URL.

Every query has a fresh random id and, by a fresh socket, a fresh random port; a UDP socket is connected, so answers
from elsewhere never arrive; the question must be echoed.

Source: RFC 5452 §9 (matching), RFC 7766 (TCP), RFC 7858 (DoT), RFC 8484 (DoH).
"""

import asyncio
import functools
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from collector import names
from collector.address import Address
from collector.message import FormError, Response, make_query, read_response
from collector.names import Name
from collector.questions import FetchFailure, Reply
from schemas.egress import Egress

ATTEMPTS = 3
TIMEOUT_S = 1.5
MAX_MESSAGE_BYTES = 65_535
LOOK_UP_EVERY_S = 300.0
DOH_THREADS = 16

Exchange = Callable[[bytes, int, Name, int], Awaitable[Response]]
Endpoint = tuple[int, tuple[Any, ...]]


class Resolver:
    """One resolver; safe to ask many things at once.

    ``timeout_s`` is for the first of ``attempts``; each further one waits twice as long.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        max_in_flight: int = 256,
        egress: Egress | None = None,
    ) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._slots = asyncio.Semaphore(max_in_flight)
        self._found: Endpoint | None = None
        self._found_at = 0.0
        egress = egress or Egress()
        trust = functools.partial(ssl.create_default_context, cafile=egress.ca_path or None)
        self._tls = trust() if address.scheme == "tls" else None
        self._pool = _open_pool(address.to_url(), egress, trust()) if address.scheme == "https" else None
        self._threads = ThreadPoolExecutor(DOH_THREADS, "doh") if address.scheme == "https" else None

    async def ask(self, name: Name, rdtype: int, *, checking_disabled: bool = True, stream: bool = False) -> Reply:
        """Return the response, whatever its rcode, or why there is none.

        With ``stream`` a UDP resolver is asked over TCP at once.
        """
        exchange = self._exchange_for(stream=stream)
        failure = FetchFailure("timeout", "no answer")
        async with self._slots:
            for attempt in range(self._attempts):
                timeout_s = self._timeout_s * 2**attempt
                try:
                    reply = await self._exchange(exchange, name, rdtype, timeout_s, checking_disabled)
                    if reply.truncated and exchange == self._over_udp:
                        exchange = self._over_tcp
                        reply = await self._exchange(exchange, name, rdtype, timeout_s, checking_disabled)
                except TimeoutError:
                    where = self.address.to_url()
                    failure = FetchFailure("timeout", f"no answer from {where} in {self._attempts} tries")
                except (OSError, UnicodeError) as error:
                    said = getattr(error, "strerror", None) or error
                    failure = FetchFailure("unreachable", f"{self.address.to_url()}: {said}")
                    await asyncio.sleep(min(0.05 * 2**attempt, timeout_s))
                except FormError as error:
                    failure = FetchFailure("malformed", f"{self.address.to_url()} sends no DNS message: {error}")
                else:
                    return reply
        return failure

    @staticmethod
    async def _exchange(
        exchange: Exchange, name: Name, rdtype: int, timeout_s: float, checking_disabled: bool
    ) -> Response:
        message_id = secrets.randbits(16)
        query = make_query(message_id, name, rdtype, checking_disabled=checking_disabled)
        return await asyncio.wait_for(exchange(query, message_id, name, rdtype), timeout_s)

    def _exchange_for(self, *, stream: bool) -> Exchange:
        if self.address.scheme == "https":
            return self._over_https
        return self._over_tcp if stream or self.address.scheme != "udp" else self._over_udp

    async def _endpoint(self) -> Endpoint:
        """Return family and socket address; a host that is a name is looked up again now and then."""
        loop = asyncio.get_running_loop()
        if self._found is None or loop.time() - self._found_at > LOOK_UP_EVERY_S:
            infos = await loop.getaddrinfo(self.address.host, self.address.port, type=socket.SOCK_STREAM)
            self._found, self._found_at = (infos[0][0], infos[0][4]), loop.time()
        return self._found

    async def _over_udp(self, query: bytes, message_id: int, name: Name, rdtype: int) -> Response:
        family, sockaddr = await self._endpoint()
        loop = asyncio.get_running_loop()
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.connect(sockaddr)
            await loop.sock_sendall(connection, query)
            while True:
                wire = await loop.sock_recv(connection, MAX_MESSAGE_BYTES)
                try:
                    return _matching(wire, message_id, name, rdtype)
                except FormError:
                    continue  # a forger may be faster than the resolver: the true answer may still come

    async def _over_tcp(self, query: bytes, message_id: int, name: Name, rdtype: int) -> Response:
        host = self.address.host
        reader, writer = await asyncio.open_connection(
            host, self.address.port, ssl=self._tls, server_hostname=host if self._tls else None
        )
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            await writer.drain()
            length = int.from_bytes(await reader.readexactly(2), "big")
            return _matching(await reader.readexactly(length), message_id, name, rdtype)
        except asyncio.IncompleteReadError as error:
            raise FormError("the connection closed within a message") from error
        finally:
            writer.close()

    async def _over_https(self, query: bytes, message_id: int, name: Name, rdtype: int) -> Response:
        assert self._pool is not None
        headers = {"content-type": "application/dns-message", "accept": "application/dns-message"}
        url = self.address.to_url()
        try:
            post = functools.partial(self._pool.request, "POST", url, body=query, headers=headers)
            call = functools.partial(post, timeout=self._timeout_s * 4, redirect=False)
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(str(error)) from error
        if answer.status != 200:
            raise OSError(f"HTTP status {answer.status}")
        return _matching(answer.data, message_id, name, rdtype)


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


def _matching(wire: bytes, message_id: int, name: Name, rdtype: int) -> Response:
    """Parse a response and require that it answers this very query. Source: RFC 5452 §9.1."""
    if wire[:2] != message_id.to_bytes(2, "big"):
        raise FormError("another id")
    response = read_response(wire)
    if response.qname != name or response.qtype != rdtype:
        raise FormError(f"an answer to another question: {names.to_text(response.qname)}")
    return response

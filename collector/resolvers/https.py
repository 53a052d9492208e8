"""How connections to a DoH resolver are opened: over TLS, through a proxy where the rule says so, HTTP/2 if it can.

In a module that is loaded by nobody else, since HTTP takes long to load.

Source: RFC 8484, RFC 9113 §3.2 (ALPN), RFC 9110 §9.3.6 (CONNECT).
"""

import asyncio
import base64
import ssl
from urllib.parse import urlsplit

from collector.resolvers.address import DEFAULT_PORTS, Address
from collector.resolvers.authentication import Authentication
from collector.resolvers.connection import Connection, Exchange
from collector.resolvers.framing import Framing
from collector.resolvers.http1 import Http1
from collector.resolvers.http2 import Http2
from collector.resolvers.lines import GOODBYE_S, open_tls
from schemas.egress import Egress

HTTP2, HTTP1 = "h2", "http/1.1"
MOST_HEAD_BYTES = 16_384
END = b"\r\n\r\n"


class HttpsLine:
    """The way to a DoH resolver."""

    def __init__(self, address: Address, egress: Egress) -> None:
        self._address, self._egress = address, egress
        self._authentication = Authentication(address, egress, (HTTP2, HTTP1))
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._place = f"{host}:{address.port}"
        self._authority = host if address.port == DEFAULT_PORTS["https"] else self._place
        self._proxy = egress.proxy_for(address.to_url())

    async def open(self, connection: Connection) -> Framing[Exchange]:
        """Connect, authenticate, and speak the version of HTTP that the server has chosen."""
        if self._proxy:
            session = await self._open_through_proxy(connection)
        else:
            session = await open_tls(connection, self._address, self._authentication)
        if session.selected_alpn_protocol() == HTTP2:
            return Http2(self._authority, self._address.path)
        return Http1(self._authority, self._address.path)

    async def _open_through_proxy(self, connection: Connection) -> ssl.SSLObject:
        proxy = urlsplit(self._proxy)
        host, port = proxy.hostname or "", proxy.port or DEFAULT_PORTS["https"]
        trusted = ssl.create_default_context(cafile=self._egress.ca_path or None) if proxy.scheme == "https" else None
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        try:
            tunnel, _ = await loop.create_connection(lambda: _Answer(answer), host, port, ssl=trusted)
        except OSError as error:
            raise OSError(f"proxy {self._proxy}: {getattr(error, 'strerror', None) or error}") from error
        try:
            tunnel.write(self._request())
            self._check_tunnel(await answer)
            return await self._start_tls(connection, tunnel)
        except BaseException:
            tunnel.abort()
            raise

    def _request(self) -> bytes:
        """Return what asks the proxy for a tunnel."""
        head = f"CONNECT {self._place} HTTP/1.1\r\nHost: {self._place}\r\n"
        user = self._egress.user_of(self._proxy)
        if user:
            head += f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode('ascii')}\r\n"
        return f"{head}\r\n".encode("latin-1")

    def _check_tunnel(self, answer: bytes) -> None:
        """Read the head of the proxy's answer.

        Raises:
            OSError: there is no tunnel.
        """
        version, _, rest = answer.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1."):
            raise OSError(f"proxy {self._proxy}: it does not answer as an HTTP proxy")
        if not rest.startswith("2"):
            said = rest[:80] if rest.isprintable() else "something else"
            raise OSError(f"proxy {self._proxy}: no tunnel to {self._place}: {said}")

    async def _start_tls(self, connection: Connection, tunnel: asyncio.Transport) -> ssl.SSLObject:
        try:
            transport = await asyncio.get_running_loop().start_tls(
                tunnel,
                connection,
                self._authentication.context(),
                server_hostname=self._authentication.name,
                ssl_shutdown_timeout=GOODBYE_S,
            )
        except OSError as error:
            raise self._authentication.explain(error) from error
        if transport is None:
            raise ConnectionResetError("the tunnel closed within the TLS handshake")
        connection.connection_made(transport)
        session: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self._authentication.check_key(session)
        return session


class _Answer(asyncio.Protocol):
    """Gathers the head of a proxy's answer: nothing may come behind it before we begin TLS."""

    def __init__(self, answer: "asyncio.Future[bytes]") -> None:
        self._answer = answer
        self._gathered = b""

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._gathered += data
        if not self._answer.done() and (self._gathered.endswith(END) or len(self._gathered) > MOST_HEAD_BYTES):
            self._answer.set_result(self._gathered)

    def connection_lost(self, error: Exception | None) -> None:
        """Take what there is for all there will be."""
        if not self._answer.done():
            self._answer.set_result(self._gathered)

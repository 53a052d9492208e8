"""DoH where a server has no HTTP/2, through proxies, and to servers that are none: real sockets on loopback."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from collector.dnssec import names, records
from collector.dnssec.message import Response
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.address import Address
from collector.resolvers.identity import Identity
from collector.resolvers.resolver import Resolver
from schemas.egress import DIRECT, Egress
from tests.support.certificates import Authority
from tests.support.peers import echo

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HOST = "dns.example"


@contextlib.asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Serve on a port of 127.0.0.1; what a peer cuts short is over."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Web:
    """A web server that speaks HTTP/1.1 only; by default it answers as a DoH resolver."""

    def __init__(self, head: str = "200 OK\r\ncontent-type: application/dns-message", *, closes: bool = False) -> None:
        self._head, self._closes = head, closes
        self.connections = 0
        self.requests: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.requests.append(head)
            length = int(head.lower().partition("content-length: ")[2].split("\r\n")[0])
            body = echo(await reader.readexactly(length))
            writer.write(f"HTTP/1.1 {self._head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            if self._closes:
                return


class Tunnels:
    """A proxy: CONNECT, to wherever ``ports`` says the host is."""

    def __init__(self, ports: dict[str, int], status: str = "200 OK") -> None:
        self._ports, self._status = ports, status
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        writer.write(f"HTTP/1.1 {self._status}\r\n\r\n".encode())
        if not self._status.startswith("200"):
            return
        port = self._ports[head.split()[1]]
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pipe(reader, onward_writer), pipe(onward_reader, writer))
        finally:
            onward_writer.transport.abort()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def speaking(certificate: tuple[str, str], *alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


async def ask_many(resolver: Resolver, count: int) -> list[Reply]:
    asked = [resolver.ask(names.from_text(f"h{number}.example"), records.A) for number in range(count)]
    return await asyncio.gather(*asked)


def resolver_at(port: int, identity: Identity, egress: Egress = DIRECT, host: str = "127.0.0.1") -> Resolver:
    return Resolver(Address("https", host, port, "/dns-query", identity), timeout_s=5.0, attempts=1, egress=egress)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)], ids=["no ALPN", "HTTP/1.1"])
def test_a_server_without_http2_is_asked_over_connections_that_are_kept(ours: Authority, alpn: tuple[str, ...]) -> None:
    web = Web()

    async def story() -> list[Reply]:
        async with listening(web, speaking(ours.certify("127.0.0.1"), *alpn)) as port:
            resolver = resolver_at(port, Identity(ca_path=ours.path))
            return await ask_many(resolver, 40) + await ask_many(resolver, 40)

    replies = asyncio.run(story())

    assert [reply for reply in replies if not isinstance(reply, Response)] == []
    assert len(web.requests) == 80
    assert web.connections <= 16
    assert web.requests[0].startswith("POST /dns-query HTTP/1.1\r\n")
    assert "content-type: application/dns-message\r\n" in web.requests[0].lower()


def test_a_server_that_closes_after_each_response_answers_all(ours: Authority) -> None:
    web = Web(closes=True)

    async def story() -> list[Reply]:
        async with listening(web, speaking(ours.certify("127.0.0.1"))) as port:
            return await ask_many(resolver_at(port, Identity(ca_path=ours.path)), 40)

    replies = asyncio.run(story())

    assert [reply for reply in replies if not isinstance(reply, Response)] == []


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("404 Not Found", "HTTP status 404"),
        ("200 OK\r\ncontent-type: text/html", "content-type text/html instead of application/dns-message"),
    ],
)
def test_a_server_that_is_no_resolver_is_told_as_such(ours: Authority, head: str, said: str) -> None:
    async def story() -> list[Reply]:
        async with listening(Web(head), speaking(ours.certify("127.0.0.1"))) as port:
            return await ask_many(resolver_at(port, Identity(ca_path=ours.path)), 1)

    (reply,) = asyncio.run(story())

    assert isinstance(reply, FetchFailure)
    assert reply.is_silence
    assert said in reply.detail


def test_a_web_server_that_is_not_who_it_should_be_gets_no_query(ours: Authority) -> None:
    web = Web()

    async def story() -> list[Reply]:
        async with listening(web, speaking(ours.certify("127.0.0.1"))) as port:
            return [
                *await ask_many(resolver_at(port, Identity()), 1),
                *await ask_many(resolver_at(port, Identity(ca_path=ours.path, server_name=HOST)), 1),
                *await ask_many(resolver_at(port, Identity(pins=(bytes(32),))), 1),
            ]

    replies = asyncio.run(story())

    details = [reply.detail for reply in replies if isinstance(reply, FetchFailure)]
    assert ["not authenticated" in detail for detail in details] == [True, True, True]
    assert web.requests == []


# proxies


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_through_a_proxy_the_resolver_itself_is_authenticated(ours: Authority, scheme: str) -> None:
    web = Web()

    async def story() -> tuple[list[Reply], Tunnels]:
        async with listening(web, speaking(ours.certify(HOST))) as port:
            tunnels = Tunnels({f"{HOST}:443": port})
            context = speaking(ours.certify("127.0.0.1")) if scheme == "https" else None
            async with listening(tunnels, context) as proxy_port:
                proxy = f"{scheme}://127.0.0.1:{proxy_port}"
                egress = Egress(https_proxy=proxy, users={proxy: "robot:sécret"}, ca_path=ours.path)
                resolver = resolver_at(443, Identity(), egress, HOST)
                return await ask_many(resolver, 20), tunnels

    replies, tunnels = asyncio.run(story())

    assert [reply for reply in replies if not isinstance(reply, Response)] == []
    login = base64.b64encode("robot:sécret".encode()).decode()
    assert {head.split("\r\n")[0] for head in tunnels.heads} == {f"CONNECT {HOST}:443 HTTP/1.1"}
    assert all(f"Proxy-Authorization: Basic {login}\r\n" in head for head in tunnels.heads)
    assert "host: dns.example\r\n" in web.requests[0].lower()
    assert "authorization" not in web.requests[0].lower()


def test_a_proxy_that_answers_in_the_place_of_the_resolver_is_found_out(ours: Authority) -> None:
    web = Web()

    async def story() -> list[Reply]:
        async with (
            listening(web, speaking(ours.certify("other.example"))) as port,
            listening(Tunnels({f"{HOST}:443": port}), None) as proxy_port,
        ):
            egress = Egress(https_proxy=f"http://127.0.0.1:{proxy_port}", ca_path=ours.path)
            return await ask_many(resolver_at(443, Identity(), egress, HOST), 1)

    (reply,) = asyncio.run(story())

    assert isinstance(reply, FetchFailure)
    assert f"not authenticated: its certificate is not for {HOST}" in reply.detail
    assert web.requests == []


def test_a_proxy_that_makes_no_tunnel_is_named_without_its_login(ours: Authority) -> None:
    async def story() -> list[Reply]:
        async with listening(Tunnels({}, "407 Proxy Authentication Required"), None) as proxy_port:
            proxy = f"http://127.0.0.1:{proxy_port}"
            egress = Egress(https_proxy=proxy, users={proxy: "robot:secret"})
            return await ask_many(resolver_at(443, Identity(), egress, HOST), 1)

    (reply,) = asyncio.run(story())

    assert isinstance(reply, FetchFailure)
    assert "no tunnel to dns.example:443: 407 Proxy Authentication Required" in reply.detail
    assert "secret" not in reply.detail

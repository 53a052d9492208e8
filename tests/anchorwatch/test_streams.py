"""Streams of events on real sockets: many tabs, readers that do not read or vanish, the end of the server."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from anchorwatch.web.config import HttpConfig
from anchorwatch.web.guard import HEADERS
from anchorwatch.web.server import Limits, Server
from anchorwatch.web.streams import Pace
from schemas.faults import Transient
from tests.anchorwatch.test_doors import BEARER, EVERYWHERE, OURS, TOKEN, app_of, ask
from tests.anchorwatch.test_server_limits import exchange

PATIENCE_S = 20.0
QUICK = Pace(look_s=0.02, keep_alive_s=0.1, write_s=0.3)
HELLO = f"GET /api/v1/events HTTP/1.1\r\nHost: {OURS}\r\n"


class Counts:
    """A history and a ledger of which only the number of what is in them is asked."""

    def __init__(self) -> None:
        self.findings = self.observations = self.incidents = 0
        self.away = False

    def row_counts(self) -> tuple[int, int]:
        if self.away:
            raise Transient("the history is away")
        return self.findings, self.observations

    def revision(self) -> int:
        return self.incidents


class World:
    """A server with what changes behind it."""

    def __init__(self, server: Server, counts: Counts) -> None:
        self.server, self.counts = server, counts
        self.port = int(server.url.rpartition(":")[2])
        self.writers: list[asyncio.StreamWriter] = []

    async def open(self, more: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(f"{HELLO}{more}\r\n".encode())
        return reader, writer

    async def tab(self, more: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a stream whose first octets came."""
        reader, writer = await self.open(more)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readuntil(b"retry: 3000\n\n")
        return reader, writer


@contextlib.asynccontextmanager
async def serving(pace: Pace = QUICK, config: HttpConfig | None = None, **limits: Any) -> AsyncIterator[World]:
    counts: Any = Counts()
    parts = Parts(meter=Meter(), progress=Progress(lambda: 0.0), history=counts, ledger=counts, pace=pace)
    server = Server(make_app(parts, config), "127.0.0.1", 0, Limits(**limits))
    await server.start()
    world = World(server, counts)
    try:
        yield world
    finally:
        for writer in world.writers:
            writer.close()
        await server.stop()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 90))


async def until(reader: asyncio.StreamReader, octets: bytes) -> bytes:
    return await asyncio.wait_for(reader.readuntil(octets), PATIENCE_S)


async def until_so(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_change_is_told_to_who_reads() -> None:
    async def scenario() -> None:
        async with serving() as world:
            reader, _ = await world.tab()
            world.counts.findings += 1

            assert b'{"what":"findings","at":"20' in await until(reader, b'Z"}\n\n')
            world.counts.incidents += 1
            assert b'{"what":"incidents","at":"20' in await until(reader, b'Z"}\n\n')

    run(scenario)


def test_a_kind_is_told_at_most_once_a_look() -> None:
    async def scenario() -> None:
        async with serving(Pace(look_s=0.3, keep_alive_s=60)) as world:
            reader, _ = await world.tab()
            loop = asyncio.get_running_loop()
            times = []
            for _ in range(3):
                world.counts.observations += 1
                await until(reader, b'Z"}\n\n')
                times.append(loop.time())
                world.counts.observations += 1
            assert times[2] - times[0] >= 0.5

    run(scenario)


def test_silence_has_signs_of_life() -> None:
    async def scenario() -> None:
        async with serving() as world:
            reader, _ = await world.tab()
            for _ in range(3):
                await until(reader, b": keep-alive\n\n")

    run(scenario)


def test_a_stream_that_was_cut_hears_of_what_it_missed() -> None:
    async def scenario() -> None:
        async with serving() as world:
            reader, writer = await world.tab()
            world.counts.findings += 1
            told = await until(reader, b'Z"}\n\n')
            last = told.partition(b"id: ")[2].partition(b"\n")[0].decode()
            writer.close()
            await until_so(lambda: world.server.open_streams == 0)
            world.counts.incidents += 1

            reader, _ = await world.tab(f"Last-Event-ID: {last}\r\n")

            missed = await until(reader, b'Z"}\n\n')
            assert b'"incidents"' in missed
            assert b'"findings"' not in missed

    run(scenario)


def test_what_does_not_answer_holds_up_nothing_and_is_told_of_later() -> None:
    async def scenario() -> None:
        async with serving() as world:
            reader, _ = await world.tab()
            world.counts.away = True
            world.counts.findings += 1
            world.counts.incidents += 1
            assert b'"incidents"' in await until(reader, b'Z"}\n\n')
            world.counts.away = False

            assert b'"findings"' in await until(reader, b'Z"}\n\n')

    run(scenario)


def test_200_tabs_are_told_and_probes_and_metrics_are_answered_beside_them() -> None:
    async def scenario() -> None:
        async with serving(answer_s=1.0) as world:
            tabs = [await world.tab() for _ in range(200)]
            assert world.server.open_streams == 200

            refused, _ = await world.open()
            head = await until(refused, b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 30" in head
            for _ in range(80):
                assert (await exchange(world.port)).startswith(b"HTTP/1.1 200")
            metrics = f"GET /metrics HTTP/1.1\r\nHost: {OURS}\r\n\r\n".encode()
            assert (await exchange(world.port, metrics)).startswith(b"HTTP/1.1 200")

            await asyncio.sleep(1.1)  # an answer of another kind would have been cut by now
            world.counts.findings += 1
            for reader, _ in tabs:
                assert b'"findings"' in await until(reader, b'Z"}\n\n')
            assert world.server.open_streams == 200
            for writer in world.writers:
                writer.close()
            await until_so(lambda: world.server.open_streams == 0)

    run(scenario)


def test_a_probe_goes_before_a_stream_where_nothing_else_can_go() -> None:
    async def scenario() -> None:
        async with serving(config=HttpConfig(token=TOKEN), connections=4) as world:
            for _ in range(3):
                await world.tab(f"Authorization: Bearer {TOKEN}\r\n")
            _, writer = await asyncio.open_connection("127.0.0.1", world.port)
            world.writers.append(writer)
            writer.write(f"POST /-/login HTTP/1.1\r\nHost: {OURS}\r\nContent-Length: 9\r\n\r\n".encode())
            await until_so(lambda: world.server.busy_connections == 1)

            assert (await exchange(world.port)).startswith(b"HTTP/1.1 200")

            assert world.server.busy_connections == 1
            assert world.server.open_streams == 2

    run(scenario)


def test_a_reader_that_does_not_read_is_dropped() -> None:
    async def scenario() -> None:
        async with serving(Pace(look_s=0.02, keep_alive_s=0.0005, write_s=0.3)) as world:
            slow = socket.socket()
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            slow.setblocking(False)
            await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", world.port))
            await asyncio.get_running_loop().sock_sendall(slow, f"{HELLO}\r\n".encode())
            await until_so(lambda: world.server.open_streams == 1)

            await until_so(lambda: world.server.open_streams == 0)

            assert world.server.open_connections == 0
            slow.close()

    run(scenario)


def test_a_stream_ends_when_its_time_is_over() -> None:
    async def scenario() -> None:
        async with serving(Pace(look_s=0.02, life_s=0.2)) as world:
            reader, _ = await world.tab()

            assert (await asyncio.wait_for(reader.read(), PATIENCE_S)).endswith(b"0\r\n\r\n")

    run(scenario)


def test_the_end_of_the_server_ends_streams_at_once() -> None:
    async def scenario() -> None:
        async with serving(Pace()) as world:
            tabs = [await world.tab() for _ in range(20)]
            loop = asyncio.get_running_loop()
            begun = loop.time()

            await world.server.stop()

            assert loop.time() - begun < 2.0
            for reader, _ in tabs:
                assert (await reader.read()).endswith(b"0\r\n\r\n")

    run(scenario)


def test_a_stream_has_the_headers_of_every_answer() -> None:
    async def scenario() -> None:
        async with serving() as world:
            reader, _ = await world.open()
            head = (await until(reader, b"\r\n\r\n")).decode().lower()
            for name, value in {**HEADERS, "content-type": "text/event-stream; charset=utf-8"}.items():
                assert f"{name}: {value.lower()}\r\n" in head

    run(scenario)


def test_head_has_the_headers_and_no_stream() -> None:
    answer = ask(app_of(history=Counts()), "/api/v1/events", "HEAD")

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        ("/api/v1/events?x=1", 400, BEARER),
        ("/api/v1/events", 401, {}),
        ("/api/v1/events", 404, BEARER),  # neither history nor ledger is in this process
    ],
)
def test_a_stream_is_refused_as_any_answer_is(path: str, status: int, headers: dict[str, str]) -> None:
    assert ask(app_of(EVERYWHERE), path, **headers).status == status

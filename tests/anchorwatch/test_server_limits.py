"""What connections may cost: on real sockets, with small limits; and a whole instance under many idle ones."""

import asyncio
import contextlib
import resource
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from anchorwatch.web.guard import HEADERS
from anchorwatch.web.server import BACKLOG, Limits, Server, connections_for
from tests.anchorwatch.test_commands import write_config
from tests.anchorwatch.test_doors import OURS, app_of
from tests.support.daemons import free_port
from tests.support.running import COMMAND, Lab, Running, call_here, environment

TOKEN = "0123456789abcdef0123456789abcdef"
HEALTH = f"GET /-/healthy HTTP/1.1\r\nHost: {OURS}\r\n\r\n".encode()
PATIENCE_S = 10.0


@contextlib.asynccontextmanager
async def serving(**limits: float) -> AsyncIterator[tuple[Server, int]]:
    server = Server(app_of(), "127.0.0.1", 0, Limits(**limits))  # type: ignore[arg-type]
    await server.start()
    try:
        yield server, int(server.url.rpartition(":")[2])
    finally:
        await server.stop()


async def exchange(port: int, sent: bytes = HEALTH) -> bytes:
    """Send octets on a connection of its own; return all that comes before its end or the first pause."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(65536), PATIENCE_S)
    finally:
        writer.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_probe_is_answered_beside_more_idle_connections_than_there_may_be() -> None:
    async def scenario() -> None:
        async with serving(connections=8) as (server, port):
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]

            answer = await exchange(port)

            assert answer.startswith(b"HTTP/1.1 200")
            assert server.open_connections <= 8
            assert server.dropped_connections >= 32
            for _, writer in idle:
                writer.close()

    run(scenario)


@pytest.mark.parametrize(
    "drip", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "], ids=["silent", "request line", "headers"]
)
def test_a_request_that_does_not_come_is_not_waited_for(drip: bytes) -> None:
    async def scenario() -> None:
        async with serving(idle_s=0.2) as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(drip)

            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
            assert server.open_connections == 0
            writer.close()

    run(scenario)


def test_octets_that_drip_do_not_prolong_the_time() -> None:
    async def scenario() -> None:
        async with serving(idle_s=0.5) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            ended = asyncio.create_task(reader.read())
            with contextlib.suppress(ConnectionError):
                while not ended.done():
                    writer.write(b"x")
                    await asyncio.wait([ended], timeout=0.05)
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(ended, PATIENCE_S)
            writer.close()

    run(scenario)


def test_a_body_that_does_not_end_has_an_end() -> None:
    async def scenario() -> None:
        async with serving(answer_s=0.3, idle_s=0.3) as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), PATIENCE_S)
            assert server.open_connections == 0
            writer.close()

    run(scenario)


def test_a_connection_that_asks_again_and_again_stays() -> None:
    async def scenario() -> None:
        async with serving() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(5):
                writer.write(HEALTH)
                assert b"200 OK" in await reader.readuntil(b"healthy\n")
            writer.close()

    run(scenario)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ],
    ids=["TLS", "no host", "two hosts", "long", "nonsense"],
)
def test_what_is_no_http_is_refused_with_the_headers_of_every_answer(sent: bytes) -> None:
    async def scenario() -> None:
        async with serving() as (_, port):
            answer = (await exchange(port, sent)).decode("latin-1")

            assert answer.startswith("HTTP/1.1 4")
            head = {line.lower() for line in answer.split("\r\n\r\n")[0].split("\r\n")}
            assert {f"{name}: {value}".lower() for name, value in HEADERS.items()} <= head

    run(scenario)


def test_rubbish_behind_a_request_ends_the_connection_quietly() -> None:
    async def scenario() -> None:
        async with serving() as (_, port):
            await exchange(port, HEALTH + b"\x00\x01\x02\r\n\r\n")
            assert (await exchange(port)).startswith(b"HTTP/1.1 200")

    run(scenario)


@pytest.mark.parametrize(("descriptors", "most"), [(64, 16), (256, 64), (1024, 256), (1 << 20, 256), (10, 8)])
def test_three_of_four_descriptors_are_left_to_the_engine(descriptors: int, most: int) -> None:
    assert connections_for(descriptors) == most


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """This process needs more of them than the one that it asks."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 4096:
        pytest.skip("needs 4,096 descriptors: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 4096), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.slow
def test_a_watch_goes_on_and_answers_beside_1300_idle_connections(
    lab: Lab, tmp_path: Path, many_descriptors: None
) -> None:
    port = free_port()
    config, url = write_config(tmp_path, lab, port), f"http://127.0.0.1:{port}"
    one = Running(config, url)
    one.process.kill()
    one.process.communicate()
    limited = ["bash", "-c", 'ulimit -n 1024; exec "$@"', "bash", *COMMAND, "run", str(config)]
    with (tmp_path / "log").open("wb") as log:
        one.process = subprocess.Popen(limited, stdout=log, stderr=log, env=environment())  # type: ignore[assignment]
    idle: list[socket.socket] = []
    try:
        one.until(lambda: one.ask("/-/ready")[0] == 200, "readiness")

        for _ in range(1300):
            idle.append(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
        lab.stage(lambda world: world.stage_expired("idp.example."))
        one.until(lambda: (tmp_path / "told").exists(), "the notification beside the idle connections")

        assert one.ask("/-/ready") == (200, b"ready\n")
        assert one.end() == 0
    finally:
        lab.stage(lambda world: world.restore("idp.example."))
        for connection in idle:
            connection.close()
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
    said = (tmp_path / "log").read_text()
    assert "Too many open files" not in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 200, "a repeated warning is counted, not written again and again"


@pytest.mark.slow
def test_the_commands_ask_with_the_token(lab: Lab, tmp_path: Path) -> None:
    port = free_port()
    config, url = write_config(tmp_path, lab, port), f"http://127.0.0.1:{port}"
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "wrong").write_text(TOKEN[::-1] + "\n")
    text = config.read_text().replace(f"'127.0.0.1:{port}'", f"'0.0.0.0:{port}', token_file: token")
    config.write_text(text)
    one = Running(config, url)
    try:
        one.until(lambda: one.ask("/-/ready")[0] == 200, "readiness")

        told = call_here("findings", "--api", url, "--token-file", str(tmp_path / "token"))
        refused = call_here("findings", "--api", url)
        mistaken = call_here("incidents", "--api", url, "--token-file", str(tmp_path / "wrong"))
        absent = call_here("incidents", "--api", url, "--token-file", str(tmp_path / "none"))

        assert told.returncode == 0, told.stderr
        assert (refused.returncode, "--token-file" in refused.stderr) == (1, True)
        assert (mistaken.returncode, "not its own" in mistaken.stderr) == (1, True)
        assert (absent.returncode, "can't be read" in absent.stderr) == (2, True)
        assert all(TOKEN not in done.stdout + done.stderr for done in (told, refused, mistaken, absent))
        assert one.ask("/metrics")[0] == 200
        assert one.ask("/api/v1/findings")[0] == 401
    finally:
        one.process.kill()
        one.process.communicate()


def test_the_backlog_fits_into_what_is_left() -> None:
    assert connections_for(1024) + 2 * BACKLOG < 1024 // 2

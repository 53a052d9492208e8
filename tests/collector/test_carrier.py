"""Questions over real sockets to resolvers on loopback that answer late, twice, wrongly, or not at all."""

import asyncio
import contextlib
import resource
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest

from collector.dnssec import names, records
from collector.dnssec.message import Response
from collector.dnssec.questions import FetchFailure, Reply
from collector.dnssec.skim import Imprint, says_the_same, take_imprint
from collector.resolvers.address import Address
from collector.resolvers.carrier import LOOK_UP_EVERY_S, Carrier
from collector.resolvers.dialogue import Posed, Question
from collector.resolvers.ports import LONGEST_S, MOST_QUESTIONS, UdpPorts
from collector.resolvers.resolver import Resolver

NAME = names.from_text("api.bank.example")
QUESTION = Question("lab", NAME, records.A, attempts=1)
PORTS = 8
A_RECORD = b"\xc0\x0c\0\1\0\1"

Send = Callable[[bytes], None]
Treat = Callable[[bytes, Send], None]


def answer(query: bytes, *last: int, ttl: int = 60, flags: bytes = b"\x81\x80") -> bytes:
    """Return a response with an address 192.0.2.x for each of ``last``."""
    end = query.index(b"\0\0\1\0\1", 12) + 5
    rows = b"".join(A_RECORD + ttl.to_bytes(4, "big") + b"\0\4\xc0\0\2" + bytes((one,)) for one in last)
    return query[:2] + flags + b"\0\1" + len(last).to_bytes(2, "big") + b"\0\0\0\0" + query[12:end] + rows


class Server:
    """A resolver on loopback: ``treat`` has each datagram, and what sends one back. Over TCP it answers 192.0.2.99."""

    def __init__(self, treat: Treat) -> None:
        self.treat = treat
        self.datagrams: list[bytes] = []
        self.port = 0
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        for _ in range(50):
            self._tcp = await asyncio.start_server(self._stream, "127.0.0.1", self.port)
            port = self._tcp.sockets[0].getsockname()[1]
            with contextlib.suppress(OSError):
                loop = asyncio.get_running_loop()
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=("127.0.0.1", port)
                )
                self.port = port
                return
            self._tcp.close()
        raise OSError("no port is free for both UDP and TCP")

    async def stop(self) -> None:
        assert self._udp is not None
        assert self._tcp is not None
        self._udp.close()
        self._tcp.close()
        await asyncio.sleep(0)  # lets the transports close their sockets

    @staticmethod
    async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                reply = answer(await reader.readexactly(length), 99)
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.datagrams.append(data)
        self._server.treat(data, lambda wire: self._transport.sendto(wire, addr))


class Desk:
    """A carrier to a server, and the replies that it brings; ``imprint`` is of the response that stands."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self.resolver = Resolver(Address("udp", "127.0.0.1", port), timeout_s=timeout_s)
        self.carrier = Carrier(self.resolver, self._take, self._stands, ports=PORTS, timeout_s=timeout_s)
        self.imprint: Imprint | None = None
        self.stood: list[bytes] = []
        self.next_question: Question | None = None
        self._tickets = 0
        self._replies: dict[int, asyncio.Future[Reply | bytes]] = {}

    async def open(self) -> None:
        self.carrier.turn(self.now)
        while self.carrier._datagrams is None:
            await asyncio.sleep(0.001)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def put(self, question: Question = QUESTION) -> "asyncio.Future[Reply | bytes]":
        self._tickets += 1
        future = self._replies[self._tickets] = asyncio.get_running_loop().create_future()
        self.carrier.put(Posed(self._tickets, question), self.now)
        return future

    async def ask(self, question: Question = QUESTION) -> Reply | bytes:
        """Return the reply, or the octets of one that stands."""
        return await self.wait(self.put(question))

    async def wait(self, future: "asyncio.Future[Reply | bytes]") -> Reply | bytes:
        async with asyncio.timeout(10):
            while not future.done():
                self.carrier.turn(self.now)
                until = min(max(self.carrier.next_turn_at() - self.now, 0.001), 0.05)
                await asyncio.wait([future], timeout=until)
        assert self.carrier.fault is None
        return future.result()

    def _take(self, ticket: int, reply: Reply) -> None:
        if self.next_question is not None:
            question, self.next_question = self.next_question, None
            self._replies[ticket + 1000] = self._replies.pop(ticket)
            self.carrier.put(Posed(ticket + 1000, question), self.now)
            return
        self._replies.pop(ticket).set_result(reply)

    def _stands(self, ticket: int, wire: bytes) -> bool:
        if self.imprint is None or not says_the_same(self.imprint, wire):
            return False
        self._replies.pop(ticket).set_result(wire)
        return True


@contextlib.asynccontextmanager
async def desk_at(treat: Treat, timeout_s: float = 5.0) -> AsyncIterator[tuple[Desk, Server]]:
    server = Server(treat)
    await server.start()
    desk = Desk(server.port, timeout_s)
    await desk.open()
    try:
        yield desk, server
    finally:
        desk.carrier.close()
        await server.stop()


def addresses(reply: Reply | bytes) -> set[int]:
    assert isinstance(reply, Response), reply
    return {rdata[-1] for rdata in reply.answer[NAME, records.A].rdatas}


def failure(reply: Reply | bytes) -> str:
    assert isinstance(reply, FetchFailure), reply
    return reply.kind


def test_answers_that_turn_with_any_ttl_stand_and_other_data_do_not() -> None:
    turns = iter(([1, 2, 3], [2, 3, 1], [3, 1, 2], [3, 1, 4]))
    ttls = iter((60, 0, 7, 60))

    async def story() -> None:
        async with desk_at(lambda query, send: send(answer(query, *next(turns), ttl=next(ttls)))) as (desk, _):
            first = await desk.ask()
            assert isinstance(first, Response)
            desk.imprint = take_imprint(first.wire)
            assert isinstance(await desk.ask(), bytes)
            assert isinstance(await desk.ask(), bytes)
            assert addresses(await desk.ask()) == {3, 1, 4}

    asyncio.run(story())


def test_a_reply_that_comes_twice_is_taken_once_and_is_no_guess() -> None:
    def twice(query: bytes, send: Send) -> None:
        send(answer(query, 1))
        send(answer(query, 66))

    async def story() -> None:
        async with desk_at(twice) as (desk, _):
            for _ in range(50):
                assert addresses(await desk.ask()) == {1}
            assert desk.resolver.tally.by_kind == {}

    asyncio.run(story())


def test_replies_that_come_after_the_wait_are_no_guesses() -> None:
    held: list[tuple[bytes, Send]] = []

    async def story() -> None:
        async with desk_at(lambda query, send: held.append((query, send)), timeout_s=0.02) as (desk, server):
            for _ in range(30):
                assert failure(await desk.ask()) == "timeout"
            for query, send in held:
                send(answer(query, 1))
            server.treat = lambda query, send: send(answer(query, 2))
            desk.carrier._datagrams._timeout_s = 5.0  # type: ignore[union-attr]
            for _ in range(30):
                assert addresses(await desk.ask()) == {2}
            assert desk.resolver.tally.by_kind == {}

    asyncio.run(story())


def test_a_guessed_id_is_passed_over_and_the_true_reply_taken() -> None:
    def guessed(query: bytes, send: Send) -> None:
        send(bytes((query[0] ^ 1,)) + answer(query, 66)[1:])
        send(answer(query, 1))

    async def story() -> None:
        async with desk_at(guessed) as (desk, _):
            assert addresses(await desk.ask()) == {1}
            assert desk.resolver.tally.by_kind == {"id": 1}

    asyncio.run(story())


@pytest.mark.parametrize("octets", [2, 3, 11, 12, 20, 40])
def test_garbage_under_the_right_id_ends_with_a_question_over_tcp(octets: int) -> None:
    def garbage(query: bytes, send: Send) -> None:
        for _ in range(200):
            send((query[:2] + b"\xff" * 60)[:octets])

    async def story() -> None:
        async with desk_at(garbage) as (desk, _):
            assert addresses(await desk.ask()) == {99}
            assert addresses(await desk.ask()) == {99}

    asyncio.run(story())


def test_garbage_without_an_id_is_passed_over() -> None:
    def garbage(query: bytes, send: Send) -> None:
        for length in (0, 1):
            send(b"\0" * length)
        send(answer(query, 1))

    async def story() -> None:
        async with desk_at(garbage) as (desk, _):
            for _ in range(20):
                assert addresses(await desk.ask()) == {1}

    asyncio.run(story())


def test_what_is_always_cut_off_is_asked_over_tcp() -> None:
    async def story() -> None:
        async with desk_at(lambda query, send: send(answer(query, flags=b"\x83\x80"))) as (desk, _):
            assert addresses(await desk.ask()) == {99}

    asyncio.run(story())


def test_one_who_never_answers_is_given_up_after_one_try_or_asked_by_the_resolvers_further_tries() -> None:
    async def story() -> None:
        async with desk_at(lambda query, send: None, timeout_s=0.05) as (desk, server):
            assert failure(await desk.ask()) == "timeout"
            assert len(server.datagrams) == 1
            assert addresses(await desk.ask(Question("lab", NAME, records.A))) == {99}, "the last try is over TCP"
            assert len(server.datagrams) == 3

    asyncio.run(story())


def test_a_resolver_that_ends_is_unreachable_at_once_and_is_asked_again_once_it_is_back() -> None:
    async def story() -> None:
        async with desk_at(lambda query, send: send(answer(query, 1))) as (desk, server):
            assert addresses(await desk.ask()) == {1}
            await server.stop()
            for _ in range(3):
                assert failure(await desk.ask()) == "unreachable"
            await server.start()
            replies = [await desk.ask() for _ in range(2 * PORTS)]
            assert addresses(replies[-1]) == {1}
            assert desk.resolver.tally.by_kind == {}

    asyncio.run(story())


def test_what_was_under_way_to_a_resolver_that_moved_goes_on_where_it_is_now() -> None:
    """The failed question is followed by another one at once, as that of a validation."""

    async def story() -> None:
        async with desk_at(lambda query, send: None, timeout_s=60) as (desk, _):
            other = Server(lambda query, send: send(answer(query, 2)))
            await other.start()
            under_way = desk.put()
            desk.next_question = QUESTION
            desk.resolver.address = Address("udp", "127.0.0.1", other.port)
            desk.carrier._look_up_at -= LOOK_UP_EVERY_S
            assert addresses(await desk.wait(under_way)) == {2}
            await other.stop()

    asyncio.run(story())


def test_a_carrier_that_is_closed_leaves_nothing_behind() -> None:
    async def story() -> None:
        server = Server(lambda query, send: None)
        await server.start()
        desk = Desk(server.port, 60)
        await desk.open()
        replies = [desk.put(), desk.put(Question("lab", NAME, records.A))]
        desk.carrier.close()
        await server.stop()
        await asyncio.sleep(0)

        assert not any(reply.done() for reply in replies)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


# the pool of ports


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(clock: Clock) -> Iterator[UdpPorts]:
    pool = UdpPorts((2, ("127.0.0.1", 9)), 4, clock)
    yield pool
    pool.close()


def test_each_port_serves_for_two_minutes_at_most_and_is_open_a_little_longer(pool: UdpPorts, clock: Clock) -> None:
    before = set(pool._open)
    for second in range(int(LONGEST_S) + 1):
        clock.now = float(second)
        pool.renew()

    assert len(pool._open) == 4
    assert not before & set(pool._open)
    assert len(pool._sockets) <= 5, "those that were replaced are closed after ten seconds"


def test_a_port_that_is_used_much_is_replaced_at_once_and_once_only(pool: UdpPorts, clock: Clock) -> None:
    worn = pool._open[1]
    pool._sent[worn] = MOST_QUESTIONS
    pool.renew()

    assert worn not in pool._open
    assert len(pool._sockets) == 5


def test_while_no_port_can_be_opened_the_old_ones_go_on_serving(pool: UdpPorts, clock: Clock) -> None:
    before = list(pool._open)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            UdpPorts((2, ("127.0.0.1", 9)), 4, clock)
        clock.now = LONGEST_S
        pool.renew()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert pool._open == before
    clock.now += LONGEST_S
    pool.renew()
    assert pool._open != before

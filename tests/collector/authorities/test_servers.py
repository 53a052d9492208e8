"""The driver asks a server on loopback: without recursion, over TCP where the answer is cut off, at its pace."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import dns.flags
import dns.message
import dns.rrset
import pytest

from collector.authorities.servers import Servers
from collector.config import Authorities
from collector.dnssec import names, records
from collector.dnssec.message import RD, Response
from collector.resolvers.address import Address
from collector.resolvers.dialogue import Question

WWW = names.from_text("www.zone.test")


class Recorder:
    """A transport that answers each query, over UDP cut off where ``long`` says so; ``queries`` are those that came."""

    def __init__(self, *, long: bool = False) -> None:
        self.long = long
        self.queries: list[tuple[str, dns.message.Message, float]] = []
        self.opened: list[Address] = []

    def open(self, address: Address) -> "Recorder":
        self.opened.append(address)
        return self

    async def datagrams(self, wire: bytes) -> AsyncGenerator[bytes, None]:
        yield self._answer("udp", wire)

    async def stream(self, wire: bytes) -> bytes:
        return self._answer("tcp", wire)

    def _answer(self, over: str, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        self.queries.append((over, query, asyncio.get_running_loop().time()))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if over == "udp" and self.long:
            response.flags |= dns.flags.TC
        else:
            response.answer.append(dns.rrset.from_text("www.zone.test.", 60, "IN", "A", "192.0.2.1"))
        return response.to_wire()


def ask(recorder: Recorder, *questions: Question, config: Authorities | None = None) -> list[object]:
    async def story() -> list[object]:
        servers = Servers(config or Authorities(), timeout_s=1.0, open_transport=recorder.open)
        return list(await asyncio.gather(*(servers.ask(question) for question in questions)))

    return asyncio.run(story())


def question(server: str, *, stream: bool = False) -> Question:
    return Question("auth", WWW, records.A, attempts=1, server=server, stream=stream)


def test_a_server_is_asked_for_what_it_knows_itself_with_dnssec_records() -> None:
    recorder = Recorder()

    (reply,) = ask(recorder, question("[2001:db8::1]:5353"))

    assert isinstance(reply, Response)
    ((over, query, _),) = recorder.queries
    assert over == "udp"
    assert not query.flags & (dns.flags.RD | dns.flags.CD | dns.flags.AD)
    assert query.ednsflags & dns.flags.DO
    assert recorder.opened == [Address("udp", "2001:db8::1", 5353)]


def test_what_is_cut_off_is_asked_again_over_tcp() -> None:
    recorder = Recorder(long=True)

    (reply,) = ask(recorder, question("192.0.2.1"))

    assert isinstance(reply, Response)
    assert reply.answer
    assert [over for over, _, _ in recorder.queries] == ["udp", "tcp"]


def test_a_question_over_a_stream_goes_over_tcp_at_once() -> None:
    recorder = Recorder()

    ask(recorder, question("192.0.2.1", stream=True))

    assert [over for over, _, _ in recorder.queries] == ["tcp"]


class Loopback(asyncio.DatagramProtocol):
    """A server on ::1 that says which recursion it was asked for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = dns.message.make_response(dns.message.from_wire(data))
        response.flags |= dns.flags.AA
        self.transport.sendto(response.to_wire(), addr)


def test_a_server_is_asked_over_ipv6_by_sockets_of_this_machine() -> None:
    async def story() -> object:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(Loopback, local_addr=("::1", 0))
        except OSError as error:
            pytest.skip(f"needs IPv6 on loopback: sysctl net.ipv6.conf.lo.disable_ipv6=0 ({error})")
        port = transport.get_extra_info("sockname")[1]
        servers = Servers(Authorities(), timeout_s=5.0)
        try:
            return await servers.ask(question(f"[::1]:{port}"))
        finally:
            transport.close()

    reply = asyncio.run(story())

    assert isinstance(reply, Response), reply
    assert not reply.flags & RD


def test_each_query_has_an_id_of_its_own() -> None:
    recorder = Recorder()

    ask(recorder, *(question("192.0.2.1") for _ in range(15)))

    assert len({query.id for _, query, _ in recorder.queries}) >= 14


@pytest.mark.parametrize(("addresses", "least_s"), [(["192.0.2.1"], 0.1), (["192.0.2.1", "192.0.2.2"], 0.0)])
def test_questions_to_one_address_leave_at_its_pace(addresses: list[str], least_s: float) -> None:
    recorder = Recorder()
    questions = [question(address) for address in addresses for _ in range(60 // len(addresses))]

    ask(recorder, *questions, config=Authorities(rate=50, total_rate=1000))

    times = [at for _, _, at in recorder.queries]
    assert len(times) == 60
    assert max(times) - min(times) >= least_s


def test_one_server_keeps_what_was_learnt_of_it() -> None:
    recorder = Recorder()

    ask(recorder, *(question("192.0.2.1") for _ in range(3)), question("192.0.2.2"))

    assert [address.host for address in recorder.opened] == ["192.0.2.1", "192.0.2.2"]

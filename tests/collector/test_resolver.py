"""Hostile and absent resolvers on loopback: no crash, no hang, never an answer to another question."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rrset
import pytest

from collector import names, records
from collector.address import Address, parse_address, system_resolvers
from collector.message import Response
from collector.questions import FetchFailure, Reply
from collector.resolver import Resolver

Answer = Callable[[dns.message.Message], list[bytes]]


def good(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query, our_payload=1232)
    response.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.1")]
    return response


@asynccontextmanager
async def server(datagrams: Answer, stream: Answer | None = None) -> AsyncIterator[int]:
    """Serve on one port, UDP and TCP; each answer is a list of raw messages to send."""
    loop = asyncio.get_running_loop()

    async def on_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        query = dns.message.from_wire(await reader.readexactly(length))
        for wire in (stream or datagrams)(query):
            writer.write(struct.pack("!H", len(wire)) + wire)
        await writer.drain()
        writer.close()

    tcp = await asyncio.start_server(on_stream, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", port))
        udp.setblocking(False)

        def on_datagram() -> None:
            wire, sender = udp.recvfrom(4096)
            for answer in datagrams(dns.message.from_wire(wire)):
                udp.sendto(answer, sender)

        loop.add_reader(udp, on_datagram)
        yield port
        loop.remove_reader(udp)
    tcp.close()


def ask(datagrams: Answer, stream: Answer | None = None, **options: float) -> Reply:
    async def run() -> Reply:
        async with server(datagrams, stream) as port:
            resolver = Resolver(
                Address("udp", "127.0.0.1", port),
                timeout_s=options.get("timeout_s", 0.1),
                attempts=int(options.get("attempts", 2)),
            )
            return await resolver.ask(names.from_text("www.example"), records.A)

    return asyncio.run(run())


def with_id(message: dns.message.Message, message_id: int) -> bytes:
    message.id = message_id
    return message.to_wire()


def test_a_good_answer_arrives() -> None:
    reply = ask(lambda query: [good(query).to_wire()])

    assert isinstance(reply, Response)


@pytest.mark.parametrize(
    "forged",
    [
        lambda query: with_id(good(query), query.id ^ 1),
        lambda query: with_id(good(dns.message.make_query("evil.example", "A")), query.id),
        lambda query: with_id(good(dns.message.make_query("www.example", "AAAA")), query.id),
        lambda query: query.to_wire(),
        lambda query: b"",
        lambda query: good(query).to_wire()[:20],
    ],
    ids=["another id", "another name", "another type", "no response", "empty", "truncated"],
)
def test_a_forged_datagram_is_passed_over_and_the_true_one_taken(
    forged: Callable[[dns.message.Message], bytes],
) -> None:
    reply = ask(lambda query: [forged(query), good(query).to_wire()])

    assert isinstance(reply, Response)
    assert reply.qname == names.from_text("www.example")


def test_silence_is_a_timeout() -> None:
    reply = ask(lambda query: [])

    assert isinstance(reply, FetchFailure)
    assert reply.kind == "timeout"


def test_a_closed_port_is_unreachable() -> None:
    async def run() -> Reply:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return await Resolver(Address("udp", "127.0.0.1", port), timeout_s=0.2, attempts=2).ask((b"example",), 1)

    reply = asyncio.run(run())

    assert isinstance(reply, FetchFailure)
    assert reply.kind == "unreachable"


def truncated(query: dns.message.Message) -> list[bytes]:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return [response.to_wire()]


def test_truncation_leads_to_tcp() -> None:
    reply = ask(truncated, lambda query: [good(query).to_wire()], attempts=1)

    assert isinstance(reply, Response)
    assert not reply.truncated


@pytest.mark.parametrize(
    "answer", [lambda query: [b"\xff" * 65535], lambda query: [], lambda query: [with_id(good(query), query.id ^ 1)]],
    ids=["64 KB of junk", "nothing", "another id"],
)  # fmt: skip
def test_bad_streams_fail_in_time(answer: Answer) -> None:
    reply = ask(truncated, answer)

    assert isinstance(reply, FetchFailure)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("10.0.0.53", Address("udp", "10.0.0.53", 53)),
        ("udp://10.0.0.53:5353", Address("udp", "10.0.0.53", 5353)),
        ("tcp://[2001:db8::1]:53", Address("tcp", "2001:db8::1", 53)),
        ("2001:db8::1", Address("udp", "2001:db8::1", 53)),
        ("tls://dns.example", Address("tls", "dns.example", 853)),
        ("https://dns.example/dns-query", Address("https", "dns.example", 443, "/dns-query")),
    ],
)
def test_urls_are_read(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize("url", ["ftp://x", "udp://", "udp://x:99999", "://", "udp://a..b", "udp://" + "a" * 64])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL begins|no host|[Pp]ort|label"):
        parse_address(url)


def test_resolv_conf_is_read() -> None:
    text = "# x\nsearch example\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\noptions ndots:1\n"

    assert [address.host for address in system_resolvers(text)] == ["10.0.0.1", "fe80::1%eth0"]

"""Hostile and absent resolvers on loopback: no crash, no hang, never an answer to another question."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest

from collector.dnssec import names, records
from collector.dnssec.anchors import Anchor, TrustAnchors
from collector.dnssec.message import Response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.address import Address, parse_address, system_resolvers
from collector.resolvers.claims import read_claim
from collector.resolvers.resolver import Resolver
from collector.resolvers.vantage import Vantage
from schemas.judgement import ResolverClaim

Answer = Callable[[dns.message.Message], list[bytes]]


def octets_of(name: dns.name.Name) -> bytes:
    octets = name.to_wire()
    assert octets is not None
    return octets


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


@pytest.mark.parametrize(
    "url", ["ftp://x", "udp://", "udp://x:99999", "://", "udp://a..b", "udp://" + "a" * 64, "10.0.0"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL begins|no host|nor a host|[Pp]ort|label"):
        parse_address(url)


def test_resolv_conf_is_read() -> None:
    text = "# x\nsearch example\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\noptions ndots:1\n"

    assert [address.host for address in system_resolvers(text)] == ["10.0.0.1", "fe80::1%eth0"]


# errors without the question, silence over UDP, and replies that match nothing


def header_only(rcode: int) -> Answer:
    return lambda query: [struct.pack("!6H", query.id, 0x8180 | rcode, 0, 0, 0, 0)]


@pytest.mark.parametrize(("rcode", "name"), [(1, "FORMERR"), (2, "SERVFAIL"), (5, "REFUSED")])
def test_an_error_as_a_bare_header_is_named_at_once(rcode: int, name: str) -> None:
    reply = ask(header_only(rcode), timeout_s=30)  # a wait for one timeout alone would end the test

    assert isinstance(reply, FetchFailure)
    assert (reply.kind, reply.rcode) == ("rcode", rcode)
    assert name in reply.detail
    assert not reply.is_silence


def test_after_a_bare_error_header_the_answer_over_tcp_counts() -> None:
    reply = ask(header_only(5), lambda query: [good(query).to_wire()], timeout_s=30)

    assert isinstance(reply, Response)
    assert reply.rcode == 0


def test_a_bare_error_header_is_named_where_tcp_stays_silent() -> None:
    reply = ask(header_only(5), lambda query: [])

    assert isinstance(reply, FetchFailure)
    assert (reply.kind, reply.rcode) == ("rcode", 5)


def test_a_bare_error_header_with_another_id_is_passed_over() -> None:
    def forged(query: dns.message.Message) -> list[bytes]:
        return [struct.pack("!6H", query.id ^ 1, 0x8185, 0, 0, 0, 0), good(query).to_wire()]

    assert isinstance(ask(forged), Response)


def test_a_resolver_without_edns_is_called_so() -> None:
    def no_edns(query: dns.message.Message) -> list[bytes]:
        return header_only(1)(query) if query.edns >= 0 else [good(query).to_wire()]

    reply = ask(no_edns, timeout_s=30)

    assert isinstance(reply, FetchFailure)
    assert reply.rcode == 1
    assert "EDNS" in reply.detail


def test_a_resolver_that_stumbles_over_cookies_is_asked_without_them() -> None:
    def no_cookies(query: dns.message.Message) -> list[bytes]:
        return header_only(1)(query) if query.options else [good(query).to_wire()]

    assert isinstance(ask(no_cookies, timeout_s=30), Response)


def test_the_last_try_after_silence_is_over_tcp() -> None:
    reply = ask(lambda query: [], lambda query: [good(query).to_wire()], attempts=3)

    assert isinstance(reply, Response)


def test_after_silence_the_last_mismatch_is_told() -> None:
    reply = ask(lambda query: [with_id(good(query), query.id ^ 1)], lambda query: [])

    assert isinstance(reply, FetchFailure)
    assert not reply.is_silence
    assert "another id" in reply.detail


def test_where_only_wrong_replies_come_over_udp_tcp_decides_even_with_one_try() -> None:
    wrong = lambda query: [with_id(good(query), query.id ^ 1)]  # noqa: E731

    assert isinstance(ask(wrong, lambda query: [good(query).to_wire()], attempts=1), Response)


def asked_often(datagrams: Answer, stream: Answer, times: int) -> tuple[Resolver, list[Reply]]:
    async def run() -> tuple[Resolver, list[Reply]]:
        async with server(datagrams, stream) as port:
            resolver = Resolver(Address("udp", "127.0.0.1", port), timeout_s=0.2, attempts=2)
            return resolver, [await resolver.ask(names.from_text("www.example"), records.A) for _ in range(times)]

    return asyncio.run(run())


def test_replies_passed_over_are_counted_by_kind() -> None:
    def noisy(query: dns.message.Message) -> list[bytes]:
        other = good(dns.message.make_query("evil.example", "A"))
        return [with_id(good(query), query.id ^ 1), with_id(other, query.id), b"x", good(query).to_wire()]

    resolver, _ = asked_often(noisy, noisy, 3)

    assert resolver.tally.by_kind == {"id": 3, "question": 3, "malformed": 3}


def test_one_socket_is_not_kept_busy_for_ever_by_a_flood() -> None:
    def flood(query: dns.message.Message) -> list[bytes]:
        return [with_id(good(query), query.id ^ 1)] * 150

    resolver, replies = asked_often(flood, lambda query: [good(query).to_wire()], 1)

    assert isinstance(replies[0], Response)
    assert resolver.tally.by_kind["id"] <= 101


def with_cookie(query: dns.message.Message, server: bytes = b"8 octets") -> bytes:
    sent = next(option for option in query.options if option.otype == 10)
    answer = good(query)
    answer.use_edns(0, 0, 1232, options=[dns.edns.CookieOption(sent.client, server)])
    return answer.to_wire()


def test_the_servers_cookie_is_sent_back() -> None:
    seen: list[bytes] = []

    def keeps(query: dns.message.Message) -> list[bytes]:
        seen.append(next(option for option in query.options if option.otype == 10).server)
        return [with_cookie(query)]

    asked_often(keeps, keeps, 2)

    assert seen == [b"", b"8 octets"]


def test_once_a_server_sent_cookies_a_datagram_without_ours_is_passed_over() -> None:
    count = 0

    def first_with_cookie(query: dns.message.Message) -> list[bytes]:
        nonlocal count
        count += 1
        return [with_cookie(query)] if count == 1 else [good(query).to_wire(), with_cookie(query)]

    resolver, replies = asked_often(first_with_cookie, first_with_cookie, 2)

    assert all(isinstance(reply, Response) for reply in replies)
    assert resolver.tally.by_kind == {"cookie": 1}


def test_a_server_that_sends_cookies_no_more_is_believed_over_tcp() -> None:
    count = 0

    def once(query: dns.message.Message) -> list[bytes]:
        nonlocal count
        count += 1
        return [with_cookie(query)] if count == 1 else [good(query).to_wire()]

    resolver, replies = asked_often(once, lambda query: [good(query).to_wire()], 4)

    assert all(isinstance(reply, Response) for reply in replies)
    assert resolver.tally.by_kind == {"cookie": 1}, "passed over once; then cookies are known to be gone"


def folded(query: dns.message.Message) -> bytes:
    wire = good(query).to_wire()
    return wire[:12] + wire[12:25].lower() + wire[25:]


def guessed(query: dns.message.Message) -> bytes:
    wire = good(query).to_wire()
    return bytes((wire[0] ^ 1,)) + wire[1:]


def test_letter_case_is_left_alone_until_replies_are_guessed() -> None:
    questions: list[bytes] = []

    def notes(query: dns.message.Message) -> list[bytes]:
        questions.append(octets_of(query.question[0].name))
        return [good(query).to_wire()]

    asked_often(notes, notes, 3)

    assert questions == [b"\3www\7example\0"] * 3


def test_letter_case_that_comes_back_must_come_back() -> None:
    count = 0

    def keeps_then_forged(query: dns.message.Message) -> list[bytes]:
        nonlocal count
        count += 1
        wrong = good(query).to_wire()
        sent = wrong[12:25]
        forged = wrong[:12] + (sent.upper() if sent != sent.upper() else sent.title()) + wrong[25:]
        before = {1: [guessed(query)], 3: [forged]}
        return [*before.get(count, []), good(query).to_wire()]

    resolver, replies = asked_often(keeps_then_forged, keeps_then_forged, 3)

    assert all(isinstance(reply, Response) for reply in replies)
    assert resolver.tally.by_kind == {"id": 1, "case": 1}


def test_a_resolver_that_folds_letter_case_is_asked_without_it_and_is_no_attack() -> None:
    questions: list[bytes] = []

    def folds(query: dns.message.Message) -> list[bytes]:
        questions.append(octets_of(query.question[0].name))
        return [*([guessed(query)] if len(questions) == 1 else []), folded(query)]

    resolver, replies = asked_often(folds, folds, 4)

    assert all(isinstance(reply, Response) for reply in replies)
    assert questions[2] == questions[3] == b"\3www\7example\0"
    assert resolver.tally.by_kind == {"id": 1}


def test_what_a_resolver_claims_by_a_bare_error_header_is_its_rcode() -> None:
    async def run() -> ResolverClaim | None:
        async with server(header_only(5)) as port:
            resolver = Resolver(Address("udp", "127.0.0.1", port), timeout_s=30, attempts=1)
            name = names.from_text("www.example")
            return read_claim(await resolver.ask(name, records.A, checking_disabled=False, edns=False))

    claim = asyncio.run(run())

    assert claim is not None
    assert claim.rcode == "REFUSED"


def test_a_resolver_cut_off_from_the_root_is_there_if_it_answers_what_it_answered_before() -> None:
    gone = False

    def cut_off(query: dns.message.Message) -> list[bytes]:
        return [] if gone or query.question[0].rdtype == dns.rdatatype.DNSKEY else [good(query).to_wire()]

    async def run() -> list[bool]:
        nonlocal gone
        async with server(cut_off) as port:
            resolver = Resolver(Address("udp", "127.0.0.1", port), timeout_s=0.3, attempts=1)
            root = TrustAnchors({names.ROOT: Anchor(names.ROOT)})
            vantage = Vantage("lab", resolver, root, Policy(), lambda: 0.0)
            silent = [isinstance(await vantage.probe(stream=False), FetchFailure)]
            await vantage.ask(names.from_text("www.example"), records.A)
            silent.append(isinstance(await vantage.probe(stream=False), FetchFailure))
            gone = True
            silent.append(isinstance(await vantage.probe(stream=False), FetchFailure))
            return silent

    assert asyncio.run(run()) == [True, False, True]

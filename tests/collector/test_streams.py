"""Kept-open connections against ends that do what a test says, in virtual time."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from collector.dnssec import names, records
from collector.dnssec.message import FormError, Response, read_response
from collector.dnssec.questions import FetchFailure
from collector.resolvers.address import Address
from collector.resolvers.framing import KEEPALIVE
from collector.resolvers.matching import Mismatch, write_query
from collector.resolvers.resolver import Resolver
from collector.resolvers.streams import CROWDED, LONGEST_PAUSE_S, MOST_SENT, MOST_UNANSWERED, MOST_WAITING, Streams
from tests.support.peers import Peer, PeerLine, echo, framed
from tests.support.virtual import run

BITS = random.Random(7)


def query(number: int, message_id: int | None = None) -> bytes:
    wire = write_query(names.from_text(f"h{number}.example"), records.A, BITS.getrandbits, checking_disabled=True).wire
    return wire if message_id is None else message_id.to_bytes(2, "big") + wire[2:]


def qname(wire: bytes) -> str:
    return names.to_text(read_response(echo(wire) if not wire[2] & 0x80 else wire).qname)


def answers(peer: Peer, wire: bytes) -> None:
    peer.answer(wire)


def stays_silent(peer: Peer, wire: bytes) -> None:
    pass


def told(line: PeerLine, story: Callable[[Streams], Coroutine[Any, Any, Any]], idle_s: float = 20.0) -> Any:
    async def whole() -> Any:
        return await story(Streams(line, patience_s=6.0, idle_s=idle_s))

    return run(whole())


async def ask(streams: Streams, wire: bytes, timeout_s: float = 1.5) -> bytes | Exception:
    try:
        async with asyncio.timeout(timeout_s):
            return await streams.ask(wire)
    except (OSError, FormError) as failure:
        return failure


def all_of(wires: list[bytes]) -> Callable[[Streams], Coroutine[Any, Any, list[bytes | Exception]]]:
    async def story(streams: Streams) -> list[bytes | Exception]:
        return await asyncio.gather(*(ask(streams, wire) for wire in wires))

    return story


def assert_each_has_its_own(wires: list[bytes], replies: list[bytes | Exception]) -> None:
    assert [reply for reply in replies if isinstance(reply, Exception)] == []
    assert replies == [echo(wire) for wire in wires]


# good servers


def test_queries_of_one_turn_are_one_write_on_one_connection() -> None:
    wires, line = [query(number) for number in range(CROWDED - 1)], PeerLine(answers)

    replies = told(line, all_of(wires))

    assert_each_has_its_own(wires, replies)
    assert [len(peer.writes) for peer in line.peers] == [1]


def test_replies_out_of_order_reach_their_queries() -> None:
    held: list[bytes] = []

    def backwards(peer: Peer, wire: bytes) -> None:
        held.append(wire)
        if len(held) == 20:
            for one in reversed(held):
                peer.answer(one)

    wires = [query(number) for number in range(20)]

    assert_each_has_its_own(wires, told(PeerLine(backwards), all_of(wires)))


def test_two_queries_with_one_id_get_two_on_the_wire_and_their_own_back() -> None:
    wires, line = [query(number, 0x1234) for number in range(30)], PeerLine(answers)

    replies = told(line, all_of(wires))

    assert_each_has_its_own(wires, replies)
    assert len({wire[:2] for wire in line.queries}) == 30


def test_replies_in_single_octets_and_in_one_piece_are_the_same() -> None:
    def drips(peer: Peer, wire: bytes) -> None:
        peer.send(*(bytes([octet]) for octet in framed(echo(wire))))

    held: list[bytes] = []

    def in_one_piece(peer: Peer, wire: bytes) -> None:
        held.append(wire)
        if len(held) == 9:
            peer.send(b"".join(framed(echo(one)) for one in held))

    wires = [query(number) for number in range(9)]

    assert_each_has_its_own(wires, told(PeerLine(in_one_piece), all_of(wires)))
    assert_each_has_its_own(wires[:1], told(PeerLine(drips), all_of(wires[:1])))


def test_a_crowd_is_spread_over_a_few_connections_and_no_more() -> None:
    most: list[int] = []

    def slowly(peer: Peer, wire: bytes) -> None:
        most.append(len(peer.queries))
        asyncio.get_running_loop().call_later(0.2, peer.answer, wire)

    wires, line = [query(number) for number in range(700)], PeerLine(slowly)

    assert_each_has_its_own(wires, told(line, all_of(wires)))
    assert len(line.peers) == 4
    assert max(most[:100]) <= MOST_UNANSWERED


def test_more_than_can_be_kept_is_refused_with_a_reason() -> None:
    line = PeerLine(stays_silent)

    replies = told(line, all_of([query(number) for number in range(MOST_WAITING + 5)]))

    refused = [reply for reply in replies if isinstance(reply, OSError) and "wait for a connection" in str(reply)]
    assert len(refused) == 5


# idle connections


async def ask_and_wait(streams: Streams, wait_s: float) -> None:
    assert await ask(streams, query(1)) is not None
    await asyncio.sleep(wait_s)


@pytest.mark.parametrize(("waited_s", "closed"), [(19.0, False), (22.0, True)])
def test_a_connection_that_nobody_uses_is_closed(waited_s: float, closed: bool) -> None:
    line = PeerLine(answers)

    async def story(streams: Streams) -> bool:
        await ask_and_wait(streams, waited_s)
        return line.peers[0].closed_by_client

    assert told(line, story) is closed


def test_a_connection_in_use_is_kept() -> None:
    line = PeerLine(answers)

    async def story(streams: Streams) -> None:
        for _ in range(20):
            await ask_and_wait(streams, 10.0)

    told(line, story)

    assert len(line.peers) == 1


def test_a_connection_in_use_is_replaced_now_and_then_and_no_query_is_lost() -> None:
    def slowly(peer: Peer, wire: bytes) -> None:
        asyncio.get_running_loop().call_later(0.3, peer.answer, wire)

    line = PeerLine(slowly)

    async def story(streams: Streams) -> list[bytes | Exception]:
        async def client(first: int) -> list[bytes | Exception]:
            return [await ask(streams, query(number)) for number in range(first, first + 6000)]

        first, second = await asyncio.gather(client(0), client(10_000))
        return first + second

    replies = told(line, story)

    assert [reply for reply in replies if not isinstance(reply, bytes)] == []
    assert 5 <= len(line.peers) <= 8, "half an hour"


def with_timeout(wire: bytes, timeout: int) -> bytes:
    """Return a reply whose OPT record has edns-tcp-keepalive with this TIMEOUT."""
    reply = echo(wire)
    assert reply.endswith(KEEPALIVE.to_bytes(2, "big") + b"\0\0"), "the query has the option, as the last one, empty"
    at = len(reply) - 6
    assert int.from_bytes(reply[at : at + 2], "big") == 4, "nothing else is in the OPT record"
    return reply[:at] + b"\0\6" + KEEPALIVE.to_bytes(2, "big") + b"\0\2" + timeout.to_bytes(2, "big")


@pytest.mark.parametrize(("timeout", "waited_s", "closed"), [(50, 4.0, False), (50, 7.0, True), (0, 0.1, True)])
def test_the_server_says_for_how_long_it_keeps_a_connection(timeout: int, waited_s: float, closed: bool) -> None:
    line = PeerLine(lambda peer, wire: peer.answer(wire, with_timeout(wire, timeout)), keepalive=True)

    async def story(streams: Streams) -> bool:
        await ask_and_wait(streams, waited_s)
        return line.peers[0].closed_by_client

    assert told(line, story) is closed


def test_only_the_first_query_of_a_connection_asks_for_how_long_it_is_kept() -> None:
    line = PeerLine(answers, keepalive=True)

    async def story(streams: Streams) -> None:
        for number in range(3):
            await ask(streams, query(number))

    told(line, story)

    assert [wire.endswith(KEEPALIVE.to_bytes(2, "big") + b"\0\0") for wire in line.queries] == [True, False, False]


def test_a_connection_for_once_is_closed_when_nothing_is_in_flight() -> None:
    line = PeerLine(answers)

    async def story(streams: Streams) -> bool:
        replies = await all_of([query(number) for number in range(10)])(streams)
        await asyncio.sleep(0.01)
        return len(replies) == 10 and line.peers[0].closed_by_client

    assert told(line, story, idle_s=0.0) is True
    assert len(line.peers) == 1


def test_connections_end_with_their_loop_and_begin_anew_in_another() -> None:
    line = PeerLine(answers)
    streams = Streams(line, patience_s=6.0)

    replies = [run(ask(streams, query(number))) for number in (1, 2)]

    assert [type(reply) for reply in replies] == [bytes, bytes]
    assert [peer.closed_by_client for peer in line.peers] == [True, True]


# hostile, broken and restarted servers


def test_a_server_that_closes_after_each_reply_is_asked_one_at_a_time() -> None:
    def once(peer: Peer, wire: bytes) -> None:
        if len(peer.queries) and wire == peer.queries[0]:
            peer.answer(wire)
            peer.end()

    wires, line = [query(number) for number in range(60)], PeerLine(once)

    assert_each_has_its_own(wires, told(line, all_of(wires)))
    assert len(line.peers) <= 60
    assert len(line.queries) <= 60 + MOST_UNANSWERED


def test_a_burst_met_by_a_reset_is_asked_again_once_and_answered() -> None:
    def restarting(peer: Peer, wire: bytes) -> None:
        if peer.number == 0:
            peer.end(ConnectionResetError(104, "Connection reset by peer"))
        else:
            peer.answer(wire)

    wires, line = [query(number) for number in range(100)], PeerLine(restarting)

    assert_each_has_its_own(wires, told(line, all_of(wires)))
    assert sorted(line.peers[0].queries + line.peers[1].queries)[0] in line.queries


def test_what_is_reset_twice_is_reported_and_not_asked_a_third_time() -> None:
    line = PeerLine(lambda peer, wire: peer.end(ConnectionResetError(104, "Connection reset by peer")))

    replies = told(line, all_of([query(number) for number in range(10)]))

    assert {str(reply) for reply in replies} == {"[Errno 104] Connection reset by peer"}
    assert len(line.queries) == 20


def test_a_connection_that_closes_without_a_word_is_told_as_such() -> None:
    line = PeerLine(lambda peer, wire: peer.end())

    replies = told(line, all_of([query(1)]))

    assert isinstance(replies[0], ConnectionResetError)
    assert "without an answer" in str(replies[0])
    assert len(line.peers) == 2


def test_a_message_that_is_cut_is_no_answer() -> None:
    def cuts(peer: Peer, wire: bytes) -> None:
        peer.send(framed(echo(wire))[:-3])
        peer.end()

    line = PeerLine(cuts)

    replies = told(line, all_of([query(1)]))

    assert isinstance(replies[0], FormError)
    assert "closed within a message" in str(replies[0])
    assert len(line.queries) == 2


def test_a_reply_with_an_id_of_nobody_ends_the_connection_and_the_next_one_answers() -> None:
    def forges_first(peer: Peer, wire: bytes) -> None:
        if peer.number == 0:
            peer.send(framed((int.from_bytes(wire[:2], "big") ^ 1).to_bytes(2, "big") + echo(wire)[2:]))
        else:
            peer.answer(wire)

    wires, line = [query(1)], PeerLine(forges_first)

    assert_each_has_its_own(wires, told(line, all_of(wires)))


def test_a_server_that_always_answers_with_another_id_gets_a_mismatch_counted() -> None:
    def forges(peer: Peer, wire: bytes) -> None:
        peer.answer(wire, (int.from_bytes(wire[:2], "big") ^ 1).to_bytes(2, "big") + echo(wire)[2:])

    async def story(streams: Streams) -> Any:
        class Carries:
            def datagrams(self, wire: bytes) -> Any:
                raise AssertionError("never over UDP")

            async def stream(self, wire: bytes) -> bytes:
                return await streams.ask(wire)

        resolver = Resolver(Address("tls", "192.0.2.1", 853), attempts=1, transport=Carries())
        reply = await resolver.ask(names.from_text("www.example"), records.A)
        return reply, dict(resolver.tally.by_kind)

    reply, counted = told(PeerLine(forges), story)

    assert isinstance(reply, FetchFailure)
    assert reply.kind == "mismatch"
    assert counted == {"id": 1}


def test_swapped_ids_give_nobody_the_answer_of_another() -> None:
    held: list[bytes] = []

    def swaps(peer: Peer, wire: bytes) -> None:
        held.append(wire)
        if len(held) == 2:
            first, second = held
            peer.answer(first, first[:2] + echo(second)[2:])
            peer.answer(second, second[:2] + echo(first)[2:])

    async def story(streams: Streams) -> Any:
        class Carries:
            def datagrams(self, wire: bytes) -> Any:
                raise AssertionError("never over UDP")

            async def stream(self, wire: bytes) -> bytes:
                return await streams.ask(wire)

        resolver = Resolver(Address("tls", "192.0.2.1", 853), attempts=1, transport=Carries())
        asked = [resolver.ask(names.from_text(name), records.A) for name in ("a.example", "b.example")]
        return await asyncio.gather(*asked)

    replies = told(PeerLine(swaps), story)

    assert [reply.kind for reply in replies if isinstance(reply, FetchFailure)] == ["mismatch", "mismatch"]


@pytest.mark.parametrize("junk", [b"\0\0", b"\0\1x", b"\xff\xff" + b"x" * 65_535], ids=["empty", "one octet", "64 KB"])
def test_octets_that_are_no_reply_end_the_connection(junk: bytes) -> None:
    line = PeerLine(lambda peer, wire: peer.send(junk))

    replies = told(line, all_of([query(1)]))

    assert isinstance(replies[0], Mismatch)
    assert len(line.queries) == 2


def test_after_a_query_without_an_answer_the_next_one_takes_another_connection() -> None:
    def deaf_at_first(peer: Peer, wire: bytes) -> None:
        if peer.number:
            peer.answer(wire)

    line = PeerLine(deaf_at_first)

    async def story(streams: Streams) -> list[bytes | Exception]:
        return [await ask(streams, query(number), 1.0) for number in range(3)]

    first, *others = told(line, story)

    assert isinstance(first, TimeoutError)
    assert [type(one) for one in others] == [bytes, bytes]
    assert [peer.closed_by_client for peer in line.peers] == [True, True]


def test_a_connection_that_answers_others_is_kept_when_one_query_is_not_answered() -> None:
    def deaf_to_one(peer: Peer, wire: bytes) -> None:
        if qname(wire) != "h0.example.":
            peer.answer(wire)

    line = PeerLine(deaf_to_one)

    async def story(streams: Streams) -> Any:
        unanswered = asyncio.create_task(ask(streams, query(0), 1.0))
        for number in range(1, 30):
            assert isinstance(await ask(streams, query(number)), bytes)
            await asyncio.sleep(0.1)
        return await unanswered

    assert isinstance(told(line, story), TimeoutError)
    assert len(line.peers) == 1


@pytest.mark.parametrize("most", [1, 4, 1024])
def test_queries_without_an_answer_leave_room_for_others(most: int) -> None:
    def deaf_to_tens(peer: Peer, wire: bytes) -> None:
        if not qname(wire).partition(".")[0].endswith("0"):
            peer.answer(wire)

    line = PeerLine(deaf_to_tens, most=most)

    async def story(streams: Streams) -> list[int]:
        async def client(first: int) -> None:
            for number in range(first, 2000, 8):
                if not isinstance(await ask(streams, query(number), 1.0), bytes):
                    failed.append(number)

        failed: list[int] = []
        await asyncio.gather(*(client(first) for first in range(8)))
        return sorted(failed)

    assert told(line, story) == list(range(0, 2000, 10))


def test_for_once_a_query_without_an_answer_leaves_no_connection_behind() -> None:
    line = PeerLine(lambda peer, wire: peer.answer(wire) if qname(wire) != "h0.example." else None)

    async def story(streams: Streams) -> bool:
        unanswered = asyncio.create_task(ask(streams, query(0), 1.0))
        for number in range(1, 11):
            await ask(streams, query(number))
            await asyncio.sleep(0.05)
        assert isinstance(await unanswered, TimeoutError)
        await asyncio.sleep(0.01)
        return all(peer.closed_by_client for peer in line.peers)

    assert told(line, story, idle_s=0.0) is True
    assert len(line.peers) == 1


def test_a_late_reply_reaches_nobody_and_does_no_harm() -> None:
    def late(peer: Peer, wire: bytes) -> None:
        asyncio.get_running_loop().call_later(1.5 if qname(wire) == "h0.example." else 0.0, peer.answer, wire)

    line = PeerLine(late)

    async def story(streams: Streams) -> None:
        given_up = asyncio.create_task(ask(streams, query(0), 1.0))
        for number in range(1, 40):
            wire = query(number)
            assert await ask(streams, wire) == echo(wire)
            await asyncio.sleep(0.1)
        assert isinstance(await given_up, TimeoutError)

    told(line, story)

    assert len(line.peers) == 1


def test_a_server_that_never_answers_costs_few_connections_and_little_memory() -> None:
    line = PeerLine(stays_silent)

    async def story(streams: Streams) -> None:
        for number in range(30):
            await asyncio.gather(*(ask(streams, query(number * 100 + more), 1.0) for more in range(100)))
        await asyncio.sleep(1.0)

    told(line, story)

    assert len(line.peers) <= 30 * 4
    assert all(peer.closed_by_client for peer in line.peers)


def test_a_closed_port_is_tried_in_growing_pauses_and_answers_once_it_is_open() -> None:
    line = PeerLine(answers)
    line.refuses = ConnectionRefusedError(111, "Connection refused")

    async def story(streams: Streams) -> Any:
        async def client(number: int) -> None:
            while asyncio.get_running_loop().time() < 30:
                failed.append(await ask(streams, query(number)))
                await asyncio.sleep(0.01)

        failed: list[bytes | Exception] = []
        await asyncio.gather(*(client(number) for number in range(50)))
        line.refuses = None
        await asyncio.sleep(1.0)
        return failed, await ask(streams, query(1))

    failed, after = told(line, story)

    assert {str(one) for one in failed} == {"[Errno 111] Connection refused"}, "nobody waits longer than it may"
    assert len(line.tried_at) <= 30 / LONGEST_PAUSE_S + 10
    assert isinstance(after, bytes)


def test_a_connection_that_never_opens_is_given_up() -> None:
    class Never(PeerLine):
        async def open(self, connection: Any) -> Any:
            self.tried_at.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1e6)

    line = Never(answers)

    async def story(streams: Streams) -> bytes | Exception:
        return await ask(streams, query(1), 30.0)

    reply = told(line, story)

    assert isinstance(reply, ConnectionError)
    assert str(reply) == "no connection within 6 s"


def test_each_of_many_queries_to_a_server_that_does_all_of_this_is_answered_or_failed() -> None:
    dice = random.Random(3)

    def moody(peer: Peer, wire: bytes) -> None:
        match dice.randrange(40):
            case 0:
                peer.end(ConnectionResetError(104, "Connection reset by peer"))
            case 1:
                peer.end()
            case 2:
                peer.send(framed(echo(wire))[:7])
                peer.end()
            case 3:
                peer.send(framed(bytes(40)))
            case 4:
                pass
            case _:
                asyncio.get_running_loop().call_later(dice.random() * 0.05, peer.answer, wire)

    line = PeerLine(moody)
    wires = [query(number) for number in range(3_000)]

    async def story(streams: Streams) -> list[bytes | Exception]:
        numbers = iter(range(len(wires)))
        replies: dict[int, bytes | Exception] = {}

        async def worker() -> None:
            for number in numbers:
                replies[number] = await ask(streams, wires[number])

        await asyncio.gather(*(worker() for _ in range(200)))
        return [replies[number] for number in range(len(wires))]

    replies = told(line, story)

    pairs = [(reply, wire) for reply, wire in zip(replies, wires, strict=True) if isinstance(reply, bytes)]
    assert [wire for reply, wire in pairs if reply[:2] != wire[:2]] == []
    assert sum(reply != echo(wire) for reply, wire in pairs) < 100, "what came after a message that was cut"
    assert all(isinstance(reply, bytes | OSError | FormError) for reply in replies)
    assert sum(isinstance(reply, bytes) for reply in replies) > 2_400
    assert len(line.queries) <= MOST_SENT * len(wires)


def test_a_name_at_which_connections_are_reset_takes_no_other_name_with_it() -> None:
    def cut_by_something_between(peer: Peer, wire: bytes) -> None:
        if qname(wire).startswith("h0."):
            peer.end(ConnectionResetError(104, "Connection reset by peer"))
        else:
            asyncio.get_running_loop().call_later(0.02, peer.answer, wire)

    line = PeerLine(cut_by_something_between)

    async def story(streams: Streams) -> tuple[list[bytes | Exception], list[bytes | Exception]]:
        async def attacker() -> list[bytes | Exception]:
            replies = []
            while asyncio.get_running_loop().time() < 15:
                replies.append(await ask(streams, query(0)))
                await asyncio.sleep(1.0)
            return replies

        async def client(number: int) -> list[bytes | Exception]:
            replies = []
            while asyncio.get_running_loop().time() < 15:
                replies.append(await ask(streams, query(number)))
                await asyncio.sleep(0.2)
            return replies

        cut, *others = await asyncio.gather(attacker(), *(client(number) for number in range(1, 60)))
        return cut, [reply for replies in others for reply in replies]

    cut, others = told(line, story)

    assert {type(reply) for reply in cut} == {ConnectionResetError}
    failed = [reply for reply in others if not isinstance(reply, bytes)]
    assert len(others) > 3_000
    assert failed == []


def test_a_reply_is_what_the_reader_of_messages_reads() -> None:
    wire = query(1)

    (reply,) = told(PeerLine(answers), all_of([wire]))

    assert isinstance(read_response(reply), Response)

"""Replies told apart within one connection: octets in, replies out."""

import dns.message
import dns.rrset
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
from hyperframe.frame import DataFrame
from hypothesis import given
from hypothesis import strategies as st

from collector.dnssec import names, records
from collector.dnssec.message import FormError, read_options
from collector.resolvers.framing import KEEPALIVE, LengthPrefixed, with_keepalive
from collector.resolvers.http import MEDIA_TYPE
from collector.resolvers.http1 import Http1
from collector.resolvers.http2 import WINDOW_BYTES, Http2
from collector.resolvers.matching import Mismatch, write_query
from tests.support.peers import echo, framed


def counting(bits: int) -> int:
    return 7


def query(host: str = "www.example", *, edns: bool = True, cookie: bytes = b"") -> bytes:
    name = names.from_text(host)
    return write_query(name, records.A, counting, checking_disabled=True, edns=edns, client_cookie=cookie).wire


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.data())
def test_replies_are_the_same_however_the_octets_are_cut(sizes: list[int], data: st.DataObject) -> None:
    queries = [number.to_bytes(2, "big") + bytes(10) + b"q" * size for number, size in enumerate(sizes)]
    framing: LengthPrefixed[int] = LengthPrefixed(counting, keepalive=False)
    for number, wire in enumerate(queries):
        framing.ask(number, wire)
    order = data.draw(st.permutations(range(len(queries))))
    octets = b"".join(framed(echo(queries[number])) for number in order)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=20)))

    found: list[tuple[int, bytes]] = []
    for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        found += framing.receive(octets[start:stop])

    assert found == [(number, echo(queries[number])) for number in order]
    assert framing.awaited() == []


def test_what_is_sent_is_what_was_asked_with_its_length() -> None:
    framing: LengthPrefixed[int] = LengthPrefixed(counting, keepalive=False)

    framing.ask(1, query())

    assert framing.octets() == framed(query())
    assert framing.octets() == b""


@pytest.mark.parametrize("cookie", [b"", b"8 octets"])
def test_the_option_is_added_to_those_that_are_there(cookie: bytes) -> None:
    asked = dns.message.from_wire(with_keepalive(query(cookie=cookie)))

    assert [int(option.otype) for option in asked.options] == [*([10] if cookie else []), KEEPALIVE]
    assert asked.ednsflags == 0x8000


def test_a_query_without_edns_is_sent_as_it_is() -> None:
    assert with_keepalive(query(edns=False)) == query(edns=False)


def test_a_reply_that_can_not_be_read_says_nothing_of_the_connection() -> None:
    framing: LengthPrefixed[int] = LengthPrefixed(counting, keepalive=True)
    framing.ask(1, query())
    framing.octets()

    ((who, _),) = framing.receive(framed(echo(query())[:20]))

    assert (who, framing.idle_s, framing.is_spent) == (1, None, False)


def test_a_second_reply_to_one_query_fits_nothing() -> None:
    framing: LengthPrefixed[int] = LengthPrefixed(counting, keepalive=False)
    framing.ask(1, query())

    with pytest.raises(Mismatch, match="another id"):
        list(framing.receive(2 * framed(echo(query()))))


@pytest.mark.parametrize("cut", [3, 11, 13, 20, 28, 30])
def test_options_of_a_message_that_is_cut_are_a_fault(cut: int) -> None:
    reply = dns.message.make_response(dns.message.from_wire(query()))
    reply.answer = [dns.rrset.from_text("www.example.", 60, "IN", "A", "192.0.2.1")]

    with pytest.raises(FormError):
        read_options(reply.to_wire()[:cut])


# HTTP/2, against the other side of the same library


class Server:
    """The server's side: requests as they come, responses as a test wants them."""

    def __init__(self, settings: dict[h2.settings.SettingCodes, int] | None = None) -> None:
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        if settings:
            self.http.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.http.initiate_connection()
        self.requests: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.complete: list[int] = []

    def take(self, octets: bytes) -> None:
        for event in self.http.receive_data(octets):
            if isinstance(event, h2.events.RequestReceived):
                assert event.stream_id is not None
                self.requests[event.stream_id] = {str(k): str(v) for k, v in event.headers or ()}
                self.bodies[event.stream_id] = b""
            elif isinstance(event, h2.events.DataReceived):
                assert event.stream_id is not None
                self.bodies[event.stream_id] += event.data or b""
            elif isinstance(event, h2.events.StreamEnded):
                assert event.stream_id is not None
                self.complete.append(event.stream_id)

    def answer(self, stream: int, body: bytes, status: str = "200", media_type: str = MEDIA_TYPE) -> None:
        self.http.send_headers(stream, [(":status", status), ("content-type", media_type)])
        self.http.send_data(stream, body, end_stream=True)


def pair(settings: dict[h2.settings.SettingCodes, int] | None = None) -> tuple[Http2[str], Server]:
    client: Http2[str] = Http2("dns.example", "/dns-query")
    server = Server(settings)
    turn(client, server)
    turn(client, server)
    return client, server


def turn(client: Http2[str], server: Server) -> list[tuple[str, bytes | OSError | None]]:
    """Carry what both have to say, once each way."""
    server.take(client.octets())
    return list(client.receive(server.http.data_to_send()))


def test_a_request_is_a_post_with_the_media_type_and_the_query() -> None:
    client, server = pair()

    client.ask("a", query())
    turn(client, server)

    (stream,) = server.complete
    assert server.bodies[stream] == query()
    assert server.requests[stream] == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": "dns.example",
        ":path": "/dns-query",
        "content-type": MEDIA_TYPE,
        "accept": MEDIA_TYPE,
        "content-length": str(len(query())),
    }


def test_responses_in_any_order_reach_their_requests() -> None:
    client, server = pair()
    for who in "abc":
        client.ask(who, query())
    turn(client, server)
    for number, stream in enumerate(reversed(server.complete)):
        server.answer(stream, bytes([number]))

    assert turn(client, server) == [("c", b"\0"), ("b", b"\1"), ("a", b"\2")]
    assert client.awaited() == []


@pytest.mark.parametrize(
    ("status", "media_type", "said"),
    [
        ("503", MEDIA_TYPE, "HTTP status 503"),
        ("302", MEDIA_TYPE, "HTTP status 302"),
        ("200", "text/html; charset=utf-8", "content-type text/html instead of application/dns-message"),
        ("200", "", "content-type missing"),
    ],
)
def test_a_response_that_is_no_answer_says_why(status: str, media_type: str, said: str) -> None:
    client, server = pair()
    client.ask("a", query())
    turn(client, server)
    server.answer(server.complete[0], echo(query()), status, media_type)

    ((_, outcome),) = turn(client, server)

    assert isinstance(outcome, OSError)
    assert said in str(outcome)


def test_the_media_type_may_have_parameters_and_capitals() -> None:
    client, server = pair()
    client.ask("a", query())
    turn(client, server)
    server.answer(server.complete[0], b"x", media_type="Application/DNS-Message; v=1")

    assert turn(client, server) == [("a", b"x")]


def test_no_more_is_asked_at_once_than_the_server_takes() -> None:
    client, _ = pair({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 3})
    for number in range(3):
        assert client.room == 3 - number
        client.ask(str(number), query())

    assert client.room == 0


def test_requests_wait_for_the_flow_control_of_the_server() -> None:
    client, server = pair()
    for number in range(90):
        client.ask(str(number), bytes(1000))
    turn(client, server)
    assert 60 < len(server.complete) < 70, "the window is spent"

    for stream in list(server.complete):
        server.http.acknowledge_received_data(1000, stream)
    turn(client, server)
    turn(client, server)

    assert len(server.complete) == 90


def test_responses_of_more_than_a_window_flow_on() -> None:
    client, server = pair()
    sizes = 0
    for _ in range(3 * WINDOW_BYTES // 60_000):
        client.ask("a", query())
        turn(client, server)
        stream = server.complete[-1]
        server.http.send_headers(stream, [(":status", "200"), ("content-type", MEDIA_TYPE)])
        for part in range(4):
            server.http.send_data(stream, bytes(15_000), end_stream=part == 3)
        ((_, outcome),) = turn(client, server)
        assert isinstance(outcome, bytes)
        sizes += len(outcome)

    assert sizes > 2 * WINDOW_BYTES


def test_what_a_server_that_goes_away_did_not_begin_is_asked_elsewhere() -> None:
    client, server = pair()
    for who in "abc":
        client.ask(who, query())
    turn(client, server)
    server.answer(server.complete[0], b"x")
    server.http.close_connection(last_stream_id=server.complete[1])

    outcomes = turn(client, server)

    assert outcomes == [("a", b"x"), ("c", None)]
    assert client.awaited() == ["b"]
    assert (client.is_spent, client.room) == (True, 0)


@pytest.mark.parametrize(
    ("code", "outcome"), [(h2.errors.ErrorCodes.REFUSED_STREAM, type(None)), (h2.errors.ErrorCodes.CANCEL, OSError)]
)
def test_a_request_that_is_reset_is_asked_elsewhere_only_if_it_was_refused(
    code: h2.errors.ErrorCodes, outcome: type
) -> None:
    client, server = pair()
    client.ask("a", query())
    turn(client, server)
    server.http.reset_stream(server.complete[0], code)

    ((who, found),) = turn(client, server)

    assert who == "a"
    assert isinstance(found, outcome)


def test_a_body_larger_than_any_message_ends_the_connection() -> None:
    client, server = pair()
    client.ask("a", query())
    turn(client, server)
    stream = server.complete[0]
    server.http.send_headers(stream, [(":status", "200"), ("content-type", MEDIA_TYPE)])
    turn(client, server)
    frames = []
    for _ in range(5):
        frame = DataFrame(stream)
        frame.data = bytes(16_000)
        frames.append(frame.serialize())

    with pytest.raises(FormError, match="FlowControl"):
        list(client.receive(b"".join(frames)))


@given(st.binary(min_size=1, max_size=300))
def test_octets_that_are_no_http_are_a_fault_or_not_enough(octets: bytes) -> None:
    for framing in (Http1[str]("dns.example", "/dns-query"), Http2[str]("dns.example", "/dns-query")):
        framing.ask("a", query())
        try:
            found = list(framing.receive(octets))
        except FormError:
            continue
        assert [outcome for _, outcome in found if isinstance(outcome, bytes)] == []


# HTTP/1.1


def ask_one(response: bytes) -> tuple[Http1[str], list[tuple[str, bytes | OSError | None]]]:
    framing: Http1[str] = Http1("dns.example:8443", "/dns-query")
    framing.ask("a", query())
    assert framing.octets().startswith(b"POST /dns-query HTTP/1.1\r\n")
    assert framing.room == 0
    return framing, list(framing.receive(response))


GOOD = b"HTTP/1.1 200 OK\r\ncontent-type: application/dns-message\r\n"


def test_a_connection_is_kept_after_a_response() -> None:
    framing, outcomes = ask_one(GOOD + b"content-length: 2\r\n\r\nhi")

    assert outcomes == [("a", b"hi")]
    assert (framing.room, framing.is_spent) == (1, False)
    framing.ask("b", query())
    assert list(framing.receive(GOOD + b"content-length: 2\r\n\r\nho")) == [("b", b"ho")]


def test_a_connection_that_the_server_will_close_is_spent() -> None:
    framing, outcomes = ask_one(GOOD + b"connection: close\r\ncontent-length: 2\r\n\r\nhi")

    assert outcomes == [("a", b"hi")]
    assert (framing.room, framing.is_spent) == (0, True)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    framing, outcomes = ask_one(GOOD + b"connection: close\r\n\r\nhi")

    assert outcomes == []
    assert list(framing.receive(b"")) == [("a", b"hi")]


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        GOOD + b"content-length: 70000\r\n\r\n" + bytes(70_000),
        GOOD + b"x: " + b"x" * 200_000,
        GOOD + b"content-length: 2\r\n\r\nhi" + GOOD + b"content-length: 2\r\n\r\nho",
    ],
    ids=["another protocol", "too large", "an endless header", "an answer to nothing"],
)
def test_what_is_no_response_ends_the_connection(response: bytes) -> None:
    with pytest.raises(FormError):
        ask_one(response)


def test_a_response_that_is_cut_is_no_answer() -> None:
    framing, outcomes = ask_one(GOOD + b"content-length: 20\r\n\r\nhi")

    assert outcomes == []
    with pytest.raises(FormError):
        list(framing.receive(b""))

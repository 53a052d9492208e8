"""DoH over HTTP/2: a stream for each query, many at once. Makes and reads octets only.

A stream whose query was given up is not reset: what still comes for it is read and passed over, so that flow control
stays in step, and no server takes us for an attacker.

Source: RFC 8484 §5.2, RFC 9113.
"""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from collector.dnssec.message import FormError
from collector.resolvers.http import MEDIA_TYPE, HttpReply

T = TypeVar("T")
Outcome = bytes | OSError | None

WINDOW_BYTES = 1 << 20
MOST_STREAMS = 256
LAST_STREAM = 1 << 30  # ids run out at 2^31 (RFC 9113 §5.1.1)


class Http2(Generic[T]):
    """One HTTP/2 connection to a DoH resolver."""

    most_connections = 2

    def __init__(self, authority: str, path: str) -> None:
        self.idle_s: float | None = None
        self.is_spent = False
        # What we send is written below, in the form that HTTP/2 wants.
        config = H2Configuration(
            client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._http = H2Connection(config)
        self._http.local_settings = Settings(client=True, initial_values={SettingCodes.ENABLE_PUSH: 0})
        self._http.initiate_connection()
        self._http.increment_flow_control_window(WINDOW_BYTES)
        self._to_acknowledge = 0
        self._head = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority.encode("ascii")),
            (b":path", path.encode("ascii")),
            (b"content-type", MEDIA_TYPE.encode("ascii")),
            (b"accept", MEDIA_TYPE.encode("ascii")),
        ]
        self._awaited: dict[int, tuple[T, HttpReply]] = {}
        self._held: deque[tuple[T, bytes]] = deque()  # until the server's flow control lets them go

    @property
    def room(self) -> int:
        """Return how many more requests the server takes."""
        if self.is_spent:
            return 0
        most = min(self._http.remote_settings.max_concurrent_streams, MOST_STREAMS)
        return most - len(self._awaited) - len(self._held)

    def awaited(self) -> list[T]:
        """Return those whose responses did not come."""
        return [who for who, _ in self._awaited.values()] + [who for who, _ in self._held]

    def ask(self, who: T, wire: bytes) -> None:
        """Take a query."""
        if self._held or self._http.outbound_flow_control_window < len(wire):
            self._held.append((who, wire))
        else:
            self._post(who, wire)

    def octets(self) -> bytes:
        """Return what is to be sent now."""
        return self._http.data_to_send()

    def receive(self, data: bytes) -> Iterator[tuple[T, Outcome]]:
        """Yield what ``data`` completes.

        Raises:
            FormError: it is no HTTP/2, or more than the windows hold, such as a body larger than any message.
        """
        try:
            for event in self._http.receive_data(data) if data else ():
                yield from self._heed(event)
        except H2Error as error:
            raise FormError(f"no HTTP/2: {type(error).__name__}") from error
        while self._held and not self.is_spent and self._http.outbound_flow_control_window >= len(self._held[0][1]):
            self._post(*self._held.popleft())

    def cut(self) -> Exception:
        """Return what it means for those awaited that the connection ends now."""
        return ConnectionResetError("the server closed the connection without an answer")

    def _post(self, who: T, wire: bytes) -> None:
        stream = self._http.get_next_available_stream_id()
        self._http.send_headers(stream, [*self._head, (b"content-length", str(len(wire)).encode("ascii"))])
        self._http.send_data(stream, wire, end_stream=True)
        self._awaited[stream] = who, HttpReply()
        self.is_spent = self.is_spent or stream > LAST_STREAM

    def _heed(self, event: Event) -> Iterator[tuple[T, Outcome]]:
        if isinstance(event, ConnectionTerminated):
            yield from self._turned_away(event)
            return
        if isinstance(event, DataReceived):
            self._acknowledge(event.flow_controlled_length or 0)
        stream = getattr(event, "stream_id", None) or 0
        found = self._awaited.get(stream)
        if found is None:
            return
        who, reply = found
        if isinstance(event, ResponseReceived):
            fields = [(_octets(name), _octets(value)) for name, value in event.headers or ()]
            reply.head(dict(fields).get(b":status", b"").decode("latin-1"), fields)
        elif isinstance(event, DataReceived):
            reply.add(event.data or b"")
        elif isinstance(event, StreamEnded):
            del self._awaited[stream]
            yield who, reply.outcome()
        elif isinstance(event, StreamReset):
            del self._awaited[stream]
            if event.error_code == ErrorCodes.REFUSED_STREAM:
                yield who, None
            else:
                yield who, ConnectionResetError("the server reset the request")

    def _acknowledge(self, size: int) -> None:
        """Let the server send on. A stream's own window holds any message and no more, so it is not opened again."""
        self._to_acknowledge += size
        if self._to_acknowledge >= WINDOW_BYTES // 2 and not self.is_spent:
            self._http.increment_flow_control_window(self._to_acknowledge)
            self._to_acknowledge = 0

    def _turned_away(self, event: ConnectionTerminated) -> Iterator[tuple[T, Outcome]]:
        """Give back what the server did not begin: it takes no more on this connection (RFC 9113 §6.8)."""
        self.is_spent = True
        last = event.last_stream_id or 0
        for stream in [one for one in self._awaited if one > last]:
            yield self._awaited.pop(stream)[0], None
        held, self._held = self._held, deque()
        for who, _ in held:
            yield who, None


def _octets(field: bytes | str) -> bytes:
    return field if isinstance(field, bytes) else field.encode("latin-1")

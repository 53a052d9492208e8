"""DoH over HTTP/1.1, for servers without HTTP/2: one query at a time on a kept-alive connection. Octets only.

Source: RFC 8484 §5.2 (HTTP/2 is the least that is recommended), RFC 9112 §9.3 (persistence).
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

import h11

from collector.dnssec.message import FormError
from collector.resolvers.http import MEDIA_TYPE, HttpReply

T = TypeVar("T")


class Http1(Generic[T]):
    """One HTTP/1.1 connection to a DoH resolver."""

    most_connections = 16

    def __init__(self, authority: str, path: str) -> None:
        self.idle_s: float | None = None
        self.is_spent = False
        self._authority, self._path = authority, path
        self._http = h11.Connection(h11.CLIENT)
        self._awaited: list[T] = []
        self._reply = HttpReply()
        self._written: list[bytes] = []

    @property
    def room(self) -> int:
        """Return whether a request may be sent."""
        return 0 if self.is_spent or self._awaited else 1

    def awaited(self) -> list[T]:
        """Return whose response did not come."""
        return list(self._awaited)

    def ask(self, who: T, wire: bytes) -> None:
        """Take a query."""
        headers = [
            ("host", self._authority),
            ("content-type", MEDIA_TYPE),
            ("accept", MEDIA_TYPE),
            ("content-length", str(len(wire))),
        ]
        request = h11.Request(method="POST", target=self._path, headers=headers)
        for event in (request, h11.Data(data=wire), h11.EndOfMessage()):
            self._written.append(self._http.send(event) or b"")
        self._awaited.append(who)
        self._reply = HttpReply()

    def octets(self) -> bytes:
        """Return what is to be sent now."""
        written, self._written = self._written, []
        return b"".join(written)

    def receive(self, data: bytes) -> Iterator[tuple[T, bytes | OSError | None]]:
        """Yield what ``data`` completes; no data is the end of what comes.

        Raises:
            FormError: it is no HTTP/1.1, or a body larger than any message.
        """
        if not data and not self._awaited:
            self.is_spent = True
            return
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if not self._awaited and isinstance(event, h11.Response):
                    raise FormError("an HTTP response to no request")
                if isinstance(event, h11.Response):
                    self._reply.head(str(event.status_code), list(event.headers))
                elif isinstance(event, h11.Data):
                    self._reply.add(bytes(event.data))
                    if self._reply.is_too_large:
                        raise FormError("the body is larger than any DNS message")
                elif isinstance(event, h11.EndOfMessage):
                    yield self._awaited.pop(), self._reply.outcome()
                    if not self._begin_next():
                        return
                elif not isinstance(event, h11.InformationalResponse):
                    self.is_spent = isinstance(event, h11.ConnectionClosed) or self.is_spent
                    return
        except h11.RemoteProtocolError as error:
            raise FormError(f"no HTTP/1.1: {str(error)[:80]}") from error

    def cut(self) -> Exception:
        """Return what it means for those awaited that the connection ends now."""
        return ConnectionResetError("the server closed the connection without an answer")

    def _begin_next(self) -> bool:
        """Return whether the connection may carry another request."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        self.is_spent = True
        return False

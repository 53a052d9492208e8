"""How queries and replies are told apart within one connection; for TCP and DoT by length and id. Pure.

Source: RFC 1035 §4.2.2 (length), RFC 7766 §6.2.1.1 and §7 (pipelining, any order), RFC 7828 (edns-tcp-keepalive).
"""

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from collector.dnssec import records
from collector.dnssec.message import FormError, read_options
from collector.resolvers.matching import HEADER_BYTES, Mismatch

T = TypeVar("T")

MOST_AWAITED = 1024
KEEPALIVE = 11
_KEEPALIVE_UNIT_S = 0.1
_ONE_QUESTION_AND_OPT = b"\0\1\0\0\0\0\0\1"
_OPT_BYTES = 11


class Framing(Protocol[T]):
    """One connection's queries, each known by whatever the caller gives with it. It only makes and reads octets.

    ``most_connections`` is how many connections of this kind are sensible beside each other. ``idle_s`` is for how long
    the server keeps an idle connection, None while it has not said so. ``is_spent``: nothing more may be asked here.
    """

    most_connections: int
    idle_s: float | None
    is_spent: bool

    @property
    def room(self) -> int:
        """Return how many more queries the server takes now."""
        ...

    def awaited(self) -> list[T]:
        """Return those whose replies did not come, in the order in which they were asked."""
        ...

    def ask(self, who: T, wire: bytes) -> None:
        """Take a query; its octets are among those to be sent next. There must be room."""
        ...

    def octets(self) -> bytes:
        """Return what is to be sent now."""
        ...

    def receive(self, data: bytes) -> Iterator[tuple[T, bytes | OSError | None]]:
        """Yield what ``data`` completes: a reply, why there is none, or None where it should be asked again elsewhere.

        No data means that the server sends no more.

        Raises:
            FormError: what came fits nothing that was asked, so that nothing here can be believed any longer.
        """
        ...

    def cut(self) -> Exception:
        """Return what it means for those awaited that the connection ends now."""
        ...


class LengthPrefixed(Generic[T]):
    """DNS over TCP or TLS. Ids are those of the queries, or other random ones where two would be the same."""

    most_connections = 4

    def __init__(self, random_bits: Callable[[int], int], *, keepalive: bool) -> None:
        """``keepalive``: ask the server for how long it keeps an idle connection."""
        self.idle_s: float | None = None
        self.is_spent = False
        self._random_bits = random_bits
        self._asks_keepalive = keepalive
        self._keepalive_id: int | None = None
        # By the id on the wire; the id that the query had.
        self._awaited: dict[int, tuple[T, bytes]] = {}
        self._written: list[bytes] = []
        self._rest = b""

    @property
    def room(self) -> int:
        """Return how many more queries may be asked."""
        return 0 if self.is_spent else MOST_AWAITED - len(self._awaited)

    def awaited(self) -> list[T]:
        """Return those whose replies did not come."""
        return [who for who, _ in self._awaited.values()]

    def ask(self, who: T, wire: bytes) -> None:
        """Take a query."""
        given = wire[:2]
        key = given[0] << 8 | given[1]
        while key in self._awaited:
            # "clients MUST NOT reuse the DNS Message ID of an in-flight query on that connection": RFC 7766 §6.2.1
            key = self._random_bits(16)
        self._awaited[key] = who, given
        if self._asks_keepalive:
            # The server's word holds for the connection, so one query asks for it (RFC 7828 §3.2.1).
            self._asks_keepalive, self._keepalive_id = False, key
            wire = with_keepalive(wire)
        self._written.append(len(wire).to_bytes(2, "big") + key.to_bytes(2, "big") + wire[2:])

    def octets(self) -> bytes:
        """Return what is to be sent now."""
        written, self._written = self._written, []
        return b"".join(written)

    def receive(self, data: bytes) -> Iterator[tuple[T, bytes]]:
        """Yield the replies that are complete, each with the id of its query.

        Raises:
            FormError: a message too short, or with an id that nobody waits for.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            stop = at + 2 + (data[at] << 8 | data[at + 1])
            if stop > end:
                break
            message, at = data[at + 2 : stop], stop
            if len(message) < HEADER_BYTES:
                raise Mismatch("malformed", "shorter than a header")
            key = message[0] << 8 | message[1]
            found = self._awaited.pop(key, None)
            if found is None:
                # Whose reply this is can't be told, so neither can it of any other one that came or comes here.
                raise Mismatch("id", "another id")
            who, given = found
            if key == self._keepalive_id:
                self._heed_keepalive(message)
            yield who, message if given == message[:2] else given + message[2:]
        self._rest = data[at:]

    def cut(self) -> Exception:
        """Return what it means for those awaited that the connection ends now."""
        if self._rest:
            return FormError("the connection closed within a message")
        return ConnectionResetError("the server closed the connection without an answer")

    def _heed_keepalive(self, message: bytes) -> None:
        self._keepalive_id = None
        try:
            said = read_options(message).get(KEEPALIVE, b"")
        except FormError:
            return  # whoever waits for this message is told
        if len(said) == 2:
            self.idle_s = int.from_bytes(said, "big") * _KEEPALIVE_UNIT_S
            # Zero asks to close the connection as soon as nothing is in flight (RFC 7828 §3.4).
            self.is_spent = self.idle_s == 0


def with_keepalive(wire: bytes) -> bytes:
    """Return a query with an empty edns-tcp-keepalive option, itself where it has no EDNS. Source: RFC 7828 §3.1."""
    if wire[4:HEADER_BYTES] != _ONE_QUESTION_AND_OPT:
        return wire
    at = HEADER_BYTES
    while wire[at]:
        at += wire[at] + 1
    at += 5
    if wire[at : at + 3] != b"\0" + records.OPT.to_bytes(2, "big"):
        return wire
    options = wire[at + _OPT_BYTES :] + KEEPALIVE.to_bytes(2, "big") + b"\0\0"
    return wire[: at + _OPT_BYTES - 2] + len(options).to_bytes(2, "big") + options

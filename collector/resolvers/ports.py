"""A pool of UDP sockets, each connected to one resolver, from which datagrams are sent and taken in bursts.

Connected, so that replies from elsewhere never arrive. Each is replaced after a while by one with a fresh port, and
kept until the replies to what left by it must have come.

Source: RFC 5452 §9.2 (many and unpredictable ports).
"""

import contextlib
import logging
import resource
import selectors
import socket
from collections.abc import Callable, Iterator

from collector.resolvers.transport import SocketAddress

log = logging.getLogger(__name__)

WANTED = 256
LEAST = 16
LONGEST_S = 120.0
MOST_QUESTIONS = 20_000
DRAIN_S = 10.0
MAX_DATAGRAM_BYTES = 65_535
MOST_AT_ONCE = 512
RECEIVE_BUFFER_BYTES = 1 << 18


def affordable(vantages: int) -> int:
    """Return how many ports each of so many vantages may have: within half of the files that this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * vantages * WANTED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    count = WANTED if soft == resource.RLIM_INFINITY else min(WANTED, soft // 2 // max(vantages, 1))
    if count < WANTED:
        log.warning(
            "few ports to ask resolvers from, so replies are forged more easily: allow more open files (ulimit -n)",
            extra={"ports": max(count, LEAST), "wanted": WANTED, "open_files": soft},
        )
    return max(count, LEAST)


class UdpPorts:
    """``count`` sockets to one address. ``clock`` returns monotonic seconds."""

    def __init__(self, address: SocketAddress, count: int, clock: Callable[[], float]) -> None:
        self._address, self._clock = address, clock
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[int, socket.socket] = {}
        self._open: list[int] = []
        self._sent: dict[int, int] = {}
        self._draining: list[tuple[float, int]] = []
        self._numbers = 0
        self._next = 0
        self._replace_at = clock()
        self._every_s = LONGEST_S / count
        self.refused: list[int] = []
        try:
            for _ in range(count):
                self._open.append(self._open_one())
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """Return a file descriptor that can be read while datagrams wait."""
        return self._selector.fileno()

    def choose(self, number: int) -> int:
        """Return one of the open ports; every number from 0 to 65,535 stands for one of them."""
        return self._open[number % len(self._open)]

    def send(self, port: int, wire: bytes) -> bool:
        """Send a datagram by a port; return whether it left."""
        try:
            self._sockets[port].send(wire)
        except BlockingIOError:
            return False
        except OSError:
            self.refused.append(port)
            return False
        self._sent[port] += 1
        return True

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Yield what has come, with its port; a port that the network refuses is noted in ``refused``."""
        for key, _ in self._selector.select(0)[:MOST_AT_ONCE]:
            port: int = key.data
            connection = self._sockets.get(port)
            if connection is None:
                continue
            try:
                yield port, connection.recv(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                self.refused.append(port)

    def take_refused(self) -> list[int]:
        """Return the ports at which the network said that nobody listens, since the last call."""
        refused, self.refused = self.refused, []
        return refused

    def renew(self) -> None:
        """Replace the oldest ports that have served long enough, and close those whose replies must have come.

        While none can be opened, for want of descriptors or of a network, the old ones go on serving.
        """
        now = self._clock()
        while self._draining and self._draining[0][0] <= now:
            self._close(self._draining.pop(0)[1])
        worn = [at for at, port in enumerate(self._open) if self._sent[port] >= MOST_QUESTIONS]
        if now >= self._replace_at:
            self._replace_at = now + self._every_s
            self._next = (self._next + 1) % len(self._open)
            worn.append(self._next)
        for at in dict.fromkeys(worn):
            try:
                fresh = self._open_one()
            except OSError:
                return
            self._draining.append((now + DRAIN_S, self._open[at]))
            self._open[at] = fresh

    def close(self) -> None:
        """Close all sockets."""
        for port in list(self._sockets):
            self._close(port)
        self._selector.close()

    def _open_one(self) -> int:
        family, address = self._address
        connection = socket.socket(family, socket.SOCK_DGRAM)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        self._numbers += 1
        number = self._numbers
        self._sockets[number], self._sent[number] = connection, 0
        self._selector.register(connection, selectors.EVENT_READ, number)
        return number

    def _close(self, port: int) -> None:
        connection = self._sockets.pop(port)
        del self._sent[port]
        self._selector.unregister(connection)
        connection.close()

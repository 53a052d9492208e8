"""uvicorn inside our own loop, with an end to what connections may cost: so many, so long, for so much.

A connection that asks nothing, or asks slowly, is dropped: after a time of its own, and at once when others wait. So
neither a scanner nor a dripping client keeps a probe out, nor takes the descriptors that the engine needs.
"""

import asyncio
import contextlib
import logging
import resource
import socket
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from anchorwatch.web.guard import HEADERS
from anchorwatch.web.streams import EXTENSION, Held

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 256
BACKLOG = 64  # so many are accepted before the first of them can be dropped
MAX_HEADERS = 16_384
STREAM_BUFFER_BYTES = 16_384
UNACKNOWLEDGED_MS = 30_000  # what a stream sent, and a reader that vanished never acknowledged


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What connections may cost: how many at once, how long a request may take to come and to be answered.

    ``idle_s`` is from the first octet that could have come to the last of the headers; ``answer_s`` from there to the
    last octet of the answer, whoever reads it. A stream of events has no such end, and none is idle.
    """

    connections: int = MOST_CONNECTIONS
    idle_s: float = 10.0
    answer_s: float = 60.0

    @property
    def streams(self) -> int:
        """Return how many connections may be streams of events: 200 of 256, so that the others never take all."""
        return max(1, self.connections * 25 // 32)


def raise_descriptor_limit() -> int:
    """Raise the limit of open descriptors to what the system lets this process have, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def connections_for(descriptors: int) -> int:
    """Return how many connections leave three of four descriptors to engine, polls and files."""
    return max(8, min(MOST_CONNECTIONS, descriptors // 4))


class _Connections:
    """The open connections of one server; what waits longest comes first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.waiting: dict[_Connection, None] = {}
        self.busy: set[_Connection] = set()
        self.streams: dict[_Connection, asyncio.Event] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self.waiting) + len(self.busy) + len(self.streams)

    def make_room(self) -> bool:
        """Return whether one more may come in, after the one that asked nothing for longest had to go, or a stream."""
        if len(self) < self.limits.connections:
            return True
        self.dropped += 1
        log.warning("the HTTP side has as many connections as it may: the longest idle one is dropped")
        # A stream that is cut begins anew by itself, and hears of what it missed: it goes before a probe has to.
        oldest = next(iter(self.waiting), None) or next(iter(self.streams), None)
        if oldest is None:
            return False
        oldest.drop()
        return True


class _Connection(H11Protocol):
    """One connection, under the limits."""

    def __init__(self, connections: _Connections, **more: Any) -> None:
        super().__init__(**more)
        self._all, self._limits = connections, connections.limits
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, if there is room."""
        super().connection_made(transport)
        if self._all.make_room():
            self._wait()
        else:
            self.drop()

    def _wait(self) -> None:
        """Begin to wait for a request."""
        self._all.busy.discard(self)
        self._all.streams.pop(self, None)
        self._all.waiting.pop(self, None)
        self._all.waiting[self] = None
        self._arm(self._limits.idle_s)

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.drop)

    def handle_events(self) -> None:
        """Look at what came; a whole request begins the time of its answer."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._all.waiting.pop(self, None)
            if not self.transport.is_closing():
                self._all.busy.add(self)
                self._arm(self._limits.answer_s)
                # The task of the answer begins after this.
                self.scope["extensions"] = {EXTENSION: {"hold": self._hold}}

    def _hold(self) -> Held | None:
        """Hold this connection for a stream: for as long as its reader reads; None if there are too many."""
        if len(self._all.streams) >= self._limits.streams or self.transport.is_closing():
            return None
        self._all.busy.discard(self)
        self._all.streams[self] = ended = asyncio.Event()
        if self._timer is not None:
            self._timer.cancel()
        # Little is kept for a reader that does not read: a stream of hints is worth nothing when it comes late.
        self.transport.set_write_buffer_limits(high=STREAM_BUFFER_BYTES)
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        return Held(ended, self.drop)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if not self.transport.is_closing():
            self._wait()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, with the headers of every answer; after an answer has begun, hang up."""
        if self.conn.our_state is not h11.IDLE and self.conn.our_state is not h11.SEND_RESPONSE:
            self.drop()
            return
        headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close"), *HEADERS.items()]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii", "replace")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        self._all.waiting.pop(self, None)
        self._all.busy.discard(self)
        self._all.streams.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()

    def drop(self) -> None:
        """End it now, whatever it was about."""
        self._forget()
        self.transport.abort()


class Server:
    """uvicorn inside our own loop: no signal handlers, an address that is checked before anything runs."""

    def __init__(self, app: ASGIApp, host: str, port: int, limits: Limits | None = None) -> None:
        self._host, self._port = host, port
        self._connections = _Connections(limits or Limits(connections=connections_for(raise_descriptor_limit())))
        config = uvicorn.Config(
            app,
            http=self._make_connection,  # type: ignore[arg-type]  # a factory does what a class does
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            h11_max_incomplete_event_size=MAX_HEADERS,
            timeout_graceful_shutdown=3,
        )
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    def _make_connection(self, **more: Any) -> _Connection:
        return _Connection(self._connections, **more)

    @property
    def open_connections(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    @property
    def busy_connections(self) -> int:
        """Return how many of them wait for an answer."""
        return len(self._connections.busy)

    @property
    def open_streams(self) -> int:
        """Return how many of them are streams of events."""
        return len(self._connections.streams)

    @property
    def dropped_connections(self) -> int:
        """Return how often a connection had to go because there were too many."""
        return self._connections.dropped

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"http.listen: {self._host}:{self._port}: {error.strerror}") from error
        listener.listen(BACKLOG)
        host, port = listener.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        # Signals are the instance's business, so the public entry that takes them over is not used.
        self._task = asyncio.create_task(self._server._serve([listener]))

    async def stop(self) -> None:
        """Close connections and end; streams end at once."""
        self._server.should_exit = True
        for ended in self._connections.streams.values():
            ended.set()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

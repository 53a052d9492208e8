"""One HTTP exchange under one deadline: looking up, connecting, TLS, sending, and as much of the answer as matters.

A timeout of a socket is for each of its steps, so a peer that sends an octet now and then holds it for ever. Here a
timer cuts the connection when the time is up, whatever it waits for. Only looking up a name can't be cut: a caller that
must go on in time runs the exchange in a thread that it can leave.
"""

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from alerts.receivers.receiver import Answer
from schemas.egress import Egress

MAX_BODY_BYTES = 2048
AGENT = "anchorwatch"


class Line:
    """The way to receivers by the rule ``egress``; safe to use from many threads at once."""

    def __init__(self, egress: Egress | None = None) -> None:
        self._egress = egress or Egress()
        self._tls = ssl.create_default_context(cafile=self._egress.ca_path or None)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        deadline_s: float,
        wants_body: bool = False,
        most_bytes: int = MAX_BODY_BYTES,
    ) -> Answer:
        """Send a request once, on a connection of its own, and return the answer; nothing is followed.

        The body of an answer is read, up to ``most_bytes``, only if it says why it refuses, or ``wants_body``.

        Raises:
            urllib3.exceptions.HTTPError: there was no answer in time, or none that is HTTP.
            OSError: the same.
        """
        with _Cutter(deadline_s) as cutter:
            manager = self._manager(url, cutter)
            try:
                answer = manager.request(
                    method,
                    url,
                    body=body or None,
                    headers={"user-agent": AGENT, "connection": "close", **(headers or {})},
                    timeout=deadline_s,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
                with contextlib.closing(answer):
                    cutter.check()  # a head that was cut reads like a whole one
                    return Answer(answer.status, _lower(answer.headers), _body_of(answer, wants_body, most_bytes))
            finally:
                manager.clear()

    def _manager(self, url: str, cutter: "_Cutter") -> urllib3.PoolManager:
        proxy = self._egress.proxy_for(url)
        options: dict[str, Any] = {"ssl_context": self._tls}
        if proxy:
            user = self._egress.user_of(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
            if proxy.startswith("https:"):
                options["proxy_ssl_context"] = self._tls
            manager: urllib3.PoolManager = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = cutter.pool_classes()
        return manager


def _lower(headers: Any) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}


def _body_of(answer: urllib3.BaseHTTPResponse, is_wanted: bool, most_bytes: int) -> bytes:
    """Return why something was refused; an answer that says yes is yes, however its body goes on."""
    if 200 <= answer.status < 300 and not is_wanted:
        return b""
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        return answer.read(most_bytes)
    return b""


class _Cutter:
    """Cuts every connection of one exchange when its time is up."""

    def __init__(self, deadline_s: float) -> None:
        self._ends_at = time.monotonic() + deadline_s
        self._timer = threading.Timer(deadline_s, self.cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []

    def __enter__(self) -> "_Cutter":
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        self.cut()

    def watch(self, connected: socket.socket) -> socket.socket:
        """Return the socket, from now on cut with the others; TLS takes its number over, hence the second handle."""
        with self._lock:
            if time.monotonic() < self._ends_at:
                self._handles.append(connected.dup())
                return connected
        connected.close()
        raise TimeoutError("the connection came too late")

    def check(self) -> None:
        """Raise TimeoutError if the time was up before now."""
        if time.monotonic() >= self._ends_at:
            raise TimeoutError("no whole answer in time")

    def cut(self) -> None:
        """End what is under way."""
        with self._lock:
            handles, self._handles = self._handles, []
        for handle in handles:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def pool_classes(self) -> dict[str, Any]:
        """Return the pools whose connections are watched."""
        watch = self.watch

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return watch(super()._new_conn())

        class Secured(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return watch(super()._new_conn())

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecuredPool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secured

        return {"http": PlainPool, "https": SecuredPool}

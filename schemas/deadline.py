"""One deadline for one HTTP exchange: looking up, connecting, TLS, sending, and all of the answer.

A timeout of a socket is for each of its steps, so a peer that sends an octet now and then holds it for ever. Here a
timer cuts the connections when the time is up, whatever they wait for. Only looking up a name can't be cut: a caller
that must go on in time runs the exchange in a thread that it can leave.
"""

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from schemas.egress import Egress

SHORTEST_S = 0.01


class Deadline:
    """Cuts every connection of one exchange when its time, in seconds, is up; a context, in which the time runs."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        self.cut()

    @property
    def is_over(self) -> bool:
        """Return whether the time is up."""
        return time.monotonic() >= self._ends_at

    def left_s(self) -> float:
        """Return how many seconds are left, at least a few milliseconds."""
        return max(self._ends_at - time.monotonic(), SHORTEST_S)

    def check(self) -> None:
        """Check that what was read is whole: what was cut may read like it.

        Raises:
            TimeoutError: the time is up.
        """
        if self.is_over:
            raise TimeoutError("no whole answer in time")

    def cut(self) -> None:
        """End what is under way."""
        with self._lock:
            handles, self._handles = self._handles, []
        for handle in handles:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def manager(
        self, url: str, egress: Egress, trusted: ssl.SSLContext | None, proxy_trusted: ssl.SSLContext | None
    ) -> urllib3.PoolManager:
        """Return what reaches a URL by the rule ``egress``, with connections that are cut; the caller clears it.

        ``trusted`` verifies the server, ``proxy_trusted`` a proxy that is spoken to over TLS.
        """
        proxy = egress.proxy_for(url)
        if proxy:
            user = egress.user_of(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
            options: dict[str, Any] = {"proxy_ssl_context": proxy_trusted} if proxy.startswith("https:") else {}
            manager: urllib3.PoolManager = urllib3.ProxyManager(
                proxy, proxy_headers=headers, ssl_context=trusted, **options
            )
        else:
            manager = urllib3.PoolManager(ssl_context=trusted)
        manager.pool_classes_by_scheme = self._pool_classes()
        return manager

    def _watch(self, connected: socket.socket) -> socket.socket:
        """Return the socket, from now on cut with the others; TLS takes its number over, hence the second handle."""
        with self._lock:
            if not self.is_over:
                self._handles.append(connected.dup())
                return connected
        connected.close()
        raise TimeoutError("the connection came too late")

    def _pool_classes(self) -> dict[str, Any]:
        watch = self._watch

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

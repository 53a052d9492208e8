"""One GET under one deadline: looking up, connecting, TLS, sending, and all of the answer; nothing is shown of secrets.

A timeout of a socket is for each of its steps, so a server that sends an octet now and then holds it for ever. Here a
timer cuts the connection when the time is up. Redirections are followed only to where the request went in the first
place, since its headers hold secrets. The answer is not decompressed: a small one may unfold to gigabytes.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from schemas.egress import Egress

AGENT = "anchorwatch"
MOST_REDIRECTIONS = 3
CHUNK_BYTES = 1 << 16
NOT_MODIFIED = 304
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, headers (names in lower case) and body of an answer; the body of a refusal is not read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(ValueError):
    """There is no answer that can be used; the sentence says why, and nothing of the URL."""


class Unreachable(Refused):
    """There was no answer at all, or no whole one."""


class Line:
    """The way to one server by the rule ``egress``; ``ca_path`` has other authorities to trust."""

    def __init__(self, egress: Egress, ca_path: str = "") -> None:
        self._egress, self._ca_path = egress, ca_path or egress.ca_path

    def get(self, url: str, headers: Mapping[str, str], *, deadline_s: float, most_bytes: int) -> Answer:
        """Return the answer to a GET; of a status other than 200 without its body.

        Raises:
            Unreachable: there was none in time.
            Refused: it is too long, compressed, or leads elsewhere.
        """
        with _Cutter(deadline_s) as cutter:
            try:
                return self._follow(url, headers, cutter, most_bytes)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Unreachable(_explain(error, deadline_s, is_over=cutter.is_over)) from None

    def _follow(self, url: str, headers: Mapping[str, str], cutter: "_Cutter", most_bytes: int) -> Answer:
        at = url
        for _ in range(MOST_REDIRECTIONS + 1):
            with self._asked(at, headers, cutter) as response:
                found = {key.lower(): value for key, value in response.headers.items()}
                if response.status not in _REDIRECTS:
                    body = _body_of(response, found, cutter, most_bytes) if response.status == 200 else b""
                    return Answer(response.status, found, body)
            target = _target(at, found.get("location", ""))
            if _origin_of(target) != _origin_of(url):
                raise Refused(
                    "it leads to another server, and is not followed there: give the URL of the document itself"
                )
            at = target
        raise Refused("it leads from one place to the next without end")

    @contextlib.contextmanager
    def _asked(self, url: str, headers: Mapping[str, str], cutter: "_Cutter") -> Iterator[urllib3.BaseHTTPResponse]:
        manager = self._manager(url, cutter)
        try:
            response = manager.request(
                "GET",
                url,
                headers={"user-agent": AGENT, "connection": "close", "accept-encoding": "identity", **headers},
                timeout=cutter.left_s(),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
            with contextlib.closing(response):
                cutter.check()  # a head that was cut reads like a whole one
                yield response
        finally:
            manager.clear()

    def _manager(self, url: str, cutter: "_Cutter") -> urllib3.PoolManager:
        proxy = self._egress.proxy_for(url)
        trusted = ssl.create_default_context(cafile=self._ca_path or None) if url.startswith("https:") else None
        if proxy:
            user = self._egress.user_of(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
            options: dict[str, Any] = {}
            if proxy.startswith("https:"):
                options["proxy_ssl_context"] = ssl.create_default_context(cafile=self._egress.ca_path or None)
            manager: urllib3.PoolManager = urllib3.ProxyManager(
                proxy, proxy_headers=headers, ssl_context=trusted, **options
            )
        else:
            manager = urllib3.PoolManager(ssl_context=trusted)
        manager.pool_classes_by_scheme = cutter.pool_classes()
        return manager


def _target(at: str, location: str) -> str:
    try:
        return urljoin(at, location)
    except ValueError:
        return ""


def _origin_of(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def _body_of(
    response: urllib3.BaseHTTPResponse, headers: Mapping[str, str], cutter: "_Cutter", most_bytes: int
) -> bytes:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused("the answer is compressed, though that was not asked for")
    chunks, length = [], 0
    while chunk := response.read(CHUNK_BYTES):
        length += len(chunk)
        if length > most_bytes:
            raise Refused(f"the answer is longer than {most_bytes >> 20} MiB")
        cutter.check()
        chunks.append(chunk)
    cutter.check()
    return b"".join(chunks)


def _explain(error: BaseException, deadline_s: float, *, is_over: bool) -> str:
    """Return why there is no answer, by its first cause; what a library says of it may have the URL in it."""
    seen = 0
    while seen < 10:
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__
        if isinstance(error, ssl.SSLCertVerificationError | socket.gaierror) or inner is None:
            break
        error, seen = inner, seen + 1
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate can't be trusted: {error.verify_message}"
    if is_over or isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return f"no whole answer within {deadline_s:g} s"
    if isinstance(error, socket.gaierror):
        return "its name can't be looked up"
    if isinstance(error, FileNotFoundError):
        return "the file of authorities to trust is not there"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'no reason given'}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"the answer ended early, or is no HTTP ({type(error).__name__})"


class _Cutter:
    """Cuts every connection of one request when its time is up."""

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

    @property
    def is_over(self) -> bool:
        """Return whether the time is up."""
        return time.monotonic() >= self._ends_at

    def left_s(self) -> float:
        """Return how many seconds are left, at least a few milliseconds."""
        return max(self._ends_at - time.monotonic(), 0.01)

    def check(self) -> None:
        """Raise TimeoutError if the time is up."""
        if self.is_over:
            raise TimeoutError("no whole answer in time")

    def watch(self, connected: socket.socket) -> socket.socket:
        """Return the socket, from now on cut with the others; TLS takes its number over, hence the second handle."""
        with self._lock:
            if not self.is_over:
                self._handles.append(connected.dup())
                return connected
        connected.close()
        raise TimeoutError("the connection came too late")

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

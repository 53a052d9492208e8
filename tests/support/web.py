"""A web server on loopback whose answers a test writes, for what fetches."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What is answered: a status, headers, and a body; or any octets at all, by ``raw``."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[Callable[[bytes], object]], None] | None = None


@dataclass
class Asked:
    """A request: its path with the query, and its headers, names in lower case."""

    path: str
    headers: dict[str, str]


class Site:
    """Answers by ``reply``, and keeps what was asked."""

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        self.asked: list[Asked] = []
        self.reply: Callable[[Asked], Reply] = lambda asked: Reply(404)
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = Asked(self.path, {key.lower(): value for key, value in self.headers.items()})
                site.asked.append(asked)
                reply = site.reply(asked)
                if reply.raw is not None:
                    with contextlib.suppress(OSError):
                        reply.raw(self.wfile.write)
                    return
                self.send_response(reply.status)
                for key, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering; connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def site(certificate: tuple[str, str] | None = None) -> Iterator[Site]:
    """Yield a server for as long as it is needed."""
    one = Site(certificate)
    try:
        yield one
    finally:
        one.close()

"""A webhook receiver on loopback that checks signatures and keeps what arrived."""

import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alerts.receivers.webhook import read_secret, sign


class Receiver:
    """Listens on 127.0.0.1 until closed; ``arrived`` holds what came with a good signature, oldest first, each id once.

    ``all`` has what came again as well; ``refused`` counts what came without a signature.
    """

    def __init__(self, secret: str) -> None:
        self._key = read_secret(secret)
        self.arrived: list[dict[str, Any]] = []
        self.all: list[dict[str, Any]] = []
        self.refused = 0
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                status = receiver._take(dict(self.headers.items()), body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        headers = {key.lower(): value for key, value in headers.items()}
        with self._lock:
            message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
            expected = sign(self._key, message_id, int(timestamp), body)
            if not hmac.compare_digest(expected, headers.get("webhook-signature", "")):
                self.refused += 1
                return 401
            delivery = {"webhook-id": message_id, **json.loads(body)}
            if message_id not in self._seen:
                self.arrived.append(delivery)
            self._seen.add(message_id)
            self.all.append(delivery)
        return 204

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

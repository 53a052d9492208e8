"""Findings as tests need them, and a real HTTP endpoint that answers as told."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code
from schemas.messages import Affected, Finding, FindingStatus
from schemas.wire import digest_of

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
PAYMENTS = Affected(
    id="sa-settlement",
    kind="service_account",
    owner="payments",
    environment="prod",
    criticality="critical",
    hosts=("api.bank.example",),
)


def finding(code: str = "rrsig_expired", zone: str = "bank.example.", **changes: Any) -> Finding:
    row = CATALOGUE[Code(code)]
    fields: dict[str, Any] = {
        "id": digest_of(code, zone, str(changes.get("opened_at", AT)))[:32],
        "key": digest_of(code, zone)[:32],
        "version": 1,
        "status": FindingStatus.OPENED,
        "code": code,
        "kind": row.kind,
        "severity": row.severity,
        "confirmed": True,
        "cause_zone": zone,
        "detail": f"because of {code}",
        "identities": (PAYMENTS,),
        "endpoints": ("api.bank.example. A",),
        "endpoint_count": 1,
        "opened_at": AT,
        "updated_at": changes.get("opened_at", AT),
        **changes,
    }
    return Finding(**fields)


def closed(opened: Finding, version: int = 2, at: datetime = AT) -> Finding:
    import msgspec

    return msgspec.structs.replace(
        opened,
        version=version,
        status=FindingStatus.CLOSED,
        updated_at=at,
        closed_at=at,
        severity=Severity(opened.severity),
    )


class HttpReceiver:
    """Listens on loopback; each request gets the next of ``statuses``, the last for ever; ``requests`` hold all."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.statuses = list(statuses)
        self.requests: list[tuple[dict[str, str], Any]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received = {key.lower(): value for key, value in self.headers.items()}
                endpoint.requests.append(({**received, ":raw": body.decode()}, json.loads(body)))
                status = endpoint.statuses.pop(0) if len(endpoint.statuses) > 1 else endpoint.statuses[0]
                self.send_response(status)
                for key, value in (headers or {}).items():
                    self.send_header(key, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/x"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> "HttpReceiver":
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

"""ClickHouse's HTTP interface over the real engine (chDB), for machines that can't run a server.

    python tests/support/clickhouse_front.py --port 0 --path DIR [--user U --password P] [--cert F --key F]
        [--version V]

prints its URL once it listens. It has no SQL and no data of its own: whatever it answers, errors included, the engine
has said. ``--version`` stands in for what the engine would call itself, ``--readonly`` is the engine's own setting.
Source: ClickHouse docs/en/interfaces/http.md; src/Server/HTTPHandler.cpp.
"""

import argparse
import base64
import gzip
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame
from backports import zstd

# Parameters of the interface itself; every other is a setting of the query.
NO_SETTINGS = frozenset(
    {
        "query", "database", "user", "password", "query_id", "session_id", "session_timeout", "session_check",
        "quota_key", "compress", "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version", "role",
        "stacktrace", "default_format", "enable_http_compression", "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
    }
)  # fmt: skip
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "": bytes,
}
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, BAD_REQUEST, INTERNAL = 401, 403, 404, 400, 500
STATUS_BY_CODE = {
    **dict.fromkeys((194,), UNAUTHORIZED),
    **dict.fromkeys((164, 192, 193, 497, 516), FORBIDDEN),
    **dict.fromkeys((16, 46, 47, 60, 81, 115), NOT_FOUND),
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 42, 43, 50, 53, 62, 70, 72, 108, 117, 349), BAD_REQUEST),
}
# The rows of an insert follow its text; the engine takes them from a file that is none.
INSERT = re.compile(rb"(\s*INSERT\s.*?)\s(FORMAT\s+\w+)[ \t]*\r?\n", re.IGNORECASE | re.DOTALL)
LAST_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)\. ")


class Refused(Exception):
    """An answer that is no result: the code and the text of the server's exception."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Handle:
    """One connection to the engine: its database and settings are those of the request before, and are adapted."""

    def __init__(self, path: str, readonly: bool) -> None:
        self._connection = chdb.connect(path)
        self._database, self._settings = "default", dict[str, str]()
        if readonly:
            self._connection.query("SET readonly = 2", "Null")

    def close(self) -> None:
        self._connection.close()

    def query(
        self, sql: bytes, format_name: str, database: str, settings: dict[str, str], params: dict[str, str]
    ) -> bytes:
        """Return the result; raises RuntimeError with the engine's own words."""
        if database != self._database:
            self._connection.query(f"USE {_identifier(database)}", "Null")
            self._database = database
        if settings != self._settings:
            changes = [f"{name} = DEFAULT" for name in self._settings.keys() - settings.keys()]
            changes += [
                f"{_name(name)} = {_literal(value)}"
                for name, value in settings.items()
                if self._settings.get(name) != value
            ]
            self._settings = {**self._settings, **settings}  # if one is refused, all are set again the next time
            self._connection.query(f"SET {', '.join(changes)}", "Null")
            self._settings = settings
        # chDB takes octets, too, whatever its annotation says.
        return self._connection.query(sql, format_name, params=params).bytes() or b""  # type: ignore[arg-type]


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _name(name: str) -> str:
    if not re.fullmatch(r"\w+", name):
        raise Refused(115, f"Unknown setting '{name}'. (UNKNOWN_SETTING)")
    return name


class Front(ThreadingHTTPServer):
    """The server; a thread and a handle for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", options.port), Answering)
        self.options = options
        self._engine = chdb.connect(options.path)  # the engine ends with its last handle
        self.version, self.timezone = (
            self._engine.query("SELECT version(), timezone()", "TabSeparated").bytes().decode().strip().split("\t")
        )
        self.tls: ssl.SSLContext | None = None
        if options.cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.cert, options.key)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or did not speak TLS, is its own business."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Answering(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Front

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self._handle: Handle | None = None

    def finish(self) -> None:
        super().finish()
        if self._handle is not None:
            self._handle.close()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        body = self._body()
        try:
            self._authenticate()
            try:
                body = DECODERS[self.headers.get("Content-Encoding", "")](body)
            except (RuntimeError, zstd.ZstdError, zlib.error, OSError, EOFError, KeyError) as error:
                raise Refused(432, f"Unknown codec or damaged body: {error}. (UNKNOWN_CODEC)") from error
            self._send(200, *self._answer(body))
        except Refused as refused:
            self._refuse(refused.code, f"Code: {refused.code}. DB::Exception: {refused.text}")
        except RuntimeError as error:
            text = str(error)
            match = CODE.search(text)
            self._refuse(int(match[1]) if match else 1001, text[match.start() :] if match else text)

    def _answer(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        sql = b"\n".join(part for part in (parameters.get("query", "").encode(), body) if part)
        if self.server.options.version:
            sql = sql.replace(b"version()", f"'{self.server.options.version}'".encode())
        params = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
        settings = {
            name: value
            for name, value in parameters.items()
            if name not in NO_SETTINGS and not name.startswith("param_")
        }
        if self._handle is None:
            self._handle = Handle(self.server.options.path, self.server.options.readonly)
        database = parameters.get("database") or "default"
        if (insert := INSERT.match(sql)) is not None:
            with os.fdopen(os.memfd_create("rows"), "wb") as file:
                file.write(memoryview(sql)[insert.end() :])
                file.flush()
                source = f" FROM INFILE '/proc/self/fd/{file.fileno()}' ".encode()
                sql = insert[1] + source + insert[2]
                return self._handle.query(sql, "Null", database, settings, params), {}
        if (named := LAST_FORMAT.search(sql)) is not None:
            format_name = named[1].decode()
            return self._handle.query(sql, format_name, database, settings, params), {
                "X-ClickHouse-Format": format_name
            }
        # A statement without a result has no line of names either: that is how the two are told apart.
        _, named_result, result = self._handle.query(
            sql, "TabSeparatedWithNames", database, settings, params
        ).partition(b"\n")
        return result, {"X-ClickHouse-Format": "TabSeparated"} if named_result else {}

    def _authenticate(self) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query))
        user = self.headers.get("X-ClickHouse-User") or parameters.get("user") or "default"
        password = self.headers.get("X-ClickHouse-Key") or parameters.get("password") or ""
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            user, _, password = base64.b64decode(given).decode().partition(":")
        if (user, password) != (self.server.options.user, self.server.options.password):
            raise Refused(
                516,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name. "
                "(AUTHENTICATION_FAILED)",
            )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _refuse(self, code: int, text: str) -> None:
        version = self.server.options.version or self.server.version
        body = f"{text} (version {version})\n".encode()
        headers = {"X-ClickHouse-Exception-Code": str(code)}
        self._send(STATUS_BY_CODE.get(code, INTERNAL), body, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", self.server.timezone)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class FrontProcess:
    """A front in a process of its own, for who tests against it."""

    def __init__(self, path: Path, *options: str) -> None:
        self._path, self._options, self.url = path, options, ""
        self.start()

    def start(self) -> None:
        """Start it, or start it again on the same path and port."""
        port = self.url.rpartition(":")[2] or "0"
        command = [sys.executable, __file__, "--port", port, "--path", str(self._path), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, f"the front ended: {command}"

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def history_url(self, database: str = "anchorwatch", user: str = "default") -> str:
        """Return what a configuration has as history.url."""
        return f"clickhouse://{user}@{self.url.partition('://')[2]}/{database}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", required=True)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument("--cert", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--version", default="")
    parser.add_argument("--readonly", action="store_true")
    front = Front(parser.parse_args())
    threading.Thread(target=front.serve_forever, daemon=True).start()
    print(front.url, flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    front.shutdown()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()

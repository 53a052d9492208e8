"""Who else is asked: Unbound as a library and ``delv`` as a process, both through a resolver on loopback."""

import contextlib
import json
import re
import select
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from libunbound import library

from collector.dnssec import names, records
from collector.dnssec.message import AD, SERVFAIL, FormError, make_query, read_response
from collector.dnssec.names import Name
from tests.support.daemons import free_port

NEEDS = "needs libunbound for Python or unbound, and delv: apt-get install python3-unbound unbound bind9-dnsutils"
UDP_LIMIT_BYTES = 16_384
DELV_PATIENCE_S = 4
UNBOUND_PATIENCE_S = 4
Respond = Callable[[Name, int, int], bytes]
"""(qname, qtype, id) -> response in wire format."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A verdict (secure, insecure, bogus, servfail) and what else the oracle says."""

    verdict: str
    rcode: int = 0
    why: str = ""


def missing() -> str:
    """Return why the oracles can't be asked, empty where they can."""
    here = library() is not None and shutil.which("delv") and shutil.which("unbound")
    return "" if here else NEEDS


def versions() -> str:
    """Return who the oracles are."""
    found = library()
    unbound = found.ub_version().decode() if found else "absent"
    delv = subprocess.run(["delv", "-v"], capture_output=True, text=True, check=False)
    return f"Unbound {unbound}, {(delv.stdout or delv.stderr).strip()}"


# As strict about times as we are, one try, nothing remembered, and the iterator's own defences out of the way.
_OPTIONS = {
    "do-not-query-localhost:": "no",
    "do-ip6:": "no",
    "edns-buffer-size:": str(UDP_LIMIT_BYTES),
    "val-sig-skew-min:": "0",
    "val-sig-skew-max:": "0",
    "val-max-restart:": "0",
    "val-bogus-ttl:": "0",
    "val-nsec3-keysize-iterations:": "1024 150 2048 150 4096 150",
    "trust-anchor-signaling:": "no",
    "root-key-sentinel:": "no",
    "aggressive-nsec:": "no",
    "qname-minimisation:": "no",
    "harden-below-nxdomain:": "no",
    "outbound-msg-retry:": "1",
    "unknown-server-time-limit:": "100",
    "infra-cache-min-rtt:": "100",
    "infra-cache-max-rtt:": "200",
    "num-queries-per-thread:": "64",
    "outgoing-range:": "64",
    "msg-cache-size:": "64k",
    "rrset-cache-size:": "64k",
    "key-cache-size:": "64k",
    "infra-cache-numhosts:": "16",
}


class Unbound:
    """A process that asks libunbound; killed and started anew where it spins or dies."""

    def __init__(self, patience_s: float = UNBOUND_PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._process: subprocess.Popen[str] | None = None

    def ask(self, qname: Name, qtype: int, port: int, anchors: list[str], now: int) -> Opinion:
        """Return what a fresh Unbound that forwards to ``port`` says at ``now`` (POSIX seconds)."""
        options = {**_OPTIONS, "val-override-date:": str(now)}
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps((names.to_text(qname), qtype, port, anchors, options)) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self._patience_s)
        line = process.stdout.readline() if ready else ""
        if not line:
            self.close()
            return Opinion("hang", 2, "Unbound spins" if not ready else "Unbound died")
        return Opinion(*json.loads(line))

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            script = str(Path(__file__).with_name("libunbound.py"))
            self._process = subprocess.Popen(
                [sys.executable, script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._process

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()


_DAEMON = """\
server:
    interface: 127.0.0.1
    port: {listen}
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    logfile: "{folder}/log"
    do-daemonize: no
    ede: yes
    so-rcvbuf: 0
    so-sndbuf: 0
{options}
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{port}
"""


def ask_unbound_daemon(qname: Name, qtype: int, port: int, anchors: list[str], now: int) -> Opinion:
    """Return what a fresh Unbound daemon says: slower than the library, whose build may lack Ed448."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        listen = free_port()
        settings = [f'    {option} "{value}"' for option, value in {**_OPTIONS, "val-override-date:": str(now)}.items()]
        settings += [f'    trust-anchor: "{anchor}"' for anchor in anchors]
        path = Path(folder) / "unbound.conf"
        text = _DAEMON.format(listen=listen, folder=folder, port=port, options="\n".join(settings))
        path.write_text(text, encoding="ascii")
        process = subprocess.Popen(["unbound", "-d", "-p", "-c", str(path)], stderr=subprocess.DEVNULL)
        try:
            return _read_daemon(_ask_patiently(sock, listen, qname, qtype))
        finally:
            process.kill()  # one that spins does not heed less
            process.wait()


def _ask_patiently(sock: socket.socket, port: int, qname: Name, qtype: int) -> bytes:
    """Return the first reply; until the daemon listens, questions are lost."""
    query = make_query(1, qname, qtype, checking_disabled=False, payload=UDP_LIMIT_BYTES)
    sock.settimeout(0.02)
    deadline = time.monotonic() + UNBOUND_PATIENCE_S
    while time.monotonic() < deadline:
        sock.sendto(query, ("127.0.0.1", port))
        with contextlib.suppress(OSError):
            return sock.recv(65_535)
    return b""


def _read_daemon(wire: bytes) -> Opinion:
    try:
        response = read_response(wire)
    except FormError as error:
        return Opinion("hang", SERVFAIL, f"no answer of the daemon: {error}")
    why = "; ".join(f"EDE {code} {text}" for code, text in response.ede)
    if response.rcode == SERVFAIL:
        is_bogus = any(5 <= code <= 12 or code == 1 for code, _ in response.ede)
        return Opinion("bogus" if is_bogus else "servfail", SERVFAIL, why)
    return Opinion("secure" if response.flags & AD else "insecure", response.rcode, why)


def ask_delv(qname: Name, qtype: int, port: int, anchors: list[str]) -> Opinion:
    """Return what delv says, now: it knows no other time. ``anchors`` are DS records of the root."""
    lines = []
    for anchor in anchors:
        owner, _class, _type, tag, algorithm, digest_type, digest = anchor.split()
        lines.append(f'  {owner} static-ds {tag} {algorithm} {digest_type} "{digest}";')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "anchors"
        path.write_text("trust-anchors {\n" + "\n".join(lines) + "\n};\n", encoding="ascii")
        command = ["delv", "@127.0.0.1", "-p", str(port), "-a", str(path), "+root=.", "+multiline", "+nocrypto"]
        command += ["-q", names.to_text(qname), "-t", records.type_to_text(qtype)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=DELV_PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            return Opinion("servfail", 2, f"delv takes longer than {DELV_PATIENCE_S} s")
    return _read_delv(done.stdout + done.stderr)


def _read_delv(text: str) -> Opinion:
    failed = re.search(r"resolution failed: ([^\n]*)", text)
    remarks = re.findall(r"^;; ([^\n]*)$", text, re.MULTILINE)
    if failed and "ncache" not in failed[1]:
        # Whatever it could not validate it can't fetch either, so the reason decides.
        broken = (
            "no valid",
            "insecur",
            "broken trust",
            "must be secure",
            "verify",
            "validating",
            "not found",
            "SERVFAIL",
        )
        verdict = (
            "bogus" if any(word in text for word in ("no valid", "broken trust", "insecurity proof")) else "servfail"
        )
        return Opinion(verdict, 2, failed[1] if any(broken) else "")
    states = re.findall(
        r"^; (fully validated|unsigned answer|negative response, [^\n]*|answer not validated)", text, re.M
    )
    rcode = 3 if "ncache nxdomain" in text else 0
    if not states:
        return Opinion("servfail", 2, "; ".join(remarks) or text.strip()[:80])
    if all("fully validated" in state for state in states):
        return Opinion("secure", rcode)
    return Opinion("insecure", rcode, "; ".join(dict.fromkeys(states)))


class _Datagram(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sock = self.request
        reply = _reply(wire, self.server.respond, stream=False)  # type: ignore[attr-defined]
        if reply is not None:
            sock.sendto(reply, self.client_address)


class _Stream(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(5)
        with contextlib.suppress(OSError, struct.error):
            while head := self.request.recv(2, socket.MSG_WAITALL):
                (length,) = struct.unpack("!H", head)
                wire = self.request.recv(length, socket.MSG_WAITALL)
                reply = _reply(wire, self.server.respond, stream=True)  # type: ignore[attr-defined]
                if reply is not None:
                    self.request.sendall(struct.pack("!H", len(reply)) + reply)


def _reply(wire: bytes, respond: Respond, *, stream: bool) -> bytes | None:
    if len(wire) < 17:
        return None
    parsed = records.read_name(wire, 12)
    if parsed is None or wire[2] & 0x80:
        return None
    qname, offset = parsed
    qtype = int.from_bytes(wire[offset : offset + 2], "big")
    reply = respond(qname, qtype, int.from_bytes(wire[:2], "big"))
    if stream or len(reply) <= min(UDP_LIMIT_BYTES, max(512, _payload(wire, offset + 4))):
        return reply
    return reply[:2] + bytes((reply[2] | 0x02, reply[3])) + b"\0\1\0\0\0\0\0\0" + wire[12 : offset + 4]


def _payload(wire: bytes, offset: int) -> int:
    return int.from_bytes(wire[offset + 3 : offset + 5], "big") if len(wire) >= offset + 5 else 512


class LoopbackResolver:
    """A resolver on one free port of 127.0.0.1, UDP and TCP; ``respond`` may be changed between questions."""

    def __init__(self, respond: Respond) -> None:
        self._servers: list[socketserver.BaseServer] = []
        while not self._servers:
            datagrams = socketserver.UDPServer(("127.0.0.1", 0), _Datagram)
            try:
                streams = socketserver.TCPServer(datagrams.server_address, _Stream)
            except OSError:
                datagrams.server_close()
                continue
            self._servers = [datagrams, streams]
        self.port: int = datagrams.server_address[1]
        self.respond = respond
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def respond(self) -> Respond:
        """Return what makes the responses."""
        return self._servers[0].respond  # type: ignore[attr-defined,no-any-return]

    @respond.setter
    def respond(self, respond: Respond) -> None:
        for server in self._servers:
            server.respond = respond  # type: ignore[attr-defined]

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


@contextlib.contextmanager
def loopback_resolver() -> Iterator[LoopbackResolver]:
    """Serve while the block runs."""
    resolver = LoopbackResolver(lambda qname, qtype, message_id: b"")
    try:
        yield resolver
    finally:
        resolver.close()

"""The lab's resolver on loopback, UDP and TCP: it validates for plain clients (CD=0), as a good resolver does."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
from dns.edns import EDECode, EDEOption
from dns.rdatatype import RdataType

from anchorwatch.lab.world import World
from collector.dnssec import names
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.message import read_response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, drive
from collector.dnssec.validation import ValidationResult, validate
from collector.dnssec.wording import make_reason
from schemas.judgement import Verdict

MAX_BYTES = 65_535


class LabResolver:
    """Answers from a world; ``muted`` it answers nothing."""

    def __init__(self, world: World, anchors: TrustAnchors, clock: Callable[[], float]) -> None:
        self.world, self.anchors, self._clock = world, anchors, clock
        self.muted = False
        self.address = ("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1, UDP and TCP on one port; 0 picks a free one."""
        for _ in range(50):
            self._server = await asyncio.start_server(self._stream, "127.0.0.1", port, family=socket.AF_INET)
            self.address = self._server.sockets[0].getsockname()[:2]
            try:
                loop = asyncio.get_running_loop()
                self._transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=self.address
                )
            except OSError:
                self._server.close()
                if port:
                    raise
            else:
                return
        raise OSError("no port is free for both UDP and TCP")

    async def stop(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await asyncio.sleep(0)  # lets the transports close their sockets

    def reply_to(self, wire: bytes, *, stream: bool) -> bytes | None:
        """Return the response to a query in wire format, None where a server stays silent."""
        if self.muted:
            return None
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR or len(query.question) != 1 or query.opcode() != dns.opcode.QUERY:
            return None
        response = self._respond(query)
        full: bytes = response.to_wire(max_size=MAX_BYTES)
        if stream or len(full) <= max(512, query.payload):
            return full
        for section in (response.answer, response.authority, response.additional):
            section.clear()
        response.flags |= dns.flags.TC
        return bytes(response.to_wire())

    def _respond(self, query: dns.message.Message) -> dns.message.Message:
        response = self.world.respond(query)
        if query.flags & dns.flags.CD:
            return response
        result = self.judge(query.question[0].name, query.question[0].rdtype)
        if result.verdict is Verdict.SECURE:
            response.flags |= dns.flags.AD
        elif result.verdict is not Verdict.INSECURE:
            failed = dns.message.make_response(query, recursion_available=True, our_payload=1232)
            failed.set_rcode(dns.rcode.SERVFAIL)
            fault = result.weakest.reason
            why = make_reason(fault, int(self._clock())) if fault is not None else None
            if why is not None and why.ede is not None:
                failed.use_edns(0, 0, 1232, options=[EDEOption(EDECode.make(why.ede), why.detail[:200])])
            return failed
        return response

    def judge(self, name: dns.name.Name, rdtype: RdataType) -> ValidationResult:
        """Validate a name of the world, in process."""
        policy = Policy()
        context = Context(int(self._clock()), self.anchors, policy, Budget(policy), {})
        questions = validate(context, names.from_text(name.to_text()), int(rdtype))
        return drive(questions, lambda asked: read_response(self._ask(asked)))

    def _ask(self, asked: Ask) -> bytes:
        name = dns.name.from_text(names.to_text(asked.name))
        query = dns.message.make_query(name, RdataType.make(asked.rdtype), want_dnssec=True, flags=dns.flags.CD)
        wire: bytes = self.world.respond(query).to_wire(max_size=MAX_BYTES)
        return wire

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    reply = self.reply_to(await reader.readexactly(length), stream=True)
                    if reply is not None:
                        writer.write(struct.pack("!H", len(reply)) + reply)
                        await writer.drain()
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: LabResolver) -> None:
        self._resolver = resolver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What asyncio hands in is not declared as a DatagramTransport in every supported Python, but has its methods.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._resolver.reply_to(data, stream=False)
        if reply is not None:
            self._transport.sendto(reply, addr)

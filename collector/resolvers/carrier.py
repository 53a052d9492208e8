"""Carries questions to one resolver: most by datagrams, what these do not settle by tasks of the resolver.

In the event loop of the collector; what decides is in ``datagrams`` and ``resolver``.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable

from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.datagrams import Datagrams, Sent
from collector.resolvers.dialogue import Posed
from collector.resolvers.ports import UdpPorts
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import look_up

log = logging.getLogger(__name__)

Take = Callable[[int, Reply], None]
Stands = Callable[[int, bytes], bool]
LOOK_UP_EVERY_S = 300.0
TRY_AGAIN_S = 5.0


class Carrier:
    """Carries questions to one resolver and brings the replies.

    ``take`` is given each reply with its ticket; before that ``stands`` is given the octets of a whole reply, and says
    whether that was all. ``ports`` is how many UDP ports to ask from; 0: none, all goes by the resolver.
    """

    def __init__(self, resolver: Resolver, take: Take, stands: Stands, *, ports: int, timeout_s: float) -> None:
        self._resolver, self._take, self._stands = resolver, take, stands
        self._count, self._timeout_s = ports, timeout_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._ports: UdpPorts | None = None
        self._datagrams: Datagrams | None = None
        self._opening: asyncio.Task[None] | None = None
        self._look_up_at = float("-inf")
        self._found: object = None
        self.fault: BaseException | None = None

    @property
    def _is_wanted(self) -> bool:
        return self._count > 0 and self._resolver.address.scheme == "udp"

    async def open(self) -> None:
        """Open the ports now, where there are to be any."""
        if self._is_wanted:
            now = asyncio.get_running_loop().time()
            self._look_up_at = now + LOOK_UP_EVERY_S
            await self._open(now)

    def put(self, posed: Posed, now: float) -> None:
        """Ask a question."""
        if self._datagrams is None or posed.question.stream or not self._datagrams.ask(posed, now):
            self._start(posed)

    def turn(self, now: float) -> None:
        """Give up what has waited too long, renew ports, look the resolver's name up again now and then."""
        if self._datagrams is not None and self._ports is not None:
            for sent in self._datagrams.expire(now):
                self._give_up(sent, "timeout", "no answer from {where} in 1 try")
            self._fail_refused()
            self._ports.renew()
        if self._is_wanted and now >= self._look_up_at and self._opening is None:
            self._look_up_at = now + LOOK_UP_EVERY_S
            self._opening = asyncio.create_task(self._open(now))

    def next_turn_at(self) -> float:
        """Return when ``turn`` has something to do, at the latest."""
        return self._datagrams.next_expiry_at() if self._datagrams is not None else float("inf")

    def close(self) -> None:
        """Give up everything that is under way; no reply is brought any more."""
        for task in [*self._tasks, *([self._opening] if self._opening is not None else [])]:
            task.cancel()
        self._hang_up()
        self._look_up_at = float("-inf")

    async def _open(self, now: float) -> None:
        address = self._resolver.address
        try:
            found = await look_up(address)
            if found == self._found:
                return
            ports = UdpPorts(found, self._count, asyncio.get_running_loop().time)
        except (OSError, UnicodeError) as error:
            self._look_up_at = now + TRY_AGAIN_S  # until then all goes by the resolver, which says what is wrong
            log.debug("no ports to a resolver", extra={"resolver": address.to_url(), "error": str(error)})
            return
        finally:
            self._opening = None
        unanswered = self._hang_up()
        self._found, self._ports = found, ports
        resolver = self._resolver
        self._datagrams = Datagrams(
            resolver.habits, resolver.tally, ports, secrets.token_bytes, timeout_s=self._timeout_s
        )
        asyncio.get_running_loop().add_reader(ports.fileno(), self._receive)
        for sent in unanswered:  # only now, as what is asked next must leave by the new ports
            self._give_up(sent, "timeout", "no answer from {where} in 1 try")

    def _hang_up(self) -> list[Sent]:
        """Close the ports; return the questions that were under way."""
        if self._ports is None or self._datagrams is None:
            return []
        asyncio.get_running_loop().remove_reader(self._ports.fileno())
        unanswered = self._datagrams.expire(float("inf"))
        self._ports.close()
        self._ports, self._datagrams, self._found = None, None, None
        return unanswered

    def _receive(self) -> None:
        assert self._ports is not None
        assert self._datagrams is not None
        datagrams, now = self._datagrams, asyncio.get_running_loop().time()
        try:
            for port, wire in self._ports.receive():
                sent = datagrams.match(port, wire, now)
                if sent is None:
                    continue
                if datagrams.is_plain(sent, wire) and self._stands(sent.ticket, wire):
                    datagrams.settle(sent)
                    continue
                response = datagrams.read(sent, wire, now)
                if response is not None:
                    self._take(sent.ticket, response)
                elif not datagrams.is_under_way(sent):
                    is_cut = datagrams.is_truncated(wire) or sent.passed_over > 0
                    self._start(Posed(sent.ticket, sent.question), stream=is_cut)
            self._fail_refused()
        except BaseException as fault:
            self.fault = fault
            raise

    def _fail_refused(self) -> None:
        assert self._ports is not None
        assert self._datagrams is not None
        for port in self._ports.take_refused():
            for sent in self._datagrams.fail(port):
                self._give_up(sent, "unreachable", "{where}: Connection refused")

    def _give_up(self, sent: Sent, kind: str, detail: str) -> None:
        """Go on with a question whose one try has failed: by the resolver's further tries, where it may have them."""
        if sent.question.attempts == 1 and not sent.passed_over:
            failure = FetchFailure(kind, detail.format(where=self._resolver.address.to_url()))
            self._take(sent.ticket, failure)
        else:
            is_guessed_at = sent.passed_over > 0
            self._start(Posed(sent.ticket, sent.question), tried=int(not is_guessed_at), stream=is_guessed_at)

    def _start(self, posed: Posed, *, tried: int = 0, stream: bool = False) -> None:
        task = asyncio.create_task(self._ask(posed, tried, stream=stream))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def _ask(self, posed: Posed, tried: int, *, stream: bool) -> None:
        question = posed.question
        reply = await self._resolver.ask(
            question.name,
            question.rdtype,
            checking_disabled=question.checking_disabled,
            stream=question.stream or stream,
            edns=question.edns,
            attempts=question.attempts,
            tried=tried,
        )
        self._take(posed.ticket, reply)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.fault = task.exception()

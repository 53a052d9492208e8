"""One vantage for those who validate names now and then: waits for the replies that a view asks for."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Reply
from collector.resolvers.carrier import Carrier
from collector.resolvers.dialogue import Dialogues, Instant, Posed, Resolver, Servers, Steps, Walk, ask_of
from collector.resolvers.ports import affordable
from collector.resolvers.resolver import Resolver as UdpResolver
from collector.resolvers.view import Claims, Judged, View
from schemas.judgement import Judgement

T = TypeVar("T")

TURN_S = 0.05


@dataclass(frozen=True, slots=True)
class Walking:
    """What takes the place of a resolver: ``begin`` makes the walk by an instant, ``servers`` bring its questions."""

    servers: Servers
    begin: Callable[[Instant], Walk]


class Vantage:
    """A named resolver; used by one event loop.

    ``clock`` returns POSIX seconds; ``validate --at`` and tests pass one that stands still. ``resolver`` is what is
    asked, or how the authoritative servers are. As a context it keeps UDP ports open, for who validates many names.
    """

    def __init__(
        self, name: str, resolver: Resolver | Walking, anchors: TrustAnchors, policy: Policy, clock: Callable[[], float]
    ) -> None:
        self._resolver, self._clock = resolver, clock
        self._instant = Instant()
        walks = {name: resolver.begin(self._instant)} if isinstance(resolver, Walking) else {}
        self._view = View(name, anchors, policy, self._instant, is_resolver=not walks)
        self._dialogues = Dialogues(self._instant, walks)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Future[None]] = set()
        self._carrier: Carrier | None = None
        self._turning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Vantage":
        """Open a pool of ports where the resolver is asked over UDP."""
        if isinstance(self._resolver, UdpResolver):
            ports = affordable(1)
            self._carrier = Carrier(
                self._resolver,
                self._take,
                lambda _ticket, _wire: False,
                ports=ports,
                timeout_s=self._resolver.timeout_s,
            )
            await self._carrier.open()
            self._turning = asyncio.create_task(self._turn(self._carrier))
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close the ports."""
        if self._turning is not None:
            self._turning.cancel()
        if self._carrier is not None:
            self._carrier.close()
            self._carrier = None

    async def _turn(self, carrier: Carrier) -> None:
        while True:
            carrier.turn(asyncio.get_running_loop().time())
            if carrier.fault is not None:
                self._fail(carrier.fault)
            await asyncio.sleep(TURN_S)

    async def ask(self, name: Name, rdtype: int, *, attempts: int | None = None) -> Reply:
        """Ask as a validator does: DO=1, CD=1; ``attempts`` limits the tries."""
        return await self._wait_for(lambda: self._view.ask(name, rdtype, attempts=attempts))

    async def probe(self, *, stream: bool) -> Reply:
        """Ask once what every resolver can answer, to learn whether it is there; return an answer if there is one."""
        return await self._wait_for(lambda: self._view.probe(stream=stream))

    async def judge(self, name: Name, rdtype: int, first: Reply | None = None) -> Judged:
        """Validate one name and type; ``first`` is the reply to that very question, if it is at hand."""
        return await self._wait_for(lambda: self._view.judge(name, rdtype, first))

    async def claims(self, judgement: Judgement, *, edns: bool = True, plain: bool = True) -> Claims:
        """Return what the resolver tells its clients of a name that was judged, asked in one way or in both."""
        return await self._wait_for(lambda: self._view.claims(judgement, edns=edns, plain=plain))

    async def _wait_for(self, steps: Callable[[], Steps[T]]) -> T:
        results: list[T] = []
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(result: T) -> None:
            results.append(result)
            if not over.done():
                over.set_result(None)

        self._waiting.add(over)
        try:
            self._look_at_clock()
            self._dialogues.start(steps(), done)
            self._put(self._dialogues.take_posed())
            await over
        finally:
            self._waiting.discard(over)
        return results[0]

    def _put(self, posed: Iterable[Posed]) -> None:
        for one in posed:
            if self._carrier is not None:
                self._carrier.put(one, asyncio.get_running_loop().time())
                continue
            task = asyncio.create_task(self._ask(one))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    async def _ask(self, posed: Posed) -> None:
        if isinstance(self._resolver, Walking):
            reply = await self._resolver.servers.ask(posed.question)
        else:
            reply = await ask_of(self._resolver, posed.question)
        self._take(posed.ticket, reply)

    def _take(self, ticket: int, reply: Reply) -> None:
        self._look_at_clock()
        self._dialogues.take(ticket, reply)
        self._put(self._dialogues.take_posed())

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self._fail(fault)

    def _fail(self, fault: BaseException) -> None:
        self._dialogues.close()
        for over in self._waiting:
            if not over.done():
                over.set_exception(fault)

    def _look_at_clock(self) -> None:
        self._instant.now, self._instant.at = asyncio.get_running_loop().time(), self._clock()

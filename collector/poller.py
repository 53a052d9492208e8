"""Polling as an endless stream of batches. Drives the watch, which decides.

The loop begins what is due; a carrier for each resolver takes the questions and brings the replies to the watch; what
it has to tell is handed on in batches. While the consumer is slow nothing new is begun, so memory stays bounded.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

from collector.anchor_file import AnchorFile
from collector.authorities.servers import Servers
from collector.config import CollectorConfig, VantagePoint
from collector.dnssec import crypto
from collector.dnssec.questions import Reply
from collector.polling.roster import RosterChange
from collector.polling.status import PollingStatus
from collector.polling.watch import Watch
from collector.resolvers.address import Address
from collector.resolvers.carrier import Carrier
from collector.resolvers.dialogue import Posed
from collector.resolvers.ports import affordable
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import Transport
from schemas.codes import Code
from schemas.faults import ConfigError
from schemas.messages import Message

log = logging.getLogger(__name__)

FLUSH_S = 0.5
FLUSH_NEWS, FLUSH_UNCHANGED = 500, 20_000
ANCHOR_CHECK_S = 5.0
SHORTEST_TURN_S = 0.004
LONGEST_GLANCE_S = 0.2
LONGEST_FAREWELL_S = 4.0


class Poller:
    """Polls the endpoints that it is told of, by ``change``, through all vantages.

    ``clock`` returns POSIX seconds, for what is validated and told; ``ticks`` seconds that only run on, for all that is
    waited for. ``open_transport`` makes what carries queries to a resolver, by default sockets. Call ``stop`` to end
    the stream after the polls under way.

    Raises:
        ConfigError: this host's cryptography can't do what validation needs.
    """

    def __init__(
        self,
        config: CollectorConfig,
        clock: Callable[[], float],
        ticks: Callable[[], float] = time.monotonic,
        open_transport: Callable[[Address], Transport] | None = None,
    ) -> None:
        troubles = crypto.probe_host()
        if troubles:
            raise ConfigError([f"refusing to run degraded: {trouble}" for trouble in troubles])
        self._config, self._clock, self._ticks = config, clock, ticks
        self._open_transport = open_transport
        # Made once: what is known of subjects and vantages outlives a crash of the loop below.
        self._watch = Watch(config)
        asked = [point for point in config.vantages if not point.address.is_authoritative]
        resolvers = {point.name: self._open(point) for point in asked}
        # What carries queries in a test has no ports.
        ports = 0 if open_transport is not None else affordable(len(asked))
        self._carriers = {
            name: Carrier(resolver, self._take, self._stands, ports=ports, timeout_s=config.timeout_s)
            for name, resolver in resolvers.items()
        }
        self._servers = (
            Servers(config.authorities, timeout_s=config.timeout_s, open_transport=open_transport)
            if config.authorities is not None
            else None
        )
        self._tallies = {name: resolver.tally for name, resolver in resolvers.items()}
        if config.authorities is not None and self._servers is not None:
            self._tallies[config.authorities.vantage] = self._servers.tally
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._give_up_at = float("inf")
        self._next_anchor_check = float("-inf")
        self._fault: BaseException | None = None
        path = config.anchors_path
        self._anchor_file = AnchorFile(path, config.anchors) if path is not None else None

    def status(self) -> PollingStatus:
        """Return what is polled, and how polling goes."""
        watch = self._watch
        passed_over: Counter[str] = Counter()
        for tally in self._tallies.values():
            passed_over.update(tally.by_kind)
        return PollingStatus(
            watched=watch.watched,
            hosts=watch.hosts,
            polls=watch.polls,
            validations=watch.validations,
            resigned=watch.resigned,
            shadowed=watch.shadowed,
            shadow_differences=watch.shadow_differences,
            queries=watch.queries,
            polls_late=watch.polls_late,
            polls_waiting=watch.polls_waiting,
            resting=watch.resting,
            answered_at=dict(watch.answered_at),
            passed_over=dict(passed_over),
        )

    def stop(self) -> None:
        """End the stream once the polls under way are handed on."""
        self._stopping = True
        self._give_up_at = self._ticks() + LONGEST_FAREWELL_S
        self._wake.set()

    @property
    def is_stopping(self) -> bool:
        """Return whether ``stop`` was called."""
        return self._stopping

    def change(self, change: RosterChange) -> None:
        """Take in how what is polled has changed."""
        self._watch.change(change, self._ticks())
        self._wake.set()

    def observe_again(self, subjects: Sequence[tuple[str, str, str]]) -> None:
        """Observe (name, type, vantage) anew with the next poll: what was observed of them did not arrive."""
        self._watch.observe_again(subjects)

    def begin(self) -> None:
        """Get ready for ``observe``."""

    def look_around(self, now: float) -> Sequence[Message]:
        """Return what is to be told beside the polls; called at each turn of the loop."""
        return ()

    async def observe(self) -> AsyncIterator[Sequence[Message]]:
        """Yield batches of messages until ``stop``; an empty batch means that time passed."""
        self.begin()
        flushed_at = self._ticks()
        try:
            while not self._stopping or (self._watch.polls_under_way and self._ticks() < self._give_up_at):
                now = self._ticks()
                self._check_clocks(now)
                if not self._stopping:
                    if told := self.look_around(now):
                        yield told
                    self._check_replies()
                    for difference in self._watch.take_differences():
                        log.error("a fault of ours: the skim and the validation differ", extra={"detail": difference})
                    self._check_anchors(now)
                now = self._ticks()  # handing on may have taken long
                for carrier in self._carriers.values():
                    carrier.turn(now)
                self._put(self._watch.due(now, self._clock(), begin=not self._stopping))
                await self._pause(now)
                now = self._ticks()
                if now - flushed_at >= FLUSH_S or self._has_gathered_much():
                    flushed_at = now
                    yield self._watch.take_messages()
            yield self._watch.take_messages()
        finally:
            for task in self._tasks:
                task.cancel()
            for carrier in self._carriers.values():
                carrier.close()
            self._watch.give_up()

    def _has_gathered_much(self) -> bool:
        return self._watch.news >= FLUSH_NEWS or self._watch.unchanged >= FLUSH_UNCHANGED

    def _put(self, posed: Sequence[Posed]) -> None:
        """Ask these questions: of the resolver of their vantage, or of the server that they name."""
        now = self._ticks()
        for one in posed:
            carrier = None if one.question.server else self._carriers.get(one.question.vantage)
            if carrier is not None:
                carrier.put(one, now)
            else:
                task = asyncio.create_task(self._ask_server(one))
                self._tasks.add(task)
                task.add_done_callback(self._finished)

    async def _ask_server(self, posed: Posed) -> None:
        assert self._servers is not None
        self._take(posed.ticket, await self._servers.ask(posed.question))

    def _take(self, ticket: int, reply: Reply) -> None:
        self._put(self._watch.take(ticket, reply, self._ticks(), self._clock()))
        self._wake.set()

    def _stands(self, ticket: int, wire: bytes) -> bool:
        return self._watch.stands(ticket, wire, self._ticks(), self._clock())

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()
            self._wake.set()

    async def _pause(self, now: float) -> None:
        """Wait until a reply brought more to ask, the next poll is due, or it is time to hand on."""
        for carrier in self._carriers.values():
            self._fault, carrier.fault = self._fault or carrier.fault, None
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        due_at = min(
            self._watch.next_due_at(), *(carrier.next_turn_at() for carrier in self._carriers.values()), now + FLUSH_S
        )
        wait_s = FLUSH_S if self._stopping else max(due_at - now, SHORTEST_TURN_S)
        self._wake.clear()
        timer = asyncio.get_running_loop().call_later(wait_s, self._wake.set)
        await self._wake.wait()
        timer.cancel()

    def _open(self, point: VantagePoint) -> Resolver:
        return Resolver(
            point.address,
            timeout_s=self._config.timeout_s,
            attempts=self._config.attempts,
            max_in_flight=self._config.concurrency * 2,
            egress=self._config.egress,
            transport=self._open_transport(point.address) if self._open_transport is not None else None,
        )

    def _check_clocks(self, now: float) -> None:
        at = self._clock()
        if self._ticks() - now > LONGEST_GLANCE_S:
            return  # the process was stopped between the two looks
        jump = self._watch.check_clocks(now, at)
        if jump is not None:
            log.warning("our clock was set", extra={"direction": jump.direction, "seconds": round(abs(jump.seconds))})

    def _check_anchors(self, now: float) -> None:
        """Follow the file of trust anchors; while it can't be used the last good ones count, and that is told."""
        if self._anchor_file is None or now < self._next_anchor_check:
            return
        self._next_anchor_check = now + ANCHOR_CHECK_S
        anchors = self._anchor_file.look()
        if anchors is not None:
            log.warning("the trust anchors changed", extra={"path": str(self._anchor_file.path)})
            self._watch.trust(anchors)
        code, path = Code.SELF_ANCHOR_STORE_INVALID, str(self._anchor_file.path)
        self._watch.report(code, path, self._anchor_file.trouble, self._clock())

    def _check_replies(self) -> None:
        """Tell what is suspected of the replies of each vantage."""
        now = asyncio.get_running_loop().time()
        for name, tally in self._tallies.items():
            suspicion = tally.suspicion(now)
            if suspicion is not None:
                self._watch.suspect(name, suspicion, self._clock())

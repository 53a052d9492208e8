"""The collector as a stage: an endless stream of batches. Drives the watch, which decides.

The loop begins what is due; each question is a task of its own, whose reply the watch takes; what it has to tell is
handed on in batches. While the consumer is slow nothing new is begun, so memory stays bounded.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.anchor_file import AnchorFile
from collector.authorities.servers import Servers
from collector.config import CollectorConfig, VantagePoint
from collector.dnssec import crypto, names
from collector.inventory.rows import Inventory
from collector.inventory.sources import InventorySources
from collector.polling.registrable import public_suffixes
from collector.polling.roster import Roster, RosterChange, compare
from collector.polling.watch import Watch
from collector.resolvers.address import Address
from collector.resolvers.dialogue import Posed, ask_of
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import Transport
from schemas.codes import Code
from schemas.faults import ConfigError
from schemas.messages import Message

log = logging.getLogger(__name__)

FLUSH_S = 0.5
FLUSH_MESSAGES = 500
RELOAD_CHECK_S = 5.0
LONGEST_GLANCE_S = 0.2
LONGEST_FAREWELL_S = 4.0


class InventoryFeed(Protocol):
    """Where the collector learns what to watch. ``changed`` is asked by the loop, the others by one thread at a time.

    ``troubles`` maps what can't be read to one sentence, ``shrunk`` what lost too many rows.
    """

    troubles: dict[str, str]
    shrunk: dict[str, str]

    def changed(self) -> bool:
        """Return whether ``load`` would return something else than the last time."""
        ...

    def load(self) -> Inventory:
        """Return the inventory as it is now; blocks, for a large one long."""
        ...

    def news(self, now: float) -> list[Message]:
        """Return what others must be told of the inventory since the last ``load``."""
        ...

    def is_ours(self, name: names.Name) -> bool:
        """Return whether it is for this collector to poll a name."""
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """What a thread has found in the inventory; ``reports`` are (code, path, detail), empty for no trouble."""

    roster: Roster
    change: RosterChange
    messages: list[Message]
    reports: list[tuple[Code, str, str]]
    problems: int
    at: float


class Collector:
    """Polls the endpoints of the inventory through all vantages.

    ``clock`` returns POSIX seconds, for what is validated and told; ``ticks`` seconds that only run on, for all that is
    waited for. ``feed`` is the inventory, by default the configuration's files; ``open_transport`` makes what carries
    queries to a resolver, by default sockets. Call ``stop`` to end the stream after the polls under way.

    Raises:
        ConfigError: this host's cryptography can't do what validation needs.
    """

    def __init__(
        self,
        config: CollectorConfig,
        clock: Callable[[], float],
        feed: InventoryFeed | None = None,
        ticks: Callable[[], float] = time.monotonic,
        open_transport: Callable[[Address], Transport] | None = None,
    ) -> None:
        troubles = crypto.probe_host()
        if troubles:
            raise ConfigError([f"refusing to run degraded: {trouble}" for trouble in troubles])
        self._config, self._clock, self._ticks = config, clock, ticks
        self._feed: InventoryFeed = (
            feed if feed is not None else InventorySources(config.sources, config.vantage_names, config.state)
        )
        self._roster, self._suffixes = Roster(), public_suffixes()
        self._open_transport = open_transport
        # Made once: what is known of subjects and vantages outlives a crash of the loop below.
        self._watch = Watch(config)
        self._resolvers = {
            point.name: self._open(point) for point in config.vantages if not point.address.is_authoritative
        }
        self._servers = (
            Servers(config.authorities, timeout_s=config.timeout_s, open_transport=open_transport)
            if config.authorities is not None
            else None
        )
        self._tallies = {name: resolver.tally for name, resolver in self._resolvers.items()}
        if config.authorities is not None and self._servers is not None:
            self._tallies[config.authorities.vantage] = self._servers.tally
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._give_up_at = float("inf")
        self._reload_wanted = False
        self._next_check = self._next_anchor_check = float("-inf")
        self._reading: asyncio.Task[_Read] | None = None  # outlives the loop below: never two threads at one feed
        self._fault: BaseException | None = None
        path = config.anchors_path
        self._anchor_file = AnchorFile(path, config.anchors) if path is not None else None

    @property
    def watched(self) -> int:
        """Return how many subjects are polled."""
        return self._watch.watched

    @property
    def hosts(self) -> int:
        """Return how many different names are polled."""
        return self._watch.hosts

    @property
    def polls(self) -> int:
        """Return how many polls were made."""
        return self._watch.polls

    @property
    def validations(self) -> int:
        """Return how many polls were validated in full."""
        return self._watch.validations

    @property
    def queries(self) -> int:
        """Return how many questions were sent in all."""
        return self._watch.queries

    @property
    def polls_late(self) -> int:
        """Return how many polls began late, or whose turn came before the last one was over."""
        return self._watch.polls_late

    @property
    def polls_waiting(self) -> int:
        """Return how many polls are due and wait for a slot."""
        return self._watch.polls_waiting

    @property
    def resting(self) -> int:
        """Return how many subjects are in zones that do not answer, and are asked seldom."""
        return self._watch.resting

    @property
    def answered_at(self) -> dict[str, float]:
        """Return by vantage when it last answered a poll, in POSIX seconds."""
        return self._watch.answered_at

    def mismatches(self, kind: str) -> int:
        """Return how many replies of that kind were passed over: they answered no question of ours."""
        return sum(tally.by_kind.get(kind, 0) for tally in self._tallies.values())

    def stop(self) -> None:
        """End the stream once the polls under way are handed on."""
        self._stopping = True
        self._give_up_at = self._ticks() + LONGEST_FAREWELL_S
        self._wake.set()

    @property
    def is_stopping(self) -> bool:
        """Return whether ``stop`` was called."""
        return self._stopping

    def reload_soon(self) -> None:
        """Read the inventory again at the next occasion, changed or not."""
        self._reload_wanted = True
        self._wake.set()

    def observe_again(self, subjects: Sequence[tuple[str, str, str]]) -> None:
        """Observe (name, type, vantage) anew with the next poll: what was observed of them did not arrive."""
        self._watch.observe_again(subjects)

    async def observe(self) -> AsyncIterator[Sequence[Message]]:
        """Yield batches of messages until ``stop``; an empty batch means that time passed."""
        self._next_check = float("-inf")
        flushed_at = self._ticks()
        try:
            while not self._stopping or (self._watch.polls_under_way and self._ticks() < self._give_up_at):
                now = self._ticks()
                self._check_clocks(now)
                if not self._stopping:
                    if told := self._follow_inventory(now):
                        yield told
                    self._check_replies()
                    self._check_anchors(now)
                now = self._ticks()  # handing on may have taken long
                self._put(self._watch.due(now, self._clock(), begin=not self._stopping))
                await self._pause(now)
                now = self._ticks()
                if now - flushed_at >= FLUSH_S or self._watch.gathered >= FLUSH_MESSAGES:
                    flushed_at = now
                    yield self._watch.take_messages()
            yield self._watch.take_messages()
        finally:
            for task in self._tasks:
                task.cancel()
            self._watch.give_up()

    def _put(self, posed: Iterable[Posed]) -> None:
        """Ask these questions, each by a task of its own."""
        for one in posed:
            task = asyncio.create_task(self._ask(one))
            self._tasks.add(task)
            task.add_done_callback(self._finished(self._tasks))

    async def _ask(self, posed: Posed) -> None:
        question = posed.question
        if question.server and self._servers is not None:
            reply = await self._servers.ask(question)
        else:
            reply = await ask_of(self._resolvers[question.vantage], question)
        self._put(self._watch.take(posed.ticket, reply, self._ticks(), self._clock()))

    def _finished(self, tasks: set[asyncio.Task[None]]) -> Callable[[asyncio.Task[None]], None]:
        def finished(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            self._wake.set()
            if not task.cancelled() and task.exception() is not None:
                self._fault = task.exception()

        return finished

    async def _pause(self, now: float) -> None:
        """Wait until a reply was taken, the next poll is due, or it is time to hand on."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        wait_s = FLUSH_S if self._stopping else min(max(self._watch.next_due_at() - now, 0.01), FLUSH_S)
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait_s)

    def _open(self, point: VantagePoint) -> Resolver:
        return Resolver(
            point.address,
            timeout_s=self._config.timeout_s,
            attempts=self._config.attempts,
            max_in_flight=self._config.concurrency * 2,
            egress=self._config.egress,
            transport=self._open_transport(point.address) if self._open_transport is not None else None,
        )

    def _follow_inventory(self, now: float) -> list[Message]:
        """Have the inventory read where it has changed, in a thread; return what is to be told once it was read."""
        if self._reading is None:
            if not self._reload_wanted and now < self._next_check:
                return []
            self._next_check = now + RELOAD_CHECK_S
            if self._reload_wanted or self._feed.changed():
                self._reload_wanted = False
                self._reading = asyncio.create_task(asyncio.to_thread(self._read_inventory))
                self._reading.add_done_callback(lambda _: self._wake.set())
            return []
        if not self._reading.done():
            return []
        reading, self._reading = self._reading, None
        read = reading.result()
        log.info("inventory read", extra={"identities": len(read.roster.identities), "problems": read.problems})
        self._roster = read.roster
        self._watch.change(read.change, now)
        for code, path, detail in read.reports:
            read.messages.extend(self._watch.reports(code, path, detail, read.at))
        return read.messages

    def _read_inventory(self) -> "_Read":
        """Read the inventory and compare it with what is known of it; blocks."""
        inventory = self._feed.load()
        identities, problems = list(inventory.identities), len(inventory.problems)
        del inventory  # the rows are freed one by one
        roster, change = compare(
            self._roster, identities, self._config.vantage_names, self._feed.is_ours, self._suffixes
        )
        at = self._clock()
        told = ((Code.SELF_INVENTORY_STALE, self._feed.troubles), (Code.SELF_INVENTORY_SHRUNK, self._feed.shrunk))
        paths = [str(source.path) for source in self._config.sources]
        reports = [(code, path, details.get(path, "")) for path in paths for code, details in told]
        return _Read(roster, change, self._feed.news(at), reports, problems, at)

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
        self._next_anchor_check = now + RELOAD_CHECK_S
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

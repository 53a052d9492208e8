"""The collector as a stage: an endless stream of batches, and the few states that it keeps.

One loop decides who is due; each poll runs as its own task; what they learn is gathered and handed on in batches.
While the consumer is slow nothing new is started, so memory stays bounded.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from collector import crypto, names, records
from collector.config import CollectorConfig, VantagePoint
from collector.inventory import Inventory
from collector.message import Response
from collector.questions import FetchFailure, Reply
from collector.resolver import Resolver
from collector.schedule import Schedule
from collector.skim import skim
from collector.sources import Sources
from collector.vantage import Vantage
from collector.watch import Memory, Subject, contradicts, decide_occasion, remember
from schemas.faults import ConfigError
from schemas.judgement import Verdict
from schemas.messages import (
    Identity,
    Message,
    Observation,
    PollBatch,
    SelfReport,
    utc,
)
from schemas.wire import digest_of, encode

log = logging.getLogger(__name__)

FLUSH_S = 0.5
FLUSH_MESSAGES = 500
RELOAD_CHECK_S = 5.0
LOST_AFTER_FAILURES = 5
LONGEST_FAREWELL_S = 4.0
STANDS = (Verdict.SECURE, Verdict.INSECURE)

Unchanged = tuple[Subject, str, float]


class InventoryFeed(Protocol):
    """Where the collector learns what to watch.

    ``troubles`` maps what can't be read to one sentence, ``shrunk`` what lost too many rows.
    """

    troubles: dict[str, str]
    shrunk: dict[str, str]

    def changed(self) -> bool:
        """Return whether ``load`` would return something else than the last time."""
        ...

    def load(self) -> Inventory:
        """Return the inventory as it is now; blocks."""
        ...

    def news(self, now: float) -> list[Message]:
        """Return what others must be told of the inventory since the last ``load``."""
        ...

    def is_ours(self, name: names.Name) -> bool:
        """Return whether it is for this collector to poll a name."""
        ...


class Collector:
    """Polls the endpoints of the inventory through all vantages.

    ``clock`` returns POSIX seconds. ``feed`` is the inventory, by default the configuration's files. Call ``stop`` to
    end the stream after the polls under way.

    Raises:
        ConfigError: this host's cryptography can't do what validation needs.
    """

    def __init__(self, config: CollectorConfig, clock: Callable[[], float], feed: InventoryFeed | None = None) -> None:
        troubles = crypto.probe_host()
        if troubles:
            raise ConfigError([f"refusing to run degraded: {trouble}" for trouble in troubles])
        self._config, self._clock = config, clock
        self._feed: InventoryFeed = (
            feed if feed is not None else Sources(config.sources, config.vantage_names, config.state)
        )
        self._schedule: Schedule[Subject] = Schedule(config.interval_s)
        self._memory: dict[Subject, Memory] = {}
        self._identities: dict[str, Identity] = {}
        # Made once: what a vantage has learnt outlives a crash of the loop below.
        self._vantages = {point.name: self._open(point) for point in config.vantages}
        self._failures: dict[str, int] = {}
        self._reported: dict[tuple[str, str], str] = {}
        self._observations: list[Message] = []
        self._unchanged: list[Unchanged] = []
        self._in_flight: set[Subject] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._give_up_at = float("inf")
        self._reload_wanted = False
        self._fault: BaseException | None = None
        self.polls = 0
        self.validations = 0

    @property
    def watched(self) -> int:
        """Return how many subjects are polled."""
        return len(self._schedule)

    @property
    def queries(self) -> int:
        """Return how many questions were sent in all."""
        return sum(vantage.queries for vantage in self._vantages.values())

    def stop(self) -> None:
        """End the stream once the polls under way are handed on."""
        self._stopping = True
        self._give_up_at = self._clock() + LONGEST_FAREWELL_S
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
        for name, rdtype, vantage in subjects:
            try:
                subject = Subject(names.from_text(name), records.type_from_text(rdtype), vantage)
            except ValueError:
                continue  # nothing that we poll
            if (memory := self._memory.get(subject)) is not None:
                memory.observed_at = 0.0

    async def observe(self) -> AsyncIterator[Sequence[Message]]:
        """Yield batches of messages until ``stop``; an empty batch means that time passed."""
        tasks: set[asyncio.Task[None]] = set()
        next_check = 0.0
        flushed_at = self._clock()
        try:
            while not self._stopping or (tasks and self._clock() < self._give_up_at):
                now = self._clock()
                if (now >= next_check or self._reload_wanted) and not self._stopping:
                    next_check = now + RELOAD_CHECK_S
                    if self._reload_wanted or self._feed.changed():
                        self._reload_wanted = False
                        yield self._reload(await asyncio.to_thread(self._feed.load), now)
                if not self._stopping:
                    for subject in self._schedule.take_due(now, self._config.concurrency - len(tasks)):
                        if subject in self._in_flight:
                            continue  # its last poll still waits for an answer
                        self._in_flight.add(subject)
                        task = asyncio.create_task(self._poll(subject))
                        tasks.add(task)
                        task.add_done_callback(self._finished(tasks))
                await self._pause(now)
                waiting = len(self._observations) + len(self._unchanged)
                now = self._clock()
                if now - flushed_at >= FLUSH_S or waiting >= FLUSH_MESSAGES:
                    flushed_at = now
                    yield self._flush()
            yield self._flush()
        finally:
            for task in tasks:
                task.cancel()

    def _finished(self, tasks: set[asyncio.Task[None]]) -> Callable[[asyncio.Task[None]], None]:
        def finished(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            self._wake.set()
            if not task.cancelled() and task.exception() is not None:
                self._fault = task.exception()

        return finished

    async def _pause(self, now: float) -> None:
        """Wait until a poll ends, the next is due, or it is time to hand on."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        due_at = self._schedule.next_due_at()
        wait_s = FLUSH_S if due_at is None or self._stopping else min(max(due_at - now, 0.01), FLUSH_S)
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait_s)

    def _open(self, point: VantagePoint) -> Vantage:
        resolver = Resolver(
            point.address,
            timeout_s=self._config.timeout_s,
            attempts=self._config.attempts,
            max_in_flight=self._config.concurrency * 2,
            egress=self._config.egress,
        )
        return Vantage(point.name, resolver, self._config.anchors, self._config.policy, self._clock)

    def _reload(self, inventory: Inventory, now: float) -> list[Message]:
        """Take in what the sources say now; return who is new, changed or gone, and what can't be read."""
        log.info("inventory read", extra={"identities": len(inventory.identities), "problems": len(inventory.problems)})
        changed = [i for i in inventory.identities if self._identities.get(i.id) != i]
        messages = self._feed.news(now)
        for subject in subjects_of(changed, tuple(self._vantages)):
            if subject in self._memory:
                self._memory[subject].observed_at = 0.0  # what is expected of it may have changed: observe it again
        self._identities = {identity.id: identity for identity in inventory.identities}
        everything = subjects_of(inventory.identities, tuple(self._vantages))
        subjects = [subject for subject in everything if self._feed.is_ours(subject.name)]
        self._schedule.set_items(subjects, now)
        if not self._memory.keys() >= set(subjects):
            # Whoever polled these before may have left a trouble open: how their vantages are is news.
            for name in self._vantages:
                self._reported.pop(("self_vantage_lost", name), None)
        for gone in set(self._memory) - set(subjects):
            del self._memory[gone]
        for source in self._config.sources:
            path = str(source.path)
            messages += self._report("self_inventory_stale", path, self._feed.troubles.get(path, ""), now)
            messages += self._report("self_inventory_shrunk", path, self._feed.shrunk.get(path, ""), now)
        return messages

    def _report(self, code: str, subject: str, detail: str, now: float) -> list[Message]:
        """Return a report of our own trouble, or that there is none, if it says something new.

        After a start "none" is news: an earlier process may have left the trouble open.
        """
        if self._reported.get((code, subject)) == detail:
            return []
        self._reported[code, subject] = detail
        return [SelfReport(code=code, subject=subject, at=utc(now), detail=detail)]

    async def _poll(self, subject: Subject) -> None:
        try:
            await self._poll_once(subject)
        finally:
            self._in_flight.discard(subject)

    async def _poll_once(self, subject: Subject) -> None:
        vantage = self._vantages[subject.vantage]
        memory = self._memory.setdefault(subject, Memory())
        reply = await vantage.ask(subject.name, subject.rdtype)
        self.polls += 1
        memory.polls += 1
        self._note_reachability(subject.vantage, reply)
        if self._is_first_silence(memory, reply):
            return
        now = self._clock()
        claim_due = memory.claim is None or memory.polls % self._config.claim_every == 0
        mark = skim(reply.wire) if isinstance(reply, Response) else b""
        refresh_due = now - memory.observed_at >= self._config.refresh_s
        stands = mark and mark == memory.skim and memory.verdict in STANDS and now < memory.fresh_until
        if stands and not claim_due and not refresh_due:
            self._unchanged.append((subject, memory.observation, now))
            return
        await self._validate(subject, memory, vantage, reply, mark, claim_due=claim_due)

    async def _validate(
        self, subject: Subject, memory: Memory, vantage: Vantage, reply: Reply, mark: bytes, *, claim_due: bool
    ) -> None:
        self.validations += 1
        judged = await vantage.judge(subject.name, subject.rdtype, reply)
        verdict = judged.judgement.verdict
        if claim_due or verdict is not memory.verdict or contradicts(verdict, memory.claim):
            memory.claim = await vantage.claim(subject.name, subject.rdtype)
        if self._memory.get(subject) is not memory:
            return  # it left the inventory meanwhile
        judgement = msgspec.structs.replace(judged.judgement, resolver=memory.claim)
        now = self._clock()
        memory.skim, memory.fresh_until = mark, judged.fresh_until
        occasion = decide_occasion(memory, judgement, now, self._config.refresh_s)
        if occasion is None:
            self._unchanged.append((subject, memory.observation, now))
            return
        at = utc(now)
        observation_id = digest_of(judgement.name, judgement.type, subject.vantage, at.isoformat())[:32]
        remember(memory, judgement, observation_id, now)
        self._observations.append(
            Observation(
                id=observation_id, occasion=occasion, observed_at=at, judgement=judgement, evidence=judged.evidence
            )
        )

    @staticmethod
    def _is_first_silence(memory: Memory, reply: Reply) -> bool:
        """Return whether a name that is known did not answer for once: the next poll tells more.

        By then a lost vantage is known as such, and its names are not blamed one by one.
        """
        silent = isinstance(reply, FetchFailure) and reply.is_silence
        memory.unanswered = memory.unanswered + 1 if silent else 0
        return memory.unanswered == 1 and memory.verdict is not None

    def _note_reachability(self, name: str, reply: Reply) -> None:
        """Notice that a resolver stopped answering, or answers again."""
        lost = isinstance(reply, FetchFailure) and reply.is_silence
        self._failures[name] = self._failures.get(name, 0) + 1 if lost else 0
        enough = min(LOST_AFTER_FAILURES, max(2, len(self._schedule) // max(1, len(self._vantages))))
        known = self._reported.get(("self_vantage_lost", name))
        if lost and isinstance(reply, FetchFailure) and not known and self._failures[name] >= enough:
            detail = f"{name}: {reply.detail}; the names behind it are not watched through it"
            self._observations += self._report("self_vantage_lost", name, detail, self._clock())
        elif not lost and known != "":
            self._observations += self._report("self_vantage_lost", name, "", self._clock())

    def _flush(self) -> list[Message]:
        """Return what has gathered: observations and reports in their order, then the unchanged by vantage."""
        messages, self._observations = self._observations, []
        unchanged, self._unchanged = self._unchanged, []
        by_vantage: dict[str, list[Unchanged]] = {}
        for row in unchanged:
            by_vantage.setdefault(row[0].vantage, []).append(row)
        return messages + [_poll_batch(name, rows) for name, rows in by_vantage.items()]


def _poll_batch(vantage: str, rows: list[Unchanged]) -> PollBatch:
    batch = PollBatch(
        id="",
        vantage=vantage,
        names=tuple(names.to_text(subject.name) for subject, _, _ in rows),
        types=tuple(records.type_to_text(subject.rdtype) for subject, _, _ in rows),
        observations=tuple(observation for _, observation, _ in rows),
        polled_at=tuple(utc(at) for _, _, at in rows),
    )
    return msgspec.structs.replace(batch, id=digest_of(encode(batch))[:32])


def subjects_of(identities: Sequence[Identity], vantages: Sequence[str]) -> list[Subject]:
    """Return every (name, type, vantage) that the identities consume, each once, in a stable order."""
    wanted = {
        (names.from_text(endpoint.host), records.type_from_text(rdtype))
        for identity in identities
        for endpoint in identity.endpoints
        for rdtype in endpoint.types
    }
    return [Subject(name, rdtype, vantage) for name, rdtype in sorted(wanted) for vantage in vantages]

"""The collector as a stage: an endless stream of batches, and the few states that it keeps.

One loop decides who is due, by a clock that only runs on; each poll runs as its own task; what they learn is gathered
and handed on in batches. While the consumer is slow nothing new is started, so memory stays bounded. What decides is
pure: schedule, fairness, reachability, confirmation, churn, timekeeping.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec
from publicsuffixlist import PublicSuffixList

from collector.config import CollectorConfig, VantagePoint
from collector.dnssec import crypto, names, records
from collector.dnssec.message import NOERROR, NXDOMAIN, Response
from collector.dnssec.questions import FetchFailure, Reply
from collector.dnssec.skim import skim
from collector.inventory.rows import Inventory
from collector.inventory.sources import Sources
from collector.polling.confirmation import Confirmations, pause_s
from collector.polling.fairness import FairShares
from collector.polling.memory import (
    NEVER,
    Memory,
    Subject,
    cause_of,
    contradicts,
    decide_occasion,
    is_news,
    remember,
    take_note,
)
from collector.polling.outbox import Outbox
from collector.polling.reachability import Reachability
from collector.polling.registrable import registrable_domain
from collector.polling.schedule import Schedule, first_round_s, phase_of
from collector.polling.timekeeping import ClockWatch, describe_jump
from collector.polling.zones import ZonesTold, as_observed, observation_of
from collector.resolvers.address import Address
from collector.resolvers.claims import DISPUTED_POLLS, differs, newer_claim
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import Transport
from collector.resolvers.vantage import Judged, Vantage
from schemas.codes import Code
from schemas.faults import ConfigError
from schemas.judgement import Judgement, Verdict
from schemas.messages import (
    Identity,
    Message,
    utc,
)

log = logging.getLogger(__name__)

FLUSH_S = 0.5
FLUSH_MESSAGES = 500
RELOAD_CHECK_S = 5.0
CONTROL_EVERY_S = 2.0
MOST_TAKEN = 100_000
LONGEST_GLANCE_S = 0.2
LONGEST_FAREWELL_S = 4.0
STANDS = (Verdict.SECURE, Verdict.INSECURE)


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

    ``clock`` returns POSIX seconds, for what is validated and told; ``ticks`` seconds that only run on, for all that is
    waited for. ``feed`` is the inventory, by default the configuration's files; ``open_transport`` makes what carries
    queries to a resolver, by default sockets. Call ``stop`` to end the stream after the polls under way.
    ``answered_at`` has by vantage when it last answered a poll, in POSIX seconds.

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
            feed if feed is not None else Sources(config.sources, config.vantage_names, config.state)
        )
        self._schedule: Schedule[Subject] = Schedule(config.interval_s)
        self._shares: FairShares[Subject] = FairShares(config.concurrency, config.interval_s)
        self._confirmations: Confirmations[Subject] = Confirmations()
        self._clock_watch = ClockWatch(config.interval_s)
        self._jumped_at = NEVER
        self._memory: dict[Subject, Memory] = {}
        self._zones = ZonesTold(config.refresh_s)
        self._identities: dict[str, Identity] = {}
        self._suffixes = PublicSuffixList()
        self._open_transport = open_transport
        # Made once: what a vantage has learnt outlives a crash of the loop below.
        self._vantages = {point.name: self._open(point) for point in config.vantages}
        self._reach = {point.name: Reachability(config.interval_s) for point in config.vantages}
        self._controls: dict[str, asyncio.Task[None]] = {}
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self._stopping = False
        self._give_up_at = float("inf")
        self._reload_wanted = False
        self._fault: BaseException | None = None
        self.hosts = 0
        self.answered_at: dict[str, float] = {}
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

    @property
    def polls_late(self) -> int:
        """Return how many polls began late, or whose turn came before the last one was over."""
        return self._shares.late + self._schedule.late

    @property
    def polls_waiting(self) -> int:
        """Return how many polls are due and wait for a slot."""
        return self._shares.waiting

    @property
    def resting(self) -> int:
        """Return how many subjects are in zones that do not answer, and are asked seldom."""
        return self._shares.resting

    def mismatches(self, kind: str) -> int:
        """Return how many replies of that kind were passed over: they answered no question of ours."""
        return sum(vantage.resolver.tally.by_kind.get(kind, 0) for vantage in self._vantages.values())

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
        for name, rdtype, vantage in subjects:
            try:
                subject = Subject(names.from_text(name), records.type_from_text(rdtype), vantage)
            except ValueError:
                continue  # nothing that we poll
            if (memory := self._memory.get(subject)) is not None:
                memory.observed_at = NEVER
                self._zones.forget(memory.zones, vantage)

    async def observe(self) -> AsyncIterator[Sequence[Message]]:
        """Yield batches of messages until ``stop``; an empty batch means that time passed."""
        tasks: set[asyncio.Task[None]] = set()
        next_check = float("-inf")
        flushed_at = self._ticks()
        try:
            while not self._stopping or (tasks and self._ticks() < self._give_up_at):
                now = self._ticks()
                self._check_clock(now)
                if (now >= next_check or self._reload_wanted) and not self._stopping:
                    next_check = now + RELOAD_CHECK_S
                    if self._reload_wanted or self._feed.changed():
                        self._reload_wanted = False
                        yield self._reload(await asyncio.to_thread(self._feed.load), self._clock())
                if not self._stopping:
                    self._check_vantages(now)
                    self._shares.offer(self._schedule.take_due(now, MOST_TAKEN), now, urgent=self._confirmations)
                    for subject in self._shares.admit(now):
                        task = asyncio.create_task(self._poll(subject))
                        tasks.add(task)
                        task.add_done_callback(self._finished(tasks))
                await self._pause(now)
                now = self._ticks()
                if now - flushed_at >= FLUSH_S or len(self._outbox) >= FLUSH_MESSAGES:
                    flushed_at = now
                    yield self._outbox.take()
            yield self._outbox.take()
        finally:
            for task in (*tasks, *self._controls.values()):
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
        due_at = min(self._schedule.next_due_at() or float("inf"), self._shares.next_probe_at())
        wait_s = FLUSH_S if self._stopping else min(max(due_at - now, 0.01), FLUSH_S)
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
            transport=self._open_transport(point.address) if self._open_transport is not None else None,
        )
        return Vantage(point.name, resolver, self._config.anchors, self._config.policy, self._clock)

    def _reload(self, inventory: Inventory, now: float) -> list[Message]:
        """Take in what the sources say now; return who is new, changed or gone, and what can't be read."""
        log.info("inventory read", extra={"identities": len(inventory.identities), "problems": len(inventory.problems)})
        changed = [i for i in inventory.identities if self._identities.get(i.id) != i]
        messages = self._feed.news(now)
        for subject in subjects_of(changed, tuple(self._vantages)):
            if subject in self._memory:
                self._memory[subject].observed_at = NEVER  # what is expected of it may have changed: observe it again
        self._identities = {identity.id: identity for identity in inventory.identities}
        everything = subjects_of(inventory.identities, tuple(self._vantages))
        subjects = [subject for subject in everything if self._feed.is_ours(subject.name)]
        self._schedule.set_items(subjects, self._ticks())
        self.hosts = len({subject.name for subject in subjects})
        self._shares.set_items({one: (registrable_domain(one.name, self._suffixes), one.vantage) for one in subjects})
        if not self._memory.keys() >= set(subjects):
            # Whoever polled these before may have left a trouble open: how their vantages are is news.
            for name in self._vantages:
                self._outbox.make_news(Code.SELF_VANTAGE_LOST, name)
        for gone in set(self._memory) - set(subjects):
            del self._memory[gone]
            self._confirmations.forget(gone)
        self._zones.keep((zone, one.vantage) for one, memory in self._memory.items() for zone in memory.zones)
        for source in self._config.sources:
            path = str(source.path)
            messages += self._report(Code.SELF_INVENTORY_STALE, path, self._feed.troubles.get(path, ""), now)
            messages += self._report(Code.SELF_INVENTORY_SHRUNK, path, self._feed.shrunk.get(path, ""), now)
        return messages

    def _report(self, code: str, subject: str, detail: str, now: float) -> list[Message]:
        """Return a report of our own trouble, or that there is none, if it says something new."""
        return self._outbox.news_of(code, subject, detail, now)

    def _check_clock(self, now: float) -> None:
        """Tell that the wall clock was set, and trust nothing that was to stand until an instant of it."""
        wall = self._clock()
        if self._ticks() - now > LONGEST_GLANCE_S:
            return  # the process was stopped between the two looks
        jump = self._clock_watch.compare(wall, now)
        if jump is None:
            return
        log.warning("our clock was set", extra={"direction": jump.direction, "seconds": round(abs(jump.seconds))})
        self._outbox.add(describe_jump(jump))
        self._jumped_at = now
        for vantage in self._vantages.values():
            vantage.forget()
        for memory in self._memory.values():
            memory.distrust()

    def _check_vantages(self, now: float) -> None:
        """Ask a lost vantage whether it is back, and tell what is suspected of the replies of each."""
        for name, vantage in self._vantages.items():
            if self._reach[name].is_control_due(now, min(self._config.interval_s, CONTROL_EVERY_S)):
                self._control(name)
            suspicion = vantage.resolver.suspicion()
            if suspicion is not None:
                detail = f"{name}: {suspicion}" if suspicion else ""
                self._outbox.add(*self._report(Code.SPOOFING_SUSPECTED, name, detail, self._clock()))

    async def _poll(self, subject: Subject) -> None:
        try:
            await self._poll_once(subject)
        finally:
            self._shares.finish(subject, self._ticks())

    async def _poll_once(self, subject: Subject) -> None:
        vantage = self._vantages[subject.vantage]
        memory = self._memory.setdefault(subject, Memory())
        began_at = self._ticks()
        # A name that never answered must not hold a slot for long: one try first, and all of them in its next turn.
        is_first_touch = memory.polls == 0 and self._config.attempts > 1
        reply = await vantage.ask(subject.name, subject.rdtype, attempts=1 if is_first_touch else None)
        self.polls += 1
        memory.polls += 1
        if isinstance(reply, FetchFailure) and reply.is_silence:
            if is_first_touch:
                self._shares.unknown(subject, self._ticks())
                self._schedule.hasten(subject, self._ticks())
                return
            if not await self._weigh_silence(subject, memory, began_at):
                return
            if not self._reach[subject.vantage].is_lost:
                reply = replace(reply, walk=True)  # the vantage answers, so where the name lies can be found
            await self._validate(subject, memory, vantage, reply, b"", began_at, claim_due=False)
            return
        self._note_answer(subject.vantage)
        self.answered_at[subject.vantage] = self._clock()
        now = self._ticks()
        claim_due = memory.claim is None or memory.disputed > 0 or memory.polls % self._config.claim_every == 0
        mark = skim(reply.wire) if isinstance(reply, Response) else b""
        refresh_due = now - memory.observed_at >= self._config.refresh_s or memory.churn.is_over(now)
        stands = mark and mark == memory.skim and memory.verdict in STANDS and self._clock() < memory.fresh_until
        if stands and not claim_due and not refresh_due:
            self._note_reply(subject, memory, reply)
            self._confirm_soon(subject, memory.cause, is_news=False)
            self._outbox.confirm(subject, memory.observation, self._clock(), memory.signed)
            return
        await self._validate(subject, memory, vantage, reply, mark, began_at, claim_due=claim_due)

    async def _validate(
        self,
        subject: Subject,
        memory: Memory,
        vantage: Vantage,
        reply: Reply,
        mark: bytes,
        began_at: float,
        *,
        claim_due: bool,
    ) -> None:
        self.validations += 1
        judged = await vantage.judge(subject.name, subject.rdtype, reply)
        verdict = judged.judgement.verdict
        was_answered = not (isinstance(reply, FetchFailure) and reply.is_silence)
        if was_answered:
            if verdict is Verdict.INDETERMINATE and judged.met_silence:
                # The answer came, and something else that the chain needs did not.
                if not await self._weigh_silence(subject, memory, began_at):
                    return
            else:
                self._note_reply(subject, memory, reply)
        judgement = judged.judgement
        is_new = verdict is not memory.verdict or judgement.answers != memory.answers
        if was_answered and (claim_due or is_new or contradicts(verdict, memory.claim)):
            await self._ask_claims(memory, vantage, judgement, both=is_new)
        if self._memory.get(subject) is not memory:
            return  # it left the inventory meanwhile
        self._hand_on(subject, memory, judged, mark, was_answered=was_answered)
        if began_at <= self._jumped_at:
            memory.fresh_until = 0.0  # by the clock as it was

    async def _ask_claims(self, memory: Memory, vantage: Vantage, judgement: Judgement, *, both: bool) -> None:
        """Ask what clients are told: in turn with DO=1 and without EDNS, in both ways where there is doubt."""
        both = both or memory.claim is None or memory.disputed > 0
        turn = memory.polls // self._config.claim_every % 2 == 0
        claims = await vantage.claims(judgement, edns=both or turn, plain=both or not turn)
        memory.claim = newer_claim(judgement, memory.claim, claims.resolver, asked=both or turn)
        memory.plain = newer_claim(judgement, memory.plain, claims.plain, asked=both or not turn)
        doubtful = differs(judgement, memory.claim) or differs(judgement, memory.plain)
        memory.disputed = DISPUTED_POLLS if doubtful else max(0, memory.disputed - 1)

    def _hand_on(self, subject: Subject, memory: Memory, judged: Judged, mark: bytes, *, was_answered: bool) -> None:
        """Make an observation of a judgement where it says something new, else note that it does not."""
        resolver, plain = (memory.claim, memory.plain) if was_answered else (None, None)
        whole = msgspec.structs.replace(judged.judgement, resolver=resolver, plain=plain)
        judgement = as_observed(whole, judged.zones, judged.answer)
        now, at = self._ticks(), utc(self._clock())
        seen = self._zones.see(judged.zones, judged.evidence, subject.vantage, at, now)
        self._outbox.add(*seen.news)
        memory.signed, memory.zones = judged.answer.signed, tuple(link.zone for link in judgement.chain)
        cause = cause_of(judgement)
        self._confirm_soon(subject, cause, is_news=is_news(memory, judgement, cause))
        memory.skim, memory.fresh_until, memory.cause = mark, judged.fresh_until, cause
        occasion = decide_occasion(memory, judgement, now, self._config.refresh_s)
        occasion, told = memory.churn.weigh(judgement, occasion, memory.observed_at, now, self._config.changes_per_hour)
        if occasion is None:
            if memory.churn.is_unstable:
                take_note(memory, judgement)
            self._outbox.confirm(subject, memory.observation, at.timestamp(), memory.signed)
            return
        message = observation_of(told, occasion, judged.answer, seen, judged.evidence, at)
        remember(memory, judgement, message.id, now)
        self._outbox.add(message)

    def _confirm_soon(self, subject: Subject, cause: tuple[str, ...] | None, *, is_news: bool) -> None:
        """Poll a subject again within seconds that has just turned bad, so that its finding is confirmed."""
        if self._confirmations.is_due_soon(subject, cause, is_news=is_news):
            self._schedule.hasten(subject, self._ticks() + pause_s(self._config.interval_s))

    def _note_reply(self, subject: Subject, memory: Memory, reply: Reply) -> None:
        """Note that a name answers; the names of a zone that was silent come back at once."""
        memory.unanswered = 0
        is_answer = isinstance(reply, Response) and reply.rcode in (NOERROR, NXDOMAIN)
        back = self._shares.answered(subject) if is_answer else self._shares.refused(subject)
        for one in back:
            if one != subject:
                self._schedule.hasten(one, self._ticks())

    async def _weigh_silence(self, subject: Subject, memory: Memory, began_at: float) -> bool:
        """Return whether a silence is to be told of a name; first find out whether its vantage answers at all."""
        reach = self._reach[subject.vantage]
        if not reach.is_lost and reach.needs_control(began_at, self._ticks()):
            await asyncio.shield(self._control(subject.vantage))
        now = self._ticks()
        if reach.speaks_of_before(began_at):
            self._shares.unknown(subject, now)
            self._schedule.hasten(subject, now + phase_of(subject) * first_round_s(self._config.interval_s))
            return False
        memory.unanswered += 1
        is_first = memory.unanswered == 1 and memory.verdict not in (None, Verdict.INDETERMINATE)
        if reach.is_lost or is_first:
            self._shares.unknown(subject, now)
        else:
            self._shares.silent(subject, now)
        if is_first and not reach.is_lost:
            # A datagram may be lost for once: the next poll, which comes soon, tells more.
            zone = registrable_domain(subject.name, self._suffixes)
            self._confirm_soon(subject, (subject.vantage, "silence", zone), is_news=True)
        return not is_first

    def _control(self, name: str) -> asyncio.Task[None]:
        """Return the control question under way to a vantage; one serves all who wait for it."""
        known = self._controls.get(name)
        if known is None:
            known = self._controls[name] = asyncio.create_task(self._ask_control(name))
            known.add_done_callback(self._finished(set()))
            known.add_done_callback(lambda _: self._controls.pop(name, None))
        return known

    async def _ask_control(self, name: str) -> None:
        """Ask until the vantage has answered something, or is lost; over UDP and TCP in turn."""
        reach, vantage = self._reach[name], self._vantages[name]
        for stream in itertools.cycle((False, True)):
            began_at = self._ticks()
            reply = await vantage.probe(stream=stream)
            if not (isinstance(reply, FetchFailure) and reply.is_silence):
                self._note_answer(name)
                return
            reach.unanswered_control(began_at, self._ticks(), reply.detail)
            if reach.is_lost:
                detail = f"{name}: {reach.failure}; the names behind it are not watched through it"
                self._outbox.add(*self._report(Code.SELF_VANTAGE_LOST, name, detail, self._clock()))
                return
            if reach.has_answered_since(began_at):
                return
            await asyncio.sleep(min(0.5, self._config.interval_s / 4))

    def _note_answer(self, name: str) -> None:
        """Notice that a resolver answers, again or still."""
        reach, now = self._reach[name], self._ticks()
        was_lost = reach.is_lost
        reach.answered(now)
        self._outbox.add(*self._report(Code.SELF_VANTAGE_LOST, name, "", self._clock()))
        if not was_lost:
            return
        for subject, memory in self._memory.items():
            if subject.vantage == name and memory.verdict not in STANDS:
                self._shares.wake_all([subject])
                self._schedule.hasten(subject, now + phase_of(subject) * first_round_s(self._config.interval_s))


def subjects_of(identities: Sequence[Identity], vantages: Sequence[str]) -> list[Subject]:
    """Return every (name, type, vantage) that the identities consume, each once, in a stable order."""
    wanted = {
        (names.from_text(endpoint.host), records.type_from_text(rdtype))
        for identity in identities
        for endpoint in identity.endpoints
        for rdtype in endpoint.types
    }
    return [Subject(name, rdtype, vantage) for name, rdtype in sorted(wanted) for vantage in vantages]

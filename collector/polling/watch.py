"""The watch: who is polled now, what a reply means, and what is asked next. Pure.

A poll is a generator of steps; ``due`` begins those whose turn it is, ``take`` goes on with a reply. Both return the
questions to put now, and the messages gather until they are taken. Instants come in as arguments: ``now`` in seconds
that only run on, for all that is waited for; ``at`` in POSIX seconds, for what is validated and told.

Who asks the same question of a vantage at the same time waits for one reply, and one control question to a vantage
serves all who wait for it: ``resolvers/dialogue`` sees to that, so that it holds for every driver.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec

from collector.authorities.sweeps import Sweeps
from collector.authorities.walk import Asked
from collector.config import CollectorConfig
from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.context import MAX_NODE_TTL_S
from collector.dnssec.message import NOERROR, NXDOMAIN, Response
from collector.dnssec.questions import FetchFailure, Reply
from collector.dnssec.skim import skim
from collector.polling.confirmation import Confirmations, pause_s
from collector.polling.fairness import FairShares
from collector.polling.memory import (
    NEVER,
    Memory,
    PollTarget,
    cause_of,
    contradicts,
    is_news,
    remember,
    take_note,
    zone_turned,
)
from collector.polling.outbox import Outbox
from collector.polling.reachability import Reachability
from collector.polling.registrable import public_suffixes, registrable_domain
from collector.polling.roster import RosterChange
from collector.polling.schedule import Schedule, first_round_s, phase_of
from collector.polling.timekeeping import ClockWatch, Jump, describe_jump
from collector.polling.zones import ZonesTold, as_observed, observation_of
from collector.resolvers.claims import DISPUTED_POLLS, differs, newer_claim, read_claim, says_the_same
from collector.resolvers.dialogue import Dialogues, Instant, Pause, Posed, Steps, share
from collector.resolvers.view import Judged, View
from schemas.codes import Code
from schemas.judgement import VALIDATED, Judgement, Verdict
from schemas.messages import Message, utc

CONTROL_EVERY_S = 2.0
MOST_TAKEN = 100_000
MOST_CHANGED = 2000


class Watch:
    """All subjects of one collector, and the polls of them that are under way.

    ``answered_at`` has by vantage when it last answered a poll, in POSIX seconds.
    """

    def __init__(self, config: CollectorConfig, mark_of: Callable[[bytes], bytes] = skim) -> None:
        """``mark_of`` tells responses that say the same by their octets; a driver whose octets repeat may remember."""
        self._config, self._mark_of = config, mark_of
        self._instant = Instant()
        self._sweeps = None
        if config.authorities is not None:
            self._sweeps = Sweeps(config.authorities, config.anchors, config.policy, self._instant)
        walks = {config.authorities.vantage: self._sweeps.walk} if config.authorities and self._sweeps else {}
        self._dialogues = Dialogues(self._instant, walks)
        self._schedule: Schedule[PollTarget] = Schedule(config.interval_s)
        self._shares: FairShares[PollTarget] = FairShares(config.concurrency, config.interval_s)
        self._confirmations: Confirmations[PollTarget] = Confirmations()
        self._clock_watch = ClockWatch(config.interval_s)
        self._jumped_at = NEVER
        self._memory: dict[PollTarget, Memory] = {}
        self._zones = ZonesTold(config.refresh_s, config.walked)
        self._suffixes = public_suffixes()
        self._views = {name: self._view_of(name) for name in config.vantage_names}
        self._reach = {name: Reachability(config.interval_s) for name in config.vantage_names}
        self._outbox = Outbox(config.by)
        self._changes: deque[RosterChange] = deque()
        self.hosts = 0
        self.answered_at: dict[str, float] = {}
        self.polls = 0
        self.validations = 0

    def _view_of(self, name: str) -> View:
        """Return the view of a vantage.

        Where servers are asked there is no cache in between: DS sets and key sets are looked at with every poll.
        """
        is_walked = name in self._config.walked
        longest_s = max(int(self._config.interval_s), 1) if is_walked else MAX_NODE_TTL_S
        anchors, policy = self._config.anchors, self._config.policy
        return View(name, anchors, policy, self._instant, longest_node_s=longest_s, is_resolver=not is_walked)

    @property
    def watched(self) -> int:
        """Return how many subjects are polled."""
        return len(self._schedule)

    @property
    def queries(self) -> int:
        """Return how many questions were asked in all."""
        return self._dialogues.asked

    @property
    def polls_late(self) -> int:
        """Return how many polls began late, or whose turn came before the last one was over."""
        return self._shares.late + self._schedule.late

    @property
    def polls_waiting(self) -> int:
        """Return how many polls are due and wait for a slot."""
        return self._shares.waiting

    @property
    def polls_under_way(self) -> int:
        """Return how many polls wait for a reply."""
        return self._shares.running

    @property
    def resting(self) -> int:
        """Return how many subjects are in zones that do not answer, and are asked seldom."""
        return self._shares.resting

    @property
    def gathered(self) -> int:
        """Return how much there is to hand on."""
        return len(self._outbox)

    @property
    def has_news(self) -> bool:
        """Return whether something else than unchanged polls is to be handed on."""
        return self._outbox.has_news

    # what there is to watch

    def change(self, change: RosterChange, now: float) -> None:
        """Take in how the inventory has changed: a little at once, of more a part with each call of ``due``."""
        self.hosts = change.hosts
        if change.added or len(self._memory) < len(self._schedule):
            # Whoever polled these before may have left a trouble open: how their vantages are is news.
            for name in self._views:
                self._outbox.make_news(Code.SELF_VANTAGE_LOST, name)
        self._changes += change.parts(MOST_CHANGED)
        self._take_change(now)

    def _take_change(self, now: float) -> None:
        part = self._changes.popleft()
        self._schedule.remove(part.gone)
        self._shares.remove(part.gone)
        for subject in part.gone:
            self._confirmations.forget(subject)
            if (memory := self._memory.pop(subject, None)) is not None:
                self._zones.release(memory.zones, subject.vantage)
                if self._sweeps is not None:
                    self._sweeps.leave(Asked(subject.name, subject.rdtype), memory.trail)
        for subject in part.changed:
            if subject in self._memory:
                self._memory[subject].observed_at = NEVER  # what is expected may have changed: observe it again
        self._schedule.add((subject for subject, _ in part.added), now)
        self._shares.add(part.added)
        self._zones.drop_unheld()

    def observe_again(self, subjects: Iterable[tuple[str, str, str]]) -> None:
        """Observe (name, type, vantage) anew with the next poll: what was observed of them did not arrive."""
        for name, rdtype, vantage in subjects:
            try:
                subject = PollTarget(names.from_text(name), records.type_from_text(rdtype), vantage)
            except ValueError:
                continue  # nothing that we poll
            if (memory := self._memory.get(subject)) is not None:
                memory.observed_at = NEVER
                self._zones.forget(memory.zones, vantage)

    def trust(self, anchors: TrustAnchors) -> None:
        """Validate from these anchors from now on, and everything anew."""
        for view in self._views.values():
            view.trust(anchors)
        if self._sweeps is not None:
            self._sweeps.trust(anchors)
        for memory in self._memory.values():
            memory.fresh_until = 0.0

    # time

    def check_clocks(self, now: float, at: float) -> Jump | None:
        """Return whether the wall clock was set, tell it, and trust nothing that was to stand until an instant of it.

        Both instants are from one moment.
        """
        jump = self._clock_watch.compare(at, now)
        if jump is None:
            return None
        self._instant.now, self._instant.at = now, at
        self._outbox.add(describe_jump(jump))
        self._jumped_at = now
        for view in self._views.values():
            view.forget()
        if self._sweeps is not None:
            self._sweeps.forget()
        for memory in self._memory.values():
            memory.distrust()
        return jump

    def due(self, now: float, at: float, *, begin: bool = True) -> list[Posed]:
        """Return what is to be asked now: by the polls whose turn it is, and by those that have paused.

        Without ``begin`` no poll is begun.
        """
        self._instant.now, self._instant.at = now, at
        self._dialogues.wake()
        if self._changes:
            self._take_change(now)
        if begin:
            for name, reach in self._reach.items():
                if reach.is_control_due(now, min(self._config.interval_s, CONTROL_EVERY_S)):
                    self._dialogues.start(self._control(name))
            self._shares.offer(self._schedule.take_due(now, MOST_TAKEN), now, urgent=self._confirmations)
            for subject in self._shares.admit(now):
                self._dialogues.start(self._poll(subject))
            for sweep in self._sweeps.due(self._outbox.add) if self._sweeps is not None else ():
                self._dialogues.start(sweep)
        return self._dialogues.take_posed()

    def take(self, ticket: int, reply: Reply, now: float, at: float) -> list[Posed]:
        """Take in the reply to a question; return what is to be asked next."""
        self._instant.now, self._instant.at = now, at
        self._dialogues.take(ticket, reply)
        return self._dialogues.take_posed()

    def next_due_at(self) -> float:
        """Return when ``due`` has something to do again, on the clock that only runs on; infinite if never."""
        if self._changes:
            return self._instant.now
        first = self._schedule.next_due_at()
        return min(
            first if first is not None else float("inf"),
            self._shares.next_probe_at(),
            self._dialogues.next_wake_at(),
            self._sweeps.next_due_at() if self._sweeps is not None else float("inf"),
        )

    def give_up(self) -> None:
        """End the polls under way: nobody will bring their replies."""
        self._dialogues.close()

    # what is told

    def take_messages(self) -> list[Message]:
        """Return what has gathered: observations and reports in their order, then the unchanged by vantage."""
        self._outbox.tell_again(self._instant.at, of_vantages=bool(self._memory))
        return self._outbox.take()

    def reports(self, code: str, subject: str, detail: str, at: float) -> list[Message]:
        """Return a report of our own trouble, or that there is none, if it says something new."""
        return self._outbox.news_of(code, subject, detail, at)

    def suspect(self, name: str, suspicion: str, at: float) -> None:
        """Tell what is suspected of the replies of a vantage, empty for nothing."""
        self.report(Code.SPOOFING_SUSPECTED, name, f"{name}: {suspicion}" if suspicion else "", at)

    def report(self, code: str, subject: str, detail: str, at: float) -> None:
        """Tell of our own trouble with the messages that gather, or that there is none, if it says something new."""
        self._outbox.add(*self.reports(code, subject, detail, at))

    # a poll

    def _poll(self, subject: PollTarget) -> Steps[None]:
        try:
            yield from self._poll_once(subject)
        finally:
            self._shares.finish(subject, self._instant.now)

    def _poll_once(self, subject: PollTarget) -> Steps[None]:
        view, instant = self._views[subject.vantage], self._instant
        memory = self._memory.get(subject)
        if memory is None:
            memory = self._memory[subject] = Memory()
        began_at = instant.now
        # A name that never answered must not hold a slot for long: one try first, and all of them in its next turn.
        is_first_touch = memory.polls == 0 and self._config.attempts > 1
        reply = yield from view.ask(subject.name, subject.rdtype, attempts=1 if is_first_touch else None)
        self.polls += 1
        memory.polls += 1
        if isinstance(reply, FetchFailure) and reply.is_silence:
            if is_first_touch:
                self._shares.unknown(subject, instant.now)
                self._schedule.hasten(subject, instant.now)
                return
            if not (yield from self._weigh_silence(subject, memory, began_at)):
                return
            if not self._reach[subject.vantage].is_lost:
                reply = replace(reply, walk=True)  # the vantage answers, so where the name lies can be found
            yield from self._validate(subject, memory, view, reply, b"", began_at, claim_due=False)
            return
        self._note_answer(subject.vantage)
        self.answered_at[subject.vantage] = instant.at
        now = instant.now
        claim_due = view.is_resolver and (
            memory.claim is None or memory.disputed > 0 or memory.polls % self._config.claim_every == 0
        )
        mark = self._mark_of(reply.wire) if isinstance(reply, Response) else b""
        is_calm = memory.churn.is_over(now) or (memory.flood is not None and memory.flood.is_over(now))
        refresh_due = now - memory.observed_at >= self._config.refresh_s or is_calm
        stands = mark and mark == memory.skim and memory.verdict in VALIDATED and instant.at < memory.fresh_until
        if stands and not refresh_due and (not claim_due or (yield from self._claim_stands(subject, memory, view))):
            if self._memory.get(subject) is memory:
                self._note_reply(subject, memory, reply)
                self._confirm_soon(subject, memory.cause, is_news=False)
                self._outbox.confirm(subject, memory.observation, instant.at, memory.signed)
            return
        yield from self._validate(subject, memory, view, reply, mark, began_at, claim_due=claim_due)

    def _validate(
        self,
        subject: PollTarget,
        memory: Memory,
        view: View,
        reply: Reply,
        mark: bytes,
        began_at: float,
        *,
        claim_due: bool,
    ) -> Steps[None]:
        self.validations += 1
        judged = yield from view.judge(subject.name, subject.rdtype, reply)
        verdict = judged.judgement.verdict
        was_answered = not (isinstance(reply, FetchFailure) and reply.is_silence)
        if was_answered:
            if verdict is Verdict.INDETERMINATE and judged.met_silence:
                # The answer came, and something else that the chain needs did not.
                if not (yield from self._weigh_silence(subject, memory, began_at)):
                    return
            else:
                self._note_reply(subject, memory, reply)
        judgement = judged.judgement
        is_new = verdict is not memory.verdict or judgement.answers != memory.answers
        has_doubt = is_new or contradicts(verdict, memory.claim)
        if was_answered and view.is_resolver and (claim_due or has_doubt):
            yield from self._ask_claims(memory, view, judgement, both=is_new)
        if self._memory.get(subject) is not memory:
            return  # it left the inventory meanwhile
        self._hand_on(subject, memory, judged, mark, was_answered=was_answered)
        if began_at <= self._jumped_at:
            memory.fresh_until = 0.0  # by the clock as it was

    def _claim_stands(self, subject: PollTarget, memory: Memory, view: View) -> Steps[bool]:
        """Ask what clients are told, in one way; return whether it is what they were told, and was no matter then."""
        if memory.claim is None or memory.disputed > 0:
            return False
        edns = self._is_edns_due(memory)
        known = memory.claim if edns else memory.plain
        heard = yield from view.ask_client(subject.name, subject.rdtype, edns=edns)
        return says_the_same(known, read_claim(heard))

    def _is_edns_due(self, memory: Memory) -> bool:
        return memory.polls // self._config.claim_every % 2 == 0

    def _ask_claims(self, memory: Memory, view: View, judgement: Judgement, *, both: bool) -> Steps[None]:
        """Ask what clients are told: in turn with DO=1 and without EDNS, in both ways where there is doubt."""
        both = both or memory.claim is None or memory.disputed > 0
        turn = self._is_edns_due(memory)
        claims = yield from view.claims(judgement, edns=both or turn, plain=both or not turn)
        memory.claim = newer_claim(judgement, memory.claim, claims.resolver, asked=both or turn)
        memory.plain = newer_claim(judgement, memory.plain, claims.plain, asked=both or not turn)
        doubtful = differs(judgement, memory.claim) or differs(judgement, memory.plain)
        memory.disputed = DISPUTED_POLLS if doubtful else max(0, memory.disputed - 1)

    def _hand_on(self, subject: PollTarget, memory: Memory, judged: Judged, mark: bytes, *, was_answered: bool) -> None:
        """Make an observation of a judgement where it says something new, else note that it does not."""
        resolver, plain = (memory.claim, memory.plain) if was_answered else (None, None)
        whole = msgspec.structs.replace(judged.judgement, resolver=resolver, plain=plain)
        judgement = as_observed(whole, judged.zones, judged.answer)
        now, at = self._instant.now, utc(self._instant.at)
        seen = self._zones.see(judged.zones, judged.evidence, subject.vantage, at, now)
        self._outbox.add(*seen.news)
        memory.signed = judged.answer.signed
        zones = tuple(link.zone for link in judgement.chain)
        cause = cause_of(judgement)
        if self._sweeps is not None:
            turned = "" if self._reach[subject.vantage].is_lost else zone_turned(memory, judgement, cause)
            memory.trail = self._sweeps.follow(Asked(subject.name, subject.rdtype), memory.trail, judgement, turned)
        if zones != memory.zones:
            self._zones.hold(zones, subject.vantage)
            self._zones.release(memory.zones, subject.vantage)
            memory.zones = zones
        self._confirm_soon(subject, cause, is_news=is_news(memory, judgement, cause))
        of_verdict = judgement.verdict is not memory.verdict or cause != memory.cause
        memory.skim, memory.fresh_until, memory.cause = mark, judged.fresh_until, cause
        refresh_s, most = self._config.refresh_s, self._config.changes_per_hour
        occasion, told, is_withheld = memory.weigh(
            judgement, now, refresh_s=refresh_s, most=most, of_verdict=of_verdict
        )
        if seen.is_withheld:
            memory.skim = b""
        if is_withheld:
            memory.skim = b""  # looked at in full until it is told
            if not of_verdict:
                self._outbox.confirm(subject, memory.observation, at.timestamp(), memory.signed)
            return
        if occasion is None:
            if memory.churn.is_unstable:
                take_note(memory, judgement)
            self._outbox.confirm(subject, memory.observation, at.timestamp(), memory.signed)
            return
        message = observation_of(told, occasion, judged.answer, seen, judged.evidence, at)
        remember(memory, judgement, message.id, now)
        self._outbox.add(message)

    def _confirm_soon(self, subject: PollTarget, cause: tuple[str, ...] | None, *, is_news: bool) -> None:
        """Poll a subject again within seconds that has just turned bad, so that its finding is confirmed."""
        if self._confirmations.is_due_soon(subject, cause, is_news=is_news):
            self._schedule.hasten(subject, self._instant.now + pause_s(self._config.interval_s))

    # silence

    def _note_reply(self, subject: PollTarget, memory: Memory, reply: Reply) -> None:
        """Note that a name answers; the names of a zone that was silent come back at once."""
        memory.unanswered = 0
        is_answer = isinstance(reply, Response) and reply.rcode in (NOERROR, NXDOMAIN)
        back = self._shares.answered(subject) if is_answer else self._shares.refused(subject)
        for one in back:
            if one != subject:
                self._schedule.hasten(one, self._instant.now)

    def _weigh_silence(self, subject: PollTarget, memory: Memory, began_at: float) -> Steps[bool]:
        """Return whether a silence is to be told of a name; first find out whether its vantage answers at all."""
        reach = self._reach[subject.vantage]
        if not reach.is_lost and reach.needs_control(began_at, self._instant.now):
            yield from self._control(subject.vantage)
        now = self._instant.now
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

    def _control(self, name: str) -> Steps[None]:
        """Wait for the control question under way to a vantage; one serves all who wait for it."""
        return share(("control", name), lambda: self._ask_control(name))

    def _ask_control(self, name: str) -> Steps[None]:
        """Ask until the vantage has answered something, or is lost; over UDP and TCP in turn."""
        reach, view, instant = self._reach[name], self._views[name], self._instant
        for stream in itertools.cycle((False, True)):
            began_at = instant.now
            reply = yield from view.probe(stream=stream)
            if not (isinstance(reply, FetchFailure) and reply.is_silence):
                self._note_answer(name)
                return
            reach.unanswered_control(began_at, instant.now, reply.detail)
            if reach.is_lost:
                detail = f"{name}: {reach.failure}; the names behind it are not watched through it"
                self._outbox.add(*self.reports(Code.SELF_VANTAGE_LOST, name, detail, instant.at))
                return
            if reach.has_answered_since(began_at):
                return
            yield Pause(min(0.5, self._config.interval_s / 4))

    def _note_answer(self, name: str) -> None:
        """Notice that a resolver answers, again or still."""
        reach, now = self._reach[name], self._instant.now
        was_lost = reach.is_lost
        reach.answered(now)
        self._outbox.add(*self.reports(Code.SELF_VANTAGE_LOST, name, "", self._instant.at))
        if not was_lost:
            return
        for subject, memory in self._memory.items():
            if subject.vantage == name and memory.verdict not in VALIDATED:
                self._shares.wake_all([subject])
                self._schedule.hasten(subject, now + phase_of(subject) * first_round_s(self._config.interval_s))

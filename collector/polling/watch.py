"""The watch: who is polled now, what a reply means, and what is asked next. Pure.

A poll is a generator of steps; ``due`` begins those whose turn it is, ``take`` goes on with a reply. Both return the
questions to put now, and the messages gather until they are taken. Instants come in as arguments: ``now`` in seconds
that only run on, for all that is waited for; ``at`` in POSIX seconds, for what is validated and told.

Who asks the same question of a vantage at the same time waits for one reply, and one control question to a vantage
serves all who wait for it: ``resolvers/dialogue`` sees to that, so that it holds for every driver.
"""

import itertools
from collections import deque
from collections.abc import Iterable
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
from collector.dnssec.resigned import content_of
from collector.dnssec.skim import least_ttl, take_imprint
from collector.polling.basis import Bases, stands_until
from collector.polling.confirmation import Confirmations, pause_s
from collector.polling.fairness import FairShares
from collector.polling.memory import (
    NEVER,
    Memory,
    PollTarget,
    cause_of,
    contradicts,
    is_news,
    memory_of,
    remember,
    signed_of,
    take_note,
    zone_turned,
)
from collector.polling.outbox import Outbox
from collector.polling.reachability import Reachability
from collector.polling.registrable import public_suffixes, registrable_domain
from collector.polling.roster import RosterChange
from collector.polling.schedule import Schedule, first_round_s, phase_of
from collector.polling.steady import Claim, SteadyPolls, is_claim_due, is_edns_due
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

    ``answered_at`` has by vantage when it last answered a poll, in POSIX seconds. ``validations`` counts the polls that
    were validated in full, ``resigned`` those whose answer was the same, under another signature; ``shadowed`` those
    that were validated in full only to compare, and ``shadow_differences`` what that has found.
    """

    def __init__(self, config: CollectorConfig) -> None:
        self._config = config
        self._instant = Instant()
        self._sweeps = None
        if config.authorities is not None:
            self._sweeps = Sweeps(config.authorities, config.anchors, config.policy, self._instant)
        walks = {config.authorities.vantage: self._sweeps.walk} if config.authorities and self._sweeps else {}
        self._dialogues = Dialogues(self._instant, walks)
        self._steady = SteadyPolls(self._dialogues.put, config.claim_every)
        self._schedule: Schedule[Memory] = Schedule(config.interval_s, _phase_of)
        self._shares: FairShares[Memory] = FairShares(config.concurrency, config.interval_s)
        self._confirmations: Confirmations[Memory] = Confirmations()
        self._clock_watch = ClockWatch(config.interval_s)
        self._distrusted_at = NEVER  # what was validated by a poll that began until then is no matter of now
        self._memory: dict[PollTarget, Memory] = {}
        self._zones = ZonesTold(config.refresh_s, config.walked)
        self._suffixes = public_suffixes()
        self._views = {name: self._view_of(name) for name in config.vantage_names}
        self._bases = {name: Bases() for name in config.vantage_names}
        self._windows = {name: self._steady.window(name) for name in config.vantage_names}
        self._heard: set[str] = set()
        self._reach = {name: Reachability(config.interval_s) for name in config.vantage_names}
        self._outbox = Outbox(config.by)
        self._changes: deque[RosterChange] = deque()
        self._late = 0
        self.hosts = 0
        self.answered_at: dict[str, float] = {}
        self.polls = 0
        self.validations = 0
        self.resigned = 0
        self.shadowed = 0
        self.shadow_differences = 0
        self._differences: list[str] = []

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
        return self._shares.late + self._schedule.late + self._late

    @property
    def polls_waiting(self) -> int:
        """Return how many polls are due and wait for a slot."""
        return self._shares.waiting

    @property
    def polls_under_way(self) -> int:
        """Return how many polls wait for a reply."""
        return self._shares.running + len(self._steady)

    @property
    def resting(self) -> int:
        """Return how many subjects are in zones that do not answer, and are asked seldom."""
        return self._shares.resting

    @property
    def news(self) -> int:
        """Return how much else than unchanged polls there is to hand on."""
        return self._outbox.news

    @property
    def unchanged(self) -> int:
        """Return how many unchanged polls there are to hand on."""
        return self._outbox.unchanged

    # what there is to watch

    def change(self, change: RosterChange, now: float) -> None:
        """Take in how the inventory has changed: a little at once, of more a part with each call of ``due``."""
        self.hosts = change.hosts
        if change.added:
            # Whoever polled these before may have left a trouble open: how their vantages are is news.
            for name in self._views:
                self._outbox.make_news(Code.SELF_VANTAGE_LOST, name)
        self._changes += change.parts(MOST_CHANGED)
        self._take_change(now)

    def _take_change(self, now: float) -> None:
        part = self._changes.popleft()
        gone = [memory for subject in part.gone if (memory := self._memory.pop(subject, None)) is not None]
        self._schedule.remove(gone)
        self._shares.remove(gone)
        for memory in gone:
            self._confirmations.forget(memory)
            self._zones.release(memory.zones, memory.target.vantage)
            if self._sweeps is not None:
                self._sweeps.leave(Asked(memory.target.name, memory.target.rdtype), memory.trail)
        for subject in part.changed:
            if subject in self._memory:
                self._memory[subject].observed_at = NEVER  # what is expected may have changed: observe it again
        added = [(memory_of(subject), zone) for subject, zone in part.added if subject not in self._memory]
        self._memory.update((memory.target, memory) for memory, _ in added)
        self._schedule.add((memory for memory, _ in added), now)
        self._shares.add(added)
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
        for bases in self._bases.values():
            bases.forget()
        self._distrusted_at = self._instant.now
        if self._sweeps is not None:
            self._sweeps.trust(anchors)

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
        self._distrusted_at = now
        for view in self._views.values():
            view.forget()
        for bases in self._bases.values():
            bases.forget()
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
        for name in self._heard:
            self._note_answer(name)
        self._heard.clear()
        if begin:
            for name, reach in self._reach.items():
                if reach.is_control_due(now, min(self._config.interval_s, CONTROL_EVERY_S)):
                    self._dialogues.start(self._control(name))
            turns = self._schedule.take_due(now, MOST_TAKEN)
            self._shares.offer(self._begin_quick(turns), now, urgent=self._confirmations)
            for memory in self._shares.admit(now):
                if self._is_steady(memory):
                    self._steady.begin(memory, now)
                else:
                    self._dialogues.start(self._poll(memory))
            for sweep in self._sweeps.due(self._outbox.add) if self._sweeps is not None else ():
                self._dialogues.start(sweep)
        return self._dialogues.take_posed()

    def stands(self, ticket: int, wire: bytes, now: float, at: float) -> bool:
        """Take in a response of which nothing has to be parsed: it says what the last one said. Return whether it does.

        It was matched with the question. One that says something else is left to ``take``.
        """
        memory = self._steady.unchanged(ticket, wire, now, at)
        if memory is None:
            return self._steady.is_same_claim(ticket, wire)
        self._instant.now, self._instant.at = now, at
        self._note_unchanged(memory, wire)
        return True

    def take(self, ticket: int, reply: Reply, now: float, at: float) -> list[Posed]:
        """Take in the reply to a question; return what is to be asked next."""
        self._instant.now, self._instant.at = now, at
        is_silence = isinstance(reply, FetchFailure) and reply.is_silence
        if isinstance(reply, Response) and self.stands(ticket, reply.wire, now, at):
            pass
        elif (memory := self._steady.take_poll(ticket, now, answered=not is_silence)) is not None:
            self._take_quick(memory, reply)
        elif (claim := self._steady.take_claim(ticket)) is not None:
            self._take_claim(claim, reply)
        else:
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
        for memory in self._steady.give_up():
            self._shares.finish(memory, self._instant.now)

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

    # a quick poll

    def _is_steady(self, memory: Memory) -> bool:
        """Return whether one question is enough for a poll, as long as its reply says what the last one said."""
        now = self._instant.now
        return (
            memory.stands(self._instant.at)
            and not memory.has_missed
            and not memory.has_new_claim
            and memory.disputed == 0
            and now - memory.observed_at < self._config.refresh_s
            and not memory.is_calm(now)
            and not self._is_shadow_due(memory)
        )

    def _is_shadow_due(self, memory: Memory) -> bool:
        """Return whether a poll is to be validated in full whatever its reply looks like, each endpoint in its turn."""
        every = self._config.shadow_every
        return every > 0 and (memory.polls + hash(memory.octets)) % every == 0

    def _begin_quick(self, turns: Iterable[Memory]) -> list[Memory]:
        """Begin the polls that are quick; return the others, and those that their resolver has no room for."""
        others, now = [], self._instant.now
        for memory in turns:
            if memory.is_under_way:
                self._late += 1
            elif (
                self._is_steady(memory)
                and self._windows[memory.target.vantage].has_room()
                and not self._shares.is_running(memory)
            ):
                self._steady.begin(memory, now)
            else:
                others.append(memory)
        return others

    def _note_unchanged(self, memory: Memory, wire: bytes) -> None:
        """Take in that a quick poll brought nothing new."""
        instant, vantage = self._instant, memory.target.vantage
        self._shares.finish(memory, instant.now)
        if not memory.is_watched:
            return
        self.polls += 1
        memory.polls += 1
        self._heard.add(vantage)
        self.answered_at[vantage] = instant.at
        if memory.basis is not None and memory.renewals != memory.basis.renewals:
            memory.renewals = memory.basis.renewals
            for zone, signers in memory.signings:
                self._zones.note_signing(zone, vantage, signers, int(instant.at) + least_ttl(wire))
        if memory in self._confirmations:
            self._confirm_soon(memory, memory.cause, is_news=False)
        self._outbox.confirm(memory, instant.at)

    def _take_quick(self, memory: Memory, reply: Reply) -> None:
        """Go on with a quick poll that brought something else: with its response, or, without one, from the beginning.

        It was one try, and a poll in full may have several.
        """
        now = self._instant.now
        self._shares.finish(memory, now)
        if not memory.is_watched:
            return
        if not isinstance(reply, Response):
            memory.has_missed = True
        elif self._is_signed_anew(memory, reply):
            self._note_unchanged(memory, reply.wire)
            return
        elif self._shares.take_slot(memory):
            self._dialogues.start(self._poll(memory, reply))
            return
        self._shares.offer([memory], now, urgent=[memory])

    def _is_signed_anew(self, memory: Memory, response: Response) -> bool:
        """Return whether an answer differs from the last one by its signature alone, which holds; then that counts."""
        if not memory.signed_content or not memory.stands_below(self._instant.at):
            return False
        target = memory.target
        anew = self._views[target.vantage].resigned(target.name, target.rdtype, response, memory.signed_content)
        if anew is None:
            return False
        self.resigned += 1
        memory.imprint = take_imprint(response.wire, memory.imprint)
        memory.signed, memory.stands_until = signed_of(anew.window), anew.stands_until
        return True

    def _take_claim(self, claim: Claim, reply: Reply) -> None:
        """Take in what clients are told; where that is new, the endpoint is polled with all that goes with it."""
        memory = claim.memory
        if not memory.is_watched:
            return
        known = memory.claim if claim.edns else memory.plain
        if isinstance(reply, Response) and says_the_same(known, read_claim(reply)):
            claim.learn(reply.wire)
            return
        memory.has_new_claim = True
        self._shares.offer([memory], self._instant.now, urgent=[memory])

    # a poll

    def _poll(self, memory: Memory, reply: Reply | None = None) -> Steps[None]:
        """Poll an endpoint; ``reply`` is the one to its question, if it is at hand."""
        try:
            yield from self._poll_once(memory, reply)
        finally:
            self._shares.finish(memory, self._instant.now)

    def _poll_once(self, memory: Memory, reply: Reply | None) -> Steps[None]:
        target, instant = memory.target, self._instant
        view = self._views[target.vantage]
        began_at = instant.now
        # A name that never answered must not hold a slot for long: one try first, and all of them in its next turn.
        is_first_touch = memory.polls == 0 and self._config.attempts > 1
        if reply is None:
            reply = yield from view.ask(target.name, target.rdtype, attempts=1 if is_first_touch else None)
        is_shadow_due = self._is_shadow_due(memory)
        self.polls += 1
        memory.polls += 1
        if isinstance(reply, FetchFailure) and reply.is_silence:
            if is_first_touch:
                self._shares.unknown(memory, instant.now)
                self._schedule.hasten(memory, instant.now)
                return
            memory.has_missed = True
            if not (yield from self._weigh_silence(memory, began_at)):
                return
            if not self._reach[target.vantage].is_lost:
                reply = replace(reply, walk=True)  # the vantage answers, so where the name lies can be found
            yield from self._validate(memory, view, reply, began_at, claim_due=False)
            return
        self._note_answer(target.vantage)
        self.answered_at[target.vantage] = instant.at
        now = instant.now
        claim_due = view.is_resolver and (
            memory.claim is None
            or memory.disputed > 0
            or memory.has_new_claim
            or is_claim_due(memory.polls - 1, self._config.claim_every)
        )
        refresh_due = now - memory.observed_at >= self._config.refresh_s or memory.is_calm(now)
        stands = isinstance(reply, Response) and memory.says_the_same(reply.wire, instant.at)
        if stands and is_shadow_due:
            yield from self._compare(memory, view, reply, began_at, claim_due=claim_due)
            return
        if stands and not refresh_due and (not claim_due or (yield from self._claim_stands(memory, view))):
            if memory.is_watched:
                self._note_reply(memory, reply)
                self._confirm_soon(memory, memory.cause, is_news=False)
                self._outbox.confirm(memory, instant.at)
            return
        yield from self._validate(memory, view, reply, began_at, claim_due=claim_due)

    def _validate(
        self,
        memory: Memory,
        view: View,
        reply: Reply,
        began_at: float,
        *,
        claim_due: bool,
    ) -> Steps[Judgement | None]:
        """Validate a reply and hand on what is new in it; return the judgement, None where there is none to go by."""
        self.validations += 1
        judged = yield from view.judge(memory.target.name, memory.target.rdtype, reply)
        verdict = judged.judgement.verdict
        was_answered = not (isinstance(reply, FetchFailure) and reply.is_silence)
        if was_answered:
            if verdict is Verdict.INDETERMINATE and judged.met_silence:
                # The answer came, and something else that the chain needs did not.
                if not (yield from self._weigh_silence(memory, began_at)):
                    return None
            else:
                self._note_reply(memory, reply)
        judgement = judged.judgement
        is_new = verdict is not memory.verdict or judgement.answers != memory.answers
        has_doubt = is_new or contradicts(verdict, memory.claim)
        if was_answered and view.is_resolver and (claim_due or has_doubt):
            yield from self._ask_claims(memory, view, judgement, both=is_new)
        if not memory.is_watched:
            return None  # it left the inventory meanwhile
        # By the clock or from the anchors as they were: told, but nothing rests on it.
        is_of_now = began_at > self._distrusted_at
        self._hand_on(memory, judged, reply, was_answered=was_answered, is_of_now=is_of_now)
        return judgement

    def _compare(self, memory: Memory, view: View, reply: Reply, began_at: float, *, claim_due: bool) -> Steps[None]:
        """Validate in full what need not be, and note where that comes out otherwise: then we are wrong somewhere."""
        before = memory.verdict, memory.answers
        judgement = yield from self._validate(memory, view, reply, began_at, claim_due=claim_due)
        self.shadowed += 1
        if judgement is not None and before != (judgement.verdict, judgement.answers):
            target = memory.target
            self.shadow_differences += 1
            self._differences.append(
                f"{names.to_text(target.name)} {records.type_to_text(target.rdtype)} through {target.vantage}:"
                f" {before[0]} by the skim, {judgement.verdict} in full"
            )

    def take_differences(self) -> list[str]:
        """Return since the last call where the skim and the full validation of one reply came out differently."""
        found, self._differences = self._differences, []
        return found

    def _claim_stands(self, memory: Memory, view: View) -> Steps[bool]:
        """Ask what clients are told, in one way; return whether it is what they were told, and was no matter then.

        Where something else was heard beside a poll, both ways are to be asked: this turn may be the other one's.
        """
        if memory.claim is None or memory.disputed > 0 or memory.has_new_claim:
            return False
        edns = is_edns_due(memory.polls - 1, self._config.claim_every)
        known = memory.claim if edns else memory.plain
        heard = yield from view.ask_client(memory.target.name, memory.target.rdtype, edns=edns)
        return says_the_same(known, read_claim(heard))

    def _ask_claims(self, memory: Memory, view: View, judgement: Judgement, *, both: bool) -> Steps[None]:
        """Ask what clients are told: in turn with DO=1 and without EDNS, in both ways where there is doubt."""
        both = both or memory.claim is None or memory.disputed > 0 or memory.has_new_claim
        turn = is_edns_due(memory.polls - 1, self._config.claim_every)
        claims = yield from view.claims(judgement, edns=both or turn, plain=both or not turn)
        memory.claim = newer_claim(judgement, memory.claim, claims.resolver, asked=both or turn)
        memory.plain = newer_claim(judgement, memory.plain, claims.plain, asked=both or not turn)
        doubtful = differs(judgement, memory.claim) or differs(judgement, memory.plain)
        memory.claim_mark = memory.plain_mark = b""  # which response says the claim that counts now is to be seen
        memory.has_new_claim = False
        memory.disputed = DISPUTED_POLLS if doubtful else max(0, memory.disputed - 1)

    def _hand_on(self, memory: Memory, judged: Judged, reply: Reply, *, was_answered: bool, is_of_now: bool) -> None:
        """Make an observation of a judgement where it says something new, else note that it does not."""
        resolver, plain = (memory.claim, memory.plain) if was_answered else (None, None)
        whole = msgspec.structs.replace(judged.judgement, resolver=resolver, plain=plain)
        judgement = as_observed(whole, judged.zones, judged.answer)
        now, at, target = self._instant.now, utc(self._instant.at), memory.target
        seen = self._zones.see(judged.zones, judged.evidence, target.vantage, at, now)
        self._outbox.add(*seen.news)
        memory.signed = signed_of(judged.answer.signed)
        zones = tuple(link.zone for link in judgement.chain)
        cause = cause_of(judgement)
        if self._sweeps is not None:
            turned = "" if self._reach[target.vantage].is_lost else zone_turned(memory, judgement, cause)
            memory.trail = self._sweeps.follow(Asked(target.name, target.rdtype), memory.trail, judgement, turned)
        if zones != memory.zones:
            self._zones.hold(zones, target.vantage)
            self._zones.release(memory.zones, target.vantage)
            memory.zones = zones
        self._confirm_soon(memory, cause, is_news=is_news(memory, judgement, cause))
        of_verdict = judgement.verdict is not memory.verdict or cause != memory.cause
        if is_of_now:
            self._rest_on(memory, judged, reply)
        else:
            memory.basis = memory.imprint = None
        memory.cause = cause
        refresh_s, most = self._config.refresh_s, self._config.changes_per_hour
        occasion, told, is_withheld = memory.weigh(
            judgement, now, refresh_s=refresh_s, most=most, of_verdict=of_verdict
        )
        if seen.is_withheld or is_withheld:
            memory.basis = None  # looked at in full until it is told
        if is_withheld:
            if not of_verdict:
                self._outbox.confirm(memory, at.timestamp())
            return
        if occasion is None:
            if memory.churn.is_unstable:
                take_note(memory, judgement)
            self._outbox.confirm(memory, at.timestamp())
            return
        message = observation_of(told, occasion, judged.answer, seen, judged.evidence, at)
        remember(memory, judgement, message.id, now)
        self._outbox.add(message)

    def _rest_on(self, memory: Memory, judged: Judged, reply: Reply) -> None:
        """Note for how long, and for which responses, a judgement stands.

        The reply at hand counts only if it is what was validated, and all of it: another one may have taken its place,
        and an alias that the resolver did not follow leads to data of which it says nothing.
        """
        vantage = memory.target.vantage
        is_quick = judged.judgement.verdict in VALIDATED and self._views[vantage].is_resolver
        if not is_quick or not isinstance(reply, Response) or judged.result.messages != [reply.wire]:
            memory.basis = memory.imprint = None
            return
        memory.imprint = take_imprint(reply.wire, memory.imprint)
        memory.stands_until = stands_until(judged.result)
        memory.signed_content = content_of(judged.result, reply)
        memory.basis = self._bases[vantage].see(judged.result)
        memory.renewals = memory.basis.renewals
        memory.signings = self._bases[vantage].signings_of(judged.zones)

    def _confirm_soon(self, memory: Memory, cause: tuple[str, ...] | None, *, is_news: bool) -> None:
        """Poll a subject again within seconds that has just turned bad, so that its finding is confirmed."""
        if self._confirmations.is_due_soon(memory, cause, is_news=is_news):
            self._schedule.hasten(memory, self._instant.now + pause_s(self._config.interval_s))

    # silence

    def _note_reply(self, memory: Memory, reply: Reply) -> None:
        """Note that a name answers; the names of a zone that was silent come back at once."""
        memory.unanswered, memory.has_missed = 0, False
        is_answer = isinstance(reply, Response) and reply.rcode in (NOERROR, NXDOMAIN)
        back = self._shares.answered(memory) if is_answer else self._shares.refused(memory)
        for one in back:
            if one is not memory:
                self._schedule.hasten(one, self._instant.now)

    def _weigh_silence(self, memory: Memory, began_at: float) -> Steps[bool]:
        """Return whether a silence is to be told of a name; first find out whether its vantage answers at all."""
        vantage = memory.target.vantage
        reach = self._reach[vantage]
        if not reach.is_lost and reach.needs_control(began_at, self._instant.now):
            yield from self._control(vantage)
        now = self._instant.now
        if reach.speaks_of_before(began_at):
            self._shares.unknown(memory, now)
            self._schedule.hasten(memory, now + _phase_of(memory) * first_round_s(self._config.interval_s))
            return False
        memory.unanswered += 1
        is_first = memory.unanswered == 1 and memory.verdict not in (None, Verdict.INDETERMINATE)
        if reach.is_lost or is_first:
            self._shares.unknown(memory, now)
        else:
            self._shares.silent(memory, now)
        if is_first and not reach.is_lost:
            # A datagram may be lost for once: the next poll, which comes soon, tells more.
            zone = registrable_domain(memory.target.name, self._suffixes)
            self._confirm_soon(memory, (vantage, "silence", zone), is_news=True)
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
        for memory in self._memory.values():
            if memory.target.vantage == name and memory.verdict not in VALIDATED:
                self._shares.wake_all([memory])
                self._schedule.hasten(memory, now + _phase_of(memory) * first_round_s(self._config.interval_s))


def _phase_of(memory: Memory) -> float:
    return phase_of(memory.target)

"""One resolver as seen from here: ask it, validate what it says, and note what it claims by itself."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from collector import names, records
from collector.anchors import TrustAnchors
from collector.budget import Budget
from collector.chain import rcode_text
from collector.context import Context, Step
from collector.homes import Homes
from collector.judging import fresh_until, make_judgement
from collector.message import AD, Response
from collector.names import Name
from collector.policy import ALGORITHMS_SHA1, Policy
from collector.questions import Ask, FetchFailure, Reply
from collector.replay import responses_in, validate_from
from collector.resolver import Resolver
from collector.validation import Conclusion, validate
from schemas.judgement import Judgement, ResolverClaim, Verdict
from schemas.messages import Evidence

SWEEP_EVERY_S = 300.0
TIMING = {"rrsig_expired", "rrsig_not_yet_valid"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement, its evidence, and until when it stands (POSIX seconds) while the same answer comes.

    ``met_silence``: something that was asked on the way stayed without any answer.
    """

    judgement: Judgement
    evidence: Evidence
    fresh_until: int
    met_silence: bool = False


class Vantage:
    """A named resolver with what its chains have taught so far.

    ``clock`` returns POSIX seconds; ``validate --at`` and tests pass one that stands still.
    """

    def __init__(
        self, name: str, resolver: Resolver, anchors: TrustAnchors, policy: Policy, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self.resolver = resolver
        self.queries = 0
        self._anchors, self._policy, self._clock = anchors, policy, clock
        self._steps: dict[Name, Step] = {}
        self._homes = Homes()
        self._answered: Ask | None = None
        self._swept_at = 0.0
        self._in_flight: dict[Ask, asyncio.Future[Reply]] = {}

    async def ask(self, name: Name, rdtype: int) -> Reply:
        """Ask as a validator does: DO=1, CD=1."""
        self.queries += 1
        reply = await self.resolver.ask(name, rdtype)
        if isinstance(reply, Response):
            self._answered = Ask(name, rdtype)
        return reply

    async def probe(self, *, stream: bool) -> Reply:
        """Ask once what every resolver can answer, to learn whether it is there; return an answer if there is one.

        That is the key set of the topmost trust anchor and, as some networks are cut off from it, what was answered
        last.
        """
        questions = {Ask(min(self._anchors.by_zone, key=len), records.DNSKEY)}
        if self._answered is not None:
            questions.add(self._answered)
        self.queries += len(questions)
        replies = await asyncio.gather(
            *(self.resolver.ask(one.name, one.rdtype, stream=stream, attempts=1) for one in questions)
        )
        answers = [reply for reply in replies if not (isinstance(reply, FetchFailure) and reply.is_silence)]
        return next(iter(answers), replies[0])

    def forget(self) -> None:
        """Forget what the chains have taught: the clock was set, so until when it was to stand means nothing now."""
        self._steps = {}  # validations under way go on with the old ones
        self._swept_at = self._clock()

    async def judge(self, name: Name, rdtype: int, first: Reply | None = None) -> Judged:
        """Validate one name and type; ``first`` is the reply to that very question, if it is at hand.

        What fails to validate is asked again over TCP, chain and all: a forged datagram or a stale step must not make
        a zone bogus. Both runs share one budget, so that a hostile zone gains nothing by it.
        """
        self._sweep()
        if isinstance(first, FetchFailure) and first.is_silence:
            first = self._homes.located(first, name)
        budget = Budget(self._policy)
        conclusion, context = await self._run(name, rdtype, self._policy, budget, self._steps, first, stream=False)
        if conclusion.verdict is Verdict.BOGUS:
            steps: dict[Name, Step] = {}
            again, context_again = await self._run(name, rdtype, self._policy, budget, steps, None, stream=True)
            if again.verdict is not Verdict.INDETERMINATE and not _is_spent(again):
                conclusion, context = again, context_again
                self._steps.update(steps)
        judgement, evidence = make_judgement(context, conclusion, name, rdtype, self.name)
        judgement = msgspec.structs.replace(
            judgement,
            lenient_verdict=self._lenient(context, conclusion, judgement, evidence, name, rdtype),
            other_verdict=await self._other_profile(judgement, budget, name, rdtype),
        )
        self._homes.learn(conclusion)
        return Judged(judgement, evidence, fresh_until(conclusion), context.met_silence)

    def _sweep(self) -> None:
        """Forget steps that are no longer fresh, now and then: names come and go, and each holds whole messages."""
        now = self._clock()
        if 0 <= now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        for name in [name for name, step in self._steps.items() if step.fresh_until <= now]:
            del self._steps[name]

    async def claim(self, name: Name, rdtype: int) -> ResolverClaim | None:
        """Return what the resolver tells a plain client (CD=0); None if it says nothing."""
        reply = await self.resolver.ask(name, rdtype, checking_disabled=False)
        if isinstance(reply, FetchFailure):
            return ResolverClaim(False, rcode_text(reply.rcode), (), reply.ede) if reply.rcode is not None else None
        answers = sorted(
            f"{names.to_text(owner)} {records.type_to_text(kind)} {records.rdata_to_text(kind, rdata)}"
            for (owner, kind), rrset in reply.answer.items()
            for rdata in rrset.rdatas
        )
        return ResolverClaim(bool(reply.flags & AD), rcode_text(reply.rcode), tuple(answers), reply.ede)

    async def _run(
        self,
        name: Name,
        rdtype: int,
        policy: Policy,
        budget: Budget,
        steps: dict[Name, Step],
        first: Reply | None,
        *,
        stream: bool,
    ) -> tuple[Conclusion, Context]:
        context = Context(int(self._clock()), self._anchors, policy, budget, steps)
        questions = validate(context, name, rdtype)
        is_first_asked_here = first is None and not stream
        try:
            asked = next(questions)
            while True:
                if first is not None and (asked.name, asked.rdtype) == (name, rdtype):
                    reply, first = first, None
                else:
                    reply = await self._shared(asked, stream=stream)
                if isinstance(reply, FetchFailure) and reply.is_silence:
                    context.met_silence = True
                    if is_first_asked_here and (asked.name, asked.rdtype) == (name, rdtype):
                        reply = await self._weighed(reply)
                    reply = self._homes.located(reply, asked.name)
                asked = questions.send(reply)
        except StopIteration as stop:
            conclusion: Conclusion = stop.value
            return conclusion, context

    async def _weighed(self, silence: FetchFailure) -> FetchFailure:
        """Return a silence that may be traced to its zone if the vantage answers something else."""
        control = await self.probe(stream=False)
        return silence if isinstance(control, FetchFailure) and control.is_silence else replace(silence, walk=True)

    async def _shared(self, asked: Ask, *, stream: bool) -> Reply:
        """Ask once for all who ask the same at the same time."""
        if stream:
            self.queries += 1
            return await self.resolver.ask(asked.name, asked.rdtype, stream=True)
        waiting = self._in_flight.get(asked)
        if waiting is None:
            waiting = asyncio.ensure_future(self.ask(asked.name, asked.rdtype))
            self._in_flight[asked] = waiting
            waiting.add_done_callback(lambda _: self._in_flight.pop(asked, None))
        return await asyncio.shield(waiting)

    def _lenient(
        self,
        context: Context,
        conclusion: Conclusion,
        judgement: Judgement,
        evidence: Evidence,
        name: Name,
        rdtype: int,
    ) -> Verdict | None:
        """Return the verdict of a validator that forgives skew, where times are what is wrong."""
        if conclusion.verdict is not Verdict.BOGUS or not any(r.code in TIMING for r in judgement.reasons):
            return None
        lenient = Context(context.now, self._anchors, self._policy, Budget(self._policy), {}, lenient=True)
        return validate_from(responses_in(evidence.messages), lenient, name, rdtype).verdict

    async def _other_profile(self, judgement: Judgement, budget: Budget, name: Name, rdtype: int) -> Verdict | None:
        """Return what the other algorithm profile says, where a SHA-1 algorithm takes part."""
        sha1 = {str(algorithm) for algorithm in ALGORITHMS_SHA1}
        if not any(ds.split()[1] in sha1 for link in judgement.chain for ds in link.ds):
            return None
        other = "legacy" if self._policy.profile == "iana2025" else "iana2025"
        policy = msgspec.structs.replace(self._policy, profile=other)
        conclusion, _ = await self._run(name, rdtype, policy, budget, {}, None, stream=False)
        return conclusion.verdict


def _is_spent(conclusion: Conclusion) -> bool:
    """Return whether the budget was what ended the validation."""
    return any(
        link.reason is not None and link.reason.code == "validation_budget_exceeded" for link in conclusion.links
    )

"""One resolver as seen from here: ask it, validate what it says, and note what it claims by itself."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import ChainNode, Context
from collector.dnssec.judgement import AnswerFacts, ZoneFacts, answer_facts, fresh_until, make_judgement, zone_facts
from collector.dnssec.message import NOERROR, NXDOMAIN, Response
from collector.dnssec.names import Name
from collector.dnssec.policy import ALGORITHMS_SHA1, Policy
from collector.dnssec.questions import Ask, FetchFailure, Reply
from collector.dnssec.replay import responses_in, validate_from
from collector.dnssec.validation import ValidationResult, validate
from collector.resolvers.claims import differs, embeds, read_claim
from collector.resolvers.homes import Homes
from collector.resolvers.resolver import Resolver
from collector.resolvers.stripping import (
    ASKED_AGAIN,
    Control,
    as_stripped,
    control_questions,
    is_signed,
    question_at_fault,
    stripping_fault,
    weigh_controls,
)
from schemas.catalogue import Doubt, codes_where
from schemas.codes import Code
from schemas.judgement import Judgement, ResolverClaim, Verdict, data_of
from schemas.messages import Evidence

SWEEP_EVERY_S = 300.0
CONTROL_FOR_S = 5.0
NOTHING_SHOWN = AnswerFacts((), (), None)
TIMING = codes_where(lambda row: Doubt.CLOCK in row.doubts)


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement, its evidence, and until when it stands (POSIX seconds) while the same answer comes.

    ``met_silence``: something that was asked on the way stayed without any answer.
    """

    judgement: Judgement
    evidence: Evidence
    fresh_until: int
    zones: tuple[ZoneFacts, ...] = ()
    answer: AnswerFacts = NOTHING_SHOWN
    met_silence: bool = False


@dataclass(frozen=True, slots=True)
class Claims:
    """What a resolver tells clients that ask with EDNS and DO=1, and plain ones; None where nothing was heard."""

    resolver: ResolverClaim | None
    plain: ResolverClaim | None


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
        self._nodes: dict[Name, ChainNode] = {}
        self._homes = Homes()
        self._answered: Ask | None = None
        self._swept_at = 0.0
        self._in_flight: dict[Ask, asyncio.Future[Reply]] = {}
        self._controls: dict[tuple[Ask, ...], tuple[float, asyncio.Future[list[Reply]]]] = {}

    async def ask(self, name: Name, rdtype: int, *, attempts: int | None = None) -> Reply:
        """Ask as a validator does: DO=1, CD=1; ``attempts`` limits the tries."""
        self.queries += 1
        reply = await self.resolver.ask(name, rdtype, attempts=attempts)
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
        self._nodes = {}  # validations under way go on with the old ones
        self._swept_at = self._clock()

    async def judge(self, name: Name, rdtype: int, first: Reply | None = None) -> Judged:
        """Validate one name and type; ``first`` is the reply to that very question, if it is at hand.

        What fails to validate is asked again over TCP, chain and all: a forged datagram or a stale node must not make
        a zone bogus. Both runs share one budget, so that a hostile zone gains nothing by it.
        """
        self._sweep()
        if isinstance(first, FetchFailure) and first.is_silence:
            first = self._homes.located(first, name)
        budget = Budget(self._policy)
        result, context = await self._run(name, rdtype, self._policy, budget, self._nodes, first, stream=False)
        if result.verdict is Verdict.BOGUS:
            nodes: dict[Name, ChainNode] = {}
            again, context_again = await self._run(name, rdtype, self._policy, budget, nodes, None, stream=True)
            if again.verdict is not Verdict.INDETERMINATE and not _is_spent(again):
                result, context = again, context_again
                self._nodes.update(nodes)
        result = await self._weigh_stripping(result, context.met_error)
        judgement, evidence = make_judgement(context, result, name, rdtype, self.name)
        judgement = msgspec.structs.replace(
            judgement,
            lenient_verdict=self._lenient(context, result, judgement, evidence, name, rdtype),
            other_verdict=await self._other_profile(judgement, budget, name, rdtype),
        )
        self._homes.learn(result)
        return Judged(
            judgement,
            evidence,
            fresh_until(result),
            zone_facts(result, context.now),
            answer_facts(result, context.now),
            context.met_silence,
        )

    def _sweep(self) -> None:
        """Forget nodes that are no longer fresh, now and then: names come and go, and each holds whole messages."""
        now = self._clock()
        if 0 <= now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        for name in [name for name, node in self._nodes.items() if node.fresh_until <= now]:
            del self._nodes[name]

    async def claims(self, judgement: Judgement, *, edns: bool = True, plain: bool = True) -> Claims:
        """Return what the resolver tells its clients (CD=0) of a name that was judged, asked in one way or in both.

        Where clients get other data, both ways are asked; their own signatures count, and so does a second look.
        """
        name, rdtype = names.from_text(judgement.name), records.type_from_text(judgement.type)
        said = read_claim(await self._ask_client(name, rdtype, edns=False)) if plain else None
        reply = await self._ask_client(name, rdtype, edns=True) if edns or differs(judgement, said) else None
        claim = read_claim(reply) if reply is not None else None
        if not differs(judgement, claim) and not differs(judgement, said):
            return Claims(claim, said)
        proven = set()
        if isinstance(reply, Response) and await self._is_proven(name, rdtype, reply):
            proven = set(claim.answers) if claim is not None else set()
        again = (await self.judge(name, rdtype)).judgement
        if again.verdict is judgement.verdict:
            proven |= set(again.answers)
        return Claims(
            await self._explained(name, rdtype, claim, proven), await self._explained(name, rdtype, said, proven)
        )

    async def _ask_client(self, name: Name, rdtype: int, *, edns: bool) -> Reply:
        self.queries += 1
        return await self.resolver.ask(name, rdtype, checking_disabled=False, edns=edns)

    async def _is_proven(self, name: Name, rdtype: int, reply: Response) -> bool:
        """Return whether the signatures or proofs that came with a claim hold."""
        budget = Budget(self._policy)
        result, _ = await self._run(name, rdtype, self._policy, budget, self._nodes, reply, stream=False)
        return result.verdict is Verdict.SECURE

    async def _explained(
        self, name: Name, rdtype: int, claim: ResolverClaim | None, proven: set[str]
    ) -> ResolverClaim | None:
        """Return a claim with what is known of it: that its records are proven, or made by DNS64."""
        if claim is None or not claim.answers:
            return claim
        if set(claim.answers) <= proven:
            return msgspec.structs.replace(claim, proven=True)
        made = data_of(claim.answers, "AAAA")
        if rdtype != records.AAAA or not made:
            return claim
        ipv4 = (await self.judge(name, records.A)).judgement
        known = data_of(ipv4.answers, "A") if ipv4.verdict is Verdict.SECURE else set()
        return msgspec.structs.replace(claim, translated=all(embeds(address, known) for address in made))

    async def _weigh_stripping(self, result: ValidationResult, met_error: bool) -> ValidationResult:
        """Return the result, the vantage blamed instead of a zone where it does not serve DNSSEC records."""
        anchor = min(self._anchors.by_zone, key=len, default=names.ROOT)
        at_fault = question_at_fault(result)
        errs = result.verdict is Verdict.INDETERMINATE and met_error
        if at_fault is None and not errs:
            return result
        control = await self._control(anchor, result, with_errors=errs)
        if control.is_stripping:
            return as_stripped(result, stripping_fault(anchor, control, 0, 0))
        if at_fault is None:
            return result
        signed = 0
        for number in range(ASKED_AGAIN):
            signed += is_signed(at_fault, await self._ask_once(at_fault, stream=number % 2 == 1)) is True
        if signed:
            return as_stripped(result, stripping_fault(anchor, control, ASKED_AGAIN, signed))
        return result

    async def _control(self, anchor: Name, result: ValidationResult, *, with_errors: bool) -> Control:
        questions = control_questions(anchor, result)
        replies = await self._ask_controls(tuple(questions))
        control = weigh_controls(questions, replies)
        if control.signed or control.unsigned or not with_errors:
            return control
        refused = next((reply.rcode for reply in replies if reply.rcode is not None), None)
        plain = await self._ask_client(anchor, records.SOA, edns=False)
        if refused is None or not isinstance(plain, Response) or plain.rcode != NOERROR:
            return control
        return replace(control, refused=refused)

    async def _ask_controls(self, questions: tuple[Ask, ...]) -> list[Reply]:
        """Ask control questions once for all names that fail within the same seconds."""
        now = asyncio.get_running_loop().time()
        self._controls = {key: one for key, one in self._controls.items() if one[0] > now}
        if questions not in self._controls:
            asking = asyncio.gather(*(self._ask_once(question, stream=False) for question in questions))
            self._controls[questions] = (now + CONTROL_FOR_S, asking)
        return await asyncio.shield(self._controls[questions][1])

    async def _ask_once(self, asked: Ask, *, stream: bool) -> Reply:
        self.queries += 1
        return await self.resolver.ask(asked.name, asked.rdtype, stream=stream, attempts=1)

    async def _run(
        self,
        name: Name,
        rdtype: int,
        policy: Policy,
        budget: Budget,
        nodes: dict[Name, ChainNode],
        first: Reply | None,
        *,
        stream: bool,
    ) -> tuple[ValidationResult, Context]:
        context = Context(int(self._clock()), self._anchors, policy, budget, nodes)
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
                context.met_error |= not isinstance(reply, Response) or reply.rcode not in (NOERROR, NXDOMAIN)
                asked = questions.send(reply)
        except StopIteration as stop:
            result: ValidationResult = stop.value
            return result, context

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
        result: ValidationResult,
        judgement: Judgement,
        evidence: Evidence,
        name: Name,
        rdtype: int,
    ) -> Verdict | None:
        """Return the verdict of a validator that forgives skew, where times are what is wrong."""
        if result.verdict is not Verdict.BOGUS or not any(r.code in TIMING for r in judgement.reasons):
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
        result, _ = await self._run(name, rdtype, policy, budget, {}, None, stream=False)
        return result.verdict


def _is_spent(result: ValidationResult) -> bool:
    """Return whether the budget was what ended the validation."""
    return any(
        judged.reason is not None and judged.reason.code == Code.VALIDATION_BUDGET_EXCEEDED for judged in result.rrsets
    )

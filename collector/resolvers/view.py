"""One vantage as seen from here: what to ask it, whether what it says is valid, what it claims by itself. Pure.

Each question that takes more than one reply is a generator of steps, which a driver answers.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import MAX_NODE_TTL_S, ChainNode, Context
from collector.dnssec.judgement import (
    AnswerFacts,
    ZoneFacts,
    answer_facts,
    evidence_of,
    fresh_until,
    make_judgement,
    zone_facts,
)
from collector.dnssec.message import NOERROR, NXDOMAIN, Response
from collector.dnssec.names import Name
from collector.dnssec.policy import ALGORITHMS_SHA1, Policy
from collector.dnssec.questions import Ask, FetchFailure, Reply
from collector.dnssec.replay import responses_in, validate_from
from collector.dnssec.resigned import Resigned, verify_resigned
from collector.dnssec.validation import ValidationResult, validate
from collector.resolvers.claims import differs, embeds, read_claim
from collector.resolvers.dialogue import Instant, Question, Steps, pose, pose_together, share
from collector.resolvers.homes import Homes
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
TIMING = codes_where(lambda row: Doubt.CLOCK in row.doubts)


@dataclass(frozen=True)
class Judged:
    """A judgement, and until when it stands (POSIX seconds) while the same answer comes.

    Its evidence, and what it shows of zones and of the answer, are put together when somebody asks for them.
    """

    judgement: Judgement
    fresh_until: int
    result: ValidationResult
    context: Context

    @cached_property
    def evidence(self) -> Evidence:
        """Return the messages that prove the judgement, with all that is needed to validate them again."""
        judgement = self.judgement
        name, rdtype = names.from_text(judgement.name), records.type_from_text(judgement.type)
        return evidence_of(self.context, self.result, name, rdtype)

    @property
    def attested(self) -> Judgement:
        """Return the judgement with the digest of its evidence."""
        return msgspec.structs.replace(self.judgement, evidence=self.evidence.digest)

    @cached_property
    def zones(self) -> tuple[ZoneFacts, ...]:
        """Return what the chain shows of each of its zones."""
        return zone_facts(self.result, self.context)

    @cached_property
    def answer(self) -> AnswerFacts:
        """Return what the answer shows beyond the zones of its chain."""
        return answer_facts(self.result, self.context.now)

    @property
    def met_silence(self) -> bool:
        """Return whether something that was asked on the way stayed without any answer."""
        return self.context.met_silence


@dataclass(frozen=True, slots=True)
class Claims:
    """What a resolver tells clients that ask with EDNS and DO=1, and plain ones; None where nothing was heard."""

    resolver: ResolverClaim | None
    plain: ResolverClaim | None


class View:
    """A vantage with what its chains have taught so far; ``instant`` is kept by whoever drives it.

    What a chain has taught stands for at most ``longest_node_s``, whatever its TTLs. ``is_resolver``: false where the
    authoritative servers are asked, who claim nothing to clients.
    """

    def __init__(
        self,
        name: str,
        anchors: TrustAnchors,
        policy: Policy,
        instant: Instant,
        *,
        longest_node_s: int = MAX_NODE_TTL_S,
        is_resolver: bool = True,
    ) -> None:
        self.name, self.is_resolver = name, is_resolver
        self._anchors, self._policy, self._instant = anchors, policy, instant
        self._longest_node_s = longest_node_s
        self._nodes: dict[Name, ChainNode] = {}
        self._homes = Homes()
        self._answered: Ask | None = None
        self._swept_at = 0.0
        self._controls: dict[tuple[Ask, ...], tuple[float, list[Reply]]] = {}

    def ask(self, name: Name, rdtype: int, *, attempts: int | None = None) -> Steps[Reply]:
        """Ask as a validator does: DO=1, CD=1; ``attempts`` limits the tries."""
        reply: Reply = yield Question(self.name, name, rdtype, attempts=attempts)
        if isinstance(reply, Response):
            self._answered = Ask(name, rdtype)
        return reply

    def probe(self, *, stream: bool) -> Steps[Reply]:
        """Ask once what every resolver can answer, to learn whether it is there; return an answer if there is one.

        That is the key set of the topmost trust anchor and, as some networks are cut off from it, what was answered
        last.
        """
        questions = {Ask(min(self._anchors.by_zone, key=len, default=names.ROOT), records.DNSKEY)}
        if self._answered is not None:
            questions.add(self._answered)
        replies = yield from pose_together(
            Question(self.name, one.name, one.rdtype, stream=stream, attempts=1) for one in questions
        )
        answers = [reply for reply in replies if not (isinstance(reply, FetchFailure) and reply.is_silence)]
        return next(iter(answers), replies[0])

    def forget(self) -> None:
        """Forget what the chains have taught: the clock was set, so until when it was to stand means nothing now."""
        self._nodes = {}  # validations under way go on with the old ones
        self._swept_at = self._instant.at

    def trust(self, anchors: TrustAnchors) -> None:
        """Validate from these anchors from now on."""
        self._anchors = anchors
        self.forget()

    def judge(self, name: Name, rdtype: int, first: Reply | None = None) -> Steps[Judged]:
        """Validate one name and type; ``first`` is the reply to that very question, if it is at hand.

        What fails to validate is asked again over TCP, chain and all: a forged datagram or a stale node must not make
        a zone bogus. Both runs share one budget, so that a hostile zone gains nothing by it.
        """
        self._sweep()
        if isinstance(first, FetchFailure) and first.is_silence:
            first = self._homes.located(first, name)
        budget = Budget(self._policy)
        shared = self._nodes  # what is forgotten meanwhile must not come back
        result, context = yield from self._run(name, rdtype, self._policy, budget, shared, first, stream=False)
        if result.verdict is Verdict.BOGUS:
            nodes: dict[Name, ChainNode] = {}
            again, context_again = yield from self._run(name, rdtype, self._policy, budget, nodes, None, stream=True)
            if again.verdict is not Verdict.INDETERMINATE and not _is_spent(again):
                result, context = again, context_again
                shared.update(nodes)
        if result.verdict is not Verdict.SECURE:
            result = yield from self._weigh_stripping(result, context.met_error)
        judgement = make_judgement(context, result, name, rdtype, self.name)
        other = yield from self._other_profile(result, budget, name, rdtype)
        lenient = self._lenient(context, result, judgement, name, rdtype)
        if lenient is not None or other is not None:
            judgement = msgspec.structs.replace(judgement, lenient_verdict=lenient, other_verdict=other)
        self._homes.learn(result)
        return Judged(judgement, fresh_until(result), result, context)

    def resigned(self, name: Name, rdtype: int, response: Response, content: bytes) -> Resigned | None:
        """Return how long the signature over an answer is valid, if all else of it was validated before.

        ``content`` is what ``resigned.content_of`` returned of the full validation. Nothing is asked; None: it has to
        be validated in full.
        """
        return verify_resigned(
            self._context(self._policy, Budget(self._policy), self._nodes), name, rdtype, response, content
        )

    def _context(self, policy: Policy, budget: Budget, nodes: dict[Name, ChainNode]) -> Context:
        now = int(self._instant.at)
        return Context(now, self._anchors, policy, budget, nodes, longest_node_s=self._longest_node_s)

    def _sweep(self) -> None:
        """Forget nodes that are no longer fresh, now and then: names come and go, and each holds whole messages."""
        now = self._instant.at
        if 0 <= now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        for name in [name for name, node in self._nodes.items() if node.fresh_until <= now]:
            del self._nodes[name]

    def claims(self, judgement: Judgement, *, edns: bool = True, plain: bool = True) -> Steps[Claims]:
        """Return what the resolver tells its clients (CD=0) of a name that was judged, asked in one way or in both.

        Where clients get other data, both ways are asked; their own signatures count, and so does a second look.
        Where there is no resolver, nobody claims anything.
        """
        if not self.is_resolver:
            return Claims(None, None)
        name, rdtype = names.from_text(judgement.name), records.type_from_text(judgement.type)
        said = read_claim((yield from self.ask_client(name, rdtype, edns=False))) if plain else None
        reply = None
        if edns or differs(judgement, said):
            reply = yield from self.ask_client(name, rdtype, edns=True)
        claim = read_claim(reply) if reply is not None else None
        if not differs(judgement, claim) and not differs(judgement, said):
            return Claims(claim, said)
        proven = set()
        if isinstance(reply, Response) and (yield from self._is_proven(name, rdtype, reply)):
            proven = set(claim.answers) if claim is not None else set()
        again = (yield from self.judge(name, rdtype)).judgement
        if again.verdict is judgement.verdict:
            proven |= set(again.answers)
        explained = yield from self._explained(name, rdtype, claim, proven)
        return Claims(explained, (yield from self._explained(name, rdtype, said, proven)))

    def ask_client(self, name: Name, rdtype: int, *, edns: bool) -> Steps[Reply]:
        """Ask as a client does: CD=0, with EDNS and DO=1 or without."""
        return (yield from pose(Question(self.name, name, rdtype, checking_disabled=False, edns=edns)))

    def _is_proven(self, name: Name, rdtype: int, reply: Response) -> Steps[bool]:
        """Return whether the signatures or proofs that came with a claim hold."""
        budget = Budget(self._policy)
        result, _ = yield from self._run(name, rdtype, self._policy, budget, self._nodes, reply, stream=False)
        return result.verdict is Verdict.SECURE

    def _explained(
        self, name: Name, rdtype: int, claim: ResolverClaim | None, proven: set[str]
    ) -> Steps[ResolverClaim | None]:
        """Return a claim with what is known of it: that its records are proven, or made by DNS64."""
        if claim is None or not claim.answers:
            return claim
        if set(claim.answers) <= proven:
            return msgspec.structs.replace(claim, proven=True)
        made = data_of(claim.answers, "AAAA")
        if rdtype != records.AAAA or not made:
            return claim
        ipv4 = (yield from self.judge(name, records.A)).judgement
        known = data_of(ipv4.answers, "A") if ipv4.verdict is Verdict.SECURE else set()
        return msgspec.structs.replace(claim, translated=all(embeds(address, known) for address in made))

    def _weigh_stripping(self, result: ValidationResult, met_error: bool) -> Steps[ValidationResult]:
        """Return the result, the vantage blamed instead of a zone where it does not serve DNSSEC records.

        What the servers of a zone leave out is the zone's own fault.
        """
        if not self.is_resolver:
            return result
        anchor = min(self._anchors.by_zone, key=len, default=names.ROOT)
        at_fault = question_at_fault(result)
        errs = result.verdict is Verdict.INDETERMINATE and met_error
        if at_fault is None and not errs:
            return result
        control = yield from self._control(anchor, result, with_errors=errs)
        if control.is_stripping:
            return as_stripped(result, stripping_fault(anchor, control, 0, 0))
        if at_fault is None:
            return result
        signed = 0
        for number in range(ASKED_AGAIN):
            reply = yield from pose(self._once(at_fault, stream=number % 2 == 1))
            signed += is_signed(at_fault, reply) is True
        if signed:
            return as_stripped(result, stripping_fault(anchor, control, ASKED_AGAIN, signed))
        return result

    def _control(self, anchor: Name, result: ValidationResult, *, with_errors: bool) -> Steps[Control]:
        questions = control_questions(anchor, result)
        replies = yield from self._ask_controls(tuple(questions))
        control = weigh_controls(questions, replies)
        if control.signed or control.unsigned or not with_errors:
            return control
        refused = next((reply.rcode for reply in replies if reply.rcode is not None), None)
        plain = yield from self.ask_client(anchor, records.SOA, edns=False)
        if refused is None or not isinstance(plain, Response) or plain.rcode != NOERROR:
            return control
        return replace(control, refused=refused)

    def _ask_controls(self, questions: tuple[Ask, ...]) -> Steps[list[Reply]]:
        """Ask control questions once for all names that fail within the same seconds."""
        now = self._instant.now
        self._controls = {key: one for key, one in self._controls.items() if one[0] > now}
        if questions in self._controls:
            return self._controls[questions][1]
        return (yield from share((self.name, questions), lambda: self._ask_controls_anew(questions)))

    def _ask_controls_anew(self, questions: tuple[Ask, ...]) -> Steps[list[Reply]]:
        until = self._instant.now + CONTROL_FOR_S
        replies = yield from pose_together(self._once(one, stream=False) for one in questions)
        self._controls[questions] = until, replies
        return replies

    def _once(self, asked: Ask, *, stream: bool) -> Question:
        return Question(self.name, asked.name, asked.rdtype, stream=stream, attempts=1)

    def _run(
        self,
        name: Name,
        rdtype: int,
        policy: Policy,
        budget: Budget,
        nodes: dict[Name, ChainNode],
        first: Reply | None,
        *,
        stream: bool,
    ) -> Steps[tuple[ValidationResult, Context]]:
        context = self._context(policy, budget, nodes)
        context.signatures_seen = not self.is_resolver  # else nobody stands between us and a zone that is unsigned
        questions = validate(context, name, rdtype)
        is_first_asked_here = first is None and not stream
        try:
            asked = next(questions)
            while True:
                if first is not None and (asked.name, asked.rdtype) == (name, rdtype):
                    reply, first = first, None
                else:
                    reply = yield from self._shared(asked, stream=stream)
                if isinstance(reply, FetchFailure) and reply.is_silence:
                    context.met_silence = True
                    if is_first_asked_here and (asked.name, asked.rdtype) == (name, rdtype):
                        reply = yield from self._weighed(reply)
                    reply = self._homes.located(reply, asked.name)
                context.met_error |= not isinstance(reply, Response) or reply.rcode not in (NOERROR, NXDOMAIN)
                asked = questions.send(reply)
        except StopIteration as stop:
            result: ValidationResult = stop.value
            return result, context

    def _weighed(self, silence: FetchFailure) -> Steps[FetchFailure]:
        """Return a silence that may be traced to its zone if the vantage answers something else."""
        control = yield from self.probe(stream=False)
        return silence if isinstance(control, FetchFailure) and control.is_silence else replace(silence, walk=True)

    def _shared(self, asked: Ask, *, stream: bool) -> Steps[Reply]:
        """Ask once for all who ask the same at the same time."""
        if stream:
            return (yield from pose(Question(self.name, asked.name, asked.rdtype, stream=True)))
        return (yield from share((self.name, asked), lambda: self.ask(asked.name, asked.rdtype)))

    def _lenient(
        self,
        context: Context,
        result: ValidationResult,
        judgement: Judgement,
        name: Name,
        rdtype: int,
    ) -> Verdict | None:
        """Return the verdict of a validator that forgives skew, where times are what is wrong."""
        if result.verdict is not Verdict.BOGUS or not any(r.code in TIMING for r in judgement.reasons):
            return None
        lenient = Context(context.now, self._anchors, self._policy, Budget(self._policy), {}, lenient=True)
        evidence = evidence_of(context, result, name, rdtype)
        return validate_from(responses_in(evidence.messages), lenient, name, rdtype).verdict

    def _other_profile(
        self, result: ValidationResult, budget: Budget, name: Name, rdtype: int
    ) -> Steps[Verdict | None]:
        """Return what the other algorithm profile says, where a SHA-1 algorithm takes part."""
        nodes = [judged.node for judged in result.rrsets if judged.node is not None]
        if all(node.ds_algorithms.isdisjoint(ALGORITHMS_SHA1) for node in nodes):
            return None
        other = "legacy" if self._policy.profile == "iana2025" else "iana2025"
        policy = msgspec.structs.replace(self._policy, profile=other)
        by_other, _ = yield from self._run(name, rdtype, policy, budget, {}, None, stream=False)
        return by_other.verdict


def _is_spent(result: ValidationResult) -> bool:
    """Return whether the budget was what ended the validation."""
    return any(
        judged.reason is not None and judged.reason.code == Code.VALIDATION_BUDGET_EXCEEDED for judged in result.rrsets
    )

"""Why two validators differ on a case: named classes, each tried out on the case; what no class explains is a failure.

A class is a claim about the difference, and ``Explainer`` checks it: it changes the case so that the claimed cause is
gone, or asks the question that the other validator went on to ask, and sees the difference vanish.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from damage import Case
from oracles import Opinion
from packets import Message
from worlds import Question

from collector import names, records
from collector.message import NXDOMAIN
from collector.names import Name
from collector.validation import Conclusion
from schemas.judgement import Verdict

UNEXPLAINED = "UNEXPLAINED"
REFUSED = frozenset({"bogus", "servfail"})

WHOLE_DENIAL = "Unbound judges every record of the authority section; we judge those that the proof needs"
WHOLE_ANSWER = "Unbound judges every record of the answer section; we judge those that answer the question"
FORGED_SOA = "the SOA beside a denial does not verify, and we do not look at it"
ASKED_AGAIN = "Unbound asks again for an alias's target; we judge the response that came"
BOTH_REFUSE = "nobody believes the answer: a fault to one is a failed fetch to the other"
SPINS = "Unbound spins until it is killed"
STRICTER_ITERATIONS = "above 500 NSEC3 iterations we say bogus, Unbound insecure"
STRICTER_LABELS = (
    "a label count below the zone's own, or a DS or DNSKEY set from a wildcard: we refuse, Unbound accepts"
)
STRICTER_ENT = "NXDOMAIN for an empty non-terminal: we refuse, Unbound accepts"
STRICTER_RCODE = "NXDOMAIN with a proof of NODATA: we refuse, Unbound mends the rcode"
STRICTER_SIGNER = (
    "a signed zone claims what may lie below an unsigned delegation and proves nothing: we refuse, Unbound goes on down"
)
STRICTER_BUDGET = "more signature tries than our budget has"
SHORT_ALONE = "a delegation to RSA of 512 bits alone: unsupported, so insecure, to us; bogus to this build of Unbound"
STRICTER_FORM = "a malformed record: we drop the message, Unbound the record"
DNAME_QUESTION = "Unbound can't follow a CNAME question through a DNAME"
DIGESTS = "Unbound looks at DS of the strongest digest only; we at any of SHA-2 (RFC 4509 §3 demotes SHA-1 alone)"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One difference: with whom, and the class that explains it."""

    who: str
    klass: str


AskUs = Callable[[Case, list[Question] | None], Conclusion]
AskUnbound = Callable[[Case], Opinion]


@dataclass(frozen=True, slots=True)
class Explainer:
    """Finds the class of a difference by trying."""

    ask_us: AskUs
    ask_unbound: AskUnbound

    def explain(self, case: Case, ours: Opinion, unbound: Opinion, delv: Opinion | None) -> Iterator[Disagreement]:
        """Yield the differences of one case."""
        if ours.verdict != unbound.verdict:
            yield Disagreement("Unbound", self._with_unbound(case, ours, unbound))
        elif ours.verdict == "secure" and ours.rcode != unbound.rcode:
            rcodes = f"{UNEXPLAINED}: both secure, with rcodes {ours.rcode} and {unbound.rcode}"
            yield Disagreement("Unbound", ASKED_AGAIN if self._asks_again(case, unbound) else rcodes)
        if delv is not None and delv.verdict != ours.verdict:
            yield Disagreement("delv", _with_delv(ours, unbound, delv))

    def _with_unbound(self, case: Case, ours: Opinion, unbound: Opinion) -> str:
        if unbound.verdict == "hang":
            return SPINS
        if ours.verdict in REFUSED and unbound.verdict in REFUSED:
            return BOTH_REFUSE
        if self._asks_again(case, unbound):
            return ASKED_AGAIN
        stricter = ours.verdict in REFUSED
        if _is_short_alone(case, ours):
            return SHORT_ALONE
        found = _stricter(case, ours, unbound) if stricter else self._unneeded(case, ours)
        if not stricter and not found and "got DNAME answer" in unbound.why:
            found = DNAME_QUESTION
        return found or f"{UNEXPLAINED}: {ours.verdict} / {unbound.verdict}"

    def _asks_again(self, case: Case, unbound: Opinion) -> bool:
        """Return whether the verdict of the links so far and of a target asked anew is Unbound's."""
        worst = Verdict.SECURE
        for link in self.ask_us(case, None).links:
            worst = max(worst, link.verdict, key=lambda verdict: verdict.weakness)
            if link.target is None:
                return False
            tail = self.ask_us(Case(case.made, (link.target, case.question[1]), case.damages), None)
            together = max(worst, tail.verdict, key=lambda verdict: verdict.weakness)
            same_rcode = tail.rcode == {0: "NOERROR", 3: "NXDOMAIN"}.get(unbound.rcode)
            if together.value == unbound.verdict and (same_rcode or unbound.verdict in REFUSED):
                return True
            if together.value in REFUSED and unbound.verdict in REFUSED:
                return True
        return False

    def _unneeded(self, case: Case, ours: Opinion) -> str:
        """Drop RRsets that our verdict does not need until Unbound agrees; name what had to go."""
        trace: list[Question] = []
        conclusion = self.ask_us(case, trace)
        wanted = _essence(conclusion)
        targets = [(link.target, case.question[1]) for link in conclusion.links if link.target is not None]
        questions = list(dict.fromkeys([case.question, *trace, *targets]))
        candidates = [
            (question, group)
            for question in questions
            for group in dict.fromkeys(
                (which, record.owner, record.covers)
                for which, section in enumerate(case.message(*question).sections)
                for record in section
            )
        ]
        harmless = [one for one in candidates if _essence(self.ask_us(_without(case, [one]), None)) == wanted]
        soas = [one for one in harmless if one[1][2] == records.SOA]
        for gone in ([soas] if soas else []) + [[one] for one in harmless]:
            if self.ask_unbound(_without(case, gone)).verdict == ours.verdict:
                return _name(ours, gone)
        gone = []
        for one in harmless:
            if _essence(self.ask_us(_without(case, [*gone, one]), None)) == wanted:
                gone.append(one)
                if len(gone) > 1 and self.ask_unbound(_without(case, gone)).verdict == ours.verdict:
                    return _name(ours, gone)
        return ""


Dropped = tuple[Question, tuple[int, Name, int]]
"""A response, and in it section, owner and (covered) type of an RRset."""


def _essence(conclusion: Conclusion) -> tuple[object, ...]:
    return conclusion.verdict, conclusion.rcode, tuple(conclusion.records)


def _without(case: Case, gone: Sequence[Dropped]) -> Case:
    """Return the case with RRsets left out of its responses."""
    fewer = Case(case.made, case.question, case.damages)
    for question in {question for question, _ in gone}:
        whole = case.message(*question)
        groups = {group for one, group in gone if one == question}
        answer, authority = (
            [record for record in section if (which, record.owner, record.covers) not in groups]
            for which, section in enumerate(whole.sections)
        )
        fewer.prepare(question, Message(whole.rcode, answer, authority))
    return fewer


def _name(ours: Opinion, gone: Sequence[Dropped]) -> str:
    sections = {section for _, (section, _, _) in gone}
    types = {rdtype for _, (_, _, rdtype) in gone}
    if ours.verdict == "secure" and types == {records.SOA}:
        return f"{UNEXPLAINED}: {FORGED_SOA}"
    return WHOLE_ANSWER if 0 in sections else WHOLE_DENIAL


def _is_short_alone(case: Case, ours: Opinion) -> bool:
    if not ours.why.startswith("algorithm_unsupported: every key that the DS of "):
        return False
    zone = names.from_text(ours.why.split()[8])
    return case.made.notes[zone].startswith("short alone")


def _stricter(case: Case, ours: Opinion, unbound: Opinion) -> str:
    """Return the class of a refusal that Unbound does not share, by our reason."""
    code = ours.why.partition(":")[0]
    if code == "nsec3_iterations_over_limit":
        return STRICTER_ITERATIONS
    if code in ("rrsig_signer_invalid", "wildcard_proof_invalid"):
        return STRICTER_LABELS
    if code == "denial_invalid" and ours.rcode == NXDOMAIN and _is_empty_non_terminal(case):
        return STRICTER_ENT
    if code == "denial_invalid" and ours.rcode == NXDOMAIN != unbound.rcode:
        return STRICTER_RCODE
    if code == "validation_budget_exceeded":
        return STRICTER_BUDGET
    if code in ("denial_missing", "denial_invalid", "rrsig_missing") and _below_unsigned(case):
        return STRICTER_SIGNER
    if code == "verdict_indeterminate" and ("run over" in ours.why or "too short" in ours.why or "label" in ours.why):
        return STRICTER_FORM
    return ""


def _is_empty_non_terminal(case: Case) -> bool:
    honest = case.made.message(*case.question)
    return honest.rcode == 0 and not honest.answer


def _below_unsigned(case: Case) -> bool:
    """Return whether the name asked lies in a zone that is not secure, or may lie in one."""
    zone = case.made.zone_over(case.question[0])
    opt_out = zone.nsec3 is not None and zone.nsec3.opt_out
    return opt_out or not case.made.chain_is_signed(case.question[0])


def _with_delv(ours: Opinion, unbound: Opinion, delv: Opinion) -> str:
    if delv.verdict == unbound.verdict or {delv.verdict, unbound.verdict} <= REFUSED:
        return "delv sides with Unbound"
    if {ours.verdict, delv.verdict} <= REFUSED:
        return BOTH_REFUSE
    if ours.verdict == unbound.verdict:
        return f"delv alone says {delv.verdict}, not {ours.verdict}: {delv.why or 'no reason given'}"
    return f"three opinions: {ours.verdict}, Unbound {unbound.verdict}, delv {delv.verdict}"


def is_failure(found: Sequence[Disagreement]) -> bool:
    """Return whether a difference with Unbound is unexplained."""
    return any(one.klass.startswith(UNEXPLAINED) for one in found)

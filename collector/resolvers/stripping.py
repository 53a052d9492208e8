"""Whether a resolver leaves out DNSSEC records, or a zone does. Pure.

A zone is blamed for missing signatures only where the same vantage, in the same seconds, gives those of the anchored
zone and of the zones above, and says the same each time it is asked. Source: RFC 4035 §3.2.1, §4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from collector.dnssec import records
from collector.dnssec.fault import Case, Fault
from collector.dnssec.message import NOERROR, NXDOMAIN, Response, read_response
from collector.dnssec.names import Name
from collector.dnssec.questions import Ask, Reply
from collector.dnssec.validation import JudgedRRset, ValidationResult
from schemas.catalogue import Doubt, codes_where
from schemas.codes import Code
from schemas.judgement import Verdict

MISSING = codes_where(lambda row: Doubt.STRIPPING in row.doubts)
SIGNED_TYPES = (records.DNSKEY, records.SOA)
ASKED_AGAIN = 3
BELOW_ANCHOR = b"com"


@dataclass(frozen=True, slots=True)
class Control:
    """What control questions showed: how many came with signatures and how many without; what else was said.

    ``refused`` is the rcode of what the resolver answers to questions for DNSSEC records, where it answers them without
    EDNS; None where it does not.
    """

    signed: int = 0
    unsigned: int = 0
    refused: int | None = None

    @property
    def is_stripping(self) -> bool:
        """Return whether the vantage does not serve DNSSEC records, always or at times."""
        return self.unsigned > 0 or self.refused is not None


def question_at_fault(result: ValidationResult) -> Ask | None:
    """Return the question whose answer came without any signature, None where that is not what is wrong.

    An answer that is signed, by whatever key, was stripped by nobody.
    """
    why = result.weakest.reason
    if result.verdict is not Verdict.BOGUS or why is None or why.code not in MISSING:
        return None
    if why.blamed is not None:
        asked = Ask(*why.blamed)
    elif why.code == Code.DNSKEY_MISSING:
        asked = Ask(why.zone, records.DNSKEY)
    else:
        return None
    node = result.weakest.node
    wires = [
        *result.messages,
        *(wire for one in (node.path() if node is not None else ()) for wire in one.messages),
    ]
    replies = [read_response(wire) for wire in dict.fromkeys(wires)]
    return asked if any(_is_bare(asked, reply) for reply in replies) else None


def _is_bare(asked: Ask, reply: Response) -> bool:
    """Return whether a reply answers a question, or carries its answer behind an alias, without a signature."""
    rrset = reply.answer.get((asked.name, asked.rdtype))
    if rrset is not None and rrset.rdatas:
        return not rrset.signatures
    if (reply.qname, reply.qtype) != (asked.name, asked.rdtype):
        return False
    return not any(one.signatures for one in (*reply.answer.values(), *reply.authority.values()))


def control_questions(anchor: Name, result: ValidationResult) -> list[Ask]:
    """Return questions whose answers are surely signed: of the anchored zone, and of the last zone above the fault."""
    node = result.weakest.node
    above = [one.zone for one in node.path() if one.verdict is Verdict.SECURE] if node is not None else []
    zone = above[-1] if above else anchor
    questions = [Ask(anchor, rdtype) for rdtype in SIGNED_TYPES] + [Ask(zone, rdtype) for rdtype in SIGNED_TYPES]
    # Whether there is such a delegation or none: every true answer of the anchored zone is signed.
    return list(dict.fromkeys([*questions, Ask((*anchor, BELOW_ANCHOR), records.DS)]))


def is_signed(asked: Ask, reply: Reply) -> bool | None:
    """Return whether an answer came with signatures; None where that can't be told of it."""
    if not isinstance(reply, Response) or reply.rcode not in (NOERROR, NXDOMAIN):
        return None
    rrset = reply.answer.get((asked.name, asked.rdtype))
    if rrset is not None and rrset.rdatas:
        return bool(rrset.signatures)
    if any(one.signatures for one in (*reply.answer.values(), *reply.authority.values())):
        return True
    return False if asked.rdtype in (records.DNSKEY, records.DS) else None


def weigh_controls(asked: Sequence[Ask], replies: Sequence[Reply]) -> Control:
    """Return what the control questions showed."""
    found = [is_signed(question, reply) for question, reply in zip(asked, replies, strict=True)]
    return Control(found.count(True), found.count(False))


def stripping_fault(anchor: Name, control: Control, asked_again: int, signed_again: int) -> Fault:
    """Return that a vantage does not serve DNSSEC records, and how that was seen."""
    code = Code.VANTAGE_STRIPS_DNSSEC
    if control.refused is not None:
        return Fault(code, Case.DO_NOT_SERVED, anchor, rcode=control.refused)
    if control.unsigned:
        total = control.signed + control.unsigned
        return Fault(code, Case.UNSIGNED_CONTROLS, anchor, count=control.unsigned, limit=total)
    return Fault(code, Case.UNSIGNED_AT_TIMES, anchor, count=asked_again - signed_again, limit=asked_again)


def as_stripped(result: ValidationResult, fault: Fault) -> ValidationResult:
    """Return the result with what fails for want of DNSSEC records indeterminate, for the vantage's sake."""
    stripped = replace(result, rrsets=[_unknown(judged, fault) for judged in result.rrsets])
    stripped.verdict = stripped.weakest.verdict
    return stripped


def _unknown(judged: JudgedRRset, fault: Fault) -> JudgedRRset:
    if judged.verdict not in (Verdict.BOGUS, Verdict.INDETERMINATE):
        return judged
    return structs.replace(judged, verdict=Verdict.INDETERMINATE, reason=fault)

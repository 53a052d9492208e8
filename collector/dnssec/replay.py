"""Validate again, offline, from the evidence of an earlier verdict, at the time of its capture."""

import msgspec

from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors, parse_anchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.judgement import evidence_of, make_judgement
from collector.dnssec.message import FormError, Response, read_response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import FetchFailure, drive
from collector.dnssec.validation import ValidationResult, validate
from schemas.judgement import Judgement
from schemas.messages import Evidence


def validate_from(
    responses: dict[tuple[Name, int], Response], context: Context, qname: Name, qtype: int
) -> ValidationResult:
    """Run one validation on stored responses; a question that none answers counts as not fetched."""
    missing = FetchFailure("timeout", "not in the evidence")
    return drive(validate(context, qname, qtype), lambda asked: responses.get((asked.name, asked.rdtype)) or missing)


def responses_in(messages: tuple[bytes, ...]) -> dict[tuple[Name, int], Response]:
    """Return the responses by question; octets that are no message are left out."""
    found: dict[tuple[Name, int], Response] = {}
    for wire in messages:
        try:
            response = read_response(wire)
        except FormError:
            continue
        found[response.qname, response.qtype] = response
    return found


def replay(evidence: Evidence) -> Judgement:
    """Return the verdict that the evidence supports at its own time, policy and anchors."""
    anchors = (
        parse_anchors("\n".join(evidence.trust_anchors), "evidence") if evidence.trust_anchors else TrustAnchors({})
    )
    policy = msgspec.convert(evidence.policy, Policy)
    context = Context(int(evidence.at.timestamp()), anchors, policy, Budget(policy), {})
    qname, qtype = names.from_text(evidence.name), records.type_from_text(evidence.type)
    result = validate_from(responses_in(evidence.messages), context, qname, qtype)
    judgement = make_judgement(context, result, qname, qtype, "evidence")
    return msgspec.structs.replace(judgement, evidence=evidence_of(context, result, qname, qtype).digest)

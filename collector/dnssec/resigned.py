"""An answer that was signed anew and is otherwise the same: one signature to verify, and nothing to ask.

Some zones sign on the fly, so that each answer has a signature of its own. What was validated in full once is the same
as long as owner, type, data and signer are, the key that signed is the same one, and the chain down to it is fresh.
Whatever else is different, or in any doubt, has to be validated in full.

Source: RFC 4035 §5.3.
"""

from hashlib import blake2b
from typing import NamedTuple

from collector.dnssec import names, records
from collector.dnssec.chain import find_known, has_known_cut, negative_anchor_over
from collector.dnssec.context import ChainNode, Context, describe_window
from collector.dnssec.message import NOERROR, Response
from collector.dnssec.names import Name
from collector.dnssec.policy import ALGORITHMS_SHA1
from collector.dnssec.records import RRset
from collector.dnssec.signatures import Verified, label_count
from collector.dnssec.validation import APEX_ONLY, NEVER_EXPANDED, ValidationResult
from schemas.judgement import Verdict
from schemas.messages import SignatureWindow

VALIDATED_IN_FULL = NEVER_EXPANDED | {records.CNAME, records.RRSIG, records.ANY}
"""Types that have rules of their own."""


class Resigned(NamedTuple):
    """From when to when the new signature is valid, and until when the same answer needs no validation (POSIX seconds):
    until the TTL may outlast the signature, which is to be remarked."""

    window: SignatureWindow
    stands_until: int


def content_of(result: ValidationResult, response: Response) -> bytes:
    """Return 16 octets that stand for a validated answer whatever its signature's times.

    ``response`` is the reply to the question that was validated. Empty: answers to it must always be validated in full.
    """
    if result.verdict is not Verdict.SECURE or result.messages != [response.wire] or len(result.rrsets) != 1:
        return b""
    judged = result.rrsets[0]
    if judged.reason is not None or judged.remarks or not judged.signed_by:
        return b""
    rrset = _plain_answer(response, judged.owner, judged.rdtype)
    return _digest(rrset) if rrset is not None else b""


def verify_resigned(context: Context, name: Name, rdtype: int, response: Response, content: bytes) -> Resigned | None:
    """Return how long the signature over an answer is valid, None where the answer must be validated in full.

    ``content`` is what ``content_of`` returned when the answer was validated. All checks of a signature are those of
    the full validation, and the nodes are those that it left in ``context``.
    """
    rrset = _plain_answer(response, name, rdtype)
    if rrset is None or not content or _digest(rrset) != content:
        return None
    node = _zone_of(context, rrset)
    if node is None:
        return None
    (signature,) = rrset.signatures
    if sum(key.tag == signature.key_tag and key.algorithm == signature.algorithm for key in node.keys) != 1:
        return None
    verified = context.verify_in(node, rrset)
    if not isinstance(verified, Verified) or verified.encloser is not None or verified.failed:
        return None
    window = context.window_of(verified)
    stands_until = window.expiration - max(rrset.ttl, signature.original_ttl)
    if stands_until <= context.now:
        return None  # a remark may be due
    return Resigned(describe_window(name, rdtype, node.zone, window), stands_until)


def _plain_answer(response: Response, name: Name, rdtype: int) -> RRset | None:
    """Return the RRset if it is all that answers, has one signature, and is neither an alias nor from a wildcard."""
    if rdtype in VALIDATED_IN_FULL or response.rcode != NOERROR or response.truncated or name[-1:] == (b"*",):
        return None
    rrset = response.answer.get((name, rdtype))
    if rrset is None or len(response.answer) != 1 or (response.qname, response.qtype) != (name, rdtype):
        return None
    if not rrset.rdatas or len(rrset.signatures) != 1 or rrset.signatures[0].labels != label_count(name):
        return None
    return rrset


def _digest(rrset: RRset) -> bytes:
    """Return 16 octets that stand for an RRset and for all of its one signature but the times and the value.

    The key tag is among them: a judgement names the key that signed.
    """
    (signature,) = rrset.signatures
    owner, signer = names.to_wire(rrset.name), names.to_wire(signature.signer)
    fields = (rrset.rdtype, signature.algorithm, signature.labels, signature.original_ttl, signature.key_tag)
    state = blake2b(owner + signer + b"".join(field.to_bytes(4, "big") for field in fields), digest_size=16)
    for rdata in rrset.rdatas:
        state.update(len(rdata).to_bytes(2, "big") + rdata)
    return state.digest()


def _zone_of(context: Context, rrset: RRset) -> ChainNode | None:
    """Return the fresh, secure node of the zone that signed, where no cut lies between it and the owner.

    None where a question would have to be asked, or a rule of its own applies.
    """
    zone = rrset.signatures[0].signer
    anchor = context.anchors.closest(zone)
    if not names.is_at_or_below(rrset.name, zone) or anchor is None:
        return None
    if negative_anchor_over(context.policy, zone, anchor) is not None:
        return None
    node = find_known(context, zone, anchor)
    if node is None or node.verdict is not Verdict.SECURE or node.zone != zone or node.name != zone:
        return None
    if len(node.required_algorithms) > 1 or not node.ds_algorithms.isdisjoint(ALGORITHMS_SHA1):
        return None
    inside = rrset.name if rrset.rdtype in APEX_ONLY else rrset.name[:-1]
    return node if len(inside) <= len(zone) or has_known_cut(context, node, inside) is False else None

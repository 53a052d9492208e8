"""The denial records of one response: verified, sorted by kind, and compared with the iteration limits.

Source: RFC 4035 §5.4; RFC 5155 §8.2; RFC 9276 §3.2.
"""

from dataclasses import dataclass

from collector.dnssec import names, records
from collector.dnssec.context import ChainNode, Context, Window
from collector.dnssec.fault import Case, Fault
from collector.dnssec.message import Response
from collector.dnssec.names import Name
from collector.dnssec.nsec import NsecDenial
from collector.dnssec.nsec3 import Nsec3Denial
from collector.dnssec.proof import Denial
from collector.dnssec.records import Nsec, Nsec3, RRset
from collector.dnssec.signatures import Verified, name_of
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import DenialParameters, DenialSpan

MAX_TTL_S = 86_400


@dataclass(frozen=True, slots=True)
class Gathered:
    """The verified denial records of one response, ready to be asked.

    ``over_limit`` is the verdict that too many NSEC3 iterations of some record impose where no proof holds.
    """

    proofs: tuple[Denial, ...]
    window: Window
    ttl_s: int
    remarks: tuple[Fault, ...] = ()
    over_limit: tuple[Verdict, Fault] | None = None


def gather_denial(context: Context, node: ChainNode, response: Response) -> Gathered | Fault:
    """Verify the NSEC and NSEC3 records of the node's zone in a response.

    A record that does not verify is left out; if none is left, the fault of the first says why.
    """
    verified_rrsets: list[tuple[RRset, Verified]] = []
    fault: Fault | None = None
    for (owner, rdtype), rrset in response.authority.items():
        if rdtype not in (records.NSEC, records.NSEC3) or not rrset.rdatas:
            continue
        if not names.is_at_or_below(owner, node.zone) or (rdtype == records.NSEC3 and owner[:-1] != node.zone):
            continue
        if rrset.signatures and not any(s.signer == node.zone for s in rrset.signatures):
            continue
        verified = context.verify_in(node, rrset)
        if isinstance(verified, Fault):
            fault = fault or verified
            if verified.code == Code.VALIDATION_BUDGET_EXCEEDED:
                return verified
        elif verified.encloser is None:
            verified_rrsets.append((rrset, verified))
        else:
            fault = fault or Fault(Code.DENIAL_INVALID, Case.FROM_WILDCARD, node.zone, rrset=name_of(rrset))
    if not verified_rrsets:
        return fault or Fault(Code.DENIAL_MISSING, Case.NO_DENIAL, node.zone, name=response.qname)
    return _arrange(context, node.zone, verified_rrsets)


def _arrange(context: Context, zone: Name, rrsets: list[tuple[RRset, Verified]]) -> Gathered | Fault:
    nsecs: list[Nsec] = []
    by_params: dict[tuple[int, bytes], list[Nsec3]] = {}
    window: Window | None = None
    ttl_s = MAX_TTL_S
    for rrset, verified in rrsets:
        window = context.window_of(verified).or_earlier(window)
        ttl_s = min(ttl_s, rrset.ttl, verified.signature.original_ttl)
        if len(rrset.rdatas) > 1:
            continue  # no zone has two such records at one name; which one counts can't be known
        if rrset.rdtype == records.NSEC:
            nsec = records.parse_nsec(rrset.name, rrset.rdatas[0])
            if nsec is not None:
                nsecs.append(nsec)
        else:
            nsec3 = records.parse_nsec3(rrset.name, zone, rrset.rdatas[0])
            if nsec3 is not None:
                by_params.setdefault((nsec3.iterations, nsec3.salt), []).append(nsec3)
    if len(by_params) > 1 and context.policy.reject_mixed_nsec3:
        return Fault(Code.DENIAL_INVALID, Case.MIXED_PARAMETERS, zone)
    remarks: list[Fault] = []
    over_limit = None
    proofs: list[Denial] = [NsecDenial(zone, nsecs)] if nsecs else []
    within: list[Nsec3] = []
    for (iterations, salt), chain in sorted(by_params.items()):
        if iterations or salt:
            poor = Fault(Code.NSEC3_PARAMS_POOR, Case.POOR_PARAMETERS, zone, count=iterations, salt_bytes=len(salt))
            remarks.append(poor)
        if iterations > context.policy.nsec3_max_iterations:
            over_limit = over_limit or _over_limit(context, zone, iterations)
        else:
            within.extend(chain)
    if within:
        proofs.append(Nsec3Denial(zone, within, context.budget, context.hashes))
    if not proofs and over_limit is None:
        return Fault(Code.DENIAL_INVALID, Case.MALFORMED_DENIAL, zone)
    assert window is not None
    context.denials[zone] = _parameters(by_params)
    for chain in by_params.values():
        context.spans.setdefault(zone, {}).update(dict.fromkeys(map(_span_of, chain)))
    return Gathered(tuple(proofs), window, ttl_s, tuple(remarks), over_limit)


def _parameters(by_params: dict[tuple[int, bytes], list[Nsec3]]) -> DenialParameters:
    """Return how a zone proves absence; where it goes over from one way to another, by the costliest."""
    if not by_params:
        return DenialParameters()
    iterations, salt = max(by_params)
    opt_out = any(nsec3.opt_out for chain in by_params.values() for nsec3 in chain)
    return DenialParameters(nsec3=True, iterations=iterations, salt_octets=len(salt), opt_out=opt_out)


def _span_of(nsec3: Nsec3) -> DenialSpan:
    first, following = nsec3.owner_hash.hex(), nsec3.next_hash.hex()
    return DenialSpan(nsec3.iterations, nsec3.salt.hex(), first, following, nsec3.opt_out)


def _over_limit(context: Context, zone: Name, iterations: int) -> tuple[Verdict, Fault]:
    """Return the verdict on too many iterations; the signatures are verified already. Source: RFC 9276 §3.2."""
    limit, bogus = context.policy.nsec3_max_iterations, iterations > context.policy.nsec3_bogus_iterations
    fault = Fault(Code.NSEC3_ITERATIONS_OVER_LIMIT, Case.MANY_ITERATIONS, zone, count=iterations, limit=limit)
    return (Verdict.BOGUS if bogus else Verdict.INSECURE), fault

"""From a question to a verdict: the chain of aliases RRset by RRset, each judged in its own zone.

The verdict is that of the weakest RRset. Nothing is assumed: an RRset is secure only with a signature that holds in a
zone whose keys the anchor vouches for, and a negative or wildcard answer only with its proof.

Source: RFC 4035 §5; RFC 5155 §8; RFC 6672 §5.3 (DNAME); RFC 4033 §5 (the four verdicts).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
from msgspec import structs

from collector.dnssec import names, records
from collector.dnssec.chain import PROVEN_UNSIGNED, find_cut_below, find_node
from collector.dnssec.context import ChainNode, Context, Window, ask
from collector.dnssec.denial import Gathered, gather_denial
from collector.dnssec.fault import Case, Fault, RRsetName, not_fetched
from collector.dnssec.message import NOERROR, NXDOMAIN, YXDOMAIN, Response, rcode_text
from collector.dnssec.names import Name
from collector.dnssec.nsec import NsecDenial
from collector.dnssec.private import private_suffix
from collector.dnssec.proof import Denial, Proof, ProofOutcome
from collector.dnssec.questions import FetchFailure, Questions, failure_of
from collector.dnssec.records import RRset
from collector.dnssec.signatures import Verified, name_of
from schemas.codes import Code
from schemas.judgement import AliasLink, Verdict

NEVER_EXPANDED = frozenset({records.DNAME, records.DS, records.DNSKEY, records.NSEC, records.NSEC3})
# Types that are signed only at the apex of a zone, so that the owner is the zone (RFC 4035 §2.1, §2.2).
APEX_ONLY = frozenset({records.NS, records.SOA, records.DNSKEY})
# Types that the zone above a cut signs at the name of the cut.
ABOVE_CUT = frozenset({records.DS, records.NSEC})


class JudgedRRset(msgspec.Struct, frozen=True, gc=False):
    """One RRset on the way (or its absence), judged.

    ``node`` is the zone it was judged in, None where nothing could be learnt. ``no_data``: the proof is one of no data
    although the rcode said NXDOMAIN. ``types`` are all that the name has, where a proof that holds says it.
    ``own`` is the window of its own signature or proof, ``window`` the earliest of the whole way. ``original_ttl_s`` is
    the TTL that its signature names.
    """

    owner: Name
    rdtype: int
    verdict: Verdict
    node: ChainNode | None
    reason: Fault | None = None
    remarks: tuple[Fault, ...] = ()
    target: Name | None = None
    window: Window | None = None
    own: Window | None = None
    ttl_s: int = 0
    signed_by: tuple[int, ...] = ()
    no_data: bool = False
    types: frozenset[int] | None = None
    original_ttl_s: int = 0

    def described(self) -> AliasLink:
        """Return it as messages have it."""
        zone = names.to_text(self.node.zone) if self.node else ""
        target = names.to_text(self.target) if self.target is not None else ""
        mnemonic = records.type_to_text(self.rdtype)
        return AliasLink(names.to_text(self.owner), mnemonic, zone, self.verdict, target, self.signed_by)


@dataclass(slots=True)
class ValidationResult:
    """The result of one validation; ``records`` are (owner, type, canonical data) in the order of the chain."""

    verdict: Verdict
    rcode: str
    rrsets: list[JudgedRRset] = field(default_factory=list)
    records: list[tuple[Name, int, bytes]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    @property
    def weakest(self) -> JudgedRRset:
        """Return the first of the RRsets with the weakest verdict."""
        if len(self.rrsets) == 1:
            return self.rrsets[0]
        return max(self.rrsets, key=lambda judged: judged.verdict.weakness)


def validate(context: Context, qname: Name, qtype: int) -> Questions[ValidationResult]:
    """Validate the vantage's answer for ``qname`` and ``qtype``; never raises for anything in the answers."""
    result = ValidationResult(Verdict.INDETERMINATE, "")
    name, visited = qname, {qname}
    response: Response | None = None
    while True:
        asked_now = response is None
        if response is None:
            reply = yield from ask(context, name, qtype)
            if isinstance(reply, Response) and reply.rcode not in (NOERROR, NXDOMAIN, YXDOMAIN):
                result.rcode = rcode_text(reply.rcode)
                reply = failure_of(reply)
            if isinstance(reply, FetchFailure):
                if reply.rcode is not None:
                    result.rcode = rcode_text(reply.rcode)
                result.rrsets.append((yield from _unanswered(context, name, qtype, reply)))
                break
            response = reply
            result.messages.append(response.wire)
            result.rcode = rcode_text(response.rcode)
        alias = _alias_at(response, name, qtype)
        if alias is None:
            if response.rcode == YXDOMAIN:
                # No alias made a name too long, so the rcode says nothing that could be proven: RFC 6672 §2.2
                result.rrsets.append((yield from _unanswered(context, name, qtype, failure_of(response))))
                break
            if _says_nothing(response, name, qtype) and not asked_now:
                response = None
                continue
            final = yield from _final(context, response, name, qtype)
            if _says_noerror(final, name == qname):
                result.rcode = rcode_text(NOERROR)  # what is signed says more than the rcode, which is not signed
            result.rrsets.extend(final)
            _collect(result, response, name, qtype)
            break
        judged = yield from _judge_alias(context, response, name, alias)
        result.rrsets.append(judged)
        _collect(result, response, alias.name, alias.rdtype)
        if judged.target is not None and alias.rdtype == records.DNAME:
            _collect(result, response, name, records.CNAME, (names.to_wire(judged.target),))
        if judged.target is None or judged.verdict in (Verdict.BOGUS, Verdict.INDETERMINATE) or qtype == records.CNAME:
            break
        # YXDOMAIN says that the last alias leads to no name at all; the loop ends there by itself.
        if judged.target in visited or len(visited) > context.policy.max_aliases:
            case = Case.ALIAS_LOOP if judged.target in visited else Case.ALIASES_TOO_MANY
            limit = context.policy.max_aliases
            result.rrsets.append(_broken_alias(judged.target, result.weakest, case, limit))
            break
        name = judged.target
        visited.add(name)
    result.verdict = result.weakest.verdict
    return result


def _says_noerror(final: list[JudgedRRset], is_first: bool) -> bool:
    """Return whether signed data, or the proof of no data, say that the name asked for exists. RFC 6604 §3."""
    return any(
        (judged.no_data and is_first) or judged.signed_by for judged in final if judged.verdict is Verdict.SECURE
    )


def _broken_alias(target: Name, weakest: JudgedRRset, case: Case, limit: int) -> JudgedRRset:
    """Return the end of a chain that leads nowhere; with one unsigned RRset on the way, it is insecure as a whole."""
    end = JudgedRRset(target, records.CNAME, weakest.verdict, weakest.node, weakest.reason)
    return _broken(end, Fault(Code.ALIAS_CHAIN_BROKEN, case, _zone_of(end), name=target, limit=limit, ede=6))


def _collect(
    result: ValidationResult, response: Response, owner: Name, rdtype: int, made: tuple[bytes, ...] = ()
) -> None:
    """Note the records that answer: those received, or those that follow from a DNAME."""
    if rdtype == records.ANY:
        found = [rrset for rrset in response.answer.values() if rrset.name == owner]
        items = [(owner, rrset.rdtype, rdata) for rrset in found for rdata in rrset.rdatas]
    elif made:
        items = [(owner, rdtype, rdata) for rdata in made]
    else:
        rrset = response.answer.get((owner, rdtype))
        items = [(owner, rdtype, rdata) for rdata in rrset.rdatas] if rrset else []
    result.records.extend(item for item in items if item not in result.records)


def _alias_at(response: Response, name: Name, qtype: int) -> RRset | None:
    """Return the DNAME or CNAME that leads on from ``name``, None where the answer for it must be final."""
    for depth in range(len(name) - 1, -1, -1):
        dname = response.answer.get((name[:depth], records.DNAME))
        if dname is not None and dname.rdatas:
            return dname
    direct = response.answer.get((name, qtype))
    if (direct is not None and direct.rdatas) or qtype in (records.CNAME, records.ANY, records.RRSIG):
        return None
    cname = response.answer.get((name, records.CNAME))
    return cname if cname is not None and cname.rdatas else None


def _judge_alias(context: Context, response: Response, name: Name, alias: RRset) -> Questions[JudgedRRset]:
    judged = yield from _judge_rrset(context, response, alias)
    if len(alias.rdatas) > 1:
        # "there is only ever one CNAME (or DNAME) at a name": RFC 2181 §10.1, RFC 6672 §2.4
        return _broken(judged, _alias_fault(judged, Case.SEVERAL_ALIASES, count=len(alias.rdatas)))
    target = records.target_of(alias.rdatas[0])
    if alias.rdtype == records.CNAME:
        return structs.replace(judged, target=target)
    synthesised = target + name[len(alias.name) :]
    if names.wire_length(synthesised) > names.MAX_NAME_BYTES:
        # RFC 6672 §2.2: the server answers YXDOMAIN. The DNAME may be secure; that nothing else lies there is the
        # rcode's word.
        fault = _alias_fault(judged, Case.ALIAS_TOO_LONG, name=name)
        is_secure = judged.verdict is Verdict.SECURE
        return structs.replace(judged, verdict=Verdict.INSECURE, reason=fault) if is_secure else judged
    cname = response.answer.get((name, records.CNAME))
    if cname is not None and cname.rdatas and cname.rdatas != (names.to_wire(synthesised),):
        # "the validator ... MUST verify that the CNAME ... matches": RFC 6672 §5.3.1
        return _broken(judged, _alias_fault(judged, Case.OTHER_SYNTHESIS, name=name))
    return structs.replace(judged, target=synthesised)


def _zone_of(judged: JudgedRRset) -> Name:
    return judged.node.zone if judged.node is not None else names.ROOT


def _alias_fault(judged: JudgedRRset, case: Case, *, name: Name | None = None, count: int | None = None) -> Fault:
    where = RRsetName(judged.owner, judged.rdtype)
    return Fault(Code.ALIAS_CHAIN_BROKEN, case, _zone_of(judged), rrset=where, name=name, count=count, ede=6)


def _broken(judged: JudgedRRset, fault: Fault) -> JudgedRRset:
    """Return an RRset that contradicts itself: bogus where it is signed, at worst insecure where it is not."""
    if judged.verdict is Verdict.SECURE:
        return structs.replace(judged, verdict=Verdict.BOGUS, reason=fault)
    return structs.replace(judged, reason=fault) if judged.verdict is Verdict.INSECURE else judged


def _says_nothing(response: Response, name: Name, qtype: int) -> bool:
    """Return whether the response carries neither data nor denial for ``name``: the alias was not followed."""
    if any(owner == name for owner, _rdtype in response.answer):
        return False
    return not any(
        rdtype in (records.SOA, records.NSEC, records.NSEC3)
        and names.is_at_or_below(name, owner[:-1] if rdtype != records.SOA else owner)
        for owner, rdtype in response.authority
    )


def _final(context: Context, response: Response, name: Name, qtype: int) -> Questions[list[JudgedRRset]]:
    """Judge the end of the chain: data, all data, or their denial."""
    if qtype == records.ANY:
        found = [rrset for (owner, _), rrset in response.answer.items() if owner == name and rrset.rdatas]
    else:
        rrset = response.answer.get((name, qtype))
        found = [rrset] if rrset is not None and rrset.rdatas else []
    if qtype == records.RRSIG:
        return [(yield from _judge_signatures(context, response, name))]
    rrsets = []
    for one in found:
        rrsets.append((yield from _judge_rrset(context, response, one)))
    if not rrsets:
        rrsets.append((yield from _judge_denial(context, response, name, qtype)))
    deepest = max((len(judged.node.zone) for judged in rrsets if judged.node is not None), default=0)
    return [_checked_against(judged, deepest) for judged in rrsets]


def _checked_against(judged: JudgedRRset, deepest: int) -> JudgedRRset:
    """Refuse data at an apex that the zone above signed. Source: RFC 4035 §2.4, §2.5 (DS and NSEC alone are there)."""
    node = judged.node
    if judged.verdict is not Verdict.SECURE or node is None or judged.rdtype in ABOVE_CUT or len(node.zone) == deepest:
        return judged
    where = RRsetName(judged.owner, judged.rdtype)
    fault = Fault(Code.RRSIG_SIGNER_INVALID, Case.SIGNED_ABOVE_CUT, node.zone, name=judged.owner, rrset=where)
    return structs.replace(judged, verdict=Verdict.BOGUS, reason=fault)


def _judge_signatures(context: Context, response: Response, name: Name) -> Questions[JudgedRRset]:
    """Signatures are never signed: the answer to an RRSIG query is insecure at best. Source: RFC 4035 §2.2."""
    rrsets = [rrset for (owner, _), rrset in response.answer.items() if owner == name]
    node = yield from _zone_for(context, name, records.RRSIG, {s.signer for rrset in rrsets for s in rrset.signatures})
    if node is None or node.verdict is not Verdict.SECURE:
        return _inherited(context, name, records.RRSIG, node)
    where = RRsetName(name, records.RRSIG)
    fault = Fault(Code.TYPE_NEVER_SIGNED, Case.NEVER_SIGNED, node.zone, rrset=where)
    return JudgedRRset(name, records.RRSIG, Verdict.INSECURE, node, fault)


def _zone_for(
    context: Context, owner: Name, rdtype: int, signers: set[Name], *, floor: Name = names.ROOT
) -> Questions[ChainNode | None]:
    """Find the zone that an RRset must be signed by; None where no trust anchor lies above.

    Signers above ``floor`` are not considered.

    The claimed signers are tried first, deepest first: each is a claim that the walk from the anchor proves or
    refutes. Without one that holds, the walk goes to the owner itself, where an unsigned RRset must lie below a
    proven insecure cut.
    """
    # A DS set belongs to the parent: RFC 4035 §3.1.4.1
    highest = owner[:-1] if rdtype == records.DS else owner
    claims = [
        signer for signer in signers if names.is_at_or_below(highest, signer) and names.is_at_or_below(signer, floor)
    ]
    for goal in (*sorted(claims, key=len, reverse=True), highest):
        # The anchor closest to the signer, so that any path that holds will do: RFC 6840 §5.10, App. C.2
        anchor = context.anchors.closest(goal)
        if anchor is not None:
            node = yield from find_node(context, goal, anchor)
            if node.verdict is not Verdict.SECURE or node.zone == goal or goal == highest:
                return node
    return None


def _inherited(context: Context, owner: Name, rdtype: int, node: ChainNode | None, *, ttl_s: int = 0) -> JudgedRRset:
    """Return an RRset whose verdict is that of its zone."""
    if node is None:
        fault = Fault(Code.NO_TRUST_ANCHOR, Case.NO_ANCHOR, names.ROOT, name=owner)
        return JudgedRRset(owner, rdtype, Verdict.INSECURE, None, fault, ttl_s=ttl_s)
    return JudgedRRset(owner, rdtype, node.verdict, node, node.reason, window=node.window, ttl_s=ttl_s)


def _bogus(node: ChainNode, owner: Name, rdtype: int, fault: Fault, *, ttl_s: int = 0) -> JudgedRRset:
    fault = replace(fault, blamed=RRsetName(owner, rdtype))
    return JudgedRRset(owner, rdtype, Verdict.BOGUS, node, fault, ttl_s=ttl_s)


def _served_locally(node: ChainNode, owner: Name, rdtype: int, *, ttl_s: int = 0) -> JudgedRRset | None:
    """Return the verdict on an unsigned answer that the resolver gives for a private name by itself.

    Only where the validated chain proves that the private name is absent, or not signed, in the zone above it: never
    below a secure delegation. Source: RFC 6761 §6, RFC 6303 §3, RFC 8375 §4.
    """
    suffix = private_suffix(owner)
    if suffix is None or len(node.zone) > len(suffix):
        return None
    if node.verdict is Verdict.SECURE and node.absent and len(node.zone) < len(suffix) >= len(node.name):
        case, above = Case.ABSENT_AND_SERVED, node.zone
    elif node.verdict is Verdict.INSECURE and node.reason is not None and node.reason.code in PROVEN_UNSIGNED:
        case, above = Case.UNSIGNED_AND_SERVED, suffix[:-1]
    else:
        return None
    fault = Fault(Code.LOCALLY_SERVED, case, suffix, name=owner, other=above)
    return JudgedRRset(owner, rdtype, Verdict.INSECURE, node, fault, window=node.window, ttl_s=ttl_s)


def _overruled(context: Context, judged: JudgedRRset) -> Name | None:
    """Return the anchored zone that forbids an insecure verdict from above it: there, security is configured."""
    if judged.verdict is not Verdict.INSECURE or judged.node is None:
        return None
    anchor = context.anchors.closest(judged.owner[:-1] if judged.rdtype == records.DS else judged.owner)
    if anchor is None:
        return None
    start = judged.node.path()[0].zone
    return anchor.zone if len(start) < len(anchor.zone) else None


def _judge_rrset(context: Context, response: Response, rrset: RRset) -> Questions[JudgedRRset]:
    """Judge data that are there."""
    judged = yield from _judge_rrset_below(context, response, rrset, names.ROOT)
    floor = _overruled(context, judged)
    return judged if floor is None else (yield from _judge_rrset_below(context, response, rrset, floor))


def _judge_rrset_below(context: Context, response: Response, rrset: RRset, floor: Name) -> Questions[JudgedRRset]:
    signers = {signature.signer for signature in rrset.signatures}
    node = yield from _zone_for(context, rrset.name, rrset.rdtype, signers, floor=floor)
    if node is not None and not rrset.signatures:
        local = _served_locally(node, rrset.name, rrset.rdtype, ttl_s=rrset.ttl)
        if local is not None:
            return local
    if node is None or node.verdict is not Verdict.SECURE:
        if node is not None and node.verdict is Verdict.INSECURE:
            context.note_unproven(node.zone, rrset)
        return _inherited(context, rrset.name, rrset.rdtype, node, ttl_s=rrset.ttl)
    verified = context.verify_in(node, rrset)
    if isinstance(verified, Verified):
        # An ancestor's claim? The owner's own name is not asked about: that would double the questions for every name.
        inside = verified.encloser if verified.encloser is not None else rrset.name[:-1]
        inside = rrset.name if rrset.rdtype in APEX_ONLY else inside
        if len(inside) > len(node.zone):
            below = yield from find_cut_below(context, node, inside)
            if below.verdict is not Verdict.SECURE:
                return _inherited(context, rrset.name, rrset.rdtype, below, ttl_s=rrset.ttl)
            verified = verified if below.zone == node.zone else context.verify_in(below, rrset)
            node = below
    if isinstance(verified, Fault):
        return _bogus(node, rrset.name, rrset.rdtype, verified, ttl_s=rrset.ttl)
    context.note_signing(node, rrset, verified)
    own = context.window_of(verified)
    remarks = _remarks_on(node, rrset, verified, context.now, own.expiration)
    verdict, why = Verdict.SECURE, None
    if verified.encloser is not None:
        if rrset.rdtype in NEVER_EXPANDED:
            fault = Fault(Code.WILDCARD_PROOF_INVALID, Case.FROM_WILDCARD, node.zone, rrset=name_of(rrset))
            return _bogus(node, rrset.name, rrset.rdtype, fault, ttl_s=rrset.ttl)
        gathered = gather_denial(context, node, response)
        encloser = verified.encloser
        outcome = _prove(node, rrset.name, gathered, lambda proofs: proofs.prove_no_closer_match(rrset.name, encloser))
        if isinstance(outcome, Fault):
            if outcome.code in (Code.DENIAL_MISSING, Code.DENIAL_INVALID):
                outcome = replace(outcome, code=Code.WILDCARD_PROOF_INVALID)
            return _bogus(node, rrset.name, rrset.rdtype, outcome, ttl_s=rrset.ttl)
        verdict, why = outcome
        assert isinstance(gathered, Gathered)
        own = own.or_earlier(gathered.window)
        remarks.extend(gathered.remarks)
    return JudgedRRset(
        rrset.name,
        rrset.rdtype,
        verdict,
        node,
        why,
        tuple(remarks),
        None,
        own.or_earlier(node.window),
        own,
        min(rrset.ttl, verified.signature.original_ttl),
        (verified.key.tag, verified.key.algorithm),
        original_ttl_s=verified.signature.original_ttl,
    )


def _remarks_on(node: ChainNode, rrset: RRset, verified: Verified, now: int, expiration: int) -> list[Fault]:
    remarks = []
    if verified.failed:
        is_rolling = verified.failed == verified.keyless
        case, where = Case.SOME_WITHOUT_KEY if is_rolling else Case.SOME_NOT_VERIFIED, name_of(rrset)
        # Data and keys are cached by themselves, so a key that comes or goes with its signatures is missed for a while.
        lag_s = max(verified.signature.original_ttl, _key_ttl_s(node)) if is_rolling else 0
        fault = Fault(Code.RRSIG_PARTIAL_INVALID, case, node.zone, blamed=where, rrset=where, count=verified.failed)
        remarks.append(replace(fault, lag_s=lag_s))
    if rrset.ttl > expiration - now:
        code, case, where = Code.RRSIG_TTL_BEYOND_EXPIRY, Case.TTL_BEYOND_END, name_of(rrset)
        fault = Fault(code, case, node.zone, blamed=where, rrset=where, ttl_s=rrset.ttl, expiration=expiration)
        remarks.append(fault)
    return remarks


def _key_ttl_s(node: ChainNode) -> int:
    """Return the TTL, as it is signed, of the key set that a node rests on."""
    signed = (one for above in reversed(node.path()) for one in above.signed if one.rdtype == records.DNSKEY)
    return next((one.original_ttl_s for one in signed), 0)


Proven = tuple[Verdict, Fault | None]
"""The verdict of a proof that holds: secure, or insecure and why."""


def _prove(node: ChainNode, name: Name, gathered: Gathered | Fault, prove: Callable[[Denial], Proof]) -> Proven | Fault:
    """Ask each kind of denial in turn; the first that holds decides."""
    if isinstance(gathered, Fault):
        return gathered
    failed = []
    for proofs in gathered.proofs:
        proof = prove(proofs)
        if proof.outcome is ProofOutcome.PROVEN:
            return Verdict.SECURE, None
        if proof.outcome is ProofOutcome.OPT_OUT:
            return Verdict.INSECURE, Fault(Code.OPT_OUT_SPAN, Case.IN_OPT_OUT_SPAN, node.zone, name=name)
        if proof.outcome is ProofOutcome.TOO_COSTLY:
            return Fault(Code.VALIDATION_BUDGET_EXCEEDED, Case.HASHES_SPENT, node.zone)
        failed.append(proof)
    if gathered.over_limit is not None:
        return gathered.over_limit
    return Fault(Code.DENIAL_INVALID, Case.NOT_PROVEN, node.zone, proofs=tuple(failed))


def _judge_denial(context: Context, response: Response, name: Name, qtype: int) -> Questions[JudgedRRset]:
    """Judge NXDOMAIN or NODATA for ``name``."""
    judged = yield from _judge_denial_below(context, response, name, qtype, names.ROOT)
    floor = _overruled(context, judged)
    return judged if floor is None else (yield from _judge_denial_below(context, response, name, qtype, floor))


def _judge_denial_below(
    context: Context, response: Response, name: Name, qtype: int, floor: Name
) -> Questions[JudgedRRset]:
    signers = {
        signature.signer
        for rrset in response.authority.values()
        if rrset.rdtype in (records.SOA, records.NSEC, records.NSEC3)
        for signature in rrset.signatures
    }
    node = yield from _zone_for(context, name, qtype, signers, floor=floor)
    if node is None or node.verdict is not Verdict.SECURE:
        return _inherited(context, name, qtype, node)
    gathered = gather_denial(context, node, response)
    no_data = False
    if response.rcode == NXDOMAIN:
        outcome = _prove(node, name, gathered, lambda proofs: proofs.prove_nxdomain(name))
        if isinstance(outcome, Fault) and outcome.code == Code.DENIAL_INVALID and _proves_nodata(gathered, name, qtype):
            outcome, no_data = (Verdict.SECURE, None), True
    else:
        outcome = _prove(node, name, gathered, lambda proofs: proofs.prove_nodata(name, qtype))
    if isinstance(outcome, Fault) and isinstance(gathered, Gathered):
        cut = _insecure_cut(gathered, node.zone, name if qtype != records.DS else name[:-1])
        if cut is not None:
            outcome = Verdict.INSECURE, Fault(Code.UNSIGNED_DELEGATION, Case.NO_DS, cut, other=node.zone)
    of_soa: Window | None = None
    if not isinstance(outcome, Fault) and outcome[0] is Verdict.SECURE:
        soa = _check_soa(context, node, response)
        if isinstance(soa, Fault):
            outcome = soa
        else:
            of_soa = soa
    if isinstance(outcome, Fault):
        local = _served_locally(node, name, qtype) if outcome.code == Code.DENIAL_MISSING else None
        return local or _bogus(node, name, qtype, outcome)
    verdict, why = outcome
    assert isinstance(gathered, Gathered)
    own = gathered.window.or_earlier(of_soa)
    types = None
    if verdict is Verdict.SECURE:
        is_absent = response.rcode == NXDOMAIN and not no_data
        types = frozenset[int]() if is_absent else _types_of(gathered, name, qtype)
    return JudgedRRset(
        name,
        qtype,
        verdict,
        node,
        why,
        gathered.remarks,
        None,
        own.or_earlier(node.window),
        own,
        gathered.ttl_s,
        no_data=no_data,
        types=types,
    )


def _types_of(gathered: Gathered, name: Name, qtype: int) -> frozenset[int] | None:
    """Return all types that a name has, or has from its wildcard, as the proof that it lacks one says."""
    proofs = (one.prove_nodata(name, qtype) for one in gathered.proofs)
    return next((proof.types for proof in proofs if proof.outcome is ProofOutcome.PROVEN), None)


def _proves_nodata(gathered: Gathered | Fault, name: Name, qtype: int) -> bool:
    """Return whether the records that came with NXDOMAIN prove in full that the name exists without the type.

    Some servers say NXDOMAIN for an empty non-terminal. The rcode is not signed, the proof is. Only of NSEC: with NSEC3
    an opt-out span would stand in for the wildcard that is not denied.
    """
    if isinstance(gathered, Fault):
        return False
    proofs = [one.prove_nodata(name, qtype) for one in gathered.proofs if isinstance(one, NsecDenial)]
    return any(proof.outcome is ProofOutcome.PROVEN for proof in proofs)


def _check_soa(context: Context, node: ChainNode, response: Response) -> Window | Fault | None:
    """Return the window of the SOA beside a denial, or its fault, None where no SOA is there.

    It decides how long a denial is kept. Source: RFC 2308 §3, §5.
    """
    window: Window | None = None
    for (owner, rdtype), rrset in response.authority.items():
        if rdtype != records.SOA or not rrset.rdatas:
            continue
        if owner != node.zone:
            return Fault(Code.DENIAL_INVALID, Case.FOREIGN_SOA, node.zone, other=owner)
        verified = context.verify_in(node, rrset)
        if isinstance(verified, Fault):
            return verified
        window = context.window_of(verified).or_earlier(window)
    return window


def _insecure_cut(gathered: Gathered, zone: Name, name: Name) -> Name | None:
    """Return the insecure zone cut between ``zone`` and ``name`` that the denial itself proves, if it does.

    A resolver answers for a name below an unsigned delegation with the parent's proof of that delegation.
    """
    for depth in range(len(zone) + 1, len(name) + 1):
        for proofs in gathered.proofs:
            if proofs.prove_no_ds(name[:depth]).outcome is ProofOutcome.CUT:
                return name[:depth]
    return None


def _unanswered(context: Context, name: Name, qtype: int, failure: FetchFailure) -> Questions[JudgedRRset]:
    """No answer: indeterminate, hung on the deepest zone that is known to lie there.

    After an error rcode the chain is walked to find whether the zone itself is at fault; likewise after silence where
    the vantage is known to answer. Otherwise more questions would only wait longer, so what earlier validations learnt
    has to do.
    """
    anchor = context.anchors.closest(name)
    node: ChainNode | None = None
    if failure.kind == "budget":
        zone = anchor.zone if anchor else names.ROOT
        return JudgedRRset(name, qtype, Verdict.BOGUS, None, not_fetched(zone, RRsetName(name, qtype), failure))
    if anchor is not None and (failure.kind == "rcode" or failure.walk):
        node = yield from find_node(context, name, anchor)
        if failure.walk and node.verdict is Verdict.INDETERMINATE and not node.messages and node.parent is not None:
            node = node.parent  # its DS set is not answered either, so no zone is known to begin there
        elif node.verdict in (Verdict.BOGUS, Verdict.INDETERMINATE):
            return _inherited(context, name, qtype, node)
    elif anchor is not None:
        known = (context.nodes.get(name[:depth]) for depth in range(len(name), len(anchor.zone) - 1, -1))
        node = next((one for one in known if one is not None), None)
    zone = node.zone if node is not None else (anchor.zone if anchor else names.ROOT)
    zone = failure.zone if failure.zone is not None else zone
    zone = failure.servers_of if failure.servers_of is not None else zone
    fault = not_fetched(zone, RRsetName(name, qtype), failure)
    return JudgedRRset(name, qtype, Verdict.INDETERMINATE, node, fault)

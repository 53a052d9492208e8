"""From a question to a verdict: the chain of aliases link by link, each validated in its own zone.

A verdict is the weakest of its links. Nothing is assumed: a link is secure only with a signature that holds in a zone
whose keys the anchor vouches for, and a negative or wildcard answer only with its proof.

Source: RFC 4035 §5; RFC 5155 §8; RFC 6672 §5.3 (DNAME); RFC 4033 §5 (the four verdicts).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from collector.dnssec import names, records
from collector.dnssec.chain import PROVEN_UNSIGNED, failure_of, find_cut_below, find_step, rcode_text
from collector.dnssec.context import Context, Step, Window, ask, reason
from collector.dnssec.denial import Gathered, gather_denial
from collector.dnssec.message import NOERROR, NXDOMAIN, YXDOMAIN, Response
from collector.dnssec.names import Name
from collector.dnssec.nsec import Denial, NsecDenial, Outcome, Proof
from collector.dnssec.private import private_suffix
from collector.dnssec.questions import FetchFailure, Questions
from collector.dnssec.records import RRset
from collector.dnssec.signatures import Refused, Verified
from schemas.judgement import AliasLink, Reason, Verdict

NEVER_EXPANDED = frozenset({records.DNAME, records.DS, records.DNSKEY, records.NSEC, records.NSEC3})
# What is signed at the apex of a zone only (RFC 4035 §2.1, §2.2): its owner is the zone.
APEX_ONLY = frozenset({records.NS, records.SOA, records.DNSKEY})
# What the zone above a cut signs at the name of the cut.
ABOVE_CUT = frozenset({records.DS, records.NSEC})


@dataclass(frozen=True, slots=True)
class Link:
    """One RRset on the way (or its absence), judged.

    ``step`` is the zone it was judged in, None where nothing could be learnt. ``no_data``: the proof is one of no data
    although the rcode said NXDOMAIN.
    """

    owner: Name
    rdtype: int
    verdict: Verdict
    step: Step | None
    reason: Reason | None = None
    remarks: tuple[Reason, ...] = ()
    target: Name | None = None
    window: Window | None = None
    ttl_s: int = 0
    signed_by: tuple[int, ...] = ()
    no_data: bool = False

    def described(self) -> AliasLink:
        """Return the link for the message."""
        zone = names.to_text(self.step.zone) if self.step else ""
        target = names.to_text(self.target) if self.target is not None else ""
        mnemonic = records.type_to_text(self.rdtype)
        return AliasLink(names.to_text(self.owner), mnemonic, zone, self.verdict, target, self.signed_by)


@dataclass(slots=True)
class Conclusion:
    """What one validation came to; ``records`` are (owner, type, canonical data) in the order of the chain."""

    verdict: Verdict
    rcode: str
    links: list[Link] = field(default_factory=list)
    records: list[tuple[Name, int, bytes]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    @property
    def weakest(self) -> Link:
        """Return the first of the links with the weakest verdict."""
        return max(self.links, key=lambda link: link.verdict.weakness)


def validate(context: Context, qname: Name, qtype: int) -> Questions[Conclusion]:
    """Validate what the vantage says of ``qname`` and ``qtype``; never raises for anything in the answers."""
    conclusion = Conclusion(Verdict.INDETERMINATE, "")
    name, visited = qname, {qname}
    response: Response | None = None
    while True:
        asked_now = response is None
        if response is None:
            reply = yield from ask(context, name, qtype)
            if isinstance(reply, Response) and reply.rcode not in (NOERROR, NXDOMAIN, YXDOMAIN):
                conclusion.rcode = rcode_text(reply.rcode)
                reply = failure_of(reply)
            if isinstance(reply, FetchFailure):
                if reply.rcode is not None:
                    conclusion.rcode = rcode_text(reply.rcode)
                conclusion.links.append((yield from _unanswered(context, name, qtype, reply)))
                break
            response = reply
            conclusion.messages.append(response.wire)
            conclusion.rcode = rcode_text(response.rcode)
        alias = _alias_at(response, name, qtype)
        if alias is None:
            if response.rcode == YXDOMAIN:
                # No alias made a name too long, so the rcode says nothing that could be proven: RFC 6672 §2.2
                conclusion.links.append((yield from _unanswered(context, name, qtype, failure_of(response))))
                break
            if _says_nothing(response, name, qtype) and not asked_now:
                response = None
                continue
            final = yield from _final(context, response, name, qtype)
            if _says_noerror(final, name == qname):
                conclusion.rcode = rcode_text(NOERROR)  # what is signed says more than the rcode, which is not signed
            conclusion.links.extend(final)
            _collect(conclusion, response, name, qtype)
            break
        link = yield from _judge_alias(context, response, name, alias)
        conclusion.links.append(link)
        _collect(conclusion, response, alias.name, alias.rdtype)
        if link.target is not None and alias.rdtype == records.DNAME:
            _collect(conclusion, response, name, records.CNAME, (names.to_wire(link.target),))
        if link.target is None or link.verdict in (Verdict.BOGUS, Verdict.INDETERMINATE) or qtype == records.CNAME:
            break
        # YXDOMAIN says that the last alias leads to no name at all; the loop ends there by itself.
        if link.target in visited or len(visited) > context.policy.max_aliases:
            what = "loops at" if link.target in visited else f"is longer than {context.policy.max_aliases} at"
            detail = f"the chain of aliases {what} {names.to_text(link.target)}"
            conclusion.links.append(_broken_alias(link.target, conclusion.weakest, detail))
            break
        name = link.target
        visited.add(name)
    conclusion.verdict = conclusion.weakest.verdict
    return conclusion


def _says_noerror(final: list[Link], is_first: bool) -> bool:
    """Return whether signed data, or the proof of no data, say that the name asked for exists. RFC 6604 §3."""
    return any((link.no_data and is_first) or link.signed_by for link in final if link.verdict is Verdict.SECURE)


def _broken_alias(target: Name, weakest: Link, detail: str) -> Link:
    """Return the end of a chain that leads nowhere; with one unsigned link on the way, it is insecure as a whole."""
    return _broken(Link(target, records.CNAME, weakest.verdict, weakest.step, weakest.reason), detail)


def _collect(
    conclusion: Conclusion, response: Response, owner: Name, rdtype: int, made: tuple[bytes, ...] = ()
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
    conclusion.records.extend(item for item in items if item not in conclusion.records)


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


def _judge_alias(context: Context, response: Response, name: Name, alias: RRset) -> Questions[Link]:
    link = yield from _judge_rrset(context, response, alias)
    if len(alias.rdatas) > 1:
        # "there is only ever one CNAME (or DNAME) at a name": RFC 2181 §10.1, RFC 6672 §2.4
        detail = f"{names.to_text(alias.name)} has {len(alias.rdatas)} {records.type_to_text(alias.rdtype)} records"
        return _broken(link, detail)
    target = records.target_of(alias.rdatas[0])
    if alias.rdtype == records.CNAME:
        return _with(link, target=target)
    synthesised = target + name[len(alias.name) :]
    if names.wire_length(synthesised) > names.MAX_NAME_BYTES:
        # RFC 6672 §2.2: the server answers YXDOMAIN. The DNAME may be secure; that nothing else lies there is the
        # rcode's word.
        why = reason(
            "alias_chain_broken", link.step.zone if link.step else names.ROOT, "the alias makes a name too long", ede=6
        )
        return _with(link, verdict=Verdict.INSECURE, reason=why) if link.verdict is Verdict.SECURE else link
    cname = response.answer.get((name, records.CNAME))
    if cname is not None and cname.rdatas and cname.rdatas != (names.to_wire(synthesised),):
        # "the validator ... MUST verify that the CNAME ... matches": RFC 6672 §5.3.1
        detail = f"the CNAME at {names.to_text(name)} is not what the DNAME at {names.to_text(alias.name)} makes of it"
        return _broken(link, detail)
    return _with(link, target=synthesised)


def _broken(link: Link, detail: str) -> Link:
    """Return a link that contradicts itself: bogus where it is signed, nothing worse than insecure where it is not."""
    why = reason("alias_chain_broken", link.step.zone if link.step else names.ROOT, detail, ede=6)
    if link.verdict is Verdict.SECURE:
        return _with(link, verdict=Verdict.BOGUS, reason=why)
    return _with(link, reason=why) if link.verdict is Verdict.INSECURE else link


def _with(link: Link, **changes: object) -> Link:
    values = {name: getattr(link, name) for name in Link.__slots__}
    return Link(**{**values, **changes})


def _says_nothing(response: Response, name: Name, qtype: int) -> bool:
    """Return whether the response carries neither data nor denial for ``name``: the alias was not followed."""
    if any(owner == name for owner, _rdtype in response.answer):
        return False
    return not any(
        rdtype in (records.SOA, records.NSEC, records.NSEC3)
        and names.is_at_or_below(name, owner[:-1] if rdtype != records.SOA else owner)
        for owner, rdtype in response.authority
    )


def _final(context: Context, response: Response, name: Name, qtype: int) -> Questions[list[Link]]:
    """Judge the end of the chain: data, all data, or their denial."""
    if qtype == records.ANY:
        found = [rrset for (owner, _), rrset in response.answer.items() if owner == name and rrset.rdatas]
    else:
        rrset = response.answer.get((name, qtype))
        found = [rrset] if rrset is not None and rrset.rdatas else []
    if qtype == records.RRSIG:
        return [(yield from _judge_signatures(context, response, name))]
    links = []
    for one in found:
        links.append((yield from _judge_rrset(context, response, one)))
    if not links:
        links.append((yield from _judge_denial(context, response, name, qtype)))
    deepest = max((len(link.step.zone) for link in links if link.step is not None), default=0)
    return [_checked_against(link, deepest) for link in links]


def _checked_against(link: Link, deepest: int) -> Link:
    """Refuse data at an apex that the zone above signed. Source: RFC 4035 §2.4, §2.5 (DS and NSEC alone are there)."""
    step = link.step
    if link.verdict is not Verdict.SECURE or step is None or link.rdtype in ABOVE_CUT or len(step.zone) == deepest:
        return link
    detail = (
        f"{names.to_text(link.owner)} has a zone of its own, and these data are signed by {names.to_text(step.zone)}"
    )
    return _with(link, verdict=Verdict.BOGUS, reason=reason("rrsig_signer_invalid", step.zone, detail))


def _judge_signatures(context: Context, response: Response, name: Name) -> Questions[Link]:
    """Signatures are never signed: what an RRSIG query returns is insecure at best. Source: RFC 4035 §2.2."""
    rrsets = [rrset for (owner, _), rrset in response.answer.items() if owner == name]
    step = yield from _zone_for(context, name, records.RRSIG, {s.signer for rrset in rrsets for s in rrset.signatures})
    if step is None or step.verdict is not Verdict.SECURE:
        return _inherited(context, name, records.RRSIG, step)
    why = reason("type_never_signed", step.zone, "an RRSIG set has no signature of its own")
    return Link(name, records.RRSIG, Verdict.INSECURE, step, why)


def _zone_for(
    context: Context, owner: Name, rdtype: int, signers: Iterable[Name], *, floor: Name = names.ROOT
) -> Questions[Step | None]:
    """Find the zone that an RRset must be signed by; None where no trust anchor lies above.

    Signers above ``floor`` are not considered.

    The claimed signers are tried first, deepest first: each is a claim that the walk from the anchor proves or
    refutes. Without one that holds, the walk goes to the owner itself, where an unsigned RRset must lie below a
    proven insecure cut.
    """
    # A DS set belongs to the parent: RFC 4035 §3.1.4.1
    highest = owner[:-1] if rdtype == records.DS else owner
    claims = {
        signer for signer in signers if names.is_at_or_below(highest, signer) and names.is_at_or_below(signer, floor)
    }
    for goal in (*sorted(claims, key=len, reverse=True), highest):
        # The anchor closest to the signer, so that any path that holds will do: RFC 6840 §5.10, App. C.2
        anchor = context.anchors.closest(goal)
        if anchor is not None:
            step = yield from find_step(context, goal, anchor)
            if step.verdict is not Verdict.SECURE or step.zone == goal or goal == highest:
                return step
    return None


def _inherited(context: Context, owner: Name, rdtype: int, step: Step | None, *, ttl_s: int = 0) -> Link:
    """Return the link whose verdict is that of its zone."""
    if step is None:
        why = reason("no_trust_anchor", names.ROOT, f"no trust anchor lies above {names.to_text(owner)}")
        return Link(owner, rdtype, Verdict.INSECURE, None, why, ttl_s=ttl_s)
    return Link(owner, rdtype, step.verdict, step, step.reason, window=step.window, ttl_s=ttl_s)


def _bogus(step: Step, owner: Name, rdtype: int, refused: Refused, *, ttl_s: int = 0) -> Link:
    where = f"{names.to_text(owner)} {records.type_to_text(rdtype)}"
    why = reason(refused.code, step.zone, refused.detail, rrset=where)
    return Link(owner, rdtype, Verdict.BOGUS, step, why, ttl_s=ttl_s)


def _served_locally(step: Step, owner: Name, rdtype: int, *, ttl_s: int = 0) -> Link | None:
    """Return the link of an unsigned answer that the resolver gives for a private name by itself.

    Only where the validated chain proves that the private name is absent, or not signed, in the zone above it: never
    below a secure delegation. Source: RFC 6761 §6, RFC 6303 §3, RFC 8375 §4.
    """
    suffix = private_suffix(owner)
    if suffix is None or len(step.zone) > len(suffix):
        return None
    shown, above = names.to_text(suffix), names.to_text(suffix[:-1])
    if step.verdict is Verdict.SECURE and step.absent and len(step.zone) < len(suffix) >= len(step.name):
        proof = f"{names.to_text(step.zone)} proves that {names.to_text(step.name)} does not exist"
    elif step.verdict is Verdict.INSECURE and step.reason is not None and step.reason.code in PROVEN_UNSIGNED:
        proof = f"{above} proves that {shown} is not signed"
    else:
        return None
    detail = f"the resolver answers {names.to_text(owner)} by itself; {proof}. To declare it: unsigned_zones: [{shown}]"
    why = reason("locally_served", suffix, detail)
    return Link(owner, rdtype, Verdict.INSECURE, step, why, window=step.window, ttl_s=ttl_s)


def _overruled(context: Context, link: Link) -> Name | None:
    """Return the anchored zone that forbids an insecure verdict from above it: there, security is configured."""
    anchor = context.anchors.closest(link.owner[:-1] if link.rdtype == records.DS else link.owner)
    if link.verdict is not Verdict.INSECURE or anchor is None or link.step is None:
        return None
    start = link.step.path()[0].zone
    return anchor.zone if len(start) < len(anchor.zone) else None


def _judge_rrset(context: Context, response: Response, rrset: RRset) -> Questions[Link]:
    """Judge data that are there."""
    link = yield from _judge_rrset_below(context, response, rrset, names.ROOT)
    floor = _overruled(context, link)
    return link if floor is None else (yield from _judge_rrset_below(context, response, rrset, floor))


def _judge_rrset_below(context: Context, response: Response, rrset: RRset, floor: Name) -> Questions[Link]:
    signers = {signature.signer for signature in rrset.signatures}
    step = yield from _zone_for(context, rrset.name, rrset.rdtype, signers, floor=floor)
    if step is not None and not rrset.signatures:
        local = _served_locally(step, rrset.name, rrset.rdtype, ttl_s=rrset.ttl)
        if local is not None:
            return local
    if step is None or step.verdict is not Verdict.SECURE:
        return _inherited(context, rrset.name, rrset.rdtype, step, ttl_s=rrset.ttl)
    verified = context.verify_in(step, rrset)
    if isinstance(verified, Verified):
        # An ancestor's claim? The owner's own name is not asked about: that would double the questions for every name.
        inside = verified.encloser if verified.encloser is not None else rrset.name[:-1]
        inside = rrset.name if rrset.rdtype in APEX_ONLY else inside
        if len(inside) > len(step.zone):
            below = yield from find_cut_below(context, step, inside)
            if below.verdict is not Verdict.SECURE:
                return _inherited(context, rrset.name, rrset.rdtype, below, ttl_s=rrset.ttl)
            verified = verified if below.zone == step.zone else context.verify_in(below, rrset)
            step = below
    if isinstance(verified, Refused):
        return _bogus(step, rrset.name, rrset.rdtype, verified, ttl_s=rrset.ttl)
    window = context.window_of(verified).or_earlier(step.window)
    remarks = list(_remarks_on(context, step, rrset, verified))
    verdict, why = Verdict.SECURE, None
    if verified.encloser is not None:
        if rrset.rdtype in NEVER_EXPANDED:
            refused = Refused("wildcard_proof_invalid", "a record of this type never comes from a wildcard")
            return _bogus(step, rrset.name, rrset.rdtype, refused, ttl_s=rrset.ttl)
        gathered = gather_denial(context, step, response)
        encloser = verified.encloser
        outcome = _prove(step, gathered, lambda proofs: proofs.check_no_closer(rrset.name, encloser))
        if isinstance(outcome, Refused):
            code = "wildcard_proof_invalid" if outcome.code in ("denial_missing", "denial_invalid") else outcome.code
            return _bogus(step, rrset.name, rrset.rdtype, Refused(code, outcome.detail), ttl_s=rrset.ttl)
        verdict, why = outcome
        assert isinstance(gathered, Gathered)
        window = window.or_earlier(gathered.window)
        remarks.extend(gathered.remarks)
    return Link(
        rrset.name,
        rrset.rdtype,
        verdict,
        step,
        why,
        tuple(remarks),
        None,
        window,
        min(rrset.ttl, verified.signature.original_ttl),
        (verified.key.tag, verified.key.algorithm),
    )


def _remarks_on(context: Context, step: Step, rrset: RRset, verified: Verified) -> Iterable[Reason]:
    where = f"{names.to_text(rrset.name)} {records.type_to_text(rrset.rdtype)}"
    if verified.failed:
        detail = f"{verified.failed} of the signatures over {where} do not verify"
        yield reason("rrsig_partial_invalid", step.zone, detail, rrset=where)
    left_s = context.window_of(verified).expiration - context.now
    if rrset.ttl > left_s:
        detail = f"{where} may be cached for {rrset.ttl} s and its signature ends in {left_s} s"
        yield reason("rrsig_ttl_beyond_expiry", step.zone, detail, rrset=where)


Outcomes = tuple[Verdict, Reason | None]


def _prove(step: Step, gathered: Gathered | Refused, check: Callable[[Denial], Proof]) -> Outcomes | Refused:
    """Ask each kind of denial in turn; the first that holds decides."""
    if isinstance(gathered, Refused):
        return gathered
    details = []
    for proofs in gathered.proofs:
        proof = check(proofs)
        if proof.outcome is Outcome.PROVEN:
            return Verdict.SECURE, None
        if proof.outcome is Outcome.OPT_OUT:
            why = reason(
                "opt_out_span", step.zone, "the name lies in an opt-out span, where unsigned delegations may be"
            )
            return Verdict.INSECURE, why
        if proof.outcome is Outcome.TOO_COSTLY:
            return Refused("validation_budget_exceeded", proof.detail)
        details.append(proof.detail)
    if gathered.over_limit is not None:
        return gathered.over_limit
    return Refused("denial_invalid", "; ".join(details))


def _judge_denial(context: Context, response: Response, name: Name, qtype: int) -> Questions[Link]:
    """Judge NXDOMAIN or NODATA for ``name``."""
    link = yield from _judge_denial_below(context, response, name, qtype, names.ROOT)
    floor = _overruled(context, link)
    return link if floor is None else (yield from _judge_denial_below(context, response, name, qtype, floor))


def _judge_denial_below(context: Context, response: Response, name: Name, qtype: int, floor: Name) -> Questions[Link]:
    signers = {
        signature.signer
        for rrset in response.authority.values()
        if rrset.rdtype in (records.SOA, records.NSEC, records.NSEC3)
        for signature in rrset.signatures
    }
    step = yield from _zone_for(context, name, qtype, signers, floor=floor)
    if step is None or step.verdict is not Verdict.SECURE:
        return _inherited(context, name, qtype, step)
    gathered = gather_denial(context, step, response)
    no_data = False
    if response.rcode == NXDOMAIN:
        outcome = _prove(step, gathered, lambda proofs: proofs.check_no_name(name))
        if isinstance(outcome, Refused) and outcome.code == "denial_invalid" and _proves_no_type(gathered, name, qtype):
            outcome, no_data = (Verdict.SECURE, None), True
    else:
        outcome = _prove(step, gathered, lambda proofs: proofs.check_no_type(name, qtype))
    if isinstance(outcome, Refused) and isinstance(gathered, Gathered):
        cut = _insecure_cut(gathered, step.zone, name if qtype != records.DS else name[:-1])
        if cut is not None:
            detail = f"{names.to_text(step.zone)} proves that {names.to_text(cut)} has no DS"
            outcome = Verdict.INSECURE, reason("unsigned_delegation", cut, detail)
    if not isinstance(outcome, Refused) and outcome[0] is Verdict.SECURE:
        outcome = _check_soa(context, step, response) or outcome
    if isinstance(outcome, Refused):
        local = _served_locally(step, name, qtype) if outcome.code == "denial_missing" else None
        return local or _bogus(step, name, qtype, outcome)
    verdict, why = outcome
    assert isinstance(gathered, Gathered)
    window = gathered.window.or_earlier(step.window)
    return Link(name, qtype, verdict, step, why, gathered.remarks, None, window, gathered.ttl_s, no_data=no_data)


def _proves_no_type(gathered: Gathered | Refused, name: Name, qtype: int) -> bool:
    """Return whether what came with NXDOMAIN is a whole proof that the name exists without the type.

    Some servers say NXDOMAIN for an empty non-terminal. The rcode is not signed, the proof is. Only of NSEC: with NSEC3
    an opt-out span would stand in for the wildcard that is not denied.
    """
    if isinstance(gathered, Refused):
        return False
    proofs = [one.check_no_type(name, qtype) for one in gathered.proofs if isinstance(one, NsecDenial)]
    return any(proof.outcome is Outcome.PROVEN for proof in proofs)


def _check_soa(context: Context, step: Step, response: Response) -> Refused | None:
    """Return what is wrong with the SOA beside a denial, which decides how long that is kept.

    Source: RFC 2308 §3, §5.
    """
    for (owner, rdtype), rrset in response.authority.items():
        if rdtype != records.SOA or not rrset.rdatas:
            continue
        if owner != step.zone:
            return Refused("denial_invalid", f"the SOA of {names.to_text(owner)} is beside a denial of another zone")
        verified = context.verify_in(step, rrset)
        if isinstance(verified, Refused):
            return verified
    return None


def _insecure_cut(gathered: Gathered, zone: Name, name: Name) -> Name | None:
    """Return the insecure zone cut between ``zone`` and ``name`` that the denial itself proves, if it does.

    A resolver answers for a name below an unsigned delegation with the parent's proof of that delegation.
    """
    for depth in range(len(zone) + 1, len(name) + 1):
        for proofs in gathered.proofs:
            if proofs.check_cut(name[:depth]).outcome is Outcome.CUT:
                return name[:depth]
    return None


def _unanswered(context: Context, name: Name, qtype: int, failure: FetchFailure) -> Questions[Link]:
    """No answer: indeterminate, hung on the deepest zone that is known to lie there.

    After an error rcode the chain is walked to find whether the zone itself is at fault; likewise after silence where
    the vantage is known to answer. Otherwise more questions would only wait longer, so what earlier validations learnt
    has to do.
    """
    anchor = context.anchors.closest(name)
    step: Step | None = None
    if failure.kind == "budget":
        zone = anchor.zone if anchor else names.ROOT
        return Link(name, qtype, Verdict.BOGUS, None, reason("validation_budget_exceeded", zone, failure.detail))
    if anchor is not None and (failure.kind == "rcode" or failure.walk):
        step = yield from find_step(context, name, anchor)
        if failure.walk and step.verdict is Verdict.INDETERMINATE and not step.messages and step.parent is not None:
            step = step.parent  # its DS set is not answered either, so no zone is known to begin there
        elif step.verdict in (Verdict.BOGUS, Verdict.INDETERMINATE):
            return _inherited(context, name, qtype, step)
    elif anchor is not None:
        known = (context.steps.get(name[:depth]) for depth in range(len(name), len(anchor.zone) - 1, -1))
        step = next((one for one in known if one is not None), None)
    zone = step.zone if step is not None else (anchor.zone if anchor else names.ROOT)
    zone = failure.zone if failure.zone is not None else zone
    ede = next((code for code, _ in failure.ede), 23 if failure.kind == "rcode" else 22)
    what = f"{names.to_text(name)} {records.type_to_text(qtype)} could not be fetched: {failure.detail}"
    why = reason("verdict_indeterminate", zone, what, ede=ede)
    return Link(name, qtype, Verdict.INDETERMINATE, step, why)

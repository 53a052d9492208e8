"""The way from the trust anchor down: which zone a name lies in, and whether its keys can be trusted.

One label at a time. At each node the DS set is asked of the vantage. Either it vouches for the child's keys, or its
absence is proven, and the proof says whether an insecure delegation begins here.

Source: RFC 4035 §5.2, §5.3.1; RFC 6840 §4.4; RFC 4592 §4.2.
"""

from dataclasses import replace

from collector.dnssec import names, records
from collector.dnssec.anchors import Anchor
from collector.dnssec.context import ChainNode, Context, Signed, Window, ask, describe_window
from collector.dnssec.delegation import unsupported_ds, usable_ds
from collector.dnssec.denial import Gathered, gather_denial
from collector.dnssec.fault import Case, Fault, RRsetName, not_fetched
from collector.dnssec.keyset import DistrustedKeys, TrustedKeys, describe_keys, judge_key_set
from collector.dnssec.message import NOERROR, NXDOMAIN, Response
from collector.dnssec.names import Name
from collector.dnssec.policy import DEPRECATED_ALGORITHMS, Policy
from collector.dnssec.private import neighbour_of, private_suffix
from collector.dnssec.proof import ProofOutcome
from collector.dnssec.questions import FetchFailure, Questions, failure_of
from collector.dnssec.records import DelegationSigner, KeyRecord, RRset
from collector.dnssec.signatures import Verified, name_of
from schemas.catalogue import codes_where
from schemas.codes import Code
from schemas.judgement import VALIDATED, ChainLink, Verdict

FAILED_NODE_TTL_S = 5
PROVEN_UNSIGNED = codes_where(lambda row: row.proves_unsigned)


def find_node(context: Context, goal: Name, anchor: Anchor) -> Questions[ChainNode]:
    """Descend from ``anchor`` to ``goal``; stop early where the chain ends or nothing more can be a cut.

    The node returned speaks for ``goal``: secure with the keys of the zone that contains it, or the reason why not.
    """
    declared = negative_anchor_over(context.policy, goal, anchor)
    if declared is not None:
        return _negative_node(context, declared, None)
    known = find_known(context, goal, anchor)
    if known is not None:
        return known
    node = yield from _cached(context, anchor.zone, None, anchor)
    while node.verdict is Verdict.SECURE and not node.sealed and node.name != goal:
        node = yield from _cached(context, goal[: len(node.name) + 1], node, None)
    return node


def find_known(context: Context, goal: Name, anchor: Anchor) -> ChainNode | None:
    """Return the node that speaks for ``goal`` if all nodes on the way to it are known and fresh."""
    node: ChainNode | None = None
    for depth in range(len(anchor.zone), len(goal) + 1):
        node = _known(context, goal[:depth], node)
        if node is None or node.verdict is not Verdict.SECURE or node.sealed:
            break
    return node


def _cached(context: Context, name: Name, parent: ChainNode | None, anchor: Anchor | None) -> Questions[ChainNode]:
    """Return the node at ``name``: the known one if it is fresh and rests on the same parent, else a new one."""
    known = _known(context, name, parent)
    if known is not None:
        return known
    if anchor is not None:
        node = yield from _prime(context, anchor)
    else:
        assert parent is not None
        node = yield from _descend(context, parent, name)
    # Another validation may have learnt the same while this one waited: sharing its node keeps paths one and the same.
    known = _known(context, name, parent)
    if known is not None:
        return known
    context.nodes[name] = node
    return node


def _known(context: Context, name: Name, parent: ChainNode | None) -> ChainNode | None:
    known = context.nodes.get(name)
    return known if known is not None and known.fresh_until > context.now and known.parent is parent else None


def _unreachable(
    context: Context, zone: Name, asked: RRsetName, failure: FetchFailure, parent: ChainNode | None
) -> ChainNode:
    failing = failure.servers_of if failure.servers_of is not None else zone
    fault = not_fetched(failing, asked, failure)
    verdict = Verdict.BOGUS if fault.code == Code.VALIDATION_BUDGET_EXCEEDED else Verdict.INDETERMINATE
    return ChainNode(
        asked.owner,
        failing,
        verdict,
        reason=fault,
        parent=parent,
        fresh_until=context.now + FAILED_NODE_TTL_S,
        # Where the servers of the zone above failed, nothing is known to begin here.
        link=ChainLink(names.to_text(zone), verdict) if failing == zone else None,
    )


def _usable(reply: Response | FetchFailure) -> Response | FetchFailure:
    """Turn a response whose rcode is no answer into a failure."""
    if isinstance(reply, FetchFailure) or reply.rcode in (NOERROR, NXDOMAIN):
        return reply
    return failure_of(reply)


def _prime(context: Context, anchor: Anchor) -> Questions[ChainNode]:
    """Validate the anchored zone's own keys. Source: RFC 4035 §5."""
    zone = anchor.zone
    ds = usable_ds(anchor.ds, context.policy)
    keys = [key for key in anchor.keys if key.algorithm in context.policy.algorithms]
    if not ds and not keys:
        fault = Fault(Code.ALGORITHM_UNSUPPORTED, Case.UNSUPPORTED_ANCHORS, zone)
        return _ended(context, zone, None, Verdict.INSECURE, fault, (), 3600)
    reply = _usable((yield from ask(context, zone, records.DNSKEY)))
    if isinstance(reply, FetchFailure):
        if context.policy.accept_stripped:
            return _stripped_anchor(context, zone, ())
        return _unreachable(context, zone, RRsetName(zone, records.DNSKEY), reply, None)
    if (known := _known(context, zone, None)) is not None:
        return known
    rrset = reply.answer.get((zone, records.DNSKEY))
    if rrset is None or not rrset.rdatas:
        return _keyless_anchor(context, zone, reply)
    if not rrset.signatures and not context.signatures_seen:
        fault = Fault(Code.VANTAGE_STRIPS_DNSSEC, Case.UNSIGNED_KEY_SET, zone)
        return _ended(context, zone, None, Verdict.INDETERMINATE, fault, (reply.wire,), FAILED_NODE_TTL_S)
    judged = judge_key_set(context, zone, anchor.ds, rrset, tuple(keys), is_anchor=True)
    if isinstance(judged, DistrustedKeys) and judged.fault.code in (Code.DNSKEY_MISSING, Code.DS_DNSKEY_MISMATCH):
        fault = Fault(Code.TRUST_ANCHOR_MISMATCH, Case.NOT_ANCHORED, zone, because=judged.fault)
        ttl_s, wires = FAILED_NODE_TTL_S, (reply.wire,)
        return _ended(context, zone, None, Verdict.BOGUS, fault, wires, ttl_s, anchor.ds, judged.keys)
    return _node_of(context, None, zone, anchor.ds, rrset, judged, (reply.wire,))


def _keyless_anchor(context: Context, zone: Name, reply: Response) -> ChainNode:
    if context.policy.accept_stripped:
        return _stripped_anchor(context, zone, (reply.wire,))
    if not reply.has_edns or not any(one.signatures for one in (*reply.answer.values(), *reply.authority.values())):
        # Every true answer of an anchored zone is signed: a resolver that says "no data" without proof can't be used.
        case = Case.NO_KEYS_SERVED if reply.has_edns else Case.NO_EDNS
        fault = Fault(Code.VANTAGE_STRIPS_DNSSEC, case, zone)
        return _ended(context, zone, None, Verdict.INDETERMINATE, fault, (reply.wire,), FAILED_NODE_TTL_S)
    fault = Fault(Code.TRUST_ANCHOR_MISMATCH, Case.ANCHOR_WITHOUT_KEYS, zone, ede=9)
    return _ended(context, zone, None, Verdict.BOGUS, fault, (reply.wire,), FAILED_NODE_TTL_S)


def _stripped_anchor(context: Context, zone: Name, wires: tuple[bytes, ...]) -> ChainNode:
    fault = Fault(Code.UNSIGNED_DELEGATION, Case.ANCHOR_STRIPPED, zone)
    return _ended(context, zone, None, Verdict.INSECURE, fault, wires, 60)


def _ended(
    context: Context,
    zone: Name,
    parent: ChainNode | None,
    verdict: Verdict,
    fault: Fault,
    wires: tuple[bytes, ...],
    ttl_s: int,
    ds: tuple[DelegationSigner, ...] = (),
    keys: tuple[KeyRecord, ...] = (),
    window: Window | None = None,
) -> ChainNode:
    """Return the node where the chain of trust ends at ``zone``."""
    link = ChainLink(names.to_text(zone), verdict, ds=tuple(sorted(d.to_text() for d in ds)), keys=describe_keys(keys))
    # A node is no longer good when its signature ends: RFC 4035 §5.3.3.
    fresh_until = context.now + min(ttl_s, context.longest_node_s)
    signed: tuple[Signed, ...] = ()
    if window is not None:
        fresh_until = min(fresh_until, window.expiration)
        above = parent.zone if parent is not None else zone
        signed = (
            Signed(records.DS, describe_window(zone, records.DS, above, window), ttl_s, context.cached_until(ttl_s)),
        )
    if parent is not None and parent.window is not None:
        window = parent.window.or_earlier(window)
    return ChainNode(
        zone,
        zone,
        verdict,
        reason=fault,
        parent=parent,
        link=link,
        messages=wires,
        window=window,
        fresh_until=fresh_until,
        signed=signed,
    )


def negative_anchor_over(policy: Policy, goal: Name, anchor: Anchor) -> Name | None:
    """Return the negative trust anchor at or above ``goal``, unless a trust anchor lies below it (RFC 7646 §2)."""
    if not policy.negative_trust_anchors:
        return None
    declared = {names.from_text(text) for text in policy.negative_trust_anchors}
    above = [zone for zone in declared if names.is_at_or_below(goal, zone) and names.is_at_or_below(zone, anchor.zone)]
    return max(above, key=len, default=None)


def _negative_node(context: Context, zone: Name, parent: ChainNode | None) -> ChainNode:
    fault = Fault(Code.NEGATIVE_TRUST_ANCHOR, Case.DECLARED_UNSIGNED, zone)
    return _ended(context, zone, parent, Verdict.INSECURE, fault, (), 3600)


def _descend(context: Context, parent: ChainNode, name: Name) -> Questions[ChainNode]:
    """Return the node at ``name``, one label below ``parent``."""
    reply = _usable((yield from ask(context, name, records.DS)))
    if isinstance(reply, FetchFailure):
        unreachable = _unreachable(context, name, RRsetName(name, records.DS), reply, parent)
        return unreachable if reply.kind != "rcode" else (yield from _ask_beside(context, parent, name, unreachable))
    if (known := _known(context, name, parent)) is not None:
        return known
    rrset = reply.answer.get((name, records.DS))
    if rrset is not None and rrset.rdatas:
        return (yield from _follow_ds(context, parent, name, reply, rrset))
    node = _judge_no_ds(context, parent, name, reply)
    if node.reason is not None and node.reason.code == Code.DENIAL_MISSING:
        return (yield from _ask_beside(context, parent, name, node))
    return node


def _ask_beside(context: Context, parent: ChainNode, name: Name, node: ChainNode) -> Questions[ChainNode]:
    """Return the node that a proof for a neighbour of a private name gives.

    Return ``node`` if there is no such proof, or the name is public.

    A resolver that answers a private zone by itself gives no proof for its DS set either.
    """
    if private_suffix(name) != name:
        return node
    reply = _usable((yield from ask(context, neighbour_of(name), records.DS)))
    if isinstance(reply, FetchFailure):
        return node
    beside = _no_ds(context, parent, name, reply)
    why = beside.reason.code if beside.reason is not None else ""
    proven = why in PROVEN_UNSIGNED or (beside.verdict is Verdict.SECURE and beside.sealed)
    return replace(beside, messages=(*node.messages, *beside.messages)) if proven else node


def _judge_no_ds(context: Context, parent: ChainNode, name: Name, reply: Response) -> ChainNode:
    """Judge a response without the DS set that was asked for: an alias in its place, or a denial."""
    for depth in range(len(parent.zone), len(name)):
        dname = reply.answer.get((name[:depth], records.DNAME))
        if dname is not None and dname.rdatas:
            return _no_cut_below_dname(context, parent, name, reply, dname)
    alias = reply.answer.get((name, records.CNAME))
    if alias is not None and alias.rdatas:
        return _no_cut_at_alias(context, parent, name, reply, alias)
    return _no_ds(context, parent, name, reply)


def _refused(
    context: Context, parent: ChainNode, name: Name, fault: Fault, reply: Response, blamed: RRsetName
) -> ChainNode:
    """Return the node at ``name``, whose place in the chain can't be told for a fault of ``parent``'s zone."""
    fault = replace(fault, blamed=blamed)
    return _ended(context, name, parent, Verdict.BOGUS, fault, (reply.wire,), FAILED_NODE_TTL_S)


def _follow_ds(context: Context, parent: ChainNode, name: Name, reply: Response, rrset: RRset) -> Questions[ChainNode]:
    verified = context.verify_in(parent, rrset)
    if isinstance(verified, Verified) and verified.encloser is not None:
        verified = Fault(Code.RRSIG_SIGNER_INVALID, Case.FROM_WILDCARD, parent.zone, rrset=name_of(rrset))
    if isinstance(verified, Fault):
        return _refused(context, parent, name, verified, reply, name_of(rrset))
    ds_set = tuple(ds for ds in map(records.parse_ds, rrset.rdatas) if ds is not None)
    ttl_s = min(rrset.ttl, verified.signature.original_ttl)
    window = context.window_of(verified)
    if len(ds_set) > context.policy.max_ds:
        count, limit = len(ds_set), context.policy.max_ds
        fault = Fault(Code.VALIDATION_BUDGET_EXCEEDED, Case.MANY_DS, name, count=count, limit=limit)
        return _ended(context, name, parent, Verdict.BOGUS, fault, (reply.wire,), FAILED_NODE_TTL_S, ds_set)
    if not usable_ds(ds_set, context.policy):
        fault = unsupported_ds(name, ds_set, context.policy)
        node = _ended(context, name, parent, Verdict.INSECURE, fault, (reply.wire,), ttl_s, ds_set, window=window)
        if any(ds.algorithm in DEPRECATED_ALGORITHMS for ds in ds_set):
            node = replace(node, remarks=(replace(fault, code=Code.ALGORITHM_DEPRECATED),))
        return node
    keys_reply = _usable((yield from ask(context, name, records.DNSKEY)))
    if isinstance(keys_reply, FetchFailure):
        node = _unreachable(context, name, RRsetName(name, records.DNSKEY), keys_reply, parent)
        link = ChainLink(names.to_text(name), node.verdict, ds=tuple(sorted(ds.to_text() for ds in ds_set)))
        return replace(node, link=link, messages=(reply.wire,))
    if (known := _known(context, name, parent)) is not None:
        return known
    wires = (reply.wire, keys_reply.wire)
    keys_rrset = keys_reply.answer.get((name, records.DNSKEY))
    if keys_rrset is None or not keys_rrset.rdatas:
        fault = Fault(Code.DNSKEY_MISSING, Case.NO_DNSKEY, name)
        return _ended(context, name, parent, Verdict.BOGUS, fault, wires, FAILED_NODE_TTL_S, ds_set)
    judged = judge_key_set(context, name, ds_set, keys_rrset)
    node = _node_of(context, parent, name, ds_set, keys_rrset, judged, wires)
    ends = min(node.fresh_until, context.now + ttl_s, window.expiration)
    context.note_signing(parent, rrset, verified)
    described = describe_window(name, records.DS, parent.zone, window)
    of_ds = Signed(
        records.DS,
        described,
        verified.signature.original_ttl,
        context.cached_until(min(ttl_s, window.expiration - context.now)),
    )
    signed = (of_ds, *node.signed)
    return replace(node, window=window.or_earlier(node.window), fresh_until=ends, signed=signed)


def _node_of(
    context: Context,
    parent: ChainNode | None,
    zone: Name,
    ds_set: tuple[DelegationSigner, ...],
    rrset: RRset,
    judged: TrustedKeys | DistrustedKeys,
    wires: tuple[bytes, ...],
) -> ChainNode:
    """Return the node at the apex of a zone whose key set was judged."""
    if isinstance(judged, DistrustedKeys):
        verdict = Verdict.INSECURE if judged.is_insecure else Verdict.BOGUS
        fault = replace(judged.fault, blamed=name_of(rrset))
        ttl_s = rrset.ttl if judged.is_insecure else FAILED_NODE_TTL_S
        return _ended(context, zone, parent, verdict, fault, wires, ttl_s, ds_set, judged.keys)
    ttl_s = min(judged.ttl_s, judged.window.expiration - context.now)
    described = describe_window(zone, records.DNSKEY, zone, judged.window)
    return ChainNode(
        zone,
        zone,
        Verdict.SECURE,
        keys=judged.keys,
        remarks=judged.remarks,
        link=judged.link,
        parent=parent,
        required_algorithms=judged.required_algorithms,
        window=judged.window.or_earlier(parent.window if parent else None),
        fresh_until=context.now + min(max(ttl_s, 0), context.longest_node_s),
        messages=wires,
        signed=(Signed(records.DNSKEY, described, judged.original_ttl_s, context.cached_until(ttl_s)),),
    )


def _no_cut_at_alias(context: Context, parent: ChainNode, name: Name, reply: Response, alias: RRset) -> ChainNode:
    """A CNAME cannot live at a zone cut, so a valid one denies it. Source: RFC 1034 §3.6.2, RFC 4035 §2.5."""
    verified = context.verify_in(parent, alias)
    if isinstance(verified, Fault):
        return _refused(context, parent, name, verified, reply, name_of(alias))
    window = context.window_of(verified)
    if verified.encloser is not None:
        denial = gather_denial(context, parent, reply)
        if isinstance(denial, Fault):
            return _refused(context, parent, name, denial, reply, name_of(alias))
        encloser = verified.encloser
        outcomes = {proofs.prove_no_closer_match(name, encloser).outcome for proofs in denial.proofs}
        if not outcomes & {ProofOutcome.PROVEN, ProofOutcome.OPT_OUT}:
            if denial.over_limit is not None:
                return _over_limit(context, parent, name, reply, denial)
            fault = Fault(Code.WILDCARD_PROOF_INVALID, Case.WILDCARD_NOT_CLOSEST, parent.zone, name=name)
            return _refused(context, parent, name, fault, reply, name_of(alias))
    return _same_zone(context, parent, name, reply, min(alias.ttl, verified.signature.original_ttl), window)


def _no_cut_below_dname(context: Context, parent: ChainNode, name: Name, reply: Response, dname: RRset) -> ChainNode:
    """Nothing lives below a DNAME, so a valid one denies every cut there. Source: RFC 6672 §2.4, §5.3.1."""
    verified = context.verify_in(parent, dname)
    if isinstance(verified, Verified) and verified.encloser is not None:
        verified = Fault(Code.WILDCARD_PROOF_INVALID, Case.FROM_WILDCARD, parent.zone, rrset=name_of(dname))
    if isinstance(verified, Fault):
        return _refused(context, parent, name, verified, reply, name_of(dname))
    ttl_s = min(dname.ttl, verified.signature.original_ttl)
    return _same_zone(context, parent, name, reply, ttl_s, context.window_of(verified), sealed=True)


def _same_zone(
    context: Context,
    parent: ChainNode,
    name: Name,
    reply: Response,
    ttl_s: int,
    window: Window,
    *,
    sealed: bool = False,
    absent: bool = False,
) -> ChainNode:
    """Return the node at a name that is no cut: it lies in the parent node's zone."""
    ttl_s = min(ttl_s, window.expiration - context.now)
    return replace(
        parent,
        name=name,
        link=None,
        parent=parent,
        sealed=sealed,
        absent=absent,
        remarks=(),
        window=window.or_earlier(parent.window),
        messages=(reply.wire,),
        fresh_until=min(context.now + max(ttl_s, 0), parent.fresh_until),
    )


def _no_ds(context: Context, parent: ChainNode, name: Name, reply: Response) -> ChainNode:
    """Judge the denial of a DS set."""
    where = RRsetName(name, records.DS)
    denial = gather_denial(context, parent, reply)
    if isinstance(denial, Fault):
        return _refused(context, parent, name, denial, reply, where)
    failed = []
    for proofs in denial.proofs:
        proof = proofs.prove_no_ds(name)
        match proof.outcome:
            case ProofOutcome.CUT | ProofOutcome.OPT_OUT:
                if proof.outcome is ProofOutcome.CUT:
                    fault = Fault(Code.UNSIGNED_DELEGATION, Case.NO_DS, name, other=parent.zone)
                else:
                    fault = Fault(Code.OPT_OUT_SPAN, Case.NO_DS_BY_OPT_OUT, name, other=parent.zone)
                wires = (reply.wire,)
                node = _ended(context, name, parent, Verdict.INSECURE, fault, wires, denial.ttl_s, window=denial.window)
                return replace(node, remarks=denial.remarks)
            case ProofOutcome.NO_CUT | ProofOutcome.ABSENT:
                sealed = proof.outcome is ProofOutcome.ABSENT
                # A record made from a wildcard is the zone's own, so a wildcard makes no cut, and no name private.
                is_private = sealed and private_suffix(name) == name
                absent = is_private and proofs.prove_nxdomain(name).outcome is ProofOutcome.PROVEN
                ttl_s, window = denial.ttl_s, denial.window
                return _same_zone(context, parent, name, reply, ttl_s, window, sealed=sealed, absent=absent)
            case ProofOutcome.TOO_COSTLY:
                fault = Fault(Code.VALIDATION_BUDGET_EXCEEDED, Case.HASHES_SPENT, parent.zone)
                return _refused(context, parent, name, fault, reply, where)
            case _:
                failed.append(proof)
    if denial.over_limit is not None:
        return _over_limit(context, parent, name, reply, denial)
    fault = Fault(Code.DENIAL_INVALID, Case.NOT_PROVEN, parent.zone, proofs=tuple(failed))
    return _refused(context, parent, name, fault, reply, where)


def _over_limit(context: Context, parent: ChainNode, name: Name, reply: Response, denial: Gathered) -> ChainNode:
    """Return the node at a name of which a denial speaks that iterates too often. Source: RFC 9276 §3.2."""
    assert denial.over_limit is not None
    verdict, fault = denial.over_limit
    ttl_s = denial.ttl_s if verdict is Verdict.INSECURE else FAILED_NODE_TTL_S
    return _ended(context, name, parent, verdict, fault, (reply.wire,), ttl_s, window=denial.window)


def has_known_cut(context: Context, node: ChainNode, name: Name) -> bool | None:
    """Return what ``find_cut_below`` would find out without a question: None where it would have to ask."""
    known = _known(context, name, node)
    if known is None or _is_over_limit(known):
        return None
    return known.verdict is not Verdict.SECURE or known.zone != node.zone


def find_cut_below(context: Context, node: ChainNode, name: Name) -> Questions[ChainNode]:
    """Find out whether ``name`` lies in the very zone of ``node``, or below a cut; ``node`` is secure and above it.

    A zone that signs the denial of a DS at a name speaks for that name: one question tells. Where it does not tell, the
    walk down tells where the cut is. Where no cut can be found because nothing answers, the signer is believed, as by
    others; a cut that was found is never overlooked for what fails below it.

    Source: RFC 4035 §5.3.1 (the signer is "the name of the zone that contains the RRset").
    """
    known = _known(context, name, node)
    if known is not None and not _is_over_limit(known):
        return known
    reply = _usable((yield from ask(context, name, records.DS)))
    if isinstance(reply, Response) and not reply.answer.get((name, records.DS)):
        found = _judge_no_ds(context, node, name, reply)
        if _is_over_limit(found):
            # The zone denies a DS here, by a proof that is too costly to check. Its answers need no denial.
            return replace(node, name=name, link=None, parent=node, remarks=(), messages=(reply.wire,))
        if found.verdict in VALIDATED:
            context.nodes[name] = found
            return found
    walked = node
    while walked.verdict is Verdict.SECURE and not walked.sealed and walked.name != name:
        walked = yield from _cached(context, name[: len(walked.name) + 1], walked, None)
    found_out = walked.verdict in VALIDATED and not _is_over_limit(walked)
    return walked if found_out or _is_below_cut(walked, node.zone) else node


def _is_over_limit(node: ChainNode) -> bool:
    return node.reason is not None and node.reason.code == Code.NSEC3_ITERATIONS_OVER_LIMIT


def _is_below_cut(node: ChainNode, zone: Name) -> bool:
    """Return whether a verified DS stands between ``zone`` and the end of a walk."""
    parent = node.parent
    return (parent is not None and parent.zone != zone) or (node.link is not None and bool(node.link.ds))

"""From the result of a validation to the judgement and the evidence that leave the collector."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec

from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.context import ChainNode, Context, Window, describe_window
from collector.dnssec.fault import Case, Fault, RRsetName
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.signatures import Signers
from collector.dnssec.validation import JudgedRRset, ValidationResult
from collector.dnssec.wording import make_reason
from schemas.codes import Code
from schemas.judgement import ChainLink, Judgement, Reason, Verdict
from schemas.messages import DenialParameters, DenialSpan, Evidence, SignatureWindow, utc
from schemas.wire import digest_of

# What endpoints are asked for, and the alias that leads to it.
SERVING = tuple(map(records.type_from_text, ("A", "AAAA", "CNAME", "HTTPS", "MX", "SRV", "SVCB", "TLSA", "TXT")))


def make_judgement(context: Context, result: ValidationResult, qname: Name, qtype: int, vantage: str) -> Judgement:
    """Return the judgement for people and machines; whoever hands it on with its evidence adds the digest of that."""
    weakest = result.weakest
    window: Window | None = None
    for judged in result.rrsets:
        if judged.window is not None:
            window = window.or_earlier(judged.window) if window is not None else judged.window
    return Judgement(
        name=names.to_text(qname),
        type=records.type_to_text(qtype),
        vantage=vantage,
        verdict=result.verdict,
        rcode=result.rcode,
        reasons=tuple([make_reason(fault, context.now) for fault in _reasons(result)]),
        remarks=tuple([make_reason(fault, context.now) for fault in _remarks(result)]),
        cause_zone=names.to_text(weakest.reason.zone) if weakest.reason else "",
        answers=tuple(sorted([_answer_text(*record) for record in result.records])),
        chain=_chain(result.rrsets),
        links=tuple([judged.described() for judged in result.rrsets]),
        inception_at=utc(window.inception) if window else None,
        expires_at=utc(window.expiration) if window else None,
        ttl_s=min([judged.ttl_s for judged in result.rrsets if judged.ttl_s], default=0),
        validated_at=utc(context.now),
        trust_anchor=context.anchors.fingerprint,
        denies=_denied(result.rrsets[-1]),
    )


def _denied(last: JudgedRRset) -> tuple[str, ...]:
    """Return which of the types that endpoints have are denied by the way, beside the one that was asked for."""
    if last.types is None:
        return ()
    return tuple(records.type_to_text(one) for one in SERVING if one not in last.types and one != last.rdtype)


@dataclass(frozen=True, slots=True)
class ZoneFacts:
    """What a validation showed of one zone of its chain; ``parent`` is the zone above it, empty at the anchor.

    ``messages`` are the responses that lead from the zone above to this one. ``key_ttl_s`` and ``ds_ttl_s`` are the
    original TTLs, ``keys_until`` and ``ds_until`` (POSIX seconds) until when a cache that asked at the same time keeps
    these sets; 0: unknown. ``signings`` have how data of the zone are signed, and until when caches keep such data;
    ``unsigned`` are the owners of those that nobody signed: in an insecure zone they may lie in an unsigned one below.
    """

    link: ChainLink
    parent: str
    reasons: tuple[Reason, ...]
    remarks: tuple[Reason, ...]
    windows: tuple[SignatureWindow, ...]
    messages: tuple[bytes, ...]
    key_ttl_s: int = 0
    ds_ttl_s: int = 0
    keys_until: int = 0
    ds_until: int = 0
    signings: Mapping[Signers, int] = field(default_factory=dict)
    denial: DenialParameters | None = None
    spans: tuple[DenialSpan, ...] = ()
    unsigned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What a validation showed of the name itself: the responses that no zone's part of the chain rests on, its own
    remarks, and of the signatures over the answer the one that ends first."""

    messages: tuple[bytes, ...]
    remarks: tuple[Reason, ...]
    signed: SignatureWindow | None


def zone_facts(result: ValidationResult, context: Context) -> tuple[ZoneFacts, ...]:
    """Return what the chain shows of each of its zones, once, each zone after the one above it.

    Where a vantage withholds DNSSEC records, what seems wrong with a zone is no fact of it.
    """
    is_stripped = any(judged.reason and judged.reason.code == Code.VANTAGE_STRIPS_DNSSEC for judged in result.rrsets)
    found: dict[str, ZoneFacts] = {}
    for judged in result.rrsets:
        parent = ""
        wires: tuple[bytes, ...] = ()
        for node in judged.node.path() if judged.node else []:
            wires = (*wires, *node.messages)
            if node.link is None or (is_stripped and node.verdict in (Verdict.BOGUS, Verdict.INDETERMINATE)):
                continue
            if node.link.zone not in found:
                found[node.link.zone] = _facts_of(node, node.link, parent, wires, context)
            parent, wires = node.link.zone, ()
    return tuple(found.values())


def _facts_of(node: ChainNode, link: ChainLink, parent: str, wires: tuple[bytes, ...], context: Context) -> ZoneFacts:
    faults = (node.reason,) if node.reason is not None and node.verdict is not Verdict.SECURE else ()
    signed = {one.rdtype: one for one in node.signed}
    keys, ds = signed.get(records.DNSKEY), signed.get(records.DS)
    return ZoneFacts(
        link,
        parent,
        reasons=tuple(make_reason(fault, context.now) for fault in faults),
        remarks=tuple(make_reason(fault, context.now) for fault in node.remarks),
        windows=tuple(one.described for one in node.signed),
        messages=wires,
        key_ttl_s=keys.original_ttl_s if keys is not None else 0,
        ds_ttl_s=ds.original_ttl_s if ds is not None else 0,
        keys_until=keys.cached_until if keys is not None else 0,
        ds_until=ds.cached_until if ds is not None else 0,
        signings=context.signings.get(node.zone, {}),
        denial=context.denials.get(node.zone),
        spans=tuple(context.spans.get(node.zone, ())),
        unsigned=tuple(map(names.to_text, sorted(context.unsigned.get(node.zone, ())))),
    )


def answer_facts(result: ValidationResult, now: int) -> AnswerFacts:
    """Return what the answer shows beyond the zones of its chain; ``now`` is POSIX seconds."""
    wires: dict[bytes, None] = {}
    remarks: dict[tuple[Code, Name, RRsetName | None], Fault] = {}
    windows = []
    for judged in result.rrsets:
        below: list[ChainNode] = []
        for node in judged.node.path() if judged.node else []:
            below = [] if node.link is not None else [*below, node]
        for node in below:
            wires |= dict.fromkeys(node.messages)
        for remark in (*(remark for node in below for remark in node.remarks), *judged.remarks):
            remarks.setdefault((remark.code, remark.zone, remark.blamed), remark)
        if judged.own is not None and judged.node is not None:
            windows.append(describe_window(judged.owner, judged.rdtype, judged.node.zone, judged.own))
    wires |= dict.fromkeys(result.messages)
    signed = min(windows, key=lambda one: one.expires_at, default=None)
    return AnswerFacts(tuple(wires), tuple(make_reason(fault, now) for fault in remarks.values()), signed)


def fresh_until(result: ValidationResult) -> int:
    """Return until when the verdict stands if the same answer comes again; POSIX seconds."""
    ends = [judged.node.stands_until for judged in result.rrsets if judged.node]
    ends += [judged.window.expiration for judged in result.rrsets if judged.window is not None]
    return min(ends, default=0)


def _answer_text(owner: Name, rdtype: int, rdata: bytes) -> str:
    return f"{names.to_text(owner)} {records.type_to_text(rdtype)} {records.rdata_to_text(rdtype, rdata)}"


def _reasons(result: ValidationResult) -> Iterable[Fault]:
    """Yield the decisive reason, then those of other weak RRsets, then the exit from signed space."""
    seen: set[tuple[Code, Name]] = set()
    for judged in (result.weakest, *result.rrsets):
        if judged.reason is not None and (judged.reason.code, judged.reason.zone) not in seen:
            seen.add((judged.reason.code, judged.reason.zone))
            yield judged.reason
    exiting = _exit_from_signed_space(result.rrsets)
    if exiting is not None and exiting.node is not None:
        code, case = Code.ALIAS_EXITS_SIGNED_SPACE, Case.ALIAS_TO_UNSIGNED
        where, zone, target = RRsetName(exiting.owner, exiting.rdtype), exiting.node.zone, exiting.target or names.ROOT
        yield Fault(code, case, zone, blamed=where, name=exiting.owner, other=target)


def _exit_from_signed_space(rrsets: list[JudgedRRset]) -> JudgedRRset | None:
    for judged, following in pairwise(rrsets):
        if judged.verdict is Verdict.SECURE and following.verdict is Verdict.INSECURE:
            return judged
    return None


def _remarks(result: ValidationResult) -> Iterable[Fault]:
    seen: set[tuple[Code, Name, RRsetName | None]] = set()
    for judged in result.rrsets:
        for remark in (*(judged.node.faults if judged.node else ()), *judged.remarks):
            key = (remark.code, remark.zone, remark.blamed)
            if key not in seen:
                seen.add(key)
                yield remark


def _chain(rrsets: Sequence[JudgedRRset]) -> tuple[ChainLink, ...]:
    """Return the zones that the RRsets rest on, once, each after the one above it."""
    if len(rrsets) == 1:
        return rrsets[0].node.links if rrsets[0].node is not None else ()
    found: dict[str, ChainLink] = {}
    for judged in rrsets:
        for link in judged.node.links if judged.node is not None else ():
            found.setdefault(link.zone, link)
    return tuple(found.values())


@lru_cache(maxsize=16)
def _describe_policy(policy: Policy) -> tuple[dict[str, Any], bytes]:
    """Return the policy as plain values, and as bytes that are the same for the same values."""
    values = {**msgspec.to_builtins(policy), "negative_trust_anchors": list(policy.negative_trust_anchors)}
    return values, msgspec.json.encode(values, order="sorted")


def evidence_of(context: Context, result: ValidationResult, qname: Name, qtype: int) -> Evidence:
    """Return the messages that prove a judgement, those of each zone after those of the zone above it."""
    nodes = dict.fromkeys(node for judged in result.rrsets if judged.node is not None for node in judged.node.path())
    messages = [wire for node in nodes for wire in node.messages] + result.messages
    return make_evidence(messages, qname, qtype, context.now, context.anchors, context.policy)


def make_evidence(
    messages: Sequence[bytes], name: Name, rdtype: int, now: int, anchors: TrustAnchors, policy: Policy
) -> Evidence:
    """Return messages with all that is needed to validate them again; ``now`` is POSIX seconds."""
    at = utc(now)
    owner, mnemonic = names.to_text(name), records.type_to_text(rdtype)
    values, settings = _describe_policy(policy)
    return Evidence(
        digest=digest_of(owner, mnemonic, at.isoformat(), settings, *anchors.texts, *messages),
        name=owner,
        type=mnemonic,
        at=at,
        messages=tuple(messages),
        trust_anchors=anchors.texts,
        policy=values,
    )

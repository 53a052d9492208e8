"""The state of one validation: the time, the trust anchors, the budget, and the nodes of the chain found so far."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.budget import Budget
from collector.dnssec.fault import Fault
from collector.dnssec.message import Response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, FetchFailure, Questions
from collector.dnssec.records import KeyRecord, RRset
from collector.dnssec.signatures import Signers, Verified, absolute_time, verify_rrset
from schemas.judgement import ChainLink, Verdict
from schemas.messages import DenialParameters, DenialSpan, SignatureWindow, utc

MAX_NODE_TTL_S = 86_400
LONGEST_CACHED_S = 604_800
"""Caches keep nothing for longer, whatever its TTL. Source: RFC 8767 §4."""


class Window(msgspec.Struct, frozen=True, gc=False):
    """The signature that ends first among those a result rests on; POSIX seconds."""

    inception: int
    expiration: int

    def or_earlier(self, other: "Window | None") -> "Window":
        """Return whichever ends first."""
        return other if other is not None and other.expiration < self.expiration else self


def describe_window(owner: Name, rdtype: int, signer: Name, window: Window) -> SignatureWindow:
    """Return from when until when a signature over an RRset is valid, as messages have it."""
    return SignatureWindow(
        zone=names.to_text(signer),
        rrset=f"{names.to_text(owner)} {records.type_to_text(rdtype)}",
        inception_at=utc(window.inception),
        expires_at=utc(window.expiration),
    )


@dataclass(frozen=True, slots=True)
class Signed:
    """The signature over one RRset that a node rests on: its type, and whose keys signed it from when to when.

    ``described`` is the window as messages have it; a node is made once, and is part of the chains of many names.
    ``original_ttl_s`` is the TTL that the signature names; a cache that asks now keeps the RRset until ``cached_until``
    (POSIX seconds).
    """

    rdtype: int
    described: SignatureWindow
    original_ttl_s: int
    cached_until: int


@dataclass(frozen=True, eq=False)
class ChainNode:
    """The result of the walk at one name: its zone, the verdict and the keys.

    A node is equal to itself alone. What its whole way says is put together once, for all names that rest on it.

    ``zone`` is the apex of the zone that ``name`` lies in. ``keys`` are that zone's when ``verdict`` is secure, else
    empty and ``reason`` says why. ``link`` describes the zone where the node is a cut or the anchor. ``sealed``: the
    name is proven absent, so no cut lies below; ``absent``: of a private name, and no wildcard stands in for it.
    ``messages`` are the responses this very node rests on, and ``signed`` its own signatures, while ``window`` is the
    earliest of the whole way; ``fresh_until`` POSIX seconds.
    """

    name: Name
    zone: Name
    verdict: Verdict
    keys: tuple[KeyRecord, ...] = ()
    reason: Fault | None = None
    remarks: tuple[Fault, ...] = ()
    link: ChainLink | None = None
    parent: "ChainNode | None" = None
    sealed: bool = False
    absent: bool = False
    required_algorithms: frozenset[int] = frozenset()
    window: Window | None = None
    fresh_until: int = 0
    messages: tuple[bytes, ...] = ()
    signed: tuple[Signed, ...] = ()

    @cached_property
    def above(self) -> "tuple[ChainNode, ...]":
        """Return the nodes from the anchor down to the parent."""
        return self.parent.path() if self.parent is not None else ()

    def path(self) -> "tuple[ChainNode, ...]":
        """Return the nodes from the anchor to this one."""
        return (*self.above, self)

    @cached_property
    def links(self) -> tuple[ChainLink, ...]:
        """Return the zones on the way, the anchor's first."""
        return tuple(node.link for node in self.path() if node.link is not None)

    @cached_property
    def wires(self) -> tuple[bytes, ...]:
        """Return the responses that the whole way rests on, from the anchor down."""
        return tuple(wire for node in self.path() for wire in node.messages)

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """Return the remarks of the whole way, from the anchor down."""
        return tuple(remark for node in self.path() for remark in node.remarks)

    @cached_property
    def ds_algorithms(self) -> frozenset[int]:
        """Return the signing algorithms that the DS sets on the way name."""
        return frozenset(int(ds.split()[1]) for link in self.links for ds in link.ds)

    @cached_property
    def stands_until(self) -> int:
        """Return until when the whole way is fresh (POSIX seconds)."""
        return min(node.fresh_until for node in self.path())


@dataclass(slots=True)
class Context:
    """The state of one validation: the time, the trust anchors, the budget, and the nodes that earlier ones found.

    ``nodes`` may be shared between validations of one vantage, anchor set and policy. ``now`` is POSIX seconds.
    ``signatures_seen``: the vantage has delivered some signature, so it does not strip them all. ``met_silence``: a
    question stayed without any answer. ``longest_node_s``: no node is good for longer, whatever its TTLs. ``signings``
    have for each zone how its data are signed, and until when caches keep such data, ``unsigned`` the owners of data
    that nobody signed, where that is no fault; ``denials`` how a zone proves absence, ``spans`` by which NSEC3 spans.
    """

    now: int
    anchors: TrustAnchors
    policy: Policy
    budget: Budget
    nodes: MutableMapping[Name, ChainNode]
    lenient: bool = False
    signatures_seen: bool = False
    met_silence: bool = False
    met_error: bool = False
    longest_node_s: int = MAX_NODE_TTL_S
    hashes: dict[tuple[Name, bytes, int], bytes] = field(default_factory=dict)
    signings: dict[Name, dict[Signers, int]] = field(default_factory=dict)
    unsigned: dict[Name, set[Name]] = field(default_factory=dict)
    denials: dict[Name, DenialParameters] = field(default_factory=dict)
    spans: dict[Name, dict[DenialSpan, None]] = field(default_factory=dict)
    verified: dict[tuple[Name, RRset], Verified | Fault] = field(default_factory=dict)

    def note_signing(self, node: ChainNode, rrset: RRset, verified: Verified) -> None:
        """Note by which keys of a secure zone one of its RRsets is signed, and until when caches keep it so.

        Of signatures that can't be verified those count whose algorithm no key of the zone has yet: a change of the
        algorithm begins with them. Source: RFC 6781 §4.1.4.
        """
        signers = verified.signers
        if len(signers) < len(rrset.signatures):
            present = {key.algorithm for key in node.keys}
            ahead = {
                (one.key_tag, one.algorithm)
                for one in rrset.signatures
                if one.signer == node.zone and one.algorithm not in present
            }
            signers = tuple(sorted({*signers, *ahead}))
        # RFC 4035 §5.3.3: no longer than the original TTL, and than the signature lasts.
        left_s = self.window_of(verified).expiration - self.now
        self._note(node.zone, signers, min(rrset.ttl, verified.signature.original_ttl, left_s))

    def note_unproven(self, zone: Name, rrset: RRset) -> None:
        """Note whether an RRset of a zone that is not secure is signed at all; by which keys is only claimed.

        Below such a zone no cut can be proven. What only another signer signed is data of a zone below; what nobody
        signed may be, too.
        """
        signers = tuple(sorted({(one.key_tag, one.algorithm) for one in rrset.signatures if one.signer == zone}))
        if rrset.signatures and not signers:
            return
        if not signers:
            self.unsigned.setdefault(zone, set()).add(rrset.name)
        self._note(zone, signers, rrset.ttl)

    def _note(self, zone: Name, signers: Signers, ttl_s: int) -> None:
        known = self.signings.setdefault(zone, {})
        known[signers] = max(known.get(signers, 0), self.cached_until(ttl_s))

    def cached_until(self, ttl_s: int) -> int:
        """Return until when a cache that asks now keeps an RRset (POSIX seconds)."""
        return self.now + min(max(ttl_s, 0), LONGEST_CACHED_S)

    def verify(self, rrset: RRset, zone: Name, keys: tuple[KeyRecord, ...]) -> Verified | Fault:
        """Verify one RRset with the keys of ``zone``, once."""
        memo = (zone, rrset)
        known = self.verified.get(memo)
        if known is None:
            known = self.verified[memo] = verify_rrset(
                rrset, zone, keys, now=self.now, policy=self.policy, budget=self.budget, lenient=self.lenient
            )
        return known

    def verify_in(self, node: ChainNode, rrset: RRset) -> Verified | Fault:
        """Verify one RRset of the node's zone, by each algorithm that the policy demands."""
        verified = self.verify(rrset, node.zone, node.keys)
        if isinstance(verified, Fault) or len(node.required_algorithms) < 2:
            return verified
        for algorithm in sorted(node.required_algorithms - {verified.key.algorithm}):
            keys = tuple(key for key in node.keys if key.algorithm == algorithm)
            signatures = tuple(s for s in rrset.signatures if s.algorithm == algorithm)
            one = verify_rrset(
                msgspec.structs.replace(rrset, signatures=signatures),
                node.zone,
                keys,
                now=self.now,
                policy=self.policy,
                budget=self.budget,
                lenient=self.lenient,
            )
            if isinstance(one, Fault):
                return one
        return verified

    def window_of(self, verified: Verified) -> Window:
        """Return the window of the signature that holds."""
        signature = verified.signature
        expiration = absolute_time(signature.expiration, self.now)
        return Window(expiration - ((signature.expiration - signature.inception) & 0xFFFFFFFF), expiration)


def ask(context: Context, name: Name, rdtype: int) -> Questions[Response | FetchFailure]:
    """Ask the vantage, or fail with kind budget where no question is left."""
    if not context.budget.take_query():
        return FetchFailure("budget", "more questions than the budget has")
    reply = yield Ask(name, rdtype)
    if isinstance(reply, Response) and not context.signatures_seen:
        rrsets = (*reply.answer.values(), *reply.authority.values())
        context.signatures_seen = any(rrset.signatures for rrset in rrsets)
    return reply

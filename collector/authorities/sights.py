"""What one server says of a zone, from its replies; and whether its signatures hold with the keys of the zone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collector.authorities.replies import Answer, Refusal, read_reply
from collector.authorities.roll import Seat
from collector.authorities.walk import Asked
from collector.dnssec import names, records
from collector.dnssec.anchors import Anchor, TrustAnchors
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context, Window
from collector.dnssec.fault import Fault
from collector.dnssec.keyset import DistrustedKeys, TrustedKeys, describe_keys, judge_key_set
from collector.dnssec.message import Response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Reply
from collector.dnssec.records import DelegationSigner, KeyRecord, RRset
from collector.dnssec.signatures import name_of
from collector.dnssec.wording import make_reason
from schemas.codes import Code
from schemas.judgement import Reason
from schemas.messages import ServerSight, ServerStatus, SignatureState
from schemas.wire import digest_of

CDS, CDNSKEY = 59, 60
APEX = (records.SOA, records.NS, records.DNSKEY, CDS, CDNSKEY)
MOST_REASONS = 8
MOST_TEXT = 4096
"""Characters of one RRset that a sight shows."""
MOST_KEYS = 64
SOA_TAIL_BYTES = 20
SERIAL, REFRESH, EXPIRE = 0, 4, 12
"""Where the numbers of a SOA record lie behind its names. Source: RFC 1035 §3.3.13."""

Replies = Mapping[Asked, Reply]


@dataclass(frozen=True, slots=True)
class Trust:
    """What signatures of one side of a cut are held against: a zone's keys; none: nothing is known to be signed.

    ``ds_set`` and ``anchor`` say which key sets of the zone are vouched for.
    """

    zone: Name
    keys: tuple[KeyRecord, ...] = ()
    ds_set: tuple[DelegationSigner, ...] = ()
    anchor: Anchor | None = None

    @property
    def is_signed(self) -> bool:
        """Return whether answers must be signed."""
        return bool(self.keys or self.ds_set or self.anchor)


@dataclass(frozen=True, slots=True)
class Signatures:
    """Whether the signatures of one server hold; ``windows`` are those of the apex by type."""

    state: SignatureState
    reasons: tuple[Reason, ...] = ()
    windows: Mapping[int, Window] = field(default_factory=dict)


def not_asked(seat: Seat, why: str, *, of_parent: bool) -> ServerSight:
    """Return the sight of a server that may not or can't be asked."""
    return ServerSight(
        server=seat.address,
        name=names.to_text(seat.name),
        of_parent=of_parent,
        status=ServerStatus.NOT_ASKED,
        detail=why,
    )


def read_status(reply: Reply, zone: Name, asked: Asked) -> tuple[ServerStatus, str]:
    """Return what came of asking a server of ``zone`` what each of them must know, and particulars."""
    reading = read_reply(reply, zone, asked.name, asked.rdtype)
    if isinstance(reading, Answer):
        return ServerStatus.ANSWERS, ""
    if not isinstance(reading, Refusal):
        return ServerStatus.LAME, f"it refers to the servers of {names.to_text(reading.zone)}"
    if reading.silent:
        return ServerStatus.SILENT, reading.detail
    return (ServerStatus.LAME if reading.lame else ServerStatus.REFUSES), reading.detail


def see_child(seat: Seat, zone: Name, replies: Replies, signatures: Signatures) -> ServerSight:
    """Return what a server says at the apex of its zone, and of the names that are watched."""
    status, detail = read_status(replies[Asked(zone, records.SOA)], zone, Asked(zone, records.SOA))
    apex = {kind: _rdatas(replies.get(Asked(zone, kind)), zone, zone, kind) for kind in APEX}
    soa = apex[records.SOA]
    if status is ServerStatus.ANSWERS and not soa:
        status, detail = ServerStatus.LAME, "it knows of no SOA record at the apex"
    keys = tuple(key for key in map(records.parse_key, apex[records.DNSKEY] or ()) if key is not None)
    unanswered = [str(asked) for asked, reply in replies.items() if not isinstance(reply, Response)]
    if status is ServerStatus.ANSWERS and unanswered:
        detail = f"it does not answer {', '.join(unanswered[:3])}"
    return ServerSight(
        server=seat.address,
        name=names.to_text(seat.name),
        status=status,
        detail=detail,
        signatures=signatures.state,
        reasons=signatures.reasons,
        serial=_soa_number(soa, SERIAL),
        refresh_s=_soa_number(soa, REFRESH),
        expire_s=_soa_number(soa, EXPIRE),
        ns=_texts(records.NS, apex[records.NS]),
        keys=describe_keys(keys[:MOST_KEYS]),
        cds=_texts(CDS, apex[CDS]),
        cdnskey=_texts(CDNSKEY, apex[CDNSKEY]),
        answers={
            str(asked): _texts(asked.rdtype, found)
            for asked, reply in replies.items()
            if asked.name != zone or asked.rdtype not in APEX
            if (found := _rdatas(reply, zone, asked.name, asked.rdtype)) is not None
        },
    )


def see_parent(seat: Seat, zone: Name, parent: Name, replies: Replies, signatures: Signatures) -> ServerSight:
    """Return what a server of the zone above says of the delegation."""
    asked = Asked(zone, records.DS)
    status, detail = read_status(replies[asked], parent, asked)
    soa = _rdatas(replies.get(Asked(parent, records.SOA)), parent, parent, records.SOA)
    ds_set = map(records.parse_ds, _rdatas(replies[asked], parent, zone, records.DS) or ())
    return ServerSight(
        server=seat.address,
        name=names.to_text(seat.name),
        of_parent=True,
        status=status,
        detail=detail,
        signatures=signatures.state,
        reasons=signatures.reasons,
        serial=_soa_number(soa, SERIAL),
        refresh_s=_soa_number(soa, REFRESH),
        ns=_texts(records.NS, delegated(replies.get(Asked(zone, records.NS)), zone)),
        ds=tuple(sorted(ds.to_text() for ds in ds_set if ds is not None)),
    )


def delegated(reply: Reply | None, zone: Name) -> tuple[bytes, ...]:
    """Return the NS set of a zone in a referral; in an answer where the server has both sides of the cut."""
    if not isinstance(reply, Response):
        return ()
    found = reply.authority.get((zone, records.NS)) or reply.answer.get((zone, records.NS))
    return found.rdatas if found is not None else ()


def _rdatas(reply: Reply | None, zone: Name, name: Name, rdtype: int) -> tuple[bytes, ...] | None:
    """Return the data that a server gives with authority: none where it denies them, None where it says nothing."""
    if reply is None or not isinstance(reading := read_reply(reply, zone, name, rdtype), Answer):
        return None
    rrset = reading.response.answer.get((name, rdtype))
    return rrset.rdatas if rrset is not None else ()


def _texts(rdtype: int, rdatas: tuple[bytes, ...] | None) -> tuple[str, ...]:
    """Return data as messages have them; of a set that is too large only what tells it from another one."""
    found = tuple(sorted(records.rdata_to_text(rdtype, rdata) for rdata in rdatas or ()))
    if sum(map(len, found)) <= MOST_TEXT:
        return found
    return (f"{len(found)} records with the digest {digest_of(*found)[:16]}",)


def _soa_number(rdatas: tuple[bytes, ...] | None, offset: int) -> int | None:
    """Return one of the numbers that follow the names in a SOA record."""
    if not rdatas or len(rdatas[0]) < SOA_TAIL_BYTES:
        return None
    tail = rdatas[0][-SOA_TAIL_BYTES:]
    return int.from_bytes(tail[offset : offset + 4], "big")


class Assessor:
    """Holds what servers say against keys; ``now`` is POSIX seconds. Each server has a budget of its own."""

    def __init__(self, now: int, policy: Policy) -> None:
        self._now, self._policy = now, policy

    def trusted_keys(self, trust: Trust, replies: Iterable[Reply]) -> tuple[KeyRecord, ...]:
        """Return the keys of all key sets among the replies that are vouched for, with those known before.

        A resolver holds one of these sets, and meets signatures from any of the servers.
        """
        keys = dict.fromkeys(trust.keys)
        for rrset in {_key_set(reply, trust.zone) for reply in replies}:
            if rrset is None:
                continue
            context = self._context()
            judged = self._judge_keys(context, trust, rrset)
            if not isinstance(judged, DistrustedKeys):
                keys |= dict.fromkeys(judged.keys)
        return tuple(keys)

    def assess(self, trust: Trust, keys: tuple[KeyRecord, ...], replies: Replies) -> Signatures:
        """Return whether all that a server says in the name of a zone is signed, with ``keys``."""
        rrsets = signed_rrsets(trust.zone, replies)
        if not trust.is_signed or not rrsets:
            return Signatures(SignatureState.UNKNOWN)
        context = self._context()
        faults: list[Fault] = []
        windows: dict[int, Window] = {}
        for rrset in rrsets:
            outcome = self._check(context, trust, keys, rrset)
            if isinstance(outcome, Fault):
                faults.append(replace(outcome, blamed=name_of(rrset)))
            elif outcome is not None and rrset.name == trust.zone:
                windows[rrset.rdtype] = outcome.or_earlier(windows.get(rrset.rdtype))
        reasons = tuple(dict.fromkeys(make_reason(fault, self._now) for fault in faults))[:MOST_REASONS]
        if any(fault.code != Code.RRSIG_MISSING for fault in faults):
            return Signatures(SignatureState.INVALID, reasons, windows)
        return Signatures(SignatureState.MISSING if faults else SignatureState.VALID, reasons, windows)

    def _check(
        self, context: Context, trust: Trust, keys: tuple[KeyRecord, ...], rrset: RRset
    ) -> Window | Fault | None:
        is_key_set = rrset.rdtype == records.DNSKEY and rrset.name == trust.zone
        if is_key_set and (trust.ds_set or trust.anchor) and rrset.signatures:
            judged = self._judge_keys(context, trust, rrset)
            if isinstance(judged, DistrustedKeys):
                return None if judged.is_insecure else judged.fault
            return judged.window
        verified = context.verify(rrset, trust.zone, keys)
        return verified if isinstance(verified, Fault) else context.window_of(verified)

    def _judge_keys(self, context: Context, trust: Trust, rrset: RRset) -> TrustedKeys | DistrustedKeys:
        anchor = trust.anchor
        if anchor is None:
            return judge_key_set(context, trust.zone, trust.ds_set, rrset)
        return judge_key_set(context, trust.zone, anchor.ds, rrset, anchor.keys, is_anchor=True)

    def _context(self) -> Context:
        return Context(self._now, TrustAnchors({}), self._policy, Budget(self._policy), {})


def _key_set(reply: Reply, zone: Name) -> RRset | None:
    if not isinstance(reply, Response):
        return None
    rrset = reply.answer.get((zone, records.DNSKEY))
    return rrset if rrset is not None and rrset.rdatas and rrset.signatures else None


def signed_rrsets(zone: Name, replies: Replies) -> Sequence[RRset]:
    """Return the RRsets that a zone must have signed, each once: answers to the questions, and what denies them.

    What follows an alias may be of another zone on the same server.
    """
    found: dict[RRset, None] = {}
    for asked, reply in replies.items():
        if not isinstance(reply, Response):
            continue
        dnames = [key[0] for key in reply.answer if key[1] == records.DNAME and _is_above(key[0], asked.name)]
        wanted = [rrset for rrset in reply.answer.values() if rrset.name in dnames or rrset.name == asked.name]
        if dnames:
            wanted = [rrset for rrset in wanted if rrset.rdtype != records.CNAME]  # made from the DNAME, unsigned
        if not reply.answer and (zone, records.SOA) in reply.authority:
            wanted += [rrset for rrset in reply.authority.values() if rrset.rdtype != records.NS]
        found |= {rrset: None for rrset in wanted if rrset.rdatas and names.is_at_or_below(rrset.name, zone)}
    return tuple(found)


def _is_above(ancestor: Name, name: Name) -> bool:
    return len(ancestor) < len(name) and names.is_at_or_below(name, ancestor)

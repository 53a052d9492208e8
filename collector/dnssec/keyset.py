"""Whether a zone's key set is vouched for from above, and signed by the keys that are.

Source: RFC 4035 §5.2, RFC 5011 §2.1, RFC 6840 §5.11.
"""

from dataclasses import dataclass, replace

from msgspec import structs

from collector.dnssec import crypto, names, records
from collector.dnssec.context import ChainNode, Context, Window
from collector.dnssec.delegation import match_entry_keys, remark_on_keys, usable_ds
from collector.dnssec.fault import Case, Fault, KeyId
from collector.dnssec.names import Name
from collector.dnssec.records import DelegationSigner, KeyRecord, RRset
from collector.dnssec.signatures import Verified, find_signers, is_usable_key, name_of, refuse_key_size
from schemas.catalogue import codes_where
from schemas.codes import Code
from schemas.judgement import ChainLink, Verdict, ZoneKey
from schemas.messages import utc

# During and after a rollover at the anchored zone some configured anchors match no key (RFC 5011 §2.4).
NORMAL_AT_ANCHOR = codes_where(lambda row: row.normal_at_anchor)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """A key set that is vouched for and signed; ``window`` is that of the signature which holds.

    ``required_algorithms`` are those that must sign all data of the zone, none where any one path is enough.
    """

    keys: tuple[KeyRecord, ...]
    link: ChainLink
    window: Window
    ttl_s: int
    original_ttl_s: int
    required_algorithms: frozenset[int] = frozenset()
    remarks: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class DistrustedKeys:
    """A key set that can't be trusted; ``is_insecure``: its kind is unsupported, so the zone counts as unsigned."""

    keys: tuple[KeyRecord, ...]
    fault: Fault
    is_insecure: bool = False


def judge_key_set(
    context: Context,
    zone: Name,
    ds_set: tuple[DelegationSigner, ...],
    rrset: RRset,
    anchor_keys: tuple[KeyRecord, ...] = (),
    *,
    is_anchor: bool = False,
) -> TrustedKeys | DistrustedKeys:
    """Decide whether a DNSKEY set is vouched for by ``ds_set`` or ``anchor_keys`` and signed by what they point at.

    ``is_anchor``: the zone is the one that a trust anchor is for.
    """
    keys = tuple(key for key in map(records.parse_key, rrset.rdatas) if key is not None)
    usable = usable_ds(ds_set, context.policy)
    entry = match_entry_keys(zone, usable, keys, context.policy)
    entry_keys = tuple(dict.fromkeys(entry.keys + _listed(keys, anchor_keys)))
    if not entry_keys:
        assert entry.fault is not None
        return DistrustedKeys(keys, entry.fault, entry.unsupported)
    signed = _signed_by_entry_keys(rrset, keys, entry_keys)
    required: frozenset[int] = frozenset()
    if context.policy.every_algorithm:
        required = frozenset(ds.algorithm for ds in usable) | frozenset(key.algorithm for key in anchor_keys)
    verified = _verify(context, zone, signed, keys, entry_keys, required)
    if isinstance(verified, Fault):
        return DistrustedKeys(keys, verified)
    window = context.window_of(verified)
    link = ChainLink(
        names.to_text(zone),
        Verdict.SECURE,
        ds=tuple(sorted(ds.to_text() for ds in ds_set)),
        keys=describe_keys(keys),
        signed_by=_signers_of(context, zone, rrset, keys, entry_keys, verified),
        inception_at=utc(window.inception),
        expires_at=utc(window.expiration),
        ttl_s=rrset.ttl,
    )
    remarks = [
        fault
        for fault in remark_on_keys(zone, ds_set, keys, {s.algorithm for s in rrset.signatures})
        if not is_anchor or fault.code not in NORMAL_AT_ANCHOR
    ]
    if is_anchor and (not_held := _not_held(keys, entry_keys)):
        remarks.append(Fault(Code.TRUST_ANCHOR_OUTDATED, Case.KEYS_NOT_HELD, zone, keys=not_held))
    if verified.failed:
        code, where = Code.RRSIG_PARTIAL_INVALID, name_of(rrset)
        remarks.append(Fault(code, Case.SOME_NOT_VERIFIED, zone, rrset=where, count=verified.failed))
    ttl_s = min(rrset.ttl, verified.signature.original_ttl)
    return TrustedKeys(keys, link, window, ttl_s, verified.signature.original_ttl, required, tuple(remarks))


def _listed(keys: tuple[KeyRecord, ...], anchor_keys: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
    """Return the keys of the set that a trust anchor names as such."""
    trusted = {key.public_key: key.algorithm for key in anchor_keys}
    return tuple(
        key for key in keys if trusted.get(key.public_key) == key.algorithm and key.is_zone_key and not key.is_revoked
    )


def _not_held(keys: tuple[KeyRecord, ...], held: tuple[KeyRecord, ...]) -> tuple[KeyId, ...]:
    """Return the secure-entry keys of an anchored zone that no trust anchor is for. Source: RFC 5011 §2.4, §3."""
    known = {key.rdata for key in held}
    new = (k for k in keys if k.is_entry and k.is_zone_key and not k.is_revoked and k.rdata not in known)
    return tuple(sorted({KeyId(key.tag, key.algorithm) for key in new}))


def _verify(
    context: Context,
    zone: Name,
    rrset: RRset,
    keys: tuple[KeyRecord, ...],
    entry_keys: tuple[KeyRecord, ...],
    required: frozenset[int],
) -> Verified | Fault:
    """Verify a key set by the keys that are vouched for; by each of the ``required`` algorithms, if there are any."""
    verified = context.verify(rrset, zone, entry_keys)
    if isinstance(verified, Verified) and verified.encloser is not None:
        verified = Fault(Code.RRSIG_SIGNER_INVALID, Case.FROM_WILDCARD, zone, rrset=name_of(rrset))
    if isinstance(verified, Verified) and required:
        bare = ChainNode(zone, zone, Verdict.SECURE, keys=entry_keys, required_algorithms=required)
        verified = context.verify_in(bare, rrset)
    if isinstance(verified, Fault) and verified.code == Code.DNSKEY_MISSING:
        others = replace(verified, case=Case.SIGNED_BY_OTHERS)
        return replace(_refuse_size(context, rrset, zone, keys) or others, code=Code.DS_DNSKEY_MISMATCH)
    return verified


def _refuse_size(context: Context, rrset: RRset, zone: Name, keys: tuple[KeyRecord, ...]) -> Fault | None:
    """Return that keys of an unsupported size alone sign the key set, where that is why it fails."""
    signers = {(signature.key_tag, signature.algorithm) for signature in rrset.signatures}
    signing = [key for key in keys if (key.tag, key.algorithm) in signers and key.is_zone_key and not key.is_revoked]
    if not signing or any(is_usable_key(key, context.policy) for key in signing):
        return None
    return refuse_key_size(rrset, zone, signing, context.policy)


def _signed_by_entry_keys(rrset: RRset, keys: tuple[KeyRecord, ...], entry_keys: tuple[KeyRecord, ...]) -> RRset:
    """Return the key set without the signatures that other keys of the set made: they are no fault, and no proof.

    Many signers sign the key set with every key, where only the secure-entry keys can vouch for it.
    """
    entry = {(key.tag, key.algorithm) for key in entry_keys}
    others = {(key.tag, key.algorithm) for key in keys} - entry
    kept = tuple(s for s in rrset.signatures if (s.key_tag, s.algorithm) not in others)
    return structs.replace(rrset, signatures=kept) if kept else rrset


def _signers_of(
    context: Context,
    zone: Name,
    rrset: RRset,
    keys: tuple[KeyRecord, ...],
    entry_keys: tuple[KeyRecord, ...],
    verified: Verified,
) -> tuple[int, ...]:
    """Return the tags of the keys whose signatures over the key set hold, be they vouched for or not."""
    others = tuple(key for key in keys if key not in entry_keys)
    tried = {(key.tag, key.algorithm) for key in entry_keys}
    rest = structs.replace(
        rrset, signatures=tuple(s for s in rrset.signatures if (s.key_tag, s.algorithm) not in tried)
    )
    more = find_signers(rest, zone, others, now=context.now, policy=context.policy, budget=context.budget)
    return tuple(sorted({tag for tag, _ in (*verified.signers, *more)}))


def describe_keys(keys: tuple[KeyRecord, ...]) -> tuple[ZoneKey, ...]:
    """Return the keys for people and for drift, ordered by tag."""
    described = [
        ZoneKey(key.tag, key.algorithm, key.flags, crypto.rsa_bits(key), crypto.key_digest(key.rdata)) for key in keys
    ]
    return tuple(sorted(described, key=lambda key: (key.tag, key.algorithm, key.digest)))

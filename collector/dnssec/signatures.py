"""One RRset against its signatures and the keys of one zone.

Source: RFC 4035 §5.3, RFC 4034 §3.1, RFC 6840 §5.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from collector.dnssec import crypto, names
from collector.dnssec.budget import Budget
from collector.dnssec.fault import Case, Fault, KeyId, RRsetName
from collector.dnssec.names import Name
from collector.dnssec.policy import RSA_ALGORITHMS, Policy
from collector.dnssec.records import KeyRecord, RRset, Signature
from schemas.codes import Code

Signers = tuple[tuple[int, int], ...]
"""Keys by tag and algorithm, in order, that signed an RRset together."""
Faults = dict[Case, list[Signature]]
"""The signatures that can't hold, by their fault."""

# The further a signature came before it failed, the more its fault explains; the first is named.
CODES: dict[Case, Code] = {
    Case.SHARED_TAG: Code.VALIDATION_BUDGET_EXCEEDED,
    Case.NOT_VERIFIED: Code.RRSIG_CRYPTO_INVALID,
    Case.EXPIRED: Code.RRSIG_EXPIRED,
    Case.NOT_YET_VALID: Code.RRSIG_NOT_YET_VALID,
    Case.WINDOW_INVERTED: Code.RRSIG_WINDOW_INVERTED,
    Case.REVOKED_KEY: Code.DNSKEY_REVOKED_IN_USE,
    Case.NO_ZONE_KEY: Code.DNSKEY_NOT_ZONE_KEY,
    Case.KEY_SIZE: Code.DNSKEY_MISSING,
    Case.NO_SUCH_KEY: Code.DNSKEY_MISSING,
    Case.OTHER_SIGNER: Code.RRSIG_SIGNER_INVALID,
    Case.OUTSIDE_ZONE: Code.RRSIG_SIGNER_INVALID,
    Case.LABEL_COUNT: Code.RRSIG_SIGNER_INVALID,
    # The zone has a usable DS, so it must be signed by that algorithm too: RFC 4035 §2.2.
    Case.UNSUPPORTED_SIGNATURES: Code.RRSIG_MISSING,
}
_NOT_COUNTED = frozenset({Case.UNSUPPORTED_SIGNATURES, Case.NO_SUCH_KEY})
_CASE_OF_WINDOW = {CODES[case]: case for case in (Case.EXPIRED, Case.NOT_YET_VALID, Case.WINDOW_INVERTED)}


class Verified(msgspec.Struct, frozen=True, gc=False):
    """A signature that holds.

    ``encloser`` is the closest encloser where the RRset was expanded from a wildcard, else None: the caller still owes
    the proof that no closer name exists. ``failed`` counts signatures over the same RRset that do not verify, those of
    unsupported algorithms aside; ``keyless`` are those of them that name a key that is not there. ``signers`` are the
    keys of those that were found to hold: a tag in a signature is a claim, which anybody on the way can add.
    """

    signature: Signature
    key: KeyRecord
    encloser: Name | None
    failed: int = 0
    keyless: int = 0
    signers: Signers = ()


def serial_lt(one: int, other: int) -> bool:
    """Return whether ``one`` is before ``other`` on the 32-bit circle. Source: RFC 1982 §3.2, RFC 4034 §3.1.5."""
    return one != other and ((other - one) & 0xFFFFFFFF) < 0x80000000


def absolute_time(serial: int, now: int) -> int:
    """Return the POSIX time nearest to ``now`` that the 32-bit ``serial`` stands for."""
    return now + ((serial - now + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def check_window(signature: Signature, now: int, skew_s: int) -> Code | None:
    """Return the code of the fault in a signature's times at ``now`` (POSIX seconds), None inside the window.

    Source: RFC 4035 §5.3.1; comparison by RFC 4034 §3.1.5.
    """
    if serial_lt(signature.expiration, signature.inception):
        return Code.RRSIG_WINDOW_INVERTED
    # "The validator's notion of the current time MUST be less than or equal to the time listed in the RRSIG RR's
    # Expiration field."
    if serial_lt(signature.expiration, (now - skew_s) & 0xFFFFFFFF):
        return Code.RRSIG_EXPIRED
    # "The validator's notion of the current time MUST be greater than or equal to the time listed in the RRSIG RR's
    # Inception field."
    if serial_lt((now + skew_s) & 0xFFFFFFFF, signature.inception):
        return Code.RRSIG_NOT_YET_VALID
    return None


def lenient_skew_s(signature: Signature) -> int:
    """Return the skew that a forgiving validator allows: a tenth of the lifetime, between 1 h and 24 h."""
    lifetime_s = (signature.expiration - signature.inception) & 0xFFFFFFFF
    return min(max(lifetime_s // 10, 3600), 86400)


def is_usable_key(key: KeyRecord, policy: Policy) -> bool:
    """Return whether signatures by this key count: zone key, not revoked, supported algorithm and size."""
    if not key.is_zone_key or key.is_revoked or key.algorithm not in policy.algorithms:
        return False
    if key.algorithm in RSA_ALGORITHMS:
        return policy.rsa_min_bits <= (crypto.rsa_bits(key) or 0) <= policy.rsa_max_bits
    return True


def signed_data(rrset: RRset, signature: Signature) -> bytes:
    """Return the octets that the signature covers. Source: RFC 4034 §3.1.8.1, RFC 4035 §5.3.2."""
    owner = rrset.name
    if signature.labels < label_count(owner):
        owner = names.wildcard_of(owner[: signature.labels])
    head = names.to_wire(owner) + rrset.rdtype.to_bytes(2, "big") + b"\0\1" + signature.original_ttl.to_bytes(4, "big")
    parts = [signature.signed_prefix]
    for rdata in rrset.rdatas:
        parts += (head, len(rdata).to_bytes(2, "big"), rdata)
    return b"".join(parts)


def label_count(name: Name) -> int:
    """Return the labels as an RRSIG counts them: neither the root nor a leading asterisk. Source: RFC 4034 §3.1.3."""
    return len(name) - (1 if name and name[-1] == b"*" else 0)


def verify_rrset(
    rrset: RRset,
    zone: Name,
    keys: Sequence[KeyRecord],
    *,
    now: int,
    policy: Policy,
    budget: Budget,
    lenient: bool = False,
) -> Verified | Fault:
    """Find a signature by ``zone`` over the RRset that holds with one of ``keys``.

    ``now`` is POSIX seconds; ``lenient`` forgives skew as ``lenient_skew_s`` says. With more than one fault the one
    of the signature that came furthest is named.
    """
    faults: Faults = {}
    candidates = _candidates(rrset, zone, keys, now, policy, lenient, faults)
    failed: set[Signature] = set()
    for tried, (signature, key) in enumerate(candidates):
        if tried >= policy.max_signature_tries or not budget.take_crypto(zone):
            return Fault(Code.VALIDATION_BUDGET_EXCEEDED, Case.GIVEN_UP, zone, rrset=name_of(rrset), count=tried)
        if _holds(rrset, signature, key):
            expanded = signature.labels < label_count(rrset.name)
            encloser = rrset.name[: signature.labels] if expanded else None
            if len(candidates) == 1 and not faults:
                return Verified(signature, key, encloser, 0, 0, ((signature.key_tag, signature.algorithm),))
            holding, failing = _weigh(rrset, candidates[tried + 1 : policy.max_signature_tries], zone, budget)
            failed = (failed | failing) - holding - {signature}
            others = sum(len(those) for case, those in faults.items() if case not in _NOT_COUNTED)
            keyless = _of_known_algorithms(faults.get(Case.NO_SUCH_KEY, ()), keys)
            count = others + keyless + len(failed)
            return Verified(signature, key, encloser, count, keyless, _signers({signature, *holding}))
        budget.note_failed(zone)
        failed.add(signature)
    if failed:
        faults[Case.NOT_VERIFIED] = list(failed)
    return _decisive(rrset, zone, keys, faults, now, policy)


def _of_known_algorithms(signatures: Iterable[Signature], keys: Iterable[KeyRecord]) -> int:
    """Count signatures of algorithms that the zone has a key of: those of others come before their keys and go after.

    Source: RFC 6781 §4.1.4.
    """
    known = {key.algorithm for key in keys}
    return sum(signature.algorithm in known for signature in signatures)


def _holds(rrset: RRset, signature: Signature, key: KeyRecord) -> bool:
    return crypto.is_valid(key.algorithm, key.public_key, signature.signature, signed_data(rrset, signature))


def _weigh(
    rrset: RRset, untried: Sequence[tuple[Signature, KeyRecord]], zone: Name, budget: Budget
) -> tuple[set[Signature], set[Signature]]:
    """Return which other signatures hold and which do not, so that neither depends on the order of records.

    It costs no failed try, and ends where half of the operations are spent: what no verdict needs must fail no
    validation. Then none is said not to hold.
    """
    holding: set[Signature] = set()
    for signature, key in untried:
        if signature not in holding:
            if not budget.take_spare_crypto(zone):
                return holding, set()
            if _holds(rrset, signature, key):
                holding.add(signature)
    return holding, {signature for signature, _ in untried} - holding


def find_signers(
    rrset: RRset, zone: Name, keys: Sequence[KeyRecord], *, now: int, policy: Policy, budget: Budget
) -> Signers:
    """Return which of ``keys`` signed the RRset, as far as the operations last that no verdict needs."""
    candidates = _candidates(rrset, zone, keys, now, policy, False, {})
    return _signers(_weigh(rrset, candidates[: policy.max_signature_tries], zone, budget)[0])


def _signers(signatures: Iterable[Signature]) -> Signers:
    return tuple(sorted({(one.key_tag, one.algorithm) for one in signatures}))


def _candidates(
    rrset: RRset,
    zone: Name,
    keys: Sequence[KeyRecord],
    now: int,
    policy: Policy,
    lenient: bool,
    faults: Faults,
) -> list[tuple[Signature, KeyRecord]]:
    """Return the pairs worth a try, unique tags first, so that colliding keys cannot mask a good one."""
    unique: list[tuple[Signature, KeyRecord]] = []
    shared: list[tuple[Signature, KeyRecord]] = []
    for signature in _in_order(rrset.signatures):
        skew_s = lenient_skew_s(signature) if lenient else policy.skew_s
        fault = _check_form(rrset, zone, signature) or _check_times(signature, now, skew_s)
        if fault is not None:
            faults.setdefault(fault, []).append(signature)
            continue
        fitting = [key for key in keys if _is_of(key, signature) and is_usable_key(key, policy)]
        if not fitting:
            faults.setdefault(_why_no_key(signature, keys, policy), []).append(signature)
        elif len(fitting) > policy.max_keys_per_tag:
            faults.setdefault(Case.SHARED_TAG, []).append(signature)
        else:
            (unique if len(fitting) == 1 else shared).extend((signature, key) for key in fitting)
    return unique + shared


def _in_order(signatures: Sequence[Signature]) -> Sequence[Signature]:
    """Return signatures in an order that does not depend on that of the records."""
    if len(signatures) < 2:
        return signatures
    return sorted(signatures, key=lambda one: (one.algorithm, one.key_tag, one.signature))


def _is_of(key: KeyRecord, signature: Signature) -> bool:
    """Return whether a signature names the key by its tag and algorithm."""
    return key.tag == signature.key_tag and key.algorithm == signature.algorithm


def _check_form(rrset: RRset, zone: Name, signature: Signature) -> Case | None:
    # "The RRSIG RR's Signer's Name field MUST be the name of the zone that contains the RRset."
    if signature.signer != zone:
        return Case.OTHER_SIGNER
    if not names.is_at_or_below(rrset.name, zone):
        return Case.OUTSIDE_ZONE
    # "The number of labels in the RRset owner name MUST be greater than or equal to the value in the RRSIG RR's Labels
    # field."
    if signature.labels > label_count(rrset.name) or signature.labels < len(zone):
        return Case.LABEL_COUNT
    return None


def _check_times(signature: Signature, now: int, skew_s: int) -> Case | None:
    code = check_window(signature, now, skew_s)
    return _CASE_OF_WINDOW[code] if code is not None else None


def _why_no_key(signature: Signature, keys: Iterable[KeyRecord], policy: Policy) -> Case:
    """Return why no usable key fits a signature."""
    if signature.algorithm not in policy.algorithms:
        return Case.UNSUPPORTED_SIGNATURES
    same = [key for key in keys if key.algorithm == signature.algorithm and key.tag == signature.key_tag]
    if any(key.is_revoked for key in same):
        return Case.REVOKED_KEY
    if any(not key.is_zone_key for key in same):
        return Case.NO_ZONE_KEY
    return Case.KEY_SIZE if same else Case.NO_SUCH_KEY


def _decisive(rrset: RRset, zone: Name, keys: Sequence[KeyRecord], faults: Faults, now: int, policy: Policy) -> Fault:
    """Return the fault of the signature that came furthest."""
    where = name_of(rrset)
    if not rrset.signatures:
        return Fault(Code.RRSIG_MISSING, Case.UNSIGNED, zone, rrset=where)
    case = next(case for case in CODES if case in faults)
    those, code = faults[case], CODES[case]
    tags = tuple(sorted({KeyId(one.key_tag, one.algorithm) for one in those}))
    fault = Fault(code, case, zone, rrset=where, keys=tags)
    match case:
        case Case.EXPIRED:
            return replace(fault, expiration=max(absolute_time(one.expiration, now) for one in those))
        case Case.NOT_YET_VALID:
            return replace(fault, inception=min(absolute_time(one.inception, now) for one in those))
        case Case.WINDOW_INVERTED:
            inception, expiration = (absolute_time(at, now) for at in (those[0].inception, those[0].expiration))
            return replace(fault, inception=inception, expiration=expiration)
        case Case.KEY_SIZE:
            return refuse_key_size(rrset, zone, keys, policy)
        case Case.OTHER_SIGNER:
            return replace(fault, other=those[0].signer)
        case Case.LABEL_COUNT:
            return replace(fault, count=those[0].labels)
        case Case.SHARED_TAG:
            shared = [key for key in keys if (key.tag, key.algorithm) == tags[0][:2] and is_usable_key(key, policy)]
            return replace(fault, count=len(shared), limit=policy.max_keys_per_tag)
        case Case.UNSUPPORTED_SIGNATURES:
            return replace(fault, numbers=tuple(sorted({one.algorithm for one in those})))
        case _:
            return fault


def refuse_key_size(rrset: RRset, zone: Name, keys: Sequence[KeyRecord], policy: Policy) -> Fault:
    """Return the fault of an RRset that is signed only by keys whose size the policy refuses."""
    signers = {(signature.key_tag, signature.algorithm) for signature in rrset.signatures}
    small = {
        KeyId(key.tag, key.algorithm, crypto.rsa_bits(key) or 0) for key in keys if (key.tag, key.algorithm) in signers
    }
    return Fault(
        Code.DNSKEY_MISSING,
        Case.KEY_SIZE,
        zone,
        rrset=name_of(rrset),
        keys=tuple(sorted(small)),
        least=policy.rsa_min_bits,
        limit=policy.rsa_max_bits,
    )


def name_of(rrset: RRset) -> RRsetName:
    """Return owner and type of an RRset."""
    return RRsetName(rrset.name, rrset.rdtype)

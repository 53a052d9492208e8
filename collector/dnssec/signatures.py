"""One RRset against its signatures and the keys of one zone.

Source: RFC 4035 §5.3, RFC 4034 §3.1, RFC 6840 §5.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.dnssec import crypto, names, records
from collector.dnssec.budget import Budget
from collector.dnssec.names import Name
from collector.dnssec.policy import RSA_ALGORITHMS, Policy
from collector.dnssec.records import KeyRecord, RRset, Signature
from schemas.codes import Code


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that holds.

    ``encloser`` is the closest encloser where the RRset was expanded from a wildcard, else None: the caller still owes
    the proof that no closer name exists. ``failed`` counts signatures over the same RRset that do not verify, those of
    unsupported algorithms aside.
    """

    signature: Signature
    key: KeyRecord
    encloser: Name | None
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """No signature holds: a code of the catalogue and the particulars."""

    code: Code
    detail: str


def serial_lt(one: int, other: int) -> bool:
    """Return whether ``one`` is before ``other`` on the 32-bit circle. Source: RFC 1982 §3.2, RFC 4034 §3.1.5."""
    return one != other and ((other - one) & 0xFFFFFFFF) < 0x80000000


def absolute_time(serial: int, now: int) -> int:
    """Return the POSIX time nearest to ``now`` that the 32-bit ``serial`` stands for."""
    return now + ((serial - now + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def check_window(signature: Signature, now: int, skew_s: int) -> Code | None:
    """Return the code of what is wrong with the signature's times at ``now`` (POSIX seconds), None inside the window.

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
    """Return what a forgiving validator allows at either edge: a tenth of the lifetime, between 1 h and 24 h."""
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
    faults: Counter[str] = Counter()
    candidates = _candidates(rrset, zone, keys, now, policy, lenient, faults)
    failed: set[Signature] = set()
    for tried, (signature, key) in enumerate(candidates):
        if tried >= policy.max_signature_tries or not budget.take_crypto(zone):
            return Fault(Code.VALIDATION_BUDGET_EXCEEDED, f"gave up on {_describe(rrset)} after {tried} tries")
        if _holds(rrset, signature, key):
            expanded = signature.labels < label_count(rrset.name)
            encloser = rrset.name[: signature.labels] if expanded else None
            failed |= _failing(rrset, candidates[tried + 1 : policy.max_signature_tries], zone, budget)
            others = sum(faults.values()) - faults[Code.ALGORITHM_UNSUPPORTED]
            return Verified(signature, key, encloser, others + len(failed - {signature}))
        budget.note_failed(zone)
        failed.add(signature)
    faults[Code.RRSIG_CRYPTO_INVALID] += len(failed)
    return _refusal(rrset, zone, keys, faults, policy)


def _holds(rrset: RRset, signature: Signature, key: KeyRecord) -> bool:
    return crypto.is_valid(key.algorithm, key.public_key, signature.signature, signed_data(rrset, signature))


def _failing(
    rrset: RRset, untried: Sequence[tuple[Signature, KeyRecord]], zone: Name, budget: Budget
) -> set[Signature]:
    """Return which other signatures do not verify, so that what is said does not depend on the order of records.

    It costs no failed try, and ends where half of the operations are spent: a remark must not fail a validation.
    """
    failing = {signature for signature, _ in untried}
    for signature, key in untried:
        if signature in failing:
            if not budget.take_spare_crypto(zone):
                return set()
            if _holds(rrset, signature, key):
                failing.discard(signature)
    return failing


def _candidates(
    rrset: RRset,
    zone: Name,
    keys: Sequence[KeyRecord],
    now: int,
    policy: Policy,
    lenient: bool,
    faults: Counter[str],
) -> list[tuple[Signature, KeyRecord]]:
    """Return the pairs worth a try, unique tags first, so that colliding keys cannot mask a good one."""
    usable = [key for key in keys if is_usable_key(key, policy)]
    unique: list[tuple[Signature, KeyRecord]] = []
    shared: list[tuple[Signature, KeyRecord]] = []
    for signature in sorted(rrset.signatures, key=lambda one: (one.algorithm, one.key_tag, one.signature)):
        skew_s = lenient_skew_s(signature) if lenient else policy.skew_s
        fault = _check_form(rrset, zone, signature) or check_window(signature, now, skew_s)
        if fault:
            faults[fault] += 1
            continue
        fitting = [key for key in usable if (key.tag, key.algorithm) == (signature.key_tag, signature.algorithm)]
        if not fitting:
            faults[_why_no_key(signature, keys, policy)] += 1
        elif len(fitting) > policy.max_keys_per_tag:
            faults[Code.VALIDATION_BUDGET_EXCEEDED] += 1
        else:
            (unique if len(fitting) == 1 else shared).extend((signature, key) for key in fitting)
    return unique + shared


def _check_form(rrset: RRset, zone: Name, signature: Signature) -> Code | None:
    # "The RRSIG RR's Signer's Name field MUST be the name of the zone that contains the RRset."
    if signature.signer != zone or not names.is_at_or_below(rrset.name, zone):
        return Code.RRSIG_SIGNER_INVALID
    # "The number of labels in the RRset owner name MUST be greater than or equal to the value in the RRSIG RR's Labels
    # field."
    if signature.labels > label_count(rrset.name) or signature.labels < len(zone):
        return Code.RRSIG_SIGNER_INVALID
    return None


def _why_no_key(signature: Signature, keys: Iterable[KeyRecord], policy: Policy) -> str:
    """Return the code for a signature that no usable key fits."""
    if signature.algorithm not in policy.algorithms:
        return Code.ALGORITHM_UNSUPPORTED
    same = [key for key in keys if key.algorithm == signature.algorithm]
    if any(key.is_revoked and key.tag == signature.key_tag for key in same):
        return Code.DNSKEY_REVOKED_IN_USE
    if any(not key.is_zone_key and key.tag == signature.key_tag for key in same):
        return Code.DNSKEY_NOT_ZONE_KEY
    if any(key.tag == signature.key_tag for key in same):
        return KEY_SIZE
    return Code.DNSKEY_MISSING


KEY_SIZE = "key of an unsupported size"
# The further a signature came before it failed, the more its fault explains.
_ORDER = (
    Code.VALIDATION_BUDGET_EXCEEDED,
    Code.RRSIG_CRYPTO_INVALID,
    Code.RRSIG_EXPIRED,
    Code.RRSIG_NOT_YET_VALID,
    Code.RRSIG_WINDOW_INVERTED,
    Code.DNSKEY_REVOKED_IN_USE,
    Code.DNSKEY_NOT_ZONE_KEY,
    KEY_SIZE,
    Code.DNSKEY_MISSING,
    Code.RRSIG_SIGNER_INVALID,
    Code.ALGORITHM_UNSUPPORTED,
)
_SENTENCES: dict[str, str] = {
    Code.VALIDATION_BUDGET_EXCEEDED: "too many keys share the tag of a signature over {rrset}",
    Code.RRSIG_CRYPTO_INVALID: "the signature over {rrset} does not verify with the keys of {zone}",
    Code.RRSIG_EXPIRED: "the signature over {rrset} expired",
    Code.RRSIG_NOT_YET_VALID: "the signature over {rrset} is not yet valid",
    Code.RRSIG_WINDOW_INVERTED: "the signature over {rrset} expires before its inception",
    Code.DNSKEY_REVOKED_IN_USE: "{rrset} is signed by a revoked key of {zone}",
    Code.DNSKEY_NOT_ZONE_KEY: "{rrset} is signed by a key of {zone} that is no zone key",
    Code.DNSKEY_MISSING: "{zone} has no key with the tag of the signature over {rrset}",
    Code.RRSIG_SIGNER_INVALID: "the signature over {rrset} names another signer than {zone}, or a wrong label count",
    Code.ALGORITHM_UNSUPPORTED: "{rrset} is signed by unsupported algorithms only",
}


def _refusal(rrset: RRset, zone: Name, keys: Sequence[KeyRecord], faults: Counter[str], policy: Policy) -> Fault:
    if not rrset.signatures:
        return Fault(
            Code.RRSIG_MISSING, f"{_describe(rrset)} has no signature although {names.to_text(zone)} is signed"
        )
    code = next(code for code in _ORDER if faults[code])
    if code == KEY_SIZE:
        return refuse_key_size(rrset, zone, keys, policy)
    sentence = _SENTENCES[code].format(rrset=_describe(rrset), zone=names.to_text(zone))
    if code == Code.ALGORITHM_UNSUPPORTED:
        # The zone has a usable DS, so it must be signed by that algorithm too: RFC 4035 §2.2.
        code = Code.RRSIG_MISSING
    return Fault(Code(code), sentence)


def refuse_key_size(rrset: RRset, zone: Name, keys: Sequence[KeyRecord], policy: Policy) -> Fault:
    """Return that an RRset is signed by keys alone whose size the policy refuses, with their tags and sizes."""
    signers = {(signature.key_tag, signature.algorithm) for signature in rrset.signatures}
    small = sorted({(key.tag, crypto.rsa_bits(key) or 0) for key in keys if (key.tag, key.algorithm) in signers})
    named = ", ".join(f"{tag} (RSA, {bits} bits)" for tag, bits in small)
    limits = f"{policy.rsa_min_bits} to {policy.rsa_max_bits} bits are supported"
    detail = f"{_describe(rrset)} is signed only by key {named} of {names.to_text(zone)}; {limits}"
    return Fault(Code.DNSKEY_MISSING, detail)


def _describe(rrset: RRset) -> str:
    return f"{names.to_text(rrset.name)} {records.type_to_text(rrset.rdtype)}"

"""From a DS set to the keys it vouches for.

Source: RFC 4035 §5.2, RFC 4509 §3, RFC 6840 §5.2, RFC 5011 §2.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.dnssec import crypto, names
from collector.dnssec.names import Name
from collector.dnssec.policy import DEPRECATED_ALGORITHMS, DIGESTS, RSA_ALGORITHMS, Policy
from collector.dnssec.records import DelegationSigner, KeyRecord
from schemas.codes import Code


@dataclass(frozen=True, slots=True)
class EntryKeys:
    """The keys of a zone that its parent (or an anchor) vouches for.

    ``fault`` is the code that says why there are none, with ``detail``; ``unsupported`` that the zone must count as
    insecure.
    """

    keys: tuple[KeyRecord, ...] = ()
    fault: Code | None = None
    detail: str = ""
    unsupported: bool = False


def usable_ds(ds_set: Sequence[DelegationSigner], policy: Policy) -> list[DelegationSigner]:
    """Return the DS records that can start a chain under ``policy``.

    Algorithm and digest supported, SHA-1 last resort.
    """
    usable = [ds for ds in ds_set if ds.algorithm in policy.algorithms and ds.digest_type in DIGESTS]
    # "Validator implementations SHOULD ignore DS RRs containing SHA-1 digests if DS RRs with SHA-256 digests are
    # present in the DS RRset." RFC 4509 §3
    if not policy.digest_downgrade and any(ds.digest_type != 1 for ds in usable):
        usable = [ds for ds in usable if ds.digest_type != 1]
    return usable


def describe_unsupported(ds_set: Sequence[DelegationSigner], policy: Policy) -> tuple[str, int]:
    """Return a sentence and the EDE code for a DS set of which nothing is usable."""
    algorithms = sorted({ds.algorithm for ds in ds_set if ds.algorithm not in policy.algorithms})
    if algorithms:
        return "the DS set has only unsupported algorithms: " + ", ".join(map(str, algorithms)), 1
    digests = sorted({ds.digest_type for ds in ds_set})
    return "the DS set has only unsupported digest types: " + ", ".join(map(str, digests)), 2


def match_entry_keys(
    zone: Name, ds_set: Sequence[DelegationSigner], keys: Sequence[KeyRecord], policy: Policy
) -> EntryKeys:
    """Return the keys of ``zone`` that a usable DS matches by tag, algorithm and digest."""
    matched: dict[bytes, KeyRecord] = {}
    mismatched = unmatched = 0
    for ds in ds_set:
        fitting = [key for key in keys if (key.tag, key.algorithm) == (ds.tag, ds.algorithm)]
        if len(fitting) > policy.max_keys_per_tag:
            detail = f"{len(fitting)} keys of {names.to_text(zone)} share tag {ds.tag} and algorithm {ds.algorithm}"
            return EntryKeys(fault=Code.VALIDATION_BUDGET_EXCEEDED, detail=detail)
        found = [key for key in fitting if crypto.ds_digest(zone, key.rdata, ds.digest_type) == ds.digest]
        matched.update((key.rdata, key) for key in found)
        mismatched += len(fitting) - len(found)
        unmatched += not found
    return _judge_entry_keys(zone, tuple(matched.values()), mismatched, unmatched, policy)


def _judge_entry_keys(
    zone: Name, matched: tuple[KeyRecord, ...], mismatched: int, unmatched: int, policy: Policy
) -> EntryKeys:
    where = names.to_text(zone)
    if not matched:
        if mismatched:
            return EntryKeys(fault=Code.DS_DNSKEY_MISMATCH, detail=f"the digest of no DS matches a key of {where}")
        return EntryKeys(fault=Code.DNSKEY_MISSING, detail=f"no key of {where} has the tag and algorithm of a DS")
    live = [key for key in matched if not key.is_revoked]
    if not live:
        return EntryKeys(fault=Code.DNSKEY_REVOKED_IN_USE, detail=f"the DS of {where} points at a revoked key")
    zone_keys = [key for key in live if key.is_zone_key]
    if not zone_keys:
        return EntryKeys(
            fault=Code.DNSKEY_NOT_ZONE_KEY, detail=f"the DS of {where} points at a key that is no zone key"
        )
    sized = [
        key
        for key in zone_keys
        if key.algorithm not in RSA_ALGORITHMS
        or policy.rsa_min_bits <= (crypto.rsa_bits(key) or 0) <= policy.rsa_max_bits
    ]
    if sized:
        return EntryKeys(tuple(sized))
    if unmatched:
        # The key set is not verified yet: who leaves the good keys out must not win an insecure verdict by it.
        detail = f"the keys of {where} that a DS points at are RSA of an unsupported size, and others are missing"
        return EntryKeys(fault=Code.DNSKEY_MISSING, detail=detail)
    detail = f"every key that the DS of {where} points at is RSA of an unsupported size"
    return EntryKeys(fault=Code.ALGORITHM_UNSUPPORTED, detail=detail, unsupported=True)


def remark_on_keys(
    zone: Name, ds_set: Sequence[DelegationSigner], keys: Sequence[KeyRecord], signing_algorithms: set[int]
) -> list[tuple[Code, str]]:
    """Return (code, detail) for what is weak, old or superfluous in a zone's keys although the chain holds.

    ``signing_algorithms`` are those whose signature over the key set is present.
    """
    remarks = []
    where = names.to_text(zone)
    # A key too short to be RSA at all has 0 bits and is reported by the chain itself.
    weak = sorted({bits for key in keys if (bits := crypto.rsa_bits(key)) and bits < 2048 and key.is_zone_key})
    if weak:
        remarks.append((Code.KEY_WEAK, f"{where} has RSA keys of {', '.join(map(str, weak))} bits"))
    if any(ds.algorithm in DEPRECATED_ALGORITHMS for ds in ds_set):
        remarks.append((Code.ALGORITHM_DEPRECATED, f"the DS set of {where} has a deprecated algorithm"))
    elif ds_set and all(ds.digest_type == 1 for ds in ds_set):
        remarks.append((Code.ALGORITHM_DEPRECATED, f"the DS set of {where} has SHA-1 digests only"))
    present = {(key.tag, key.algorithm) for key in keys}
    orphans = sorted({ds.tag for ds in ds_set if (ds.tag, ds.algorithm) not in present})
    if orphans and present:
        remarks.append((Code.DS_ORPHAN, f"no key of {where} has the tag of its DS {', '.join(map(str, orphans))}"))
    silent = sorted({ds.algorithm for ds in ds_set} - signing_algorithms)
    if silent and signing_algorithms:
        detail = f"algorithm {', '.join(map(str, silent))} is in the DS set of {where} and does not sign its keys"
        remarks.append((Code.ALGORITHM_SIGNING_INCOMPLETE, detail))
    return remarks

"""From a DS set to the keys it vouches for.

Source: RFC 4035 §5.2, RFC 4509 §3, RFC 6840 §5.2, RFC 5011 §2.1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.dnssec import crypto
from collector.dnssec.fault import Case, Fault, KeyId
from collector.dnssec.names import Name
from collector.dnssec.policy import DEPRECATED_ALGORITHMS, DIGESTS, RSA_ALGORITHMS, Policy
from collector.dnssec.records import DelegationSigner, KeyRecord
from schemas.codes import Code


@dataclass(frozen=True, slots=True)
class EntryKeys:
    """The keys of a zone that its parent (or an anchor) vouches for; ``fault`` says why there are none.

    ``unsupported``: for want of support alone, so that the zone must count as insecure.
    """

    keys: tuple[KeyRecord, ...] = ()
    fault: Fault | None = None
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


def unsupported_ds(zone: Name, ds_set: Sequence[DelegationSigner], policy: Policy) -> Fault:
    """Return the fault of a DS set of which nothing is usable: its algorithms, or else its digest types."""
    algorithms = tuple(sorted({ds.algorithm for ds in ds_set if ds.algorithm not in policy.algorithms}))
    if algorithms:
        case, numbers, ede = Case.UNSUPPORTED_ALGORITHMS, algorithms, 1
    else:
        case, numbers, ede = Case.UNSUPPORTED_DIGESTS, tuple(sorted({ds.digest_type for ds in ds_set})), 2
    return Fault(Code.ALGORITHM_UNSUPPORTED, case, zone, numbers=numbers, ede=ede)


def match_entry_keys(
    zone: Name, ds_set: Sequence[DelegationSigner], keys: Sequence[KeyRecord], policy: Policy
) -> EntryKeys:
    """Return the keys of ``zone`` that a usable DS matches by tag, algorithm and digest."""
    matched: dict[bytes, KeyRecord] = {}
    mismatched: list[DelegationSigner] = []
    unmatched: list[DelegationSigner] = []
    for ds in ds_set:
        fitting = [key for key in keys if (key.tag, key.algorithm) == (ds.tag, ds.algorithm)]
        if len(fitting) > policy.max_keys_per_tag:
            count, limit = len(fitting), policy.max_keys_per_tag
            code, case = Code.VALIDATION_BUDGET_EXCEEDED, Case.SHARED_DS_TAG
            return EntryKeys(fault=Fault(code, case, zone, numbers=(ds.tag,), count=count, limit=limit))
        found = [key for key in fitting if crypto.ds_digest(zone, key.rdata, ds.digest_type) == ds.digest]
        matched.update((key.rdata, key) for key in found)
        if len(found) < len(fitting):
            mismatched.append(ds)
        if not found:
            unmatched.append(ds)
    if matched:
        return _judge_entry_keys(zone, tuple(matched.values()), bool(unmatched), policy)
    if mismatched:
        tags = tuple(sorted({ds.tag for ds in mismatched}))
        return EntryKeys(fault=Fault(Code.DS_DNSKEY_MISMATCH, Case.OTHER_DIGEST, zone, numbers=tags))
    wanted = tuple(sorted({KeyId(ds.tag, ds.algorithm) for ds in unmatched}))
    return EntryKeys(fault=Fault(Code.DNSKEY_MISSING, Case.NO_KEY_OF_DS, zone, keys=wanted))


def _judge_entry_keys(zone: Name, matched: tuple[KeyRecord, ...], are_some_missing: bool, policy: Policy) -> EntryKeys:
    live = [key for key in matched if not key.is_revoked]
    if not live:
        return EntryKeys(fault=Fault(Code.DNSKEY_REVOKED_IN_USE, Case.DS_OF_REVOKED_KEY, zone, keys=_ids(matched)))
    zone_keys = [key for key in live if key.is_zone_key]
    if not zone_keys:
        return EntryKeys(fault=Fault(Code.DNSKEY_NOT_ZONE_KEY, Case.DS_OF_NO_ZONE_KEY, zone, keys=_ids(live)))
    sized = [
        key
        for key in zone_keys
        if key.algorithm not in RSA_ALGORITHMS
        or policy.rsa_min_bits <= (crypto.rsa_bits(key) or 0) <= policy.rsa_max_bits
    ]
    if sized:
        return EntryKeys(tuple(sized))
    # The key set is not verified yet: an attacker who leaves out the good keys must not gain an insecure verdict.
    case = Case.DS_OF_KEY_SIZE_AND_MISSING if are_some_missing else Case.DS_OF_KEY_SIZE
    code = Code.DNSKEY_MISSING if are_some_missing else Code.ALGORITHM_UNSUPPORTED
    sizes = tuple(sorted({KeyId(key.tag, key.algorithm, crypto.rsa_bits(key) or 0) for key in zone_keys}))
    fault = Fault(code, case, zone, keys=sizes, least=policy.rsa_min_bits, limit=policy.rsa_max_bits)
    return EntryKeys(fault=fault, unsupported=not are_some_missing)


def _ids(keys: Iterable[KeyRecord]) -> tuple[KeyId, ...]:
    return tuple(sorted({KeyId(key.tag, key.algorithm) for key in keys}))


def remark_on_keys(
    zone: Name, ds_set: Sequence[DelegationSigner], keys: Sequence[KeyRecord], signing_algorithms: set[int]
) -> list[Fault]:
    """Return remarks on weak, deprecated or superfluous keys of a zone whose chain holds.

    ``signing_algorithms`` are those whose signature over the key set is present.
    """
    remarks = []
    # A key too short to be RSA at all has 0 bits and is reported by the chain itself.
    weak = {bits for key in keys if (bits := crypto.rsa_bits(key)) and bits < 2048 and key.is_zone_key}
    if weak:
        remarks.append(Fault(Code.KEY_WEAK, Case.SHORT_KEYS, zone, numbers=tuple(sorted(weak))))
    deprecated = {ds.algorithm for ds in ds_set if ds.algorithm in DEPRECATED_ALGORITHMS}
    if deprecated:
        numbers = tuple(sorted(deprecated))
        remarks.append(Fault(Code.ALGORITHM_DEPRECATED, Case.DEPRECATED_ALGORITHM, zone, numbers=numbers))
    elif ds_set and all(ds.digest_type == 1 for ds in ds_set):
        remarks.append(Fault(Code.ALGORITHM_DEPRECATED, Case.DEPRECATED_DIGEST, zone))
    present = {(key.tag, key.algorithm) for key in keys}
    orphans = {ds.tag for ds in ds_set if (ds.tag, ds.algorithm) not in present}
    if orphans and present:
        remarks.append(Fault(Code.DS_ORPHAN, Case.ORPHANED_DS, zone, numbers=tuple(sorted(orphans))))
    silent = {ds.algorithm for ds in ds_set} - signing_algorithms
    if silent and signing_algorithms:
        numbers = tuple(sorted(silent))
        remarks.append(Fault(Code.ALGORITHM_SIGNING_INCOMPLETE, Case.SILENT_ALGORITHM, zone, numbers=numbers))
    return remarks

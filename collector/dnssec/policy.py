"""Every default of validation that an operator may change; recorded in the evidence of each verdict.

Names and values are those of ``policy:`` in the configuration and of ``validate --policy KEY=VALUE``.
"""

from typing import Annotated, Literal

import msgspec

from schemas.redaction import safe

Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=100_000)]

ALGORITHMS_2025 = frozenset({8, 10, 13, 14, 15, 16})
ALGORITHMS_SHA1 = frozenset({5, 7})
ALGORITHMS_LEGACY = ALGORITHMS_2025 | ALGORITHMS_SHA1
DEPRECATED_ALGORITHMS = frozenset({1, 3, 5, 6, 7, 12})
RSA_ALGORITHMS = frozenset({5, 7, 8, 10})
DIGESTS = frozenset({1, 2, 4})


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules and limits of validation.

    profile: ``iana2025`` treats algorithms 5 and 7 as unsupported (RFC 9905), ``legacy`` validates them.
    every_algorithm: each algorithm in the DS set must sign, where any one path is enough by default (RFC 6840 §5.11).
    digest_downgrade: a SHA-1 DS may stand in for a SHA-2 DS that matches nothing (RFC 4509 §3 says no).
    reject_mixed_nsec3: NSEC3 records of differing parameters in one response are bogus (RFC 5155 §8.2: MAY).
    accept_stripped: an anchored zone without any key is insecure instead of bogus.
    negative_trust_anchors: names whose zones count as unsigned (RFC 7646).
    skew_s: seconds forgiven at either edge of a signature's window.
    nsec3_max_iterations: proofs above it are insecure; above ``nsec3_bogus_iterations`` bogus (RFC 9276 §3.2).
    The rest are the budgets against hostile zones: tries, keys, operations, hashes and queries.
    """

    profile: Literal["iana2025", "legacy"] = "iana2025"
    every_algorithm: bool = False
    digest_downgrade: bool = False
    reject_mixed_nsec3: bool = False
    accept_stripped: bool = False
    negative_trust_anchors: tuple[str, ...] = ()
    skew_s: Count = 0
    nsec3_max_iterations: Count = 150
    nsec3_bogus_iterations: Count = 500
    rsa_min_bits: Positive = 1024
    rsa_max_bits: Positive = 4096
    max_aliases: Positive = 11
    max_signature_tries: Positive = 8
    max_failed_tries: Positive = 16
    max_crypto_operations: Positive = 64
    max_keys_per_tag: Positive = 4
    max_ds: Positive = 12
    max_nsec3_hashes: Positive = 600
    max_queries: Positive = 100

    @property
    def algorithms(self) -> frozenset[int]:
        """Return the signing algorithms that this profile supports."""
        return ALGORITHMS_LEGACY if self.profile == "legacy" else ALGORITHMS_2025


def policy_from_pairs(pairs: list[str]) -> Policy:
    """Build a policy from ``KEY=VALUE`` words; a list's key may repeat or separate values by commas.

    Raises:
        ValueError: an unknown key, or a value that does not fit; the sentence names the key.
    """
    values: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in Policy.__struct_fields__:
            known = ", ".join(Policy.__struct_fields__)
            raise ValueError(f"policy {safe(pair)}: not KEY=VALUE with a KEY of {known}")
        if key == "negative_trust_anchors":
            earlier = values.setdefault(key, [])
            assert isinstance(earlier, list)
            earlier.extend(item for item in value.split(",") if item)
        else:
            values[key] = value
    try:
        return msgspec.convert(values, Policy, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"policy: {error}") from error

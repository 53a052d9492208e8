"""Every fact an operator may see: one row a code.

A *state* opens and closes; a *drift* is an edge between two observations; a *reason* only explains a verdict and is
never a finding by itself. Codes are permanent once released. ``detected`` is False for rows that nothing reports yet.
"""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How soon a person must look; critical pages."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return 0 for info up to 4 for critical."""
        return list(Severity).index(self)


class Kind(StrEnum):
    """What happens to a finding with time."""

    STATE = "state"
    DRIFT = "drift"
    REASON = "reason"


class Row(msgspec.Struct, frozen=True):
    """One code of the catalogue.

    ``sentence`` says to a person what is the case; ``source`` is the clause it rests on; ``ede`` are the extended DNS
    error codes (RFC 8914) that say the same, most exact first.
    """

    code: str
    kind: Kind
    severity: Severity
    sentence: str
    source: str
    ede: tuple[int, ...] = ()
    detected: bool = True


_S, _D, _R = Kind.STATE, Kind.DRIFT, Kind.REASON
_C, _H, _M, _L, _I = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO


def _later(*row: object) -> Row:
    return msgspec.structs.replace(Row(*row), detected=False)  # type: ignore[arg-type]


ROWS: tuple[Row, ...] = (
    # the bogus and indeterminate families
    Row("verdict_bogus", _S, _C, "an endpoint that should validate does not", "RFC 4033 §5", (6,)),
    Row("verdict_indeterminate", _S, _M, "something the chain needs could not be fetched", "RFC 4035 §4.3", (22, 23)),
    Row("rrsig_expired", _S, _C, "every signature is past its expiration", "RFC 4035 §5.3.1", (7,)),
    Row("rrsig_not_yet_valid", _S, _C, "every signature lies before its inception", "RFC 4035 §5.3.1", (8,)),
    Row("rrsig_window_inverted", _S, _C, "a signature ends before it begins", "RFC 4034 §3.1.5", (25,)),
    Row("rrsig_crypto_invalid", _S, _C, "no signature verifies with any key of the zone", "RFC 4035 §5.3.3", (6,)),
    Row("rrsig_partial_invalid", _S, _M, "some signatures verify and some do not", "RFC 6840 §5.4"),
    Row("rrsig_missing", _S, _C, "a signed zone answers without a signature", "RFC 4035 §3.1.1", (10,)),
    Row(
        "rrsig_signer_invalid",
        _S,
        _C,
        "the signer is not the zone, or the label count is wrong",
        "RFC 4035 §5.3.1",
        (6,),
    ),
    Row("dnskey_missing", _S, _C, "the parent has a DS and the zone has no key for it", "RFC 4035 §5.2", (9,)),
    Row("dnskey_not_zone_key", _S, _H, "the zone has only keys that may not sign it", "RFC 4034 §2.1", (11,)),
    Row("dnskey_revoked_in_use", _S, _H, "the DS or a signature rests on a revoked key", "RFC 5011 §2.1", (9,)),
    Row(
        "ds_dnskey_mismatch",
        _S,
        _C,
        "no DS at the parent matches a key that signs the zone's key set",
        "RFC 4035 §5.2",
        (9,),
    ),
    Row("ds_orphan", _S, _L, "a DS at the parent has no key in the zone", "RFC 6781 §4.1.2"),
    Row("denial_missing", _S, _C, "a negative or wildcard answer comes without proof", "RFC 4035 §5.4", (12,)),
    Row("denial_invalid", _S, _C, "the proof of absence does not prove it", "RFC 5155 §8", (6, 12)),
    _later("denial_contradicts_data", _S, _H, "a valid denial denies what another answer proves", "RFC 4035 §3.1.3"),
    Row(
        "wildcard_proof_invalid",
        _S,
        _C,
        "a wildcard was expanded without proof that no closer name exists",
        "RFC 4035 §5.3.4",
        (12,),
    ),
    Row("alias_chain_broken", _S, _H, "the chain of aliases loops, breaks or contradicts itself", "RFC 6672 §5.3.1"),
    Row("alias_exits_signed_space", _S, _L, "a secure alias leads to a name that is not signed", "RFC 4035 §4.3"),
    Row(
        "trust_anchor_mismatch",
        _S,
        _C,
        "the anchored zone's key set is signed by no configured trust anchor",
        "RFC 4035 §5",
        (6,),
    ),
    _later("trust_anchor_outdated", _S, _H, "the root publishes a key we do not hold", "RFC 5011 §2.4"),
    Row(
        "validation_budget_exceeded",
        _S,
        _H,
        "validating would cost more than any honest zone asks for",
        "CVE-2023-50387",
        (6,),
    ),
    Row(
        "nsec3_iterations_over_limit",
        _S,
        _M,
        "the NSEC3 iteration count is over the limit: the proof counts as insecure",
        "RFC 9276 §3.2",
        (27,),
    ),
    Row("nsec3_params_poor", _S, _I, "NSEC3 with extra iterations or a salt", "RFC 9276 §3.1"),
    Row(
        "algorithm_unsupported",
        _S,
        _M,
        "no DS is usable: insecure although a DS exists",
        "RFC 4035 §5.2",
        (1, 2),
    ),
    Row("algorithm_deprecated", _S, _M, "the zone rests on a deprecated algorithm or digest", "RFC 9904, RFC 9905"),
    Row("key_weak", _S, _L, "an RSA key of the zone is short", "RFC 6781 §3.4.2"),
    Row("algorithm_signing_incomplete", _S, _L, "an announced algorithm signs nothing", "RFC 4035 §2.2"),
    Row("rrsig_expiring", _S, _L, "the signatures run out and were not renewed in time", "RFC 6781 §4.4.2"),
    _later("rrsig_refresh_overdue", _S, _M, "the signer has missed its rhythm", "RFC 6781 §4.4.2"),
    Row("rrsig_ttl_beyond_expiry", _S, _L, "the TTL outlives the signature", "RFC 4035 §5.3.3"),
    _later(
        "rrsig_shorter_than_soa_expire", _S, _I, "a cut-off secondary would serve expired signatures", "RFC 6781 §4.4.2"
    ),
    _later(
        "auth_signature_divergence", _S, _H, "some authoritative servers validate, others do not", "RFC 4035 §5", (6, 7)
    ),
    _later("auth_dnskey_divergence", _S, _M, "the key sets differ between servers", "RFC 8901 §2"),
    _later("auth_ds_divergence", _S, _H, "the parent's servers give different DS sets", "RFC 4035 §2.4"),
    _later("auth_answer_divergence", _S, _L, "the data differ between servers", "RFC 1034 §4.3.5"),
    _later("auth_server_unsigned", _S, _H, "one server strips DNSSEC records", "RFC 4035 §3.2.1", (10,)),
    _later("auth_server_unreachable", _S, _L, "an authoritative server does not answer", "RFC 1035 §4.2", (22, 23)),
    _later("delegation_dangling", _S, _H, "no server of the delegation answers for the zone", "RFC 1034 §4.2.2", (22,)),
    _later("ns_parent_child_mismatch", _S, _L, "parent and child name different servers", "RFC 1034 §4.2.2"),
    _later("cds_pending", _S, _I, "the zone asks for a DS that the parent lacks", "RFC 7344 §5"),
    _later("cds_invalid", _S, _L, "the CDS or CDNSKEY set cannot be followed", "RFC 7344 §4.1"),
    _later("cds_delete_requested", _D, _H, "the zone asks the parent to remove its DS", "RFC 8078 §4"),
    # what the resolver does beside our own validation
    Row("resolver_disagrees", _S, _H, "the resolver says otherwise than our own validation", "RFC 4035 §4.9"),
    Row("resolver_not_validating", _S, _M, "the resolver does not validate for its clients", "RFC 4035 §3.2.3"),
    _later("resolver_nta_suspected", _S, _M, "the resolver answers a name that we hold bogus", "RFC 7646 §2", (33,)),
    Row(
        "vantage_strips_dnssec",
        _S,
        _H,
        "the resolver gives no DNSSEC records even for the anchored zone",
        "RFC 4035 §3.2.1",
        (10,),
    ),
    Row("spoofing_suspected", _S, _H, "replies arrive that match no question of ours", "RFC 5452 §9"),
    Row("endpoint_absent", _S, _M, "a host in the inventory provably DOES NOT EXIST", "RFC 4035 §5.4"),
    Row("answer_unstable", _S, _L, "the answer changes so often that changes are only counted", "poll: interval"),
    _later("vantage_disagreement", _S, _M, "vantages see different verdicts or answers", "RFC 4035 §4.9"),
    # drift
    Row("secure_to_insecure", _D, _C, "what was secure is now validly unsigned", "RFC 4035 §5.2"),
    _later("zone_cut_changed", _D, _H, "a zone cut on the path is new or gone", "RFC 4035 §5.2"),
    Row("ds_changed", _D, _M, "the DS set at the parent changed", "RFC 7583 §3.3"),
    Row("key_rollover", _D, _I, "the zone's keys changed as a rollover does", "RFC 6781 §4.1, RFC 7583"),
    _later("rollover_unsafe", _D, _H, "a key or DS was withdrawn while caches still rely on it", "RFC 7583 §3", (9,)),
    Row(
        "key_change_unexpected",
        _D,
        _C,
        "the secure-entry key and its DS were replaced without overlap",
        "RFC 6781 §4.3",
    ),
    _later("keytag_collision", _S, _M, "two keys share tag and algorithm", "RFC 4034 App. B"),
    Row("algorithm_downgraded", _D, _H, "the strongest usable algorithm or digest became weaker", "RFC 6840 §5.11"),
    _later("ns_set_changed", _D, _H, "the delegation's name servers changed", "RFC 1034 §4.2.2"),
    _later("takeover_pattern", _D, _C, "several changes together look like a takeover", "RFC 4033 §12"),
    Row("answer_changed", _D, _L, "the answer changed", "RFC 4033 §12"),
    _later("environment_mixed", _S, _M, "identities of several environments consume one name", "OWASP NHI8:2025"),
    Row("expectation_missed", _S, _H, "the verdict is not the one that the inventory expects", "inventory: expect"),
    # ourselves
    Row(
        "self_clock_skew", _S, _C, "everything, the anchor included, is outside its time: our clock", "RFC 4034 §3.1.5"
    ),
    _later("self_observation_gap", _S, _H, "an endpoint was not observed for several intervals", "poll: interval"),
    Row(
        "self_inventory_stale", _S, _M, "an inventory source can't be read: its last good rows stay", "inventory: path"
    ),
    Row(
        "self_inventory_shrunk",
        _S,
        _H,
        "an inventory source lost more rows than its bound: the last good rows stay",
        "inventory: max_shrink",
    ),
    Row("self_clock_jumped", _D, _H, "our clock was set forward or back", "poll: interval"),
    Row("self_clocks_differ", _S, _H, "the clocks of our own processes differ", "bus: url"),
    Row("self_disk_full", _S, _C, "the history or the ledger can't be written: the disk is full", "history: url"),
    _later("self_anchor_store_invalid", _S, _C, "the trust anchors can't be read", "trust_anchors: path"),
    Row("self_alert_delivery_failed", _S, _H, "a notification could not be delivered", "receivers: url"),
    Row("self_vantage_lost", _S, _H, "a resolver stopped answering: its names are not watched", "vantages: resolver"),
    # reasons that explain a verdict and are no fault
    Row("unsigned_delegation", _R, _I, "the parent proves that the zone is not signed", "RFC 4035 §5.2"),
    Row("opt_out_span", _R, _I, "an opt-out span may hide an unsigned delegation", "RFC 5155 §9.2"),
    Row("no_trust_anchor", _R, _I, "no trust anchor lies at or above the name", "RFC 4035 §4.3"),
    Row("negative_trust_anchor", _R, _I, "the configuration declares the zone unsigned", "RFC 7646 §2"),
    Row("locally_served", _R, _I, "the resolver answers a private or special-use name by itself", "RFC 6761, RFC 8375"),
    Row("type_never_signed", _R, _I, "signatures themselves are never signed", "RFC 4035 §2.2"),
)

CATALOGUE: dict[str, Row] = {row.code: row for row in ROWS}

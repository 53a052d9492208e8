"""Every code of the catalogue by name, so that a misspelt one can't be written.

Codes are permanent once released. On the wire they are plain text: a newer version may know more of them.
"""

from enum import StrEnum


class Code(StrEnum):
    """What a reason or a finding says; ``schemas.catalogue`` has a row for each."""

    # the bogus and indeterminate families
    VERDICT_BOGUS = "verdict_bogus"
    VERDICT_INDETERMINATE = "verdict_indeterminate"
    RRSIG_EXPIRED = "rrsig_expired"
    RRSIG_NOT_YET_VALID = "rrsig_not_yet_valid"
    RRSIG_WINDOW_INVERTED = "rrsig_window_inverted"
    RRSIG_CRYPTO_INVALID = "rrsig_crypto_invalid"
    RRSIG_PARTIAL_INVALID = "rrsig_partial_invalid"
    RRSIG_MISSING = "rrsig_missing"
    RRSIG_SIGNER_INVALID = "rrsig_signer_invalid"
    DNSKEY_MISSING = "dnskey_missing"
    DNSKEY_NOT_ZONE_KEY = "dnskey_not_zone_key"
    DNSKEY_REVOKED_IN_USE = "dnskey_revoked_in_use"
    DS_DNSKEY_MISMATCH = "ds_dnskey_mismatch"
    DS_ORPHAN = "ds_orphan"
    DENIAL_MISSING = "denial_missing"
    DENIAL_INVALID = "denial_invalid"
    DENIAL_CONTRADICTS_DATA = "denial_contradicts_data"
    WILDCARD_PROOF_INVALID = "wildcard_proof_invalid"
    ALIAS_CHAIN_BROKEN = "alias_chain_broken"
    ALIAS_EXITS_SIGNED_SPACE = "alias_exits_signed_space"
    TRUST_ANCHOR_MISMATCH = "trust_anchor_mismatch"
    TRUST_ANCHOR_OUTDATED = "trust_anchor_outdated"
    VALIDATION_BUDGET_EXCEEDED = "validation_budget_exceeded"
    NSEC3_ITERATIONS_OVER_LIMIT = "nsec3_iterations_over_limit"
    NSEC3_PARAMS_POOR = "nsec3_params_poor"
    ALGORITHM_UNSUPPORTED = "algorithm_unsupported"
    ALGORITHM_DEPRECATED = "algorithm_deprecated"
    KEY_WEAK = "key_weak"
    ALGORITHM_SIGNING_INCOMPLETE = "algorithm_signing_incomplete"
    RRSIG_EXPIRING = "rrsig_expiring"
    RRSIG_REFRESH_OVERDUE = "rrsig_refresh_overdue"
    RRSIG_TTL_BEYOND_EXPIRY = "rrsig_ttl_beyond_expiry"
    RRSIG_SHORTER_THAN_SOA_EXPIRE = "rrsig_shorter_than_soa_expire"
    AUTH_SIGNATURE_DIVERGENCE = "auth_signature_divergence"
    AUTH_DNSKEY_DIVERGENCE = "auth_dnskey_divergence"
    AUTH_DS_DIVERGENCE = "auth_ds_divergence"
    AUTH_ANSWER_DIVERGENCE = "auth_answer_divergence"
    AUTH_SERVER_UNSIGNED = "auth_server_unsigned"
    AUTH_SERVER_UNREACHABLE = "auth_server_unreachable"
    DELEGATION_DANGLING = "delegation_dangling"
    NS_PARENT_CHILD_MISMATCH = "ns_parent_child_mismatch"
    CDS_PENDING = "cds_pending"
    CDS_INVALID = "cds_invalid"
    CDS_DELETE_REQUESTED = "cds_delete_requested"

    # what the resolver does beside our own validation
    RESOLVER_DISAGREES = "resolver_disagrees"
    RESOLVER_NOT_VALIDATING = "resolver_not_validating"
    RESOLVER_NTA_SUSPECTED = "resolver_nta_suspected"
    VANTAGE_STRIPS_DNSSEC = "vantage_strips_dnssec"
    SPOOFING_SUSPECTED = "spoofing_suspected"
    ENDPOINT_ABSENT = "endpoint_absent"
    ANSWER_UNSTABLE = "answer_unstable"
    VANTAGE_DISAGREEMENT = "vantage_disagreement"

    # drift
    SECURE_TO_INSECURE = "secure_to_insecure"
    ZONE_CUT_CHANGED = "zone_cut_changed"
    DS_CHANGED = "ds_changed"
    KEY_ROLLOVER = "key_rollover"
    ROLLOVER_UNSAFE = "rollover_unsafe"
    KEY_CHANGE_UNEXPECTED = "key_change_unexpected"
    KEYTAG_COLLISION = "keytag_collision"
    ALGORITHM_DOWNGRADED = "algorithm_downgraded"
    NS_SET_CHANGED = "ns_set_changed"
    TAKEOVER_PATTERN = "takeover_pattern"
    ANSWER_CHANGED = "answer_changed"
    ENVIRONMENT_MIXED = "environment_mixed"
    EXPECTATION_MISSED = "expectation_missed"

    # what people do
    CHANGE_DECLARED = "change_declared"

    # ourselves
    SELF_CLOCK_SKEW = "self_clock_skew"
    SELF_OBSERVATION_GAP = "self_observation_gap"
    SELF_INVENTORY_STALE = "self_inventory_stale"
    SELF_INVENTORY_SHRUNK = "self_inventory_shrunk"
    SELF_CLOCK_JUMPED = "self_clock_jumped"
    SELF_CLOCKS_DIFFER = "self_clocks_differ"
    SELF_DISK_FULL = "self_disk_full"
    SELF_ANCHOR_STORE_INVALID = "self_anchor_store_invalid"
    SELF_ALERT_DELIVERY_FAILED = "self_alert_delivery_failed"
    SELF_VANTAGE_LOST = "self_vantage_lost"

    # reasons that explain a verdict and are no fault
    UNSIGNED_DELEGATION = "unsigned_delegation"
    OPT_OUT_SPAN = "opt_out_span"
    NO_TRUST_ANCHOR = "no_trust_anchor"
    NEGATIVE_TRUST_ANCHOR = "negative_trust_anchor"
    LOCALLY_SERVED = "locally_served"
    TYPE_NEVER_SIGNED = "type_never_signed"

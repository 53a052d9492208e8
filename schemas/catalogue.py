"""Every fact an operator may see: one row a code, with all that depends on the code as its columns.

A *state* opens and closes; a *drift* is an edge between two observations; a *reason* only explains a verdict and is
never a finding by itself. Codes are permanent once released.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from schemas.codes import Code
from schemas.judgement import Verdict


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
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Kind(StrEnum):
    """What happens to a finding with time."""

    STATE = "state"
    DRIFT = "drift"
    REASON = "reason"


class Scope(StrEnum):
    """What a code is about."""

    ZONE = "zone"
    """A zone; a fault of its data is told by owner name while only few names show it."""
    NAME = "name"
    VANTAGE = "vantage"
    SERVER = "server"
    """One of the servers of a zone."""
    SELF = "self"
    """We ourselves."""


class Confirmation(StrEnum):
    """What confirms a finding, so that it may be told."""

    POLLS = "polls"
    """Several polls that agree."""
    CLAIM = "claim"
    """Several polls in which the resolver said what it tells its clients, for longer than its caches lag behind."""
    ONCE = "once"
    """One look: it follows from what is known already."""
    REPORT = "report"
    """The report of a stage; no poll of a name shows it."""
    SWEEPS = "sweeps"
    """Two of three sweeps of a zone's servers that agree on the server."""
    ALARM = "alarm"
    """As sweeps; one is enough where it was made because polls had just found the zone bogus or dark."""


class Doubt(StrEnum):
    """What else than the zone itself makes a code appear."""

    CLOCK = "clock"
    """A clock of ours that is wrong."""
    POLICY = "policy"
    """Our policy, where the resolver may honestly have another."""
    STRIPPING = "stripping"
    """A resolver that leaves out DNSSEC records."""


class Change(StrEnum):
    """What somebody may declare that will change."""

    KEYS = "keys"
    """The zone's DNSKEY set."""
    DS = "ds"
    """Its DS set at the parent, which goes on to have records."""
    NS = "ns"
    """Its name servers."""
    UNSIGN = "unsign"
    """It gives DNSSEC up: the last DS goes."""
    ANSWERS = "answers"
    """The data of one name, which are declared, too."""


class CatalogueRow(msgspec.Struct, frozen=True):
    """One code of the catalogue: what it says, and how the product treats it.

    ``sentence`` says to a person what is the case; ``source`` is the clause it rests on; ``ede`` are the extended DNS
    error codes (RFC 8914) that say the same, most exact first. A poll with a verdict of ``unknown_when`` is no evidence
    that the finding is over.

    explains_below: as a fault of a zone as a whole it lies in the zone's own chain, and may explain faults below.
    after_end: it comes with the end of a signature, so a clock that is set back makes it look healed.
    normal_at_anchor: it is no remark on the anchored zone, where a rollover of the anchor leaves it behind.
    proves_unsigned: as a reason it is a proof that the zone is not signed.
    umbrella: it says that something is wrong, but not what.
    planned_by: the kinds of change that explain it once all of them are declared; empty where none does. It is then
    reported with ``planned_severity`` if that is lower; so is a pattern once all its parts are explained.
    """

    code: Code
    kind: Kind
    severity: Severity
    sentence: str
    source: str
    ede: tuple[int, ...] = ()
    scope: Scope = Scope.ZONE
    confirmed_by: Confirmation = Confirmation.POLLS
    unknown_when: tuple[Verdict, ...] = (Verdict.INDETERMINATE,)
    doubts: tuple[Doubt, ...] = ()
    explains_below: bool = False
    after_end: bool = False
    normal_at_anchor: bool = False
    proves_unsigned: bool = False
    umbrella: bool = False
    planned_by: frozenset[Change] = frozenset()
    planned_severity: Severity = Severity.LOW


_S, _D, _R = Kind.STATE, Kind.DRIFT, Kind.REASON
_C, _H, _M, _L, _I = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO
_NAME, _VANTAGE, _SELF, _REPORT = Scope.NAME, Scope.VANTAGE, Scope.SELF, Confirmation.REPORT
_CLOCK, _POLICY, _STRIPPING = (Doubt.CLOCK,), (Doubt.POLICY,), (Doubt.STRIPPING,)
_KEYS, _DS, _NS, _UNSIGN = Change.KEYS, Change.DS, Change.NS, Change.UNSIGN
_NO_DATA = (Verdict.INDETERMINATE, Verdict.BOGUS)


def _drift(
    code: Code, severity: Severity, sentence: str, source: str, ede: tuple[int, ...] = (), **columns: Any
) -> CatalogueRow:
    return CatalogueRow(code, _D, severity, sentence, source, ede, confirmed_by=Confirmation.ONCE, **columns)


def _reason(code: Code, sentence: str, source: str, **columns: Any) -> CatalogueRow:
    return CatalogueRow(code, _R, _I, sentence, source, **columns)


def _claim(code: Code, severity: Severity, sentence: str, source: str, ede: tuple[int, ...] = ()) -> CatalogueRow:
    return CatalogueRow(code, _S, severity, sentence, source, ede, scope=_VANTAGE, confirmed_by=Confirmation.CLAIM)


def _of_server(
    code: Code,
    severity: Severity,
    sentence: str,
    source: str,
    ede: tuple[int, ...] = (),
    confirmed_by: Confirmation = Confirmation.SWEEPS,
) -> CatalogueRow:
    return CatalogueRow(code, _S, severity, sentence, source, ede, scope=Scope.SERVER, confirmed_by=confirmed_by)


def _swept(code: Code, severity: Severity, sentence: str, source: str) -> CatalogueRow:
    return CatalogueRow(code, _S, severity, sentence, source, confirmed_by=Confirmation.SWEEPS)


def _ours(code: Code, kind: Kind, severity: Severity, sentence: str, source: str) -> CatalogueRow:
    return CatalogueRow(code, kind, severity, sentence, source, scope=_SELF, confirmed_by=_REPORT)


ROWS: tuple[CatalogueRow, ...] = (
    # the bogus and indeterminate families
    CatalogueRow(
        Code.VERDICT_BOGUS, _S, _C, "an endpoint that should validate does not", "RFC 4033 §5", (6,), umbrella=True
    ),
    CatalogueRow(
        Code.VERDICT_INDETERMINATE,
        _S,
        _M,
        "something the chain needs could not be fetched",
        "RFC 4035 §4.3",
        (22, 23),
        unknown_when=(),
        umbrella=True,
    ),
    CatalogueRow(
        Code.RRSIG_EXPIRED,
        _S,
        _C,
        "every signature is past its expiration",
        "RFC 4035 §5.3.1",
        (7,),
        doubts=_CLOCK,
        after_end=True,
    ),
    CatalogueRow(
        Code.RRSIG_NOT_YET_VALID,
        _S,
        _C,
        "every signature lies before its inception",
        "RFC 4035 §5.3.1",
        (8,),
        doubts=_CLOCK,
    ),
    CatalogueRow(Code.RRSIG_WINDOW_INVERTED, _S, _C, "a signature ends before it begins", "RFC 4034 §3.1.5", (25,)),
    CatalogueRow(
        Code.RRSIG_CRYPTO_INVALID, _S, _C, "no signature verifies with any key of the zone", "RFC 4035 §5.3.3", (6,)
    ),
    CatalogueRow(Code.RRSIG_PARTIAL_INVALID, _S, _M, "some signatures verify and some do not", "RFC 6840 §5.4"),
    CatalogueRow(
        Code.RRSIG_MISSING,
        _S,
        _C,
        "a signed zone answers without a signature",
        "RFC 4035 §3.1.1",
        (10,),
        doubts=_STRIPPING,
    ),
    CatalogueRow(
        Code.RRSIG_SIGNER_INVALID,
        _S,
        _C,
        "the signer is not the zone, or the label count is wrong",
        "RFC 4035 §5.3.1",
        (6,),
    ),
    CatalogueRow(
        Code.DNSKEY_MISSING,
        _S,
        _C,
        "the parent has a DS and the zone has no key for it",
        "RFC 4035 §5.2",
        (9,),
        doubts=_STRIPPING,
        explains_below=True,
    ),
    CatalogueRow(
        Code.DNSKEY_NOT_ZONE_KEY,
        _S,
        _H,
        "the zone has only keys that may not sign it",
        "RFC 4034 §2.1",
        (11,),
        explains_below=True,
    ),
    CatalogueRow(
        Code.DNSKEY_REVOKED_IN_USE,
        _S,
        _H,
        "the DS or a signature rests on a revoked key",
        "RFC 5011 §2.1",
        (9,),
        explains_below=True,
    ),
    CatalogueRow(
        Code.DS_DNSKEY_MISMATCH,
        _S,
        _C,
        "no DS at the parent matches a key that signs the zone's key set",
        "RFC 4035 §5.2",
        (9,),
        explains_below=True,
    ),
    CatalogueRow(
        Code.DS_ORPHAN, _S, _L, "a DS at the parent has no key in the zone", "RFC 6781 §4.1.2", normal_at_anchor=True
    ),
    CatalogueRow(
        Code.DENIAL_MISSING,
        _S,
        _C,
        "a negative or wildcard answer comes without proof",
        "RFC 4035 §5.4",
        (12,),
        doubts=_STRIPPING,
    ),
    CatalogueRow(Code.DENIAL_INVALID, _S, _C, "the proof of absence does not prove it", "RFC 5155 §8", (6, 12)),
    CatalogueRow(
        Code.DENIAL_CONTRADICTS_DATA,
        _S,
        _H,
        "a valid denial denies what another valid answer proves",
        "RFC 4035 §3.1.3",
        scope=_NAME,
        unknown_when=_NO_DATA,
    ),
    CatalogueRow(
        Code.WILDCARD_PROOF_INVALID,
        _S,
        _C,
        "a wildcard was expanded without proof that no closer name exists",
        "RFC 4035 §5.3.4",
        (12,),
    ),
    CatalogueRow(
        Code.ALIAS_CHAIN_BROKEN, _S, _H, "the chain of aliases loops, breaks or contradicts itself", "RFC 6672 §5.3.1"
    ),
    CatalogueRow(
        Code.ALIAS_EXITS_SIGNED_SPACE,
        _S,
        _L,
        "a secure alias leads to a name that is not signed",
        "RFC 4035 §4.3",
        scope=_NAME,
    ),
    CatalogueRow(
        Code.TRUST_ANCHOR_MISMATCH,
        _S,
        _C,
        "the anchored zone's key set is signed by no configured trust anchor",
        "RFC 4035 §5",
        (6,),
        explains_below=True,
    ),
    CatalogueRow(Code.TRUST_ANCHOR_OUTDATED, _S, _H, "the root publishes a key we do not hold", "RFC 5011 §2.4"),
    CatalogueRow(
        Code.VALIDATION_BUDGET_EXCEEDED,
        _S,
        _H,
        "validating would cost more than any honest zone asks for",
        "CVE-2023-50387",
        (6,),
    ),
    CatalogueRow(
        Code.NSEC3_ITERATIONS_OVER_LIMIT,
        _S,
        _M,
        "the NSEC3 iteration count is over the limit: the proof counts as insecure",
        "RFC 9276 §3.2",
        (27,),
        doubts=_POLICY,
    ),
    CatalogueRow(Code.NSEC3_PARAMS_POOR, _S, _I, "NSEC3 with extra iterations or a salt", "RFC 9276 §3.1"),
    CatalogueRow(
        Code.ALGORITHM_UNSUPPORTED,
        _S,
        _M,
        "no DS is usable: insecure although a DS exists",
        "RFC 4035 §5.2",
        (1, 2),
        doubts=_POLICY,
    ),
    CatalogueRow(
        Code.ALGORITHM_DEPRECATED, _S, _M, "the zone rests on a deprecated algorithm or digest", "RFC 9904, RFC 9905"
    ),
    CatalogueRow(Code.KEY_WEAK, _S, _L, "an RSA key of the zone is short", "RFC 6781 §3.4.2"),
    CatalogueRow(
        Code.ALGORITHM_SIGNING_INCOMPLETE,
        _S,
        _L,
        "an announced algorithm signs nothing",
        "RFC 4035 §2.2",
        normal_at_anchor=True,
    ),
    CatalogueRow(
        Code.RRSIG_EXPIRING,
        _S,
        _L,
        "the signatures run out and were not renewed in time",
        "RFC 6781 §4.4.2",
        confirmed_by=Confirmation.ONCE,
        after_end=True,
    ),
    CatalogueRow(
        Code.RRSIG_REFRESH_OVERDUE,
        _S,
        _M,
        "the signer has missed its rhythm",
        "RFC 6781 §4.4.2",
        confirmed_by=Confirmation.ONCE,
        after_end=True,
    ),
    CatalogueRow(Code.RRSIG_TTL_BEYOND_EXPIRY, _S, _L, "the TTL outlives the signature", "RFC 4035 §5.3.3"),
    _swept(
        Code.RRSIG_SHORTER_THAN_SOA_EXPIRE, _I, "a cut-off secondary would serve expired signatures", "RFC 6781 §4.4.2"
    ),
    _of_server(
        Code.AUTH_SIGNATURE_DIVERGENCE,
        _H,
        "some authoritative servers validate, others do not",
        "RFC 4035 §5",
        (6, 7),
        Confirmation.ALARM,
    ),
    _of_server(Code.AUTH_DNSKEY_DIVERGENCE, _M, "the key sets differ between servers", "RFC 8901 §2"),
    _of_server(Code.AUTH_DS_DIVERGENCE, _H, "the parent's servers give different DS sets", "RFC 4035 §2.4"),
    _of_server(Code.AUTH_ANSWER_DIVERGENCE, _L, "the data differ between servers", "RFC 1034 §4.3.5"),
    _of_server(
        Code.AUTH_SERVER_UNSIGNED,
        _H,
        "some authoritative servers leave out DNSSEC records",
        "RFC 4035 §3.2.1",
        (10,),
        Confirmation.ALARM,
    ),
    _of_server(Code.AUTH_SERVER_UNREACHABLE, _L, "an authoritative server does not answer", "RFC 1035 §4.2", (22, 23)),
    _of_server(
        Code.DELEGATION_DANGLING,
        _H,
        "the delegation names servers that do not know the zone, or that do not exist",
        "RFC 1034 §4.2.2",
        (22,),
        Confirmation.ALARM,
    ),
    _swept(Code.NS_PARENT_CHILD_MISMATCH, _L, "parent and child name different servers", "RFC 1034 §4.2.2"),
    _swept(Code.CDS_PENDING, _I, "the zone asks for a DS that the parent lacks", "RFC 7344 §5"),
    _swept(Code.CDS_INVALID, _L, "the CDS or CDNSKEY set cannot be followed", "RFC 7344 §4.1"),
    _drift(
        Code.CDS_DELETE_REQUESTED,
        _H,
        "the zone asks the parent to remove its DS",
        "RFC 8078 §4",
        planned_by=frozenset({_UNSIGN}),
    ),
    # what the resolver does beside our own validation
    _claim(Code.RESOLVER_DISAGREES, _H, "the resolver says otherwise than our own validation", "RFC 4035 §4.9"),
    _claim(Code.RESOLVER_NOT_VALIDATING, _M, "the resolver does not validate for its clients", "RFC 4035 §3.2.3"),
    _claim(Code.RESOLVER_NTA_SUSPECTED, _M, "the resolver seems not to validate below one name", "RFC 7646 §2", (33,)),
    CatalogueRow(
        Code.VANTAGE_STRIPS_DNSSEC,
        _S,
        _H,
        "the resolver gives no DNSSEC records even for the anchored zone",
        "RFC 4035 §3.2.1",
        (10,),
        scope=_VANTAGE,
        unknown_when=(),
    ),
    CatalogueRow(
        Code.SPOOFING_SUSPECTED,
        _S,
        _H,
        "replies arrive that match no question of ours",
        "RFC 5452 §9",
        scope=_VANTAGE,
        confirmed_by=_REPORT,
    ),
    CatalogueRow(
        Code.ENDPOINT_ABSENT,
        _S,
        _M,
        "a host in the inventory provably DOES NOT EXIST",
        "RFC 4035 §5.4",
        scope=_NAME,
        unknown_when=_NO_DATA,
    ),
    CatalogueRow(
        Code.ANSWER_UNSTABLE,
        _S,
        _L,
        "the answer changes so often that changes are only counted",
        "poll: interval",
        scope=_NAME,
    ),
    CatalogueRow(
        Code.VANTAGE_DISAGREEMENT,
        _S,
        _M,
        "vantages see different verdicts or answers",
        "RFC 4035 §4.9",
        scope=_NAME,
        unknown_when=_NO_DATA,
    ),
    # drift
    _drift(
        Code.SECURE_TO_INSECURE,
        _C,
        "what was secure is now validly unsigned",
        "RFC 4035 §5.2",
        planned_by=frozenset({_UNSIGN}),
    ),
    _drift(Code.ZONE_CUT_CHANGED, _H, "a zone cut on the path is new or gone", "RFC 4035 §5.2"),
    _drift(Code.DS_CHANGED, _M, "the DS set at the parent changed", "RFC 7583 §3.3", planned_by=frozenset({_DS})),
    _drift(Code.KEY_ROLLOVER, _I, "the zone's keys changed as a rollover does", "RFC 6781 §4.1, RFC 7583"),
    _drift(Code.ROLLOVER_UNSAFE, _H, "a key or DS was withdrawn while caches still rely on it", "RFC 7583 §3", (9,)),
    _drift(
        Code.KEY_CHANGE_UNEXPECTED,
        _C,
        "the secure-entry keys or the DS changed without overlap, with the delegation, or outside a declared window",
        "RFC 6781 §4.3",
        planned_by=frozenset({_KEYS, _DS}),
    ),
    CatalogueRow(Code.KEYTAG_COLLISION, _S, _M, "two keys share tag and algorithm", "RFC 4034 App. B"),
    _drift(Code.ALGORITHM_DOWNGRADED, _H, "the strongest usable algorithm or digest became weaker", "RFC 6840 §5.11"),
    _drift(
        Code.NS_SET_CHANGED,
        _H,
        "the delegation's name servers changed",
        "RFC 1034 §4.2.2",
        planned_by=frozenset({_NS}),
    ),
    _drift(
        Code.TAKEOVER_PATTERN,
        _C,
        "several changes together look like a takeover",
        "RFC 4033 §12",
        planned_severity=_H,
    ),
    _drift(
        Code.ANSWER_CHANGED,
        _L,
        "the answer changed",
        "RFC 4033 §12",
        scope=_NAME,
        planned_by=frozenset({Change.ANSWERS}),
    ),
    CatalogueRow(
        Code.ENVIRONMENT_MIXED,
        _S,
        _M,
        "identities of several environments consume one name, or production is answered from another one",
        "OWASP NHI8:2025",
        scope=_NAME,
        unknown_when=_NO_DATA,
    ),
    CatalogueRow(
        Code.EXPECTATION_MISSED,
        _S,
        _H,
        "the verdict is not the one that the inventory expects",
        "inventory: expect",
        unknown_when=_NO_DATA,
        umbrella=True,
    ),
    # what people do
    _drift(Code.CHANGE_DECLARED, _L, "a change was declared: what it explains is reported as low", "changes:"),
    # ourselves
    CatalogueRow(
        Code.SELF_CLOCK_SKEW,
        _S,
        _C,
        "everything, the anchor included, is outside its time: our clock",
        "RFC 4034 §3.1.5",
        scope=_SELF,
        explains_below=True,
    ),
    _ours(
        Code.SELF_OBSERVATION_GAP,
        _S,
        _H,
        "endpoints were not observed for several intervals, while others were",
        "poll: interval",
    ),
    _ours(
        Code.SELF_INVENTORY_STALE,
        _S,
        _M,
        "an inventory source can't be read: its last good rows stay",
        "inventory: path",
    ),
    _ours(
        Code.SELF_INVENTORY_SHRUNK,
        _S,
        _H,
        "an inventory source lost more rows than its bound: the last good rows stay",
        "inventory: max_shrink",
    ),
    _ours(Code.SELF_CLOCK_JUMPED, _D, _H, "our clock was set forward or back", "poll: interval"),
    _ours(Code.SELF_CLOCKS_DIFFER, _S, _H, "the clocks of our own processes differ", "bus: url"),
    _ours(Code.SELF_DISK_FULL, _S, _C, "the history or the ledger can't be written: the disk is full", "history: url"),
    _ours(Code.SELF_ANCHOR_STORE_INVALID, _S, _C, "the trust anchors can't be read", "trust_anchors: path"),
    _ours(
        Code.SELF_CONFIGURATION_INVALID,
        _S,
        _M,
        "the configuration that was read again can't be used: the one before stays",
        "anchorwatch run --check-config",
    ),
    _ours(Code.SELF_ALERT_DELIVERY_FAILED, _S, _H, "a notification could not be delivered", "receivers: url"),
    _ours(
        Code.SELF_VANTAGE_LOST, _S, _H, "a resolver stopped answering: its names are not watched", "vantages: resolver"
    ),
    _ours(
        Code.SELF_TEST_PAGE,
        _S,
        _C,
        "this is a TEST of the way to whoever is on call: nothing has happened",
        "alerts: test_page",
    ),
    # reasons that explain a verdict and are no fault
    _reason(
        Code.UNSIGNED_DELEGATION, "the parent proves that the zone is not signed", "RFC 4035 §5.2", proves_unsigned=True
    ),
    _reason(
        Code.OPT_OUT_SPAN, "an opt-out span may hide an unsigned delegation", "RFC 5155 §9.2", proves_unsigned=True
    ),
    _reason(Code.NO_TRUST_ANCHOR, "no trust anchor lies at or above the name", "RFC 4035 §4.3"),
    _reason(Code.NEGATIVE_TRUST_ANCHOR, "the configuration declares the zone unsigned", "RFC 7646 §2", doubts=_POLICY),
    _reason(Code.LOCALLY_SERVED, "the resolver answers a private or special-use name by itself", "RFC 6761, RFC 8375"),
    _reason(Code.TYPE_NEVER_SIGNED, "signatures themselves are never signed", "RFC 4035 §2.2"),
)

CATALOGUE: dict[Code, CatalogueRow] = {row.code: row for row in ROWS}
_ROW_BY_TEXT: dict[str, CatalogueRow] = {str(code): row for code, row in CATALOGUE.items()}


def codes_where(holds: Callable[[CatalogueRow], bool]) -> frozenset[Code]:
    """Return the codes whose row has some property."""
    return frozenset(row.code for row in ROWS if holds(row))


def find_row(code: str) -> CatalogueRow | None:
    """Return the row of a code that came in a message, None where only another version knows it."""
    return _ROW_BY_TEXT.get(code)


def sentence_of(code: str) -> str:
    """Return what is the case, for a person; a code that only another version knows is said to be one."""
    row = find_row(code)
    return row.sentence if row is not None else "something that only a newer version can name"


def source_of(code: str) -> str:
    """Return the clause that a code rests on; empty where only another version knows it."""
    row = find_row(code)
    return row.source if row is not None else ""

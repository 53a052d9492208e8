"""The reason of a verdict as a code and particulars; ``wording`` makes the sentence."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from collector.dnssec import names, records
from collector.dnssec.names import Name
from collector.dnssec.proof import Proof
from collector.dnssec.questions import FetchFailure
from schemas.codes import Code


class Case(Enum):
    """The exact fault: a code may stand for several, and each has a sentence of its own."""

    # one RRset and its signatures
    UNSIGNED = auto()
    EXPIRED = auto()
    NOT_YET_VALID = auto()
    WINDOW_INVERTED = auto()
    NOT_VERIFIED = auto()
    REVOKED_KEY = auto()
    NO_ZONE_KEY = auto()
    KEY_SIZE = auto()
    NO_SUCH_KEY = auto()
    OTHER_SIGNER = auto()
    OUTSIDE_ZONE = auto()
    LABEL_COUNT = auto()
    UNSUPPORTED_SIGNATURES = auto()
    SHARED_TAG = auto()
    GIVEN_UP = auto()
    FROM_WILDCARD = auto()
    SIGNED_ABOVE_CUT = auto()
    SOME_NOT_VERIFIED = auto()
    SOME_WITHOUT_KEY = auto()
    TTL_BEYOND_END = auto()
    NEVER_SIGNED = auto()
    # from a DS set to keys
    SHARED_DS_TAG = auto()
    OTHER_DIGEST = auto()
    NO_KEY_OF_DS = auto()
    DS_OF_REVOKED_KEY = auto()
    DS_OF_NO_ZONE_KEY = auto()
    DS_OF_KEY_SIZE = auto()
    DS_OF_KEY_SIZE_AND_MISSING = auto()
    SIGNED_BY_OTHERS = auto()
    UNSUPPORTED_ALGORITHMS = auto()
    UNSUPPORTED_DIGESTS = auto()
    MANY_DS = auto()
    NO_DNSKEY = auto()
    SHORT_KEYS = auto()
    DEPRECATED_ALGORITHM = auto()
    DEPRECATED_DIGEST = auto()
    ORPHANED_DS = auto()
    SILENT_ALGORITHM = auto()
    # the anchored zone, and the vantage
    UNSUPPORTED_ANCHORS = auto()
    NOT_ANCHORED = auto()
    KEYS_NOT_HELD = auto()
    ANCHOR_WITHOUT_KEYS = auto()
    ANCHOR_STRIPPED = auto()
    NO_ANCHOR = auto()
    DECLARED_UNSIGNED = auto()
    UNSIGNED_KEY_SET = auto()
    NO_EDNS = auto()
    NO_KEYS_SERVED = auto()
    UNSIGNED_CONTROLS = auto()
    UNSIGNED_AT_TIMES = auto()
    DO_NOT_SERVED = auto()
    # absence
    NO_DENIAL = auto()
    NOT_PROVEN = auto()
    HASHES_SPENT = auto()
    MIXED_PARAMETERS = auto()
    POOR_PARAMETERS = auto()
    MALFORMED_DENIAL = auto()
    MANY_ITERATIONS = auto()
    FOREIGN_SOA = auto()
    NO_DS = auto()
    NO_DS_BY_OPT_OUT = auto()
    IN_OPT_OUT_SPAN = auto()
    WILDCARD_NOT_CLOSEST = auto()
    ABSENT_AND_SERVED = auto()
    UNSIGNED_AND_SERVED = auto()
    # aliases
    ALIAS_LOOP = auto()
    ALIASES_TOO_MANY = auto()
    SEVERAL_ALIASES = auto()
    ALIAS_TOO_LONG = auto()
    OTHER_SYNTHESIS = auto()
    ALIAS_TO_UNSIGNED = auto()
    # fetching
    NOT_FETCHED = auto()


class RRsetName(NamedTuple):
    """Owner and type of an RRset."""

    owner: Name
    rdtype: int

    def to_text(self) -> str:
        """Return it as messages have it: ``www.zone.test. A``."""
        return f"{names.to_text(self.owner)} {records.type_to_text(self.rdtype)}"


class KeyId(NamedTuple):
    """A key as a signature or a DS names it; ``bits`` is the modulus length of an RSA key, where it matters."""

    tag: int
    algorithm: int
    bits: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason of a verdict, or a remark: the code, the zone that it is about, and the particulars.

    ``blamed`` is the RRset at fault, None where it is the zone as a whole. Which particulars there are depends on the
    case; ``wording.SENTENCES`` names them. ``name`` is a name besides the zone, ``other`` a second one. ``rrset`` is
    what the sentence is about. ``numbers`` are algorithms, digest types, key tags or bits. ``inception`` and
    ``expiration`` are POSIX seconds. ``least`` and ``limit`` bound what is allowed. ``proofs`` are those that failed.
    ``because`` is the fault behind this one. ``ede`` is the extended DNS error (RFC 8914), None for that of the code.
    ``lag_s`` is for how long caches may show it though nothing is wrong.
    """

    code: Code
    case: Case
    zone: Name
    blamed: RRsetName | None = None
    name: Name | None = None
    other: Name | None = None
    rrset: RRsetName | None = None
    keys: tuple[KeyId, ...] = ()
    numbers: tuple[int, ...] = ()
    inception: int | None = None
    expiration: int | None = None
    ttl_s: int | None = None
    count: int | None = None
    least: int | None = None
    limit: int | None = None
    salt_bytes: int | None = None
    rcode: int | None = None
    proofs: tuple[Proof, ...] = ()
    failure: FetchFailure | None = None
    because: "Fault | None" = None
    ede: int | None = None
    lag_s: int = 0


NO_REACHABLE_AUTHORITY, NETWORK_ERROR = 22, 23


def not_fetched(zone: Name, asked: RRsetName, failure: FetchFailure) -> Fault:
    """Return the fault of a question that got no answer; ``zone`` is the deepest known zone above it."""
    if failure.kind == "budget":
        return Fault(Code.VALIDATION_BUDGET_EXCEEDED, Case.NOT_FETCHED, zone, rrset=asked, failure=failure)
    ede = ede_of(failure)
    return Fault(Code.VERDICT_INDETERMINATE, Case.NOT_FETCHED, zone, rrset=asked, failure=failure, ede=ede)


def ede_of(failure: FetchFailure) -> int:
    """Return the extended DNS error of a question that got no answer: the resolver's own, if it sent one.

    22: the resolver was heard and could not answer, or it answers other questions and is silent about this one. 23:
    the way to the resolver failed, or what it sends is no DNS. Source: RFC 8914 §4.23, §4.24.
    """
    if failure.ede:
        return failure.ede[0][0]
    is_heard = failure.kind == "rcode" or failure.walk or failure.servers_of is not None
    return NO_REACHABLE_AUTHORITY if is_heard else NETWORK_ERROR

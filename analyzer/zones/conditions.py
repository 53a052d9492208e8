"""What is wrong with one zone now, whatever lies below it."""

from analyzer.detected import Condition
from schemas.catalogue import Kind, Severity, find_row
from schemas.cause import INFRASTRUCTURE
from schemas.codes import Code
from schemas.judgement import Reason, Verdict
from schemas.messages import ZoneObservation

TIMES = frozenset({Code.RRSIG_EXPIRED, Code.RRSIG_NOT_YET_VALID})
WEAK_BITS = 1024


def is_zones_own(message: ZoneObservation, reason: Reason) -> bool:
    """Return whether a reason hangs on the zone itself and not on each name below it.

    Whether times at the anchored zone are its fault or that of our own clock only a resolver's claim can say, and that
    comes with the names. A resolver that strips DNSSEC records is no fault of a zone either.
    """
    at_anchor = not message.parent and reason.code in TIMES
    return not at_anchor and reason.code != Code.VANTAGE_STRIPS_DNSSEC


def zone_conditions(message: ZoneObservation) -> tuple[Condition, ...]:
    """Return the conditions that a zone shows, each key once, the decisive one first."""
    found: dict[tuple[str, str, str], Condition] = {}
    for reason in (*message.reasons, *message.remarks):
        row = find_row(reason.code)
        if row is None or row.kind is not Kind.STATE or not is_zones_own(message, reason):
            continue
        severity = row.severity
        if reason.code == Code.KEY_WEAK and any(
            key.bits is not None and key.bits < WEAK_BITS for key in message.link.keys
        ):
            severity = Severity.MEDIUM
        named = reason.rrset if reason.rrset.endswith(INFRASTRUCTURE) else ""
        if not named and message.link.verdict is Verdict.BOGUS and reason in message.reasons:
            named = reason.rrset.partition(" ")[0]
        condition = Condition(reason.code, reason.zone, named, severity, reason.detail, message.vantage)
        found.setdefault(condition.key, condition)
    return tuple(found.values())

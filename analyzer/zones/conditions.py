"""What is wrong with one zone now, whatever lies below it."""

from collections import Counter
from collections.abc import Collection, Iterable

from analyzer.detected import Condition
from schemas.catalogue import CATALOGUE, Doubt, Kind, Severity, codes_where, find_row
from schemas.cause import INFRASTRUCTURE
from schemas.codes import Code
from schemas.judgement import Reason, Verdict, ZoneKey
from schemas.messages import ZoneObservation

TIMES = codes_where(lambda row: Doubt.CLOCK in row.doubts)
WEAK_BITS = 1024


def is_zones_own(message: ZoneObservation, reason: Reason) -> bool:
    """Return whether a reason hangs on the zone itself and not on each name below it.

    Whether times at the anchored zone are its fault or that of our own clock only a resolver's claim can say, and that
    comes with the names. A resolver that strips DNSSEC records is no fault of a zone either.
    """
    at_anchor = not message.parent and reason.code in TIMES
    return not at_anchor and reason.code != Code.VANTAGE_STRIPS_DNSSEC


def has_weak_key(keys: Iterable[ZoneKey]) -> bool:
    """Return whether a key is so short that it can be broken (RSA below 1,024 bits)."""
    return any(key.bits is not None and key.bits < WEAK_BITS for key in keys)


def zone_conditions(message: ZoneObservation) -> tuple[Condition, ...]:
    """Return the conditions that a zone shows, each key once, the decisive one first."""
    found: dict[tuple[str, str, str], Condition] = {}
    for reason in (*message.reasons, *message.remarks):
        row = find_row(reason.code)
        if row is None or row.kind is not Kind.STATE or not is_zones_own(message, reason):
            continue
        is_weak = reason.code == Code.KEY_WEAK and has_weak_key(message.link.keys)
        severity = Severity.MEDIUM if is_weak else row.severity
        named = reason.rrset if reason.rrset.endswith(INFRASTRUCTURE) else ""
        if not named and message.link.verdict is Verdict.BOGUS and reason in message.reasons:
            named = reason.rrset.partition(" ")[0]
        condition = Condition(reason.code, reason.zone, named, severity, reason.detail, message.vantage)
        found.setdefault(condition.key, condition)
    return tuple(found.values())


def key_tag_conditions(message: ZoneObservation, reused: Collection[tuple[int, int]]) -> tuple[Condition, ...]:
    """Return the condition that keys can't be told apart by tag: two in the set, or one and a key that it replaced.

    ``reused`` are the tags (with algorithm) that another key of the zone had lately. Source: RFC 4034 App. B.
    """
    counts = Counter((key.tag, key.algorithm) for key in message.link.keys)
    shared = sorted(one for one, count in counts.items() if count > 1)
    if not shared and not reused:
        return ()
    which = ", ".join(f"{tag} (algorithm {algorithm})" for tag, algorithm in shared or sorted(reused))
    detail = f"{message.zone}: two keys have the tag {which}"
    if not shared:
        detail = f"{message.zone}: the tag {which} belonged to another key before, whose signatures may be cached"
    row = CATALOGUE[Code.KEYTAG_COLLISION]
    return (Condition(row.code, message.zone, "", row.severity, detail, message.vantage),)

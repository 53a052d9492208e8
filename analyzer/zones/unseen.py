"""What is known of a zone across a time in which nobody looked: pure.

A collector that starts anew does not know what caches may still hold of before; what is stored does. And what changed
while a zone was not seen for longer than a safe rollover takes is no proof of an unsafe one.

Source: RFC 7583 §3 (the waits of a rollover), RFC 5011 §2.4.1 (of an anchored zone).
"""

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from analyzer.detected import Drift
from analyzer.wording import in_days, to_minute
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import ZoneObservation

HOLD_DOWN = timedelta(days=30)
"""For so long a new key of an anchored zone must be seen before it may be trusted. Source: RFC 5011 §2.4.1."""
PUBLISHING_TAKES = timedelta(days=1)
"""For a change to have reached all servers of a zone, or of its parent: granted at most. Source: RFC 7583 §3.1."""
TOLD_AGAIN_WITHIN = timedelta(days=1)
"""A zone that stays the same is told again by then, so it may have been seen for so long after it was told last."""
USUAL_TTL = timedelta(days=1)
"""Of a set whose TTL is not known."""
OF_ROLLOVERS = frozenset({Code.KEY_CHANGE_UNEXPECTED, Code.DS_CHANGED})


def with_earlier_sets(message: ZoneObservation, before: ZoneObservation, seen_at: datetime) -> ZoneObservation:
    """Return an observation that says until when caches may keep what it replaces, where its collector does not know.

    ``before`` is what was known of the zone at the same vantage, ``seen_at`` when a poll last showed that.
    """
    return msgspec.structs.replace(
        message,
        earlier_keys_until=message.earlier_keys_until
        or _kept_until(before, seen_at, before.keys_until, before.key_ttl_s),
        earlier_ds_until=message.earlier_ds_until or _kept_until(before, seen_at, before.ds_until, before.ds_ttl_s),
    )


def _kept_until(before: ZoneObservation, seen_at: datetime, until: datetime | None, ttl_s: int) -> datetime | None:
    """Return until when caches may keep a set; a vantage that has a cache itself shows old copies: no TTL from then."""
    ttl = timedelta(seconds=ttl_s)
    if not ttl:
        return until
    told = until or before.observed_at + ttl
    return max(told, seen_at + ttl) if before.from_servers else told


def shortest_rollover(before: ZoneObservation) -> timedelta:
    """Return what it takes at least to replace all keys and the DS set of a zone safely, since it was told last.

    The TTLs are those of before: whoever takes a zone over chooses those of afterwards.
    """
    keys = timedelta(seconds=before.key_ttl_s) or USUAL_TTL
    others = [timedelta(seconds=before.ds_ttl_s) or USUAL_TTL] if before.parent else [HOLD_DOWN]
    others += [one.cached_until - before.observed_at for one in before.signings]
    return keys + max(others) + 2 * PUBLISHING_TAKES + TOLD_AGAIN_WITHIN


def as_unseen(drift: Drift, before: ZoneObservation, message: ZoneObservation, seen_at: datetime) -> Drift:
    """Return a change as it is to be told where a safe rollover fits into the time in which the zone was not seen.

    Only of a zone that is secure at both ends: what is lost is lost, however it came.
    """
    needs = shortest_rollover(before)
    is_secure = before.link.verdict is Verdict.SECURE and message.link.verdict is Verdict.SECURE
    is_long = message.observed_at - seen_at > needs
    if drift.code not in OF_ROLLOVERS or not drift.after or not is_secure or not is_long:
        return drift
    said = (
        f"the zone was not seen from {to_minute(seen_at)} to {to_minute(message.observed_at)}; a safe rollover takes"
        f" {in_days(needs)} at least and fits into that, so whether this was one is not known;"
        f" the chain of trust is intact now; compare the keys with what the owner of {message.zone} says"
    )
    severity = min(drift.severity, Severity.MEDIUM, key=lambda one: one.rank)
    return replace(drift, severity=severity, detail=f"{drift.detail}; {said}")

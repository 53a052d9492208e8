"""When two observations of a zone say the same, and when a renewed signature is worth an observation."""

from datetime import datetime, timedelta

from schemas.judgement import ChainLink, Verdict
from schemas.messages import DenialSpan, SignatureWindow, ZoneObservation
from schemas.wire import digest_of

RENEWED_BY = 0.1
"""A signature whose end moved by this share of its lifetime is news ..."""
RENEWED_LATE_BY, LATE = 0.05, 0.4
"""... or by this share, where less than that share of what was told last is left."""


def content_of(message: ZoneObservation) -> str:
    """Return a digest of all that makes a zone another one: no times, no prose.

    Of the ways in which data are signed those count whose keys are in the key set: data by a key that has left it
    come no more.
    """
    link = message.link
    parts: list[str] = [link.zone, link.verdict, message.parent]
    parts += link.ds
    parts += (f"{key.digest}/{key.flags}/{key.algorithm}" for key in link.keys)
    for reason in (*message.reasons, *message.remarks):
        parts += (reason.code, reason.zone, reason.rrset)
    parts += (f"{signing.keys}" for signing in message.signings if is_current(signing.keys, link))
    ways = message.denials or ((message.denial,) if message.denial is not None else ())
    parts += sorted(f"{way}" for way in ways)
    parts += message.turned
    return digest_of(*parts)


def overlap(span: DenialSpan, other: DenialSpan) -> bool:
    """Return whether two spans are of one chain and have hashes in common; the last span of a chain wraps around."""
    if (span.iterations, span.salt) != (other.iterations, other.salt):
        return False
    return _lies_in(span.first, other) or _lies_in(other.first, span)


def _lies_in(digest: str, span: DenialSpan) -> bool:
    if span.first < span.next:
        return span.first <= digest < span.next
    return digest >= span.first or digest < span.next


def is_current(signers: tuple[tuple[int, int], ...], link: ChainLink) -> bool:
    """Return whether data may still be signed so: by keys of the zone's key set, or by none where it is not secure."""
    if not signers:
        return link.verdict is not Verdict.SECURE
    return set(signers) <= {(key.tag, key.algorithm) for key in link.keys}


def is_renewed(told: tuple[SignatureWindow, ...], windows: tuple[SignatureWindow, ...], now: datetime) -> bool:
    """Return whether some signature's end moved so far that it must be told; zones signed on the fly move it always."""
    before = {window.rrset: window for window in told}
    if before.keys() != {window.rrset for window in windows}:
        return True
    return any(_has_moved(before[window.rrset], window, now) for window in windows)


def _has_moved(told: SignatureWindow, window: SignatureWindow, now: datetime) -> bool:
    moved = abs(window.expires_at - told.expires_at)
    lifetime = max(window.expires_at - window.inception_at, timedelta(seconds=1))
    if moved >= RENEWED_BY * lifetime:
        return True
    return moved >= RENEWED_LATE_BY * lifetime and told.expires_at - now < LATE * lifetime

"""What changed between two validated sights of one zone: its DS set and its protection.

``before`` is always the last one whose verdict was secure or insecure: a bogus spell in between is a finding of its own
and never a baseline.
"""

from collections.abc import Iterable

from analyzer.detected import Drift, drift_of
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import VALIDATED, ChainLink, Verdict
from schemas.messages import DenialParameters, ZoneObservation
from schemas.zone import overlap

# Bits of security of each algorithm and digest, the deprecated ones at what is left of them. Source: NIST SP 800-57
# part 1 table 2, RFC 8624 §3.1, RFC 9905.
ALGORITHM_STRENGTH = {5: 60, 7: 60, 8: 112, 10: 112, 13: 128, 14: 192, 15: 128, 16: 224}
DIGEST_STRENGTH = {1: 60, 2: 128, 4: 192}


def detect_zone_drift(before: ZoneObservation, after: ZoneObservation, *, ds_step: bool = False) -> list[Drift]:
    """Return what changed of a zone, most severe first; with ``ds_step`` its DS set changed as a rollover does.

    A DS set is signed by the zone above: it has changed though what it points at may be bogus.
    """
    earlier, link = before.link, after.link
    if earlier.verdict not in VALIDATED:
        return []
    found: list[Drift] = []
    if after.parent and not ds_step and (link.verdict in VALIDATED or link.ds):
        found += _ds_changes(earlier, link)
    if link.verdict in VALIDATED:
        found += _became_insecure(earlier, after)
    if earlier.verdict is Verdict.SECURE and link.verdict is Verdict.SECURE:
        found += [*_weaker(earlier, link), *_opted_out(before, after)]
    return sorted(found, key=lambda drift: -drift.severity.rank)


def _became_insecure(earlier: ChainLink, after: ZoneObservation) -> Iterable[Drift]:
    if earlier.verdict is not Verdict.SECURE or after.link.verdict is not Verdict.INSECURE:
        return
    why = after.reasons[0] if after.reasons else None
    if why is not None and why.code == Code.NEGATIVE_TRUST_ANCHOR:
        return
    detail = f"{after.zone} was secure and is now insecure: {why.detail if why else ''}"
    yield drift_of(Code.SECURE_TO_INSECURE, after.zone, detail, "secure", "insecure")


def _ds_changes(earlier: ChainLink, link: ChainLink) -> Iterable[Drift]:
    if earlier.verdict is Verdict.SECURE:
        if earlier.ds != link.ds:
            yield _ds_change(earlier, link)
    elif link.verdict is not Verdict.INSECURE and earlier.ds != link.ds:
        yield _ds_change(earlier, link)


def _ds_change(earlier: ChainLink, link: ChainLink) -> Drift:
    gone, new = set(earlier.ds) - set(link.ds), set(link.ds) - set(earlier.ds)
    tags_gone, tags_new = (", ".join(sorted(ds.split()[0] for ds in side)) for side in (gone, new))
    if not link.ds:
        what, severity = f"the DS set was removed ({tags_gone})", Severity.HIGH
    elif not earlier.ds:
        what, severity = f"a DS set was added ({tags_new})", Severity.MEDIUM
    elif not set(earlier.ds) & set(link.ds):
        what, severity = f"the DS set was replaced without overlap: {tags_gone} by {tags_new}", Severity.HIGH
    elif gone and new:
        what, severity = f"DS {tags_gone} went and {tags_new} came", Severity.MEDIUM
    else:
        what, severity = (f"DS {tags_new} came" if new else f"DS {tags_gone} went"), Severity.MEDIUM
    return drift_of(
        Code.DS_CHANGED, link.zone, f"{link.zone}: {what}", "; ".join(earlier.ds), "; ".join(link.ds), severity
    )


def _weaker(earlier: ChainLink, link: ChainLink) -> Iterable[Drift]:
    """Report that the strongest algorithm or digest of a zone's DS set became weaker."""
    for what, column, strength in (("algorithm", 1, ALGORITHM_STRENGTH), ("digest", 2, DIGEST_STRENGTH)):
        old = max(((strength.get(int(ds.split()[column]), 0), ds.split()[column]) for ds in earlier.ds), default=None)
        new = max(((strength.get(int(ds.split()[column]), 0), ds.split()[column]) for ds in link.ds), default=None)
        if old and new and new[0] < old[0]:
            detail = f"{link.zone}: the strongest {what} of the DS set went from {old[1]} to {new[1]}"
            yield drift_of(Code.ALGORITHM_DOWNGRADED, link.zone, detail, f"{what} {old[1]}", f"{what} {new[1]}")


def _opted_out(before: ZoneObservation, after: ZoneObservation) -> Iterable[Drift]:
    """Report that spans of a zone's denial may hide unsigned delegations now, and did not. Source: RFC 5155 §6.

    Opt-out is a flag of each span, and servers may have chains of their own: a span that was never seen says nothing of
    what was turned on, unless it is of a chain that is new to a zone where no opt-out was known.
    """
    if _ways(before) and (_is_turned(before, after) or _has_new_chain(before, after)):
        detail = f"{after.zone}: opt-out was turned on: unsigned delegations can be added without a signature"
        yield drift_of(Code.ALGORITHM_DOWNGRADED, after.zone, detail, "without opt-out", "opt-out")


def _ways(message: ZoneObservation) -> tuple[DenialParameters, ...]:
    return message.denials or ((message.denial,) if message.denial is not None else ())


def _is_turned(before: ZoneObservation, after: ZoneObservation) -> bool:
    """Return whether a span that had no opt-out has it, be it since before the collector was started."""
    if set(after.turned) - set(before.turned):
        return True
    plain = [span for span in before.spans if not span.opt_out]
    opted = [span for span in after.spans if span.opt_out]
    is_known = any(way.opt_out for way in _ways(before))
    return not is_known and any(overlap(span, one) for span in opted for one in plain)


def _has_new_chain(before: ZoneObservation, after: ZoneObservation) -> bool:
    if any(way.opt_out for way in _ways(before)) or not any(way.opt_out for way in _ways(after)):
        return False
    if not after.spans:  # of an early collector, which told no spans
        return True
    known = {(span.iterations, span.salt) for span in before.spans}
    was_told = bool(before.spans) or not any(way.nsec3 for way in _ways(before))
    return was_told and any(span.opt_out and (span.iterations, span.salt) not in known for span in after.spans)

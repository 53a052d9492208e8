"""What changed between two validated judgements of one endpoint.

``before`` is always the last one whose verdict was secure or insecure, strictly before ``after``: a bogus spell in
between is a finding of its own and never a baseline.
"""

from collections.abc import Collection, Iterable, Sequence

from analyzer.detected import Drift, drift_of
from analyzer.endpoints.answers import Change, grade_change, outside
from analyzer.endpoints.baseline import NOTHING_LEARNT, Baseline
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import VALIDATED, Judgement, Verdict


def detect_drift(
    before: Judgement,
    after: Judgement,
    *,
    allowed: Sequence[Collection[str]] = (),
    undeclared: bool = True,
    baseline: Baseline = NOTHING_LEARNT,
) -> list[Drift]:
    """Return what changed, most severe first.

    ``allowed`` is what the inventory permits (as ``Endpoint.answers``), a set for each row that permits some, and
    ``undeclared`` says that some row has none; ``baseline`` is what was learnt of the endpoint before.
    """
    if before.verdict not in VALIDATED or after.verdict not in VALIDATED:
        return []
    change = Change(before, after, allowed, undeclared, baseline)
    found = [*_became_insecure(before, after), *_cut_changes(before, after), *_answer_changes(change)]
    return sorted(found, key=lambda drift: -drift.severity.rank)


def detect_forbidden(first: Judgement, allowed: Sequence[Collection[str]]) -> list[Drift]:
    """Return that the first validated answer of an endpoint is none that the inventory allows.

    What the inventory says stands for the answer before.
    """
    forbidden = outside(first, allowed) if first.verdict in VALIDATED else set()
    if not forbidden:
        return []
    rrset, said = f"{first.name} {first.type}", ", ".join(sorted(forbidden))
    declared = ", ".join(sorted({entry for entries in allowed for entry in entries})[:8])
    zone = first.links[-1].zone if first.links and first.links[-1].zone else first.name
    detail = f"{rrset} is {said} at first sight, outside the set that the inventory allows: {declared}"
    return [drift_of(Code.ANSWER_CHANGED, zone, detail, declared, said, Severity.HIGH, rrset)]


def _is_at_or_below(name: str, ancestor: str) -> bool:
    return ancestor == "." or name == ancestor or name.endswith("." + ancestor)


def _became_insecure(before: Judgement, after: Judgement) -> Iterable[Drift]:
    """Report that signed space shrank although no zone of it changed: an unsigned cut is new, at the name or above.

    A zone that lost its protection is the timeline's to report, and an alias that now leads to another, unsigned, place
    is not that.
    """
    if before.verdict is not Verdict.SECURE or after.verdict is not Verdict.INSECURE:
        return
    if after.reasons and after.reasons[0].code == Code.NEGATIVE_TRUST_ANCHOR:
        return
    zone = after.cause_zone
    was_signed = [link.zone for link in before.chain if link.verdict is Verdict.SECURE]
    is_on_path = any(_is_at_or_below(name, zone) for name in (after.name, *was_signed))
    if zone not in was_signed and is_on_path:
        why = after.reasons[0].detail if after.reasons else ""
        detail = f"{zone} was secure and is now insecure: {why}"
        yield drift_of(Code.SECURE_TO_INSECURE, zone, detail, "secure", "insecure")


def _cut_changes(before: Judgement, after: Judgement) -> Iterable[Drift]:
    """Report zones that are new on the way to the name itself, or gone from it. Source: RFC 4035 §5.2.

    Below a zone that is not signed nothing is known of cuts.
    """
    old, new = _path(before), _path(after)
    for here, there, was, now in ((new, old, "no cut", "a cut"), (old, new, "a cut", "no cut")):
        for zone in here:
            if zone not in there and _reaches_below(there, zone):
                detail = f"on the way to {after.name} there was {was} at {zone}, and now there is {now}"
                yield drift_of(Code.ZONE_CUT_CHANGED, zone, detail, was, now)


def _path(judgement: Judgement) -> dict[str, Verdict]:
    """Return the zones at the name and above it, root first, down to the first that is not signed."""
    path: dict[str, Verdict] = {}
    for link in judgement.chain:
        if _is_at_or_below(judgement.name, link.zone):
            path[link.zone] = link.verdict
            if link.verdict is not Verdict.SECURE:
                break
    return path


def _reaches_below(path: dict[str, Verdict], zone: str) -> bool:
    """Return whether a path would show a cut at a zone: it is signed to its end, or ends below that zone."""
    if not path:
        return False
    last = next(reversed(path))
    return path[last] is Verdict.SECURE or (last != zone and _is_at_or_below(last, zone))


def _answer_changes(change: Change) -> Iterable[Drift]:
    """Report answers that left their set: never their order, never one address of many."""
    grade = grade_change(change)
    if grade is None:
        return
    before, after = change.before, change.after
    old, new = ", ".join(sorted(change.old)), ", ".join(sorted(change.new))
    rrset = f"{after.name} {after.type}"
    detail = f"{rrset} changed: {old or _absence_of(before)} became {new}, {grade.why}"
    yield drift_of(Code.ANSWER_CHANGED, _zone_that_changed(before, after), detail, old, new, grade.severity, rrset)


def _absence_of(judgement: Judgement) -> str:
    return "no such name" if judgement.rcode == "NXDOMAIN" else "no data"


def _zone_that_changed(before: Judgement, after: Judgement) -> str:
    """Return the zone of the first link that leads elsewhere now, else that of the data."""
    for old, new in zip(before.links, after.links, strict=False):
        if (old.name, old.type, old.target) != (new.name, new.type, new.target) and new.zone:
            return new.zone
    return after.links[-1].zone if after.links and after.links[-1].zone else after.name

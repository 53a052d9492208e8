"""What changed between two validated judgements of one endpoint.

``before`` is always the last one whose verdict was secure or insecure, strictly before ``after``: a bogus spell in
between is a finding of its own and never a baseline.
"""

from collections.abc import Collection, Iterable, Sequence

from analyzer.detected import Drift, drift_of
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import Judgement, Verdict

VALIDATED = (Verdict.SECURE, Verdict.INSECURE)


def detect_drift(
    before: Judgement, after: Judgement, *, allowed: Sequence[Collection[str]] = (), learnt: Collection[str] = ()
) -> list[Drift]:
    """Return what changed, most severe first.

    ``allowed`` are the answers that the inventory permits (data only, such as ``192.0.2.1``), a set for each row that
    permits some; ``learnt`` the answers that the endpoint gave earlier, as in ``Judgement.answers``.
    """
    if before.verdict not in VALIDATED or after.verdict not in VALIDATED:
        return []
    found = [
        *_became_insecure(before, after),
        *_answer_changes(before, after, allowed, learnt),
    ]
    return sorted(found, key=lambda drift: -drift.severity.rank)


def _is_at_or_below(name: str, ancestor: str) -> bool:
    return ancestor == "." or name == ancestor or name.endswith("." + ancestor)


def _became_insecure(before: Judgement, after: Judgement) -> Iterable[Drift]:
    """Report that signed space shrank although no zone of it changed: an unsigned cut is new above a signed zone.

    A zone that lost its protection is the timeline's to report, and an alias that now leads to another, unsigned, place
    is not that.
    """
    if before.verdict is not Verdict.SECURE or after.verdict is not Verdict.INSECURE:
        return
    if after.reasons and after.reasons[0].code == Code.NEGATIVE_TRUST_ANCHOR:
        return
    zone = after.cause_zone
    was_signed = [link.zone for link in before.chain if link.verdict is Verdict.SECURE]
    if zone not in was_signed and any(_is_at_or_below(signed, zone) for signed in was_signed):
        why = after.reasons[0].detail if after.reasons else ""
        detail = f"{zone} was secure and is now insecure: {why}"
        yield drift_of(Code.SECURE_TO_INSECURE, zone, detail, "secure", "insecure")


def _answer_changes(
    before: Judgement, after: Judgement, allowed: Sequence[Collection[str]], learnt: Collection[str]
) -> Iterable[Drift]:
    """Report answers that left their set: never their order, never one address of many."""
    old, new = set(_final(before)), set(_final(after))
    if not old or not new or old == new:
        return
    outside = {data for data in new if any(data not in one for one in allowed)}
    unseen = new - old - {record.split(" ", 2)[2] for record in learnt}
    if not outside and (old & new or not unseen):
        return
    zone = _zone_that_changed(before, after)
    if outside:
        severity, why = Severity.HIGH, "outside the set that the inventory allows"
    elif after.verdict is Verdict.SECURE:
        severity, why = Severity.LOW, "signed by a key of the zone"
    else:
        severity, why = Severity.MEDIUM, "not signed"
    rrset = f"{after.name} {after.type}"
    detail = f"{rrset} changed: {', '.join(sorted(old))} became {', '.join(sorted(new))}, {why}"
    yield drift_of(Code.ANSWER_CHANGED, zone, detail, ", ".join(sorted(old)), ", ".join(sorted(new)), severity, rrset)


def _zone_that_changed(before: Judgement, after: Judgement) -> str:
    """Return the zone of the first link that leads elsewhere now, else that of the data."""
    for old, new in zip(before.links, after.links, strict=False):
        if (old.name, old.type, old.target) != (new.name, new.type, new.target) and new.zone:
            return new.zone
    return after.links[-1].zone if after.links and after.links[-1].zone else after.name


def _final(judgement: Judgement) -> list[str]:
    """Return the data of the type asked for, without owner and type; the alias chain is not part of it."""
    records = (answer.split(" ", 2) for answer in judgement.answers)
    return [data for _owner, rdtype, data in records if rdtype == judgement.type]

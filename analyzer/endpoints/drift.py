"""What changed between two validated judgements of one endpoint.

``before`` is always the last one whose verdict was secure or insecure, strictly before ``after``: a bogus spell in
between is a finding of its own and never a baseline.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from analyzer.zones.rollover import classify_key_change
from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code
from schemas.judgement import ChainLink, Judgement, Verdict

VALIDATED = (Verdict.SECURE, Verdict.INSECURE)
# Bits of security of each algorithm and digest, the deprecated ones at what is left of them. Source: NIST SP 800-57
# part 1 table 2, RFC 8624 §3.1, RFC 9905.
ALGORITHM_STRENGTH = {5: 60, 7: 60, 8: 112, 10: 112, 13: 128, 14: 192, 15: 128, 16: 224}
DIGEST_STRENGTH = {1: 60, 2: 128, 4: 192}


@dataclass(frozen=True, slots=True)
class Drift:
    """One edge between two observations. Equal (code, cause, before, after) seen from many endpoints are one event."""

    code: str
    cause_zone: str
    cause_rrset: str
    severity: Severity
    detail: str
    before: str
    after: str


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
        *_chain_changes(before, after),
        *_answer_changes(before, after, allowed, learnt),
    ]
    return sorted(found, key=lambda drift: -drift.severity.rank)


def _drift(
    code: Code, zone: str, detail: str, before: str, after: str, severity: Severity | None = None, rrset: str = ""
) -> Drift:
    return Drift(code, zone, rrset, severity or CATALOGUE[code].severity, detail, before, after)


def _is_at_or_below(name: str, ancestor: str) -> bool:
    return ancestor == "." or name == ancestor or name.endswith("." + ancestor)


def _became_insecure(before: Judgement, after: Judgement) -> Iterable[Drift]:
    """Report that signed space shrank; an alias that now leads to another, unsigned, place is not that."""
    if before.verdict is not Verdict.SECURE or after.verdict is not Verdict.INSECURE:
        return
    if after.reasons and after.reasons[0].code == Code.NEGATIVE_TRUST_ANCHOR:
        return
    zone = after.cause_zone
    was_signed = [link.zone for link in before.chain if link.verdict is Verdict.SECURE]
    if any(_is_at_or_below(signed, zone) for signed in was_signed):
        why = after.reasons[0].detail if after.reasons else ""
        detail = f"{zone} was secure and is now insecure: {why}"
        yield _drift(Code.SECURE_TO_INSECURE, zone, detail, "secure", "insecure")


def _chain_changes(before: Judgement, after: Judgement) -> Iterable[Drift]:
    old = {link.zone: link for link in before.chain}
    for link in after.chain:
        earlier = old.get(link.zone)
        if earlier is None or earlier.verdict is not Verdict.SECURE:
            if earlier is not None and link.verdict is Verdict.SECURE:
                yield _ds_change(earlier, link)
            continue
        if earlier.ds != link.ds:
            yield _ds_change(earlier, link)
        if link.verdict is not Verdict.SECURE:
            continue
        if earlier.keys != link.keys:
            change = classify_key_change(earlier, link)
            yield _drift(change.code, link.zone, change.detail, change.before, change.after)
        yield from _weaker(earlier, link)


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
    detail = f"{link.zone}: {what}"
    return _drift(Code.DS_CHANGED, link.zone, detail, "; ".join(earlier.ds), "; ".join(link.ds), severity)


def _weaker(earlier: ChainLink, link: ChainLink) -> Iterable[Drift]:
    """Report that the strongest algorithm or digest of a zone's DS set became weaker."""
    for what, column, strength in (("algorithm", 1, ALGORITHM_STRENGTH), ("digest", 2, DIGEST_STRENGTH)):
        old = max(((strength.get(int(ds.split()[column]), 0), ds.split()[column]) for ds in earlier.ds), default=None)
        new = max(((strength.get(int(ds.split()[column]), 0), ds.split()[column]) for ds in link.ds), default=None)
        if old and new and new[0] < old[0]:
            detail = f"{link.zone}: the strongest {what} of the DS set went from {old[1]} to {new[1]}"
            yield _drift(Code.ALGORITHM_DOWNGRADED, link.zone, detail, f"{what} {old[1]}", f"{what} {new[1]}")


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
    yield _drift(Code.ANSWER_CHANGED, zone, detail, ", ".join(sorted(old)), ", ".join(sorted(new)), severity, rrset)


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

"""How grave it is that an endpoint answers otherwise: its data are held against what is allowed and what was learnt.

In this order: data that some row of the inventory does not allow are high, and so is a name that was absent and leads
to a new place. Data with the zone's signature are low. Unsigned data at a place where the endpoint never was are high
once the endpoint has settled, and medium before.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from analyzer.endpoints.baseline import Baseline
from schemas.answers import network_of, permits
from schemas.catalogue import Severity
from schemas.judgement import Judgement, Verdict, data_of

LOW_TTL_S = 300
TTL_COLLAPSE = 10
"""A TTL that is at most this part of what it was, and at most five minutes, has collapsed: smaller steps are upkeep."""


@dataclass(frozen=True, slots=True)
class Grade:
    """How grave a change of answers is, and why in a few words."""

    severity: Severity
    why: str


@dataclass(frozen=True, slots=True)
class Change:
    """One answer after another: the data before and now, and the inventory's own sets, one of each row that has one.

    ``undeclared``: some row that consumes the name allows nothing in particular, so what was learnt holds for it.
    """

    before: Judgement
    after: Judgement
    allowed: Sequence[Collection[str]]
    undeclared: bool
    baseline: Baseline

    @property
    def old(self) -> set[str]:
        """Return the data before."""
        return data_of(self.before.answers, self.before.type)

    @property
    def new(self) -> set[str]:
        """Return the data now."""
        return data_of(self.after.answers, self.after.type)


def grade_change(change: Change) -> Grade | None:
    """Return how grave a change is, None where it says nothing new."""
    old, new = change.old, change.new
    if not new or old == new:
        return None
    forbidden = outside(change.after, change.allowed)
    if forbidden:
        return Grade(Severity.HIGH, f"outside the set that the inventory allows: {', '.join(sorted(forbidden))}")
    if change.allowed and not change.undeclared:
        return None
    grade = _grade_return(change) if not old else _grade_data(change)
    if grade is not None and change.allowed:
        return Grade(Severity.LOW, f"{grade.why}; one row of the inventory allows it")
    return _with_ttl(change, grade) if grade is not None else None


def _with_ttl(change: Change, grade: Grade) -> Grade:
    """Return the grade, raised to medium and explained where the TTL fell as it does to prepare a change."""
    before_s, now_s = change.baseline.ttl_s, change.after.ttl_s
    if not has_collapsed(before_s, now_s):
        return grade
    severity = max(grade.severity, Severity.MEDIUM, key=lambda one: one.rank)
    return Grade(severity, f"{grade.why}; its TTL fell from {before_s} s to {now_s} s")


def outside(judgement: Judgement, allowed: Sequence[Collection[str]]) -> set[str]:
    """Return the data that some row with a set of its own does not allow; all behind an allowed alias are allowed.

    An alias allows what it leads to only where it is signed: whoever forges unsigned data can forge the alias, too.
    """
    aliases = {link.target for link in judgement.links if link.target and link.verdict is Verdict.SECURE}
    data = data_of(judgement.answers, judgement.type)
    return {one for one in data for entries in allowed if not aliases & set(entries) and not permits(entries, one)}


def _grade_return(change: Change) -> Grade | None:
    """Grade data where there were none: of a name that was absent, or of a type that it did not have."""
    new, baseline = change.new, change.baseline
    if new <= baseline.data:
        return None
    is_signed = change.after.verdict is Verdict.SECURE
    leads_away = any(link.target for link in change.after.links)
    was_absent = change.before.rcode == "NXDOMAIN"
    if (was_absent and (leads_away or baseline.seen)) or (baseline.seen and not is_signed):
        return Grade(Severity.HIGH, "it was absent, and leads to a new place")
    if is_signed:
        return Grade(Severity.LOW, "there was none before; signed by a key of the zone")
    return Grade(Severity.MEDIUM, "there was none before; not signed")


def _grade_data(change: Change) -> Grade | None:
    """Grade data after others: whether they left what was learnt, or some that are new joined it.

    Steps are no way around: data that joined and then stay alone have left what was learnt.
    """
    old, new, known = change.old, change.new, change.baseline.data or change.old
    has_left = not new & known and (bool(old & known) or not old & new)
    unseen = new - known if has_left else new - known - old
    if not unseen:
        return None
    places = {network_of(one) for one in (known if has_left else known | old)}
    foreign = {network_of(one) for one in unseen} - places
    if change.after.verdict is Verdict.SECURE:
        return Grade(Severity.LOW, "signed by a key of the zone") if has_left else None
    if not foreign:
        is_within = not has_left or change.baseline.is_rotating(len(old))
        return None if is_within else Grade(Severity.MEDIUM, "not signed, in a network where it was before")
    if not change.baseline.is_settled(len(old)):
        return Grade(Severity.MEDIUM, "not signed") if has_left else None
    if not has_left:
        return Grade(Severity.MEDIUM, f"not signed, and {', '.join(sorted(foreign))} is new")
    return _grade_departure(change)


def _grade_departure(change: Change) -> Grade:
    """Grade unsigned data at a place where the endpoint never was, though it had settled."""
    if _is_behind_known_alias(change):
        return Grade(Severity.MEDIUM, "not signed, behind the alias that it always had")
    if _is_signed_turn(change):
        return Grade(Severity.MEDIUM, "not signed, behind an alias that the zone signed anew")
    days = change.baseline.watched_for.days
    return Grade(Severity.HIGH, f"not signed, and outside all that was learnt in {days} day{'s' if days != 1 else ''}")


def has_collapsed(before_s: int, now_s: int) -> bool:
    """Return whether a TTL fell so far that it looks like the preparation of a change."""
    return 0 < now_s <= LOW_TTL_S and before_s >= TTL_COLLAPSE * now_s and before_s > LOW_TTL_S


def _is_behind_known_alias(change: Change) -> bool:
    """Return whether the alias is the learnt one: then the addresses are its provider's, who moves them unasked."""
    targets = {link.target for link in change.after.links if link.target}
    return bool(targets) and targets <= change.baseline.targets


def _is_signed_turn(change: Change) -> bool:
    """Return whether the first link that leads elsewhere now is signed: the zone itself sends its clients there."""
    for old, new in zip(change.before.links, change.after.links, strict=False):
        if (old.name, old.type, old.target) != (new.name, new.type, new.target):
            return new.verdict is Verdict.SECURE
    return False

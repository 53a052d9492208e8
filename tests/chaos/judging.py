"""What a run of chaos came to: which staged incidents were not told, told twice, or called over while they lasted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery that arrived."""

    at: float
    id: str
    event: str
    cause: str


@dataclass(slots=True)
class Staged:
    """A fault of one zone, from when to when it was there."""

    zone: str
    begun_at: float
    ended_at: float = float("inf")
    watched_until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Tally:
    """``again`` counts deliveries that arrived a second time under the same id, which receivers can tell."""

    staged: int
    lost: int
    doubled: int
    false_resolved: int
    again: int

    @property
    def is_clean(self) -> bool:
        """Return whether nobody was misled."""
        return not (self.lost or self.doubled or self.false_resolved)


def judge(staged: Sequence[Staged], told: Iterable[Told]) -> Tally:
    """Count what went wrong with the staged incidents."""
    first: dict[tuple[str, str], Told] = {}
    again = 0
    for one in sorted(told, key=lambda one: one.at):
        if (one.id, one.event) in first:
            again += 1
        else:
            first[one.id, one.event] = one
    lost = doubled = false_resolved = 0
    for fault in staged:
        about = [t for t in first.values() if t.cause == fault.zone and fault.begun_at <= t.at < fault.watched_until]
        triggers = [t for t in about if t.event == "trigger"]
        resolves = [t for t in about if t.event == "resolve"]
        early = [t for t in resolves if t.at < fault.ended_at]
        late = [t for t in resolves if t.at >= fault.ended_at]
        lost += (not triggers) + (not late)
        doubled += max(0, len(triggers) - 1) + max(0, len(late) - 1)
        false_resolved += len(early)
    return Tally(len(staged), lost, doubled, false_resolved, again)

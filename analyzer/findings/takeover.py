"""Several changes of one zone within a day that together look like a takeover. Pure.

Each change is a finding of its own and stays one; the pattern is a further one that names them. A delegation that
changed is part of a pattern together with lost protection, or with answers that left what was learnt; lost protection
together with such answers is one, too, for where nobody can ask the delegation. Where all parts were declared
it is milder, and it is told all the same.

Source: RFC 4033 §12; the campaigns known as DNSpionage and Sea Turtle changed just these, for hours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from analyzer.detected import Drift, drift_of
from schemas.catalogue import CATALOGUE, Severity
from schemas.codes import Code

WINDOW = timedelta(hours=24)
DELEGATION = frozenset({Code.NS_SET_CHANGED})
PROTECTION = frozenset({Code.SECURE_TO_INSECURE, Code.KEY_CHANGE_UNEXPECTED})
STEPS = frozenset({Code.KEY_ROLLOVER})
"""Steps of the secure-entry keys or the DS set: a rollover like any other, but for a delegation that changed too."""
ANSWERS = frozenset({Code.ANSWER_CHANGED})
PARTS = DELEGATION | PROTECTION | ANSWERS | STEPS
FEWEST_LABELS = 2
"""Of a zone with fewer (the root, a top-level domain) the answers below it are not its own."""


@dataclass(frozen=True, slots=True)
class Part:
    """One change that may belong to a pattern."""

    at: datetime
    severity: Severity
    detail: str
    is_planned: bool
    """Somebody declared it."""
    before: str = ""
    after: str = ""


class Takeovers:
    """The changes of the last day that may belong to a pattern, by zone and code: the first of each, and the last.

    An answer counts for the zone that its data came from, and for what may be a zone between that and its name: below
    an unsigned delegation the cuts can't be seen.
    """

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, tuple[Part, Part]]] = {}
        self._pruned_at: datetime | None = None

    def take(self, event: Drift, at: datetime) -> list[Drift]:
        """Take in a change; return the pattern of each zone that it completes, or that it is a further part of."""
        zones = list(self._note(event, at))
        self._prune(at)
        found = []
        for zone in zones if event.code in DELEGATION | STEPS else ():
            if (joint := self._joint_of(zone, at)) is not None:
                found.append(joint)
                list(self._note(joint, at))
        return [*found, *(pattern for zone in zones if (pattern := self._pattern_of(zone, at)) is not None)]

    def restore(self, event: Drift, at: datetime) -> None:
        """Take in a change that an earlier process told."""
        for _ in self._note(event, at):
            pass

    def _note(self, event: Drift, at: datetime) -> Iterator[str]:
        """Note a change, and yield the zones that it counts for."""
        if event.code not in PARTS or (event.code in ANSWERS and event.severity.rank < Severity.MEDIUM.rank):
            return
        if event.code in STEPS and not event.of_entry:
            return
        # No part but a step is as mild as that by itself.
        is_planned = event.is_planned if event.code in STEPS else event.severity.rank <= Severity.LOW.rank
        part = Part(at, event.severity, event.detail, is_planned, event.before, event.after)
        for zone in _zones_of(event):
            parts = self._parts.setdefault(zone, {})
            first, last = parts.get(event.code, (part, part))
            if abs(at - first.at) > WINDOW:  # the last one goes on in its place
                first = last if abs(at - last.at) <= WINDOW else part
            if first.severity.rank < part.severity.rank or (first.is_planned and not part.is_planned):
                first = part
            parts[event.code] = first, part
            yield zone

    def _joint_of(self, zone: str, at: datetime) -> Drift | None:
        """Return that the secure-entry keys, or the DS set, changed together with the delegation, if they did."""
        parts = self._recent(zone, at)
        step, move = parts.get(Code.KEY_ROLLOVER), parts.get(Code.NS_SET_CHANGED)
        if step is None or move is None:
            return None
        row = CATALOGUE[Code.KEY_CHANGE_UNEXPECTED]
        severity = row.planned_severity if step.is_planned and move.is_planned else row.severity
        detail = f"{step.detail}; within 24 hours of a change of the delegation, at {move.at:%H:%M} ({move.detail})"
        return drift_of(row.code, zone, detail, step.before, step.after, severity)

    def _recent(self, zone: str, at: datetime) -> dict[str, Part]:
        """Return of each code the first change of the last day."""
        return {
            code: next(part for part in known if abs(at - part.at) <= WINDOW)
            for code, known in self._parts[zone].items()
            if any(abs(at - part.at) <= WINDOW for part in known)
        }

    def _pattern_of(self, zone: str, at: datetime) -> Drift | None:
        parts = {code: part for code, part in self._recent(zone, at).items() if code not in STEPS}
        kinds = [kind for kind in (DELEGATION, PROTECTION, ANSWERS) if kind & parts.keys()]
        if len(kinds) < 2 or (ANSWERS in kinds and len(kinds) == 2 and _labels_of(zone) < FEWEST_LABELS):
            return None
        told = sorted(parts.items(), key=lambda one: one[1].at)
        said = "; ".join(f"{code} at {part.at:%H:%M} ({part.detail})" for code, part in told)
        row = CATALOGUE[Code.TAKEOVER_PATTERN]
        severity = row.planned_severity if all(part.is_planned for part in parts.values()) else row.severity
        return drift_of(row.code, zone, f"{zone} within 24 hours: {said}", "", "", severity)

    def _prune(self, at: datetime) -> None:
        if self._pruned_at is not None and abs(at - self._pruned_at) < timedelta(hours=1):
            return
        self._pruned_at = at
        for zone, parts in list(self._parts.items()):
            for code in [code for code, (_, last) in parts.items() if abs(at - last.at) > WINDOW]:
                del parts[code]
            if not parts:
                del self._parts[zone]


def _zones_of(event: Drift) -> Iterable[str]:
    if event.code not in ANSWERS:
        return [event.cause_zone]
    name = event.cause_rrset.partition(" ")[0]
    found = []
    while name != event.cause_zone and name.endswith("." + event.cause_zone):
        found.append(name)
        name = name.partition(".")[2]
    return [*found, event.cause_zone]


def _labels_of(zone: str) -> int:
    return len([label for label in zone.split(".") if label])

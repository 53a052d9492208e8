"""Whether an incident is said now, to whom, and why: every decision returns its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from alerts.incidents import Incident, is_over
from schemas.catalogue import Severity

Event = Literal["trigger", "update", "reminder", "resolve"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Say ``event`` to ``receivers``, or nothing if there are none; ``reason`` is for people."""

    event: Event
    receivers: tuple[str, ...]
    reason: str


def decide(
    incident: Incident, others: Iterable[Incident], *, now: datetime, repeat: timedelta, drift_hold: timedelta
) -> Decision:
    """Decide on one incident; ``others`` are the open ones beside it."""
    if is_over(incident, now, drift_hold):
        # "Suppression stops creation only, never resolution": whoever was told hears the end.
        return Decision("resolve", tuple(incident.notified), "nothing holds it open any more")
    if not incident.confirmed:
        return Decision("trigger", (), "not yet confirmed by further polls")
    if not incident.receivers:
        return Decision("trigger", (), f"no route for severity {incident.severity}")
    inhibitor = find_inhibitor(incident, others)
    if inhibitor is not None and not incident.notified:
        return Decision("trigger", (), f"explained by the open incident on {inhibitor.cause}")
    new = tuple(name for name in incident.receivers if name not in incident.notified)
    if new:
        return Decision("trigger", new, "confirmed")
    risen = tuple(
        name for name in incident.receivers if incident.severity.rank > incident.notified.get(name, Severity.INFO).rank
    )
    if risen:
        return Decision("update", risen, f"severity rose to {incident.severity}")
    if incident.last_notified_at is not None and now - incident.last_notified_at >= repeat:
        return Decision("reminder", incident.receivers, "still open")
    return Decision("update", (), "nothing new for anybody")


def find_inhibitor(incident: Incident, others: Iterable[Incident]) -> Incident | None:
    """Return the open incident that explains this one: our clock, or a burning critical one on a zone above.

    The root is over a TLD is over a zone. An incident that is not confirmed explains nothing yet.
    """
    for other in others:
        if other.id == incident.id or other.ended_at is not None or not other.confirmed:
            continue
        burning = [entry for entry in other.entries.values() if entry.is_open]
        if any(entry.finding.code == "self_clock_skew" for entry in burning):
            return other
        if any(e.severity is Severity.CRITICAL for e in burning) and _is_strictly_below(incident.cause, other.cause):
            return other
    return None


def _is_strictly_below(zone: str, ancestor: str) -> bool:
    if not zone.endswith(".") or not ancestor.endswith(".") or zone == ancestor:
        return False
    return ancestor == "." or zone.endswith("." + ancestor)

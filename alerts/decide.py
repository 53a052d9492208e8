"""Whether an incident is said now, to whom, and why: every decision returns its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.incidents import Incident, is_over
from schemas.catalogue import Severity
from schemas.messages import NotificationEvent


@dataclass(frozen=True, slots=True)
class Decision:
    """Say ``event`` to ``receivers``, or nothing if there are none; ``reason`` is for people."""

    event: NotificationEvent
    receivers: tuple[str, ...]
    reason: str


def decide(
    incident: Incident, burning: Mapping[str, Incident], *, now: datetime, repeat: timedelta, drift_hold: timedelta
) -> Decision:
    """Decide on one incident; ``burning`` are those that may explain others, by cause (see ``burning_by_cause``)."""
    if is_over(incident, now, drift_hold):
        # "Suppression stops creation only, never resolution": whoever was told hears the end.
        return Decision("resolve", tuple(incident.notified), "nothing holds it open any more")
    if not incident.confirmed:
        return Decision("trigger", (), "not yet confirmed by further polls")
    if not incident.receivers:
        return Decision("trigger", (), f"no route for severity {incident.severity}")
    inhibitor = find_inhibitor(incident, burning)
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


def burning_by_cause(incidents: Iterable[Incident]) -> dict[str, Incident]:
    """Return the incidents that may explain others, by cause: open, with a confirmed critical state that holds."""
    found: dict[str, Incident] = {}
    for incident in incidents:
        if incident.ended_at is None and any(
            e.is_open and e.is_live and e.severity is Severity.CRITICAL for e in incident.entries.values()
        ):
            found[incident.cause] = incident
    return found


def find_inhibitor(incident: Incident, burning: Mapping[str, Incident]) -> Incident | None:
    """Return the open incident that explains this one: our clock, or a burning one on a zone above.

    The root is over a TLD is over a zone. What nobody of those who would hear of this one hears of explains nothing.
    """
    for cause in (CLOCK, *_zones_above(incident.cause)):
        other = burning.get(cause)
        if other is not None and other.id != incident.id and set(other.receivers) & set(incident.receivers):
            return other
    return None


CLOCK = "self_clock_skew"


def _zones_above(zone: str) -> list[str]:
    """Return every zone name strictly above an absolute one, the nearest last; empty for what is no zone."""
    if not zone.endswith(".") or zone == ".":
        return []
    labels = zone[:-1].split(".")
    return [".", *(".".join(labels[n:]) + "." for n in range(len(labels) - 1, 0, -1))]

"""Whether an incident is said now, to whom, and why: every decision returns its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.decision.incidents import Entry, Incident, is_over
from alerts.decision.news import describe_news
from schemas.catalogue import Kind, Severity
from schemas.cause import is_of_chain
from schemas.messages import NotificationEvent

CLOCK = "self_clock_skew"


@dataclass(frozen=True, slots=True)
class Decision:
    """Say ``event`` to ``receivers``, or nothing if there are none; ``reason`` is for people.

    ``explained_by`` is the incident because of which it is withheld from receivers that know of that one; ``ends`` is
    whether the incident is over with this.
    """

    event: NotificationEvent
    receivers: tuple[str, ...]
    reason: str
    explained_by: Incident | None = None
    ends: bool = False


def decide(
    incident: Incident,
    explaining: Mapping[str, Incident],
    *,
    now: datetime,
    wall: datetime,
    repeat: timedelta,
    drift_hold: timedelta,
) -> Decision:
    """Decide on one incident; ``explaining`` are those that may explain others (see ``explaining_by_cause``).

    ``now`` is time that only runs on, ``wall`` what the clock says, by which findings are dated: either may be ahead,
    so a hold must be over by both.
    """
    if is_over(incident, min(now, wall), drift_hold):
        # "Suppression stops creation only, never resolution": whoever was told hears the end.
        if incident.left_because:
            # Nobody saw it heal: whoever was notified must not read "resolved", and closes it by hand.
            return Decision("update", tuple(incident.notified), incident.left_because, ends=True)
        reason = "no more news of a change" if incident.ends_unproven else "nothing holds it open any more"
        return Decision("resolve", tuple(incident.notified), reason, ends=True)
    if not incident.confirmed:
        return Decision("trigger", (), "not yet confirmed by further polls")
    if not incident.receivers:
        return Decision("trigger", (), f"no route for severity {incident.severity}")
    inhibitor = find_inhibitor(incident, explaining)
    informed = set(inhibitor.receivers) if inhibitor is not None else set()
    new = tuple(name for name in incident.receivers if name not in incident.notified and name not in informed)
    if new:
        return Decision("trigger", new, "confirmed", inhibitor)
    if inhibitor is not None and not incident.notified:
        return Decision("trigger", (), f"explained by the open incident on {inhibitor.cause}", inhibitor)
    return _decide_update(incident, now=now, repeat=repeat)


def _decide_update(incident: Incident, *, now: datetime, repeat: timedelta) -> Decision:
    """Decide what those who were notified must hear now."""
    notified = tuple(name for name in incident.receivers if name in incident.notified)
    story = incident.story
    news = {name: describe_news(incident.said[name], story) for name in notified if name in incident.said}
    risen = {name for name in notified if incident.severity.rank > incident.notified[name].rank}
    update = tuple(name for name in notified if name in risen or news.get(name))
    if update:
        reasons = [f"severity rose to {incident.severity}"] if risen else []
        return Decision("update", update, "; ".join([*reasons, *dict.fromkeys(filter(None, news.values()))]))
    # A clock that was set back before this process started must not put a reminder off for long.
    if incident.last_notified_at is not None and abs(now - incident.last_notified_at) >= repeat:
        return Decision("reminder", notified, "still open")
    return Decision("update", (), "nothing new for anybody")


def explaining_by_cause(incidents: Iterable[Incident]) -> dict[str, Incident]:
    """Return the incidents that may explain others, by cause: open, with a confirmed critical fault of a chain."""
    return {i.cause: i for i in incidents if i.ended_at is None and any(map(_explains, i.entries.values()))}


def _explains(entry: Entry) -> bool:
    finding = entry.finding
    critical = entry.is_open and entry.is_live and entry.severity is Severity.CRITICAL
    return critical and is_of_chain(finding.code, finding.cause_rrset)


def find_inhibitor(incident: Incident, explaining: Mapping[str, Incident]) -> Incident | None:
    """Return the open incident that explains this one: our clock, or a broken chain of a zone above.

    The root is over a TLD is over a zone. It explains only endpoints whose own chain breaks there, as seen through the
    same vantages, and only states: a drift is no consequence of a broken chain. Where a list is cut short, nothing is
    explained.
    """
    live = [entry for entry in incident.entries.values() if entry.is_live]
    if any(entry.finding.kind is Kind.DRIFT for entry in live):
        return None
    for cause in (CLOCK, *_zones_above(incident.cause)):
        other = explaining.get(cause)
        if other is not None and other.id != incident.id and _covers(other, live):
            return other
    return None


def _covers(other: Incident, live: list[Entry]) -> bool:
    faults = [entry.finding for entry in other.entries.values() if _explains(entry)]
    endpoints = {endpoint for finding in faults for endpoint in finding.endpoints}
    vantages = {vantage for finding in faults for vantage in finding.vantages}
    return all(
        entry.finding.endpoints
        and entry.finding.endpoint_count <= len(entry.finding.endpoints)
        and endpoints.issuperset(entry.finding.endpoints)
        and vantages.issuperset(entry.finding.vantages)
        for entry in live
    )


def _zones_above(zone: str) -> list[str]:
    """Return every zone name strictly above an absolute one, the nearest last; empty for what is no zone."""
    if not zone.endswith(".") or zone == ".":
        return []
    labels = zone[:-1].split(".")
    return [".", *(".".join(labels[n:]) + "." for n in range(len(labels) - 1, 0, -1))]

"""How insistently a receiver is told of one incident: the tightest of the routes by which it gets it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.config import Escalation
from alerts.decision.incidents import Incident
from alerts.decision.routing import Routing, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """``opens_at`` is when business hours begin, None while somebody is there; ``turns_at`` when that changes next.

    Both are the clock's own time; ``hours`` is their name.
    """

    wait: timedelta
    wait_critical: timedelta
    interval: timedelta
    repeat: timedelta
    escalate: tuple[Escalation, ...] = ()
    hours: str = ""
    opens_at: datetime | None = None
    turns_at: datetime | None = None

    def wait_for(self, is_critical: bool) -> timedelta:
        """Return how long a first page waits for what belongs to it."""
        return self.wait_critical if is_critical else self.wait


def paces_of(incident: Incident, routing: Routing, now: datetime) -> dict[str, Pace]:
    """Return how each receiver of an incident is told, ``now`` by the clock."""
    names = dict.fromkeys([*incident.receivers, *incident.notified])
    return {name: _join([routing.way(path) for path in incident.paths_of(name) or ("",)], now) for name in names}


def _join(ways: Iterable[Way], now: datetime) -> Pace:
    ways = list(ways)
    opens = [way.opens_at(now) for way in ways]
    turns = [turn for way in ways if (turn := way.closes_or_opens_at(now)) is not None]
    closed = [one for one in opens if one is not None]
    return Pace(
        wait=min(way.wait for way in ways),
        wait_critical=min(way.wait_critical for way in ways),
        interval=min(way.interval for way in ways),
        repeat=min(way.repeat for way in ways),
        escalate=tuple(dict.fromkeys(one for way in ways for one in way.escalate)),
        hours=next((way.hours.name for way in ways if way.hours is not None), ""),
        opens_at=min(closed) if len(closed) == len(opens) else None,
        turns_at=min(turns, default=None),
    )

"""Whether receivers are notified of an incident now, and why: every decision returns its reason. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.decision.incidents import SILENCED, Incident, held_until, is_over
from alerts.decision.inhibition import Explanation, find_inhibitor
from alerts.decision.news import describe_news
from alerts.decision.timekeeping import Moment
from schemas.messages import NotificationEvent

LOOK_AGAIN = timedelta(seconds=1)
"""An incident whose instant has come by one clock only is looked at again after this."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Notify ``receivers`` of ``event``, or nobody if there are none; ``reason`` is for people.

    ``explained_by`` says why it is withheld from receivers that know of another incident; ``ends`` is whether the
    incident is over with this.
    """

    event: NotificationEvent
    receivers: tuple[str, ...]
    reason: str
    explained_by: Explanation | None = None
    ends: bool = False


def decide(
    incident: Incident,
    explaining: Mapping[str, Explanation],
    *,
    at: Moment,
    repeat: timedelta,
    drift_hold: timedelta,
    acknowledged_for: timedelta,
) -> Decision:
    """Decide on one incident; ``explaining`` is what other incidents may explain, by cause.

    Findings are dated by the clock, which may be ahead of the steady time or behind it: a hold must be over by both.
    """
    if is_over(incident, min(at.steady, at.wall), drift_hold):
        # "Suppression stops creation only, never resolution": every receiver that was notified gets the end.
        if incident.left_because:
            # Nobody saw it heal: people must not read "resolved", and close it by hand.
            return Decision("update", tuple(incident.notified), incident.left_because, ends=True)
        why = (incident.accepted_because, "no more news of a change" if incident.ends_unproven else "")
        reason = "; ".join(filter(None, why)) or "nothing holds it open any more"
        return Decision("resolve", tuple(incident.notified), reason, ends=True)
    if not incident.confirmed:
        return Decision("trigger", (), "not yet confirmed by further polls")
    if not incident.receivers:
        silenced = dict.fromkeys(str(one) for one in incident.silenced.values())
        reason = "; ".join(silenced) or f"no route for severity {incident.severity}"
        return Decision("trigger", (), reason)
    inhibitor = find_inhibitor(incident, explaining)
    informed = set(inhibitor.receivers) if inhibitor is not None else set()
    new = tuple(name for name in incident.receivers if name not in incident.notified and name not in informed)
    if new:
        until_now = f"; until now {incident.withheld}" if incident.withheld.startswith(SILENCED) else ""
        return Decision("trigger", new, f"confirmed{until_now}", inhibitor)
    if inhibitor is not None and not incident.notified:
        return Decision("trigger", (), f"explained by the open incident on {inhibitor.cause}", inhibitor)
    return _decide_update(incident, now=at.steady, repeat=repeat)


def _decide_update(incident: Incident, *, now: datetime, repeat: timedelta) -> Decision:
    """Decide on an update or a reminder for receivers that were notified."""
    notified = tuple(name for name in incident.receivers if name in incident.notified)
    story = incident.story
    news = {name: describe_news(incident.said[name], story) for name in notified if name in incident.said}
    risen = {name for name in notified if incident.severity.rank > incident.notified[name].rank}
    update = tuple(name for name in notified if name in risen or news.get(name))
    if update:
        reasons = [f"severity rose to {incident.severity}"] if risen else []
        return Decision("update", update, "; ".join([*reasons, *dict.fromkeys(filter(None, news.values()))]))
    if incident.acknowledged is not None:
        return Decision("reminder", (), f"acknowledged by {incident.acknowledged.by}")
    if back := tuple(name for name in notified if name in incident.muted):
        texts = dict.fromkeys(incident.muted[name] for name in back)
        return Decision("reminder", back, f"still open; until now {'; '.join(texts)}")
    # A clock that was set back before this process started must not put a reminder off for long.
    if incident.last_notified_at is not None and abs(now - incident.last_notified_at) >= repeat:
        return Decision("reminder", notified, "still open")
    return Decision("update", (), "nothing new for anybody")


def next_look_at(
    incident: Incident, *, at: Moment, repeat: timedelta, drift_hold: timedelta, acknowledged_for: timedelta
) -> datetime | None:
    """Return the steady time at which time alone may change the decision that was just made; None: never."""
    instants = []
    if (hold_ends_at := held_until(incident, drift_hold)) is not None:
        instants.append(hold_ends_at)
    if incident.acknowledged is not None:
        instants.append(incident.acknowledged.since + acknowledged_for)
        return max(min(instants), at.steady + LOOK_AGAIN)
    is_reminded = incident.confirmed and any(name in incident.notified for name in incident.receivers)
    if incident.last_notified_at is not None and is_reminded:
        instants.append(incident.last_notified_at + repeat)
    return max(min(instants), at.steady + LOOK_AGAIN) if instants else None

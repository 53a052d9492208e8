"""Whether receivers are notified of an incident now, and why: every decision returns its reason. Pure.

A first page waits a few seconds for what belongs to it, and for business hours where its route has some; what is new
comes at most every so often, unless it makes things worse. None of that keeps back the end of what was told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerts.decision.incidents import SILENCED, Incident, held_until, is_over
from alerts.decision.inhibition import Explanation, find_inhibitor
from alerts.decision.news import describe_news, is_worse
from alerts.decision.pace import Pace
from alerts.decision.timekeeping import Moment
from schemas.catalogue import Severity
from schemas.messages import NotificationEvent

LOOK_AGAIN = timedelta(seconds=1)
"""An incident whose instant has come by one clock only is looked at again after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """How long things hold: a drift its incident open, an acknowledgement its incident somebody's."""

    drift: timedelta
    acknowledged: timedelta


@dataclass(frozen=True, slots=True)
class Decision:
    """Notify ``receivers`` of ``event``, or nobody if there are none; ``reason`` is for people.

    ``explained_by`` says why it is withheld from receivers that know of another incident; ``ends`` is whether the
    incident is over with this. ``waits`` are receivers whose first page waits for what belongs to it, ``rings`` those
    whose update has to ring, ``escalates`` whether receivers are told since nobody acknowledged.
    """

    event: NotificationEvent
    receivers: tuple[str, ...]
    reason: str
    explained_by: Explanation | None = None
    ends: bool = False
    waits: tuple[str, ...] = ()
    rings: tuple[str, ...] = ()
    escalates: bool = False


@dataclass(frozen=True, slots=True)
class _Due:
    """First pages that are due, and those that are not yet, each with the reason."""

    ready: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def decide(
    incident: Incident,
    explaining: Mapping[str, Explanation],
    paces: Mapping[str, Pace],
    *,
    at: Moment,
    holds: Holds,
    is_held: bool = False,
) -> Decision:
    """Decide on one incident; ``explaining`` is what other incidents may explain, by cause.

    ``paces`` say by receiver how it is told. ``is_held``: it is a storm, and an incident of it is open. Findings are
    dated by the clock, which may be ahead of the steady time or behind it: a hold must be over by both.
    """
    if not is_held and (incident.is_storm or is_over(incident, min(at.steady, at.wall), holds.drift)):
        return _decide_end(incident)
    if not incident.confirmed:
        return Decision("trigger", (), "not yet confirmed by further polls")
    if not incident.receivers:
        silenced = dict.fromkeys(str(one) for one in incident.silenced.values())
        reason = "; ".join(silenced) or f"no route for severity {incident.severity}"
        return Decision("trigger", (), reason)
    inhibitor = find_inhibitor(incident, explaining)
    informed = set(inhibitor.receivers) if inhibitor is not None else set()
    new = [
        name
        for name in incident.receivers
        if name not in incident.notified and name not in informed and name not in incident.storms
    ]
    due = _due_of(incident, new, paces, at)
    if due.ready:
        until_now = f"; until now {incident.withheld}" if incident.withheld.startswith(SILENCED) else ""
        return Decision("trigger", tuple(due.ready), f"confirmed{until_now}", inhibitor, waits=tuple(due.waits))
    if not incident.notified:
        if inhibitor is not None and not new:
            return Decision("trigger", (), f"explained by the open incident on {inhibitor.cause}", inhibitor)
        if due.reasons:
            return Decision("trigger", (), "; ".join(dict.fromkeys(due.reasons)), inhibitor, waits=tuple(due.waits))
        if incident.storms:
            pages = ", ".join(sorted({key[:8] for key in incident.storms.values()}))
            return Decision("trigger", (), f"it is listed in the page of storm {pages}")
    return _decide_update(incident, paces, at, tuple(due.waits))


def _decide_end(incident: Incident) -> Decision:
    """Decide on the end: "suppression stops creation only, never resolution": who was notified gets it."""
    if owed := tuple(name for name in incident.waiting if name not in incident.notified):
        # A page that only waited for what belongs to it is not dropped: short is no less an attack.
        return Decision("trigger", owed, "confirmed, and over before its page was due")
    if incident.left_because:
        # Nobody saw it heal: people must not read "resolved", and close it by hand.
        return Decision("update", tuple(incident.notified), incident.left_because, ends=True)
    why = (incident.accepted_because, "no more news of a change" if incident.ends_unproven else "")
    reason = "; ".join(filter(None, why)) or "nothing holds it open any more"
    return Decision("resolve", tuple(incident.notified), reason, ends=True)


def _due_of(incident: Incident, new: list[str], paces: Mapping[str, Pace], at: Moment) -> _Due:
    """Return which first pages are due."""
    due = _Due()
    for name in new:
        pace = paces[name]
        if pace.opens_at is not None:
            due.reasons.append(f"outside the business hours {pace.hours} until {pace.opens_at:%Y-%m-%d %H:%M} UTC")
            continue
        wait = pace.wait_for(incident.severity is Severity.CRITICAL)
        # A clock that was set back before this process started must not put a page off for long.
        if abs(at.steady - incident.waiting.get(name, at.steady)) >= wait:
            due.ready.append(name)
        else:
            due.waits.append(name)
            due.reasons.append(f"waits {wait.total_seconds():g} s for what belongs to it")
    return due


def _decide_update(incident: Incident, paces: Mapping[str, Pace], at: Moment, waits: tuple[str, ...]) -> Decision:
    """Decide on an update, an escalation or a reminder for receivers that were notified."""
    known = [name for name in incident.receivers if name in incident.notified]
    there = [name for name in known if paces[name].opens_at is None]
    story = incident.story
    worse = [name for name in there if name in incident.said and is_worse(incident.said[name], story)]
    worse += [name for name in there if name not in worse and incident.severity.rank > incident.notified[name].rank]
    news = {name: describe_news(incident.said[name], story) for name in there if name in incident.said}
    update = [
        name
        for name in there
        if name in worse or (news.get(name) and abs(at.steady - _told_at(incident, name, at)) >= paces[name].interval)
    ]
    if update:
        risen = any(incident.severity.rank > incident.notified[name].rank for name in update)
        reasons = [f"severity rose to {incident.severity}"] if risen else []
        reason = "; ".join([*reasons, *dict.fromkeys(news[name] for name in update if news.get(name))])
        return Decision("update", tuple(update), reason, waits=waits, rings=tuple(worse))
    if incident.acknowledged is not None:
        return Decision("reminder", (), f"acknowledged by {incident.acknowledged.by}", waits=waits)
    if (escalation := _decide_escalation(incident, paces, at, waits)) is not None:
        return escalation
    if back := tuple(name for name in there if name in incident.muted):
        texts = dict.fromkeys(incident.muted[name] for name in back)
        return Decision("reminder", back, f"still open; until now {'; '.join(texts)}", waits=waits)
    late = [name for name in there if abs(at.steady - _told_at(incident, name, at)) >= paces[name].repeat]
    if late:
        return Decision("reminder", tuple(late), "still open", waits=waits)
    return Decision("update", (), "nothing new for anybody", waits=waits)


def _decide_escalation(
    incident: Incident, paces: Mapping[str, Pace], at: Moment, waits: tuple[str, ...]
) -> Decision | None:
    """Decide on telling somebody else, None while nobody else has to be told."""
    for name, since in incident.first_told.items():
        begun_at = max(since, incident.reopened_at or since)
        for one in paces[name].escalate if name in paces else ():
            is_due = abs(at.steady - begun_at) >= timedelta(seconds=one.after_s)
            if is_due and one.receiver not in incident.notified:
                reason = f"nobody acknowledged it within {one.after_s / 60:g} min of the page to {name}"
                return Decision("trigger", (one.receiver,), reason, waits=waits, escalates=True)
    return None


def _told_at(incident: Incident, name: str, at: Moment) -> datetime:
    return incident.told_at.get(name, incident.last_notified_at or at.steady)


def next_look_at(incident: Incident, paces: Mapping[str, Pace], *, at: Moment, holds: Holds) -> datetime | None:
    """Return the steady time at which time alone may change the decision that was just made; None: never."""
    instants = []
    if (hold_ends_at := held_until(incident, holds.drift)) is not None:
        instants.append(hold_ends_at)
    is_critical = incident.severity is Severity.CRITICAL
    instants += [since + paces[name].wait_for(is_critical) for name, since in incident.waiting.items() if name in paces]
    instants += [at.steady + (pace.turns_at - at.wall) for pace in paces.values() if pace.turns_at is not None]
    if incident.acknowledged is not None:
        instants.append(incident.acknowledged.since + holds.acknowledged)
    for name in incident.receivers if incident.confirmed else ():
        if name not in incident.notified or name not in paces or paces[name].opens_at is not None:
            continue
        pace, told_at = paces[name], _told_at(incident, name, at)
        if name in incident.said and describe_news(incident.said[name], incident.story):
            instants.append(told_at + pace.interval)
        if incident.acknowledged is None:
            instants.append(told_at + pace.repeat)
            begun_at = max(incident.first_told.get(name, told_at), incident.reopened_at or told_at)
            instants += [
                begun_at + timedelta(seconds=one.after_s)
                for one in pace.escalate
                if one.receiver not in incident.notified
            ]
    return max(min(instants), at.steady + LOOK_AGAIN) if instants else None

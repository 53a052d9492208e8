"""What an incident notes of who is told what of it, who waits, and who is kept from hearing more. Pure."""

import msgspec

from alerts.decision.decide import Decision
from alerts.decision.draft import Draft
from alerts.decision.incidents import Incident
from alerts.decision.life import Happening
from alerts.decision.order import Order, Withheld
from alerts.decision.timekeeping import Moment
from schemas.wire import digest_of


def make_orders(incident: Incident, decision: Decision, at: Moment, base: str) -> list[Order]:
    """Return a page for each receiver of a decision; ``base`` is where people reach our pages."""
    return [
        Order(
            id=digest_of(incident.id, receiver, decision.event, str(incident.deliveries))[:32],
            receiver=receiver,
            event=decision.event,
            reason=decision.reason,
            incident=msgspec.structs.replace(incident, log=()),
            decided_at=at.wall,
            base=base,
            rings=receiver in decision.rings,
        )
        for receiver in decision.receivers
    ]


def about_to_be_told(incident: Incident, decision: Decision) -> Incident:
    """Return the incident as its pages show it: they are counted, and those that ring are."""
    rings = {name: incident.rings.get(name, 0) + 1 for name in decision.rings if name in decision.receivers}
    return msgspec.structs.replace(
        incident,
        deliveries=incident.deliveries + 1,
        rings={**incident.rings, **rings},
    )


def told(incident: Incident, decision: Decision, at: Moment) -> Incident:
    """Return the incident with what its receivers know from now on; who has it says nothing of what is the case."""
    if decision.event == "acknowledge":
        return incident
    names = decision.receivers
    return msgspec.structs.replace(
        incident,
        notified={**incident.notified, **dict.fromkeys(names, incident.severity)},
        said={**incident.said, **dict.fromkeys(names, incident.story)},
        last_notified_at=at.steady,
        told_at={**incident.told_at, **dict.fromkeys(names, at.steady)},
        first_told={**dict.fromkeys(names, at.steady), **incident.first_told},
        escalated=(*incident.escalated, *(names if decision.escalates else ())),
        muted={name: text for name, text in incident.muted.items() if name not in names},
    )


def note_muted(incident: Incident, draft: Draft) -> Incident:
    """Note which receivers that know of an incident a silence keeps from hearing more; put that on record once."""
    muted = {name: str(one) for name, one in incident.silenced.items() if name in incident.notified}
    if not muted.items() - incident.muted.items():
        return incident
    for reason in dict.fromkeys(text for name, text in muted.items() if incident.muted.get(name) != text):
        withheld_id = digest_of(incident.id, "muted", reason)[:32]
        draft.withheld.append(Withheld(withheld_id, incident, "reminder", reason))
    return msgspec.structs.replace(incident, muted={**incident.muted, **muted})


def note_withheld(incident: Incident, decision: Decision, draft: Draft) -> Incident:
    """Note why nobody is notified of an incident, once; what only waits is over in seconds, and is no record."""
    if incident.notified or decision.ends or decision.reason == incident.withheld:
        return incident
    if not decision.waits:
        withheld_id = digest_of(incident.id, "withheld", decision.reason)[:32]
        draft.withheld.append(Withheld(withheld_id, incident, decision.event, decision.reason))
    return msgspec.structs.replace(incident, withheld=decision.reason)


def note_waiting(incident: Incident, decision: Decision, at: Moment) -> Incident:
    """Note the receivers whose first page waits for what belongs to it, each since when."""
    waiting = {name: incident.waiting.get(name, at.steady) for name in decision.waits}
    return incident if waiting == incident.waiting else msgspec.structs.replace(incident, waiting=waiting)


def ended(incident: Incident, decision: Decision, at: Moment) -> Incident:
    """Return the incident as it ends."""
    noted = incident.noting(Happening(at=at.wall, what="resolved", text=decision.reason))
    return msgspec.structs.replace(noted, ended_at=at.wall)

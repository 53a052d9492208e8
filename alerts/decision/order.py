"""What a decision asks for: pages to send, pages to withhold, and the rows that must be written first. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import msgspec

from alerts.decision.incidents import Incident
from alerts.decision.silences import Silence
from schemas.messages import Act, Finding, NotificationEvent


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """Words to people beside any incident: the digest of an owner."""

    subject: str
    text: str
    owner: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be said to one receiver; ``id`` never changes, ``incident`` is as it was when the decision fell.

    ``rings``: it makes things worse than they were told, and must be noticed. ``base`` is the URL under which people
    reach our pages, empty where nobody said it. ``finding`` is the one that it reports as an event, for receivers that
    take every finding; empty for a page. ``letter`` are the words where it is about no incident: that of the order is
    empty then.
    """

    id: str
    receiver: str
    event: NotificationEvent
    reason: str
    incident: Incident
    decided_at: datetime
    base: str = ""
    rings: bool = False
    finding: str = ""
    letter: Letter | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """An incident that nobody is notified of, and why."""

    id: str
    incident: Incident
    event: NotificationEvent
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one call of the incident book changed; the driver writes it before anything leaves.

    ``handled`` are the versions of findings, by id, and the acts. ``acts`` are those taken in, each with the reason why
    it has no effect, empty where it has one. ``undeliverable`` are orders that no receiver takes.
    """

    incidents: tuple[Incident, ...] = ()
    taken: tuple[Finding, ...] = ()
    handled: Mapping[str, int] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    undeliverable: tuple[Order, ...] = ()
    acts: tuple[tuple[Act, str], ...] = ()
    silences: tuple[Silence, ...] = ()

    @classmethod
    def joined(cls, steps: Iterable[Self]) -> Self:
        """Return several steps as one; of an incident the last state counts."""
        steps = list(steps)
        incidents = {incident.id: incident for step in steps for incident in step.incidents}
        return cls(
            incidents=tuple(incidents.values()),
            taken=tuple(finding for step in steps for finding in step.taken),
            handled={key: version for step in steps for key, version in step.handled.items()},
            orders=tuple(order for step in steps for order in step.orders),
            withheld=tuple(one for step in steps for one in step.withheld),
            undeliverable=tuple(order for step in steps for order in step.undeliverable),
            acts=tuple(one for step in steps for one in step.acts),
            silences=tuple(one for step in steps for one in step.silences),
        )

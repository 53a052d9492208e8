"""A step under way: what one call of the incident book has changed so far. Pure."""

from dataclasses import dataclass, field

from alerts.decision.incidents import Entry, Incident
from alerts.decision.order import Order, Step, Withheld
from alerts.decision.silences import Silence
from schemas.messages import Act, Finding


@dataclass(slots=True)
class Draft:
    """A step under way; ``shifted`` are the causes that explain something else than before.

    ``before`` has the incidents that changed as they were, None where there was none; ``placed`` the findings that were
    taken in, each with its incident and every version of it in order.
    """

    incidents: dict[str, Incident] = field(default_factory=dict)
    taken: list[Finding] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    undeliverable: list[Order] = field(default_factory=list)
    shifted: set[str] = field(default_factory=set)
    before: dict[str, Incident | None] = field(default_factory=dict)
    placed: dict[str, tuple[str, list[Entry]]] = field(default_factory=dict)
    acts: list[tuple[Act, str]] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)

    def step(self) -> Step:
        """Return what came of it."""
        return Step(
            incidents=tuple(self.incidents.values()),
            taken=tuple(self.taken),
            handled={finding.id: finding.version for finding in self.taken} | {act.id: 1 for act, _ in self.acts},
            orders=tuple(self.orders),
            withheld=tuple(self.withheld),
            undeliverable=tuple(self.undeliverable),
            acts=tuple(self.acts),
            silences=tuple(self.silences),
        )

"""Everything that is watched, as it is now, and who consumes it: the state that the parts of the analysis share."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from analyzer.endpoints.current import CurrentState
from analyzer.findings.acts import Acts
from analyzer.findings.blast import Consumers
from analyzer.zones.sweeps import SweptZones
from analyzer.zones.timeline import Timeline
from schemas.messages import Subject

FORGOTTEN_AFTER = timedelta(hours=1)
"""A zone that nothing watched lies behind is forgotten only then: an alias leads here and there."""


class Estate:
    """State: what is the case at each endpoint, in each zone and at its servers; the inventory; what people did.

    ``vantages`` are those that the configuration has or that something was seen through, ``lost`` those of them that
    reach nothing at present.
    """

    def __init__(self) -> None:
        self.consumers = Consumers()
        self.current = CurrentState()
        self.zones = Timeline()
        self.swept = SweptZones()
        self.acts = Acts()
        self.vantages: set[str] = set()
        self.lost: set[str] = set()

    def behind(self, zone: str, vantage: str, since: datetime | None) -> Iterator[Iterable[Subject]]:
        """Yield by chain the subjects that lead through a zone, without a vantage as any sees it.

        With ``since`` only those not polled after it.
        """
        for one in [vantage] if vantage else sorted(self.vantages):
            for subjects in self.current.chains_behind(zone, one):
                yield subjects if since is None else [s for s in subjects if self.current[s].applied_at <= since]

    def is_needed(self, zone: str) -> bool:
        """Return whether any vantage sees something that is watched behind a zone."""
        return any(self.current.is_through(zone, vantage) for vantage in self.vantages)

    def is_watched(self, subject: Subject) -> bool:
        """Return whether something is known of a subject, or somebody consumes it."""
        return subject in self.current or bool(self.consumers.endpoints_at(subject[0], subject[1]))

    def types_of(self, name: str) -> set[str]:
        """Return the types that somebody consumes of a name."""
        return {rdtype for endpoint in self.consumers.endpoints_of(name) for rdtype in endpoint.types}

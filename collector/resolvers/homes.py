"""In which zone a name lies, remembered for when nothing answers: all names of a dead zone then have one cause.

Nodes of the chain are forgotten with their TTL; where a name lies is not.
"""

from dataclasses import replace

from collector.dnssec.names import Name
from collector.dnssec.questions import FetchFailure
from collector.dnssec.validation import ValidationResult
from schemas.judgement import Verdict

MOST_NAMES = 200_000


class Homes:
    """What one vantage has shown: the zone of each name, and which zones are silent."""

    def __init__(self) -> None:
        self._zone_by_name: dict[Name, Name] = {}
        self._silent: set[Name] = set()

    def zone_of(self, name: Name) -> Name | None:
        """Return the zone that holds a name, as it was last seen, or the silent zone above it; None if unknown."""
        known = self._zone_by_name.get(name)
        above = (name[:depth] for depth in range(len(name), 0, -1) if name[:depth] in self._silent)
        return known if known is not None else next(above, None)

    def located(self, failure: FetchFailure, name: Name) -> FetchFailure:
        """Return a silence with the zone of the name asked for; only where that is unknown it may be walked to."""
        zone = self.zone_of(name)
        return replace(failure, zone=zone, walk=failure.walk and zone is None)

    def learn(self, result: ValidationResult) -> None:
        """Take in where the names of a validation turned out to lie."""
        if len(self._zone_by_name) > MOST_NAMES:
            self._zone_by_name.clear()
        for judged in result.rrsets:
            if judged.node is None:
                continue
            if judged.verdict is not Verdict.INDETERMINATE:
                self._zone_by_name[judged.owner] = judged.node.zone
                if self._silent:
                    self._silent.difference_update(node.zone for node in judged.node.path())
                continue
            self._zone_by_name.setdefault(judged.owner, judged.node.zone)
            if judged.node.verdict is Verdict.INDETERMINATE and judged.node.zone:
                self._silent.add(judged.node.zone)

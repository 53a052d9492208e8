"""In which zone a name lies, remembered for when nothing answers: all names of a dead zone then have one cause.

Steps of the chain are forgotten with their TTL; where a name lies is not.
"""

from dataclasses import replace

from collector.dnssec.names import Name
from collector.dnssec.questions import FetchFailure
from collector.dnssec.validation import Conclusion
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

    def learn(self, conclusion: Conclusion) -> None:
        """Take in where the names of a validation turned out to lie."""
        if len(self._zone_by_name) > MOST_NAMES:
            self._zone_by_name.clear()
        for link in conclusion.links:
            if link.step is None:
                continue
            if link.verdict is not Verdict.INDETERMINATE:
                self._zone_by_name[link.owner] = link.step.zone
                self._silent.difference_update(step.zone for step in link.step.path())
                continue
            self._zone_by_name.setdefault(link.owner, link.step.zone)
            if link.step.verdict is Verdict.INDETERMINATE and link.step.zone:
                self._silent.add(link.step.zone)

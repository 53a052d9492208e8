"""The open incidents, found by id and by cause, and what they explain. Pure."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from alerts.decision.incidents import Incident
from alerts.decision.inhibition import Explanation, explanation_of


class OpenIncidents(Mapping[str, Incident]):
    """By id, in the order in which they began."""

    def __init__(self) -> None:
        self._by_id: dict[str, Incident] = {}
        self._on_cause: dict[str, dict[str, Incident]] = {}
        self._explanations: dict[str, dict[str, Explanation]] = {}
        self._explaining: dict[str, Explanation] = {}
        self.explaining: Mapping[str, Explanation] = MappingProxyType(self._explaining)

    def __getitem__(self, key: str) -> Incident:
        return self._by_id[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[Incident]:
        """Return every open incident, at one stroke: another thread may be at work."""
        return list(self._by_id.values())

    def on(self, cause: str) -> list[Incident]:
        """Return the open incidents on a cause."""
        return list(self._on_cause.get(cause, {}).values())

    def hold(self, incident: Incident) -> None:
        """Keep an open incident for the next finding to be found; ``put`` must follow."""
        self._by_id[incident.id] = incident
        self._on_cause.setdefault(incident.cause, {})[incident.id] = incident

    def put(self, incident: Incident) -> bool:
        """Take up the newest state of an incident; return whether what its cause explains is different now."""
        siblings = self._on_cause.setdefault(incident.cause, {})
        if incident.ended_at is None:
            self._by_id[incident.id] = siblings[incident.id] = incident
        else:
            self._by_id.pop(incident.id, None)
            siblings.pop(incident.id, None)
            if not siblings:
                del self._on_cause[incident.cause]
        return self._explain(incident)

    def _explain(self, incident: Incident) -> bool:
        cause, explanation = incident.cause, explanation_of(incident)
        before = self._explaining.get(cause)
        if explanation is None and before is None:
            return False
        some = self._explanations.setdefault(cause, {})
        if explanation is None:
            some.pop(incident.id, None)
        else:
            some[incident.id] = explanation
        if not some:
            del self._explanations[cause]
            del self._explaining[cause]
            return True
        self._explaining[cause] = next(reversed(some.values()))
        return self._explaining[cause] != before

"""Every zone as each vantage sees it: what is known now, and the last validated sight, which drift is measured from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analyzer.detected import Condition
from analyzer.zones.conditions import zone_conditions
from analyzer.zones.drift import VALIDATED
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import Subject, ZoneObservation
from schemas.zone import content_of, is_renewed


@dataclass(slots=True)
class ZoneState:
    """One zone through one vantage, now; ``validated`` is its last secure or insecure observation, maybe this one."""

    observation: ZoneObservation
    content: str
    conditions: tuple[Condition, ...]
    validated: ZoneObservation | None

    def says_of(self, key: tuple[str, str, str]) -> bool:
        """Return whether a look at the zone as it is now can be evidence that a finding is over.

        Without a verdict only a failure to come to one can be over.
        """
        return self.observation.link.verdict is not Verdict.INDETERMINATE or key[0] == Code.VERDICT_INDETERMINATE


class Timeline(Mapping[Subject, ZoneState]):
    """All zones, by (zone, nothing, vantage)."""

    def __init__(self) -> None:
        self._states: dict[Subject, ZoneState] = {}

    def __getitem__(self, subject: Subject) -> ZoneState:
        return self._states[subject]

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def adds_nothing(self, message: ZoneObservation) -> bool:
        """Return whether the newest observation says the same, its signatures included: then this one is not kept."""
        state = self._states.get(message.subject)
        if state is None or state.content != content_of(message):
            return False
        return not is_renewed(state.observation.windows, message.windows, message.observed_at)

    def put(self, message: ZoneObservation) -> ZoneState:
        """Take an observation in; the order of arrival says which is the newest, since clocks differ."""
        earlier = self._states.get(message.subject)
        validated = message if message.link.verdict in VALIDATED else (earlier.validated if earlier else None)
        state = ZoneState(message, content_of(message), zone_conditions(message), validated)
        self._states[message.subject] = state
        return state

    def drop(self, subject: Subject) -> None:
        """Forget a zone that nothing is watched in."""
        self._states.pop(subject, None)

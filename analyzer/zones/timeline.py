"""Every zone as each vantage sees it: what is known now, and the last validated sight, which drift is measured from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from analyzer.detected import Condition, Drift
from analyzer.zones.conditions import key_tag_conditions, zone_conditions
from analyzer.zones.drift import detect_zone_drift
from analyzer.zones.rollover import Rollover
from analyzer.zones.unseen import as_unseen
from schemas.codes import Code
from schemas.judgement import VALIDATED, Verdict
from schemas.messages import Subject, ZoneObservation
from schemas.zone import content_of, is_renewed


@dataclass(slots=True)
class ZoneState:
    """One zone through one vantage, now; ``validated`` is its last secure or insecure observation, maybe this one.

    ``drifts`` are the edges that led here; ``rollover`` has what came before, and ``reused_tags`` the key tags that
    belonged to other keys lately. ``seen_at`` is when ``validated`` was told last, be it again.
    """

    observation: ZoneObservation
    content: str
    conditions: tuple[Condition, ...]
    validated: ZoneObservation | None
    drifts: tuple[Drift, ...]
    rollover: Rollover
    reused_tags: tuple[tuple[int, int], ...]
    seen_at: datetime | None = None

    def says_of(self, key: tuple[str, str, str]) -> bool:
        """Return whether a look at the zone as it is now can be evidence that a finding is over.

        Without a verdict only a failure to come to one can be over.
        """
        return self.observation.link.verdict is not Verdict.INDETERMINATE or key[0] == Code.VERDICT_INDETERMINATE


class Timeline(Mapping[Subject, ZoneState]):
    """All zones, by (zone, nothing, vantage).

    ``stale`` are those that no poll of a name has confirmed since they were read from the history, or since the last
    chain left them.
    """

    def __init__(self) -> None:
        self._states: dict[Subject, ZoneState] = {}
        self.stale: set[Subject] = set()

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
        if state.reused_tags != tuple(state.rollover.reused_tags(message)):
            return False  # what a tag belonged to before is forgotten by now
        return not is_renewed(state.observation.windows, message.windows, message.observed_at)

    def repeat(self, message: ZoneObservation) -> None:
        """Note that what is known was told again: how long caches may keep it, and that it was seen."""
        state = self._states[message.subject]
        latest = {
            name: max(
                (at for one in (state.observation, message) if (at := getattr(one, name)) is not None), default=None
            )
            for name in ("keys_until", "ds_until")
        }
        state.observation = msgspec.structs.replace(state.observation, **latest)
        if message.link.verdict in VALIDATED:
            state.seen_at = message.observed_at

    def put(self, message: ZoneObservation, seen_at: datetime | None = None) -> ZoneState:
        """Take an observation in; the order of arrival says which is the newest, since clocks differ.

        ``seen_at`` is when what was known of the zone was last seen, None where it is not to be judged what changed.
        """
        earlier = self._states.get(message.subject)
        baseline = earlier.validated if earlier is not None else None
        rollover = earlier.rollover if earlier is not None else Rollover()
        reused = tuple(rollover.reused_tags(message))
        conditions = (*zone_conditions(message), *key_tag_conditions(message, reused))
        drifts = rollover.take(message)
        if baseline is not None:
            ds_step = rollover.is_step(baseline.link, message.link)
            drifts = [*detect_zone_drift(baseline, message, ds_step=ds_step), *drifts]
            if seen_at is not None:
                drifts = [as_unseen(drift, baseline, message, seen_at) for drift in drifts]
        is_validated = message.link.verdict in VALIDATED
        validated = message if is_validated else baseline
        told_at = message.observed_at if is_validated else earlier.seen_at if earlier is not None else None
        state = ZoneState(message, content_of(message), conditions, validated, tuple(drifts), rollover, reused, told_at)
        self._states[message.subject] = state
        return state

    def without_shown(self, conditions: Sequence[Condition], zones: Iterable[str], vantage: str) -> Sequence[Condition]:
        """Return of a name's conditions those that no zone of its chain shows by itself."""
        if not conditions:
            return conditions
        states = [self._states.get((zone, "", vantage)) for zone in zones]
        of_zones = {condition.key for state in states if state is not None for condition in state.conditions}
        return tuple(condition for condition in conditions if condition.key not in of_zones) if of_zones else conditions

    def good_at(self, subject: Subject, at: datetime) -> ZoneObservation | None:
        """Return what is seen of a zone if it is secure, known from this process, and signed for longer than ``at``."""
        state = self._states.get(subject)
        if state is None or subject in self.stale or state.observation.link.verdict is not Verdict.SECURE:
            return None
        is_over = any(window.expires_at <= at for window in state.observation.windows)
        return None if is_over else state.observation

    def drop(self, subject: Subject) -> None:
        """Forget a zone that nothing is watched in."""
        self._states.pop(subject, None)
        self.stale.discard(subject)

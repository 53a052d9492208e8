"""What the analyzer needs to remember."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from analyzer.history.rows import Row
from analyzer.sightings import Sighting
from schemas.judgement import Judgement
from schemas.messages import Act, Finding, Identity, Subject, ZoneObservation


class History(Protocol):
    """What the analyzer remembers; every method blocks and may raise Transient."""

    def append(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Store rows; storing the same rows again changes nothing."""
        ...

    def validated_before(self, until: dict[Subject, datetime]) -> dict[Subject, Judgement]:
        """Return each subject's last secure or insecure judgement strictly before its instant."""
        ...

    def sightings_before(self, until: dict[Subject, datetime]) -> dict[Subject, list[Sighting]]:
        """Return each record in a subject's validated answers of the last 30 days strictly before its instant."""
        ...

    def latest_judgements(self) -> list[tuple[str, datetime, datetime, Judgement]]:
        """Return of every subject the last observation: id, when, when last polled, judgement."""
        ...

    def open_findings(self) -> list[Finding]:
        """Return the newest version of every state that is not closed, and of the drifts of the last day."""
        ...

    def findings(
        self, *, status: str = "", code: str = "", zone: str = "", since: datetime | None = None, limit: int = 1000
    ) -> list[Finding]:
        """Return the newest version of findings, newest first."""
        ...

    def stored_of(self, observations: Sequence[str]) -> set[str]:
        """Return which of these observations are stored, by id."""
        ...

    def judgements_of(self, observations: Sequence[str]) -> dict[str, Judgement]:
        """Return the judgements of those of these observations that are stored, by id."""
        ...

    def polled_until(self, names_by_id: Mapping[str, str]) -> dict[str, datetime]:
        """Return when each of these observations was last polled, by id, given the names that they are of."""
        ...

    def findings_triggered_by(self, triggers: Sequence[str]) -> list[Finding]:
        """Return what these messages caused when they were handled before."""
        ...

    def findings_of(self, ids: Sequence[str]) -> list[Finding]:
        """Return the newest version of each of these findings."""
        ...

    def standing_acts(self, kinds: Sequence[str]) -> list[Act]:
        """Return all that people did of these kinds, oldest first."""
        ...

    def identities(self) -> list[tuple[str, Identity]]:
        """Return every identity in the inventory."""
        ...

    def renewals(self) -> dict[tuple[str, bool], list[tuple[float, float]]]:
        """Return for each zone, its key set (True) apart from its data, the renewals of its signatures, oldest first.

        Of each the share of the lifetime that was left, and the seconds since the one before (0: unknown).
        """
        ...

    def zones_lately(self, since: datetime, of: Sequence[tuple[str, str]] = ()) -> list[ZoneObservation]:
        """Return of every zone and vantage (of these, if some are given) what tells its rollovers, oldest first.

        That is the newest observation, the newest validated one, and the first with each DS set and key set since then.
        """
        ...

    def zones_stored_of(self, ids: Sequence[str]) -> set[str]:
        """Return which of these observations of zones are stored, by id."""
        ...

    def sweep_memories(self, of: Sequence[tuple[str, str]] = ()) -> list[tuple[str, str, str]]:
        """Return of every swept zone and vantage what was remembered after the newest sweep: zone, vantage, memory."""
        ...

    def sweeps_stored_of(self, zones_by_id: Mapping[str, str]) -> set[str]:
        """Return which of these sweeps are stored, by id, given the zones that they are of."""
        ...

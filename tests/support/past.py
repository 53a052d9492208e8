"""What the analyzer has been told, in memory, for what it asks of its history before each batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from analyzer.analysis import Analysis
from analyzer.batch import Batch, Knowledge
from analyzer.sightings import LEARNT_FOR, Sighting, join_sightings
from schemas.judgement import Judgement, Verdict
from schemas.messages import Finding, Message, Observation, PollBatch, Subject, ZoneObservation, ZoneSweep

VALIDATED = (Verdict.SECURE, Verdict.INSECURE)


@dataclass(slots=True)
class _Seen:
    """An observation, and when it was polled last."""

    observation: Observation
    last_at: datetime


class Past:
    """Keeps messages, and answers as the history does: of the time strictly before an instant."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._by_subject: dict[Subject, list[_Seen]] = {}
        self._zones: dict[str, ZoneObservation] = {}
        self._sweeps: set[str] = set()
        self._memories: dict[tuple[str, str], str] = {}
        self._findings: dict[str, Finding] = {}

    def knowledge_for(self, analysis: Analysis, batch: Sequence[Message]) -> Knowledge:
        """Return what a batch must be held against."""
        needs = analysis.needs(batch)
        known = {*self._seen, *self._zones, *self._sweeps}
        knowledge = Knowledge(
            baselines={subject: one for subject, at in needs.until.items() for one in self._validated(subject, at)},
            stored=known.intersection((*needs.late, *needs.late_zones, *needs.sweeps)),
            spoken_of={one: self._seen[one].observation.judgement for one in needs.spoken_of if one in self._seen},
            polled_until={one: self._seen[one].last_at for one in needs.spoken_of if one in self._seen},
            zones=[one for one in self._zones.values() if (one.zone, one.vantage) in needs.zones],
            swept=[(*one, self._memories[one]) for one in sorted(needs.swept) if one in self._memories],
            accepted={one: self._findings[one] for one in needs.accepted if one in self._findings},
        )
        asked = analysis.needs_sightings(batch, needs.until, knowledge.baselines)
        knowledge.sightings.update({subject: self._sightings(subject, at) for subject, at in asked.items()})
        return knowledge

    def keep(self, batch: Sequence[Message], out: Batch) -> None:
        """Keep a batch, and what came of it."""
        for message in batch:
            match message:
                case Observation():
                    seen = self._seen.setdefault(message.id, _Seen(message, message.observed_at))
                    self._by_subject.setdefault(message.subject, []).append(seen)
                case PollBatch():
                    for one, at in zip(message.observations, message.polled_at, strict=True):
                        if one in self._seen:
                            self._seen[one].last_at = max(at, self._seen[one].last_at)
                case ZoneObservation():
                    self._zones[message.id] = message
                case ZoneSweep():
                    self._sweeps.add(message.id)
        for _, zone, _, vantage, *_, memory in out.tables["sweeps"]:
            if memory:
                self._memories[zone, vantage] = memory
        self._findings |= {finding.id: finding for finding in out.messages}

    def _before(self, subject: Subject, until: datetime) -> list[_Seen]:
        known = self._by_subject.get(subject, ())
        return [
            one
            for one in known
            if one.observation.observed_at < until and one.observation.judgement.verdict in VALIDATED
        ]

    def _validated(self, subject: Subject, until: datetime) -> list[Judgement]:
        """Return the last validated judgement, or none."""
        known = self._before(subject, until)
        return [max(known, key=lambda one: one.observation.observed_at).observation.judgement] if known else []

    def _sightings(self, subject: Subject, until: datetime) -> list[Sighting]:
        found = []
        for one in self._before(subject, until):
            first_at, last_at = one.observation.observed_at, min(one.last_at, until)
            judgement = one.observation.judgement
            if last_at >= until - LEARNT_FOR:
                held = last_at - first_at
                found += [Sighting(text, first_at, last_at, held, 1, judgement.ttl_s) for text in judgement.answers]
        return join_sightings(found)

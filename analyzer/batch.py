"""What the analysis is given with a batch, and what it makes of it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from analyzer.history.rows import Row, evidence_rows
from analyzer.sightings import Sighting
from schemas.judgement import Judgement
from schemas.messages import Act, Evidence, Finding, Identity, PollBatch, Subject, ZoneObservation

PolledRow = tuple[Subject, str, datetime, int, int]
"""A subject, the observation that its poll went on with, when, and the signature's window in POSIX seconds."""


@dataclass(slots=True)
class Batch:
    """The rows to be stored, by table; the findings that leave; the messages that came again.

    ``acts`` are those that were taken in, each with why it has no effect, or nothing.
    """

    tables: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    messages: list[Finding] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)
    acts: list[tuple[Act, str]] = field(default_factory=list)

    def store(self, table: str, *rows: Row) -> None:
        """Note rows of a table."""
        self.tables[table] += rows

    def store_evidence(self, evidence: Evidence) -> None:
        """Note the rows of the wire messages behind a verdict."""
        row, messages = evidence_rows(evidence)
        self.store("evidence", row)
        self.store("evidence_messages", *messages)


@dataclass(slots=True)
class Counts:
    """How many polls went on with an observation, and how many could not.

    ``unmatched`` spoke of one that is neither the subject's last nor stored; ``dropped`` are those, and the sweeps,
    that are not later than one that was taken in: they came again, or a clock was set back.
    """

    confirmed: int = 0
    unmatched: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Needs:
    """What must be known before a batch can be taken in.

    Of each subject what was known strictly before ``until``; which of the ``late`` observations (and those of zones)
    are stored already, so that they come again; the observations that polls speak of though they are not the last,
    with the names that they are of; which of the ``sweeps`` are stored, given their zones, and what is remembered of
    the ``swept`` zones. ``accepted`` are the findings that somebody accepts.
    """

    until: dict[Subject, datetime] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    late_zones: list[str] = field(default_factory=list)
    zones: set[tuple[str, str]] = field(default_factory=set)
    sweeps: dict[str, str] = field(default_factory=dict)
    swept: set[tuple[str, str]] = field(default_factory=set)
    spoken_of: dict[str, str] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What was known before a batch.

    Of each subject the last validated judgement strictly before, and the records that its answers showed until then;
    which of the batch's observations ``stored`` has already, so that they come again; and of observations that the
    batch's polls speak of, though they are not the last, the judgement and the last poll. ``swept``: zone, vantage,
    what is remembered. Of findings that somebody accepts their last version.
    """

    baselines: dict[Subject, Judgement] = field(default_factory=dict)
    sightings: dict[Subject, list[Sighting]] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    spoken_of: dict[str, Judgement] = field(default_factory=dict)
    polled_until: dict[str, datetime] = field(default_factory=dict)
    zones: list[ZoneObservation] = field(default_factory=list)
    swept: list[tuple[str, str, str]] = field(default_factory=list)
    accepted: dict[str, Finding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """All that the history has of what is the case; judgements come with their id, when, and when last polled."""

    identities: list[tuple[str, Identity]]
    renewals: dict[tuple[str, bool], list[tuple[float, float]]]
    judgements: list[tuple[str, datetime, datetime, Judgement]]
    zones: list[ZoneObservation]
    open_findings: list[Finding]
    closed_findings: list[Finding]
    swept: list[tuple[str, str, str]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    accepted: list[Finding] = field(default_factory=list)


def polls_of(message: PollBatch) -> Iterator[PolledRow]:
    """Yield the polls of a batch one by one; without a signature its window is zero."""
    columns = (message.names, message.types, message.observations, message.polled_at)
    unknown = (0,) * len(message.names)
    for name, rdtype, observation, at, inception, expiration in zip(
        *columns, message.inceptions or unknown, message.expirations or unknown, strict=True
    ):
        yield (name, rdtype, message.vantage), observation, at, inception, expiration

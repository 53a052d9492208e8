"""What the analyzer knows before a batch, and what handling it has produced so far."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from analyzer.history.rows import Row
from schemas.judgement import Judgement
from schemas.messages import Finding, Subject


@dataclass(slots=True)
class Batch:
    """The rows to be stored, by table; the findings that leave; what came again; evidence that others will share."""

    tables: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    messages: list[Finding] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)
    shared_evidence: list[str] = field(default_factory=list)

    def store(self, table: str, *rows: Row) -> None:
        """Note rows of a table."""
        self.tables[table] += rows


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What was known before a batch.

    Of each subject the last validated judgement strictly before, and all its earlier answers; which of the batch's
    observations ``stored`` has already, so that they come again; and of observations that the batch's polls speak of,
    though they are not the last, the judgement and the last poll.
    """

    baselines: dict[Subject, Judgement] = field(default_factory=dict)
    answers: dict[Subject, list[str]] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    spoken_of: dict[str, Judgement] = field(default_factory=dict)
    polled_until: dict[str, datetime] = field(default_factory=dict)

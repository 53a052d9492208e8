"""The life of an incident beside its findings: who took it, what people noted, and what happened when. Pure.

An incident is *open*, *acknowledged* once somebody has it, *reopened* where that no longer holds, and *resolved*.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from schemas.catalogue import Severity
from schemas.messages import CRITICALITY_ORDER

FIRST_KEPT, LAST_KEPT = 20, 80
"""So many happenings at the beginning and at the end of an incident are kept; it is written whole each time."""
MOST_SIGNS = 300


class State(StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    REOPENED = "reopened"
    """Nobody has it any more: it became worse, somebody gave it back, or the acknowledgement ran out."""
    RESOLVED = "resolved"


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """Who has an incident, since when, and how bad it was then: it covers nothing worse.

    ``since`` is the steady time, ``at`` what the clock said. ``criticality`` is that of the most critical identity,
    ``of_zone`` whether the zone as a whole was at fault.
    """

    by: str
    at: datetime
    since: datetime
    severity: Severity
    criticality: str = ""
    of_zone: bool = False
    why: str = ""
    source: str = ""

    def covers(self, severity: Severity, criticality: str) -> bool:
        """Return whether an incident is no worse than it was when it was acknowledged."""
        return severity.rank <= self.severity.rank and _place(criticality) >= _place(self.criticality)


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a timeline: ``what`` is a word, ``text`` a sentence for people, ``by`` a person."""

    at: datetime
    what: str
    text: str
    by: str = ""


def add_to_log(log: Sequence[Happening], happening: Happening) -> tuple[Happening, ...]:
    """Return the log with a happening at its end; of a long one the middle is left out."""
    cut = happening.text if len(happening.text) <= MOST_SIGNS else happening.text[: MOST_SIGNS - 1] + "…"
    longer = (*log, msgspec.structs.replace(happening, text=cut))
    return longer if len(longer) <= FIRST_KEPT + LAST_KEPT else (*longer[:FIRST_KEPT], *longer[-LAST_KEPT:])


def _place(criticality: str) -> int:
    return CRITICALITY_ORDER.get(criticality, len(CRITICALITY_ORDER))

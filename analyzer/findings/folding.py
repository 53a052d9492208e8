"""What changes too often to be told one by one: counted, named, and told together. Pure.

Of one kind of change of one cause some are told a day; the next are one finding, which names what the last ones came
to. Each severity has a count of its own, so that cheap changes take no place from a grave one.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from analyzer.detected import Drift
from schemas.catalogue import Severity

MOST_A_DAY = 24
DAY = timedelta(days=1)
TOLD_EVERY = timedelta(minutes=10)
FOLDED = "many changes"
"""Stands for what the changes came to that are told together."""
MOST_NAMED = 32
LONGEST_NAME = 200
FoldKey = tuple[str, str, str, Severity]


@dataclass(slots=True)
class _Folded:
    """How many changes of a cause were told together, and what those came to that came since the last word on them."""

    count: int = 0
    named: dict[str, None] = field(default_factory=dict)
    unnamed: int = 0


class Folding:
    """State: when changes of each cause and severity were told one by one, and what was folded since."""

    def __init__(self) -> None:
        self._told: dict[FoldKey, deque[datetime]] = {}
        self._folded: dict[tuple[str, str, str], _Folded] = {}

    def note(self, event: Drift, at: datetime) -> None:
        """Note a change that is told by itself."""
        self._told.setdefault(_key(event), deque(maxlen=MOST_A_DAY)).append(at)

    def is_full(self, event: Drift, at: datetime) -> bool:
        """Return whether as many such changes were told within a day as may be."""
        told = self._told.get(_key(event))
        return told is not None and len(told) >= MOST_A_DAY and abs(at - told[0]) < DAY

    def fold(self, event: Drift) -> Drift:
        """Return the change that stands for all that are told together, this one included."""
        folded = self._folded.setdefault((event.code, event.cause_zone, event.cause_rrset), _Folded())
        folded.count += 1
        name = event.after[:LONGEST_NAME] or "nothing"
        if name in folded.named or len(folded.named) < MOST_NAMED:
            folded.named[name] = None
        else:
            folded.unnamed += 1
        more = f" and {folded.unnamed} more" if folded.unnamed else ""
        detail = (
            f"{event.cause_rrset or event.cause_zone} changes so often that {folded.count} further changes are not told"
            f" one by one, {MOST_A_DAY} a day are; the last ones came to: {'; '.join(folded.named)}{more}; the newest:"
            f" {event.detail}"
        )
        return replace(event, before="", after=FOLDED, detail=detail)

    def told(self, code: str, zone: str, rrset: str) -> None:
        """Note that what was folded of a cause has been told: only what comes from now on is named next."""
        folded = self._folded.get((code, zone, rrset))
        if folded is not None:
            folded.named, folded.unnamed = {}, 0

    def prune(self, newest: datetime) -> None:
        """Forget what was told more than a day ago."""
        for key in [key for key, told in self._told.items() if newest - told[-1] > DAY]:
            del self._told[key]
            code, zone, rrset, _ = key
            self._folded.pop((code, zone, rrset), None)


def _key(event: Drift) -> FoldKey:
    return event.code, event.cause_zone, event.cause_rrset, event.severity

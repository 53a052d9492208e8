"""Who reports a trouble of its own: a healthy process ends nothing that another one reports. Pure.

A trouble is told again while it lasts. Who does not tell it any more, though others are heard, is gone: what it
reported ends, and it is said that nobody knows whether it is over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analyzer.detected import Condition
from analyzer.findings.attribution import CauseKey

GONE_AFTER_S = 1800.0
"""Troubles are told again each ten minutes."""
LONGEST_PAUSE_S = 60.0
MOST_REPORTERS = 100


@dataclass(frozen=True, slots=True)
class _Report:
    """What one process reported of itself, and when it was heard, in seconds of traffic."""

    detail: str
    heard_s: float


class Reporters:
    """State: of each trouble who reports it. Time runs while anything arrives: in silence nobody is gone."""

    def __init__(self) -> None:
        self._reports: dict[CauseKey, dict[str, _Report]] = {}
        self._conditions: dict[CauseKey, Condition] = {}
        self._traffic_s = 0.0
        self._looked_at: float | None = None

    def restore(self, condition: Condition, vantage: str, reporters: Sequence[str]) -> None:
        """Take up who reported a trouble to an earlier process."""
        self._conditions[condition.key] = replace(condition, vantage=vantage)
        self._reports[condition.key] = {by: _Report(condition.detail, self._traffic_s) for by in reporters}

    def take(self, condition: Condition, by: str) -> Condition:
        """Take in a report; return the trouble as all report it now, without a detail if nobody does any more."""
        reports = self._reports.setdefault(condition.key, {})
        self._conditions[condition.key] = condition
        if condition.detail and (by in reports or len(reports) < MOST_REPORTERS):
            reports[by] = _Report(condition.detail, self._traffic_s)
        elif not condition.detail:
            reports.pop(by, None)
            reports.pop("", None)  # of an early process, which did not say who it is
        return self._told(condition.key)

    def look(self, now: float, *, is_idle: bool) -> Iterator[tuple[Condition, str]]:
        """Yield the troubles whose reporters are gone, as the others report them, and why they end if nobody does."""
        if not is_idle and self._looked_at is not None:
            self._traffic_s += min(max(now - self._looked_at, 0.0), LONGEST_PAUSE_S)
        self._looked_at = now if not is_idle else self._looked_at
        for key, reports in list(self._reports.items()):
            gone = [by for by, one in reports.items() if by and self._traffic_s - one.heard_s > GONE_AFTER_S]
            if not gone:
                continue
            for by in gone:
                del reports[by]
            who, minutes = ", ".join(sorted(gone)), GONE_AFTER_S / 60
            yield self._told(key), f"no longer reporting: {who} was not heard of this for {minutes:.0f} minutes"

    def _told(self, key: CauseKey) -> Condition:
        reports, condition = self._reports[key], self._conditions[key]
        details = {by: one.detail + (f" (as {by} reports)" if by else "") for by, one in sorted(reports.items())}
        if not reports:
            del self._reports[key], self._conditions[key]
        named = tuple(by for by in details if by)
        return replace(condition, detail="; ".join(dict.fromkeys(details.values())), reporters=named)

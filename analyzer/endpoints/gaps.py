"""Endpoints that are watched and yet not polled while others are: by whom nobody knows, so that nobody misses them.

What stops altogether is the heartbeat's to tell. All times are those of the polls, so no clock of ours is compared with
a collector's. Names whose zone is silent are polled by one of them for all: they are no gap. Pure.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from analyzer.endpoints.current import CurrentState
from analyzer.zones.registrable import registrable_domain
from schemas.judgement import Verdict
from schemas.messages import Subject

INTERVALS = 10
SHORTEST_PATIENCE = timedelta(minutes=10)
ROUNDS = 5
"""So often within its patience all that should be watched is looked up."""
LOOKED_UP_AT_ONCE = 100_000
"""So many of those that should be watched are looked up at a time: all of a million take ten looks."""


class Gaps:
    """Watches over the polls.

    It is patient from the first of them after a start, after a time in which nothing was polled, or after a backlog.
    A look costs what is due: each subject is looked at once in the time of its patience, or each time while it is late.
    """

    def __init__(self, current: CurrentState, interval_s: float) -> None:
        self._current = current
        self.patience = max(timedelta(seconds=INTERVALS * interval_s), SHORTEST_PATIENCE)
        self._newest_at: datetime | None = None
        self._patient_since: datetime | None = None
        self._never_seen: dict[Subject, datetime] = {}
        self._expected: Iterator[Subject] = iter(())
        self._expected_since: datetime | None = None
        # When the last known poll of each is as old as that: by then it must have been polled again.
        self._agenda: list[tuple[datetime, Subject]] = []
        self._planned: set[Subject] = set()
        self._late: set[Subject] = set()

    def look(
        self, now: datetime, expected: Iterable[Subject], is_watched: Callable[[Subject], bool]
    ) -> list[Subject] | None:
        """Return the subjects that were not polled for longer than our patience, None where that can't be said yet.

        ``expected`` are all that should be watched: a further part of them is looked up each time.
        """
        earlier = self._newest_at
        newest_at = self._newest_at = self._current.take_polled_at() or earlier
        if newest_at is None:
            return None
        is_behind = now - newest_at > self.patience  # what was polled since waits on a bus, or nobody polls
        if is_behind or earlier is None or newest_at - earlier > self.patience or self._patient_since is None:
            self._patient_since = newest_at
        self._look_up(expected, newest_at)
        since = newest_at - self.patience
        if self._patient_since > since:
            return None
        self._find_late(since)
        late = list(self._late)
        for subject in [subject for subject, known_at in self._never_seen.items() if known_at < since]:
            if is_watched(subject):
                late.append(subject)
            else:
                del self._never_seen[subject]
        return sorted(self._without_silent_zones(late))

    def _look_up(self, expected: Iterable[Subject], at: datetime) -> None:
        """Note which of the next subjects that should be watched no poll spoke of, and plan those that one did."""
        part = list(islice(self._expected, LOOKED_UP_AT_ONCE))
        if not part and (self._expected_since is None or at - self._expected_since >= self.patience / ROUNDS):
            self._expected, self._expected_since = iter(expected), at
            part = list(islice(self._expected, LOOKED_UP_AT_ONCE))
        for subject in part:
            current = self._current.get(subject)
            if current is None:
                self._never_seen.setdefault(subject, at)
            elif subject not in self._planned:
                self._plan(subject, current.applied_at)
        for subject in [subject for subject in self._never_seen if subject in self._current]:
            del self._never_seen[subject]

    def _plan(self, subject: Subject, polled_at: datetime) -> None:
        self._planned.add(subject)
        heapq.heappush(self._agenda, (polled_at, subject))

    def _find_late(self, since: datetime) -> None:
        """Look at those that were last known to be polled before ``since``, and at those that were late."""
        due, self._late = self._late, set()
        while self._agenda and self._agenda[0][0] < since:
            due.add(heapq.heappop(self._agenda)[1])
        for subject in due:
            current = self._current.get(subject)
            if current is None:
                self._planned.discard(subject)
            elif current.applied_at < since:
                self._late.add(subject)
            else:
                self._plan(subject, current.applied_at)

    def _without_silent_zones(self, late: Collection[Subject]) -> Iterator[Subject]:
        """Leave out what has no verdict, and what shares with such a name the domain below which a zone is silent."""
        silent = {
            (registrable_domain(subject[0]), subject[2])
            for subject, current in (self._current.items() if late else ())
            if current.verdict is Verdict.INDETERMINATE
        }
        for subject in late:
            if not silent or (registrable_domain(subject[0]), subject[2]) not in silent:
                yield subject

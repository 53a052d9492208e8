"""When which incident must be looked at again, though nothing is reported. Pure."""

import heapq
from datetime import datetime

SPARE = 64


class Agenda:
    """One instant for each incident that waits for one."""

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def note(self, key: str, at: datetime | None) -> None:
        """Have ``key`` fall due at an instant instead of any other; None: never."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._at) + SPARE:
            self._heap = [(at, key) for key, at in self._at.items()]
            heapq.heapify(self._heap)

    def next_at(self) -> datetime | None:
        """Return the instant that comes next, None where nothing waits."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime) -> list[str]:
        """Return what is due, earliest first, and forget it."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                found.append(key)
        return found

"""A fixed now, and a clock that a test turns."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class ManualClock:
    """A clock that moves only when it is told to; calling it returns POSIX seconds."""

    def __init__(self, at: datetime = NOW) -> None:
        self.seconds = at.timestamp()

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

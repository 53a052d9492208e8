"""Spans and instants as people read them: the two largest units, and how far away an instant is."""

from datetime import UTC, datetime, timedelta

UNITS = (("y", 365 * 86_400), ("d", 86_400), ("h", 3_600), ("min", 60))


def say_span(span: timedelta) -> str:
    """Return a span in its largest unit, in two while the first is small: ``1 d 4 h``, ``23 min``, ``12 s``."""
    seconds = int(abs(span.total_seconds()))
    for place, (unit, size) in enumerate(UNITS):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            finer = UNITS[place + 1] if place + 1 < len(UNITS) and count < 3 else None
            if finer is not None and rest >= finer[1]:
                return f"{count} {unit} {rest // finer[1]} {finer[0]}"
            return f"{count} {unit}"
    return f"{seconds} s"


def say_left(end: datetime, now: datetime) -> str:
    """Return how much is left until an end, or how long ago it was."""
    return f"{say_span(end - now)} left" if end >= now else f"ended {say_span(now - end)} ago"


def say_instant(at: datetime | None) -> str:
    """Return an instant to the second, in UTC; a dash for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else "–"

"""Instants and spans of time in the words of findings."""

from datetime import datetime, timedelta

DAY_S, HOUR_S = 86_400, 3600


def to_minute(at: datetime) -> str:
    """Return an instant for people: ``2026-11-24 12:00 UTC``."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def to_next_minute(at: datetime) -> str:
    """Return an instant for people, rounded up: what is safe from then on is not in the minute before."""
    return to_minute(at + timedelta(seconds=59, microseconds=999_999))


def in_days(span: timedelta) -> str:
    """Return a span for people: in days, of less than two days in hours."""
    seconds = span.total_seconds()
    return f"{seconds / DAY_S:.1f} days" if span >= timedelta(days=2) else f"{seconds / HOUR_S:.0f} h"

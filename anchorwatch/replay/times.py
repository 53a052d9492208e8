"""Spans such as ``2d 3h`` and instants, absolute or counted from the start of a scenario. Pure."""

import re
from datetime import UTC, datetime

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|y|w|d|h|m|s)")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
SPAN = "a span such as 90s, 5m, '2d 3h' or 1y"


def parse_span(text: object) -> float:
    """Return ``2d 3h``, ``90s`` or ``1w`` in seconds; a number alone is seconds. A year has 365 days.

    Raises:
        ValueError: another form.
    """
    shown = str(text).strip()
    if shown.isdigit():
        return float(shown)
    parts = _PART.findall(shown)
    if not parts or _PART.sub("", shown).strip():
        raise ValueError(f"{shown!r} is not {SPAN}")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def parse_signed_span(text: object) -> float:
    """Return a span that may lie before: ``-1h`` is -3600.

    Raises:
        ValueError: another form.
    """
    shown = str(text).strip()
    return -parse_span(shown[1:].strip()) if shown.startswith("-") else parse_span(shown)


def parse_instant(text: object, start: datetime, previous_s: float = 0.0) -> float:
    """Return an instant in seconds since ``start``: RFC 3339, or a span since the start, or ``+5m`` since the previous.

    Raises:
        ValueError: another form, or before the start.
    """
    shown = text.isoformat() if isinstance(text, datetime) else str(text).strip()
    if shown.startswith("+"):
        return previous_s + parse_span(shown[1:])
    if re.match(r"\d{4}-\d\d-\d\d", shown):
        at = parse_absolute(shown)
        if at < start:
            raise ValueError(f"{shown} lies before the start, {start:%Y-%m-%dT%H:%M:%SZ}")
        return (at - start).total_seconds()
    return parse_span(shown)


def parse_absolute(text: str) -> datetime:
    """Return an RFC 3339 instant; without a zone it is UTC.

    Raises:
        ValueError: another form.
    """
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"{text!r} is no instant such as 2026-01-05T00:00:00Z") from None
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def show_span(seconds: float) -> str:
    """Return seconds as ``2d 03:04:05``, with tenths where they are not whole."""
    tenths = round(abs(seconds) * 10)
    whole, part = divmod(tenths, 10)
    days, rest = divmod(whole, 86_400)
    shown = f"{'-' if seconds < 0 else ''}{days}d {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{shown}.{part}" if part else shown

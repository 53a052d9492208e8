"""Weekly windows of the configuration: days, local times, and a time zone."""

import re
from datetime import UTC, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts.decision.schedule import Recurring, Weekly
from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import read_seconds
from schemas.redaction import safe

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_S = 7 * 86_400
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")


def read_zone(text: str, path: str, document: Document) -> tzinfo:
    """Return a time zone by its name, UTC where there is none of that name."""
    try:
        return ZoneInfo(text) if text else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        document.problem(path, f"{safe(text)} is no time zone such as Europe/Zurich")
        return UTC


def read_clock(text: str, path: str, document: Document) -> time:
    """Return ``22:00`` as a time of the day; ``24:00`` is the midnight after."""
    match = _CLOCK.fullmatch(text)
    if match is None or (match[1] == "24" and match[2] != "00"):
        document.problem(path, f"{safe(text)} is no time of the day such as 22:00 (quote it)")
        return time()
    return time(int(match[1]) % 24, int(match[2]))


def read_days(days: tuple[str, ...], path: str, document: Document) -> tuple[int, ...]:
    """Return days of the week as numbers, 0 for Monday; all of them where none is given."""
    for day in days:
        if day not in DAYS:
            document.problem(path, f"{safe(day)} is none of {', '.join(DAYS)}")
    return tuple(sorted({DAYS.index(day) for day in days or DAYS if day in DAYS}))


def read_recurring(text: str, zone: str, path: str, document: Document) -> Recurring:
    """Return ``Mon 09:00``, ``Mon,Thu 09:00``, or ``09:00`` for every day; ``path`` is that of its section."""
    days, _, clock = text.strip().rpartition(" ")
    return Recurring(
        days=read_days(tuple(one.strip() for one in days.lower().split(",") if one.strip()), f"{path}.at", document),
        clock=read_clock(clock, f"{path}.at", document),
        zone=read_zone(zone, f"{path}.timezone", document),
    )


def read_weekly(*, days: tuple[str, ...], begins: str, lasts: str, zone: str, path: str, document: Document) -> Weekly:
    """Return a window that begins at a local time on some days and lasts so long."""
    seconds = read_seconds(lasts, f"{path}.for", document, least=60.0)
    if seconds > LONGEST_S:
        document.problem(f"{path}.for", f"{lasts} is longer than a week")
    return Weekly(
        days=read_days(days, f"{path}.days", document),
        begins=read_clock(begins, f"{path}.from", document),
        lasts=timedelta(seconds=min(seconds, LONGEST_S)),
        zone=read_zone(zone, f"{path}.timezone", document),
    )

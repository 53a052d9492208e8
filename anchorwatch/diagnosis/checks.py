"""What a check says, and the exit status of all of them. Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec


class State(StrEnum):
    """How a check went; a note is for information only and counts for nothing."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    NOTE = "note"


EXIT_STATUS = {State.CRITICAL: 2, State.WARNING: 1, State.UNKNOWN: 3, State.OK: 0}
"""The exit status of monitoring plugins, the gravest first: what is known to be wrong outweighs what is unknown."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check: of which part, what was asked, how it went, and what to change where it is not well."""

    part: str
    what: str
    state: State
    detail: str
    change: str = ""


def exit_status(checks: Iterable[Check]) -> int:
    """Return the exit status: of the gravest state; without any check that counts, unknown."""
    found = {check.state for check in checks}
    return next((status for state, status in EXIT_STATUS.items() if state in found), EXIT_STATUS[State.UNKNOWN])


def to_table(checks: Sequence[Check]) -> str:
    """Return the checks as aligned lines, each with what to change below it, and a count at the end."""
    rows = [(str(check.state), check.part, check.what) for check in checks]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = []
    for check, row in zip(checks, rows, strict=True):
        columns = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        lines.append(f"{columns}  {check.detail}".rstrip())
        if check.change:
            lines.append(f"{'':{widths[0]}}  change: {check.change}")
    counts = ", ".join(f"{n} {state}" for state in EXIT_STATUS if (n := sum(one.state is state for one in checks)))
    return "\n".join([*lines, counts or "nothing was checked"])

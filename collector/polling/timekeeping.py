"""Whether the wall clock was set: its progress is compared with that of a clock that only ever runs on.

What is due is decided by the monotonic clock; signatures and instants that are told need the wall clock.
"""

from dataclasses import dataclass

from schemas.codes import Code
from schemas.messages import SelfReport, utc

SLEW = 0.001
LEAST_JUMP_S = 1.0


@dataclass(frozen=True, slots=True)
class Jump:
    """The wall clock moved by ``seconds`` (negative: back) beyond the time that passed; ``to`` is what it says now."""

    seconds: float
    to: float

    @property
    def direction(self) -> str:
        """Return forward or back."""
        return "forward" if self.seconds > 0 else "back"


class ClockWatch:
    """Compares both clocks at each turn of a loop.

    A clock that is slewed (at most 500 ppm, as NTP does it) is followed and never told.
    """

    def __init__(self, interval_s: float) -> None:
        """A jump is told that is longer than ``interval_s``."""
        self._most_s = max(interval_s, LEAST_JUMP_S)
        self._offset: float | None = None
        self._ticks = 0.0

    def compare(self, wall: float, ticks: float) -> Jump | None:
        """Return the jump since the last call, None as long as both clocks go together."""
        offset = wall - ticks
        if self._offset is None:
            self._offset, self._ticks = offset, ticks
            return None
        moved = offset - self._offset
        if abs(moved) > self._most_s:
            self._offset, self._ticks = offset, ticks
            return Jump(moved, wall)
        allowed = SLEW * max(ticks - self._ticks, 0.0)
        self._offset += min(max(moved, -allowed), allowed)
        self._ticks = ticks
        return None


def describe_jump(jump: Jump) -> SelfReport:
    """Return what is told of a jump."""
    moved = f"{jump.direction} {abs(jump.seconds):.0f} s"
    cause = " (or this machine was suspended)" if jump.seconds > 0 else ""
    detail = (
        f"our clock was set {moved}{cause}: polling goes on, everything is validated anew by the new time. If that"
        " time is wrong, valid signatures look expired or not yet valid, and expired ones valid: check the time service"
    )
    return SelfReport(
        code=Code.SELF_CLOCK_JUMPED,
        subject=f"{moved} to {utc(jump.to):%Y-%m-%dT%H:%M:%SZ}",
        at=utc(jump.to),
        detail=detail,
    )

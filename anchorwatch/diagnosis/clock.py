"""What can be said of the clock without a time server: the kernel's own state, and signatures that are valid now.

A resolver hands on signatures of the present, so their windows bound how wrong the clock can be: between hours and
days. Closer is only what keeps the clock, and the kernel knows whether anything does.

Source: adjtimex(2); RFC 4034 §3.1.5.
"""

import ctypes
import os
from collections.abc import Iterable

from anchorwatch.diagnosis.checks import Check, State

TIME_ERROR = 5
"""What the kernel says of a clock that nothing keeps."""
FAR_S = 1.0
"""A clock that may be off by more is worth a warning."""
_PART = "clock"


class _Timex(ctypes.Structure):
    """The beginning of the kernel's ``struct timex``; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_char * 256),
    )


def kernel_clock() -> tuple[bool, float] | None:
    """Return whether something keeps the clock, and by how many seconds it may be off; None where nobody says."""
    state = _Timex()
    try:
        kept = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    except (AttributeError, OSError):
        return None
    if kept < 0:
        return None
    return kept != TIME_ERROR, state.maxerror / 1e6


def check_kernel(said: tuple[bool, float] | None) -> Check:
    """Return what the kernel's word comes to."""
    what = "is kept by a time service"
    if said is None:
        why = f"the kernel does not say ({os.uname().sysname})"
        return Check(part=_PART, what=what, state=State.UNKNOWN, detail=why)
    is_kept, error_s = said
    if not is_kept:
        change = "start a time service (chrony, systemd-timesyncd): by a wrong clock valid signatures look expired"
        return Check(part=_PART, what=what, state=State.WARNING, detail="the kernel says no", change=change)
    if error_s > FAR_S:
        change = "look at the time service: chronyc tracking, or timedatectl timesync-status"
        detail = f"it may be off by {error_s:.1f} s"
        return Check(part=_PART, what=what, state=State.WARNING, detail=detail, change=change)
    return Check(part=_PART, what=what, state=State.OK, detail=f"off by at most {error_s * 1000:.0f} ms")


def check_windows(windows: Iterable[tuple[int, int]], now: float) -> Check:
    """Return how wrong the clock can be at most by signatures that hold at ``now``, POSIX seconds."""
    what = "fits valid signatures"
    holding = [(begins, ends) for begins, ends in windows if begins <= now <= ends]
    if not holding:
        return Check(part=_PART, what=what, state=State.UNKNOWN, detail="no valid signature was seen")
    ahead_s, behind_s = now - max(begins for begins, _ in holding), min(ends for _, ends in holding) - now
    detail = f"by them it is at most {_span(ahead_s)} ahead and {_span(behind_s)} behind"
    return Check(part=_PART, what=what, state=State.OK, detail=detail)


def _span(seconds: float) -> str:
    return f"{seconds / 86_400:.1f} days" if seconds >= 2 * 86_400 else f"{seconds / 3600:.1f} hours"

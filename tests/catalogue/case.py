"""What a row of the catalogue must show: what brings a finding about, what mends it, and what only looks like it."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.catalogue import Severity
from schemas.codes import Code
from tests.support.watched_world import ZONE, WatchedWorld

Deed = Callable[[WatchedWorld], None]

POLLED, SWEPT = 2.2, 6.0
"""Minutes in which everything has been polled twice, and in which the servers of each zone have been asked."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One code, and a world in which it is found.

    happens: what ``stage`` does, in a few words; ``heal`` undoes it. ``cause`` is the cause zone of what is found, and
    ``severity`` how severe it is, where that is not the default of its row.
    harmless: what ``near`` does, to a world of its own: the nearest that must not open this code.
    beside: further codes that ``stage`` truly brings about; ``beside_near`` are those of ``near``. No others may come.
    made: the world to begin with, which must settle without any finding, within ``settles_in`` minutes.
    minutes: after this time it must be found; ``heals_in`` minutes after ``heal`` a state must be closed.
    """

    code: Code
    happens: str
    stage: Deed
    heal: Deed
    harmless: str
    near: Deed
    cause: str = ZONE
    severity: Severity | None = None
    beside: frozenset[Code] = frozenset()
    beside_near: frozenset[Code] = frozenset()
    made: Callable[[], WatchedWorld] = WatchedWorld
    settles_in: float = POLLED
    minutes: float = 3
    heals_in: float = 6


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A code that takes real files, disks or processes: the tests that open it, end it, and stay silent, by node id."""

    code: Code
    happens: str
    opens: str
    ends: str
    harmless: str
    silent: str

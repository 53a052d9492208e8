"""What a row of the catalogue must show: a case with what brings it about, what mends it, and what only looks like it."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.codes import Code
from tests.support.estate import ZONE, Estate

Deed = Callable[[Estate], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One code, and an estate in which it is found.

    happens: what ``stage`` does, in a few words; ``heal`` undoes it. ``cause`` is the cause zone of what is found.
    harmless: what ``near`` does, to an estate of its own: the nearest that must not open this code.
    beside: further codes that ``stage`` truly brings about; ``beside_near`` are those of ``near``. No others may come.
    made: the estate to begin with, which must settle without any finding.
    minutes: after this time it must be found; ``heals_in`` minutes after ``heal`` a state must be closed.
    """

    code: Code
    happens: str
    stage: Deed
    heal: Deed
    harmless: str
    near: Deed
    cause: str = ZONE
    beside: frozenset[Code] = frozenset()
    beside_near: frozenset[Code] = frozenset()
    made: Callable[[], Estate] = Estate
    minutes: float = 5
    heals_in: float = 8


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A code that takes real files, disks or processes: the tests that open it, end it, and stay silent, by node id."""

    code: Code
    happens: str
    opens: str
    ends: str
    harmless: str
    silent: str

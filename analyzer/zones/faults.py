"""Faults of servers, confirmed and ended by looks: pure counting, so that a restart changes nothing.

A sweep is a *look* at each server. What a look can't speak of (a server that was not asked, an answer that did not
come) is no look, and leaves a fault as it was.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from analyzer.detected import Condition
from schemas.catalogue import CATALOGUE, Confirmation, Severity, codes_where
from schemas.codes import Code

LOOKS_REMEMBERED = 3
BAD_LOOKS_TO_CONFIRM = 2
LONE_LOOKS_TO_CONFIRM = 3
GOOD_LOOKS_TO_END = 3
# Of one code in one zone, so that many faults of one kind leave room for those of another.
MOST_FAULTS = 500
MOST_TOLD = 5
SWEPT = codes_where(lambda row: row.confirmed_by in (Confirmation.SWEEPS, Confirmation.ALARM))
ALARMING = codes_where(lambda row: row.confirmed_by is Confirmation.ALARM)
FaultKey = tuple[str, str, str, str]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one sweep says of one fault that a server may have: that it is there, or, with ``is_bad`` false, that not.

    ``zone`` is the cause; ``detail`` names the server and what is wrong with it. What passes by itself, as a transfer
    to a secondary does, is told only once it lasts for longer than ``passes_within``.
    """

    code: Code
    zone: str
    server: str
    is_bad: bool
    rrset: str = ""
    severity: Severity | None = None
    passes_within: timedelta = timedelta()
    detail: str = ""

    @property
    def key(self) -> FaultKey:
        """Return what tells faults apart."""
        return self.code, self.zone, self.rrset, self.server


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of one server. ``recent`` are its last looks, newest last: how severe, None for a good one.

    ``bad_looks`` are all since the last three good ones in a row. ``stands``: it was confirmed, and is told until it
    ends. ``severity`` is what two looks agree on.
    """

    code: Code
    zone: str
    server: str
    rrset: str = ""
    severity: Severity
    detail: str
    since_at: datetime
    recent: tuple[Severity | None, ...] = ()
    bad_looks: int = 0
    good_in_row: int = 0
    stands: bool = False

    @property
    def key(self) -> FaultKey:
        """Return what tells faults apart."""
        return self.code, self.zone, self.rrset, self.server


def weigh_looks(
    faults: Iterable[Fault], looks: Iterable[Look], at: datetime, *, alarm: bool = False
) -> tuple[Fault, ...]:
    """Return the faults after one more sweep.

    ``alarm``: polls had just found the zone bogus or dark, so that what servers say wrongly is seen the second time.
    """
    known = {fault.key: fault for fault in faults}
    counts = Counter(fault.code for fault in known.values())
    for key, look in {look.key: look for look in looks}.items():
        fault = known.get(key)
        if look.is_bad and (fault is not None or counts[look.code] < MOST_FAULTS):
            counts[look.code] += fault is None
            known[key] = _seen_bad(fault or _first(look, at), look, at, alarm=alarm)
        elif fault is not None and not look.is_bad:
            after = _seen_good(fault)
            known[key] = after
            if after.good_in_row >= GOOD_LOOKS_TO_END:
                del known[key]
    return tuple(known.values())


def _first(look: Look, at: datetime) -> Fault:
    return Fault(
        code=look.code,
        zone=look.zone,
        server=look.server,
        rrset=look.rrset,
        severity=look.severity or CATALOGUE[look.code].severity,
        detail=look.detail,
        since_at=at,
    )


def _seen_bad(fault: Fault, look: Look, at: datetime, *, alarm: bool) -> Fault:
    severity = look.severity or CATALOGUE[look.code].severity
    times = BAD_LOOKS_TO_CONFIRM if alarm and look.code in ALARMING else 1
    recent = (*fault.recent, *[severity] * times)[-LOOKS_REMEMBERED:]
    ranked = sorted((one for one in recent if one is not None), key=lambda one: one.rank, reverse=True)
    agreed = len(ranked) >= BAD_LOOKS_TO_CONFIRM
    often = agreed or fault.bad_looks + 1 >= LONE_LOOKS_TO_CONFIRM
    return msgspec.structs.replace(
        fault,
        severity=ranked[BAD_LOOKS_TO_CONFIRM - 1] if agreed else fault.severity,
        detail=look.detail,
        recent=recent,
        bad_looks=fault.bad_looks + 1,
        good_in_row=0,
        stands=fault.stands or (often and at - fault.since_at >= look.passes_within),
    )


def _seen_good(fault: Fault) -> Fault:
    recent = (*fault.recent, None)[-LOOKS_REMEMBERED:]
    return msgspec.structs.replace(fault, recent=recent, good_in_row=fault.good_in_row + 1)


def conditions_of_faults(faults: Iterable[Fault]) -> list[Condition]:
    """Return what stands, the faults of several servers with one cause as one condition that names them."""
    by_cause: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        if fault.stands:
            by_cause.setdefault(fault.key[:3], []).append(fault)
    found = []
    for (code, zone, rrset), group in by_cause.items():
        group.sort(key=lambda fault: fault.server)
        severity = max((fault.severity for fault in group), key=lambda one: one.rank)
        more = f"; and {len(group) - MOST_TOLD} more servers" if len(group) > MOST_TOLD else ""
        detail = "; ".join(fault.detail for fault in group[:MOST_TOLD]) + more
        servers = tuple(fault.server for fault in group)
        found.append(Condition(code, zone, rrset, severity, detail, servers=servers))
    return found

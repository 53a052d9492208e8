"""Sweeps of zones taken in one by one: what is remembered of a zone's servers, what stands, and what changed.

All that a sweep is held against is in ``ServerMemory``, which is stored with it: a process that takes up where another
one stopped goes on as that one would have.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from analyzer.detected import SERVERS, Condition, Drift
from analyzer.zones.cds import (
    asked_but_absent,
    delete_drift,
    look_for_invalid,
    look_for_pending,
    requests_delete,
)
from analyzer.zones.faults import GOOD_LOOKS_TO_END, Fault, Look, conditions_of_faults, weigh_looks
from analyzer.zones.nameservers import Delegation, follow_delegation, look_for_dangling, look_for_mismatch
from analyzer.zones.secondaries import look_for_short_signatures, look_for_stale
from analyzer.zones.serials import Newest, Serials
from analyzer.zones.servers import (
    look_for_answers,
    look_for_ds,
    look_for_keys,
    look_for_signatures,
    look_for_unreachable,
)
from analyzer.zones.sights import answering, is_delegation_known, side_of
from schemas.cause import is_of_name
from schemas.judgement import Number32, Verdict
from schemas.messages import ServerSight, Subject, ZoneSweep

MOVING_FOR = timedelta(hours=24)
FAR_FUTURE = timedelta(minutes=5)


class Answers(msgspec.Struct, frozen=True):
    """What one server gave for the watched names in the last sweep that it answered in, and under which serial."""

    serial: Number32 | None
    data: dict[str, tuple[str, ...]]


class ServerMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of the servers of one zone, after the sweep that was taken in last, at ``swept_at``.

    ``moving`` says by RRset and server when the server gave other data under the same serial. ``pending_since_at`` is
    since when the zone asks for a DS that the parent lacks. ``deletes``: it asked for no DS in the last sweep that
    could tell; ``deletes_not`` counts the sweeps since, in which it did not.
    """

    swept_at: datetime
    faults: tuple[Fault, ...] = ()
    delegation: Delegation = Delegation()
    serials: tuple[Newest, ...] = ()
    answers: dict[str, Answers] = {}
    moving: dict[str, dict[str, datetime]] = {}
    pending_since_at: datetime | None = None
    deletes: bool = False
    deletes_not: int = 0


def review_sweep(
    before: ServerMemory | None, sweep: ZoneSweep, at: datetime, is_watched: Callable[[str], bool]
) -> tuple[ServerMemory, list[Drift]]:
    """Return what is remembered after a sweep, and what changed by it.

    ``at`` is its instant by our own clock. ``is_watched`` tells of ``name TYPE`` whether anybody needs it: what a
    server said of a name that nobody needs any more is forgotten.
    """
    memory = before or ServerMemory(swept_at=at)
    own, parents = answering(side_of(sweep)), answering(side_of(sweep, parent=True))
    serials = Serials(own, memory.serials, at)
    answers, moving = _watch_answers(memory, own, at)
    delegation, drifts = follow_delegation(memory.delegation, sweep, at)
    pending_since_at = _pending_since(memory, sweep, own, parents, at)
    deletes, deletes_not, asked = _follow_delete(memory, sweep, own, parents)
    looks = [
        *look_for_unreachable(sweep),
        *look_for_signatures(sweep.zone, own, is_unsigned=sweep.verdict is Verdict.INSECURE),
        *look_for_signatures(sweep.parent, parents, is_unsigned=False),
        *look_for_keys(sweep, own, serials),
        *look_for_ds(sweep.zone, parents),
        *look_for_answers(sweep.zone, own, serials, moving),
        *look_for_stale(sweep.zone, own, serials),
        *look_for_short_signatures(sweep, own),
        *look_for_dangling(sweep),
        *look_for_mismatch(sweep, delegation.ns, serials),
        *look_for_invalid(sweep, own, serials),
        *look_for_pending(sweep, own, parents, memory.pending_since_at),
    ]
    looks = [*_look_for_gone(memory.faults, sweep), *looks]
    faults = weigh_looks(memory.faults, looks, at, alarm=sweep.alarm)
    after = ServerMemory(
        swept_at=at,
        faults=tuple(one for one in faults if not is_of_name(one.rrset) or is_watched(one.rrset)),
        delegation=delegation,
        serials=serials.kept,
        answers=answers,
        moving=moving,
        pending_since_at=pending_since_at,
        deletes=deletes,
        deletes_not=deletes_not,
    )
    return after, [*drifts, *asked]


def _look_for_gone(faults: Iterable[Fault], sweep: ZoneSweep) -> Iterable[Look]:
    """Return good looks at servers that are servers of the zone no more, where all that are there are known."""
    if not is_delegation_known(sweep):
        return
    present = {one.server for one in sweep.servers} | {one.name.casefold() for one in sweep.servers}
    present |= {text.partition(": ")[0].casefold() for text in sweep.unresolved}
    for fault in faults:
        if fault.server not in present:
            yield Look(code=fault.code, zone=fault.zone, rrset=fault.rrset, server=fault.server, is_bad=False)


def _watch_answers(
    memory: ServerMemory, own: Iterable[ServerSight], at: datetime
) -> tuple[dict[str, Answers], dict[str, dict[str, datetime]]]:
    """Return what servers answer now, and which of them changed data under one serial within a day."""
    answers = {one.server: Answers(one.serial, one.answers) for one in own}
    moving = {
        rrset: recent
        for rrset, servers in memory.moving.items()
        if (recent := {server: moved for server, moved in servers.items() if at - moved < MOVING_FOR})
    }
    for server, now in answers.items():
        earlier = memory.answers.get(server)
        if earlier is None or earlier.serial != now.serial:
            continue
        for rrset, data in now.data.items():
            if earlier.data.get(rrset, data) != data:
                moving[rrset] = {**moving.get(rrset, {}), server: at}
    return answers, moving


def _pending_since(
    memory: ServerMemory, sweep: ZoneSweep, own: Iterable[ServerSight], parents: list[ServerSight], at: datetime
) -> datetime | None:
    spoke = [one for one in own if parents]
    if not spoke:
        return memory.pending_since_at
    ds = {one for parent in parents for one in parent.ds}
    if any(asked_but_absent(sweep.zone, one, ds) for one in spoke):
        return memory.pending_since_at or at
    return None


def _follow_delete(
    memory: ServerMemory, sweep: ZoneSweep, own: list[ServerSight], parents: list[ServerSight]
) -> tuple[bool, int, list[Drift]]:
    """Return whether the zone asks for no DS, for how many sweeps it did not, and the drift if it asks anew."""
    servers = requests_delete(sweep, own, parents)
    if servers:
        return True, 0, [] if memory.deletes else [delete_drift(sweep, servers, parents)]
    if not own or not parents or not memory.deletes:
        return memory.deletes, memory.deletes_not, []
    times = memory.deletes_not + 1
    return times < GOOD_LOOKS_TO_END, times, []


@dataclass(frozen=True, slots=True)
class Review:
    """What a sweep comes to: its instant, what stands now, and what changed."""

    at: datetime
    conditions: list[Condition]
    drifts: list[Drift]
    memory: ServerMemory


class SweptZones(Mapping[Subject, ServerMemory]):
    """What is remembered of every zone's servers, by (zone, ``SERVERS``, vantage)."""

    def __init__(self) -> None:
        self._memories: dict[Subject, ServerMemory] = {}
        self._vantages: set[str] = set()

    def __getitem__(self, subject: Subject) -> ServerMemory:
        return self._memories[subject]

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._memories)

    def __len__(self) -> int:
        return len(self._memories)

    def restore(self, zone: str, vantage: str, memory: ServerMemory) -> None:
        """Take up what another process remembered of a zone."""
        self._memories[zone, SERVERS, vantage] = memory
        self._vantages.add(vantage)

    def take(self, sweep: ZoneSweep, now: datetime, is_watched: Callable[[str], bool]) -> Review | None:
        """Take a sweep in; None where a later one was taken in before, so that this one says nothing of now.

        A clock that is ahead of ours must not outdo all sweeps to come: what is from the future is from now.
        """
        subject = swept_subject(sweep)
        before = self._memories.get(subject)
        at = min(sweep.swept_at, now)
        if before is not None and at < before.swept_at and before.swept_at - now < FAR_FUTURE:
            return None
        memory, drifts = review_sweep(before, sweep, at, is_watched)
        self.restore(sweep.zone, sweep.vantage, memory)
        return Review(at, conditions_of_faults(memory.faults), drifts, memory)

    def conditions(self) -> Iterator[tuple[Subject, Condition, datetime]]:
        """Yield what stands in each zone, and when that was seen last."""
        for subject, memory in self._memories.items():
            for condition in conditions_of_faults(memory.faults):
                yield subject, condition, memory.swept_at

    def of_zone(self, zone: str) -> list[Subject]:
        """Return the subjects of one zone."""
        return [subject for vantage in sorted(self._vantages) if (subject := (zone, SERVERS, vantage)) in self]

    def drop(self, subject: Subject) -> None:
        """Forget a zone that nothing is watched in."""
        self._memories.pop(subject, None)


def swept_subject(sweep: ZoneSweep) -> Subject:
    """Return under which subject a sweep's findings are held open."""
    return sweep.zone, SERVERS, sweep.vantage


_decoder = msgspec.json.Decoder(ServerMemory)


def write_memory(memory: ServerMemory) -> str:
    """Return what is remembered as JSON."""
    return msgspec.json.encode(memory).decode()


def read_memory(text: str) -> ServerMemory:
    """Return what was remembered."""
    return _decoder.decode(text)

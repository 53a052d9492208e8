"""What is polled: every name and type that identities consume, through every vantage; and what of it has changed.

A roster is compared whole, which takes seconds for a million rows and is for a thread; what comes of it is only what
is different, so that the loop that polls has little to do.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from publicsuffixlist import PublicSuffixList

from collector.dnssec import names, records
from collector.dnssec.names import Name
from collector.polling.memory import PollTarget
from collector.polling.registrable import registrable_domain
from schemas.messages import Identity

SharedZone = tuple[str, str]
PLAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class RosterChange:
    """What is different: ``added`` each with the zone and vantage that it probably shares; ``gone``.

    Of ``changed`` the identities expect something else than before. ``hosts`` is how many names there are now.
    """

    hosts: int = 0
    added: Sequence[tuple[PollTarget, SharedZone]] = ()
    gone: Sequence[PollTarget] = ()
    changed: Sequence[PollTarget] = ()

    def parts(self, most: int) -> Iterator["RosterChange"]:
        """Return it in parts of at most so many subjects, those that are gone first; at least one."""
        size = max(len(self.gone), len(self.changed), len(self.added), 1)
        for start in range(0, size, most):
            end = start + most
            yield RosterChange(self.hosts, self.added[start:end], self.gone[start:end], self.changed[start:end])


@dataclass(frozen=True, slots=True)
class Roster:
    """The identities, and which types are polled of each host; every host has one spelling here."""

    identities: dict[str, Identity] = field(default_factory=dict)
    types_by_host: dict[str, tuple[int, ...]] = field(default_factory=dict)


def compare(
    known: Roster,
    identities: list[Identity],
    vantages: Sequence[str],
    is_ours: Callable[[Name], bool],
    suffixes: PublicSuffixList,
) -> tuple[Roster, RosterChange]:
    """Return the new roster and what is different from the known one; of names that are not ours nothing is polled.

    ``identities`` is emptied on the way: a million rows that are freed at one stroke stop every thread meanwhile.
    """
    by_id: dict[str, Identity] = {}
    consumed: dict[str, tuple[str, ...]] = {}
    altered: list[str] = []
    identities.reverse()
    while identities:
        identity = identities.pop()
        before = known.identities.get(identity.id)
        is_same = before == identity
        if before is not None and is_same:
            identity = before
        by_id[identity.id] = identity
        for endpoint in identity.endpoints:
            types = consumed.setdefault(endpoint.host, endpoint.types)
            if types != endpoint.types:
                consumed[endpoint.host] = tuple(dict.fromkeys((*types, *endpoint.types)))
        if not is_same and known.identities:
            altered += (endpoint.host for endpoint in identity.endpoints)
    for left in known.identities.keys() - by_id.keys():
        altered += (endpoint.host for endpoint in known.identities[left].endpoints)  # what it expected counts no more
    ours = _types_by_host(consumed, is_ours)
    change = compare_types(known.types_by_host, ours, {_spelled(host) for host in altered}, vantages, suffixes)
    return Roster(by_id, ours), change


def _types_by_host(consumed: dict[str, tuple[str, ...]], is_ours: Callable[[Name], bool]) -> dict[str, tuple[int, ...]]:
    numbers: dict[tuple[str, ...], tuple[int, ...]] = {}
    found: dict[str, tuple[int, ...]] = {}
    for host, texts in consumed.items():
        if not is_ours(names.from_text(host)):
            continue
        if texts not in numbers:
            numbers[texts] = tuple(dict.fromkeys(records.type_from_text(text) for text in texts))
        spelled = _spelled(host)
        types = found.setdefault(spelled, numbers[texts])
        if types != numbers[texts]:
            found[spelled] = tuple(dict.fromkeys((*types, *numbers[texts])))
    return found


def _spelled(host: str) -> str:
    """Return the one spelling of a name that all of its spellings share."""
    return host if PLAIN.fullmatch(host) else names.to_text(names.from_text(host)).removesuffix(".") or "."


def compare_types(
    known: dict[str, tuple[int, ...]],
    ours: dict[str, tuple[int, ...]],
    altered: set[str],
    vantages: Sequence[str],
    suffixes: PublicSuffixList,
) -> RosterChange:
    """Return what is different between two rosters; of ``altered`` hosts the identities expect something else."""
    added: list[tuple[PollTarget, SharedZone]] = []
    gone: list[PollTarget] = []
    changed: list[PollTarget] = []
    for host, types in ours.items():
        had = known.get(host, ())
        if had != types:
            new = _subjects(host, [one for one in types if one not in had], vantages)
            zone = registrable_domain(names.from_text(host), suffixes) if new else ""
            added += ((one, (zone, one.vantage)) for one in new)
            gone += _subjects(host, [one for one in had if one not in types], vantages)
        if host in altered:
            changed += _subjects(host, [one for one in had if one in types], vantages)
    for host, had in known.items():
        if host not in ours:
            gone += _subjects(host, had, vantages)
    return RosterChange(len(ours), added, gone, changed)


def _subjects(host: str, types: Iterable[int], vantages: Sequence[str]) -> list[PollTarget]:
    name = names.from_text(host)
    return [PollTarget(name, rdtype, vantage) for rdtype in types for vantage in vantages]


def subjects_of(identities: Iterable[Identity], vantages: Sequence[str]) -> list[PollTarget]:
    """Return every (name, type, vantage) that the identities consume, each once, in a stable order."""
    wanted = {
        (names.from_text(endpoint.host), records.type_from_text(rdtype))
        for identity in identities
        for endpoint in identity.endpoints
        for rdtype in endpoint.types
    }
    return [PollTarget(name, rdtype, vantage) for name, rdtype in sorted(wanted) for vantage in vantages]

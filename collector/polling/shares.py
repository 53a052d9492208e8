"""Which worker polls what: names of one zone share a chain, so they go to one; a large zone is split. Pure."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from publicsuffixlist import PublicSuffixList

from collector.dnssec import names
from collector.polling.memory import PollTarget
from collector.polling.registrable import registrable_domain
from collector.polling.roster import Roster, RosterChange, compare_types


class Shares:
    """Divides what is polled among ``workers``, numbered from 0.

    A zone with more than its part of all, as it was first seen, is split by name. That is decided once for each zone,
    so that an endpoint stays where it is polled.
    """

    def __init__(self, workers: int, suffixes: PublicSuffixList) -> None:
        self._workers, self._suffixes = workers, suffixes
        self._total = 0
        self._known: set[str] = set()
        self._split: set[str] = set()

    def divide(self, change: RosterChange) -> list[RosterChange]:
        """Return what each worker is to be told of a change, by its number."""
        if self._workers == 1:
            return [change]
        self._note_large(change)
        return self._parts_of(change)

    def _parts_of(self, change: RosterChange) -> list[RosterChange]:
        added: list[list[tuple[PollTarget, tuple[str, str]]]] = [[] for _ in range(self._workers)]
        gone: list[list[PollTarget]] = [[] for _ in range(self._workers)]
        changed: list[list[PollTarget]] = [[] for _ in range(self._workers)]
        for target, zone in change.added:
            added[self._worker_of(target, zone[0])].append((target, zone))
        for targets, parts in ((change.gone, gone), (change.changed, changed)):
            for target in targets:
                parts[self._worker_of(target, registrable_domain(target.name, self._suffixes))].append(target)
        return [
            replace(change, added=added[number], gone=gone[number], changed=changed[number])
            for number in range(self._workers)
        ]

    def all_of(self, worker: int, roster: Roster, vantages: Sequence[str]) -> RosterChange:
        """Return all that a worker polls, for one that begins anew; takes seconds for a million rows."""
        whole = compare_types({}, roster.types_by_host, set(), vantages, self._suffixes)
        return self._parts_of(whole)[worker]

    def _note_large(self, change: RosterChange) -> None:
        counts = Counter(zone for _, (zone, _vantage) in change.added if zone not in self._known)
        self._total += len(change.added) - len(change.gone)
        most = max(self._total / self._workers, 1)
        self._split.update(zone for zone, count in counts.items() if count > most)
        self._known.update(counts)

    def _worker_of(self, target: PollTarget, zone: str) -> int:
        return _number(names.to_text(target.name) if zone in self._split else zone) % self._workers


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

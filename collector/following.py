"""Follows the inventory: reads it where it has changed, in a thread, and says what that means for what is polled."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from collector.config import CollectorConfig
from collector.dnssec import names
from collector.inventory.differences import Difference, find_differences
from collector.inventory.rows import Inventory
from collector.polling.outbox import Outbox
from collector.polling.registrable import public_suffixes
from collector.polling.roster import Roster, RosterChange, compare
from schemas.codes import Code
from schemas.messages import Message

log = logging.getLogger(__name__)

RELOAD_CHECK_S = 5.0
LONGEST_READ_S = 300.0
"""A million rows take half a minute: what takes longer hangs."""
HANGS = (
    f"the sources could not be looked at for {LONGEST_READ_S / 60:g} min, so the file system of one of them hangs; what"
    " was read before stays watched: look at the mounts of this machine"
)
MOST_LOGGED = 10


class InventoryFeed(Protocol):
    """Where the collector learns what to watch; ``is_ours`` apart, it is asked by one thread at a time.

    ``troubles`` maps what can't be read to one sentence, ``shrunk`` what lost too many rows.
    """

    troubles: dict[str, str]
    shrunk: dict[str, str]

    def changed(self) -> bool:
        """Return whether ``load`` would return something else than the last time; blocks, on a disk that hangs long."""
        ...

    def load(self) -> Inventory:
        """Return the inventory as it is now; blocks, for a large one long."""
        ...

    def news(self, now: float) -> list[Message]:
        """Return what others must be told of the inventory since the last ``load``."""
        ...

    def is_ours(self, name: names.Name) -> bool:
        """Return whether it is for this collector to poll a name."""
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """What a reading of the inventory came to: what is polled now, what of it is different, and what is to be told.

    ``difference`` is by identity, None of the first reading: nothing is known before it.
    """

    roster: Roster
    change: RosterChange
    messages: list[Message]
    problems: int
    difference: Difference | None = None


class InventoryFollower:
    """Reads an inventory again and again; ``clock`` returns POSIX seconds, ``wake`` is called when a reading is over.

    The reading outlives the loop that asks for it, so that there are never two threads at one feed; one that hangs
    holds nobody up, and is told. ``changes`` counts the identities that came, went and changed since the first reading.
    """

    def __init__(
        self, config: CollectorConfig, feed: InventoryFeed, clock: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        self._config, self._feed, self._clock, self._wake = config, feed, clock, wake
        self._suffixes = public_suffixes()
        self._reports = Outbox(config.by)
        self._is_wanted = False
        self._next_check = float("-inf")
        self._reading: asyncio.Task[Read | None] | None = None
        self._began_at = 0.0
        self._hangs = False
        self.roster = Roster()
        self.changes: Counter[str] = Counter()

    def reload_soon(self) -> None:
        """Read the inventory again at the next occasion, changed or not."""
        self._is_wanted = True
        self._wake()

    def look_again(self) -> None:
        """Look at the next occasion whether it has changed."""
        self._next_check = float("-inf")

    def look(self, now: float) -> Read | None:
        """Begin to look at the inventory where it is time; return what a reading came to, once it is over.

        ``now`` is in seconds that only run on.

        Raises:
            Exception: the feed has crashed.
        """
        if self._reading is None:
            if self._is_wanted or now >= self._next_check:
                self._next_check, self._began_at = now + RELOAD_CHECK_S, now
                is_wanted, self._is_wanted = self._is_wanted, False
                self._reading = asyncio.create_task(asyncio.to_thread(self._read_if_changed, is_wanted))
                self._reading.add_done_callback(lambda _: self._wake())
            return None
        if not self._reading.done():
            self._hangs = now - self._began_at > LONGEST_READ_S
            return None
        reading, self._reading = self._reading, None
        # What was told of a look that hung is over only once all is read.
        self._is_wanted, self._hangs = self._is_wanted or self._hangs, False
        read = reading.result()
        if read is None:
            return None
        log.info("inventory read", extra={"identities": len(read.roster.identities), "problems": read.problems})
        if read.difference:
            first = list(islice(read.difference.lines(), MOST_LOGGED))
            log.info("inventory changed", extra={**read.difference.counts, "first": first})
            self.changes.update(read.difference.counts)
        self.roster = read.roster
        return read

    def tell_again(self) -> Sequence[Message]:
        """Return what is still wrong with the inventory, where it is time to tell it again."""
        at = self._clock()
        if self._hangs:
            for source in self._config.sources:
                self._reports.add(*self._reports.news_of(Code.SELF_INVENTORY_STALE, source.key, HANGS, at))
        self._reports.tell_again(at, of_vantages=False)
        return self._reports.take()

    def _read_if_changed(self, is_wanted: bool) -> Read | None:
        return self._read() if is_wanted or self._feed.changed() else None

    def _read(self) -> Read:
        """Read the inventory and compare it with what is known of it; blocks."""
        inventory = self._feed.load()
        identities, problems = list(inventory.identities), len(inventory.problems)
        del inventory  # the rows are freed one by one
        vantages = self._config.vantage_names
        known = self.roster.identities
        roster, change = compare(self.roster, identities, vantages, self._feed.is_ours, self._suffixes)
        difference = find_differences(known, roster.identities) if known else None
        at = self._clock()
        return Read(roster, change, [*self._feed.news(at), *self._report(at)], problems, difference)

    def _report(self, at: float) -> Sequence[Message]:
        told = ((Code.SELF_INVENTORY_STALE, self._feed.troubles), (Code.SELF_INVENTORY_SHRUNK, self._feed.shrunk))
        return [
            message
            for source in self._config.sources
            for code, details in told
            for message in self._reports.news_of(code, source.key, details.get(source.key, ""), at)
        ]

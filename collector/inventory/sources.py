"""Read the sources, notice when they change, and keep the last good rows of one that can't be read or shrank."""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from collector.config import InventorySource
from collector.dnssec.names import Name
from collector.inventory.formats.known import Document, Options, read_documents
from collector.inventory.retention import Judged, Kept, Limits, adopt_rows, describe_unread, judge_source, keep_unread
from collector.inventory.rows import Inventory, merge_inventories
from collector.inventory.store import Store
from collector.inventory.supplies.cluster import Cluster
from collector.inventory.supplies.files import Disk, FileSystem, open_files
from collector.inventory.supplies.polled import Polled
from collector.inventory.supplies.supply import Delivery, Supply
from collector.inventory.supplies.web import WebDocument
from schemas.messages import Act, Identity, InventoryIndex, InventorySnapshot, Message, utc
from schemas.wire import digest_of

log = logging.getLogger(__name__)

LONGEST_STEP_S = 600.0
"""Two looks further apart than this count as this far apart: what a source said meanwhile, nobody saw."""
MOST_NOTES_LOGGED = 5


@dataclass(frozen=True, slots=True)
class FileMark:
    """Which version of a source was read: the SHA-256 of its content, and when it was written."""

    digest: str
    mtime_ns: int


def load_source(source: InventorySource, *, keeps_places: bool = False) -> Inventory:
    """Return one source's inventory, its bad rows as problems; of one on the web it waits for the answer.

    Raises:
        ValueError: the source as a whole can't be used; the sentence has the place.
    """
    return read_delivery(source, open_supply(source, FileSystem()).read(), keeps_places=keeps_places)


def parse_source(source: InventorySource, content: bytes) -> Inventory:
    """Return the inventory in a file's content; a file of nothing but white space is an inventory of nobody.

    Raises:
        ValueError: the file as a whole can't be used; the sentence has the place.
    """
    return read_delivery(source, Delivery((Document("", source.key, content),)))


def read_delivery(source: InventorySource, delivery: Delivery, *, keeps_places: bool = False) -> Inventory:
    """Return the inventory in what a source delivered.

    Raises:
        ValueError: the source as a whole can't be used; the sentence has the place.
    """
    options = Options(source.format, source.identity, source.defaults, source.env_urls, keeps_places)
    read = read_documents(delivery.documents, options)
    notes, unread = (*delivery.notes, *read.notes), (*delivery.unread, *read.unread)
    return replace(read, notes=notes, unread=unread) if notes or unread else read


def open_supply(source: InventorySource, disk: Disk, stopwatch: Callable[[], float] = time.monotonic) -> Supply:
    """Return where the documents of a source come from; ``disk`` has files, ``stopwatch`` the time for the others."""
    web = source.web
    if web is None:
        return open_files(source, disk)
    fetch = Cluster(web, env_urls=source.env_urls).fetch if web.is_cluster else WebDocument(web).fetch
    return Polled(web.name, fetch, web.every_s, web.timeout_s, stopwatch)


class InventorySources:
    """The inventory sources of a running watch, all of it for one collector.

    ``troubles`` and ``shrunk`` map the key of a source to one sentence: what of it can't be read, and what of it is
    missing. ``marks`` has the version of each source that was read last. ``clock`` returns POSIX seconds, ``stopwatch``
    seconds that nobody sets. ``disk`` has the files, by default the file system.
    """

    def __init__(
        self,
        sources: Sequence[InventorySource],
        vantages: tuple[str, ...],
        state: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
        disk: Disk | None = None,
    ) -> None:
        files = disk or FileSystem()
        self._supplies = {source.key: open_supply(source, files, stopwatch) for source in sources}
        self._sources, self._vantages = tuple(sources), vantages
        self._store = Store(state)
        self._clock, self._stopwatch = clock, stopwatch
        self._identities: dict[str, Identity] = {}
        self._told: dict[str, Identity] = {}
        self._removed: dict[str, str] = {}
        self._stamps: dict[str, tuple[object, object]] = {}
        self._looked_at: dict[str, float] = {}
        self._due_at: dict[str, float] = {}
        self._unknown: set[str] = set()
        self._noted: dict[str, tuple[str, ...]] = {}
        self._acts: list[Act] = []
        self.troubles: dict[str, str] = {}
        self.shrunk: dict[str, str] = {}
        self.marks: dict[str, FileMark] = {}
        self.source_of: dict[str, str] = {}

    @property
    def is_complete(self) -> bool:
        """Return whether of every source good rows are known: of one that has none, nobody knows who is in it."""
        return not self._unknown

    def is_ours(self, name: Name) -> bool:
        """Return True."""
        return True

    def changed(self) -> bool:
        """Return whether ``load`` would return something else: a file differs, or a loss may be accepted by now."""
        if any(self._stamps.get(source.key, ()) != self._stamp(source) for source in self._sources):
            return True
        now = self._stopwatch()
        return any(now >= due for due in self._due_at.values())

    def adopt(self, rows_by_key: Mapping[str, Sequence[Identity]]) -> None:
        """Take as last good rows what other processes know of a source, by its key."""
        for source in self._sources:
            rows = rows_by_key.get(source.key, ())
            kept = self._store.load(source.key)
            adopted = adopt_rows(kept, rows, utc(self._clock()))
            if adopted is not kept:
                self._store.save(source.key, adopted)

    def load(self) -> Inventory:
        """Read all sources; of one that can't be read, or lost too much, the last good rows count."""
        read = {source.key: self._read(source) for source in self._sources}
        parts = []
        gone: dict[str, str] = {}
        for source in self._sources:
            inventory = read[source.key]
            others = (one for key, one in read.items() if key != source.key and isinstance(one, Inventory))
            elsewhere = {identity.id for other in others for identity in other.identities}
            judged = self._judge(source, inventory, elsewhere)
            gone.update(dict.fromkeys(judged.removed, source.key))
            problems = inventory.problems if isinstance(inventory, Inventory) else (str(inventory),)
            parts.append((source, Inventory(judged.kept.identities, problems)))
        merged = merge_inventories(part for _, part in parts)
        self._identities = {identity.id: identity for identity in merged.identities}
        self.source_of = {one.id: source.key for source, part in reversed(parts) for one in part.identities}
        self._removed.update({key: path for key, path in gone.items() if key not in self._identities})
        if self._store.trouble:
            key = self._sources[0].key
            self.troubles[key] = " | ".join(filter(None, (self.troubles.get(key), self._store.trouble)))
        return merged

    def removed(self) -> dict[str, str]:
        """Return the ids that left since they were last taken, each with the path of the source that had it."""
        removed, self._removed = self._removed, {}
        return {key: path for key, path in removed.items() if key not in self._identities}

    def news(self, now: float) -> list[Message]:
        """Return who is new, changed or gone, and who there is; of what can't be read nobody is said to be gone."""
        at = utc(now)
        changed = [identity for key, identity in self._identities.items() if self._told.get(key) != identity]
        self._told = dict(self._identities)
        ids = tuple(self._identities) if self.is_complete else None
        return [
            *(InventorySnapshot(id=i.id, seen_at=at, identity=i, source=self.source_of[i.id]) for i in changed),
            *(InventorySnapshot(id=k, seen_at=at, identity=None, source=path) for k, path in self.removed().items()),
            InventoryIndex(seen_at=at, ids=ids, vantages=self._vantages),
            *self.take_acts(),
        ]

    def take_acts(self) -> list[Act]:
        """Return which losses were accepted since the last call, by whom and why."""
        acts, self._acts = self._acts, []
        return acts

    def _read(self, source: InventorySource) -> Inventory | ValueError:
        key = source.key
        self._stamps[key] = self._stamp(source)
        try:
            delivery = self._supplies[key].read()
            if delivery.stamp is not None:
                self._stamps[key] = delivery.stamp, self._stamps[key][1]
            inventory = read_delivery(source, delivery)
        except ValueError as error:
            return error
        self.marks[key] = FileMark(_digest_of(delivery), delivery.written_ns)
        if inventory.notes and self._noted.get(key) != inventory.notes:
            shown = list(inventory.notes[:MOST_NOTES_LOGGED])
            log.info("not watchable", extra={"source": key, "count": len(inventory.notes), "first": shown})
        self._noted[key] = inventory.notes
        return inventory

    def _judge(self, source: InventorySource, read: Inventory | ValueError, elsewhere: set[str]) -> Judged:
        """Decide what is watched of a source, remember it, and note what there is to tell."""
        key = source.key
        kept = self._store.load(key)
        if isinstance(read, ValueError):
            self._looked_at.pop(key, None)
            shrunk = self.shrunk.get(key) or describe_unread(kept)
            judged = Judged(kept=keep_unread(kept), stale=_stale_file(read, kept), shrunk=shrunk)
        else:
            now, last = self._stopwatch(), self._looked_at.get(key)
            self._looked_at[key] = now
            judged = judge_source(
                kept,
                read,
                Limits(max_shrink=source.max_shrink, accept_after_s=source.accept_after_s),
                now=utc(self._clock()),
                elapsed_s=min(now - last, LONGEST_STEP_S) if last is not None else 0.0,
                elsewhere=elsewhere,
                acceptance=self._store.acceptance(key),
            )
            judged = self._marked(judged, key)
        self._remember(source, judged)
        return judged

    def _marked(self, judged: Judged, key: str) -> Judged:
        """Note beside good rows which version of the source they are from."""
        mark = self.marks.get(key)
        if judged.shrunk or mark is None:
            return judged
        kept = msgspec.structs.replace(judged.kept, file_digest=mark.digest, file_mtime_ns=mark.mtime_ns)
        return Judged(
            kept=kept,
            shrunk=judged.shrunk,
            stale=judged.stale,
            removed=judged.removed,
            acceptance=judged.acceptance,
        )

    def _remember(self, source: InventorySource, judged: Judged) -> None:
        key = source.key
        self._store.save(key, judged.kept)
        (self._unknown.discard if judged.kept.is_known else self._unknown.add)(key)
        for told, sentence in ((self.troubles, judged.stale), (self.shrunk, judged.shrunk)):
            told.pop(key, None)
            if sentence:
                told[key] = sentence
        self._due_at.pop(key, None)
        if judged.kept.pending is not None:
            self._due_at[key] = self._stopwatch() + min(LONGEST_STEP_S / 2, max(source.accept_after_s / 4, 1.0))
        if judged.acceptance is not None:
            one = judged.acceptance
            log.info(
                "inventory accepted", extra={"source": key, "who": one.who, "why": one.why, "gone": len(judged.removed)}
            )
            identity = digest_of("accept_inventory", key, one.digest, one.at.isoformat())[:32]
            self._acts.append(
                Act(id=identity, kind="accept_inventory", by=one.who, at=one.at, why=one.why, subject=key)
            )

    def _stamp(self, source: InventorySource) -> tuple[object, object]:
        return self._supplies[source.key].stamp(), self._store.acceptance_stamp(source.key)


def _digest_of(delivery: Delivery) -> str:
    if len(delivery.documents) == 1 and not delivery.documents[0].name:
        return hashlib.sha256(delivery.documents[0].content).hexdigest()
    whole = hashlib.sha256()
    for document in delivery.documents:
        whole.update(f"{document.name}\0{len(document.content)}\0".encode())
        whole.update(document.content)
    return whole.hexdigest()


def _stale_file(error: ValueError, kept: Kept) -> str:
    if not kept.is_known:
        return f"{error}; no earlier version of it is known, so nothing of it is watched"
    return f"{error}; its last good {len(kept.identities)} rows stay watched"

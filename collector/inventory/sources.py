"""Read inventory files, notice when they change, and keep the last good rows of one that can't be read or shrank."""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from collector.config import InventorySource
from collector.dnssec.names import Name
from collector.inventory.documents import decode_text, read_rows
from collector.inventory.retention import Judged, Kept, Limits, adopt_rows, describe_unread, judge_source, keep_unread
from collector.inventory.rows import Inventory, merge_inventories, read_identities
from collector.inventory.store import Store
from schemas.messages import Act, Identity, InventoryIndex, InventorySnapshot, Message, utc
from schemas.wire import digest_of

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 256 * 1024 * 1024
LONGEST_STEP_S = 600.0
"""Two looks further apart than this count as this far apart: what a source said meanwhile, nobody saw."""

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FileMark:
    """Which version of a file was read: the SHA-256 of its content, and when it was written."""

    digest: str
    mtime_ns: int


def load_source(source: InventorySource) -> Inventory:
    """Return one source's inventory, its bad rows as problems.

    Raises:
        ValueError: the file as a whole can't be used; the sentence has the place.
    """
    return parse_source(source, read_file(source.path))


def read_file(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        ValueError: it can't be read, or is too large.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror}") from error


def parse_source(source: InventorySource, content: bytes) -> Inventory:
    """Return the inventory in a file's content; a file of nothing but white space is an inventory of nobody.

    Raises:
        ValueError: the file as a whole can't be used; the sentence has the place.
    """
    text = decode_text(content, str(source.path))
    if not text.strip():
        return Inventory()
    return read_identities(read_rows(text, source.format, str(source.path)))


class Disk(Protocol):
    """Where inventory files are."""

    def read(self, path: Path) -> bytes:
        """Return a file's content.

        Raises:
            ValueError: it can't be read; the sentence has the place.
        """
        ...

    def stamp(self, path: Path) -> Stamp | None:
        """Return what changes when a file is written anew, None while there is none."""
        ...


class FileSystem:
    """The file system of this machine."""

    def read(self, path: Path) -> bytes:
        """Return a file's content."""
        return read_file(path)

    def stamp(self, path: Path) -> Stamp | None:
        """Return when a file was written, its size and its number."""
        try:
            status = path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


class InventorySources:
    """The inventory sources of a running watch, all of it for one collector.

    ``troubles`` and ``shrunk`` map the path of a source to one sentence: what of it can't be read, and what of it is
    missing. ``marks`` has the version of each file that was read last. ``clock`` returns POSIX seconds, ``stopwatch``
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
        self._disk: Disk = disk or FileSystem()
        self._sources, self._vantages = tuple(sources), vantages
        self._store = Store(state)
        self._clock, self._stopwatch = clock, stopwatch
        self._identities: dict[str, Identity] = {}
        self._told: dict[str, Identity] = {}
        self._removed: dict[str, str] = {}
        self._stamps: dict[Path, tuple[Stamp | None, Stamp | None]] = {}
        self._looked_at: dict[Path, float] = {}
        self._due_at: dict[Path, float] = {}
        self._unknown: set[Path] = set()
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
        if any(self._stamps.get(source.path, ()) != self._stamp(source) for source in self._sources):
            return True
        now = self._stopwatch()
        return any(now >= due for due in self._due_at.values())

    def adopt(self, rows_by_path: Mapping[str, Sequence[Identity]]) -> None:
        """Take as last good rows what other processes know of a source, by its path."""
        for source in self._sources:
            rows = rows_by_path.get(str(source.path), ())
            kept = self._store.load(source.path)
            adopted = adopt_rows(kept, rows, utc(self._clock()))
            if adopted is not kept:
                self._store.save(source.path, adopted)

    def load(self) -> Inventory:
        """Read all sources; of one that can't be read, or lost too much, the last good rows count."""
        read = {source.path: self._read(source) for source in self._sources}
        parts = []
        gone: dict[str, str] = {}
        for source in self._sources:
            inventory = read[source.path]
            others = (one for path, one in read.items() if path != source.path and isinstance(one, Inventory))
            elsewhere = {identity.id for other in others for identity in other.identities}
            judged = self._judge(source, inventory, elsewhere)
            gone.update(dict.fromkeys(judged.removed, str(source.path)))
            problems = inventory.problems if isinstance(inventory, Inventory) else (str(inventory),)
            parts.append((source, Inventory(judged.kept.identities, problems)))
        merged = merge_inventories(part for _, part in parts)
        self._identities = {identity.id: identity for identity in merged.identities}
        self.source_of = {one.id: str(source.path) for source, part in reversed(parts) for one in part.identities}
        self._removed.update({key: path for key, path in gone.items() if key not in self._identities})
        if self._store.trouble:
            path = str(self._sources[0].path)
            self.troubles[path] = " | ".join(filter(None, (self.troubles.get(path), self._store.trouble)))
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
        self._stamps[source.path] = self._stamp(source)
        stamp = self._stamps[source.path][0]
        try:
            content = self._disk.read(source.path)
            inventory = parse_source(source, content)
        except ValueError as error:
            return error
        self.marks[str(source.path)] = FileMark(hashlib.sha256(content).hexdigest(), stamp[0] if stamp else 0)
        return inventory

    def _judge(self, source: InventorySource, read: Inventory | ValueError, elsewhere: set[str]) -> Judged:
        """Decide what is watched of a source, remember it, and note what there is to tell."""
        path, kept = source.path, self._store.load(source.path)
        if isinstance(read, ValueError):
            self._looked_at.pop(path, None)
            shrunk = self.shrunk.get(str(path)) or describe_unread(kept)
            judged = Judged(kept=keep_unread(kept), stale=_stale_file(read, kept), shrunk=shrunk)
        else:
            now, last = self._stopwatch(), self._looked_at.get(path)
            self._looked_at[path] = now
            judged = judge_source(
                kept,
                read,
                Limits(max_shrink=source.max_shrink, accept_after_s=source.accept_after_s),
                now=utc(self._clock()),
                elapsed_s=min(now - last, LONGEST_STEP_S) if last is not None else 0.0,
                elsewhere=elsewhere,
                acceptance=self._store.acceptance(path),
            )
            judged = self._marked(judged, str(path))
        self._remember(source, judged)
        return judged

    def _marked(self, judged: Judged, path: str) -> Judged:
        """Note beside good rows which version of the file they are from."""
        mark = self.marks.get(path)
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
        path, key = source.path, str(source.path)
        self._store.save(path, judged.kept)
        (self._unknown.discard if judged.kept.is_known else self._unknown.add)(path)
        for told, sentence in ((self.troubles, judged.stale), (self.shrunk, judged.shrunk)):
            told.pop(key, None)
            if sentence:
                told[key] = sentence
        self._due_at.pop(path, None)
        if judged.kept.pending is not None:
            self._due_at[path] = self._stopwatch() + min(LONGEST_STEP_S / 2, max(source.accept_after_s / 4, 1.0))
        if judged.acceptance is not None:
            one = judged.acceptance
            log.info(
                "inventory accepted", extra={"source": key, "who": one.who, "why": one.why, "gone": len(judged.removed)}
            )
            identity = digest_of("accept_inventory", key, one.digest, one.at.isoformat())[:32]
            self._acts.append(
                Act(id=identity, kind="accept_inventory", by=one.who, at=one.at, why=one.why, subject=key)
            )

    def _stamp(self, source: InventorySource) -> tuple[Stamp | None, Stamp | None]:
        return self._disk.stamp(source.path), self._store.acceptance_stamp(source.path)


def _stale_file(error: ValueError, kept: Kept) -> str:
    if not kept.is_known:
        return f"{error}; no earlier version of it is known, so nothing of it is watched"
    return f"{error}; its last good {len(kept.identities)} rows stay watched"

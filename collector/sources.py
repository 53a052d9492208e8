"""Read inventory files, notice when they change, and keep the last good rows of one that can't be read."""

from collections.abc import Sequence

from collector.config import Source
from collector.documents import read_rows
from collector.inventory import Inventory, merge_inventories, read_identities
from collector.names import Name
from schemas.messages import Identity, InventoryIndex, InventorySnapshot, Message, utc

MAX_FILE_BYTES = 256 * 1024 * 1024


def load_source(source: Source) -> Inventory:
    """Return one source's inventory, its bad rows as problems.

    Raises:
        ValueError: the file as a whole can't be used; the sentence has the place.
    """
    try:
        if source.path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"{source.path}: larger than {MAX_FILE_BYTES >> 20} MiB")
        text = source.path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{source.path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{source.path}: not UTF-8 at octet {error.start}") from error
    return read_identities(read_rows(text, source.format, str(source.path)))


class Sources:
    """The inventory sources of a running watch, all of it for one collector."""

    def __init__(self, sources: Sequence[Source], vantages: tuple[str, ...]) -> None:
        self._sources, self._vantages = tuple(sources), vantages
        self._identities: dict[str, Identity] = {}
        self._told: dict[str, Identity] = {}
        self._good: dict[Source, Inventory] = {}
        self._stamps: dict[Source, tuple[int, int, int] | None] = {}
        self._unknown: set[Source] = set()
        self.troubles: dict[str, str] = {}

    @property
    def is_complete(self) -> bool:
        """Return whether every source was read once: of one that never was, nobody knows who is in it."""
        return not self._unknown

    def is_ours(self, name: Name) -> bool:
        """Return True."""
        return True

    def changed(self) -> bool:
        """Return whether any file differs from when it was last read."""
        return any(self._stamps.get(source, ()) != self._stamp(source) for source in self._sources)

    def load(self) -> Inventory:
        """Read all sources; one that can't be read keeps its last good rows and is named in ``troubles``.

        ``troubles`` maps a path to one sentence, for whole files and for rows alike.
        """
        parts = []
        for source in self._sources:
            self._stamps[source] = self._stamp(source)
            try:
                inventory = load_source(source)
            except ValueError as error:
                self.troubles[str(source.path)] = str(error)
                inventory = self._good.get(source, Inventory())
                if source not in self._good:
                    self._unknown.add(source)
                parts.append(Inventory(inventory.identities, (str(error),)))
                continue
            self._good[source] = inventory
            self._unknown.discard(source)
            if inventory.problems:
                more = f" (and {len(inventory.problems) - 1} more)" if len(inventory.problems) > 1 else ""
                self.troubles[str(source.path)] = inventory.problems[0] + more
            else:
                self.troubles.pop(str(source.path), None)
            parts.append(inventory)
        merged = merge_inventories(parts)
        self._identities = {identity.id: identity for identity in merged.identities}
        return merged

    def news(self, now: float) -> list[Message]:
        """Return who is new or changed, and who there is; of what can't be read nobody is said to be gone."""
        at = utc(now)
        changed = [identity for key, identity in self._identities.items() if self._told.get(key) != identity]
        self._told = dict(self._identities)
        ids = tuple(self._identities) if self.is_complete else None
        return [
            *(InventorySnapshot(id=identity.id, seen_at=at, identity=identity) for identity in changed),
            InventoryIndex(seen_at=at, ids=ids, vantages=self._vantages),
        ]

    @staticmethod
    def _stamp(source: Source) -> tuple[int, int, int] | None:
        try:
            status = source.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

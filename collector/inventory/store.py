"""The last good rows of each inventory source on disk, so that they outlive the process.

One file a source, written anew beside the old one and then renamed, both on disk before anything relies on them. An
acceptance is a file of its own, left by whoever may write to this folder.
"""

import os
import tempfile
from pathlib import Path, PurePath

import msgspec

from collector.inventory.retention import Acceptance, Kept
from schemas.wire import digest_of


class Store:
    """The folder of what is kept, by the key of each source; without one, memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._written: dict[str, tuple[int, int, int]] = {}
        self._memory: dict[str, Kept] = {}
        self._unwritten: set[str] = set()
        self._unreadable = self._unwritable = ""

    @property
    def trouble(self) -> str:
        """Return a sentence on what could not be read or written at the last occasion, empty while all is well."""
        return self._unreadable or self._unwritable

    def file_of(self, key: str) -> Path | None:
        """Return the file that keeps a source's rows."""
        if self._folder is None:
            return None
        return self._folder / f"{PurePath(key).name[:60]}-{digest_of(key)[:16]}.json"

    def load(self, key: str) -> Kept:
        """Return what is kept of a source; what another process wrote since counts."""
        file = self.file_of(key)
        known = self._memory.get(key)
        stamp = _stamp(file)
        if file is None or stamp is None or (known is not None and self._written.get(key) == stamp):
            self._unreadable = ""
            return known or Kept(path=key)
        if known is not None and key in self._unwritten:
            return known  # ours is newer, it only could not be written
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=Kept)
        except (OSError, msgspec.DecodeError) as error:
            why = getattr(error, "strerror", None) or "the file is damaged"
            self._unreadable = f"{file}: the last good rows can't be read: {why}; what the source says now counts"
            return known or Kept(path=key)
        self._memory[key], self._written[key] = kept, stamp
        return kept

    def is_known(self, key: str) -> bool:
        """Return whether good rows of a source are kept: then it may be watched though its file is not there."""
        file = self.file_of(key)
        return file is not None and file.is_file() and self.load(key).is_known

    def save(self, key: str, kept: Kept) -> None:
        """Keep what is known of a source; where it can't be written it is kept in memory, and tried again."""
        if self._memory.get(key) == kept and key not in self._unwritten:
            return
        self._memory[key] = kept
        file = self.file_of(key)
        if file is None:
            return
        try:
            _write(file, msgspec.json.encode(kept))
        except OSError as error:
            self._unwritten.add(key)
            why = f"the last good rows can't be written: {error.strerror}; a restart would lose them"
            self._unwritable = f"{file}: {why}"
            return
        self._unwritten.discard(key)
        self._written[key] = _stamp(file) or (0, 0, 0)
        self._unwritable = ""

    def acceptance_file(self, key: str) -> Path | None:
        """Return where a person's acceptance of what a source says is left."""
        file = self.file_of(key)
        return file.with_suffix(".accepted") if file is not None else None

    def accept(self, key: str, acceptance: Acceptance) -> None:
        """Leave an acceptance for the process that reads the source.

        Raises:
            OSError: it can't be written.
        """
        file = self.acceptance_file(key)
        if file is not None:
            _write(file, msgspec.json.encode(acceptance))

    def acceptance(self, key: str) -> Acceptance | None:
        """Return the last acceptance that was left for a source."""
        file = self.acceptance_file(key)
        try:
            return msgspec.json.decode(file.read_bytes(), type=Acceptance) if file is not None else None
        except (OSError, msgspec.DecodeError):
            return None

    def acceptance_stamp(self, key: str) -> tuple[int, int, int] | None:
        """Return what changes when another acceptance is left."""
        return _stamp(self.acceptance_file(key))


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".new")
    try:
        with os.fdopen(number, "wb") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    if file is None:
        return None
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

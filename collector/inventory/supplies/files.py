"""Inventories on disk: a file, a folder with all below it, or the files that fit a pattern.

Files are taken in the order of their names. Hidden ones are passed over, unless a pattern names them; so are links that
lead out of the folder, and whatever is no file. ConfigMaps are mounted as links within their folder, and are read.
"""

import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from collector.config import InventorySource
from collector.inventory.documents import SUFFIXES
from collector.inventory.formats.known import Document
from collector.inventory.supplies.supply import Delivery

MAX_FILE_BYTES = 256 * 1024 * 1024
MOST_FILES = 10_000
DEEPEST_FOLDER = 8

Stamp = tuple[int, int, int]


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
            return _stamp_of(path.stat())
        except OSError:
            return None


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


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino


class OneFile:
    """A source that is one file."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path, self._disk = path, disk

    def stamp(self) -> Stamp | None:
        """Return what changes when the file is written anew."""
        return self._disk.stamp(self._path)

    def read(self) -> Delivery:
        """Return the file."""
        stamp = self._disk.stamp(self._path)
        document = Document("", str(self._path), self._disk.read(self._path))
        return Delivery((document,), written_ns=stamp[0] if stamp is not None else 0)


class ManyFiles:
    """A source that is a folder, or the files that fit a pattern below one.

    ``is_every_name_read`` says that the names of files need not say what they are.
    """

    def __init__(
        self,
        root: Path,
        pattern: str,
        *,
        is_every_name_read: bool,
        most_files: int = MOST_FILES,
        most_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._root, self._pattern, self._reads_all = root, pattern, is_every_name_read
        self._most_files, self._most_bytes = most_files, most_bytes

    def stamp(self) -> object:
        """Return what changes when one of the files does, comes or goes."""
        try:
            return tuple((name, _stamp_of(status)) for name, _, status in self._files([]))
        except (OSError, ValueError):
            return None

    def read(self) -> Delivery:
        """Return the files; one that can't be read leaves the others as they are."""
        notes: list[str] = []
        unread: list[tuple[str, str]] = []
        documents: list[Document] = []
        newest, total = 0, 0
        try:
            files = list(self._files(notes))
            newest = self._root.stat().st_mtime_ns
        except OSError as error:
            raise ValueError(f"{self._root}: can't be read: {error.strerror}") from error
        for name, path, status in files:
            newest, total = max(newest, status.st_mtime_ns), total + status.st_size
            if total > self._most_bytes:
                unread.append(
                    (name, f"{_shown(str(path))}: with it the folder is larger than {self._most_bytes >> 20} MiB")
                )
                continue
            try:
                documents.append(Document(name, _shown(str(path)), read_file(path)))
            except ValueError as problem:
                unread.append((name, _shown(str(problem))))
        return Delivery(tuple(documents), tuple(unread), tuple(notes), newest)

    def _files(self, notes: list[str]) -> Iterator[tuple[str, Path, os.stat_result]]:
        """Yield the files by their names below the root, each with its path and what the system says of it.

        Raises:
            OSError: the root can't be read.
            ValueError: there are too many.
        """
        root = self._root.resolve()
        names = sorted(self._matching() if self._pattern else _below(self._root, "", DEEPEST_FOLDER))
        if len(names) > self._most_files:
            raise ValueError(
                f"{self._root}: more than {self._most_files:,} files; name those that are inventories by a pattern"
            )
        for name in names:
            path = self._root / name
            if not self._reads_all and path.suffix.lower() not in SUFFIXES:
                if self._pattern:
                    notes.append(
                        f"{_shown(str(path))}: its name does not say what it is, so it is not read: say 'format'"
                    )
                continue
            try:
                real = path.resolve(strict=True)
                status = real.stat()
            except OSError:  # a link that leads nowhere, or a file that is just gone: it is as if it were not there
                notes.append(f"{_shown(str(path))}: it is not there")
                continue
            if not real.is_relative_to(root):
                notes.append(f"{_shown(str(path))}: a link that leads out of {self._root}, so it is not read")
            elif stat.S_ISREG(status.st_mode):
                yield _shown(name).replace(": ", ":_"), path, status

    def _matching(self) -> list[str]:
        os.scandir(self._root).close()  # a pattern in a folder that can't be read matches nothing, and says nothing
        return glob.glob(self._pattern, root_dir=self._root)


def _shown(name: str) -> str:
    """Return a file's name as text: what of it is not UTF-8 is spelled out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _below(root: Path, folder: str, depth: int) -> Iterator[str]:
    with os.scandir(root / folder) as entries:
        for entry in entries:
            name = f"{folder}{entry.name}"
            if entry.name.startswith("."):
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield name
            elif depth:
                yield from _below(root, f"{name}/", depth - 1)


def open_files(source: InventorySource, disk: Disk) -> OneFile | ManyFiles:
    """Return where the documents of a source on disk come from."""
    is_every_name_read = bool(source.format)
    if source.pattern:
        root = source.root or source.path.parent
        return ManyFiles(root, source.pattern, is_every_name_read=is_every_name_read)
    if source.is_folder:
        return ManyFiles(source.path, "", is_every_name_read=is_every_name_read)
    return OneFile(source.path, disk)

"""Each finding as an OCSF event in a file, one line each: what a log shipper reads.

A line is stored (fsync) before it counts as delivered, so that nothing is lost; after a crash the last lines may come
twice, under the same ``metadata.uid``. What a full disk or a crash left of a line is cut off before the next one. The
file is opened anew each time, so that it may be renamed under our hands (logrotate); by itself it begins a new one
once it has ``max_mb``.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import Notifier
from alerts.delivery.ocsf import make_event
from alerts.receivers.receiver import HttpClient, Receiver

LAST_OCTETS = 1_048_576
"""No line is longer: the end of the one before is looked for within so many octets."""
MEGABYTE = 1_000_000


class File(Receiver, frozen=True, kw_only=True, tag="file"):
    """A file of events; ``keep`` older ones of ``max_mb`` stay beside it, as PATH.1 and so on. 0: it is never cut."""

    path: str = ""
    max_mb: int = 100
    keep: int = 10

    @property
    def takes_findings(self) -> bool:
        """Return that it gets every finding as an event."""
        return True

    @property
    def where(self) -> str:
        """Return its URL."""
        return f"file://{self.path}"

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.path:
            yield "", "a file receiver needs a 'path'"
        elif not Path(self.path).is_absolute():
            yield "path", "an absolute path is expected: the folder in which this starts is nobody's choice"
        if not 0 <= self.max_mb <= 100_000:
            yield "max_mb", "0 (never a new file) to 100000 is expected"
        if not 1 <= self.keep <= 1_000:
            yield "keep", "1 to 1000 files are kept"

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what writes to it."""
        return FileNotifier(Path(self.path), max_bytes=self.max_mb * MEGABYTE, keep=self.keep)


class FileNotifier:
    """Appends one line a delivery. Several processes may do so: each line is written under a lock on the file."""

    def __init__(self, path: Path, *, max_bytes: int = 0, keep: int = 10) -> None:
        self._path, self._max_bytes, self._keep = path, max_bytes, keep
        self._lock = threading.Lock()

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Append one event."""
        line = msgspec.json.encode(make_event(delivery)) + b"\n"
        try:
            with self._lock:
                self._append(line)
        except PermissionError as error:
            return DeliveryOutcome(False, f"{self._path} can't be written: {error.strerror}", retry=False)
        except OSError as error:
            return DeliveryOutcome(False, f"{self._path} can't be written: {error.strerror or error}")
        return DeliveryOutcome(True, "written")

    def _append(self, line: bytes) -> None:
        with _locked(self._path) as file:
            size = _cut_torn_line(file)
            if self._max_bytes and size and size + len(line) > self._max_bytes:
                self._rotate()
            else:
                _write(file, line, size)
                return
        with _locked(self._path) as file:
            _write(file, line, _cut_torn_line(file))

    def _rotate(self) -> None:
        """Rename the file to PATH.1, and older ones one further; the oldest goes."""
        for number in range(self._keep, 0, -1):
            older = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            with contextlib.suppress(FileNotFoundError):
                older.replace(self._path.with_name(f"{self._path.name}.{number}"))
        _store_names(self._path.parent)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Yield the file, open and ours alone; another process may have renamed it while we waited for it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_still(path, file):
                continue
            yield file
            return
        finally:
            os.close(file)


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _cut_torn_line(file: int) -> int:
    """Cut off what a crash left of a line, which comes again; return the size."""
    size = os.fstat(file).st_size
    start = max(0, size - LAST_OCTETS)
    end = os.pread(file, size - start, start)
    torn = len(end) - (end.rfind(b"\n") + 1)
    if torn and (b"\n" in end or not start):
        size -= torn
        os.ftruncate(file, size)
    return size


def _write(file: int, line: bytes, size: int) -> None:
    """Write a line whole, and have it stored; what a full disk takes of it is cut off again."""
    try:
        left = memoryview(line)
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise
    if not size:
        _store_names(Path(f"/proc/self/fd/{file}").resolve().parent)


def _store_names(folder: Path) -> None:
    """Have the names in a folder stored: a new file is lost with the power otherwise."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

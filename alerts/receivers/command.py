"""A command of the operator's on this machine."""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import describe
from alerts.receivers.receiver import HttpClient, Receiver

LOOK_S = 0.05
CHUNK = 65_536
KEPT_BYTES = 4096
"""So much of what a command says last is kept."""


class Command(Receiver, frozen=True, kw_only=True, tag="command"):
    """A command of the operator's, as a list of words."""

    command: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return next(iter(self.command), "")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.command:
            yield "", "a command receiver needs a 'command', a list of words"

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what runs it."""
        return CommandNotifier(self.command)


class CommandNotifier:
    """Runs a command with the incident as JSON on its standard input; no shell, so DNS data are never code.

    The command leads a process group of its own. When it ends, when its time is up, and when this process ends, the
    group is ended: what the command left in the background ends too.
    """

    def __init__(self, command: Sequence[str], *, deadline_s: float = DEADLINE_S) -> None:
        self._command, self._deadline_s = tuple(command), deadline_s
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_closed = False

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Run it once; exit status 0 means delivered, any other that it is tried again."""
        body = msgspec.json.encode({"id": delivery.id, **describe(delivery)})
        program = self._command[0]
        try:
            run = self._start()
        except OSError as error:
            return DeliveryOutcome(False, f"{program} can't be run: {error.strerror}", retry=False)
        if run is None:
            return DeliveryOutcome(False, "this process ends")
        try:
            in_time, said = _converse(run, body, time.monotonic() + self._deadline_s)
        finally:
            status = self._end(run)
        if not in_time:
            return DeliveryOutcome(False, f"{program} ran longer than {self._deadline_s:g} s")
        last_words = said.decode("utf-8", "replace").strip()[-200:]
        return DeliveryOutcome(status == 0, f"exit status {status} {last_words}".strip())

    def close(self) -> None:
        """End every command with its group; none is run from now on."""
        with self._lock:
            self._is_closed = True
            running = list(self._running)
        for run in running:
            _kill_group(run)

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._is_closed:
                return None
            run = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._running.add(run)
        return run

    def _end(self, run: subprocess.Popen[bytes]) -> int:
        """End the group while its leader is not yet waited for, so that its number is still its own."""
        _kill_group(run)
        with self._lock:
            self._running.discard(run)
        for pipe in (run.stdin, run.stderr):
            with contextlib.suppress(OSError):
                _given(pipe).close()
        return run.wait()


def _converse(run: subprocess.Popen[bytes], body: bytes, ends_at: float) -> tuple[bool, bytes]:
    """Write the body and read what is said until the command ends; return whether it did, and the last of what it said.

    Neither a command that reads nothing nor one that says more than memory holds does harm.
    """
    said, left = b"", memoryview(body)
    stdin, stderr = _given(run.stdin), _given(run.stderr)
    with selectors.DefaultSelector() as selector:
        for pipe, events in ((stdin, selectors.EVENT_WRITE), (stderr, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, events)
        while not (ended := _has_ended(run)) and time.monotonic() < ends_at:
            for key, _ in selector.select(LOOK_S):
                if key.fileobj is stdin:
                    left = left[_write(stdin, left) :]
                    done = not left
                else:
                    said, done = _read(stderr, said)
                if done:
                    selector.unregister(key.fileobj)
                    if key.fileobj is stdin:
                        _close(stdin)
            if not selector.get_map():
                time.sleep(LOOK_S)
        if ended:
            said, _ = _read(stderr, said)
    return ended, said


def _has_ended(run: subprocess.Popen[bytes]) -> bool:
    """Return whether the command ended, and leave it to be waited for."""
    return os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _write(pipe: IO[bytes], data: memoryview) -> int:
    try:
        return os.write(pipe.fileno(), data[:CHUNK])
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)  # it wants to read no more


def _read(pipe: IO[bytes], said: bytes) -> tuple[bytes, bool]:
    """Return the last of what was said, and whether nothing more comes."""
    try:
        chunk = os.read(pipe.fileno(), CHUNK)
    except BlockingIOError:
        return said, False
    except OSError:
        return said, True
    return (said + chunk)[-KEPT_BYTES:], not chunk


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()


def _given(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _kill_group(run: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(run.pid, signal.SIGKILL)

"""Other people's programs: where they are, run to an end, or kept running on loopback until stopped."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

PATIENCE_S = 40.0
LOOK_S = 0.1
GRACE_S = 10.0
LOG_TAIL = 40
LOWEST_PORT = 10_000
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))

Found = TypeVar("Found")
# Not the one whose seed all workers of a run share.
_chance = random.SystemRandom()


def find_tool(name: str) -> str | None:
    """Return the path of a program, those for administrators included."""
    return shutil.which(name, path=SEARCH_PATH)


def run_tool(name: str, *arguments: str | Path, cwd: Path) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        AssertionError: it failed; with all that it said.
    """
    command = [find_tool(name) or name, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def until(look: Callable[[], Found | None], claim: str, *, within_s: float = PATIENCE_S) -> Found:
    """Return what ``look`` returns as soon as it is true.

    Raises:
        AssertionError: it was not within ``within_s``; with the claim.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {claim}")
        time.sleep(LOOK_S)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody has, neither over UDP nor over TCP, each once.

    They lie below those that the system gives to whoever asks for any: a server that is started again finds its own.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            stream = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            datagram = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            port = _chance.randrange(LOWEST_PORT, _highest_port())
            with contextlib.suppress(OSError):
                stream.bind(("127.0.0.1", port))
                datagram.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def free_port() -> int:
    """Return one of them."""
    return free_ports(1)[0]


@cache
def _highest_port() -> int:
    """Return the first port that the system gives by itself; where those are nearly all, the last there is."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        first = 32_768
    return first if first > 2 * LOWEST_PORT else 65_535


class Daemon:
    """A program in the foreground of a session of its own, so that its children end with it."""

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path) -> None:
        self.name = name
        self._command = [find_tool(str(command[0])) or str(command[0]), *map(str, command[1:])]
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it says goes to the end of its log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def until_up(self, answers: Callable[[], bool]) -> None:
        """Wait until it answers.

        Raises:
            AssertionError: it ended, or stays silent; with the end of its log.
        """

        def look() -> bool:
            if not self.is_running:
                raise AssertionError(f"{self.name} ended by itself:\n{self.tail()}")
            return answers()

        try:
            until(look, f"{self.name} answers")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.tail()}") from None

    def stop(self) -> int | None:
        """Ask it to end (SIGTERM), insist after a while, and return its exit status; None if it never ran."""
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
        return self.kill()

    def kill(self) -> int | None:
        """End it and its children at once (SIGKILL) and return its exit status; None if it never ran."""
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait(GRACE_S)

    def tail(self) -> str:
        """Return the end of its log."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return f"--- {self.name}: the last lines of its log\n" + "\n".join(text.splitlines()[-LOG_TAIL:])

"""Receivers on this machine: the console, and a command of the operator's."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec

from alerts.delivery import Delivery
from alerts.notifier import TIMEOUT_S, Outcome
from alerts.wording import describe, screen


class ConsoleNotifier:
    """Writes a few lines to standard output, or to what ``write`` is."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or sys.stdout.write

    def send(self, delivery: Delivery, now: float) -> Outcome:
        """Write it."""
        try:
            self._write(f"NOTIFICATION {delivery.event}: {screen(delivery)}\n")
        except (OSError, ValueError) as error:
            return Outcome(False, f"the console is gone: {error}")
        return Outcome(True, "written")


class CommandNotifier:
    """Runs a command with the incident as JSON on its standard input; no shell, so DNS data are never code."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def send(self, delivery: Delivery, now: float) -> Outcome:
        """Run it once; exit status 0 means delivered, any other that it is tried again."""
        body = msgspec.json.encode({"id": delivery.id, **describe(delivery)})
        try:
            done = subprocess.run(self._command, input=body, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return Outcome(False, f"{self._command[0]} ran longer than {TIMEOUT_S:g} s")
        except OSError as error:
            return Outcome(False, f"{self._command[0]} can't be run: {error.strerror}", retry=False)
        said = done.stderr[-200:].decode("utf-8", "replace").strip()
        return Outcome(done.returncode == 0, f"exit status {done.returncode} {said}".strip())

"""Dead letters: messages that no retry can help, kept with the reason and where they came from."""

import base64
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from schemas.faults import Transient


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message that no retry can help: its octets, the reason, and its place (topic, partition, offset).

    ``headers`` are those that it came with; ``partition`` and ``offset`` are -1 where a bus has none.
    """

    reason: str
    stage: str
    at: datetime
    topic: str
    partition: int = -1
    offset: int = -1
    key: bytes = b""
    value: bytes = b""
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def origin(self) -> str:
        """Return the place in one word."""
        return self.topic if self.partition < 0 else f"{self.topic}/{self.partition}@{self.offset}"


class DeadLetters(Protocol):
    """Keeps dead letters."""

    def put(self, letter: DeadLetter) -> None:
        """Return once the letter is kept for good; blocks.

        Raises:
            Transient: it can't be kept now.
        """
        ...


class FileDeadLetters:
    """Dead letters as lines of JSON in a file, for the bus inside one process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, letter: DeadLetter) -> None:
        """Append it.

        Raises:
            Transient: the file can't be written.
        """
        try:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(letter) + b"\n")
        except OSError as error:
            raise Transient(f"a dead letter can't be kept in {self._path}: {error.strerror or error}") from error

    def all(self) -> list[DeadLetter]:
        """Return all, oldest first; none where there is no file."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [msgspec.json.decode(line, type=DeadLetter) for line in lines]


def dead_letter_file(ledger: Path) -> Path:
    """Return where the bus inside one process keeps its dead letters: beside the ledger."""
    return ledger.parent / "dead.jsonl"


def describe_value(letter: DeadLetter) -> str:
    """Return the message for a person: as text, or base64 where it is none."""
    try:
        return letter.value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(letter.value).decode()

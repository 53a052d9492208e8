"""What changed, kind by kind, as a stream of events says it: pure.

An event is a hint to ask again, not the news itself, so many changes within a second are one event. It is numbered, so
that a stream that was cut hears of what it missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

What = Literal["findings", "incidents", "verdicts"]
Mark = tuple[int | str, ...]
RETRY_MS = 3000
KEEP_ALIVE = b": keep-alive\n\n"
OPENING = f"retry: {RETRY_MS}\n\n".encode()


class Changed(msgspec.Struct, frozen=True):
    """The data of an event: ``what`` changed, seen ``at``."""

    what: What
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """A change and its number; a later one has a higher number."""

    number: int
    changed: Changed


class Changes:
    """The last change of each kind; ``epoch`` names this process, since another one counts anew."""

    def __init__(self, epoch: str) -> None:
        self._epoch, self.number = epoch, 0
        self._marks: dict[What, Mark] = {}
        self._latest: dict[What, Event] = {}

    def take(self, marks: Mapping[What, Mark], now: datetime) -> bool:
        """Take in a mark of each kind, which differs from the last one if something changed; return whether one does.

        What has no mark could not be looked at: it is compared when it can be again.
        """
        before = self.number
        for what, mark in marks.items():
            if self._marks.setdefault(what, mark) != mark:
                self.number += 1
                self._latest[what] = Event(self.number, Changed(what, now))
            self._marks[what] = mark
        return self.number > before

    def after(self, number: int) -> list[Event]:
        """Return the last change of each kind, as far as it came after that number, in order."""
        later = [event for event in self._latest.values() if event.number > number]
        return sorted(later, key=lambda event: event.number)

    def missed(self, last_event_id: str, now: datetime) -> list[Event]:
        """Return what a stream with that Last-Event-ID may not have heard of: all kinds if the id is not ours.

        Source: HTML Standard, Server-sent events, "Last-Event-ID".
        """
        if not last_event_id:
            return []
        epoch, _, text = last_event_id.rpartition(".")
        is_ours = epoch == self._epoch and text.isascii() and text.isdecimal() and len(text) < 16
        if is_ours and int(text) <= self.number:
            return self.after(int(text))
        return [Event(self.number, Changed(what, now)) for what in self._marks]

    def encode(self, event: Event) -> bytes:
        """Return an event as the stream has it."""
        data = msgspec.json.encode(event.changed).decode()
        return f"id: {self._epoch}.{event.number}\nevent: changed\ndata: {data}\n\n".encode()

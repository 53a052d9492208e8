"""Where stages meet: sources and sinks of messages, and the bus inside one process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from anchorwatch.pipeline.dead_letters import DeadLetter, DeadLetters
from schemas.messages import Message
from schemas.wire import encode, key_of


@dataclass(frozen=True, eq=False, slots=True)
class Unreadable:
    """A place on a bus with something that is no message; ``record`` is known to its source only."""

    reason: str
    record: Any = None


Batch = Sequence[Message | Unreadable]


class BatchSource(Protocol):
    """Messages in order, at least once."""

    async def batch(self) -> Batch | None:
        """Return the next messages: empty after a quiet spell, None once closed."""
        ...

    async def commit(self) -> None:
        """Never deliver the last batch again."""
        ...

    async def keep_dead_letter(self, message: Message | Unreadable, reason: str) -> None:
        """Keep an item of the last batch, which no retry can help, as a dead letter."""
        ...

    async def is_ours(self) -> bool:
        """Return whether the last batch is still for us to handle, now that it took long."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Return whether a stage that waits for a dependency may give up: what it was handling comes again."""
        ...

    @property
    def is_ending(self) -> bool:
        """Return whether nothing new will come: a stage that takes nothing in needs to wait no longer."""
        ...


class Sink(Protocol):
    """Takes messages."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Return once every message is accepted for good."""
        ...

    async def close(self) -> None:
        """Say that nothing more will come."""
        ...


class LocalBus:
    """A bounded queue between two stages: full, the sender waits; closed, the reader drains it first.

    The same batch comes again until it is committed.
    """

    is_stopping = False  # what is on it is in this process only

    def __init__(
        self, name: str, dead_letters: DeadLetters, *, most: int = 20_000, batch: int = 500, quiet_s: float = 1.0
    ) -> None:
        self.name, self._dead_letters = name, dead_letters
        self._most, self._batch_size, self._quiet_s = most, batch, quiet_s
        self._waiting: list[Message] = []
        self._uncommitted: list[Message] = []
        self._changed = asyncio.Condition()
        self._closed = False

    @property
    def is_ending(self) -> bool:
        """Return whether the sender has ended."""
        return self._closed

    @property
    def depth(self) -> int:
        """Return how many messages wait."""
        return len(self._waiting) + len(self._uncommitted)

    async def send(self, messages: Sequence[Message]) -> None:
        """Accept messages once there is room."""
        if not messages:
            return
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < self._most)
            self._waiting.extend(messages)
            self._changed.notify_all()

    async def close(self) -> None:
        """Let the reader finish what is there, then see the end."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def batch(self) -> Sequence[Message] | None:
        """Return what was not committed, else what waits, else nothing after a quiet spell."""
        if self._uncommitted:
            return list(self._uncommitted)
        async with self._changed:
            try:
                async with asyncio.timeout(self._quiet_s):
                    await self._changed.wait_for(lambda: self._waiting or self._closed)
            except TimeoutError:
                return []
            if not self._waiting:
                return None
            self._uncommitted = self._waiting[: self._batch_size]
            del self._waiting[: self._batch_size]
            self._changed.notify_all()
            return list(self._uncommitted)

    async def commit(self) -> None:
        """Forget the last batch."""
        self._uncommitted = []

    async def is_ours(self) -> bool:
        """Return True: nobody else reads here."""
        return True

    async def keep_dead_letter(self, message: Message | Unreadable, reason: str) -> None:
        """Keep a message as a dead letter; nothing here is unreadable."""
        assert not isinstance(message, Unreadable)
        letter = DeadLetter(
            reason=reason,
            stage=self.name,
            at=datetime.now(UTC),
            topic=self.name,
            key=key_of(message).encode(),
            value=encode(message),
        )
        await asyncio.to_thread(self._dead_letters.put, letter)

"""Whether the history answers, asked in a thread of its own: an engine that hangs holds up nobody else."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

EVERY_S = 2.0
PATIENCE_S = 5.0
FAREWELL_S = 1.0
NO_ANSWER = "the history does not answer"


class Answering(Protocol):
    """What is asked; ``is_ready`` may block for ever."""

    def is_ready(self) -> bool:
        """Return whether the database answers."""
        ...


class HistoryProbe:
    """Asks again and again; ``why_not`` only looks at what came of it.

    There is never more than one question under way, so a history that hangs costs one thread.
    """

    def __init__(self, history: Answering, clock: Callable[[], float] = time.monotonic) -> None:
        self._history, self._clock = history, clock
        self._answered = True
        self._asked_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ask from now on."""
        self._task = asyncio.get_running_loop().create_task(self._ask_on())

    async def stop(self) -> None:
        """Ask no more; a question under way may end, unless that takes long."""
        if self._task is not None:
            self._task.cancel()
        until = self._clock() + FAREWELL_S
        while self._asked_at is not None and self._clock() < until:
            await asyncio.sleep(0.02)

    def why_not(self) -> str:
        """Return why the history can't be worked with, or nothing."""
        waited_s = 0.0 if self._asked_at is None else self._clock() - self._asked_at
        if waited_s > PATIENCE_S:
            return f"{NO_ANSWER}: it was asked {waited_s:.0f} s ago"
        return "" if self._answered else NO_ANSWER

    async def _ask_on(self) -> None:
        while True:
            if self._asked_at is None:
                self._asked_at = self._clock()
                threading.Thread(target=self._ask, name="history-probe", daemon=True).start()
            await asyncio.sleep(EVERY_S)

    def _ask(self) -> None:
        try:
            answered = self._history.is_ready()
        except Exception:  # noqa: BLE001 - whatever it is, the history can't be worked with; the stage says why
            answered = False
        self._answered, self._asked_at = answered, None

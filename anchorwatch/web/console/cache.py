"""What was asked just now is not asked again: one answer for all tabs, for a moment, and for no more than so many."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

KEPT_S = 1.5
MOST = 256
Answer = TypeVar("Answer")


class Cache:
    """Answers by question. A question that is asked while it is being answered waits for that answer.

    What cannot be answered is not kept.
    """

    def __init__(
        self, *, kept_s: float = KEPT_S, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept_s, self._most, self._clock = kept_s, most, clock
        self._answers: OrderedDict[Hashable, tuple[float, asyncio.Task[Any]]] = OrderedDict()

    async def ask(self, question: Hashable, answer: Callable[[], Awaitable[Answer]], kept_s: float = 0.0) -> Answer:
        """Return the answer, not older than ``kept_s``, or what the cache keeps by default."""
        now = self._clock()
        kept = self._answers.get(question)
        if kept is None or (kept[1].done() and now - kept[0] >= (kept_s or self._kept_s)):
            task = asyncio.ensure_future(self._answer(question, answer))
            self._answers[question] = now, task
            self._answers.move_to_end(question)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        else:
            task = kept[1]
        # One tab that goes away does not take the answer from the others.
        found: Answer = await asyncio.shield(task)
        return found

    async def _answer(self, question: Hashable, answer: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            found = await answer()
        except BaseException:
            self._answers.pop(question, None)
            raise
        if question in self._answers:
            self._answers[question] = self._clock(), self._answers[question][1]
        return found

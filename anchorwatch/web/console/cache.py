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

    async def ask(
        self, question: Hashable, answer: Callable[[], Awaitable[Answer]], kept_s: float = 0.0, old_s: float = 0.0
    ) -> Answer:
        """Return the answer, not older than ``kept_s``, or what the cache keeps by default.

        With ``old_s`` one that is older than that, but not than ``old_s``, is returned while it is asked for anew.
        """
        now = self._clock()
        kept = self._answers.get(question)
        age_s = now - kept[0] if kept is not None and kept[1].done() else 0.0
        if kept is None or age_s >= (kept_s or self._kept_s):
            task = asyncio.ensure_future(self._answer(question, answer))
            task.add_done_callback(_heed)
            self._answers[question] = now, task
            self._answers.move_to_end(question)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
            if kept is not None and age_s < old_s:
                old: Answer = kept[1].result()
                return old
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


def _heed(task: asyncio.Task[Any]) -> None:
    """Take note of how a task ended: nobody may wait for it any more."""
    if not task.cancelled():
        task.exception()

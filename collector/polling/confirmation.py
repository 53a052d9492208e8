"""Whom to ask again within seconds: a name that has just turned bad, so that its finding is confirmed at once.

Bounded, so that a zone that breaks with 10,000 names below it is no flood: of the names that show the same cause a few
are enough. Another cause has places of its own, so that decoys can't use up those of a target.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)
Cause = tuple[str, ...]

POLLS = 3
WITHIN_S = 3.0
NAMES_PER_CAUSE = 3
MOST_NAMES = 256


def pause_s(interval_s: float) -> float:
    """Return after how long a name that turned bad is asked again."""
    return min(interval_s, WITHIN_S)


class Confirmations(Generic[Item]):
    """The items that are being asked again, each with its cause and how many polls are left."""

    def __init__(self) -> None:
        self._left: dict[Item, tuple[Cause, int]] = {}
        self._count: dict[Cause, int] = {}

    def is_due_soon(self, item: Item, cause: Cause | None, *, is_news: bool) -> bool:
        """Take in a poll: what is wrong (None: nothing) and whether that is news; return whether to ask again soon."""
        known = self._left.get(item)
        if known is not None:
            was, left = known
            if cause == was and left > 1:
                self._left[item] = was, left - 1
                return True
            self.forget(item)
        if cause is None or not (is_news or (known is not None and cause != known[0])):
            return False
        if self._count.get(cause, 0) >= NAMES_PER_CAUSE or len(self._left) >= MOST_NAMES:
            return False
        self._left[item] = cause, POLLS - 1
        self._count[cause] = self._count.get(cause, 0) + 1
        return True

    def __contains__(self, item: object) -> bool:
        """Return whether an item is being asked again."""
        return item in self._left

    def forget(self, item: Item) -> None:
        """Drop an item: it is watched no more, or nothing is left to confirm."""
        known = self._left.pop(item, None)
        if known is None:
            return
        cause = known[0]
        self._count[cause] -= 1
        if not self._count[cause]:
            del self._count[cause]

"""What several processes report of our own troubles, as if one had: a trouble ends when none of them has it. Pure."""

from collections.abc import Sequence

from schemas.codes import Code
from schemas.messages import Message, SelfReport

SAME_JUMP_S = 10.0


class MergedReports:
    """The troubles that each of ``count`` processes has reported, numbered from 0."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._told: dict[tuple[str, str], str] = {}
        self._by_process: dict[tuple[str, str], dict[int, str]] = {}
        self._jumped_at: dict[int, float] = {}

    def take(self, number: int, messages: Sequence[Message]) -> list[Message]:
        """Return the messages of a process without reports that say nothing new."""
        if self._count == 1:
            return list(messages)
        return [one for one in messages if not isinstance(one, SelfReport) or self._is_news(number, one)]

    def _is_news(self, number: int, report: SelfReport) -> bool:
        if report.code == Code.SELF_CLOCK_JUMPED:
            return self._is_first_jump(number, report)
        key = (report.code, report.subject)
        known = self._by_process.setdefault(key, {})
        known[number] = report.detail
        if not report.detail and any(known.values()):
            return False  # another one still has it
        if not report.detail and self._told.get(key) == "":
            return False
        self._told[key] = report.detail  # one that lasts is told again now and then, and that is to be seen
        return True

    def _is_first_jump(self, number: int, report: SelfReport) -> bool:
        """Return whether no other process has told of the same jump: they share a clock."""
        at = report.at.timestamp()
        others = [seen for process, seen in self._jumped_at.items() if process != number]
        self._jumped_at[number] = at
        return all(abs(at - seen) > SAME_JUMP_S for seen in others)

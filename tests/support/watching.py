"""An analyzer with a history in memory, which may be started anew: messages in, findings out."""

import asyncio
from datetime import datetime

from analyzer.history.memory import MemoryHistory
from analyzer.stage import Analyzer
from schemas.messages import Finding, Message
from tests.support.making import AT, with_zones


class Watching:
    """What a sequence of batches comes to; ``at`` is when each is taken in."""

    def __init__(self) -> None:
        self.history = MemoryHistory()
        self.now = AT
        self.said: list[Finding] = []
        self.restart()

    def restart(self) -> None:
        """Have another process go on with what is stored."""
        self.analyzer = Analyzer(self.history, lambda: self.now.timestamp())

    def at(self, now: datetime, *batch: Message) -> list[Finding]:
        """Take a batch in, and return what is told."""
        self.now = now
        found = [one for one in asyncio.run(self.analyzer.handle(with_zones(batch))) if isinstance(one, Finding)]
        self.said += found
        return found

    def last(self, code: str) -> list[Finding]:
        """Return the last word on each finding of a code."""
        return list({one.id: one for one in self.said if one.code == code}.values())

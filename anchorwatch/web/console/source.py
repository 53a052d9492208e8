"""What pages are made of: the history's read model and the ledger, asked in threads, remembered for a moment."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from alerts.decision.incidents import Incident
from alerts.ledger.ledger import Record
from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.reading.checks import Checks
from analyzer.history.reading.days import Days
from analyzer.history.reading.findings import Findings
from analyzer.history.reading.identities import Identities
from analyzer.history.reading.zones import Zones
from anchorwatch.web.console.cache import Cache
from anchorwatch.web.doors import NotHere
from anchorwatch.web.silences import silence_views
from anchorwatch.web.threads import Threads
from schemas.messages import utc

if TYPE_CHECKING:
    from anchorwatch.web.api import Parts

MOST_INCIDENTS = 1000
SLOW_KEPT_S, SLOW_OLD_S = 10.0, 60.0
"""For how long an answer is kept that looks back over many days, and how old it may be while the next one is made."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class Source:
    """Asks the parts of this process; ``parts`` says which of them are here."""

    def __init__(self, parts: "Parts", of_history: Threads, of_ledger: Threads) -> None:
        self.parts = parts
        self._of_history, self._of_ledger = of_history, of_ledger
        self._cache = Cache()
        self.checks, self.findings, self.zones = Checks(self._rows), Findings(self._rows), Zones(self._rows)
        self.identities, self.days = Identities(self._rows), Days(self._rows)

    @property
    def has_history(self) -> bool:
        """Return whether this process reads the history."""
        return self.parts.history is not None

    @property
    def has_ledger(self) -> bool:
        """Return whether this process has the ledger of the alerts."""
        return self.parts.ledger is not None

    @property
    def history(self) -> ClickHouseHistory:
        """Return the history.

        Raises:
            NotHere: another process has it.
        """
        if self.parts.history is None:
            raise NotHere("this is another process: ask the analyzer")
        return self.parts.history

    @property
    def ledger(self) -> Record:
        """Return the ledger.

        Raises:
            NotHere: another process has it.
        """
        if self.parts.ledger is None:
            raise NotHere("this is another process: ask the alerts stage")
        return self.parts.ledger

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self.history.read(sql, parameters)

    async def read(self, work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """Return what a question of the history comes to, as it was asked within a moment."""
        question = (_name_of(work), args, tuple(sorted(kwargs.items())))
        return await self._cache.ask(question, lambda: self._of_history.ask(work, *args, **kwargs))

    async def read_slowly(self, work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """Return the same of a question that is dear: what is some seconds old is shown while it is asked anew."""
        question = (_name_of(work), args, tuple(sorted(kwargs.items())))
        asked = lambda: self._of_history.ask(work, *args, **kwargs)  # noqa: E731
        return await self._cache.ask(question, asked, SLOW_KEPT_S, SLOW_OLD_S)

    async def told(self, work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """Return what a question of the ledger comes to, as it was asked within a moment."""
        question = ("ledger", _name_of(work), args)
        return await self._cache.ask(question, lambda: self._of_ledger.ask(work, *args, **kwargs))

    async def tell(self, work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """Return what a question of the ledger comes to now."""
        return await self._of_ledger.ask(work, *args, **kwargs)

    async def incidents(self) -> Sequence[Incident]:
        """Return incidents, open ones first, the worst of them in front; nothing where another process has them."""
        if not self.has_ledger:
            return ()
        return await self.told(_sorted_incidents, self.ledger)

    async def silences(self) -> Sequence[dict[str, Any]]:
        """Return silences and maintenance windows, those in force first, as they are now."""
        if not self.has_ledger:
            return ()
        incidents = await self.incidents()
        found = await self.tell(self.ledger.silences)
        return silence_views(found, self.parts.maintenance, incidents, utc(time.time()))


def _name_of(work: Callable[..., object]) -> str:
    return f"{work.__module__}.{work.__qualname__}"


def _sorted_incidents(ledger: Record) -> Sequence[Incident]:
    found = ledger.incidents(MOST_INCIDENTS)
    return sorted(
        found,
        key=lambda one: (
            one.ended_at is not None,
            -one.severity.rank if one.ended_at is None else 0,
            -(one.opened_at if one.ended_at is None else one.ended_at).timestamp(),
        ),
    )

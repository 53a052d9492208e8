"""What is asked for an answer: history, ledger and analyzer, as far as they are in this process."""

import time
from typing import TYPE_CHECKING, Any, TypeVar

from alerts.ledger.ledger import Record
from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.stage import Analyzer
from anchorwatch.web.doors import NotHere
from anchorwatch.web.queries import MAX_LIMIT
from anchorwatch.web.silences import silence_views
from anchorwatch.web.threads import Threads
from anchorwatch.web.views import EndpointView, endpoint_views
from schemas.messages import utc

if TYPE_CHECKING:
    from anchorwatch.web.api import Parts

Part = TypeVar("Part")


def here(part: Part | None, where: str) -> Part:
    """Return a part.

    Raises:
        NotHere: another process has it.
    """
    if part is None:
        raise NotHere(f"this is another process: ask {where}")
    return part


class Sources:
    """The parts of this process, and threads of their own for each: whatever hangs there takes none from the stages."""

    def __init__(self, parts: "Parts") -> None:
        self.parts = parts
        self.of_history, self.of_ledger = Threads("history"), Threads("ledger")

    @property
    def analyzer(self) -> Analyzer:
        """Return the analyzer, or raise NotHere."""
        return here(self.parts.analyzer, "the analyzer")

    @property
    def history(self) -> ClickHouseHistory:
        """Return the history, or raise NotHere."""
        return here(self.parts.history, "the analyzer")

    @property
    def ledger(self) -> Record:
        """Return the ledger, or raise NotHere."""
        return here(self.parts.ledger, "the alerts stage")

    def endpoint_views(self, name: str = "") -> list[EndpointView]:
        """Return what is watched, of one name only where one is given."""
        analyzer = self.analyzer
        current = analyzer.current
        chosen = {subject: state for subject, state in current.items() if subject[0] == name} if name else current
        return endpoint_views(chosen, analyzer.consumers, analyzer.zones)

    def silence_views(self) -> list[dict[str, Any]]:
        """Return the silences and maintenance windows, those in force first; blocks."""
        ledger, maintenance = self.ledger, self.parts.maintenance
        return silence_views(ledger.silences(), maintenance, ledger.incidents(MAX_LIMIT), utc(time.time()))

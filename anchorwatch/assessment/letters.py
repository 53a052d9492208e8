"""The digests of all owners as letters, written in a thread: what owners rest on may be in another process.

A question that fails is asked again a minute later; the alerts ask for as long as it is the period's turn.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import urllib3

from alerts.decision.order import Letter
from alerts.delivery.wording import printable
from alerts.ledger.ledger import Record
from analyzer.stage import Analyzer
from anchorwatch.assessment.assess import assess
from anchorwatch.assessment.digests import digest_of_owner, owners_of
from anchorwatch.configuration.digests import AnalyzerApi
from anchorwatch.configuration.egress import open_pool
from anchorwatch.configuration.rules import shipped_mappings
from anchorwatch.web.incidents import incident_view
from anchorwatch.web.views import endpoint_views, identity_views
from schemas.egress import Egress
from schemas.faults import Transient

log = logging.getLogger(__name__)

MOST = 10_000
AGAIN_AFTER_S = 60.0
PATIENCE_S = 30.0
Json = Mapping[str, Any]


class DigestWriter:
    """Writes one set of letters at a time; ``identities`` blocks and returns what the API says of identities."""

    def __init__(
        self,
        ledger: Record,
        identities: Callable[[], Sequence[Json]],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._identities, self._ticks = ledger, identities, ticks
        self._lock = threading.Lock()
        self._asked: tuple[datetime, datetime] | None = None
        self._letters: dict[str, Letter] | None = None
        self._again_at = 0.0
        self.thread: threading.Thread | None = None

    def ask(self, since: datetime, until: datetime) -> Mapping[str, Letter] | None:
        """Return the letter of each owner over a time; None while that is not known yet: it is asked again."""
        with self._lock:
            if self._asked == (since, until) and self._letters is not None:
                return self._letters
            is_busy = self.thread is not None and self.thread.is_alive()
            if is_busy or (self._asked == (since, until) and self._ticks() < self._again_at):
                return None
            self._asked, self._letters = (since, until), None
            self._again_at = self._ticks() + AGAIN_AFTER_S
            self.thread = threading.Thread(target=self._write, args=(since, until), name="digests", daemon=True)
            self.thread.start()
        return None

    def _write(self, since: datetime, until: datetime) -> None:
        try:
            letters = write_letters(self._ledger, self._identities(), since, until)
        except Transient as fault:
            log.warning("digests can't be written now, and are tried again", extra={"detail": str(fault)})
            return
        except Exception as fault:
            log.error("a fault of our own: no digests", exc_info=fault)
            return
        with self._lock:
            if self._asked == (since, until):
                self._letters = letters


def write_letters(ledger: Record, identities: Sequence[Json], since: datetime, until: datetime) -> dict[str, Letter]:
    """Return a letter for each owner; blocks.

    Raises:
        Transient: the ledger does not answer.
    """
    mapped = (control for mapping in shipped_mappings() for control in mapping.controls)
    report = assess(
        "csf",
        since,
        until,
        identities=identities,
        incidents=_plain([incident_view(one) for one in ledger.incidents(MOST)]),
        notifications=_plain(ledger.notifications(MOST)),
        acts=(),
        controls=_plain(list(mapped)),
    )
    found = {}
    for owner in owners_of(report):
        first, _, rest = digest_of_owner(report, owner).partition("\n")
        text = "\n".join(printable(line) for line in (first, *rest.splitlines()))
        found[owner] = Letter(subject=printable(f"[anchorwatch] {first}"), text=text, owner=owner)
    return found


def _plain(content: object) -> Any:
    """Return what the API would say of something."""
    return msgspec.json.decode(msgspec.json.encode(content, enc_hook=str))


def identities_here(analyzer: Analyzer, loop: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[], Sequence[Json]]:
    """Return a question to the analyzer of this process: asked in its own loop, where it does not change meanwhile."""

    async def look() -> Any:
        views = endpoint_views(analyzer.current, analyzer.consumers, analyzer.zones)
        return _plain(identity_views(views, analyzer.consumers))

    def ask() -> Sequence[Json]:
        try:
            found: Sequence[Json] = asyncio.run_coroutine_threadsafe(look(), loop()).result(PATIENCE_S)
        except TimeoutError as error:
            raise Transient("the analyzer does not answer") from error
        return found

    return ask


def identities_at(api: AnalyzerApi, egress: Egress) -> Callable[[], Sequence[Json]]:
    """Return a question to the API of the analyzer's process."""

    def ask() -> Sequence[Json]:
        headers = {"authorization": f"Bearer {api.token}"} if api.token else {}
        url = f"{api.url}/api/v1/identities?limit={MOST}"
        try:
            pool = open_pool(api.url, egress)
            answer = pool.request("GET", url, headers=headers, retries=False, redirect=False, timeout=PATIENCE_S)
            found: Sequence[Json] = msgspec.json.decode(answer.data, type=list[dict[str, Any]])
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError, OSError) as error:
            raise Transient(f"digests.analyzer does not answer: {type(error).__name__}") from error
        if answer.status != 200:
            raise Transient(f"digests.analyzer answers HTTP {answer.status}")
        return found

    return ask

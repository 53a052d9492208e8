"""Open findings, taken up anew by a ledger that knows nothing of them: it is new, or its topic was lost."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from kafka.errors import KafkaError

from anchorwatch.kafka.clients import open_again, open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.ledger import KafkaLedger
from anchorwatch.kafka.reading import read_to_end
from anchorwatch.kafka.topics import FINDINGS, full_name
from anchorwatch.pipeline.pump import Handler
from schemas.catalogue import Kind
from schemas.faults import Rejected, Transient
from schemas.messages import Finding, FindingStatus, Message, utc
from schemas.wire import decode

log = logging.getLogger(__name__)

DRIFT_IS_NEWS_FOR = timedelta(hours=24)
AT_ONCE = 200


class BegunLedger:
    """The alerts' handler behind a ledger that has begun: first what is open, then what comes."""

    def __init__(self, config: KafkaConfig, client_id: str, ledger: KafkaLedger, handle: Handler, clock: Any) -> None:
        self._config, self._client_id, self._ledger = config, client_id, ledger
        self._handle, self._clock = handle, clock

    async def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Handle a batch; of a ledger that was lost the open findings before it.

        Raises:
            Transient: Kafka is unavailable.
        """
        if await asyncio.to_thread(self._ledger.has_begun):
            return await self._handle(batch)
        known = await asyncio.to_thread(self._known)
        findings = await asyncio.to_thread(self._read, known)
        if findings:
            log.warning(
                "the ledger's topic is new, or was lost: open findings are taken up anew, and page again",
                extra={"findings": len(findings), "incidents_kept": len(known)},
            )
        notifications = [
            one for start in range(0, len(findings), AT_ONCE) for one in await self._take(findings[start:][:AT_ONCE])
        ]
        await asyncio.to_thread(self._ledger.note_begun)
        return [*notifications, *await self._handle(batch)]

    async def _take(self, findings: Sequence[Finding]) -> list[Message]:
        """Hand findings to the stage; one that it can't handle is a dead letter since it came the first time."""
        try:
            return list(await self._handle(findings))
        except Transient:
            raise
        except Exception as fault:
            if len(findings) > 1:
                return [message for one in findings for message in await self._take([one])]
            log.error("an open finding can't be handled", extra={"id": findings[0].id}, exc_info=fault)
            return []

    def _known(self) -> set[str]:
        return {key for incident in self._ledger.open_incidents() for key in incident.entries}

    def _read(self, known: Collection[str]) -> list[Finding]:
        consumer = open_again(lambda: open_consumer(self._config, self._client_id, group=None))
        try:
            records = read_to_end(consumer, full_name(self._config, FINDINGS))
            return still_open((record.value for record in records), known, utc(self._clock()))
        except KafkaError as error:
            raise Transient(f"the findings can't be read: {type(error).__name__}: {error}") from error
        finally:
            consumer.close()


def still_open(values: Iterable[bytes | None], known: Collection[str], now: datetime) -> list[Finding]:
    """Return the newest version of what is open: states, drifts of the last day, and the end of what is ``known``."""
    newest: dict[str, Finding] = {}
    for value in values:
        try:
            message = decode(value or b"")
        except Rejected:
            continue  # a dead letter already
        if not isinstance(message, Finding):
            continue
        before = newest.get(message.id)
        if before is None or before.version < message.version:
            newest[message.id] = message
    found = [one for one in newest.values() if one.id in known or _is_open(one, now)]
    return sorted(found, key=lambda finding: finding.updated_at)


def _is_open(finding: Finding, now: datetime) -> bool:
    if finding.kind is Kind.DRIFT:
        return finding.updated_at >= now - DRIFT_IS_NEWS_FOR
    return finding.status is not FindingStatus.CLOSED

"""Messages to Kafka: each stored by every replica in sync, or kept as a dead letter if Kafka will never take it."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kafka.errors import KafkaError

from anchorwatch.kafka.clients import DELIVERY_S, REQUEST_S, flush_reporting, open_again, open_producer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import TOO_LARGE, KafkaDeadLetters
from anchorwatch.kafka.topics import full_name, topic_of
from anchorwatch.pipeline.dead_letters import DeadLetter
from anchorwatch.telemetry import Meter
from schemas.faults import Transient
from schemas.messages import Message
from schemas.wire import encode, id_of, key_of, tag_of, time_of

log = logging.getLogger(__name__)

KEPT_OF_TOO_LARGE = 64 * 1024


class KafkaSink:
    """Where a stage's outputs go. ``source`` names the process in each message's ``ce_source``.

    ``trouble`` says why Kafka does not take what is sent, empty while it does.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """

    def __init__(
        self, config: KafkaConfig, stage: str, source: str, dead_letters: KafkaDeadLetters, meter: Meter
    ) -> None:
        self._config, self._stage, self._source = config, stage, source
        self._dead_letters, self._meter = dead_letters, meter
        self._client_id = f"{config.prefix}-{stage}"
        self.trouble = ""
        self._lock = threading.Lock()  # the stage sends, and whoever acts over HTTP does
        self._producer: Any = open_producer(config, self._client_id)

    async def send(self, messages: Sequence[Message]) -> None:
        """Return once every message is stored by Kafka.

        Raises:
            Transient: Kafka is unavailable; the same messages may be sent again, under the same ids.
        """
        if messages:
            await asyncio.to_thread(self._send_alone, messages)

    async def close(self) -> None:
        """Let go of the connection."""
        await asyncio.to_thread(self._let_go)

    def _send_alone(self, messages: Sequence[Message]) -> None:
        with self._lock:
            self._send(messages)

    def _send(self, messages: Sequence[Message]) -> None:
        try:
            if self._producer is None:
                self._producer = open_again(lambda: open_producer(self._config, self._client_id))
            sent = [(message, self._hand_over(message)) for message in messages]
            flush_reporting(self._producer, DELIVERY_S + REQUEST_S, self._report)
            for message, future in sent:
                if future is not None:
                    self._await(message, future)
        except KafkaError as error:
            self._let_go()  # an idempotent producer that failed for good can't go on: the next try makes a new one
            raise Transient(f"Kafka does not take messages: {type(error).__name__}: {error}") from error

    def _report(self, trouble: str) -> None:
        if trouble and not self.trouble:
            log.warning("Kafka takes no messages", extra={"stage": self._stage, "detail": trouble})
        self.trouble = trouble

    def _hand_over(self, message: Message) -> Any:
        topic = full_name(self._config, topic_of(message))
        key = key_of(message).encode()
        try:
            return self._producer.send(topic, value=encode(message), key=key, headers=headers_of(message, self._source))
        except TOO_LARGE as error:
            self._refuse(message, error)
            return None

    def _await(self, message: Message, future: Any) -> None:
        try:
            future.get(timeout=0.1 if future.is_done else DELIVERY_S)
        except TOO_LARGE as error:
            self._refuse(message, error)

    def _refuse(self, message: Message, error: KafkaError) -> None:
        """Log a message that Kafka will never take, and keep its beginning as a dead letter."""
        value = encode(message)
        reason = f"{len(value):,} octets are more than topic {topic_of(message)} takes ({type(error).__name__})"
        log.error("message kept as a dead letter", extra={"stage": self._stage, "id": id_of(message), "why": reason})
        self._dead_letters.put(
            DeadLetter(
                reason=f"{reason}; only its first {KEPT_OF_TOO_LARGE:,} octets are kept",
                stage=self._stage,
                at=datetime.now(UTC),
                topic=topic_of(message),
                key=key_of(message).encode(),
                value=value[:KEPT_OF_TOO_LARGE],
                headers=tuple(headers_of(message, self._source)),
            )
        )
        self._meter.dead_letters.labels(self._stage).inc()

    def _let_go(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError):
                producer.close(timeout=5)


def headers_of(message: Message, source: str) -> list[tuple[str, bytes]]:
    """Return the attributes of a message as headers. Source: CloudEvents 1.0.2, Kafka binding, binary mode."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": id_of(message),
        "ce_type": f"io.anchorwatch.{tag_of(message)}",
        "ce_source": source,
        "ce_time": time_of(message).isoformat().replace("+00:00", "Z"),
        "content-type": "application/json",
    }
    return [(name, text.encode()) for name, text in attributes.items()]

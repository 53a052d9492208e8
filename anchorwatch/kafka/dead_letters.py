"""Dead letters on a topic of their own; the value is the message, untouched; headers say why and where it came from."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import msgspec
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from anchorwatch.kafka.clients import open_again, open_consumer, open_producer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.reading import read_to_end
from anchorwatch.kafka.topics import DEAD, full_name
from anchorwatch.pipeline.dead_letters import DeadLetter
from schemas.faults import Transient

OURS = "anchorwatch-"
PATIENCE_S = 30.0
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
KEPT = 64 * 1024


class KafkaDeadLetters:
    """The dead-letter topic."""

    def __init__(self, config: KafkaConfig, client_id: str) -> None:
        self._config, self._client_id = config, client_id
        self._topic = full_name(config, DEAD)
        self._producer: Any = None

    def put(self, letter: DeadLetter) -> None:
        """Send it, and wait until it is stored; of what Kafka does not take whole, the beginning.

        Raises:
            Transient: Kafka is unavailable.
        """
        try:
            self._put(letter)
        except TOO_LARGE:
            reason = f"{letter.reason[:1000]}; of its {len(letter.value):,} octets only the first {KEPT:,} are kept"
            short = {"reason": reason, "value": letter.value[:KEPT], "key": letter.key[:KEPT], "headers": ()}
            self._put(msgspec.structs.replace(letter, **short))

    def _put(self, letter: DeadLetter) -> None:
        said = {
            "reason": letter.reason,
            "stage": letter.stage,
            "at": letter.at.isoformat(),
            "topic": letter.topic,
            "partition": str(letter.partition),
            "offset": str(letter.offset),
        }
        headers = [*letter.headers, *((OURS + name, text.encode()) for name, text in said.items())]
        try:
            sent = self._open().send(self._topic, value=letter.value, key=letter.key, headers=headers)
            sent.get(timeout=PATIENCE_S)
        except TOO_LARGE:
            raise
        except KafkaError as error:
            self.close()
            raise Transient(f"a dead letter can't be kept: {type(error).__name__}: {error}") from error

    def all(self) -> list[DeadLetter]:
        """Return all that are kept, oldest first.

        Raises:
            Transient: Kafka is unavailable.
        """
        consumer = open_consumer(self._config, self._client_id, group=None)
        try:
            return [_letter_of(record) for record in read_to_end(consumer, self._topic)]
        except KafkaError as error:
            raise Transient(f"the dead letters can't be read: {type(error).__name__}: {error}") from error
        finally:
            consumer.close()

    def send_again(self, letter: DeadLetter) -> None:
        """Send a letter's message to the topic that it came from, with the key and headers that it had.

        Raises:
            Transient: Kafka is unavailable.
        """
        topic = full_name(self._config, letter.topic)
        try:
            sent = self._open().send(topic, value=letter.value, key=letter.key, headers=list(letter.headers))
            sent.get(timeout=PATIENCE_S)
        except KafkaError as error:
            raise Transient(f"{letter.origin} can't be sent again: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Let go of the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError):
                producer.close(timeout=5)

    def _open(self) -> Any:
        if self._producer is None:
            self._producer = open_again(lambda: open_producer(self._config, self._client_id))
        return self._producer


def _letter_of(record: Any) -> DeadLetter:
    """Return the dead letter in a record; a record that somebody else wrote can be shown, too."""
    ours = [(name, value) for name, value in record.headers if name.startswith(OURS)]
    said = {name.removeprefix(OURS): (value or b"").decode(errors="replace") for name, value in ours}
    return DeadLetter(
        reason=said.get("reason", "unknown"),
        stage=said.get("stage", ""),
        at=_instant(said.get("at", ""), record.timestamp),
        topic=said.get("topic", ""),
        partition=_number(said.get("partition", "")),
        offset=_number(said.get("offset", "")),
        key=record.key or b"",
        value=record.value or b"",
        headers=tuple((name, value or b"") for name, value in record.headers if not name.startswith(OURS)),
    )


def _instant(text: str, timestamp_ms: int) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1

"""Messages to topics that are not the stages' own: written one at a time, and stored before the call returns."""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

from kafka.errors import KafkaError

from anchorwatch.kafka.clients import open_again, open_producer
from anchorwatch.kafka.config import KafkaConfig
from schemas.faults import Transient

WRITE_S = 10.0
"""A delivery has 20 s in all, some of which the producer takes to find the topic."""


class KafkaTopicWriter:
    """Writes from many threads over one producer, which is opened with the first message."""

    def __init__(self, config: KafkaConfig, client_id: str) -> None:
        self._config, self._client_id = config, client_id
        self._lock = threading.Lock()
        self._producer: Any = None

    def write(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> str:
        """Write one message and wait until it is stored; return why it was not, empty if it was."""
        try:
            producer = self._open()
            producer.send(topic, key=key, value=value, headers=list(headers)).get(timeout=WRITE_S)
        except (KafkaError, Transient) as error:
            self._let_go()
            return f"topic {topic} does not take it: {error if isinstance(error, Transient) else type(error).__name__}"
        return ""

    def close(self) -> None:
        """Let go of Kafka."""
        self._let_go()

    def _open(self) -> Any:
        with self._lock:
            if self._producer is None:
                self._producer = open_again(lambda: open_producer(self._config, self._client_id))
            return self._producer

    def _let_go(self) -> None:
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError):
                producer.close(timeout=1)

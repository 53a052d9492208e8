"""Two collectors with different inventory files, one after the other, over a broker: nobody is lost unsaid."""

import asyncio
import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.kafka.assignment import AssignedInventory
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.topics import prepare_topics
from anchorwatch.telemetry import Meter
from collector.config import InventorySource
from collector.inventory.sources import InventorySources
from schemas.messages import InventoryIndex, InventorySnapshot, Message
from tests.support.daemons import free_port, until

pytestmark = pytest.mark.cluster

_numbers = itertools.count()
HOSTS = [f"{name}.bank.example" for name in ("api", "www", "idp", "pay", "ops")]
HOUR_S = 3600.0


@pytest.fixture
def config(kafka_address: str) -> KafkaConfig:
    prefix = f"files-{next(_numbers)}-{free_port()}"
    config = KafkaConfig(brokers=(kafka_address,), prefix=prefix, partitions=1, session_timeout_s=6.0)
    prepare_topics(config, "test")
    return config


class Seat:
    """The place of share 0, which one collector after the other takes with the file that it has."""

    def __init__(self, config: KafkaConfig, folder: Path) -> None:
        self._config, self.path = config, folder / "inventory.csv"

    def take(self, hosts: list[str], *, written_at: float) -> tuple[list[Message], list[str], AssignedInventory]:
        """Return what a collector with this file publishes, what it then watches, and itself."""
        rows = ["id,criticality,endpoints", *(f"sa-{host},critical,{host}" for host in hosts)]
        self.path.write_text("\n".join(rows) + "\n")
        os.utime(self.path, (written_at, written_at))
        files = InventorySources((InventorySource(path=self.path, format="csv"),), ("corp",))
        inventory = AssignedInventory(self._config, 1, files, ("corp",), Meter())
        inventory.start(lambda: None)
        try:
            until(lambda: inventory.changed() and bool(inventory.partitions), "it has share 0 and has read the topic")
            inventory.load()
            news = inventory.news(time.time())
            asyncio.run(self._publish(news))
            until(lambda: self._is_settled(inventory), "what was published is read")
            watched = [endpoint.host for one in inventory.load().identities for endpoint in one.endpoints]
        finally:
            inventory.stop()
        return news, watched, inventory

    def _is_settled(self, inventory: AssignedInventory) -> bool:
        """Return whether the topic says what the files say."""
        inventory.load()
        return not inventory.news(time.time())

    async def _publish(self, messages: list[Message]) -> None:
        letters = KafkaDeadLetters(self._config, "test")
        sink = await asyncio.to_thread(lambda: KafkaSink(self._config, "collector", "/test", letters, Meter()))
        await sink.send(messages)
        await sink.close()


def gone(news: list[Message]) -> list[str]:
    return [one.id for one in news if isinstance(one, InventorySnapshot) and one.identity is None]


def test_an_older_and_an_emptied_file_take_nobody_away_and_a_newer_one_is_followed(
    config: KafkaConfig, tmp_path: Path
) -> None:
    seat, now = Seat(config, tmp_path), time.time()
    news, watched, _ = seat.take(HOSTS, written_at=now - HOUR_S)
    assert sorted(watched) == sorted(HOSTS)
    (index,) = [one for one in news if isinstance(one, InventoryIndex)]
    assert list(index.files) == [str(seat.path)]

    news, watched, older = seat.take(HOSTS[:4], written_at=now - 2 * HOUR_S)
    assert news == []
    assert sorted(watched) == sorted(HOSTS)
    said: Any = older.troubles[str(seat.path)]
    assert "The older one is not published" in said

    news, watched, emptied = seat.take([], written_at=now)
    assert gone(news) == []
    assert sorted(watched) == sorted(HOSTS)
    assert str(seat.path) in emptied.shrunk

    news, watched, newer = seat.take([*HOSTS[1:], "new.bank.example"], written_at=now + 1)
    assert gone(news) == [f"sa-{HOSTS[0]}"]
    assert sorted(watched) == sorted([*HOSTS[1:], "new.bank.example"])
    assert newer.troubles == {}

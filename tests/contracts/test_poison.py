"""What somebody else writes to our topics ends no stage: each becomes a dead letter, its neighbours pass."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import AlertsConfig, Match, Route
from alerts.delivery.delivery import DeliveryOutcome
from alerts.stage import Alerts
from anchorwatch.configuration.rules import shipped_mappings
from anchorwatch.kafka.assignment import AssignedInventory
from anchorwatch.kafka.clients import open_producer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.ledger import KafkaLedger
from anchorwatch.kafka.source import KafkaSource
from anchorwatch.kafka.topics import DEAD, FINDINGS, INVENTORY, full_name, prepare_topics
from anchorwatch.pipeline.local_bus import Unreadable
from anchorwatch.pipeline.progress import Step
from anchorwatch.pipeline.pump import Pump
from anchorwatch.pipeline.run import NotificationSink
from anchorwatch.telemetry import Meter
from collector.config import InventorySource
from collector.inventory.sources import InventorySources
from schemas.catalogue import Severity
from schemas.messages import Endpoint, Identity, InventorySnapshot
from schemas.wire import encode
from tests.support.daemons import free_port, until
from tests.support.findings import AT, closed, finding
from tests.support.pacing import AT_ONCE

pytestmark = pytest.mark.cluster

_numbers = itertools.count()
GOOD, LAST = finding(zone="bank.example."), finding(zone="last.example.")


def changed(**fields: Any) -> bytes:
    return json.dumps({**msgspec.json.decode(encode(finding(zone="bad.example."))), **fields}).encode()


POISON = {
    "version above any store": changed(version=2**70),
    "version below any store": changed(version=-(2**70)),
    "nested 5,000 deep": encode(GOOD)[:-1] + b',"more":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "the year 9999": changed(opened_at="9999-12-31T23:59:59Z"),
    "the year 1": changed(updated_at="0001-01-01T00:00:00+14:00"),
    "half a surrogate": changed().replace(b"because of", b"\\ud800"),
    "no JSON": b"\x00\xff" * 100,
    "nothing": b"",
}
ODD = (
    changed(detail="a\0b", id="\0", endpoints=["\0"]),
    changed(detail="x" * 500_000, id="long"),
    encode(GOOD),
    encode(GOOD),
    encode(closed(finding(zone="never-opened.example."))),
)


class Receiver:
    """A receiver that takes everything."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def send(self, one: Any, now: float) -> DeliveryOutcome:
        self.told.append(one.incident.cause)
        return DeliveryOutcome(True, "")


@pytest.fixture
def config(kafka_address: str) -> KafkaConfig:
    prefix = f"poison-{next(_numbers)}-{free_port()}"
    config = KafkaConfig(brokers=(kafka_address,), prefix=prefix, partitions=1, session_timeout_s=6.0)
    prepare_topics(config, "test")
    return config


def put(config: KafkaConfig, topic: str, *values: bytes) -> None:
    producer = open_producer(config, "stranger")
    for value in values:
        producer.send(full_name(config, topic), key=b"k", value=value).get(timeout=10)
    producer.close()


def test_findings_that_no_store_can_hold_end_no_alerts_process(config: KafkaConfig, tmp_path: Path) -> None:
    put(config, FINDINGS, encode(GOOD), *POISON.values(), *ODD, encode(LAST))
    receiver, meter, letters = Receiver(), Meter(), KafkaDeadLetters(config, "test")
    ledger = KafkaLedger(config, "test", "/test")
    settings = AlertsConfig(
        rules=(),
        routes=(Route(match=Match(severity=(Severity.CRITICAL,)), receiver="soc"),),
        receivers=(),
        mappings=shipped_mappings(),
        ledger=tmp_path / "none.sqlite",
        pacing=AT_ONCE,
    )
    alerts = Alerts(settings, ledger, {"soc": receiver}, AT.timestamp)

    async def story() -> str:
        source = await asyncio.to_thread(
            lambda: KafkaSource(config, "test", (FINDINGS,), letters, meter, gained=alerts.forget)
        )
        step = Step("alerts", lambda: 0.0)
        pump = Pump("alerts", source, alerts.handle, NotificationSink(), meter, step)
        running = asyncio.create_task(pump.run())
        while "last.example." not in receiver.told and not running.done():
            await asyncio.sleep(0.05)
        source.stop()
        await running
        await source.close()
        return step.halted

    try:
        assert asyncio.run(asyncio.wait_for(story(), 60)) == ""
        assert receiver.told.count("bank.example.") == 1
        assert receiver.told.count("last.example.") == 1
        kept = {letter.value for letter in letters.all()}
        assert kept == set(POISON.values())
        assert {"bad.example.", "bank.example.", "last.example."} >= {one.cause for one in ledger.open_incidents()}
    finally:
        ledger.close()
        letters.close()


def rows() -> Iterator[bytes]:
    for key, host in (("good", "api.bank.example"), ("bad", "a..b"), ("mixed", "x" * 80), ("last", "idp.example")):
        endpoints = (Endpoint(host=host), Endpoint(host="www.bank.example"))[: 2 if key == "mixed" else 1]
        yield encode(InventorySnapshot(id=key, seen_at=AT, identity=Identity(id=key, endpoints=endpoints)))
    yield encode(InventorySnapshot(id="", seen_at=AT, identity=Identity(id="")))
    yield b"[" * 5000


def test_a_row_of_the_inventory_that_no_file_may_have_blinds_no_collector(config: KafkaConfig, tmp_path: Path) -> None:
    put(config, INVENTORY, *rows())
    files = InventorySources((InventorySource(path=tmp_path / "none.yaml", format="yaml"),), ("corp",))
    inventory = AssignedInventory(config, 1, files, ("corp",), Meter())
    inventory.start(lambda: None)
    try:
        until(inventory.changed, "the topic was read")
        found = {one.id: [endpoint.host for endpoint in one.endpoints] for one in inventory.load().identities}
    finally:
        inventory.stop()

    assert inventory.fault is None
    assert found == {"good": ["api.bank.example"], "bad": [], "mixed": ["www.bank.example"], "last": ["idp.example"]}


def test_the_analyzer_s_side_keeps_such_a_row_as_a_dead_letter_that_names_it(config: KafkaConfig) -> None:
    put(config, INVENTORY, *rows())
    letters = KafkaDeadLetters(config, "test")

    async def story() -> list[Any]:
        source = await asyncio.to_thread(
            lambda: KafkaSource(config, "test", (INVENTORY,), letters, Meter(), gained=lambda: None)
        )
        while not (batch := await source.batch()):
            pass
        for one in batch:
            if isinstance(one, Unreadable):
                await source.keep_dead_letter(one, one.reason)
        await source.commit()
        await source.close()
        return [one for one in batch if not isinstance(one, Unreadable)]

    batch = asyncio.run(asyncio.wait_for(story(), 60))
    letters.close()

    assert [message.id for message in batch] == ["good", "bad", "mixed", "last"]
    reasons = [letter.reason for letter in letters.all()]
    assert len(reasons) == 4
    assert f"{config.prefix}.inventory/0@1: identity 'bad': 'a..b'" in reasons[0]
    assert "@2: identity 'mixed': " in reasons[1]
    assert "an identity needs an 'id'" in reasons[2]


def test_a_letter_that_is_too_large_for_its_topic_is_kept_as_far_as_it_goes(config: KafkaConfig) -> None:
    from anchorwatch.pipeline.dead_letters import DeadLetter

    letters = KafkaDeadLetters(config, "test")
    letters.put(DeadLetter(reason="r" * 5_000, stage="analyzer", at=AT, topic="observations", value=b"x" * 10_485_700))
    (letter,) = letters.all()
    letters.close()

    assert letter.value == b"x" * 65_536
    assert letter.reason.endswith("of its 10,485,700 octets only the first 65,536 are kept")


def test_letters_that_somebody_else_wrote_can_be_shown(config: KafkaConfig) -> None:
    producer = open_producer(config, "stranger")
    headers = [("anchorwatch-at", b"soon"), ("anchorwatch-offset", b"\xff"), ("anchorwatch-partition", b"9" * 5000)]
    producer.send(full_name(config, DEAD), key=b"k", value=b"v", headers=headers).get(timeout=10)
    producer.close()

    letters = KafkaDeadLetters(config, "test")
    (letter,) = letters.all()
    letters.close()

    assert (letter.value, letter.partition, letter.offset) == (b"v", -1, -1)

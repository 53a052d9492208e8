"""The ledger's topic is deleted, made anew or damaged: what is open is told again, and nothing is forgotten."""

import asyncio
import itertools
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from alerts.config import AlertsConfig, Match, Route
from alerts.delivery.delivery import DeliveryOutcome
from alerts.stage import Alerts
from anchorwatch.configuration.rules import shipped_mappings
from anchorwatch.kafka.clients import open_producer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.ledger import KafkaLedger
from anchorwatch.kafka.recovery import BegunLedger, still_open
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.topics import LEDGER, full_name, prepare_topics
from anchorwatch.telemetry import Meter
from schemas.catalogue import Kind, Severity
from schemas.messages import Finding, FindingStatus
from schemas.wire import encode
from tests.contracts.test_ledger import delivery, incident
from tests.support.broker import NEEDED, ApacheKafka, GivenKafka, WheelBroker
from tests.support.daemons import free_port, until
from tests.support.findings import AT, finding
from tests.support.pacing import AT_ONCE

pytestmark = pytest.mark.cluster

_numbers = itertools.count()
NOW = AT + timedelta(hours=1)


@pytest.fixture
def config(broker: ApacheKafka | WheelBroker | GivenKafka) -> KafkaConfig:
    if isinstance(broker, WheelBroker):
        pytest.skip(f"{broker.kind} deletes no topics; {NEEDED}")
    prefix = f"lost-{next(_numbers)}-{free_port()}"
    config = KafkaConfig(brokers=(broker.address,), prefix=prefix, partitions=1, session_timeout_s=6.0)
    prepare_topics(config, "test")
    return config


@pytest.fixture
def ledgers(config: KafkaConfig) -> Iterator[Any]:
    opened: list[KafkaLedger] = []

    def open_one() -> KafkaLedger:
        opened.append(KafkaLedger(config, "test", "/alerts/test"))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


def make_anew(config: KafkaConfig) -> None:
    """Delete the ledger's topic and make it again, empty."""
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    name = full_name(config, LEDGER)
    admin.delete_topics([name])
    until(lambda: name not in admin.list_topics(), "the topic is gone")
    admin.close()
    prepare_topics(config, "test")


def test_a_topic_that_is_lost_under_the_active_process_is_written_anew_from_its_memory(
    config: KafkaConfig, ledgers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    active = ledgers()
    assert not active.has_begun()
    active.note_begun()
    active.commit(incidents=[incident()], deliveries=[delivery(1)], handled=[("f1", 3)])

    make_anew(config)

    def commits_again() -> bool:
        try:
            active.has_begun()
            active.commit(handled=[("f2", 1)])
        except Exception as error:  # noqa: BLE001 - as the pump, which waits and tries again
            logging.getLogger("test").warning("not yet: %s", error)
            return False
        return True

    until(commits_again, "the ledger is written again")

    assert "the ledger's topic was lost" in caplog.text
    other = ledgers()
    assert other.open_incidents() == [incident()]
    assert [one.id for one in other.deliveries()] == ["d1"]
    assert other.handled_versions(["f1", "f2"]) == {"f1": 3, "f2": 1}


def test_what_the_copy_in_memory_can_not_hold_comes_not_onto_the_topic(ledgers: Any) -> None:
    ledger = ledgers()
    ledger.deliveries()

    with pytest.raises(OverflowError):
        ledger.commit(incidents=[incident()], handled=[("f", 2**70)])

    assert ledger.open_incidents() == []
    ledger.commit(handled=[("f", 1)])
    other = ledgers()
    assert other.open_incidents() == []
    assert other.handled_versions(["f"]) == {"f": 1}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"handled/f", str(2**70).encode()),
        (b"incidents/" + incident().id.encode(), b"{" * 5000),
        (b"incidents/" + incident().id.encode(), b'{"id":' + b"[" * 5000),
        (b"nonsense/f", b"1"),
        (b"\xff\xfe", b"1"),
    ],
)
def test_a_row_that_can_not_be_read_ends_nobody_and_findings_are_taken_up_again(
    config: KafkaConfig, ledgers: Any, key: bytes, value: bytes
) -> None:
    ledger = ledgers()
    ledger.deliveries()
    ledger.commit(incidents=[incident(), incident("other.example.")], handled=[(finding().id, 1), ("gone", 1)])
    ledger.note_begun()
    assert ledger.has_begun()
    producer = open_producer(config, "stranger")
    producer.send(full_name(config, LEDGER), key=key, value=value).get(timeout=10)
    producer.close()

    other = ledgers()
    assert not other.has_begun()
    assert incident("other.example.") in other.open_incidents()
    assert other.handled_versions(["gone"]) == {}, "its incident may be the one that can't be read"
    other.note_begun()
    assert ledgers().has_begun(), "the row was dropped"


class Receiver:
    """A receiver that takes everything."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def send(self, one: Any, now: float) -> DeliveryOutcome:
        self.told.append((one.event, one.incident.cause))
        return DeliveryOutcome(True, "")


def test_a_ledger_that_was_lost_begins_anew_from_open_findings(
    config: KafkaConfig, ledgers: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    settings = AlertsConfig(
        rules=(),
        routes=(Route(match=Match(severity=(Severity.CRITICAL,)), receiver="soc"),),
        receivers=(),
        mappings=shipped_mappings(),
        ledger=tmp_path / "none.sqlite",
        pacing=AT_ONCE,
    )
    burning = finding(zone="bank.example.")
    healed = finding(zone="idp.example.")
    over = finding(zone="idp.example.", status=FindingStatus.CLOSED, version=2)

    def alerts_of(receiver: Receiver) -> BegunLedger:
        ledger = ledgers()
        stage = Alerts(settings, ledger, {"soc": receiver}, NOW.timestamp)
        return BegunLedger(config, "test", ledger, stage.handle, NOW.timestamp)

    async def story() -> tuple[Receiver, Receiver]:
        sink = await asyncio.to_thread(
            lambda: KafkaSink(config, "analyzer", "/test", KafkaDeadLetters(config, "test"), Meter())
        )
        before, after = Receiver(), Receiver()
        alerts = alerts_of(before)
        await alerts.handle([])
        for batch in ([burning, healed], [over]):
            await sink.send(batch)
            await alerts.handle(batch)
        await sink.close()
        assert "taken up anew" not in caplog.text, "nothing was lost"
        await asyncio.to_thread(make_anew, config)
        alerts = alerts_of(after)
        for _ in range(3):
            await alerts.handle([])
        return before, after

    before, after = asyncio.run(asyncio.wait_for(story(), 60))

    assert ("trigger", "bank.example.") in before.told
    assert after.told == [("trigger", "bank.example.")], "once, and nothing of what is over"
    assert "open findings are taken up anew, and page again" in caplog.text


def test_what_is_still_open_is_the_newest_word_on_each() -> None:
    def drift(hours: int) -> Finding:
        at = NOW - timedelta(hours=hours)
        return finding(zone=f"d{hours}.example.", kind=Kind.DRIFT, opened_at=at, updated_at=at)

    opened, updated = finding(), finding(version=3)
    closed = finding(zone="old.example.", status=FindingStatus.CLOSED, version=2)
    values = [encode(one) for one in (updated, opened, closed, drift(1), drift(30))]

    found = still_open([*values, None, b"{", b"[" * 5000], set(), NOW)
    assert {(one.cause_zone, one.version) for one in found} == {("bank.example.", 3), ("d1.example.", 1)}
    assert closed in still_open(values, {closed.id}, NOW), "its incident is known, and must end"

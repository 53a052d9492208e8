"""Each stage as a Kafka user of its own, on a real broker with an authorizer: it can do its work, and nothing else."""

import asyncio
import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from kafka.structs import TopicPartition

from anchorwatch.kafka.active import ActiveAssignor
from anchorwatch.kafka.assignment import AssignedInventory
from anchorwatch.kafka.clients import client_options, open_consumer, open_producer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.ledger import KafkaLedger
from anchorwatch.kafka.rights import READS, STAGES, table
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.source import KafkaSource
from anchorwatch.kafka.topics import TOPICS, full_name, prepare_topics
from anchorwatch.pipeline.dead_letters import DeadLetter
from anchorwatch.pipeline.local_bus import Unreadable
from anchorwatch.telemetry import Meter
from collector.config import InventorySource
from collector.inventory.sources import InventorySources
from schemas.faults import AnchorwatchError
from schemas.messages import Message, Recall, SelfReport
from tests.contracts.test_kafka_faults import SASL, prepared
from tests.contracts.test_ledger import incident, notification
from tests.support.broker import NEEDED, ApacheKafka, fetch_jars
from tests.support.daemons import free_port, until
from tests.support.findings import AT, finding

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
AUTHORIZER = (
    SASL
    + """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
allow.everyone.if.no.acl.found=false
"""
)
USERS = ("admin", "collector", "analyzer", "alerts", "operator", "stranger")
# Not taken from the code: who may write a topic, and who may read it.
MAY_WRITE = {
    "inventory": {"collector", "operator"},
    "observations": {"collector", "operator"},
    "polls": {"collector", "operator"},
    "findings": {"analyzer", "operator"},
    "acts": {"alerts", "analyzer", "collector", "operator"},
    "zones": {"collector", "operator"},
    "ledger": {"alerts"},
    "notifications": {"alerts"},
    "dead": {"collector", "analyzer", "alerts"},
}
MAY_READ = {
    "inventory": {"collector", "analyzer"},
    "observations": {"analyzer"},
    "polls": {"analyzer"},
    "findings": {"alerts"},
    "acts": {"alerts", "analyzer", "collector"},
    "zones": {"analyzer"},
    "ledger": {"alerts"},
    "notifications": {"operator"},
    "dead": {"operator"},
}
REPORT = SelfReport(code="self_inventory_stale", subject="inventory.yaml", at=AT, detail="x")


def script() -> Any:
    spec = importlib.util.spec_from_file_location("acls", ROOT / "compose" / "kafka" / "acls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, KafkaConfig]]:
    """What each user is configured with, once the script has run twice."""
    if not fetch_jars():
        pytest.skip(NEEDED)
    ports = {"PLAINTEXT": free_port(), "SASL_PLAINTEXT": free_port()}
    broker = ApacheKafka(tmp_path_factory.mktemp("rights"), listeners=ports, more=AUTHORIZER)
    broker.add_users({name: f"of-{name}" for name in USERS})
    broker.start()
    plain = KafkaConfig(brokers=(f"127.0.0.1:{ports['SASL_PLAINTEXT']}",), partitions=1, session_timeout_s=6.0)
    configs = {
        name: msgspec.structs.replace(plain, mechanism="SCRAM-SHA-512", user=name, password=f"of-{name}")
        for name in USERS
    }
    try:
        prepared(configs["admin"])
        principals = {role: f"User:{role}" for role in READS}
        apply_rights = script().apply_rights
        assert apply_rights(configs["admin"], principals) == apply_rights(configs["admin"], principals)
        yield configs
    finally:
        broker.stop()


def test_each_topic_is_written_and_read_by_those_who_must_and_by_nobody_else(users: dict[str, KafkaConfig]) -> None:
    written: dict[str, set[str]] = {topic.name: set() for topic in TOPICS}
    read: dict[str, set[str]] = {topic.name: set() for topic in TOPICS}
    filled = KafkaProducer(**client_options(users["admin"], "test"), acks=1, enable_idempotence=False)
    for topic in TOPICS:
        assert may_write(filled, full_name(users["admin"], topic.name))
    filled.close(timeout=1)
    for user in USERS[1:]:
        # Not ours: an idempotent producer that was refused once is of no more use.
        producer = KafkaProducer(**client_options(users[user], "test"), acks=1, enable_idempotence=False)
        consumer = open_consumer(users[user], "test", group=None)
        for topic in TOPICS:
            name = full_name(users[user], topic.name)
            written[topic.name] |= {user} if may_write(producer, name) else set()
        for name in readable(consumer, users[user]):
            read[name] |= {user}
        producer.close(timeout=1)
        consumer.close()

    assert written == MAY_WRITE
    assert read == MAY_READ


def may_write(producer: Any, topic: str) -> bool:
    try:
        producer.send(topic, key=b"active", value=b"x").get(timeout=10)
    except TopicAuthorizationFailedError:
        return False
    return True


def readable(consumer: Any, config: KafkaConfig) -> set[str]:
    """Return of which topics records come; none of them is empty."""
    partitions = [TopicPartition(full_name(config, topic.name), 0) for topic in TOPICS]
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, 0)
    found = set()
    for _ in range(16):
        with contextlib.suppress(TopicAuthorizationFailedError):
            found |= {partition.topic.partition(".")[2] for partition in consumer.poll(timeout_ms=250)}
    return found


def test_groups_and_the_ledger_s_transactional_id_are_their_stage_s_own(users: dict[str, KafkaConfig]) -> None:
    for user in USERS[1:]:
        joined = {group for group in STAGES if may_join(users[user], f"anchorwatch.{group}")}
        assert joined == ({user} if user in STAGES else set())
        assert may_write_in_transactions(users[user]) == (user == "alerts"), user


def may_join(config: KafkaConfig, group: str) -> bool:
    consumer = open_consumer(config, "test", group=group, assignor=ActiveAssignor())
    try:
        consumer.committed(TopicPartition("anchorwatch.findings", 0), timeout_ms=8000)
    except KafkaError:
        return False
    finally:
        consumer.close(autocommit=False)
    return True


def may_write_in_transactions(config: KafkaConfig) -> bool:
    producer = open_producer(config, "test", transactional_id="anchorwatch.ledger")
    try:
        producer.init_transactions()
    except KafkaError:
        return False
    finally:
        producer.close(timeout=1)
    return True


def test_every_stage_can_do_its_work(users: dict[str, KafkaConfig], tmp_path: Path) -> None:
    for role in STAGES:
        assert prepare_topics(users[role], "test") == 1, "it may look at the topics"

    async def send(role: str, *messages: Message) -> None:
        letters = KafkaDeadLetters(users[role], "test")
        sink = await asyncio.to_thread(lambda: KafkaSink(users[role], role, "/test", letters, Meter()))
        await sink.send(messages)
        await sink.close()
        await asyncio.to_thread(letters.put, DeadLetter(reason="x", stage=role, at=AT, topic="polls"))
        letters.close()

    async def read(role: str, *topics: str) -> list[Message | Unreadable]:
        letters = KafkaDeadLetters(users[role], "test")
        source = await asyncio.to_thread(
            lambda: KafkaSource(users[role], role, topics, letters, Meter(), gained=lambda: None)
        )
        found: list[Message | Unreadable] = []
        while not found:
            found += await source.batch() or ()
        await source.commit()
        await source.close()
        letters.close()
        return found

    async def story() -> None:
        await send("collector", REPORT)
        assert REPORT in await read("analyzer", "inventory", "acts", "zones", "observations", "polls")
        await send("analyzer", finding(), Recall(at=AT, subjects=()))
        assert finding() in await read("alerts", "findings")
        await send("alerts")

    asyncio.run(asyncio.wait_for(story(), 90))

    ledger = KafkaLedger(users["alerts"], "test", "/test")
    ledger.has_begun()
    ledger.commit(incidents=[incident()], notifications=[notification(1)])
    ledger.note_begun()
    ledger.close()

    files = InventorySources((InventorySource(path=tmp_path / "none.yaml", format="yaml"),), ("corp",))
    inventory = AssignedInventory(users["collector"], 1, files, ("corp",), Meter())
    inventory.start(lambda: None)
    try:
        until(lambda: inventory.changed() and bool(inventory.partitions), "the collector has its share")
    finally:
        inventory.stop()
    assert inventory.fault is None
    assert {letter.stage for letter in KafkaDeadLetters(users["operator"], "test").all()} >= set(STAGES)


def test_who_has_no_rights_is_told_so(users: dict[str, KafkaConfig]) -> None:
    with pytest.raises(AnchorwatchError, match=r"does not allow user 'stranger'|can't be made"):
        prepare_topics(users["stranger"], "test")


def test_the_table_in_the_operator_s_handbook_is_that_of_the_code() -> None:
    assert table() in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

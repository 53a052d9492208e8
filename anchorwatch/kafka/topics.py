"""The topics: what goes where, made with stated settings where absent, refused where they are another kind."""

import logging
from typing import Any

import msgspec
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from anchorwatch.kafka.clients import MAX_MESSAGE_BYTES, explain, open_admin
from anchorwatch.kafka.config import KafkaConfig
from schemas.faults import ConfigError, Rejected
from schemas.messages import (
    Act,
    Finding,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Notification,
    Observation,
    PollBatch,
    Recall,
    SelfReport,
    ZoneObservation,
    ZoneSweep,
)

log = logging.getLogger(__name__)

INVENTORY, ZONES, OBSERVATIONS, POLLS = "inventory", "zones", "observations", "polls"
FINDINGS, NOTIFICATIONS, DEAD, LEDGER, ACTS = "findings", "notifications", "dead", "ledger", "acts"
DAY_MS = 86_400_000
SAFE_COPIES = 3
SAFE_IN_SYNC = 2
"""With three copies, of which two must have a message before it counts as sent, any one broker can be lost."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic: ``cleanup`` is delete or compact; ``sole`` ones have one partition."""

    name: str
    cleanup: str = "delete"
    retention_days: int | None = None
    sole: bool = False

    def settings(self, copies: int) -> dict[str, str]:
        """Return the topic's configuration as Kafka has it, for so many copies of each partition."""
        found = {"cleanup.policy": self.cleanup, "max.message.bytes": str(MAX_MESSAGE_BYTES)}
        if copies >= SAFE_COPIES:
            found["min.insync.replicas"] = str(SAFE_IN_SYNC)
        if self.retention_days is not None:
            found["retention.ms"] = str(self.retention_days * DAY_MS)
        return found


TOPICS = (
    Topic(name=INVENTORY, cleanup="compact"),
    Topic(name=ZONES, retention_days=7),
    Topic(name=OBSERVATIONS, retention_days=7),
    Topic(name=POLLS, retention_days=1),
    Topic(name=FINDINGS, retention_days=30),
    Topic(name=NOTIFICATIONS, retention_days=90),
    Topic(name=DEAD, retention_days=90, sole=True),
    Topic(name=LEDGER, cleanup="compact", sole=True),
    Topic(name=ACTS, retention_days=90, sole=True),
)


COMPACTED = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
"""On these a gap between offsets is no loss."""


def topic_of(message: Message) -> str:
    """Return the topic that a message goes to, without the prefix.

    Raises:
        Rejected: none is meant for it.
    """
    match message:
        case InventorySnapshot() | InventoryIndex():
            return INVENTORY
        case ZoneObservation() | ZoneSweep():
            return ZONES
        case Observation() | SelfReport():
            return OBSERVATIONS
        case PollBatch():
            return POLLS
        case Recall() | Act():
            return ACTS
        case Finding():
            return FINDINGS
        case Notification():
            return NOTIFICATIONS
    raise Rejected(f"there is no topic for a {type(message).__name__}")


def full_name(config: KafkaConfig, topic: str) -> str:
    """Return a topic's name in Kafka."""
    return f"{config.prefix}.{topic}"


def prepare_topics(config: KafkaConfig, client_id: str) -> int:
    """Make the topics that are absent, check the others, and return how many partitions the inventory has.

    Raises:
        ConfigError: a topic has too few partitions or another cleanup policy, or we may not make one.
        Transient: no broker answers.
    """
    admin = open_admin(config, client_id)
    try:
        present = set(admin.list_topics())
        absent = [topic for topic in TOPICS if full_name(config, topic.name) not in present]
        if absent:
            copies = config.replication or min(SAFE_COPIES, len(admin.describe_cluster()["brokers"]))
            for topic in absent:
                _create(admin, config, topic, copies)
        return _check(admin, config)
    except KafkaError as error:
        raise explain(error, config) from error
    finally:
        admin.close()


def _create(admin: Any, config: KafkaConfig, topic: Topic, copies: int) -> None:
    name = full_name(config, topic.name)
    wanted = {
        "num_partitions": 1 if topic.sole else config.partitions,
        "replication_factor": copies,
        "configs": topic.settings(copies),
    }
    try:
        admin.create_topics({name: wanted}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return  # another process was faster
    except KafkaError as error:
        raise ConfigError([f"bus: topic {name} is not there and can't be made: {error}"]) from error


def _check(admin: Any, config: KafkaConfig) -> int:
    problems = []
    counts, copies = {}, {}
    names = {full_name(config, topic.name): topic for topic in TOPICS}
    for described in admin.describe_topics(list(names)):
        counts[described["name"]] = len(described["partitions"])
        copies[described["name"]] = min((len(one["replica_nodes"]) for one in described["partitions"]), default=0)
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    settings = admin.describe_configs(resources, config_filter="all")["topic"]
    for name, topic in names.items():
        least = 1 if topic.sole else config.partitions
        if counts.get(name, 0) < least:
            problems.append(
                f"bus: topic {name} has {counts.get(name, 0)} partitions and bus.partitions is {least}: add partitions"
                f" (kafka-topics --alter --topic {name} --partitions {least}) or lower bus.partitions"
            )
        policy = settings.get(name, {}).get("cleanup.policy", {}).get("value", "")
        if set(policy.split(",")) != {topic.cleanup}:
            problems.append(
                f"bus: topic {name} has cleanup.policy={policy}, which would lose messages: it must be {topic.cleanup}"
                f" (kafka-configs --alter --topic {name} --add-config cleanup.policy={topic.cleanup})"
            )
        in_sync = settings.get(name, {}).get("min.insync.replicas", {}).get("value", "1")
        _warn_of_few(name, copies.get(name, 0), int(in_sync))
    if problems:
        raise ConfigError(problems)
    return counts[full_name(config, INVENTORY)]


def _warn_of_few(name: str, copies: int, in_sync: int) -> None:
    """Say what a topic's copies do not protect from: those who have one broker know it."""
    if copies >= SAFE_COPIES and in_sync < SAFE_IN_SYNC:
        log.warning(
            "a message may be lost with one broker: it counts as sent once a single copy is written",
            extra={
                "topic": name,
                "to_mend": f"kafka-configs --alter --topic {name} --add-config min.insync.replicas=2",
            },
        )
    elif 1 < copies <= in_sync:
        log.warning(
            "without any one broker nothing can be sent: min.insync.replicas is as large as the replication",
            extra={"topic": name, "replication": copies, "min_insync_replicas": in_sync},
        )

"""The topics: what goes where, made with stated settings where absent, refused where they are another kind."""

from typing import Any

import msgspec
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from anchorwatch.cluster.clients import MAX_MESSAGE_BYTES, explain, open_admin
from anchorwatch.cluster.config import KafkaConfig
from schemas.faults import ConfigError, Rejected
from schemas.messages import (
    Finding,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Notification,
    Observation,
    PollBatch,
    SelfReport,
)

INVENTORY, OBSERVATIONS, POLLS = "inventory", "observations", "polls"
FINDINGS, NOTIFICATIONS, DEAD, LEDGER = "findings", "notifications", "dead", "ledger"
DAY_MS = 86_400_000


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic: ``cleanup`` is delete or compact; ``sole`` ones have one partition."""

    name: str
    cleanup: str = "delete"
    retention_days: int | None = None
    sole: bool = False

    def settings(self) -> dict[str, str]:
        """Return the topic's configuration as Kafka has it."""
        found = {"cleanup.policy": self.cleanup, "max.message.bytes": str(MAX_MESSAGE_BYTES)}
        if self.retention_days is not None:
            found["retention.ms"] = str(self.retention_days * DAY_MS)
        return found


TOPICS = (
    Topic(name=INVENTORY, cleanup="compact"),
    Topic(name=OBSERVATIONS, retention_days=7),
    Topic(name=POLLS, retention_days=1),
    Topic(name=FINDINGS, retention_days=30),
    Topic(name=NOTIFICATIONS, retention_days=90),
    Topic(name=DEAD, retention_days=90, sole=True),
    Topic(name=LEDGER, cleanup="compact", sole=True),
)


def topic_of(message: Message) -> str:
    """Return the topic that a message goes to, without the prefix.

    Raises:
        Rejected: none is meant for it.
    """
    match message:
        case InventorySnapshot() | InventoryIndex():
            return INVENTORY
        case Observation() | SelfReport():
            return OBSERVATIONS
        case PollBatch():
            return POLLS
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
        for topic in TOPICS:
            if full_name(config, topic.name) not in present:
                _create(admin, config, topic)
        return _check(admin, config)
    except KafkaError as error:
        raise explain(error, config) from error
    finally:
        admin.close()


def _create(admin: Any, config: KafkaConfig, topic: Topic) -> None:
    name = full_name(config, topic.name)
    wanted = {
        "num_partitions": 1 if topic.sole else config.partitions,
        "replication_factor": config.replication or -1,
        "configs": topic.settings(),
    }
    try:
        admin.create_topics({name: wanted}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return  # another process was faster
    except KafkaError as error:
        raise ConfigError([f"bus: topic {name} is not there and can't be made: {error}"]) from error


def _check(admin: Any, config: KafkaConfig) -> int:
    problems = []
    counts = {}
    names = {full_name(config, topic.name): topic for topic in TOPICS}
    for described in admin.describe_topics(list(names)):
        counts[described["name"]] = len(described["partitions"])
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
    if problems:
        raise ConfigError(problems)
    return counts[full_name(config, INVENTORY)]

"""How to reach Kafka, and what the topics are like."""

import msgspec

from schemas.tls import TlsConfig


class KafkaConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said about the bus.

    brokers: host:port each.
    prefix: what the names of topics and groups begin with.
    partitions: how many a topic gets, and must have; each of the inventory's is a part of the zones.
    replication: copies of each partition, None for the broker's default.
    session_timeout_s: a process that is silent for so long has lost its partitions.
    mechanism, user, password: SASL; an empty mechanism means none.
    """

    brokers: tuple[str, ...]
    prefix: str = "anchorwatch"
    partitions: int = 12
    replication: int | None = None
    session_timeout_s: float = 10.0
    tls: TlsConfig | None = None
    mechanism: str = ""
    user: str = ""
    password: str = ""

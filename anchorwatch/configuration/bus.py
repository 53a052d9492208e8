"""``bus``: where the stages meet."""

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Duration, Section, TlsSection, read_seconds, read_secret_file, read_tls
from anchorwatch.kafka.config import KafkaConfig
from schemas.redaction import safe


class SaslSection(Section, frozen=True, kw_only=True):
    """How to log in to Kafka."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    user: str
    password_file: str


class BusSection(Section, frozen=True, kw_only=True):
    """Where the stages meet; all but the URL is for Kafka."""

    url: str = "local:"
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "anchorwatch"
    partitions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 12
    replication: Annotated[int, msgspec.Meta(ge=1, le=9)] | None = None
    session_timeout: Duration = "10s"
    tls: TlsSection | None = None
    sasl: SaslSection | None = None


def read_bus(section: BusSection, base: Path, document: Document) -> KafkaConfig | None:
    """Return how to reach Kafka, None where all stages are in one process."""
    if section.url == "local:":
        return None
    brokers = _brokers(section.url)
    if not brokers:
        document.problem("bus.url", f"{safe(section.url)} is neither 'local:' nor kafka://host:port,host:port")
    sasl = section.sasl
    return KafkaConfig(
        brokers=brokers,
        prefix=section.prefix,
        partitions=section.partitions,
        replication=section.replication,
        session_timeout_s=read_seconds(section.session_timeout, "bus.session_timeout", document, least=6.0),
        tls=read_tls(section.tls, "bus.tls", base, document),
        mechanism=sasl.mechanism if sasl else "",
        user=sasl.user if sasl else "",
        password=read_secret_file(base / sasl.password_file, "bus.sasl.password_file", document) if sasl else "",
    )


def _brokers(url: str) -> tuple[str, ...]:
    """Return ``kafka://host:9092,host2`` as host:port each, empty where it is no such URL."""
    scheme, separator, rest = url.partition("://")
    if scheme != "kafka" or not separator:
        return ()
    found = []
    for part in rest.rstrip("/").split(","):
        host, colon, port = part.rpartition(":") if re.search(r":\d+$", part) else (part, ":", "9092")
        if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host) or not colon or not 0 < int(port) < 65536:
            return ()
        found.append(f"{host}:{port}")
    return tuple(found)

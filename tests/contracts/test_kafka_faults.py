"""What an operator is told when Kafka is not as configured: what, where, what to do, and within five seconds."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kafka.admin import KafkaAdminClient

from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.topics import full_name, prepare_topics
from schemas.faults import AnchorwatchError, ConfigError, Transient
from schemas.tls import TlsConfig
from tests.support.broker import NEEDED, ApacheKafka, fetch_jars
from tests.support.certificates import Authority
from tests.support.daemons import free_port

pytestmark = pytest.mark.cluster

SOON_S = 5.5
SASL = """\
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""
_numbers = itertools.count()
TLS = """\
listener.name.ssl.ssl.keystore.type=PEM
listener.name.ssl.ssl.keystore.location={folder}/right.pem
listener.name.wrong.ssl.keystore.type=PEM
listener.name.wrong.ssl.keystore.location={folder}/wrong.pem
"""


@pytest.fixture
def config(kafka_address: str) -> KafkaConfig:
    return KafkaConfig(brokers=(kafka_address,), prefix=f"faults-{next(_numbers)}-{free_port()}", partitions=2)


def told(config: KafkaConfig, kind: type[AnchorwatchError], **changes: object) -> str:
    """Return what is said when these settings are used."""
    began = time.monotonic()
    with pytest.raises(kind) as fault:
        prepare_topics(msgspec.structs.replace(config, **changes), "test")
    assert time.monotonic() - began < SOON_S
    return str(fault.value)


def prepared(config: KafkaConfig) -> int:
    """Return the inventory's partitions, from a broker that may still be slow because it has only just started."""
    for _ in range(10):
        with contextlib.suppress(Transient):
            return prepare_topics(config, "test")
    return prepare_topics(config, "test")


def test_a_broker_that_is_not_there() -> None:
    address = f"127.0.0.1:{free_port()}"

    said = told(KafkaConfig(brokers=(address,)), Transient)

    assert said == f"bus.url: no Kafka broker answers: {address} (Connection refused)"


def test_tls_to_a_port_that_speaks_none(config: KafkaConfig) -> None:
    assert "does not speak TLS" in told(config, ConfigError, tls=TlsConfig())


def test_a_login_that_the_port_does_not_take(config: KafkaConfig) -> None:
    said = told(config, AnchorwatchError, mechanism="PLAIN", user="me", password="secret")

    assert said.startswith("bus")
    assert "secret" not in said


def test_a_file_that_is_no_certificate(config: KafkaConfig, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    assert "bus.tls" in told(config, ConfigError, tls=TlsConfig(ca_path=str(tmp_path / "ca.pem")))


def test_topics_are_made_once_with_stated_settings(config: KafkaConfig) -> None:
    assert prepare_topics(config, "test") == 2
    assert prepare_topics(config, "test") == 2


def test_a_topic_with_too_few_partitions(config: KafkaConfig) -> None:
    prepare_topics(config, "test")

    said = told(config, ConfigError, partitions=3)

    assert f"topic {config.prefix}.observations has 2 partitions and bus.partitions is 3" in said
    assert "--alter" in said


def test_a_topic_with_the_wrong_cleanup_policy(config: KafkaConfig) -> None:
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    settings = {"num_partitions": 2, "replication_factor": 1, "configs": {"cleanup.policy": "compact"}}
    admin.create_topics({full_name(config, "observations"): settings})
    admin.close()

    said = told(config, ConfigError)

    assert f"topic {config.prefix}.observations has cleanup.policy=compact, which would lose messages" in said


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApacheKafka, Authority]]:
    """A broker that speaks TLS as 127.0.0.1 and as nobody else, and the authority that says so."""
    if not fetch_jars():
        pytest.skip(NEEDED)
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder, "ours")
    certificate, key = authority.certify("127.0.0.1")
    other, other_key = authority.certify("another.example")
    for name, paths in (("right", (key, certificate)), ("wrong", (other_key, other))):
        (folder / f"{name}.pem").write_text("".join(Path(path).read_text() for path in paths))
    ports = {"PLAINTEXT": free_port(), "SSL": free_port(), "WRONG": free_port()}
    broker = ApacheKafka(folder, listeners=ports, more=TLS.format(folder=folder))
    broker.start()
    yield broker, authority
    broker.stop()


def test_the_bus_works_over_tls(secured: tuple[ApacheKafka, Authority]) -> None:
    broker, authority = secured
    address = f"127.0.0.1:{broker.ports['SSL']}"

    assert prepared(KafkaConfig(brokers=(address,), partitions=1, tls=TlsConfig(ca_path=authority.path))) == 1


def test_a_certificate_for_another_name_and_one_of_an_unknown_authority(secured: tuple[ApacheKafka, Authority]) -> None:
    broker, authority = secured
    wrong, right = (f"127.0.0.1:{broker.ports[name]}" for name in ("WRONG", "SSL"))

    said = told(KafkaConfig(brokers=(wrong,)), ConfigError, tls=TlsConfig(ca_path=authority.path))
    assert said.startswith(f"bus.tls: the certificate of {wrong} is refused: IP address mismatch")
    said = told(KafkaConfig(brokers=(right,)), ConfigError, tls=TlsConfig())
    assert said.startswith(f"bus.tls: the certificate of {right} is refused: ")


def test_wrong_credentials_are_told_and_right_ones_work(tmp_path: Path) -> None:
    if not fetch_jars():
        pytest.skip(NEEDED)
    ports = {"PLAINTEXT": free_port(), "SASL_PLAINTEXT": free_port()}
    broker = ApacheKafka(tmp_path, listeners=ports, more=SASL)
    broker.add_user("watch", "right")
    broker.start()
    try:
        address = f"127.0.0.1:{ports['SASL_PLAINTEXT']}"
        config = KafkaConfig(
            brokers=(address,), partitions=1, mechanism="SCRAM-SHA-512", user="watch", password="right"
        )

        assert prepared(config) == 1
        said = told_by_a_slow_broker(config, password="wrong")
        assert said.startswith("bus.sasl: Kafka refuses user 'watch' by SCRAM-SHA-512")
        assert said.endswith("the user or the password is wrong")
    finally:
        broker.stop()


def told_by_a_slow_broker(config: KafkaConfig, **changes: object) -> str:
    """Return what is wrong with the settings, once the broker has found the time to say so."""
    for _ in range(10):
        said = told(config, AnchorwatchError, **changes)
        if "gave no answer" not in said:
            return said
    return said

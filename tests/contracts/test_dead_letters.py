"""The commands about dead letters, over the topic and over the file."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorwatch.__main__ import cli
from anchorwatch.kafka.clients import open_consumer
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.reading import read_to_end
from anchorwatch.kafka.topics import prepare_topics
from anchorwatch.pipeline.dead_letters import DeadLetter, FileDeadLetters
from tests.support.daemons import free_port

AT = datetime(2026, 11, 24, tzinfo=UTC)
_numbers = itertools.count()


def letter(number: int) -> DeadLetter:
    return DeadLetter(
        reason=f"no use for it, {number}",
        stage="analyzer",
        at=AT,
        topic="observations",
        partition=0,
        offset=number,
        key=b"k",
        value=b'{"type":"observation.v9"}',
        headers=(("ce_id", str(number).encode()),),
    )


def call(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["dead", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def write_config(folder: Path, more: str = "") -> str:
    (folder / "inventory.yaml").write_text("identities: []\n")
    path = folder / "anchorwatch.yaml"
    vantage = '{name: one, resolver: "udp://127.0.0.1:9"}'
    path.write_text(f"inventory: [{{path: inventory.yaml}}]\nvantages: [{vantage}]\n{more}")
    return str(path)


def test_letters_of_the_file_are_listed_and_shown(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    assert call("list", config) == "no dead letters\n"
    (tmp_path / "data").mkdir()
    FileDeadLetters(tmp_path / "data" / "dead.jsonl").put(letter(7))

    assert "observations/0@7" in call("list", config)
    assert '{"type":"observation.v9"}' in call("show", config, "1")


@pytest.fixture
def config(kafka_address: str, tmp_path: Path) -> tuple[KafkaConfig, str]:
    prefix = f"dead-{next(_numbers)}-{free_port()}"
    config = KafkaConfig(brokers=(kafka_address,), prefix=prefix, partitions=1)
    prepare_topics(config, "test")
    bus = f'bus: {{url: "kafka://{kafka_address}", prefix: {prefix}, partitions: 1}}\n'
    return config, write_config(tmp_path, bus)


@pytest.mark.slow
def test_letters_of_the_topic_are_listed_shown_and_sent_again(config: tuple[KafkaConfig, str]) -> None:
    kafka, path = config
    letters = KafkaDeadLetters(kafka, "test")
    letters.put(letter(1))
    letters.put(letter(2))
    letters.close()

    listed = call("list", path).splitlines()
    assert [line.split()[0] for line in listed] == ["1", "2"]
    assert all("no use for it" in line and "analyzer" in line for line in listed)
    shown = call("show", path, "2")
    assert "reason: no use for it, 2" in shown
    assert "ce_id: 2" in shown
    assert call("replay", path, "2") == "2: sent to observations again\n"

    consumer = open_consumer(kafka, "test", group=None)
    (record,) = read_to_end(consumer, f"{kafka.prefix}.observations")
    consumer.close()
    assert (record.key, record.value, record.headers) == (b"k", letter(2).value, [("ce_id", b"2")])


@pytest.mark.slow
def test_a_number_that_is_not_there_is_said(config: tuple[KafkaConfig, str]) -> None:
    done = CliRunner().invoke(cli, ["dead", "show", config[1], "3"])

    assert done.exit_code == 2
    assert "there are 0 dead letters" in done.output

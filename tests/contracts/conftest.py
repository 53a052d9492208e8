"""Every implementation that there is on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import NEEDED, ApacheKafka, GivenKafka, WheelBroker, find_broker
from tests.support.buses import KafkaBench, LocalBench


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka | WheelBroker | GivenKafka]:
    """A broker that runs."""
    broker = find_broker(tmp_path_factory.mktemp("kafka"))
    if broker is None:
        pytest.skip(NEEDED)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka_address(broker: ApacheKafka | WheelBroker | GivenKafka) -> str:
    """Where it listens."""
    return broker.address


@pytest.fixture(params=["local", "kafka"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> LocalBench | KafkaBench:
    """What makes buses."""
    if request.param == "local":
        return LocalBench(tmp_path)
    return KafkaBench(request.getfixturevalue("kafka_address"))

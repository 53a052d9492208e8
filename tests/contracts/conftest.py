"""Every implementation that there is on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.broker import NEEDED, find_broker
from tests.contracts.buses import KafkaBench, LocalBench


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker that runs."""
    broker = find_broker(tmp_path_factory.mktemp("kafka"))
    if broker is None:
        pytest.skip(NEEDED)
    broker.start()
    yield broker.address
    broker.stop()


@pytest.fixture(params=["local", "kafka"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> LocalBench | KafkaBench:
    """What makes buses."""
    if request.param == "local":
        return LocalBench(tmp_path)
    return KafkaBench(request.getfixturevalue("kafka_address"))

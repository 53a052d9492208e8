"""Every implementation that there is on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import NEEDED, ApacheKafka, GivenKafka, WheelBroker, find_broker
from tests.support.buses import KafkaBench, LocalBench

Broker = ApacheKafka | WheelBroker | GivenKafka
BROKER = pytest.StashKey[Broker]()


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that runs."""
    broker = find_broker(tmp_path_factory.mktemp("kafka"))
    if broker is None:
        pytest.skip(NEEDED)
    broker.start()
    request.session.stash[BROKER] = broker
    yield broker
    broker.stop()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the broker once a worker is through with this folder: it has all tests of it, and idle it is not free."""
    is_worker = hasattr(item.config, "workerinput")
    if is_worker and BROKER in item.session.stash and (nextitem is None or nextitem.path.parent != item.path.parent):
        item.session.stash[BROKER].stop()


@pytest.fixture(scope="session")
def kafka_address(broker: Broker) -> str:
    """Where it listens."""
    return broker.address


@pytest.fixture(params=["local", "kafka"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> LocalBench | KafkaBench:
    """What makes buses."""
    if request.param == "local":
        return LocalBench(tmp_path)
    return KafkaBench(request.getfixturevalue("kafka_address"))

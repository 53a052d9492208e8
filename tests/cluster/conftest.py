"""One world, watched by one process and by a cluster at the same time."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.conftest import INVENTORY, pytest_runtest_makereport, watch, world
from tests.support.broker import NEEDED, ApacheKafka, ThreeBrokers, fetch_jars
from tests.support.processes import Cluster
from tests.support.world import World

__all__ = ["pytest_runtest_makereport", "watch", "world"]


@pytest.fixture(scope="module")
def cluster(world: World) -> Iterator[Cluster]:
    """The cluster, once every stage works; over three brokers where ``BROKERS=3`` is in the environment."""
    if not fetch_jars():
        pytest.skip(NEEDED)
    folder = Path(tempfile.mkdtemp(prefix="anchorwatch-cluster-"))
    kafka = folder / "kafka"
    kafka.mkdir()
    cluster = Cluster(
        folder,
        ThreeBrokers(kafka) if os.environ.get("BROKERS") == "3" else ApacheKafka(kafka),
        resolver=world.resolver,
        anchors=world.anchor_file,
        inventory=INVENTORY.read_text(encoding="utf-8"),
    )
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)

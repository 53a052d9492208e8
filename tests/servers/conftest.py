"""One world of real servers, and one anchorwatch that watches it: both are busy, so they end with the module."""

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.rolling import Harbour
from tests.support.watch import Instance, Watch
from tests.support.world import World, missing_tools

NEEDED = (
    "needs BIND, NSD, Knot and Unbound: apt-get install bind9 bind9-dnsutils bind9-utils nsd knot knot-dnssecutils"
    " unbound"
)
INVENTORY = Path(__file__).with_name("inventory.yaml")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The servers, running. Every test breaks zones of its own only, and mends what others need."""
    missing = missing_tools()
    if missing:
        pytest.skip(f"{NEEDED} (missing: {', '.join(missing)})")
    folder = Path(tempfile.mkdtemp(prefix="anchorwatch-"))  # sockets lie in it, so its path must be short
    world = World(folder)
    try:
        world.start()
        yield world
    finally:
        world.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def watch(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """`anchorwatch run`, ready."""
    folder = tmp_path_factory.mktemp("watch")
    inventory = INVENTORY.read_text(encoding="utf-8")
    watch = Instance(folder, resolver=world.resolver, anchors=world.anchor_file, inventory=inventory)
    try:
        watch.start()
        yield watch
    finally:
        watch.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put beside a failure what the servers and anchorwatch say."""
    report = yield
    if report.failed:
        used = item.funcargs.values()
        report.sections += [("anchorwatch", one.account()) for one in used if isinstance(one, Watch)]
        report.sections += [("servers", one.logs()) for one in used if isinstance(one, World)]
        report.sections += [("servers", one.signers.logs()) for one in used if isinstance(one, Harbour)]
    return report

"""What tests share: a fixed now, and one embedded engine with a database a test."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import clickhouse_connect
import pytest
from xdist.scheduler import LoadScopeScheduling

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.memory import MemoryHistory
from analyzer.history.migrations import load_migrations, migrate, statements_of
from tests.support.clickhouse_front import FrontProcess
from tests.support.clock import NOW, ManualClock
from tests.support.databases import AnyHistory, lay_out, new_database

VIEW = "CREATE MATERIALIZED VIEW IF NOT EXISTS"
SHARED = Path(__file__).parents[2] / "shared"

MEMORY, ENGINE_BYTES = Path("/dev/shm"), 2 * 1024**3

# By folder, by file, or by function: what its tests share.
DEAR = {
    "contracts": "a broker, and a ClickHouse front",
    "servers": "a world of real servers",
    "test_history_refusals.py": "a ClickHouse front with TLS",
    "test_dashboards.py": "a history of one hour",
    "test_terminal.py": "a lab",
    "test_an_expectation_that_is_not_met_says_what_was_found": "the record of one scenario",
}
# What each parameter stands for in all tests of a file.
DEAR_BY_PARAMETER = {"test_catalogue.py": "a story", "test_exhaustive.py": "a world"}


class Distribution(LoadScopeScheduling):  # type: ignore[misc]
    """Who runs what: tests that share dear servers stay on one worker, each other one goes to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        path, (function, _, parameter) = PurePosixPath(file), test.partition("[")
        if parameter and path.name in DEAR_BY_PARAMETER:
            return f"{DEAR_BY_PARAMETER[path.name]} [{parameter}"
        return DEAR.get(path.parent.name) or DEAR.get(path.name) or DEAR.get(function) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Distribution:
    return Distribution(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes a minute first: begun last, all would wait for it."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of the conformance scenarios; its modules can be imported from then on."""
    folder = SHARED / "conformance"
    if not folder.is_dir():
        pytest.skip(f"needs the scenarios of {folder}, which come beside a checkout and are not part of it")
    sys.path.insert(0, str(folder))
    return folder


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The path of the one embedded engine that a process can have; in memory where there is room, for its syncs."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENGINE_BYTES:
        folder = tempfile.mkdtemp(prefix="anchorwatch-engine-", dir=MEMORY)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    else:
        yield str(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def admin(engine: str) -> Iterator[Any]:
    """A client that keeps the engine up: with the last one it ends, and starts anew with all that it ever held."""
    admin = clickhouse_connect.get_client(interface="chdb", path=engine)
    yield admin
    admin.close()


@pytest.fixture
def client(engine: str, admin: Any) -> Iterator[Any]:
    """A client of an empty database of its own."""
    database = new_database()
    admin.command(f"CREATE DATABASE {database}")
    client = clickhouse_connect.get_client(interface="chdb", path=engine, database=database)
    yield client
    client.close()
    admin.command(f"DROP DATABASE {database}")


@pytest.fixture(scope="session")
def migrated(engine: str, admin: Any) -> list[str]:
    """Statements that copy the tables that the migrations make: those take a tenth of a second."""
    admin.command("CREATE DATABASE migrated")
    client = clickhouse_connect.get_client(interface="chdb", path=engine, database="migrated")
    migrate(client)
    client.close()
    sql = "SELECT name FROM system.tables WHERE database = 'migrated' AND engine != 'MaterializedView'"
    tables = [f"CREATE TABLE {name} AS migrated.{name}" for (name,) in admin.query(sql).result_rows]
    views = [statement for _, _, sql in load_migrations() for statement in statements_of(sql) if VIEW in statement]
    return tables + views


@pytest.fixture
def history(client: Any, migrated: list[str]) -> ClickHouseHistory:
    lay_out(client, migrated)
    return ClickHouseHistory(client)


@pytest.fixture(params=["memory", pytest.param("chdb", marks=pytest.mark.slow)])
def any_history(request: pytest.FixtureRequest) -> AnyHistory:
    """What the analyzer asks for: in memory at once, in the engine with ``make slow``.

    Both keep the same promises (``tests/contracts/test_history.py``), and the engine takes ten times as long.
    """
    if request.param == "memory":
        return MemoryHistory()
    history: ClickHouseHistory = request.getfixturevalue("history")
    return history


@pytest.fixture
def start_front(tmp_path: Path) -> Iterator[Callable[..., FrontProcess]]:
    """Start fronts of one's own, with the options of clickhouse_front.py; they end with the test."""
    fronts: list[FrontProcess] = []

    def start(*options: str) -> FrontProcess:
        fronts.append(FrontProcess(tmp_path / f"front-{len(fronts)}", *options))
        return fronts[-1]

    yield start
    for front in fronts:
        front.kill()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontProcess]:
    """One front for all of a module who take a database of their own on it (``new_database``)."""
    front = FrontProcess(tmp_path_factory.mktemp("front"))
    yield front
    front.kill()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()

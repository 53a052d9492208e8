"""Polling by processes of their own: what one polls is polled on when it is killed, and none outlives its starter."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.configuration.loading import load_config
from anchorwatch.pipeline.workers import LONGEST_FAREWELL_S, MOST_ENDS, Workers
from anchorwatch.telemetry import Meter
from collector.dnssec import names
from collector.polling.roster import RosterChange
from schemas.messages import Message, Observation
from tests.support.daemons import free_port
from tests.support.running import Lab, Running, running

HOSTS = ("soap.legacy.example", "api.bank.example", "www.bank.example", "nothing.bank.example")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def two(tmp_path: Path, lab: Lab) -> Iterator[Running]:
    port = free_port()
    (tmp_path / "inventory.yaml").write_text(inventory_of(HOSTS))
    config = tmp_path / "anchorwatch.yaml"
    config.write_text(config_of(lab, port))
    with running(config, f"http://127.0.0.1:{port}") as one:
        yield one


def inventory_of(hosts: Iterable[str]) -> str:
    rows = "".join(f"  - {{host: {host}, types: [A]}}\n" for host in hosts)
    return f"identities:\n- id: sa-pay\n  endpoints:\n{rows}"


def config_of(lab: Lab, port: int) -> str:
    return (
        f"inventory: [{{path: inventory.yaml}}]\nvantages: [{{name: corp, resolver: '{lab.url}'}}]\n"
        f"trust_anchors: {{path: {lab.anchors}}}\npoll: {{interval: 1s}}\ncollectors: 2\n"
        f"http: {{listen: '127.0.0.1:{port}'}}\n"
    )


def workers_of(one: Running) -> list[int]:
    children = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"pipeline/worker_start" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def polled(one: Running) -> dict[str, str]:
    return {row["name"]: row["last_polled_at"] for row in one.get("/api/v1/endpoints")}


def is_gone(pid: int) -> bool:
    path = Path(f"/proc/{pid}/stat")
    return not path.exists() or path.read_text().rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.slow
def test_a_killed_process_is_replaced_and_its_names_are_polled_on(two: Running) -> None:
    two.until(lambda: len(polled(two)) == len(HOSTS), "every name's first poll")
    before = workers_of(two)
    assert len(before) == 2

    for pid in before:
        os.kill(pid, signal.SIGKILL)
    two.until(lambda: len(set(workers_of(two)) - set(before)) == 2, "two other processes")
    killed = polled(two)

    two.until(lambda: all(at > killed[name] for name, at in polled(two).items()), "a poll of every name")
    metrics = two.get("/metrics")
    assert 'anchorwatch_restarts_total{part="worker"} 2.0' in metrics
    assert f"anchorwatch_watched {len(HOSTS)}.0" in metrics


@pytest.mark.slow
def test_none_outlives_the_one_that_started_it(two: Running) -> None:
    two.until(lambda: polled(two), "a poll")
    workers = workers_of(two)

    two.process.kill()
    two.process.wait(10)

    deadline = time.monotonic() + 10
    while not all(is_gone(pid) for pid in workers):
        assert time.monotonic() < deadline, workers
        time.sleep(0.05)


@pytest.mark.slow
def test_at_the_end_what_was_polled_is_stored_and_all_are_gone(two: Running) -> None:
    two.until(lambda: len(polled(two)) == len(HOSTS), "every name's first poll")
    workers = workers_of(two)

    assert two.end() == 0
    assert all(is_gone(pid) for pid in workers)


# the one that started them


class Estate:
    """Two processes that poll an inventory, in this process's loop; ``observed`` has the names of each observation."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.inventory, self.lab = folder / "inventory.yaml", lab
        self.write(HOSTS)
        config = folder / "anchorwatch.yaml"
        config.write_text(config_of(lab, free_port()))
        self.meter = Meter()
        loaded = load_config(config)
        self.workers = Workers(loaded.collector, 2, self.meter, loaded.log)
        self.observed: list[str] = []
        self.messages: list[Message] = []

    def write(self, hosts: Iterable[str]) -> None:
        self.inventory.write_text(inventory_of(hosts))

    @property
    def pids(self) -> list[int]:
        return [one._process.pid for one in self.workers._workers if one._process is not None]

    async def until(self, is_done: Callable[[], bool], stream: AsyncIterator[Sequence[Message]]) -> None:
        async with asyncio.timeout(30):
            async for batch in stream:
                self.messages += batch
                self.observed += [one.judgement.name for one in batch if isinstance(one, Observation)]
                if is_done():
                    return


@pytest.fixture
def estate(tmp_path: Path, lab: Lab) -> Estate:
    return Estate(tmp_path, lab)


def test_a_stage_that_is_started_again_polls_what_it_polled_before(estate: Estate) -> None:
    def is_polled_whole() -> bool:
        """A process says twice a second how it gets on, so that is known a little later."""
        return len(set(estate.observed)) == len(HOSTS) == estate.workers.status().watched

    async def story() -> None:
        for _ in range(2):
            estate.observed.clear()
            stream = estate.workers.observe()
            await estate.until(is_polled_whole, stream)
            await stream.aclose()

    asyncio.run(story())


def test_an_inventory_that_changes_while_a_process_is_replaced_is_what_the_new_one_polls(estate: Estate) -> None:
    """What the follower reads while the share is put together must neither be lost nor be undone."""

    following = estate.workers._following

    async def read() -> None:
        following.reload_soon()
        assert following.look(0.0) is None
        assert following._reading is not None
        await asyncio.wait([following._reading])

    def divide() -> None:
        found = following.look(0.0)
        assert found is not None
        estate.workers._divide(found)

    async def story() -> dict[int, set[str]]:
        await read()
        divide()
        estate.write([*HOSTS[1:], "pay.bank.example"])
        await read()
        beginning = [asyncio.create_task(one._begin_anew()) for one in estate.workers._workers]
        await asyncio.sleep(0)
        divide()
        await asyncio.gather(*beginning)
        polled = {}
        for one in estate.workers._workers:
            subjects: set[str] = set()
            while not one._orders.empty():
                order = one._orders.get_nowait()
                assert isinstance(order, RosterChange)
                subjects -= {names.to_text(target.name) for target in order.gone}
                subjects |= {names.to_text(target.name) for target, _zone in order.added}
            polled[one._number] = subjects
        return polled

    polled = asyncio.run(story())
    assert polled[0] | polled[1] == {f"{host}." for host in (*HOSTS[1:], "pay.bank.example")}
    assert not polled[0] & polled[1]


def test_an_end_while_a_process_is_replaced_does_not_wait_for_it(estate: Estate) -> None:
    async def end() -> float:
        for pid in estate.pids:
            os.kill(pid, signal.SIGKILL)
        while not all(one._ended_at for one in estate.workers._workers):
            await asyncio.sleep(0.001)
        estate.workers.stop()
        return time.monotonic()

    async def story() -> float:
        stream = estate.workers.observe()
        await estate.until(lambda: len(set(estate.observed)) == len(HOSTS), stream)
        ending = asyncio.create_task(end())
        await estate.until(lambda: False, stream)
        return time.monotonic() - await ending

    assert asyncio.run(story()) < LONGEST_FAREWELL_S - 1


@pytest.mark.slow
def test_a_process_that_ends_again_and_again_is_no_process_that_polls(estate: Estate) -> None:
    """The other one goes on polling, so that nothing else would show it."""

    async def end(one: Any, stream: AsyncIterator[Sequence[Message]]) -> None:
        ended = one._process
        os.kill(ended.pid, signal.SIGKILL)
        await estate.until(lambda: one._process is not ended, stream)

    async def story() -> list[str]:
        said = []
        stream = estate.workers.observe()
        await estate.until(lambda: len(set(estate.observed)) == len(HOSTS), stream)
        first = estate.workers._workers[0]
        said.append(estate.workers.why_not())
        for _ in range(MOST_ENDS):
            await end(first, stream)
            said.append(estate.workers.why_not())
        await stream.aclose()
        return said

    *before, last = asyncio.run(story())
    assert before == [""] * MOST_ENDS
    assert last == "process 0 that polls ended 5 times within 300 s"


def test_a_process_that_says_or_polls_nothing_is_named(estate: Estate) -> None:
    async def story() -> list[str]:
        stream = estate.workers.observe()
        await estate.until(lambda: estate.workers.status().watched == len(HOSTS), stream)
        first = next(one for one in estate.workers._workers if one._status.watched)
        assert first._process is not None
        os.kill(first._process.pid, signal.SIGSTOP)
        try:
            now = time.monotonic()
            await estate.until(lambda: first._listening_since is not None, stream)
            return [first.why_not(now), first.why_not(now + 63), first.why_not(now + 1000)]
        finally:
            os.kill(first._process.pid, signal.SIGKILL)
            await stream.aclose()

    now, soon, later = asyncio.run(story())
    assert now == ""
    assert "has said nothing for 6" in soon or "has polled nothing for 6" in soon
    assert "has said nothing for" in later

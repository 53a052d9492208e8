"""Polling by processes of their own: what one polls is polled on when it is killed, and none outlives its starter."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import Lab, Running, free_port, running

HOSTS = ("soap.legacy.example", "api.bank.example", "www.bank.example", "nothing.bank.example")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def two(tmp_path: Path, lab: Lab) -> Iterator[Running]:
    port = free_port()
    rows = "".join(f"- {{host: {host}, types: [A]}}\n" for host in HOSTS)
    (tmp_path / "inventory.yaml").write_text(f"identities:\n- id: sa-pay\n  endpoints:\n{indented(rows)}")
    config = tmp_path / "anchorwatch.yaml"
    config.write_text(
        f"inventory: [{{path: inventory.yaml}}]\nvantages: [{{name: corp, resolver: '{lab.url}'}}]\n"
        f"trust_anchors: {{path: {lab.anchors}}}\npoll: {{interval: 1s}}\ncollectors: 2\n"
        f"http: {{listen: '127.0.0.1:{port}'}}\n"
    )
    with running(config, f"http://127.0.0.1:{port}") as one:
        yield one


def indented(rows: str) -> str:
    return "".join(f"  {line}\n" for line in rows.splitlines())


def workers_of(one: Running) -> list[int]:
    children = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"pipeline.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def polled(one: Running) -> dict[str, str]:
    return {row["name"]: row["last_polled_at"] for row in one.get("/api/v1/endpoints")}


def is_gone(pid: int) -> bool:
    path = Path(f"/proc/{pid}/stat")
    return not path.exists() or path.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_killed_process_is_replaced_and_its_names_are_polled_on(two: Running) -> None:
    two.until(lambda: len(polled(two)) == len(HOSTS), "every name's first poll")
    before = workers_of(two)
    assert len(before) == 2

    for pid in before:
        os.kill(pid, signal.SIGKILL)
    after = two.until(lambda: workers if len(workers := workers_of(two)) == 2 else None, "two processes")
    killed = polled(two)

    assert not set(before) & set(after)
    two.until(lambda: all(at > killed[name] for name, at in polled(two).items()), "a poll of every name")
    metrics = two.get("/metrics")
    assert 'anchorwatch_restarts_total{part="worker"} 2.0' in metrics
    assert f"anchorwatch_watched {len(HOSTS)}.0" in metrics


def test_none_outlives_the_one_that_started_it(two: Running) -> None:
    two.until(lambda: polled(two), "a poll")
    workers = workers_of(two)

    two.process.kill()
    two.process.wait(10)

    deadline = time.monotonic() + 10
    while not all(is_gone(pid) for pid in workers):
        assert time.monotonic() < deadline, workers
        time.sleep(0.05)


def test_at_the_end_what_was_polled_is_stored_and_all_are_gone(two: Running) -> None:
    two.until(lambda: len(polled(two)) == len(HOSTS), "every name's first poll")
    workers = workers_of(two)

    assert two.end() == 0
    assert all(is_gone(pid) for pid in workers)

"""What people do over Kafka: taken at any analyzer, active or not, handled by the active one, and known after it."""

import asyncio
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from anchorwatch.configuration.loading import load_config
from anchorwatch.kafka.stages import PumpedProcess, make_stage
from tests.support.broker import free_port
from tests.support.clickhouse_front import FrontProcess
from tests.support.databases import new_database

pytestmark = pytest.mark.slow

_numbers = itertools.count()
PATIENCE_S = 60.0


def analyzer(folder: Path, kafka: str, history: str, prefix: str) -> PumpedProcess:
    folder.mkdir()
    (folder / "inventory.yaml").write_text("identities:\n- {id: sa, endpoints: [api.bank.example]}\n")
    (folder / "anchorwatch.yaml").write_text(
        "inventory: [{path: inventory.yaml}]\nvantages: [{name: corp, resolver: 127.0.0.1}]\n"
        f"bus: {{url: 'kafka://{kafka}', prefix: {prefix}, partitions: 1, session_timeout: 6s}}\n"
        f"history: {{url: '{history}'}}\nhttp: {{listen: '127.0.0.1:{free_port()}'}}\n"
    )
    process = make_stage("analyzer", load_config(folder / "anchorwatch.yaml"))
    assert isinstance(process, PumpedProcess)
    return process


async def ask(process: PumpedProcess, path: str, **body: Any) -> Any:
    """Return what a process answers; with a body it is posted."""
    content = json.dumps(body).encode() if body else None
    answer = await asyncio.to_thread(
        urllib3.request,
        "POST" if body else "GET",
        f"{process.server.url}{path}",
        body=content,
        headers={"content-type": "application/json"} if body else {},
        timeout=30.0,
        retries=False,
    )
    assert answer.status in (200, 202), answer.data
    return json.loads(answer.data)


async def until(holds: Callable[[], Any], what: str) -> Any:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await holds()):
                await asyncio.sleep(0.2)
            return found
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {PATIENCE_S:.0f} s") from None


def test_a_change_is_declared_at_an_analyzer_that_stands_by_and_ended_at_the_active_one(
    tmp_path: Path, kafka_address: str, front: FrontProcess
) -> None:
    prefix, history = f"acts-{next(_numbers)}-{free_port()}", front.history_url(new_database())
    now = datetime.now(UTC)
    declaration = {
        "kind": "declare_change",
        "subject": "bank.example",
        "by": "ana",
        "what": ["ns"],
        "begins_at": now.isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
    }

    async def story() -> None:
        both = [analyzer(tmp_path / name, kafka_address, history, prefix) for name in ("one", "two")]
        tasks = [asyncio.create_task(process.run()) for process in both]

        async def active() -> list[PumpedProcess]:
            return [process for process in both if not process.progress.why_not_ready()]

        async def changes() -> Any:
            return await ask(both[0], "/api/v1/changes")

        async def announced() -> Any:
            return await ask(both[0], "/api/v1/findings?code=change_declared")

        (working,) = await until(active, "an active analyzer")
        (waiting,) = [process for process in both if process is not working]

        (act,) = await ask(waiting, "/api/v1/acts", **declaration)
        (again,) = await ask(waiting, "/api/v1/acts", **declaration)
        assert again["id"] == act["id"]
        (change,) = await until(changes, "the declared change")
        assert (change["id"], change["state"], change["by"]) == (act["id"], "open", "ana")
        assert len(await until(announced, "its announcement")) == 1

        await ask(working, "/api/v1/acts", kind="end_change", subject=act["id"], by="bo")

        async def ended() -> bool:
            return [one["ended_by"] for one in await changes()] == ["bo"]

        await until(ended, "its end")
        for process, task in zip(both, tasks, strict=True):
            process.stop()
            await task

    asyncio.run(story())

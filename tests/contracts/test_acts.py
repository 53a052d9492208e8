"""What people do over Kafka: taken at any process, active or not, handled by the active one, and known after it."""

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
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.stages import PumpedProcess, make_stage
from anchorwatch.telemetry import Meter
from tests.support.clickhouse_front import FrontProcess
from tests.support.daemons import free_port
from tests.support.databases import new_database
from tests.support.findings import finding

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


def alerts_process(folder: Path, kafka: str, prefix: str) -> PumpedProcess:
    folder.mkdir()
    (folder / "inventory.yaml").write_text("identities:\n- {id: sa, endpoints: [api.bank.example]}\n")
    (folder / "anchorwatch.yaml").write_text(
        "inventory: [{path: inventory.yaml}]\nvantages: [{name: corp, resolver: 127.0.0.1}]\n"
        f"bus: {{url: 'kafka://{kafka}', prefix: {prefix}, partitions: 1, session_timeout: 6s}}\n"
        "alerts: {group_wait: 0s, group_interval: 0s, storm: 0}\n"
        f"receivers: [{{name: log, type: command, command: [sh, -c, 'cat >> {folder.parent}/told;"
        f" echo >> {folder.parent}/told']}}]\nroutes: [{{receiver: log}}]\n"
        f"http: {{listen: '127.0.0.1:{free_port()}'}}\n"
    )
    process = make_stage("alerts", load_config(folder / "anchorwatch.yaml"))
    assert isinstance(process, PumpedProcess)
    return process


def test_what_people_do_at_any_alerts_process_counts_at_the_active_one_and_after_it(
    tmp_path: Path, kafka_address: str
) -> None:
    prefix = f"deeds-{next(_numbers)}-{free_port()}"

    def told() -> list[tuple[str, str]]:
        path = tmp_path / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(one["event"], one["cause"]) for one in map(json.loads, filter(None, lines))]

    async def story() -> None:
        both = [alerts_process(tmp_path / name, kafka_address, prefix) for name in ("one", "two")]
        tasks = {process: asyncio.create_task(process.run()) for process in both}
        bus = KafkaConfig(brokers=(kafka_address,), prefix=prefix, partitions=1, session_timeout_s=6.0)
        sink = KafkaSink(bus, "analyzer", "/analyzer/test", KafkaDeadLetters(bus, "test"), Meter())

        async def active() -> list[PumpedProcess]:
            return [process for process in both if not process.progress.why_not_ready()]

        (working,) = await until(active, "an active alerts process")
        (waiting,) = [process for process in both if process is not working]
        now = datetime.now(UTC)
        (silence,) = await ask(
            waiting,
            "/api/v1/acts",
            kind="silence",
            matchers=["zone=idp.example"],
            ends_at=(now + timedelta(hours=1)).isoformat(),
            by="ana",
            why="patches",
        )

        async def silenced() -> Any:
            return await ask(waiting, "/api/v1/silences")

        await until(silenced, "the silence in the ledger")
        taken: dict[str, Any] = {"opened_at": now, "updated_at": now}
        await sink.send([finding(**taken), finding(zone="idp.example.", **taken)])

        async def incidents() -> Any:
            found = {one["cause"]: one for one in await ask(waiting, "/api/v1/incidents")}
            return found if len(found) == 2 and found["bank.example."]["notified"] else None

        found = await until(incidents, "both incidents at the process that stands by")
        assert found["idp.example."]["withheld"].startswith("silenced by ana")
        key = found["bank.example."]["id"]
        await ask(waiting, "/api/v1/acts", kind="acknowledge", subject=key[:8], by="bo")

        async def acknowledged() -> bool:
            return ("acknowledge", "bank.example.") in told()

        await until(acknowledged, "the word of it")

        working.stop()
        await tasks.pop(working)
        await until(active, "the other one")
        (listed,) = await ask(waiting, "/api/v1/silences")
        assert (listed["id"], listed["state"], len(listed["withholds"])) == (silence["id"], "active", 1)
        whole = await ask(waiting, f"/api/v1/incidents/{key[:6]}")
        assert (whole["state"], whole["acknowledged"]["by"]) == ("acknowledged", "bo")
        assert told() == [("trigger", "bank.example."), ("acknowledge", "bank.example.")]

        await ask(waiting, "/api/v1/acts", kind="expire_silence", subject=silence["id"][:8], by="cy")

        async def paged() -> bool:
            return told()[-1] == ("trigger", "idp.example.")

        await until(paged, "the page that was withheld, from the process that took over")
        for process, task in tasks.items():
            process.stop()
            await task
        await sink.close()

    asyncio.run(story())

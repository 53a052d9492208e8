"""A storm over Kafka, two alerts processes, the active one killed: nothing is lost, nothing told twice."""

import asyncio
import itertools
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.telemetry import Meter
from schemas.messages import Finding
from tests.support.daemons import free_port, until
from tests.support.findings import finding
from tests.support.running import COMMAND

pytestmark = pytest.mark.slow

CAUSES, EACH = 50, 40
_numbers = itertools.count()


class Alerts:
    """One alerts process, as an operator starts it."""

    def __init__(self, folder: Path, kafka: str, prefix: str) -> None:
        folder.mkdir()
        (folder / "inventory.yaml").write_text("identities:\n- {id: sa, endpoints: [api.bank.example]}\n")
        told, port = folder.parent / "told", free_port()
        (folder / "anchorwatch.yaml").write_text(
            "inventory: [{path: inventory.yaml}]\nvantages: [{name: corp, resolver: 127.0.0.1}]\n"
            f"bus: {{url: 'kafka://{kafka}', prefix: {prefix}, partitions: 1, session_timeout: 6s}}\n"
            "alerts: {group_wait: 2s, group_interval: 3s}\n"
            f"receivers: [{{name: log, type: command, command: [sh, -c, 'cat >> {told}; echo >> {told}']}}]\n"
            f"routes: [{{receiver: log}}]\nhttp: {{listen: '127.0.0.1:{port}'}}\n"
        )
        self.url = f"http://127.0.0.1:{port}"
        command = [*COMMAND, "alerts", str(folder / "anchorwatch.yaml")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def is_active(self) -> bool:
        try:
            return urllib3.request("GET", f"{self.url}/-/ready", retries=False, timeout=2.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def storm() -> list[Finding]:
    """Findings of 50 causes: those of one cause are different names in one zone."""
    now = datetime.now(UTC)
    return [
        finding(
            zone=f"z{cause}.t{cause}.",
            id=f"f{cause}-{number}",
            key=f"f{cause}-{number}",
            detail=f"of n{number}",
            opened_at=now,
            updated_at=now,
        )
        for number in range(EACH)
        for cause in range(CAUSES)
    ]


def test_every_cause_is_named_once_though_the_active_process_is_killed(tmp_path: Path, kafka_address: str) -> None:
    prefix = f"storm-{next(_numbers)}-{free_port()}"
    path = tmp_path / "told"

    def pages() -> list[dict[str, Any]]:
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line]

    def named() -> set[str]:
        storms = {one["cause"] for page in pages() for one in page["members"]}
        return storms | {page["cause"] for page in pages() if not page["members"]}

    both = [Alerts(tmp_path / name, kafka_address, prefix) for name in ("one", "two")]
    bus = KafkaConfig(brokers=(kafka_address,), prefix=prefix, partitions=1, session_timeout_s=6.0)
    until(lambda: [one for one in both if one.is_active()], "an active alerts process")
    sink, found = KafkaSink(bus, "analyzer", "/analyzer/test", KafkaDeadLetters(bus, "test"), Meter()), storm()
    asyncio.run(sink.send(found[: len(found) // 2]))
    until(pages, "a first page")
    (working,) = [one for one in both if one.is_active()]
    working.kill()
    asyncio.run(sink.send(found[len(found) // 2 :]))
    until(lambda: len(named()) >= CAUSES, "every cause in a page", within_s=60)
    asyncio.run(sink.close())
    next(one for one in both if one is not working).stop()

    told = pages()
    ids = [page["id"] for page in told]
    assert len(named()) == CAUSES
    assert len(set(ids)) <= CAUSES
    again = {one for one in ids if ids.count(one) > 1}
    assert all(page["event"] == "trigger" for page in told if page["id"] in again), "only under the id that it had"
    triggers = [page["incident"] for page in told if page["event"] == "trigger" and page["id"] not in again]
    assert len(triggers) == len(set(triggers)), "no incident is opened twice"

"""A running instance over two names, the commands that ask it, and what its receiver was told."""

import json
from pathlib import Path
from typing import Any

from tests.support.daemons import free_port
from tests.support.running import Lab, Running, call

INVENTORY = """\
identities:
- id: sa-pay
  criticality: critical
  environment: prod
  endpoints:
  - {host: soap.legacy.example, types: [A], answers: [198.51.100.20]}
  - {host: api.bank.example, types: [A]}
"""


class Office:
    """A running instance, and the commands that ask it."""

    def __init__(self, folder: Path, lab: Lab, changes: str = "") -> None:
        port = free_port()
        self.url, self.config, self.told_path = f"http://127.0.0.1:{port}", folder / "anchorwatch.yaml", folder / "told"
        (folder / "inventory.yaml").write_text(INVENTORY)
        self.config.write_text(
            f"inventory: [{{path: inventory.yaml}}]\nvantages: [{{name: corp, resolver: '{lab.url}'}}]\n"
            f"trust_anchors: {{path: {lab.anchors}}}\npoll: {{interval: 1s, timeout: 300ms}}\n"
            "alerts: {group_wait: 0s, group_interval: 0s, storm: 0}\n"
            f"receivers: [{{name: log, type: command, command: [sh, -c, 'cat >> {self.told_path};"
            f" echo >> {self.told_path}']}}]\nroutes: [{{match: {{severity: [critical, high]}}, receiver: log}}]\n"
            f"http: {{listen: '127.0.0.1:{port}'}}\n{changes}"
        )

    def say(self, *words: str) -> str:
        done = call(*words, "--api", self.url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str) -> str:
        done = call(*words, "--api", self.url)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr

    @property
    def told(self) -> list[dict[str, Any]]:
        lines = self.told_path.read_text().splitlines() if self.told_path.exists() else []
        return [json.loads(line) for line in lines if line]


def move(lab: Lab, address: str) -> None:
    def change(world: Any) -> None:
        zone = world["legacy.example."]
        zone.add("soap", "A", address)
        world.sign(zone)

    lab.stage(change)


def finding_of(one: Running, code: str, status: str = "open") -> dict[str, Any] | None:
    return next(iter(one.get(f"/api/v1/findings?code={code}&status={status}")), None)

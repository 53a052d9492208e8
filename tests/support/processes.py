"""anchorwatch as a cluster on this machine: Kafka, a history over HTTP, and any number of each stage as processes."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.broker import ApacheKafka, ThreeBrokers
from tests.support.daemons import Daemon, free_ports, until
from tests.support.watch import VANTAGE, Watch

ROOT = Path(__file__).parents[2]
FRONT = ROOT / "tests" / "support" / "clickhouse_front.py"
STAGES = ("collector-1", "collector-2", "analyzer-1", "analyzer-2", "alerts-1", "alerts-2")
CONFIG = """\
inventory: [{{path: {folder}/inventory.yaml}}]
vantages: [{{name: {vantage}, resolver: "{resolver}"}}]
trust_anchors: {{path: "{anchors}"}}
poll: {{interval: {interval}}}
bus: {{url: "kafka://{kafka}", prefix: {prefix}, partitions: 6, session_timeout: 6s}}
history: {{url: "clickhouse://anchorwatch@127.0.0.1:{history}/anchorwatch", password_file: {folder}/password}}
alerts: {{group_wait: 0s, group_interval: 0s, storm: 0}}
receivers: [{{name: soc, type: webhook, url: "{hook}", secret_file: {folder}/webhook.key}}]
routes: [{{match: {{severity: [critical, high, medium, low]}}, receiver: soc}}]
http: {{listen: "127.0.0.1:{port}"}}
"""


@dataclass
class Process:
    """One stage's process: where it answers, what it was told, and the program."""

    name: str
    url: str
    config: Path
    daemon: Daemon

    @property
    def stage(self) -> str:
        return self.name.partition("-")[0]


class Cluster(Watch):
    """Two collectors, two analyzers, two alerts processes, over one broker or three, and one history."""

    def __init__(
        self, folder: Path, kafka: ApacheKafka | ThreeBrokers, *, resolver: str, anchors: Path, inventory: str
    ) -> None:
        super().__init__()
        self.kafka, self._folder = kafka, folder
        (folder / "webhook.key").write_text(self.secret)
        (folder / "password").write_text("of the history")
        (folder / "inventory.yaml").write_text(inventory)
        history_port, *ports = free_ports(1 + len(STAGES))
        self._history_url = f"http://127.0.0.1:{history_port}"
        data = folder / "history"
        credentials = ["--user", "anchorwatch", "--password", "of the history"]
        self.history = Daemon(
            "history",
            [sys.executable, FRONT, "--port", str(history_port), "--path", data, *credentials],
            folder,
        )
        self._settings = {
            "folder": folder,
            "vantage": VANTAGE,
            "resolver": resolver,
            "anchors": anchors,
            "kafka": kafka.address,
            "history": history_port,
            "hook": self.receiver.url,
        }
        self._ports = dict(zip(STAGES, ports, strict=True))
        self.processes = {name: self.make_process(name) for name in STAGES}

    def make_process(
        self, name: str, *, build: Path = ROOT, prefix: str = "anchorwatch", interval: str = "1s"
    ) -> Process:
        """Return a process that is not started: of the code in ``build``, on the topics with ``prefix``."""
        port = self._ports[name] if prefix == "anchorwatch" else free_ports(1)[0]
        config = self._folder / f"{prefix}-{name}.yaml"
        config.write_text(CONFIG.format(**self._settings, port=port, prefix=prefix, interval=interval))
        code = ["env", f"PYTHONPATH={build}", sys.executable, "-m", "anchorwatch"]
        daemon = Daemon(f"{prefix}-{name}", [*code, name.partition("-")[0], config], self._folder)
        return Process(name, f"http://127.0.0.1:{port}", config, daemon)

    # life

    def start(self) -> None:
        """Start everything; wait until all have a place in their group, and as many of each stage work as should."""
        self.kafka.start()
        self.start_history()
        for process in self.processes.values():
            self.start_process(process)
        for name in self.processes:
            until(lambda name=name: self.has_joined(name), f"{name} has a place in its group")  # type: ignore[misc]
        for stage, count in (("collector", 2), ("analyzer", 1), ("alerts", 1)):
            until(lambda s=stage, n=count: len(self.working(s)) == n, f"of the {stage} stage {count} work")  # type: ignore[misc]

    def has_joined(self, name: str) -> bool:
        """Return whether a process was assigned partitions by its group, or none: it stands by."""
        return self.metric(name, "anchorwatch_bus_rebalances_total") > 0

    def start_history(self) -> None:
        """Start the history and wait until it answers."""
        self.history.start()
        self.history.until_up(lambda: self.status(f"{self._history_url}/ping") == 200)

    def start_process(self, process: Process) -> None:
        """Start one process and wait until it lives."""
        process.daemon.start()
        process.daemon.until_up(lambda: self.status(f"{process.url}/-/healthy") == 200)

    def upgrade(self, name: str, build: Path) -> None:
        """End one process in order and start it again from other code."""
        self.processes[name].daemon.stop()
        self.processes[name] = self.make_process(name, build=build)
        self.start_process(self.processes[name])

    def kill_process(self, name: str) -> None:
        """End one at once."""
        self.processes[name].daemon.kill()

    @property
    def brokers(self) -> tuple[str, ...]:
        """Return where the brokers listen."""
        return tuple(self.kafka.address.split(","))

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.daemon.stop()
        self.history.stop()
        self.kafka.stop()
        super().close()

    def stored(self, sql: str) -> list[str]:
        """Return the lines that a query of the history gives."""
        headers = {"X-ClickHouse-User": "anchorwatch", "X-ClickHouse-Key": "of the history"}
        url = f"{self._history_url}/?database=anchorwatch"
        answer = self._pool.request("POST", url, body=sql.encode(), headers=headers, retries=False, timeout=30.0)
        assert answer.status == 200, answer.data.decode()
        return answer.data.decode().splitlines()

    # who works

    def working(self, stage: str) -> list[str]:
        """Return the processes of a stage that have assigned partitions."""
        return [name for name, process in self.processes.items() if process.stage == stage and self.works(process)]

    def works(self, process: Process) -> bool:
        """Return whether a process has assigned partitions."""
        return process.daemon.is_running and self.status(f"{process.url}/-/ready") == 200

    def until_works(self, stage: str, other_than: str) -> str:
        """Wait until another process of a stage works, and return it."""

        def look() -> str | None:
            return next((name for name in self.working(stage) if name != other_than), None)

        return until(look, f"another {stage} than {other_than} works")

    def metric(self, name: str, metric: str) -> float:
        """Return a metric of a process, summed over its labels."""
        return self.metric_at(self.processes[name], metric)

    def metric_at(self, process: Process, metric: str) -> float:
        """Return the same of any process."""
        answer = self._pool.request("GET", f"{process.url}/metrics", retries=False, timeout=10.0)
        lines = answer.data.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((metric + " ", metric + "{")))

    def exit_codes(self) -> dict[str, int | None]:
        """End every process in order and return how each ended."""
        return {name: process.daemon.stop() for name, process in self.processes.items()}

    # what the API says

    def url(self, path: str) -> str:
        """Return where a part of the API is served: the active alerts process has incidents, the active analyzer the
        rest."""
        stage = "alerts" if path in ("incidents", "notifications") else "analyzer"
        name = until(lambda: next(iter(self.working(stage)), None), f"some {stage} process works")
        return self.processes[name].url

    def logs(self) -> str:
        """Return the end of what each process logged."""
        return "\n".join(process.daemon.tail() for process in self.processes.values()) + self.history.tail()

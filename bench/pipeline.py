"""From produced to stored and told: analyzer and alerts as processes over Apache Kafka and a history over HTTP."""

import asyncio
import base64
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.dead_letters import KafkaDeadLetters
from anchorwatch.kafka.sink import KafkaSink
from anchorwatch.kafka.topics import prepare_topics
from anchorwatch.lab.receiver import Receiver
from anchorwatch.telemetry import Meter
from bench.world import Served
from collector.anchor_file import read_anchor_file
from collector.dnssec import names, records
from collector.dnssec.judgement import ZoneFacts
from collector.dnssec.policy import Policy
from collector.polling.zones import ZonesTold, as_observed, observation_of
from collector.resolvers.address import Address
from collector.resolvers.resolver import Resolver
from collector.resolvers.vantage import Vantage
from collector.resolvers.view import Judged
from schemas.judgement import ChainLink, Judgement, Reason, Verdict
from schemas.messages import (
    Endpoint,
    Identity,
    InventoryIndex,
    InventorySnapshot,
    Message,
    Observation,
    Occasion,
    PollBatch,
    utc,
)
from schemas.wire import digest_of
from tests.support.broker import ApacheKafka, fetch_jars
from tests.support.clickhouse_front import FrontProcess
from tests.support.daemons import free_port

VANTAGE = "bench"
WAIT_S = 120.0
POLLS = 200_000
POLLS_A_MESSAGE = 500
CONFIG = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: bench, resolver: "udp://127.0.0.1:9"}}]
bus: {{url: "kafka://{kafka}", partitions: 6}}
history: {{url: "{history}"}}
alerts: {{group_wait: 0s, group_interval: 0s, storm: 0}}
receivers: [{{name: soc, type: webhook, url: "{hook}", secret_file: webhook.key}}]
routes: [{{match: {{severity: [critical, high, medium, low]}}, receiver: soc}}]
http: {{listen: "127.0.0.1:{port}"}}
log: {{level: warning}}
"""


@dataclass
class Measured:
    """What came out: rates a second, seconds, MB."""

    observations: int
    rate: float
    changes: int
    poll_rate: float = 0.0
    analyzer_mb: float = 0.0
    asked_rate: float = 0.0
    delays_s: list[float] = field(default_factory=list)

    def delay_at(self, share: float) -> float:
        """Return a quantile of the time from change to notification, infinite where not all arrived."""
        if len(self.delays_s) < self.changes:
            return float("inf")
        return sorted(self.delays_s)[min(len(self.delays_s) - 1, int(len(self.delays_s) * share))]


class TimedReceiver(Receiver):
    """Notes when each cause was told of."""

    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        self.told_at: dict[str, float] = {}

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        status = super()._take(headers, body)
        told = msgspec.json.decode(body)
        if told["type"] == "incident.triggered":
            self.told_at.setdefault(told["data"]["cause"], time.time())
        return status


def measure_pipeline(world: Served, *, observations: int, changes: int, rate: int) -> Measured | None:
    """Measure the stages over Kafka; None where there is no broker to be had."""
    if not fetch_jars():
        return None
    folder = world.folder / "pipeline"
    (folder / "kafka").mkdir(parents=True)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (folder / "webhook.key").write_text(secret)
    (folder / "inventory.yaml").write_text("identities: []\n")
    judged = _judge_some(world)
    receiver = TimedReceiver(secret)
    kafka = ApacheKafka(folder / "kafka")
    kafka.start()
    front = FrontProcess(folder / "history")
    try:
        config = KafkaConfig(brokers=(kafka.address,), partitions=6)
        prepare_topics(config, "bench")
        letters = KafkaDeadLetters(config, "bench")
        sink = KafkaSink(config, "bench", "/bench", letters, Meter())
        with _stages(folder, kafka.address, front.history_url("anchorwatch"), receiver.url) as ports:
            return asyncio.run(_drive(sink, judged, receiver, ports, observations, changes, rate))
    finally:
        receiver.close()
        front.kill()
        kafka.stop()


@contextmanager
def _stages(folder: Path, kafka: str, history: str, hook: str) -> Iterator[dict[str, tuple[int, int]]]:
    """Run an analyzer and the alerts; yield their ports and process ids."""
    processes = {}
    ports = {}
    for stage in ("analyzer", "alerts"):
        port = free_port()
        config = folder / f"{stage}.yaml"
        config.write_text(CONFIG.format(kafka=kafka, history=history, hook=hook, port=port))
        log = (folder / f"{stage}.log").open("wb")
        command = [sys.executable, "-m", "anchorwatch", stage, str(config)]
        processes[stage] = subprocess.Popen(command, stdout=log, stderr=log)
        ports[stage] = (port, processes[stage].pid)
    try:
        for port, _ in ports.values():
            _until(lambda port=port: _ready(port), "a stage works")
        yield ports
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(60)


async def _drive(
    sink: KafkaSink,
    judged: Sequence[Judged],
    receiver: TimedReceiver,
    ports: dict[str, tuple[int, int]],
    observations: int,
    changes: int,
    rate: int,
) -> Measured:
    port, pid = ports["analyzer"]
    hosts = [f"h{number}.z{number % 500}.example" for number in range(observations)]
    zones = [f"moved{number}.example" for number in range(changes)]
    await sink.send(list(_inventory([*hosts, *(f"api.{zone}" for zone in zones)])))
    told = ZonesTold(refresh_s=86_400.0)
    await sink.send(_flat(_secure_then(zone, judged[0], Verdict.SECURE, told) for zone in zones))
    handled = await asyncio.to_thread(_until_handled, port, 0.0, len(zones))

    messages = _flat(_observed(host, judged[number % len(judged)], told) for number, host in enumerate(hosts))
    made = [message for message in messages if isinstance(message, Observation)]
    began = time.perf_counter()
    for start in range(0, len(messages), 500):
        await sink.send(messages[start : start + 500])
    await asyncio.to_thread(_until_handled, port, handled, len(made))
    took = time.perf_counter() - began
    measured = Measured(len(made), len(made) / took, changes)

    changed_at: dict[str, float] = {}
    began = time.perf_counter()
    for start in range(0, changes, rate // 10):
        now = time.time()
        some = zones[start : start + rate // 10]
        changed_at.update(dict.fromkeys((f"{zone}." for zone in some), now))
        await sink.send(_flat(_secure_then(zone, judged[0], Verdict.INSECURE, told) for zone in some))
        due = began + (start + rate // 10) / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    measured.asked_rate = changes / (time.perf_counter() - began)
    deadline = time.monotonic() + WAIT_S
    while len(receiver.told_at) < changes and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    measured.delays_s = [receiver.told_at[zone] - at for zone, at in changed_at.items() if zone in receiver.told_at]
    measured.poll_rate = await _poll_again(sink, made, port)
    measured.analyzer_mb = _rss_mb(pid)
    await sink.close()
    return measured


async def _poll_again(sink: KafkaSink, made: Sequence[Observation], port: int) -> float:
    """Say that nothing changed, for every observation and again and again; return polls a second."""
    total = 0
    began = time.perf_counter()
    while total < POLLS:
        for start in range(0, len(made), POLLS_A_MESSAGE):
            await sink.send([_unchanged(made[start : start + POLLS_A_MESSAGE])])
        total += len(made)
    await asyncio.to_thread(
        _until, lambda: _metric(port, "anchorwatch_polls_confirmed_total") >= total, f"{total} polls are analysed"
    )
    return total / (time.perf_counter() - began)


def _flat(parts: Iterable[Sequence[Message]]) -> list[Message]:
    return [message for part in parts for message in part]


def _unchanged(observations: Sequence[Observation]) -> PollBatch:
    at = utc(time.time())
    return PollBatch(
        id=digest_of(observations[0].id, at.isoformat())[:32],
        vantage=VANTAGE,
        names=tuple(one.judgement.name for one in observations),
        types=tuple(one.judgement.type for one in observations),
        observations=tuple(one.id for one in observations),
        polled_at=(at,) * len(observations),
        inceptions=tuple(int(one.signed.inception_at.timestamp()) if one.signed else 0 for one in observations),
        expirations=tuple(int(one.signed.expires_at.timestamp()) if one.signed else 0 for one in observations),
    )


def _judge_some(world: Served, count: int = 50) -> list[Judged]:
    """Return real judgements with their evidence, one for each of some zones."""

    async def judge() -> list[Judged]:
        resolver = Resolver(Address("udp", *world.resolver), max_in_flight=64)
        vantage = Vantage(VANTAGE, resolver, read_anchor_file(world.anchors), Policy(), time.time)
        chosen = world.hosts[:: max(1, len(world.hosts) // count)][:count]
        return [await vantage.judge(names.from_text(host), records.A) for host in chosen]

    return asyncio.run(judge())


def _observed(
    host: str, judged: Judged, told: ZonesTold, whole: Judgement | None = None, zones: tuple[ZoneFacts, ...] = ()
) -> list[Message]:
    """Return an observation as large as a real one, of another name, after what is new of its zones.

    ``whole`` and ``zones`` take the place of what was judged.
    """
    at, whole, zones = utc(time.time()), whole or judged.judgement, zones or judged.zones
    seen = told.see(zones, judged.evidence, VANTAGE, at, 0.0)
    judgement = msgspec.structs.replace(as_observed(whole, zones, judged.answer), name=f"{host}.", vantage=VANTAGE)
    own = (*judged.answer.messages[:-1], judged.answer.messages[-1] + host.encode())  # its answer is its own
    evidence = msgspec.structs.replace(judged.evidence, name=f"{host}.")
    answer = replace(judged.answer, messages=own)
    return [*seen.news, observation_of(judgement, Occasion.FIRST, answer, seen, evidence, at)]


def _secure_then(zone: str, judged: Judged, verdict: Verdict, told: ZonesTold) -> list[Message]:
    """Return what is observed of a name whose zone is secure, or has lost its protection, the zone's part first."""
    last = judged.zones[-1]
    link = msgspec.structs.replace(last.link, zone=f"{zone}.", verdict=verdict)
    reasons: tuple[Reason, ...] = ()
    if verdict is Verdict.INSECURE:
        link = ChainLink(f"{zone}.", verdict)
        reasons = (Reason("unsigned_delegation", f"{zone}.", "the parent proves that there is no DS"),)
    zones = (*judged.zones[:-1], replace(last, link=link, reasons=reasons))
    judgement = msgspec.structs.replace(
        judged.judgement, verdict=verdict, cause_zone=f"{zone}." if reasons else "", reasons=reasons
    )
    return _observed(f"api.{zone}", judged, told, judgement, zones)


def _inventory(hosts: Sequence[str]) -> Iterator[Message]:
    at = utc(time.time())
    for start in range(0, len(hosts), 100):
        endpoints = tuple(Endpoint(host=host, types=("A",)) for host in hosts[start : start + 100])
        identity = Identity(id=f"sa-{start}", owner=f"team-{start // 1000}", endpoints=endpoints)
        yield InventorySnapshot(id=identity.id, seen_at=at, identity=identity)
    yield InventoryIndex(seen_at=at, ids=None, vantages=(VANTAGE,))


def _until_handled(port: int, before: float, count: int) -> float:
    """Wait until the analyzer has taken in so many more observations, and return the total."""
    _until(
        lambda: _metric(port, "anchorwatch_observations_taken_total") >= before + count,
        f"{count} observations are analysed",
    )
    return _metric(port, "anchorwatch_observations_taken_total")


def _until(look: Any, what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {WAIT_S:g} s: {what}")
        time.sleep(0.05)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " "))


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)

"""Speed and memory, each beside its peers in the same run: ``make bench``, ``make bench ARGS=--quick``.

Rates are of one process on one core. Peers that are not installed are left out and said. The exit status is 1 when a
goal is missed; with ``--quick``, which guards against regressions on noisy machines, when one is missed by half.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from anchorwatch.garbage import collect_seldom
from bench.pipeline import measure_pipeline
from bench.world import Served, served, which
from collector.anchor_file import read_anchor_file
from collector.dnssec import crypto, names, records
from collector.dnssec.policy import Policy
from collector.resolvers.address import Address
from collector.resolvers.resolver import Resolver
from collector.resolvers.vantage import Vantage
from tests.support.daemons import free_port

COMMAND = [sys.executable, "-m", "anchorwatch"]
ROUNDS = 3


@dataclass(frozen=True)
class Goal:
    """What a value must reach, or stay below; ``unit`` is what stands behind the number."""

    limit: float
    unit: str
    below: bool = False

    def is_met(self, value: float, slack: float = 1.0) -> bool:
        """Return whether the value is good enough; ``slack`` 2 lets it miss the limit by half."""
        return value < self.limit * slack if self.below else value >= self.limit / slack

    def __str__(self) -> str:
        return f"{'<' if self.below else '≥'} {self.limit:,g}{self.unit}"


class Table:
    """What was measured, printed a line at a time."""

    def __init__(self, slack: float) -> None:
        self._slack = slack
        self.has_failed = False

    def row(self, what: str, measured: str, goal: Goal | None = None, value: float | None = None) -> None:
        """Print one line; ``value`` is what the goal is about, None where it could not be measured."""
        verdict = "–"
        if goal is not None and value is not None:
            verdict = "met" if goal.is_met(value) else "NOT MET"
            self.has_failed = self.has_failed or not goal.is_met(value, self._slack)
        print(f"{what:62} {measured:>24}   {goal or ''!s:>12}  {verdict}", flush=True)


def warm(world: Served, hosts: list[str]) -> None:
    """Have the resolver learn everything first."""

    async def ask_all() -> None:
        resolver = Resolver(Address("udp", *world.resolver), max_in_flight=64, timeout_s=3)
        jobs = [resolver.ask(names.from_text(host), rdtype) for host in hosts for rdtype in (records.A, records.AAAA)]
        for start in range(0, len(jobs), 500):
            await asyncio.gather(*jobs[start : start + 500])

    asyncio.run(ask_all())


CHECKS = 3


def bench_check(table: Table, world: Served) -> None:
    """``check`` of 1,000 endpoints in 50 zones, start included, beside delv run for each name."""
    hosts = list(world.hosts[:1000])
    warm(world, hosts)
    words = [
        *COMMAND,
        "check",
        str(world.inventory(1000)),
        "--resolver",
        world.url,
        "--trust-anchor",
        str(world.anchors),
    ]
    took = []
    for _ in range(CHECKS):
        started = time.perf_counter()
        done = subprocess.run([*words, "--format", "json"], capture_output=True, text=True, check=False)
        took.append(time.perf_counter() - started)
        verdicts = json.loads(done.stdout)["verdicts"]
        assert verdicts["secure"] == 2000, verdicts
    rate = 1000 / min(took)  # whatever else runs on the machine only slows one down
    table.row("check: endpoints/s (A and AAAA each, resolver's claims too)", f"{rate:.0f}/s", Goal(300, "/s"), rate)
    goal = Goal(10, " ×")
    if which("delv") is None:
        table.row("check: names/s, beside delv a name", "delv is not installed", goal)
        return
    sample = hosts[:60]
    started = time.perf_counter()
    for host in sample:
        delv(world, host)
    peer = len(sample) / (time.perf_counter() - started)
    ratio = rate * 2 / peer
    table.row(f"check: names/s, beside delv a name ({peer:.0f}/s)", f"{ratio:.1f} ×", goal, ratio)


def delv(world: Served, host: str) -> None:
    """Run delv for one name."""
    path = which("delv")
    assert path is not None
    keys = world.folder / "delv.anchors"
    if not keys.exists():
        tag, algorithm, digest_type, digest = world.anchors.read_text().split()[3:7]
        keys.write_text(f'trust-anchors {{ "." static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n')
    host_, port = world.resolver
    words = [path, f"@{host_}", "-p", str(port), "-a", str(keys), "+root=.", host, "A"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "fully validated" in done.stdout, done.stdout + done.stderr


def bench_dnsviz(table: Table, world: Served, rate: float) -> None:
    """dnsviz probe and grok for a name, which ask far more than a validator has to, beside our ``rate`` a second."""
    program = which("dnsviz")
    if program is None:
        table.row("cold validation: beside dnsviz a name", "dnsviz is not installed")
        return
    server = f"127.0.0.1:{world.resolver[1]}"
    sample = list(world.hosts[:1])
    started = time.perf_counter()
    for host in sample:
        probed = subprocess.run([program, "probe", "-s", server, "-R", "A", host], capture_output=True, check=False)
        subprocess.run(
            [program, "grok", "-t", str(world.anchors)], input=probed.stdout, capture_output=True, check=False
        )
    theirs = len(sample) / (time.perf_counter() - started)
    table.row(f"cold validation: beside dnsviz, which asks more ({theirs:.2f}/s)", f"{rate / theirs:.0f} ×")


def bench_start(table: Table, world: Served) -> None:
    """The first verdict of ``validate``, start included; the best of five."""
    words = [*COMMAND, "validate", world.hosts[0], "--resolver", world.url, "--trust-anchor", str(world.anchors)]
    best = 1e9
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(words, capture_output=True, check=True)
        best = min(best, time.perf_counter() - started)
    table.row("validate: first verdict, start included", f"{best:.2f} s", Goal(1, " s", below=True), best)


@dataclass(frozen=True)
class Pace:
    """Names a second, of wall time and of processor time."""

    wall: float
    cpu: float


def bench_cold(table: Table, world: Served, count: int) -> None:
    """Cold validation: no cache of ours, a warm resolver, one process; ours and libunbound's turn about."""
    hosts = list(world.hosts[:count])
    warm(world, hosts)
    listing = world.folder / "names"
    listing.write_text("\n".join(hosts) + "\n")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(asyncio.run(judge_all(world, hosts)))
        theirs.append(pace_of_libunbound(world, listing, count))
    wall = median(pace.wall for pace in ours)
    table.row("cold validation: names/s of wall time, one process", f"{wall:.0f}/s", Goal(1000, "/s"), wall)
    table.row("cold validation: names/s of processor time", f"{median(pace.cpu for pace in ours):.0f}/s")
    bench_dnsviz(table, world, wall)
    pairs = [(our, their) for our, their in zip(ours, theirs, strict=True) if their is not None]
    goal = Goal(0.4, " ×")
    if not pairs:
        table.row("cold validation: beside libunbound", "python3-unbound is not there", goal)
        return
    ratio = median(our.wall / their.wall for our, their in pairs)
    peer = median(their.wall for _, their in pairs)
    table.row(f"cold validation: beside libunbound ({peer:.0f}/s), median of {ROUNDS}", f"{ratio:.2f} ×", goal, ratio)
    ratio = median(our.cpu / their.cpu for our, their in pairs)
    peer = median(their.cpu for _, their in pairs)
    table.row(f"cold validation: the same, processor time ({peer:.0f}/s)", f"{ratio:.2f} ×")


async def judge_all(world: Served, hosts: list[str]) -> Pace:
    """Validate every name from nothing: what an earlier round has verified is verified again."""
    crypto.is_valid.cache_clear()
    resolver = Resolver(Address("udp", *world.resolver), max_in_flight=128)
    vantage = Vantage("bench", resolver, read_anchor_file(world.anchors), Policy(), time.time)
    verdicts: Counter[str] = Counter()
    pending = iter(hosts)

    async def worker() -> None:
        for host in pending:
            judged = await vantage.judge(names.from_text(host), records.A)
            verdicts[judged.judgement.verdict] += 1

    wall, cpu = time.perf_counter(), time.process_time()
    async with vantage:
        await asyncio.gather(*(worker() for _ in range(64)))
    pace = Pace(len(hosts) / (time.perf_counter() - wall), len(hosts) / (time.process_time() - cpu))
    assert verdicts == {"secure": len(hosts)}, verdicts
    return pace


def pace_of_libunbound(world: Served, listing: Path, count: int) -> Pace | None:
    """Have libunbound do the same, None where it is not installed."""
    host, port = world.resolver
    peer = ["/usr/bin/python3", str(Path(__file__).with_name("peers.py")), "libunbound", host, str(port)]
    done = subprocess.run([*peer, str(world.anchors), str(listing)], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    wall, cpu, secure = done.stdout.split()
    assert int(secure) == count, done.stdout
    return Pace(float(wall), float(cpu))


def bench_memory(table: Table, world: Served, count: int) -> None:
    """Resident memory of ``run`` once every endpoint was observed and polled again."""
    port = free_port()
    config = world.folder / "anchorwatch.yaml"
    config.write_text(
        f"inventory: [{{path: {world.inventory(count)}}}]\nvantages: [{{name: bench, resolver: '{world.url}'}}]\n"
        f"trust_anchors: {{path: {world.anchors}}}\npoll: {{interval: 60s}}\nhistory: {{url: 'chdb:data-{count}'}}\n"
        f"http: {{listen: '127.0.0.1:{port}'}}\nlog: {{level: warning}}\n"
    )
    process = subprocess.Popen([*COMMAND, "run", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        started = time.perf_counter()
        observed = 0.0
        while observed < 2 * count and time.perf_counter() - started < 180:
            time.sleep(1)
            observed = metric(port, "anchorwatch_observations_total")
        took = time.perf_counter() - started
        polls = metric(port, "anchorwatch_polls_total")
        while metric(port, "anchorwatch_polls_total") < polls + count and time.perf_counter() - started < 240:
            time.sleep(1)
        resident = max(rss_mb(process.pid), 0)
    finally:
        process.terminate()
        process.wait(60)
    table.row(f"run: {count:,} endpoints observed for the first time in", f"{took:.0f} s")
    goal = Goal(600, " MB", below=True)
    table.row(f"run: resident memory with {count:,} endpoints", f"{resident:.0f} MB", goal, resident)


def bench_pipeline(table: Table, world: Served, *, quick: bool) -> None:
    """The stages over Apache Kafka and a history over HTTP, everything on this machine."""
    found = measure_pipeline(world, observations=3000 if quick else 15_000, changes=1000 if quick else 4000, rate=200)
    goal = Goal(1000, "/s")
    if found is None:
        table.row("over Kafka", "no Java or Maven here", goal)
        return
    rate = f"{found.rate:.0f}/s"
    table.row("over Kafka: observations/s, produced to stored and analysed", rate, goal, found.rate)
    table.row("over Kafka: unchanged polls/s, the same way", f"{found.poll_rate:,.0f}/s")
    p99 = found.delay_at(0.99)
    said = f"{found.delay_at(0.5):.1f} s, {p99:.1f} s"
    what = f"over Kafka: change to page, p50, p99, at {found.asked_rate:.0f}/s"
    table.row(what, said, Goal(3, " s", below=True), p99)
    mb = found.analyzer_mb
    what = f"over Kafka: analyzer after {found.observations:,} endpoints"
    table.row(what, f"{mb:.0f} MB", Goal(500, " MB", below=True), mb)


def metric(port: int, name: str) -> float:
    """Return the sum of a metric of the running instance, 0 while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> int:
    """Run all benchmarks; exit status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer names and endpoints, and goals at half")
    quick = parser.parse_args().quick
    collect_seldom()  # as every process of ours does
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    table = Table(slack=2.0 if quick else 1.0)
    with (
        tempfile.TemporaryDirectory(prefix="anchorwatch-bench-") as folder,
        served(Path(folder), 50, 20 if quick else 200) as world,
    ):
        print(f"{world.zones} zones, {len(world.hosts)} hosts, {world.kind}\n")
        bench_check(table, world)
        bench_start(table, world)
        bench_cold(table, world, 1000 if quick else 5000)
        bench_memory(table, world, 1000 if quick else 10_000)
        bench_pipeline(table, world, quick=quick)
    return 1 if table.has_failed else 0


if __name__ == "__main__":
    sys.exit(main())

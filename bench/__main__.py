"""Speed and memory, each beside its peers in the same run: ``make bench``, ``make bench ARGS=--quick``.

Rates are of one process on one core. Peers that are not installed are left out and said.
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
from pathlib import Path

from anchorwatch.config import read_anchor_file
from bench.pipeline import measure_pipeline
from bench.world import Served, free_port, served, which
from collector import names, records
from collector.address import Address
from collector.policy import Policy
from collector.resolver import Resolver
from collector.vantage import Vantage

COMMAND = [sys.executable, "-m", "anchorwatch"]
ROWS: list[tuple[str, str, str, str]] = []


def row(what: str, measured: str, goal: str, met: bool | None) -> None:
    """Print and keep one line of the table."""
    verdict = {True: "met", False: "NOT MET", None: "–"}[met]
    ROWS.append((what, measured, goal, verdict))
    print(f"{what:58} {measured:>34}   {goal:>22}  {verdict}", flush=True)


def warm(world: Served, hosts: list[str]) -> None:
    """Have the resolver learn everything first."""

    async def ask_all() -> None:
        resolver = Resolver(Address("udp", *world.resolver), max_in_flight=64, timeout_s=3)
        jobs = [resolver.ask(names.from_text(host), rdtype) for host in hosts for rdtype in (records.A, records.AAAA)]
        for start in range(0, len(jobs), 500):
            await asyncio.gather(*jobs[start : start + 500])

    asyncio.run(ask_all())


def bench_check(world: Served) -> None:
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
    started = time.perf_counter()
    done = subprocess.run([*words, "--format", "json"], capture_output=True, text=True, check=False)
    rate = 1000 / (time.perf_counter() - started)
    verdicts = json.loads(done.stdout)["verdicts"]
    assert verdicts["secure"] == 2000, verdicts
    row("check: endpoints/s (A and AAAA each, resolver's claims too)", f"{rate:.0f}/s", "≥ 300/s", rate >= 300)
    if which("delv") is None:
        row("check: against delv a name", "delv is not installed", "≥ 10 ×", None)
        return
    sample = hosts[:60]
    started = time.perf_counter()
    for host in sample:
        delv(world, host)
    peer = len(sample) / (time.perf_counter() - started)
    row(
        f"check: names/s, beside delv a name ({peer:.0f}/s)",
        f"{rate * 2 / peer:.1f} ×",
        "≥ 10 ×",
        rate * 2 / peer >= 10,
    )


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


def bench_dnsviz(world: Served, rate: float) -> None:
    """dnsviz probe and grok for a name, which ask far more than a validator has to, beside our ``rate`` a second."""
    program = which("dnsviz")
    if program is None:
        row("cold validation: beside dnsviz a name", "dnsviz is not installed", "", None)
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
    row(f"cold validation: beside dnsviz, which asks more ({theirs:.2f}/s)", f"{rate / theirs:.0f} ×", "", None)


def bench_start(world: Served) -> None:
    """The first verdict of ``validate``, start included; the best of five."""
    words = [*COMMAND, "validate", world.hosts[0], "--resolver", world.url, "--trust-anchor", str(world.anchors)]
    best = 1e9
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(words, capture_output=True, check=True)
        best = min(best, time.perf_counter() - started)
    row("validate: first verdict, start included", f"{best:.2f} s", "< 1 s", best < 1)


def bench_cold(world: Served, count: int) -> None:
    """Cold validation: no cache of ours, a warm resolver, one process."""
    hosts = list(world.hosts[:count])
    warm(world, hosts)

    async def judge_all() -> tuple[float, float, Counter[str]]:
        resolver = Resolver(Address("udp", *world.resolver), max_in_flight=128)
        vantage = Vantage("bench", resolver, read_anchor_file(world.anchors), Policy(), time.time)
        verdicts: Counter[str] = Counter()
        pending = iter(hosts)

        async def worker() -> None:
            for host in pending:
                judged = await vantage.judge(names.from_text(host), records.A)
                verdicts[judged.judgement.verdict] += 1

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(64)))
        return time.perf_counter() - wall, time.process_time() - cpu, verdicts

    wall, cpu, verdicts = asyncio.run(judge_all())
    assert verdicts == {"secure": count}, verdicts
    row(
        "cold validation: names/s of wall time, one process", f"{count / wall:.0f}/s", "≥ 1,000/s", count / wall >= 1000
    )
    row("cold validation: names/s of processor time", f"{count / cpu:.0f}/s", "", None)
    bench_dnsviz(world, count / wall)
    listing = world.folder / "names"
    listing.write_text("\n".join(hosts) + "\n")
    peer = ["/usr/bin/python3", str(Path(__file__).with_name("peers.py")), "libunbound", world.resolver[0]]
    done = subprocess.run(
        [*peer, str(world.resolver[1]), str(world.anchors), str(listing)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        row("cold validation: beside libunbound", "python3-unbound is not installed", "≥ 0.4 ×", None)
        return
    theirs, theirs_cpu, secure = done.stdout.split()
    assert int(secure) == count, done.stdout
    ratio = count / wall / float(theirs)
    row(f"cold validation: beside libunbound ({float(theirs):.0f}/s)", f"{ratio:.2f} ×", "≥ 0.4 ×", ratio >= 0.4)
    row(
        f"cold validation: the same, processor time ({float(theirs_cpu):.0f}/s)",
        f"{count / cpu / float(theirs_cpu):.2f} ×",
        "",
        None,
    )


def bench_memory(world: Served, count: int) -> None:
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
        polls = metric(port, "anchorwatch_polls")
        while metric(port, "anchorwatch_polls") < polls + count and time.perf_counter() - started < 240:
            time.sleep(1)
        resident = max(rss_mb(process.pid), 0)
    finally:
        process.terminate()
        process.wait(60)
    row(f"run: {count:,} endpoints observed for the first time in", f"{took:.0f} s", "", None)
    row(f"run: resident memory with {count:,} endpoints", f"{resident:.0f} MB", "< 600 MB", resident < 600)


def bench_pipeline(world: Served, *, quick: bool) -> None:
    """The stages over Apache Kafka and a history over HTTP, everything on this machine."""
    found = measure_pipeline(world, observations=3000 if quick else 15_000, changes=1000 if quick else 4000, rate=200)
    if found is None:
        row("over Kafka", "no Java or Maven here", "≥ 1,000/s", None)
        return
    rate = f"{found.rate:.0f}/s"
    row("over Kafka: observations/s, produced to stored and analysed", rate, "≥ 1,000/s", found.rate >= 1000)
    p99 = found.delay_at(0.99)
    said = f"{found.delay_at(0.5):.1f} s, {p99:.1f} s"
    row(f"over Kafka: change to page, p50, p99, at {found.asked_rate:.0f}/s", said, "p99 < 3 s", p99 < 3)
    mb = found.analyzer_mb
    row(f"over Kafka: analyzer after {found.observations:,} endpoints", f"{mb:.0f} MB", "< 500 MB", mb < 500)


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
    """Run all benchmarks; exit status 1 when a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 instead of 10,000 endpoints in memory, fewer names")
    quick = parser.parse_args().quick
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    with (
        tempfile.TemporaryDirectory(prefix="anchorwatch-bench-") as folder,
        served(Path(folder), 50, 20 if quick else 200) as world,
    ):
        print(f"{world.zones} zones, {len(world.hosts)} hosts, {world.kind}\n")
        bench_check(world)
        bench_start(world)
        bench_cold(world, 1000 if quick else 5000)
        bench_memory(world, 1000 if quick else 10_000)
        bench_pipeline(world, quick=quick)
    return 1 if any(verdict == "NOT MET" for *_, verdict in ROWS) else 0


if __name__ == "__main__":
    sys.exit(main())

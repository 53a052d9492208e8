"""Polling at full speed: ``python -m bench.polling``; ``anchorwatch run`` as a whole, a resolver beside it.

Endpoints are polled as often as the interval says, by one worker process or more, all stages and the embedded history
at work; then some answers change. Beside it dnsperf asks the same resolver the same names, as fast as that answers.
``--resigned 30`` has answers come from a responder that replays packets signed in advance, of which so many in a
hundred carry another signature each time, and ``--changes 6000`` has some of them change at the end, each of which must
become a finding. Everything is on loopback.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.responder import CHANGES_A_SECOND, replaying
from bench.world import Served, served, which
from tests.support.daemons import free_port

TICKS = os.sysconf("SC_CLK_TCK")
COMMAND = [sys.executable, "-m", "anchorwatch"]


@dataclass(frozen=True)
class Reading:
    """What an instance had done at an instant: polls and so on, and the processor seconds of each of its parts."""

    at: float
    numbers: dict[str, float]
    seconds: dict[str, float]
    memory_mb: float


class Running:
    """``anchorwatch run`` on a world; ``server`` is the process id of what answers."""

    def __init__(self, world: Served, count: int, interval_s: float, workers: int, server: int) -> None:
        self.port, self._server = free_port(), server
        config = world.folder / "polling.yaml"
        config.write_text(
            f"inventory: [{{path: {types_of(world.inventory(count))}}}]\n"
            f"vantages: [{{name: bench, resolver: '{world.url}'}}]\ntrust_anchors: {{path: {world.anchors}}}\n"
            f"poll: {{interval: {interval_s:g}s}}\ncollectors: {workers}\n"
            f"history: {{url: 'chdb:polling-data'}}\nhttp: {{listen: '127.0.0.1:{self.port}'}}\n"
            "log: {level: warning}\n"
        )
        self.log = (world.folder / "polling.log").open("wb")
        self.process = subprocess.Popen([*COMMAND, "run", str(config)], stdout=self.log, stderr=self.log)

    def metrics(self) -> dict[str, float]:
        """Return the sums of all metrics; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        found: dict[str, float] = {}
        for line in lines:
            if not line.startswith("#"):
                name, value = line.split("{")[0].split(" ")[0], line.rsplit(" ", 1)[1]
                found[name] = found.get(name, 0.0) + float(value)
        return found

    def found_since(self, code: str, since: datetime) -> set[str]:
        """Return the names in findings of a code that are not older, at most 1,000."""
        query = urllib.parse.urlencode({"code": code, "since": since.isoformat(), "limit": 1000})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/findings?{query}", timeout=30) as answer:
            return {one["cause_rrset"].split(" ")[0].rstrip(".") for one in json.loads(answer.read())}

    def until_observed(self, count: int, patience_s: float) -> float:
        """Wait until so many endpoints were observed; return how long that took."""
        began = time.perf_counter()
        while self.metrics().get("anchorwatch_observations_taken_total", 0) < count:
            if time.perf_counter() - began > patience_s:
                raise TimeoutError(f"{count} first sights took more than {patience_s:g} s: see {self.log.name}")
            time.sleep(1)
        return time.perf_counter() - began

    def read(self) -> Reading:
        """Return how far everything is."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        pids = {"stages": [self.process.pid], "workers": [int(pid) for pid in children], "server": [self._server]}
        seconds = {part: sum(map(cpu_s, some)) for part, some in pids.items()}
        memory = sum(map(rss_mb, [*pids["stages"], *pids["workers"]]))
        return Reading(time.perf_counter(), self.metrics(), seconds, memory)

    def end(self) -> None:
        """End it in order."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self.process.kill()
        self.log.close()


def types_of(inventory: Path) -> Path:
    """Return the inventory with A alone, so that a host is one endpoint."""
    head, *rows = inventory.read_text().splitlines()
    path = inventory.with_name(f"a-{inventory.name}")
    path.write_text("\n".join([f"{head},types", *(f"{row},A" for row in rows)]) + "\n")
    return path


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process, system time included; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def rate_of_dnsperf(world: Served, count: int, seconds: int) -> float | None:
    """Return how many answers a second dnsperf gets of the same resolver; None where it is not installed."""
    program = which("dnsperf")
    if program is None:
        return None
    names = world.folder / "dnsperf.names"
    names.write_text("".join(f"{host} A\n" for host in world.hosts[:count]))
    host, port = world.resolver
    words = [program, "-s", host, "-p", str(port), "-d", str(names), "-l", str(seconds), "-D", "-q", "200"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if "Queries per second" in line), None)
    return float(line.split(":")[1]) if line else None


def report(before: Reading, after: Reading, count: int, interval_s: float, base_mb: float) -> None:
    """Print what was done between two readings."""
    took = after.at - before.at

    def done(name: str) -> float:
        return after.numbers.get(name, 0) - before.numbers.get(name, 0)

    polls = done("anchorwatch_polls_total")
    print(f"polls a second: {polls / took:,.0f} (wanted: {count / interval_s:,.0f})")
    print(f"polls analysed a second: {done('anchorwatch_polls_confirmed_total') / took:,.0f}")
    for part in before.seconds:
        spent = after.seconds[part] - before.seconds[part]
        print(f"  {part}: {spent / took:.2f} of a core, {spent / polls * 1e6:.1f} us a poll")
    for name in ("validations", "polls_resigned", "polls_late", "queries", "shadow_differences"):
        print(f"  {name}: {done(f'anchorwatch_{name}_total'):,.0f}")
    per_endpoint = (after.memory_mb - base_mb) / count * 1e3
    print(f"memory: {after.memory_mb:.0f} MB in all, {per_endpoint:.2f} kB an endpoint above {base_mb:.0f} MB")


def follow_changes(one: Running, server: int, hosts: Sequence[str], interval_s: float) -> int:
    """Have one host after the other change; print how long each took to be a finding; return how many never were one.

    It looks twice a second, so what is printed may be half a second too long.
    """
    os.kill(server, signal.SIGUSR1)
    began, seen = time.perf_counter(), dict[str, float]()
    give_up_s = len(hosts) / CHANGES_A_SECOND + interval_s + 30
    while len(seen) < len(hosts) and time.perf_counter() - began < give_up_s:
        time.sleep(0.5)
        found = one.found_since("answer_changed", datetime.now(UTC) - timedelta(seconds=8))
        at = time.perf_counter() - began
        for host in found:
            seen.setdefault(host, at)
    places = {host: place for place, host in enumerate(hosts)}
    invented = sorted(seen.keys() - places.keys())
    took = sorted(at - places[host] / CHANGES_A_SECOND for host, at in seen.items() if host in places)
    missed = len(hosts) - len(took)
    print(f"changes: {len(hosts):,}, {CHANGES_A_SECOND} a second; found {len(took):,}, invented {len(invented):,}")
    if took:
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        print(
            f"from a change to its finding: median {p50:.1f} s, 99th percentile {p99:.1f} s, longest {took[-1]:.1f} s"
        )
    return missed + len(invented)


@contextlib.contextmanager
def world_of(folder: Path, count: int, resigned: int, changes: int) -> Iterator[tuple[Served, int]]:
    """Serve a world, by Unbound over NSD, or by the replaying responder; yield it with the answering process's id."""
    if resigned < 0:
        with served(folder, 50, (count + 49) // 50) as world:
            pid = int(
                subprocess.run(
                    ["pgrep", "-f", "unbound -d -c unbound.conf"], capture_output=True, text=True
                ).stdout.split()[-1]
            )
            yield world, pid
    else:
        with replaying(folder, count, resigned, changes) as (world, pid):
            yield world, pid


def main() -> int:
    """Measure; exit status 1 where polls were late by more than a hundredth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, default=30_000)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20, help="of measuring")
    parser.add_argument(
        "--resigned", type=int, default=-1, help="of a hundred answers; without it a real resolver answers"
    )
    parser.add_argument("--changes", type=int, default=0, help="answers that change; with --resigned only")
    arguments = parser.parse_args()
    count = arguments.endpoints
    if arguments.changes and arguments.resigned < 0:
        parser.error("--changes needs --resigned: only the responder's answers change")
    with (
        tempfile.TemporaryDirectory(prefix="anchorwatch-bench-") as folder,
        world_of(Path(folder), count, arguments.resigned, arguments.changes) as (world, server),
    ):
        if (beside := rate_of_dnsperf(world, count, 5)) is not None:
            print(f"dnsperf: {beside:,.0f} answers a second", flush=True)
        missed = 0
        one = Running(world, count, arguments.interval, arguments.workers, server)
        try:
            while not one.metrics():
                time.sleep(0.2)
            base_mb = one.read().memory_mb
            took = one.until_observed(count, 60 + count / 200)
            spent = one.read().seconds
            shares = ", ".join(f"{part} {used / took:.2f}" for part, used in spent.items())
            print(f"first sight of {count:,}: {took:.0f} s, {count / took:,.0f} a second (cores: {shares})", flush=True)
            time.sleep(min(arguments.interval, 10) + 5)
            before = one.read()
            time.sleep(arguments.seconds)
            after = one.read()
            report(before, after, count, arguments.interval, base_mb)
            if beside is not None:
                polls = after.numbers["anchorwatch_polls_total"] - before.numbers["anchorwatch_polls_total"]
                print(f"beside dnsperf: {polls / (after.at - before.at) / beside:.2f} x")
            if arguments.changes:
                hosts = world.hosts[: arguments.changes]
                missed = follow_changes(one, server, hosts, arguments.interval)
            late = after.numbers["anchorwatch_polls_late_total"] - before.numbers["anchorwatch_polls_late_total"]
        finally:
            one.end()
    return int(late > 0.01 * polls or missed > 0)


if __name__ == "__main__":
    sys.exit(main())

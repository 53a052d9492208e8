"""Break a running anchorwatch in every way that we know of, each beside staged incidents, and count who was misled.

    make chaos                          all of it, some ten minutes; writes the table into docs/chaos.md
    make chaos ARGS="--only kills --kills 10"

Everything is on loopback. Filling a disk needs root (a tmpfs is mounted), jumping clocks libfaketime.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import urllib3

from anchorwatch.lab.partners import PARTNERS
from anchorwatch.lab.server import LabResolver
from tests.chaos.judging import Staged, Tally, Told, judge
from tests.support.daemons import free_port
from tests.support.running import COMMAND, Lab, environment

ROOT = Path(__file__).parents[2]
PATIENCE_S = 150.0
SETTLE_S = 3.0
AT_ONCE = 10
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
ZONES = ("bank.example.", "idp.example.", "models.example.", "clearing.example.", "parcel.example.")
SILENT = "meter.example."
CONFIG = """\
inventory: [{{path: {folder}/inventory.csv}}]
vantages: [{{name: corp, resolver: "{resolver}"}}]
trust_anchors: {{path: "{anchors}"}}
poll: {{interval: 1s, timeout: 1500ms, attempts: 2}}
history: {{url: "chdb:{data}"}}
receivers:
  - {{name: soc, type: webhook, url: "{hook}", secret_file: {folder}/webhook.key}}
{more}
routes: [{{match: {{severity: [critical, high]}}, receiver: soc}}{routes}]
http: {{listen: "127.0.0.1:{port}"}}
"""


class Receiver:
    """Takes deliveries and remembers them; ``drip`` makes it answer an octet each second, for ever."""

    def __init__(self, *, drip: bool = False) -> None:
        self.told: list[Told] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                event = body.get("data", body)
                told.append(Told(time.monotonic(), self.headers["webhook-id"], event["event"], event["cause"]))
                with contextlib.suppress(OSError):
                    self._drip() if drip else self._accept()

            def _accept(self) -> None:
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def _drip(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
                while True:
                    self.wfile.write(b"x")
                    time.sleep(1.0)

            def log_message(self, *words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class SilencingResolver(LabResolver):
    """A resolver that does not answer for the zones in ``silent``."""

    silent: tuple[str, ...] = ()

    def reply_to(self, wire: bytes, *, stream: bool) -> bytes | None:
        try:
            name = dns.message.from_wire(wire).question[0].name.to_text().lower()
        except (dns.exception.DNSException, IndexError):
            return None
        return None if name.endswith(self.silent or ("\0",)) else super().reply_to(wire, stream=stream)


class Watch:
    """A watch under test: its world, its process, its receiver, and what was staged."""

    def __init__(self, folder: Path, *, data: Path | None = None, more: str = "", routes: str = "") -> None:
        self.folder, self.staged = folder, list[Staged]()
        folder.mkdir(parents=True, exist_ok=True)
        self.lab, self.receiver = Lab(folder, SilencingResolver), Receiver()
        self.prefix: list[str] = []
        self.environ: dict[str, str] = {}
        (folder / "webhook.key").write_text("whsec_" + "c2VjcmV0" * 4 + "\n")
        rows = [f"sa-{z[:4]},device,ops,prod,critical,{h}.{z[:-1]}" for z in PARTNERS for h in PARTNERS[z][2]]
        numbered = [row.replace(",", f"-{n},", 1) for n, row in enumerate(rows)]
        heads = "id,kind,owner,environment,criticality,endpoints"
        (folder / "inventory.csv").write_text("\n".join([heads, *numbered]) + "\n")
        self.port = free_port()
        self.config = folder / "anchorwatch.yaml"
        self.config.write_text(
            CONFIG.format(
                folder=folder,
                data=data or folder / "data",
                resolver=self.lab.url,
                anchors=self.lab.anchors,
                hook=self.receiver.url,
                port=self.port,
                more=more,
                routes=routes,
            )
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [*self.prefix, *COMMAND, "run", str(self.config)]
            environ = {**environment(), **self.environ}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def status(self, path: str = "/-/ready") -> int:
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{self.port}{path}", retries=False, timeout=5.0)
        except urllib3.exceptions.HTTPError:
            return 0
        return answer.status

    def secure(self) -> bool:
        """Return whether every endpoint is known to be secure."""
        url = f"http://127.0.0.1:{self.port}/api/v1/endpoints"
        try:
            views = urllib3.request("GET", url, retries=False, timeout=5.0).json()
        except (urllib3.exceptions.HTTPError, ValueError):
            return False
        return len(views) >= 20 and all(view["verdict"] == "secure" for view in views)

    def until(self, holds: Callable[[], Any]) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if holds():
                return True
            time.sleep(0.1)
        return False

    def has_told(self, event: str, zone: str, since: float) -> bool:
        return any(t.event == event and t.cause == zone and t.at >= since for t in self.receiver.told)

    def incident(
        self, zone: str, during: Callable[[], None], after: Callable[[], None] | None = None, *, forged: str = ""
    ) -> None:
        """Stage a fault, signatures that ended or a ``forged`` host; do something meanwhile, and once it is mended."""
        fault = Staged(zone, time.monotonic())
        self.staged.append(fault)
        if forged:
            self.lab.stage(lambda world: world.stage_forged(zone, forged, "203.0.113.9"))
        else:
            self.lab.stage(lambda world: world.stage_expired(zone))
        during()
        self.until(lambda: self.has_told("trigger", zone, fault.begun_at))
        time.sleep(SETTLE_S)
        self.lab.stage(lambda world: world.restore(zone))
        fault.ended_at = time.monotonic()
        (after or during)()
        self.until(lambda: self.has_told("resolve", zone, fault.ended_at))
        time.sleep(SETTLE_S)
        fault.watched_until = time.monotonic()

    def close(self) -> Tally:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.lab.close()
        self.receiver.close()
        return judge(self.staged, self.receiver.told)


@contextlib.contextmanager
def watching(folder: Path, **more: Any) -> Iterator[tuple[Watch, list[Tally]]]:
    watch, came_to = Watch(folder, **more), list[Tally]()
    try:
        yield watch, came_to
    finally:
        came_to.append(watch.close())


def kills(folder: Path, count: int, chance: random.Random) -> Tally:
    """kill -9 at any moment, before, while and after a fault is told, and while it is mended."""
    with watching(folder) as (watch, came_to):
        watch.start()
        watch.until(watch.secure)

        def some() -> None:
            for _ in range(min(AT_ONCE, count - watch.kills)):
                time.sleep(chance.uniform(0.0, 6.0))
                watch.kill()
                watch.start()

        number = 0
        while watch.kills < count:
            watch.incident(ZONES[number % len(ZONES)], some)
            number += 1
    return came_to[0]


def full_disk(folder: Path, count: int, chance: random.Random) -> Tally | str:
    """The disk of history and ledger fills up before a fault, and has room again before or after its end."""
    disk = folder / "disk"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        return "needs root, to mount a tmpfs"
    filler = disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    try:
        with watching(folder, data=disk / "data") as (watch, came_to):
            watch.start()
            watch.until(watch.secure)
            fill()
            watch.incident(ZONES[0], lambda: None, lambda: filler.unlink())
            fill()
            watch.incident(ZONES[1], lambda: None, lambda: None)
            filler.unlink()
            watch.until(lambda: watch.status() == 200)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
    return came_to[0]


def descriptors(folder: Path, count: int, chance: random.Random) -> Tally:
    """1,300 idle connections to a process that may open 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    idle: list[socket.socket] = []
    with watching(folder) as (watch, came_to):
        watch.prefix = ["bash", "-c", 'ulimit -n 1024; exec "$@"', "bash"]
        watch.start()
        watch.until(watch.secure)

        def crowd() -> None:
            for _ in range(1300):
                with contextlib.suppress(OSError):
                    idle.append(socket.create_connection(("127.0.0.1", watch.port), timeout=5))
            time.sleep(10.0)

        watch.incident(ZONES[0], crowd)
        for connection in idle:
            connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return came_to[0]


def clock_jumps(folder: Path, count: int, chance: random.Random) -> Tally | str:
    """The wall clock is set back half an hour, forward, and right again, while faults come and go."""
    if not FAKETIME.exists():
        return "needs libfaketime: apt-get install faketime"
    with watching(folder) as (watch, came_to):
        stamp = folder / "faketime"
        stamp.write_text("+0s\n")
        watch.environ = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(stamp),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        watch.start()
        watch.until(watch.secure)

        def set_clock(offset: str) -> Callable[[], None]:
            def change() -> None:
                stamp.write_text(offset + "\n")
                time.sleep(3.0)

            return change

        def once_told() -> None:
            # Before that nobody can tell: by a clock that is half an hour slow, the signatures have not ended.
            watch.until(lambda: watch.has_told("trigger", ZONES[0], watch.staged[-1].begun_at))
            set_clock("-1800s")()
            time.sleep(10.0)

        watch.incident(ZONES[0], once_told, set_clock("+0s"))
        watch.incident(ZONES[1], set_clock("+1800s"), set_clock("+0s"))
        watch.incident(ZONES[2], set_clock("-600s"), set_clock("+600s"), forged="inference")
    return came_to[0]


def dripping(folder: Path, count: int, chance: random.Random) -> Tally:
    """Another receiver answers an octet a second and never comes to an end."""
    slow = Receiver(drip=True)
    more = f'  - {{name: slow, type: webhook, url: "{slow.url}", secret_file: {folder}/webhook.key}}'
    routes = ", {match: {severity: [critical, high]}, receiver: slow}"
    with watching(folder, more=more, routes=routes) as (watch, came_to):
        watch.start()
        watch.until(watch.secure)
        watch.incident(ZONES[0], lambda: None)
        watch.incident(ZONES[1], lambda: None)
    slow.close()
    return came_to[0]


def silent_zone(folder: Path, count: int, chance: random.Random) -> Tally:
    """A zone falls silent while another one breaks and is mended."""
    with watching(folder) as (watch, came_to):
        watch.start()
        watch.until(watch.secure)
        resolver = watch.lab.resolver
        assert isinstance(resolver, SilencingResolver)
        resolver.silent = (SILENT,)
        time.sleep(10.0)
        watch.incident(ZONES[0], lambda: None)
        resolver.silent = ()
        watch.incident(ZONES[1], lambda: None)
    return came_to[0]


SCENARIOS: dict[str, Callable[[Path, int, random.Random], Tally | str]] = {
    "kills": kills,
    "full-disk": full_disk,
    "descriptors": descriptors,
    "clock-jumps": clock_jumps,
    "dripping-receiver": dripping,
    "silent-zone": silent_zone,
}


def row_of(name: str, text: str, tally: Tally | str) -> str:
    what = text if name != "kills" else f"{text}"
    if isinstance(tally, str):
        return f"| {name} | {what} | not run: {tally} | | | | |"
    counts = (tally.staged, tally.lost, tally.doubled, tally.false_resolved, tally.again)
    return f"| {name} | {what} | " + " | ".join(map(str, counts)) + " |"


def main() -> int:
    """Run the scenarios, print the table, and return 1 if anybody was misled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="only this scenario; repeatable")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--write", action="store_true", help="put the table into docs/chaos.md")
    chosen = parser.parse_args()
    lines, clean = [], True
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        for name in chosen.only or SCENARIOS:
            tally = SCENARIOS[name](Path(folder) / name, chosen.kills, random.Random(chosen.seed))
            text = str(SCENARIOS[name].__doc__).rstrip(".").replace("kill -9", f"{chosen.kills} × kill -9")
            lines.append(row_of(name, text, tally))
            print(lines[-1], flush=True)
            if isinstance(tally, Tally) and not tally.is_clean:
                clean = False
                kept = Path(tempfile.gettempdir()) / f"chaos-{name}.log"
                kept.write_bytes((Path(folder) / name / "log").read_bytes())
                print(f"the log is in {kept}", file=sys.stderr)
    if chosen.write:
        write_table(lines)
    return 0 if clean else 1


def write_table(lines: list[str]) -> None:
    path = ROOT / "docs/chaos.md"
    before, rest = path.read_text(encoding="utf-8").split("<!-- table -->\n")[:2]
    after = rest.split("<!-- /table -->")[1]
    known = {
        line.split(" | ")[0]: line for line in rest.split("<!-- /table -->")[0].splitlines() if line.startswith("| ")
    }
    known |= {line.split(" | ")[0]: line for line in lines}
    heads = "| what | | incidents | lost | doubled | false resolved | same id again |\n|---|---|---|---|---|---|---|\n"
    body = "\n".join(line for key, line in known.items() if key.removeprefix("| ") in SCENARIOS)
    path.write_text(f"{before}<!-- table -->\n{heads}{body}\n<!-- /table -->{after}", encoding="utf-8")


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())

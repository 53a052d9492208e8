"""How fast the pages are over a year of history: ``make bench-pages``, ``python -m bench.pages [--keep FOLDER]``.

The history is written into an embedded engine by ``bench.year`` (100,000 checks, a year, some 36 million observations);
the ledger has 600 open incidents. Each page is asked for over the whole HTTP side, in turn, each time by an app that
remembers nothing: what a first tab waits for. Goal: 95 of 100 below 200 ms.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alerts.decision.incidents import Entry, begin_incident, take_finding
from alerts.ledger.sqlite import SqliteLedger
from analyzer.config import HistoryConfig
from analyzer.history.clickhouse import ClickHouseHistory, open_history
from analyzer.history.reading.findings import Findings, Wanted
from anchorwatch.pipeline.progress import Progress
from anchorwatch.telemetry import Meter
from anchorwatch.web.api import Parts, make_app
from bench.year import Year, fill

GOAL_MS = 200.0
INCIDENTS = 600
PAGES = (
    "/",
    "/checks",
    "/checks?page=400",
    "/checks?q=host-7",
    "/checks?owner=team-7&sort=ends",
    "/endpoints/host-77.zone-7.example.",
    "/endpoints/host-77.zone-7.example.?at={at}",
    "/findings",
    "/findings?state=all&q=zone-77&page=3",
    "/findings/{finding}",
    "/incidents",
    "/incidents/{incident}",
    "/zones",
    "/zones/zone-7.example.",
    "/identities",
    "/identities?owner=team-7&verdict=insecure",
    "/identities/sa-77",
    "/owners",
    "/owners/team-7",
    "/resolvers",
    "/calendar",
    "/changes",
    "/inventory",
    "/notifications",
    "/search?q=host-77",
    "/?at={at}",
)


def make_ledger(parts: Parts) -> SqliteLedger:
    """Return a ledger with an incident for each of many findings of the history."""
    assert parts.history is not None
    ledger = SqliteLedger(Path(":memory:"))
    page = Findings(parts.history.read).page(Wanted(), "severity", 1, INCIDENTS)
    found = parts.history.findings_of([row.id for row in page.rows])
    made = []
    for one in found:
        incident = take_finding(begin_incident(one), Entry(finding=one, severity=one.severity, receivers=("soc",)))
        made.append(incident)
    ledger.commit(incidents=made)
    return ledger


async def ask(app: Any, path: str) -> tuple[int, int, float]:
    """Return status, octets and seconds of one request."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1:8053"), (b"accept", b"text/html")],
        "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8053),
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    began = time.perf_counter()
    await app(scope, receive, send)
    took = time.perf_counter() - began
    return sent[0]["status"], sum(len(part.get("body", b"")) for part in sent[1:]), took


def measure(parts: Parts, rounds: int) -> bool:
    """Print a line for each page; return whether all keep to the goal."""
    ledger = parts.ledger
    assert ledger is not None
    incident = ledger.incidents(1)[0]
    finding = next(iter(incident.entries))
    at = quote((datetime.now(UTC) - timedelta(days=30)).isoformat(timespec="seconds"))
    is_good = True
    print(f"{'page':45} {'p50 ms':>8} {'p95 ms':>8} {'kB':>6}")
    for page in PAGES:
        path = page.format(at=at, finding=finding, incident=incident.id)
        times = []
        for _ in range(rounds):
            status, octets, took = asyncio.run(ask(make_app(parts), path))
            assert status == 200, (path, status)
            times.append(took * 1000)
        times.sort()
        p50, p95 = times[len(times) // 2], times[min(len(times) - 1, round(0.95 * len(times)))]
        is_good = is_good and p95 < GOAL_MS
        print(f"{page[:45]:45} {p50:8.0f} {p95:8.0f} {octets / 1000:6.0f}", flush=True)
    return is_good


def main() -> int:
    """Build the history unless it is there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a folder for the history; one that is there is used again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anchorwatch-bench-") as temporary:
        folder = options.keep or Path(temporary)
        if not (folder / "chdb").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for what, seconds in fill(folder / "chdb", Year(checks=options.checks, days=options.days)):
                print(f"  {what}: {seconds:.0f} s", flush=True)
        history: ClickHouseHistory = open_history(HistoryConfig(url=f"chdb:{folder}", base=Path("/")))
        parts = Parts(meter=Meter(), progress=Progress(time.monotonic), history=history)
        parts = Parts(meter=parts.meter, progress=parts.progress, history=history, ledger=make_ledger(parts))
        try:
            is_good = measure(parts, options.rounds)
        finally:
            history.close()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

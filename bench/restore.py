"""How long the analyzer takes to take up a year of history: ``python -m bench.restore [--endpoints N] [--days 365]``.

Every endpoint was observed anew each day, and every zone told of renewed signatures twice a week. The rows are those
that the product stores, multiplied by the engine itself.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from analyzer.history import rows
from analyzer.history.connection import connect_embedded
from analyzer.history.migrations import migrate
from analyzer.history.overflow import OverflowHistory
from analyzer.stage import Analyzer
from schemas.messages import Endpoint, Identity, InventorySnapshot
from tests.support.making import judgement, observation, zones_of

HOSTS_A_ZONE = 20
GOAL_S = 10.0
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def fill(history: OverflowHistory, endpoints: int) -> None:
    """Store the first day of each endpoint and zone."""
    for start in range(0, endpoints, 1000):
        tables: dict[str, list[rows.Row]] = {"observations": [], "verdicts": [], "identities": [], "zones": []}
        for number in range(start, min(start + 1000, endpoints)):
            host = f"h{number}.z{number // HOSTS_A_ZONE}.example"
            made = observation(judgement(f"{host}.", zone=f"z{number // HOSTS_A_ZONE}.example."), BEGAN)
            tables["observations"].append(rows.observation_row(made))
            tables["verdicts"].append(rows.verdict_row(made))
            identity = Identity(id=f"sa-{number}", endpoints=(Endpoint(host=host, types=("A",)),))
            tables["identities"].append(
                rows.identity_row(InventorySnapshot(id=identity.id, seen_at=BEGAN, identity=identity))
            )
        for number in range(start // HOSTS_A_ZONE, min(start + 1000, endpoints) // HOSTS_A_ZONE):
            link = msgspec.structs.replace(zones_of(judgement(), BEGAN)[-1].link, zone=f"z{number}.example.")
            made_zone = msgspec.structs.replace(
                zones_of(judgement(), BEGAN)[-1], id=f"z{number}", zone=f"z{number}.example.", link=link
            )
            tables["zones"].append(rows.zone_row(made_zone))
        history.append({name: found for name, found in tables.items() if found})


def multiply(client: Any, days: int) -> None:
    """Store the days after the first."""
    first, last = "observed_at + toIntervalDay(n) AS observed_at", "last_seen_at + toIntervalDay(n) AS last_seen_at"
    seen = f"concat(observation, toString(n)) AS observation, first_seen_at + toIntervalDay(n) AS first_seen_at, {last}"
    each = f"SELECT number + 1 AS n FROM numbers({days - 1})"
    _again(client, "observations", f"concat(id, toString(n)) AS id, {first}, 'refresh' AS occasion", each)
    _again(client, "verdicts", seen, each)
    each = f"SELECT number * 3 + 3 AS n FROM numbers({days // 3})"
    _again(client, "zones", f"concat(id, toString(n)) AS id, {first}, 'change' AS occasion", each)


def _again(client: Any, table: str, replaced: str, each: str) -> None:
    rest = f"SELECT * EXCEPT (n) REPLACE ({replaced}) FROM {table} CROSS JOIN ({each}) AS later"
    client.command(f"INSERT INTO {table} {rest}")


def main() -> None:
    """Print how long the first batch takes after a start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=365)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        client, lock_file = connect_embedded(Path(folder) / "data")
        migrate(client)
        history = OverflowHistory(client, lock_file)
        fill(history, asked.endpoints)
        multiply(client, asked.days)
        analyzer = Analyzer(history, lambda: BEGAN.timestamp() + asked.days * 86_400)
        began, cpu = time.perf_counter(), time.process_time()
        asyncio.run(analyzer.handle([]))
        took, used = time.perf_counter() - began, time.process_time() - cpu
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        history.close()
    print(f"{asked.endpoints:,} endpoints, {asked.days} days: {took:.1f} s, {used:.1f} s of CPU, {megabytes:,.0f} MB")
    print("met" if took < GOAL_S else f"MISSED: the goal is {GOAL_S:g} s")


if __name__ == "__main__":
    main()

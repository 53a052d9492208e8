"""How many octets one of each takes, and where: ``python -m bench.sizing [--zones 100] [--hosts 20] [--minutes 20]``.

A real collector in virtual time watches a signed world in memory. Its messages go through the analyzer into an embedded
engine in a temporary folder: zones first, then observations, then polls, so that each has octets of its own.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect

from analyzer.history.clickhouse import ClickHouseHistory
from analyzer.history.migrations import migrate
from analyzer.stage import Analyzer
from anchorwatch.lab.server import LabResolver
from anchorwatch.lab.world import World
from bench.world import make_zones
from collector.config import CollectorConfig, InventorySource, VantagePoint
from collector.dnssec.anchors import parse_anchors
from collector.dnssec.policy import Policy
from collector.resolvers.address import Address
from collector.stage import Collector
from schemas.messages import InventorySnapshot, Message, Observation, PollBatch, ZoneObservation
from schemas.wire import encode
from schemas.zone import RENEWED_BY
from tests.support.virtual import Memory, run

TABLES = ("zones", "observations", "verdicts", "evidence", "evidence_messages")
BATCH = 500
START_S = 60
Sizes = dict[str, int]


@dataclass(frozen=True)
class Estate:
    """What is watched through one vantage; all of its zones sign at every answer."""

    endpoints: int = 10_000
    zones: int = 500
    validity: timedelta = timedelta(days=2)
    interval: timedelta = timedelta(seconds=60)
    refresh: timedelta = timedelta(days=1)

    @property
    def zones_a_day(self) -> float:
        """Return how many observations of zones are stored: an end that moved by a share of the lifetime is news."""
        return self.zones * timedelta(days=1) / (self.validity * RENEWED_BY)

    @property
    def observations_a_day(self) -> float:
        """Return how many observations of endpoints are stored where nothing changes: refreshes."""
        return self.endpoints * timedelta(days=1) / self.refresh

    @property
    def polls_a_day(self) -> float:
        """Return how many polls say that nothing changed."""
        return self.endpoints * timedelta(days=1) / self.interval


@dataclass(frozen=True)
class Measured:
    """How many there are of a kind, and their octets: as JSON on the bus, and on disk by table.

    ``fresh`` are the octets on disk before the engine merges them.
    """

    count: int
    bus: int
    fresh: int
    disk: Sizes

    @property
    def on_bus(self) -> float:
        """Return the octets of one on the bus."""
        return self.bus / self.count

    @property
    def on_disk(self) -> float:
        """Return the octets of one on disk."""
        return sum(self.disk.values()) / self.count


def watch(folder: Path, zones: int, hosts: int, minutes: int) -> list[Message]:
    """Return what a collector says of a world in its first minutes."""
    world = World()
    made = make_zones(zones, hosts)
    for zone in made:
        world.add(zone)
    anchors = parse_anchors("\n".join(f". IN DS {ds}" for ds in made[0].ds_records()), "bench")
    names = [f"h{host}.p{number}.measure" for host in range(hosts) for number in range(zones)]
    rows = [f"sa-{n},service_account,team,{' '.join(names[n : n + 100])},A" for n in range(0, len(names), 100)]
    (folder / "inventory.csv").write_text("id,kind,owner,endpoints,types\n" + "\n".join(rows) + "\n")
    began, said = time.time(), list[Message]()

    async def collect() -> None:
        passed_s = asyncio.get_running_loop().time

        def clock() -> float:
            return began + passed_s()

        resolver = LabResolver(world, anchors, clock)
        config = CollectorConfig(
            sources=(InventorySource(path=folder / "inventory.csv", format="csv"),),
            vantages=(VantagePoint(name="bench", address=Address("udp", "127.0.0.1", 53)),),
            anchors=anchors,
            policy=Policy(),
        )
        collector = Collector(config, clock, ticks=passed_s, open_transport=lambda address: Memory(resolver.reply_to))

        async def read() -> None:
            async for batch in collector.observe():
                said.extend(batch)

        reader = asyncio.create_task(read())
        await asyncio.sleep(START_S + minutes * 60)
        collector.stop()
        await reader

    run(collect())
    return said


class Engine:
    """An embedded engine that an analyzer writes to."""

    def __init__(self, folder: Path) -> None:
        self._client: Any = clickhouse_connect.get_client(interface="chdb", path=str(folder / "engine"))
        migrate(self._client)
        self._analyzer = Analyzer(ClickHouseHistory(self._client), time.time)

    def take(self, messages: Sequence[Message]) -> None:
        """Hand messages to the analyzer in batches."""

        async def handle() -> None:
            for start in range(0, len(messages), BATCH):
                await self._analyzer.handle(messages[start : start + BATCH])

        asyncio.run(handle())

    def merge(self) -> None:
        """Merge all parts of every table."""
        for table in TABLES:
            self._client.command(f"SYSTEM START MERGES {table}")
            self._client.command(f"OPTIMIZE TABLE {table} FINAL")
            self._client.command(f"SYSTEM STOP MERGES {table}")

    def sizes(self) -> Sizes:
        """Return the octets on disk of each table."""
        sql = """
            SELECT table, sum(bytes_on_disk) FROM system.parts
            WHERE database = currentDatabase() AND active GROUP BY table
        """
        return {str(table): int(size) for table, size in self._client.query(sql).result_rows}


def measure(engine: Engine, messages: Sequence[Message], count: Callable[[Any], int]) -> Measured:
    """Return what messages of one kind take; ``count`` says how many things one of them speaks of."""
    engine.merge()
    before = engine.sizes()
    engine.take(messages)
    fresh = sum(engine.sizes().values()) - sum(before.values())
    engine.merge()
    after = engine.sizes()
    grown = {table: after.get(table, 0) - before.get(table, 0) for table in TABLES}
    bus = sum(len(encode(message)) for message in messages)
    kept = {table: size for table, size in grown.items() if size}
    return Measured(sum(count(message) for message in messages), bus, fresh, kept)


def main() -> None:
    """Print the tables of docs/sizing.md."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zones", type=int, default=100)
    parser.add_argument("--hosts", type=int, default=20, help="in each zone")
    parser.add_argument("--minutes", type=int, default=20, help="of polls that change nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anchorwatch-sizing-") as name:
        said = watch(Path(name), options.zones, options.hosts, options.minutes)
        engine = Engine(Path(name))
        engine.take([message for message in said if isinstance(message, InventorySnapshot)])
        measured = [
            measure(engine, [message for message in said if isinstance(message, kind)], count) for kind, count in KINDS
        ]
    print_measured(measured)
    print_estate(Estate(), measured)


KINDS: tuple[tuple[type[Message], Callable[[Any], int]], ...] = (
    (ZoneObservation, lambda message: 1),
    (Observation, lambda message: 1),
    (PollBatch, lambda message: len(message.names)),
)
NAMES = ("observation of a zone", "observation of an endpoint", "poll that changed nothing")


def print_measured(measured: Sequence[Measured]) -> None:
    """Print what one of each kind takes."""
    print(
        "| one | measured | on the bus, JSON | on disk before a merge | on disk | of which |\n|---|---|---|---|---|---|"
    )
    for name, one in zip(NAMES, measured, strict=True):
        parts = ", ".join(f"`{table}` {size / one.count:,.0f}" for table, size in one.disk.items())
        sizes = f"{one.on_bus:,.0f} | {one.fresh / one.count:,.0f} | {one.on_disk:,.1f}"
        print(f"| {name} | {one.count:,} | {sizes} | {parts} |")


def print_estate(estate: Estate, measured: Sequence[Measured]) -> None:
    """Print what an estate comes to a day.

    Polls stretch the interval of their observation, so on disk they count with the observations, not by their number.
    """
    zone, observation, poll = measured
    stretched = sum(poll.disk.values()) / observation.count
    counts = (estate.zones_a_day, estate.observations_a_day, estate.polls_a_day)
    disk = (zone.on_disk * counts[0], observation.on_disk * counts[1], stretched * counts[1])
    print("\n| a day | how many | on the bus, MB | on disk, MB |\n|---|---|---|---|")
    for name, count, one, stored in zip(NAMES, counts, measured, disk, strict=True):
        print(f"| {name} | {count:,.0f} | {count * one.on_bus / 1e6:,.1f} | {stored / 1e6:,.2f} |")
    bus = sum(count * one.on_bus for count, one in zip(counts, measured, strict=True))
    print(f"| together |  | {bus / 1e6:,.1f} | {sum(disk) / 1e6:,.2f} |")


if __name__ == "__main__":
    main()

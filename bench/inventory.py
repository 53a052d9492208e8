"""What a large inventory costs the loop that polls: ``python -m bench.inventory``; ``--quick`` takes a tenth of it.

A thread compares the rows with what is known; meanwhile the loop must not stand still for long.
"""

import argparse
import asyncio
import gc
import sys
import time

from publicsuffixlist import PublicSuffixList

from collector.polling.roster import Roster, RosterChange, compare
from schemas.messages import Endpoint, Identity

TICK_S = 0.005
MOST_STALLED_S = 1.0
MOST_COLLECTED_S = 0.5


def main() -> int:
    """Measure, print a table, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rows = 100_000 if parser.parse_args().quick else 1_000_000
    took_s, stalled_s, collected_s = asyncio.run(_measure(rows))
    print(f"an inventory of {rows:,} rows: processor time          {took_s:6.1f} s")
    print(f"an inventory of {rows:,} rows: longest stall of a loop {stalled_s:6.2f} s   < {MOST_STALLED_S:g} s")
    print(f"with {rows:,} rows: a full garbage collection          {collected_s:6.2f} s   < {MOST_COLLECTED_S:g} s")
    return int(stalled_s >= MOST_STALLED_S or collected_s >= MOST_COLLECTED_S)


async def _measure(rows: int) -> tuple[float, float, float]:
    """Return the processor time, the longest stall meanwhile, and how long a collection takes with all rows there."""
    stalls: list[float] = []
    watching = asyncio.create_task(_watch_stalls(stalls))
    began = time.process_time()
    kept = await asyncio.to_thread(_compare, rows)
    took_s = time.process_time() - began
    watching.cancel()
    gc.collect()
    began = time.perf_counter()
    gc.collect()
    collected_s = time.perf_counter() - began
    assert len(kept[1].added) == 2 * rows
    return took_s, max(stalls), collected_s


async def _watch_stalls(stalls: list[float]) -> None:
    while True:
        asleep_at = time.perf_counter()
        await asyncio.sleep(TICK_S)
        stalls.append(time.perf_counter() - asleep_at - TICK_S)


def _compare(rows: int) -> tuple[Roster, RosterChange]:
    """Return the roster and what is to be polled, of identities with one host each."""
    identities = [
        Identity(id=f"sa-{n}", owner=f"team-{n % 1000}", endpoints=(Endpoint(host=f"h{n}.z{n % 5000}.example"),))
        for n in range(rows)
    ]
    return compare(Roster(), identities, ("corp",), lambda name: True, PublicSuffixList())


if __name__ == "__main__":
    sys.exit(main())

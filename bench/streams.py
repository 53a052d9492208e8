"""What a query costs by transport: ``python -m bench.streams``, with ``--quick`` a tenth of the queries.

One Unbound on loopback answers from its memory over UDP, TCP, TLS and HTTPS, in one run. Each line is queries a second
and our processor time a query: of the transport alone (a query's octets to the reply's), and with the resolver above it
(ids, deadlines, matching, parsing).
"""

import argparse
import asyncio
import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from collector.dnssec import names, records
from collector.dnssec.message import Response
from collector.resolvers.address import Address
from collector.resolvers.identity import Identity
from collector.resolvers.matching import write_query
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import Sockets
from schemas.egress import DIRECT
from tests.support.certificates import Authority
from tests.support.encrypted import NEEDED, Encrypted, is_installed

QUERIES = 30_000
SIDE_BY_SIDE = 128
NAMES = 500
PATIENCE_S = 10.0
FILLING_BYTES = 250
"""Beside the address: as much as a signature takes."""


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    queries = QUERIES // (10 if parser.parse_args().quick else 1)
    print(f"{queries:,} queries by transport, {SIDE_BY_SIDE} side by side")
    with _served() as addresses:
        for address in addresses:
            alone = asyncio.run(_run(_carry(address), queries))
            whole = asyncio.run(_run(_resolve(address), queries))
            print(
                f"{address.scheme:6} transport alone {alone[0]:>8,.0f}/s {alone[1]:>6.0f} µs CPU   "
                f"with the resolver {whole[0]:>8,.0f}/s {whole[1]:>6.0f} µs CPU",
                flush=True,
            )
    return 0


Ask = Callable[[int], Awaitable[None]]


def _carry(address: Address) -> Ask:
    """Return what carries the n-th query, octets to octets."""
    transport = Sockets(address, DIRECT, patience_s=PATIENCE_S)

    async def ask(number: int) -> None:
        name = names.from_text(f"h{number % NAMES}.served.")
        wire = write_query(name, records.TXT, secrets.randbits, checking_disabled=True).wire
        if address.scheme != "udp":
            reply = await transport.stream(wire)
        else:
            async with contextlib.aclosing(transport.datagrams(wire)) as replies:
                reply = await anext(replies)
        assert reply[:2] == wire[:2]
        assert len(reply) > FILLING_BYTES

    return ask


def _resolve(address: Address) -> Ask:
    """Return what asks the n-th question of the resolver."""
    resolver = Resolver(address, timeout_s=PATIENCE_S, max_in_flight=SIDE_BY_SIDE)

    async def ask(number: int) -> None:
        reply = await resolver.ask(names.from_text(f"h{number % NAMES}.served."), records.TXT)
        assert isinstance(reply, Response), reply

    return ask


async def _run(ask: Ask, queries: int) -> tuple[float, float]:
    """Return queries a second, and microseconds of our processor time a query."""
    numbers = iter(range(queries))

    async def worker() -> None:
        for number in numbers:
            await ask(number)

    await asyncio.gather(*(ask(number) for number in range(SIDE_BY_SIDE)))  # connections are open after that
    started, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(SIDE_BY_SIDE)))
    spent, took = time.process_time() - spent, time.perf_counter() - started
    return queries / took, spent / queries * 1e6


@contextlib.contextmanager
def _served() -> Iterator[list[Address]]:
    """Run Unbound; yield where it answers: UDP, TCP, TLS, HTTPS."""
    if not is_installed():
        sys.exit(f"bench {NEEDED}")
    with tempfile.TemporaryDirectory(prefix="anchorwatch-") as path:
        folder = Path(path)
        authority = Authority(folder, "bench")
        server = Encrypted(folder, authority.certify("127.0.0.1"), names=NAMES, filling="x" * FILLING_BYTES)
        server.start()
        try:
            identity = Identity(ca_path=authority.path)
            yield [
                *(server.address(scheme) for scheme in ("udp", "tcp")),
                *(server.address(scheme, identity) for scheme in ("tls", "https")),
            ]
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())

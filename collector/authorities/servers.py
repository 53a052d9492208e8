"""Bring questions to the authoritative servers that they name: sockets, and the pace at which one address is asked."""

import asyncio
from collections.abc import Callable

from collector.authorities.addresses import read_address
from collector.authorities.pacing import Pace
from collector.config import Authorities
from collector.dnssec.questions import Reply
from collector.resolvers.address import Address
from collector.resolvers.dialogue import Question
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import Transport

MOST_KNOWN = 10_000


class Servers:
    """All authoritative servers; used by one event loop.

    ``open_transport`` makes what carries queries to one of them, by default sockets.
    """

    def __init__(
        self,
        config: Authorities,
        *,
        timeout_s: float,
        open_transport: Callable[[Address], Transport] | None = None,
    ) -> None:
        self._timeout_s, self._open_transport = timeout_s, open_transport
        self._pace = Pace(config.rate, config.total_rate)
        self._known: dict[str, Resolver] = {}
        self._mismatches: dict[str, int] = {}

    async def ask(self, question: Question) -> Reply:
        """Ask the server that a question names, as soon as its pace allows."""
        wait_s = self._pace.take(question.server, asyncio.get_running_loop().time())
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return await self._server(question.server).ask(
            question.name,
            question.rdtype,
            stream=question.stream,
            edns=question.edns,
            attempts=question.attempts,
        )

    def mismatches(self, kind: str) -> int:
        """Return how many replies of that kind were passed over: they answered no question of ours."""
        return self._mismatches.get(kind, 0) + sum(one.tally.by_kind.get(kind, 0) for one in self._known.values())

    def _server(self, address: str) -> Resolver:
        """Return what asks one server; those asked longest ago are forgotten, with what was learnt of their habits."""
        known = self._known.pop(address, None)
        if known is None:
            where = Address("udp", *read_address(address))
            transport = self._open_transport(where) if self._open_transport is not None else None
            known = Resolver(where, timeout_s=self._timeout_s, transport=transport, recursive=False)
        self._known[address] = known
        if len(self._known) > MOST_KNOWN:
            oldest = self._known.pop(next(iter(self._known)))
            for kind, count in oldest.tally.by_kind.items():
                self._mismatches[kind] = self._mismatches.get(kind, 0) + count
        return known

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
from collector.resolvers.suspicion import Tally
from collector.resolvers.transport import Transport

MOST_KNOWN = 10_000


class Servers:
    """All authoritative servers; used by one event loop.

    ``open_transport`` makes what carries queries to one of them, by default sockets. ``tally`` counts the replies that
    were passed over, of all servers together: who guesses ids need not choose one.
    """

    def __init__(
        self,
        config: Authorities,
        *,
        timeout_s: float,
        open_transport: Callable[[Address], Transport] | None = None,
    ) -> None:
        self._timeout_s, self._open_transport = timeout_s, open_transport
        self.tally = Tally()
        self._pace = Pace(config.rate, config.total_rate)
        self._known: dict[str, Resolver] = {}

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

    def _server(self, address: str) -> Resolver:
        """Return what asks one server; those asked longest ago are forgotten, with what was learnt of their habits."""
        known = self._known.pop(address, None)
        if known is None:
            where = Address("udp", *read_address(address))
            transport = self._open_transport(where) if self._open_transport is not None else None
            known = Resolver(where, timeout_s=self._timeout_s, transport=transport, recursive=False, tally=self.tally)
        self._known[address] = known
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return known

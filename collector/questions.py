"""What the validator asks and what it is told: validation is a generator that yields ``Ask`` and is sent a reply.

So the same pure code is fed by the network, by a replay of evidence, and by a test.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from collector.message import Response
from collector.names import Name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the vantage, with DO=1 and CD=1."""

    name: Name
    rdtype: int


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """No usable answer came: a timeout, an error rcode, octets that are no DNS message.

    ``kind`` is timeout, unreachable, rcode or malformed. ``rcode`` is that of the response, None without one.
    """

    kind: str
    detail: str
    rcode: int | None = None
    ede: tuple[tuple[int, str], ...] = ()


Reply = Response | FetchFailure
Questions = Generator[Ask, Reply, T]

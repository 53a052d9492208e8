"""Questions of the validator and replies: validation is a generator that yields ``Ask`` and is sent a reply.

So the same pure code is fed by the network, by a replay of evidence, and by a test.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from collector.dnssec.message import Response, rcode_text
from collector.dnssec.names import Name

T = TypeVar("T")


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A question to the vantage, with DO=1 and CD=1."""

    name: Name
    rdtype: int


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """No usable answer came: a timeout, an error rcode, octets that are no DNS message.

    ``kind`` is timeout, unreachable, rcode, mismatch (replies came, and none to our question), malformed, lame (no
    authoritative server of the zone gives an answer) or budget (never asked: one poll asks no more). ``rcode`` is that
    of the response, None without one. ``zone`` is the zone that the name asked for is known to lie in; with ``walk`` it
    is still to be found, through a vantage that answers. ``servers_of`` is the zone whose authoritative servers failed,
    None where a resolver was asked.
    """

    kind: str
    detail: str
    rcode: int | None = None
    ede: tuple[tuple[int, str], ...] = ()
    zone: Name | None = None
    walk: bool = False
    servers_of: Name | None = None

    @property
    def is_silence(self) -> bool:
        """Return whether the vantage said nothing at all."""
        return self.kind in ("timeout", "unreachable")


def failure_of(response: Response) -> FetchFailure:
    """Return the failure that an error response stands for."""
    texts = "; ".join(text or f"EDE {code}" for code, text in response.ede)
    detail = f"the resolver answers {rcode_text(response.rcode)}" + (f" ({texts})" if texts else "")
    return FetchFailure("rcode", detail, response.rcode, response.ede)


Reply = Response | FetchFailure
Questions = Generator[Ask, Reply, T]


def drive(questions: Questions[T], reply_to: Callable[[Ask], Reply]) -> T:
    """Answer every question by ``reply_to`` and return the result; nothing is awaited."""
    try:
        asked = next(questions)
        while True:
            asked = questions.send(reply_to(asked))
    except StopIteration as stop:
        result: T = stop.value
        return result

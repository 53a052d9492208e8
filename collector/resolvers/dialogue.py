"""What a poll asks and how it goes on: generators that yield steps, and what runs many of them side by side. Pure.

A step is a question to a vantage, several to be asked side by side, a pause, or the wait for what others may be
waiting for, too. That wait is here and not in a driver: whether two polls ask the same is a property of what they ask,
so it holds for each driver, the one in a test and the one in a replay included.
"""

import heapq
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import msgspec

from collector.dnssec.names import Name
from collector.dnssec.questions import Reply

T = TypeVar("T")


class Question(msgspec.Struct, frozen=True, gc=False):
    """A question to a vantage: by default as a validator asks, with DO=1 and CD=1.

    ``stream``: over TCP. ``attempts`` limits the tries, None leaves them to the resolver. ``server`` is the address of
    an authoritative server that is to be asked itself, without recursion; empty: the vantage's resolver. ``octets`` are
    name, type and class in wire format, where they are at hand.
    """

    vantage: str
    name: Name
    rdtype: int
    checking_disabled: bool = True
    edns: bool = True
    stream: bool = False
    attempts: int | None = None
    server: str = ""
    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Together:
    """Questions to ask side by side; what is sent back are their replies, in this order."""

    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Shared:
    """What ``steps`` comes to; whoever waits for the same ``key`` meanwhile gets the same result."""

    key: Hashable
    steps: Callable[[], "Steps[Any]"]


Step = Question | Together | Pause | Shared
Steps = Generator[Step, Any, T]
Walk = Callable[[Question], Steps[Reply]]
"""How a vantage without a resolver comes to a reply: by questions to authoritative servers."""


@dataclass(slots=True)
class Instant:
    """When the last reply came: ``now`` in seconds that only run on, ``at`` in POSIX seconds."""

    now: float = 0.0
    at: float = 0.0


class Posed(NamedTuple):
    """A question to be asked now; its reply goes back with the ticket."""

    ticket: int
    question: Question


class Resolver(Protocol):
    """Whoever answers questions, whatever their vantage: sockets, or a function of a test."""

    async def ask(
        self,
        name: Name,
        rdtype: int,
        *,
        checking_disabled: bool = True,
        stream: bool = False,
        edns: bool = True,
        attempts: int | None = None,
    ) -> Reply:
        """Return the response, whatever its rcode, or why there is none."""
        ...


class Servers(Protocol):
    """Whoever brings a question to the authoritative server that it names."""

    async def ask(self, question: Question) -> Reply:
        """Return the response, whatever its rcode, or why there is none."""
        ...


async def ask_of(resolver: Resolver, question: Question) -> Reply:
    """Return what a resolver replies to a question."""
    return await resolver.ask(
        question.name,
        question.rdtype,
        checking_disabled=question.checking_disabled,
        stream=question.stream,
        edns=question.edns,
        attempts=question.attempts,
    )


def pose(question: Question) -> Steps[Reply]:
    """Ask one question."""
    reply: Reply = yield question
    return reply


def pose_together(questions: Iterable[Question]) -> Steps[list[Reply]]:
    """Ask questions side by side; return the replies in their order."""
    replies: list[Reply] = yield Together(tuple(questions))
    return replies


def share(key: Hashable, steps: Callable[[], Steps[T]]) -> Steps[T]:
    """Wait for what ``steps`` comes to, together with all who wait for the same ``key``."""
    result: T = yield Shared(key, steps)
    return result


@dataclass(slots=True, eq=False)
class _Talk:
    """One generator under way: whom its result goes to, and which replies it waits for.

    ``ticket``: its result is the reply to that question.
    """

    steps: Steps[Any]
    done: Callable[[Any], None] | None = None
    ticket: int | None = None
    key: Hashable | None = None
    waiters: "list[_Talk]" = field(default_factory=list)
    replies: list[Reply | None] | None = None
    missing: int = 0


class Dialogues:
    """All generators under way. ``asked`` counts the questions that left.

    ``walks`` are the vantages, by name, whose questions are walked to a server instead of being put to a resolver. A
    generator that raises ends everything: ``close`` what is left, and begin anew.
    """

    def __init__(self, instant: Instant, walks: Mapping[str, Walk] | None = None) -> None:
        self._instant = instant
        self._walks = dict(walks or {})
        self._open: dict[_Talk, None] = {}
        self._shared: dict[Hashable, _Talk] = {}
        self._awaited: dict[int, tuple[_Talk, int]] = {}
        self._pauses: list[tuple[float, int, _Talk]] = []
        self._posed: list[Posed] = []
        self.asked = 0
        self._counter = 0

    def start(self, steps: Steps[T], done: Callable[[T], None] | None = None) -> None:
        """Run a generator until it waits for something; ``done`` gets its result."""
        talk = _Talk(steps, done)
        self._open[talk] = None
        self._advance(talk, None)

    def put(self, question: Question) -> int:
        """Put a question to a resolver to be asked, for which no generator waits; return its ticket."""
        self._counter += 1
        self.asked += 1
        self._posed.append(Posed(self._counter, question))
        return self._counter

    def take(self, ticket: int, reply: Reply) -> None:
        """Go on with the reply to a question; one that nobody waits for any more is left aside."""
        for talk, value in self._receive(ticket, reply):
            self._advance(talk, value)

    def wake(self) -> None:
        """Go on with those whose pause is over."""
        while self._pauses and self._pauses[0][0] <= self._instant.now:
            self._advance(heapq.heappop(self._pauses)[2], None)

    def next_wake_at(self) -> float:
        """Return when the next pause is over, infinite without one."""
        return self._pauses[0][0] if self._pauses else float("inf")

    def take_posed(self) -> list[Posed]:
        """Return what is to be asked since the last call."""
        posed, self._posed = self._posed, []
        return posed

    def close(self) -> None:
        """Give up all that is under way."""
        talks = list(self._open)
        self._open, self._shared, self._awaited = {}, {}, {}
        self._pauses, self._posed = [], []
        for talk in talks:
            talk.steps.close()

    def _receive(self, ticket: int, reply: Reply) -> list[tuple[_Talk, object]]:
        """Put a reply where it belongs; return who goes on with it, if all that was awaited is there."""
        awaited = self._awaited.pop(ticket, None)
        if awaited is None:
            return []
        talk, position = awaited
        if talk.replies is None:
            return [(talk, reply)]
        talk.replies[position] = reply
        talk.missing -= 1
        if talk.missing:
            return []
        replies, talk.replies = talk.replies, None
        return [(talk, replies)]

    def _advance(self, talk: _Talk, value: object) -> None:
        """Send a value, and whatever comes of it, until everybody waits for a reply or a pause."""
        ready = [(talk, value)]
        while ready:
            talk, value = ready.pop()
            try:
                step = talk.steps.send(value)
            except StopIteration as stop:
                ready += self._end(talk, stop.value)
                continue
            match step:
                case Question():
                    ready += self._pose(talk, step, 0)
                case Together(questions):
                    if not questions:
                        ready.append((talk, []))
                        continue
                    talk.replies, talk.missing = [None] * len(questions), len(questions)
                    for position, question in enumerate(questions):
                        ready += self._pose(talk, question, position)
                case Pause(seconds):
                    self._counter += 1
                    heapq.heappush(self._pauses, (self._instant.now + seconds, self._counter, talk))
                case Shared(key, steps):
                    known = self._shared.get(key)
                    if known is None:
                        known = self._shared[key] = _Talk(steps(), key=key)
                        self._open[known] = None
                        ready.append((known, None))
                    known.waiters.append(talk)

    def _end(self, talk: _Talk, result: object) -> list[tuple[_Talk, object]]:
        """Hand a result on; return who goes on with it."""
        del self._open[talk]
        if talk.key is not None:
            del self._shared[talk.key]
        if talk.done is not None:
            talk.done(result)
        if talk.ticket is not None:
            return self._receive(talk.ticket, cast(Reply, result))
        return [(waiter, result) for waiter in reversed(talk.waiters)]

    def _pose(self, talk: _Talk, question: Question, position: int) -> list[tuple[_Talk, object]]:
        """Put a question to be asked, or begin its walk, which is returned."""
        self._counter += 1
        self._awaited[self._counter] = talk, position
        walk = None if question.server else self._walks.get(question.vantage)
        if walk is None:
            self.asked += 1
            self._posed.append(Posed(self._counter, question))
            return []
        walking = _Talk(walk(question), ticket=self._counter)
        self._open[walking] = None
        return [(walking, None)]

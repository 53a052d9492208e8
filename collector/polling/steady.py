"""Quick polls: of an endpoint whose last answer was validated and still stands, one question is asked. Pure.

Mostly the reply says the same, which is seen without parsing it, and then the poll is over. Any other reply goes the
long way. What the resolver tells its clients is asked in the same manner, by turns, at a slower pace of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from collector.dnssec.skim import take_claim_mark
from collector.polling.memory import Memory
from collector.resolvers.dialogue import Question

LEAST_AT_ONCE = 64
FIRST_AT_ONCE = 256
MOST_AT_ONCE = 4096
LOOK_EVERY_S = 0.5
TOO_MANY_LOST = 0.1
PATIENCE_S = 0.25


class Window:
    """How many quick polls one resolver may have before it at once: more while it keeps up, fewer while it does not.

    Now and then one poll is timed. Where it takes twice the time of the fastest and some more, they wait in a queue, of
    the resolver or of our own; a tenth of them unanswered are too many, too. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self.limit = FIRST_AT_ONCE
        self.under_way = 0
        self._answered = self._lost = 0
        self._was_full = False
        self._looked_at = float("-inf")
        self._timed: tuple[int, float] | None = None
        self._fastest_s = float("inf")
        self._slowest_s = 0.0

    def has_room(self) -> bool:
        """Return whether one more may be asked."""
        if self.under_way < self.limit:
            return True
        self._was_full = True
        return False

    def begin(self, ticket: int, now: float) -> None:
        """Note that a poll is asked."""
        self.under_way += 1
        if self._timed is None:
            self._timed = ticket, now

    def over(self, ticket: int, now: float, *, answered: bool) -> None:
        """Note that a poll is over."""
        self.under_way -= 1
        if self._timed is not None and self._timed[0] == ticket:
            took_s = now - self._timed[1]
            self._timed = None
            if answered:
                self._fastest_s = min(self._fastest_s, took_s)
                self._slowest_s = max(self._slowest_s, took_s)
        if answered:
            self._answered += 1
        else:
            self._lost += 1
        if now - self._looked_at >= LOOK_EVERY_S:
            self._look(now)

    def give_up(self) -> None:
        """Note that no reply will come to any."""
        self.under_way, self._timed = 0, None

    def _look(self, now: float) -> None:
        has_lost = self._lost > TOO_MANY_LOST * (self._answered + self._lost)
        if has_lost or self._slowest_s > 2 * self._fastest_s + PATIENCE_S:
            self.limit = max(self.limit // 2, LEAST_AT_ONCE)
        elif self._was_full:
            self.limit = min(self.limit * 3 // 2, MOST_AT_ONCE)
        self._answered = self._lost = 0
        self._was_full = False
        self._slowest_s = 0.0
        self._looked_at = now


@dataclass(frozen=True, slots=True)
class Claim:
    """A question as a client asks it: with EDNS and DO=1, or without."""

    memory: Memory
    edns: bool

    @property
    def mark(self) -> bytes:
        """Return what stands for the response that said the claim which is known."""
        return self.memory.claim_mark if self.edns else self.memory.plain_mark

    def learn(self, wire: bytes) -> None:
        """Note that a response says the claim which is known."""
        mark = take_claim_mark(wire)
        if self.edns:
            self.memory.claim_mark = mark
        else:
            self.memory.plain_mark = mark


class SteadyPolls:
    """The quick polls under way, by ticket. ``put`` has a question asked and returns its ticket."""

    def __init__(self, put: Callable[[Question], int], claim_every: int) -> None:
        self._put, self._claim_every = put, claim_every
        self._polls: dict[int, Memory] = {}
        self._claims: dict[int, Claim] = {}
        self._windows: dict[str, Window] = {}

    def __len__(self) -> int:
        return len(self._polls)

    def window(self, vantage: str) -> Window:
        """Return the window of a vantage."""
        window = self._windows.get(vantage)
        if window is None:
            window = self._windows[vantage] = Window()
        return window

    def begin(self, memory: Memory, now: float) -> None:
        """Ask for an endpoint, and in its turn what clients are told."""
        target = memory.target
        memory.is_under_way = True
        question = Question(target.vantage, target.name, target.rdtype, attempts=1, octets=memory.octets)
        ticket = self._put(question)
        self._polls[ticket] = memory
        self._windows[target.vantage].begin(ticket, now)
        if is_claim_due(memory.polls, self._claim_every):
            edns = is_edns_due(memory.polls, self._claim_every)
            asked = Question(target.vantage, target.name, target.rdtype, False, edns, attempts=1, octets=memory.octets)
            self._claims[self._put(asked)] = Claim(memory, edns)

    def unchanged(self, ticket: int, wire: bytes, now: float, at: float) -> Memory | None:
        """Return whose poll is over, if a response to it says the same; None is no word about the others."""
        memory = self._polls.get(ticket)
        if memory is None or not memory.says_the_same(wire, at):
            return None
        del self._polls[ticket]
        memory.is_under_way = False
        self._windows[memory.target.vantage].over(ticket, now, answered=True)
        return memory

    def is_same_claim(self, ticket: int, wire: bytes) -> bool:
        """Return whether a response to a client's question says what the last one said; then it is over."""
        claim = self._claims.get(ticket)
        if claim is None or not claim.mark or claim.mark != take_claim_mark(wire):
            return False
        del self._claims[ticket]
        return True

    def take_poll(self, ticket: int, now: float, *, answered: bool) -> Memory | None:
        """Return whose poll a ticket is of, and forget it; None where it is of none."""
        memory = self._polls.pop(ticket, None)
        if memory is not None:
            memory.is_under_way = False
            self._windows[memory.target.vantage].over(ticket, now, answered=answered)
        return memory

    def take_claim(self, ticket: int) -> Claim | None:
        """Return the client's question of a ticket, and forget it; None where it is none."""
        return self._claims.pop(ticket, None)

    def give_up(self) -> list[Memory]:
        """Forget all that is under way, as nobody will bring the replies; return whose polls these were."""
        given_up = list(self._polls.values())
        for memory in given_up:
            memory.is_under_way = False
        self._polls, self._claims = {}, {}
        for window in self._windows.values():
            window.give_up()
        return given_up


def is_claim_due(polls: int, claim_every: int) -> bool:
    """Return whether what clients are told is asked with the poll that comes after so many."""
    return polls % claim_every == 0


def is_edns_due(polls: int, claim_every: int) -> bool:
    """Return whether it is then the turn of a question with EDNS, else of one without."""
    return polls // claim_every % 2 == 0

"""Many questions to one resolver over UDP, one try each, without a task or a socket of its own for any. Pure.

What is sent goes out by one of many ports, chosen by chance, with an id that nobody can guess; with 256 ports that
makes 24 bits. A reply is matched by port, id and question, in the letter case that was sent, and by our cookie where
the resolver keeps it. What this does not settle, a truncated reply or a refusal, is left to ``resolver.Resolver``.

Source: RFC 5452 §4, §9 (how hard a reply is to forge), RFC 7873 §5.3 (cookies).
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from collector.dnssec import names
from collector.dnssec.message import AD, BADCOOKIE, CD, FORMERR, NOTIMP, RD, Response, opt_record
from collector.resolvers.dialogue import Posed, Question
from collector.resolvers.habits import Habits
from collector.resolvers.matching import HEADER_BYTES, Mismatch, Query, match_reply
from collector.resolvers.suspicion import Tally

MOST_PASSED_OVER = 100
REMEMBERED_S = 5.0
"""For so long at least a port and id are known to have been ours, so that a repeated reply is no guess."""
LATE_S = 60.0
"""For so long where no reply came: resolvers go on looking for an answer, and send one, or SERVFAIL, in the end."""

_DRAWN_AT_ONCE = 4096
_BARE_OPT = opt_record(b"")
_COUNTS = b"\0\1\0\0\0\0\0"


class Ports(Protocol):
    """Where datagrams leave and come in: each port has a number that is used once."""

    def choose(self, number: int) -> int:
        """Return one of the open ports; every number from 0 to 65,535 stands for one of them."""
        ...

    def send(self, port: int, wire: bytes) -> bool:
        """Send a datagram by a port; return whether it left."""
        ...


class Sent(msgspec.Struct, gc=False, eq=False):
    """A question under way: by which port and id (``key``), in which letter case, with which cookie.

    ``passed_over`` counts the replies that did not match.
    """

    key: int
    ticket: int
    question: Question
    octets: bytes
    cookie: bytes
    until: float
    passed_over: int = 0


class Remembered:
    """Ports and ids that are remembered for ``least_s`` seconds, and for twice that at most."""

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._recent: set[int] = set()
        self._before: set[int] = set()
        self._turned_at = float("-inf")

    def __contains__(self, key: int) -> bool:
        return key in self._recent or key in self._before

    def add(self, key: int) -> None:
        """Remember one."""
        self._recent.add(key)

    def turn(self, now: float) -> None:
        """Forget what was remembered for long enough."""
        if now - self._turned_at >= self._least_s:
            self._before, self._recent, self._turned_at = self._recent, set(), now


class Datagrams:
    """The questions under way to one resolver. ``timeout_s`` is how long each waits for its reply.

    ``random_bytes`` returns so many octets that nobody can guess. Times are monotonic seconds.
    """

    def __init__(
        self,
        habits: Habits,
        tally: Tally,
        ports: Ports,
        random_bytes: Callable[[int], bytes],
        *,
        timeout_s: float,
    ) -> None:
        self._habits, self._tally, self._ports, self._random_bytes = habits, tally, ports, random_bytes
        self._timeout_s = timeout_s
        self._dice, self._drawn = b"", 0
        self._server_cookie, self._opt = b"", opt_record(habits.client_cookie)
        self._under_way: dict[int, Sent] = {}
        self._order: deque[Sent] = deque()
        self._answered = Remembered(REMEMBERED_S)
        self._unanswered = Remembered(LATE_S)

    def __len__(self) -> int:
        return len(self._under_way)

    def ask(self, posed: Posed, now: float) -> bool:
        """Send a question by one of the ports; return whether it left."""
        question = posed.question
        key = self._free_key()
        guarded = question.checking_disabled
        octets = question.octets or _octets_of(question)
        cookie = b""
        if guarded:
            octets = self._habits.in_case(octets)
            cookie = self._habits.client_cookie if question.edns else b""
        wire = b"".join(
            (
                (key & 0xFFFF).to_bytes(2, "big"),
                _HEADS[question.checking_disabled, question.edns],
                octets,
                b"" if not question.edns else self._option() if cookie else _BARE_OPT,
            )
        )
        self._tally.count_question(now)
        if not self._ports.send(key >> 16, wire):
            return False
        sent = Sent(key, posed.ticket, question, octets, cookie, now + self._timeout_s)
        self._under_way[key] = sent
        self._order.append(sent)
        return True

    def match(self, port: int, wire: bytes, now: float) -> Sent | None:
        """Return the question to which a datagram is the reply, at first sight; it stays under way until ``settle``.

        Where that takes a closer look, ``read`` has it: a reply that is cut off, or in another letter case.
        """
        key = port << 16 | int.from_bytes(wire[:2], "big")
        sent = self._under_way.get(key)
        if sent is None:
            if key not in self._answered and key not in self._unanswered:
                self._pass_over("id" if len(wire) >= HEADER_BYTES else "malformed", now)
            return None
        return sent

    def is_plain(self, sent: Sent, wire: bytes) -> bool:
        """Return whether a datagram is surely a whole reply to the very question, so that it may be compared unparsed.

        Only the sender of the cookie knows it, so that it counts wherever it stands.
        """
        end = HEADER_BYTES + len(sent.octets)
        return (
            wire[4:6] == b"\0\1"
            and wire[HEADER_BYTES:end] == sent.octets
            and wire[2] & 0xFA == 0x80
            and (not sent.cookie or not self._habits.cookie_kept or sent.cookie in wire[end:])
        )

    @staticmethod
    def is_truncated(wire: bytes) -> bool:
        """Return the TC bit of a datagram, which may be too short to have one."""
        return bool(int.from_bytes(wire[2:3], "big") & 0x02)

    def read(self, sent: Sent, wire: bytes, now: float) -> Response | None:
        """Return the response in a datagram; None where it is to be passed over, or settles nothing.

        In the second case the question is no longer under way, and to be asked by other means.
        """
        query = Query(wire, sent.key & 0xFFFF, sent.question.name, sent.question.rdtype, sent.octets[:-4], sent.cookie)
        kept = self._habits.case_kept is True and sent.question.checking_disabled
        try:
            reply = match_reply(query, wire, case_kept=kept, cookie_kept=self._habits.cookie_kept)
        except Mismatch as mismatch:
            self._pass_over(mismatch.kind, now)
            sent.passed_over += 1
            if sent.passed_over >= MOST_PASSED_OVER:
                self.settle(sent)
            return None
        self.settle(sent)
        if not isinstance(reply, Response) or reply.truncated or reply.rcode == BADCOOKIE:
            return None
        if sent.question.edns and reply.rcode in (FORMERR, NOTIMP) and not reply.has_edns:
            return None
        if sent.question.checking_disabled:
            self._habits.learn(query, reply, stream=False)
        return reply

    def is_under_way(self, sent: Sent) -> bool:
        """Return whether a question still waits for its reply."""
        return self._under_way.get(sent.key) is sent

    def settle(self, sent: Sent) -> None:
        """Note that a question waits no longer."""
        if self._under_way.pop(sent.key, None) is not None:
            self._answered.add(sent.key)

    def expire(self, now: float) -> list[Sent]:
        """Return the questions that have waited too long; they wait no longer."""
        expired = []
        while self._order and (self._order[0].until <= now or not self.is_under_way(self._order[0])):
            sent = self._order.popleft()
            if self.is_under_way(sent):
                del self._under_way[sent.key]
                self._unanswered.add(sent.key)
                expired.append(sent)
        self._answered.turn(now)
        self._unanswered.turn(now)
        return expired

    def fail(self, port: int) -> list[Sent]:
        """Return the questions that went out by a port, to which nobody listens, as the network says; they are over."""
        failed = [sent for sent in self._under_way.values() if sent.key >> 16 == port]
        for sent in failed:
            self.settle(sent)
        return failed

    def next_expiry_at(self) -> float:
        """Return when the first question will have waited too long, infinite without one."""
        return self._order[0].until if self._order else float("inf")

    def _free_key(self) -> int:
        while True:
            if self._drawn == len(self._dice):
                self._dice, self._drawn = self._random_bytes(_DRAWN_AT_ONCE), 0
            drawn = int.from_bytes(self._dice[self._drawn : self._drawn + 4], "big")
            self._drawn += 4
            key = self._ports.choose(drawn >> 16) << 16 | drawn & 0xFFFF
            if key not in self._under_way:
                return key

    def _option(self) -> bytes:
        """Return the OPT record with our cookie, and that of the resolver where it has sent one."""
        if self._habits.server_cookie != self._server_cookie:
            self._server_cookie = self._habits.server_cookie
            self._opt = opt_record(self._habits.client_cookie + self._server_cookie)
        return self._opt

    def _pass_over(self, kind: str, now: float) -> None:
        self._tally.pass_over(kind, now)
        self._habits.is_guessed_at = True


def _octets_of(question: Question) -> bytes:
    return names.to_wire(question.name) + question.rdtype.to_bytes(2, "big") + b"\0\1"


def _head(checking_disabled: bool, edns: bool) -> bytes:
    flags = RD | (CD if checking_disabled else AD if edns else 0)
    return flags.to_bytes(2, "big") + _COUNTS + bytes((edns,))


_HEADS: Mapping[tuple[bool, bool], bytes] = {
    (cd, edns): _head(cd, edns) for cd in (False, True) for edns in (False, True)
}

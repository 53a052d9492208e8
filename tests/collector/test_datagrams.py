"""Questions over a pool of ports that is none: what leaves is looked at, and what comes in is made up."""

import random
from collections import Counter

import pytest

from collector.dnssec import names, records
from collector.resolvers.datagrams import MOST_PASSED_OVER, REMEMBERED_S, Datagrams, Sent
from collector.resolvers.dialogue import Posed, Question
from collector.resolvers.habits import Habits
from collector.resolvers.suspicion import Tally

NAME = names.from_text("api.bank.example")
OCTETS = b"\3api\4bank\7example\0\0\1\0\1"
TIMEOUT_S = 1.5
RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"


class Pool:
    """Ports numbered from 1 that note what leaves."""

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self.left: list[tuple[int, bytes]] = []
        self.is_full = False

    def choose(self, number: int) -> int:
        return number % self.count + 1

    def send(self, port: int, wire: bytes) -> bool:
        if not self.is_full:
            self.left.append((port, wire))
        return not self.is_full


class Desk:
    """Datagrams on a pool; draws from a seed."""

    def __init__(self, count: int = 4) -> None:
        draw = random.Random(7)
        self.pool, self.tally = Pool(count), Tally()
        self.habits = Habits(draw.getrandbits, protects=True)
        self.datagrams = Datagrams(self.habits, self.tally, self.pool, draw.randbytes, timeout_s=TIMEOUT_S)
        self.tickets = 0

    def ask(self, now: float = 0.0, *, cd: bool = True, edns: bool = True) -> tuple[int, bytes]:
        self.tickets += 1
        assert self.datagrams.ask(Posed(self.tickets, Question("lab", NAME, records.A, cd, edns)), now)
        return self.pool.left[-1]

    def matched(self, port: int, wire: bytes, now: float = 0.1) -> Sent:
        sent = self.datagrams.match(port, wire, now)
        assert sent is not None
        return sent


def reply_to(query: bytes, *, flags: bytes = b"\x81\x80", octets: bytes = b"", tail: bytes = b"") -> bytes:
    extra = b"\0\1" if tail else b"\0\0"
    return query[:2] + flags + b"\0\1\0\1\0\0" + extra + (octets or query[12 : 12 + len(OCTETS)]) + RECORD + tail


def opt(options: bytes = b"") -> bytes:
    return b"\0\0\x29\4\xd0\0\0\x80\0" + len(options).to_bytes(2, "big") + options


def test_ids_and_ports_are_drawn_anew_for_each_question_and_never_twice_at_once() -> None:
    desk = Desk(count=256)

    left = [desk.ask() for _ in range(5000)]

    assert len({(port, wire[:2]) for port, wire in left}) == 5000
    assert len(Counter(port for port, _ in left)) == 256
    assert max(Counter(port for port, _ in left).values()) < 60


def test_a_full_house_of_ids_is_still_drawn_from() -> None:
    desk = Desk(count=1)

    for _ in range(3000):
        desk.ask()

    assert len({wire[:2] for _, wire in desk.pool.left}) == 3000


@pytest.mark.parametrize(
    ("cd", "edns", "flags", "has_opt"),
    [(True, True, b"\1\x10", True), (False, True, b"\1\x20", True), (False, False, b"\1\0", False)],
    ids=["as a validator", "as a client", "as a plain client"],
)
def test_a_question_is_asked_as_a_resolver_knows_it(cd: bool, edns: bool, flags: bytes, has_opt: bool) -> None:
    _, wire = Desk().ask(cd=cd, edns=edns)

    assert wire[2:4] == flags
    assert wire[4:12] == b"\0\1\0\0\0\0" + (b"\0\1" if has_opt else b"\0\0")
    assert wire[12:].startswith(OCTETS)
    assert (b"\0\0\x29" in wire[12 + len(OCTETS) :]) is has_opt


def test_only_who_asks_as_a_validator_sends_a_cookie() -> None:
    desk = Desk()
    cookie = desk.habits.client_cookie

    assert cookie in desk.ask()[1]
    assert cookie not in desk.ask(cd=False)[1]
    desk.habits.sends_cookies = False
    assert cookie not in desk.ask()[1]


def test_a_reply_is_matched_by_port_and_id() -> None:
    desk = Desk()
    port, query = desk.ask()
    wire = reply_to(query)

    assert desk.datagrams.match(port + 1, wire, 0.1) is None
    assert desk.datagrams.match(port, bytes((query[0] ^ 1,)) + wire[1:], 0.1) is None
    assert desk.tally.by_kind == {"id": 2}
    assert desk.matched(port, wire).ticket == 1
    assert desk.datagrams.is_plain(desk.matched(port, wire), wire)


@pytest.mark.parametrize(
    "wire",
    [
        reply_to(b"\0\0" + b"\0" * 10 + OCTETS, flags=b"\x83\x80"),
        reply_to(b"\0\0" + b"\0" * 10 + OCTETS, flags=b"\1\x80"),
        reply_to(b"\0\0" + b"\0" * 10 + OCTETS, octets=OCTETS.upper()),
        reply_to(b"\0\0" + b"\0" * 10 + OCTETS, octets=OCTETS[:-4] + b"\0\x1c\0\1"),
        b"\0\0\x81\x80",
    ],
    ids=["cut off", "no reply", "other case", "other type", "short"],
)
def test_what_is_not_surely_the_whole_reply_is_looked_at_closer(wire: bytes) -> None:
    desk = Desk()
    port, query = desk.ask()

    wire = query[:2] + wire[2:]

    assert not desk.datagrams.is_plain(desk.matched(port, wire), wire)


def test_a_reply_without_our_cookie_is_not_compared_once_the_resolver_keeps_cookies() -> None:
    desk = Desk()
    port, query = desk.ask()
    cookie = desk.habits.client_cookie
    with_cookie = reply_to(query, tail=opt(b"\0\x0a\0\x10" + cookie + b"\7" * 8))
    assert desk.datagrams.read(desk.matched(port, with_cookie), with_cookie, 0.1) is not None
    assert desk.habits.cookie_kept

    port, query = desk.ask()
    assert query.endswith(cookie + b"\7" * 8)
    bare, forged = reply_to(query), reply_to(query, tail=opt(b"\0\x0a\0\x10" + b"\1" * 16))
    for wire in (bare, forged):
        sent = desk.matched(port, wire)
        assert not desk.datagrams.is_plain(sent, wire)
        assert desk.datagrams.read(sent, wire, 0.1) is None
        assert desk.datagrams.is_under_way(sent)
    good = reply_to(query, tail=opt(b"\0\x0a\0\x10" + cookie + b"\7" * 8))
    assert desk.datagrams.is_plain(desk.matched(port, good), good)
    assert desk.tally.by_kind == {"cookie": 2}


def test_once_replies_are_guessed_the_letter_case_is_part_of_the_question() -> None:
    desk = Desk()
    port, query = desk.ask()
    kept = reply_to(query)
    desk.habits.is_guessed_at = True
    port, query = desk.ask()
    sent_octets = query[12 : 12 + len(OCTETS)]
    assert sent_octets != OCTETS
    assert sent_octets.lower() == OCTETS

    kept = reply_to(query)
    assert desk.datagrams.read(desk.matched(port, kept), kept, 0.1) is not None
    assert desk.habits.case_kept

    port, query = desk.ask()
    folded = reply_to(query, octets=OCTETS)
    sent = desk.matched(port, folded)
    assert not desk.datagrams.is_plain(sent, folded)
    assert desk.datagrams.read(sent, folded, 0.1) is None
    assert desk.datagrams.is_under_way(sent)


@pytest.mark.parametrize(
    ("flags", "tail"),
    [(b"\x83\x80", b""), (b"\x81\x81", b""), (b"\x81\x84", b"")],
    ids=["cut off", "FORMERR", "NOTIMP"],
)
def test_what_is_no_answer_is_left_to_other_means(flags: bytes, tail: bytes) -> None:
    desk = Desk()
    port, query = desk.ask()
    wire = reply_to(query, flags=flags, tail=tail)
    sent = desk.matched(port, wire)

    assert desk.datagrams.read(sent, wire, 0.1) is None
    assert not desk.datagrams.is_under_way(sent)
    assert desk.datagrams.is_truncated(wire) is (flags[0] == 0x83)


def test_a_flood_of_wrong_replies_ends_the_wait() -> None:
    desk = Desk()
    port, query = desk.ask()
    wrong = reply_to(query, octets=b"\3bad" + OCTETS[4:])
    sent = desk.matched(port, wrong)

    for _ in range(MOST_PASSED_OVER):
        assert desk.datagrams.is_under_way(sent)
        assert desk.datagrams.read(sent, wrong, 0.1) is None

    assert not desk.datagrams.is_under_way(sent)
    assert sent.passed_over == MOST_PASSED_OVER


def test_a_question_without_a_reply_expires() -> None:
    desk = Desk()
    desk.ask(now=0)
    port, query = desk.ask(now=1)
    wire = reply_to(query)
    desk.datagrams.settle(desk.matched(port, wire))

    assert desk.datagrams.next_expiry_at() == TIMEOUT_S
    assert desk.datagrams.expire(TIMEOUT_S - 0.1) == []
    assert [sent.ticket for sent in desk.datagrams.expire(TIMEOUT_S)] == [1]
    assert desk.datagrams.expire(100) == []
    assert len(desk.datagrams) == 0
    assert desk.datagrams.next_expiry_at() == float("inf")


def test_late_and_repeated_replies_are_no_guesses_for_some_seconds() -> None:
    desk = Desk()
    port, query = desk.ask(now=0)
    wire = reply_to(query)
    desk.datagrams.expire(0)
    desk.datagrams.settle(desk.matched(port, wire))
    assert desk.datagrams.match(port, wire, 0.2) is None
    desk.datagrams.expire(REMEMBERED_S)
    assert desk.datagrams.match(port, wire, REMEMBERED_S) is None
    assert desk.tally.by_kind == {}

    desk.datagrams.expire(2 * REMEMBERED_S)
    assert desk.datagrams.match(port, wire, 2 * REMEMBERED_S) is None
    assert desk.tally.by_kind == {"id": 1}


def test_a_resolver_that_answers_long_after_the_wait_guesses_nothing() -> None:
    """BIND answers SERVFAIL after ten seconds, Unbound after up to a minute; of a zone that is gone, for each name."""
    desk = Desk()
    asked = [desk.ask(now=0) for _ in range(100)]
    for second in range(2, 60):
        desk.datagrams.expire(second)
        port, query = asked[second]
        assert desk.datagrams.match(port, reply_to(query), second) is None
    assert desk.tally.by_kind == {}

    for second in range(60, 130):
        desk.datagrams.expire(second)
    assert desk.datagrams.match(asked[0][0], reply_to(asked[0][1]), 130) is None
    assert desk.tally.by_kind == {"id": 1}


def test_a_question_that_can_not_leave_is_not_under_way() -> None:
    desk = Desk()
    desk.pool.is_full = True

    assert not desk.datagrams.ask(Posed(1, Question("lab", NAME, records.A)), 0)
    assert len(desk.datagrams) == 0


def test_where_nobody_listens_the_questions_of_that_port_fail() -> None:
    desk = Desk(count=2)
    for _ in range(20):
        desk.ask()
    by_port = Counter(port for port, _ in desk.pool.left)

    failed = desk.datagrams.fail(1)

    assert len(failed) == by_port[1]
    assert len(desk.datagrams) == by_port[2]

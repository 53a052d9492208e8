"""The parts of polling by themselves: how many at once, who shares what, and what several report as one."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from collector.dnssec import names, records
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.policy import Policy
from collector.dnssec.questions import drive
from collector.dnssec.validation import validate
from collector.polling.basis import NEVER, Bases, Basis
from collector.polling.memory import Memory, PollTarget
from collector.polling.merging import SAME_JUMP_S, MergedReports
from collector.polling.outbox import MOST_ROWS, Outbox
from collector.polling.registrable import public_suffixes
from collector.polling.roster import Roster, RosterChange, compare_types
from collector.polling.shares import Shares
from collector.polling.steady import FIRST_AT_ONCE, LEAST_AT_ONCE, LOOK_EVERY_S, MOST_AT_ONCE, PATIENCE_S, Window
from schemas.codes import Code
from schemas.messages import Message, PollBatch, SelfReport
from schemas.wire import encode
from tests.support.lab import AT as LAB_AT
from tests.support.lab import Lab

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SUFFIXES = public_suffixes()


# the window


def turn(window: Window, now: float, *, answered: int, lost: int = 0, took_s: float = 0.01) -> None:
    """Fill the window, and have so many polls be over after ``took_s``."""
    tickets = iter(range(10**6))
    while window.has_room():
        window.begin(next(tickets), now)
    for ticket in range(answered + lost):
        window.over(ticket, now + took_s, answered=ticket < answered)
    window.give_up()


def test_a_resolver_that_keeps_up_gets_more_at_once_up_to_a_limit() -> None:
    window = Window()

    for look in range(20):
        turn(window, look * 2 * LOOK_EVERY_S, answered=50)

    assert window.limit == MOST_AT_ONCE


def test_one_that_loses_a_tenth_gets_fewer_but_never_none() -> None:
    window = Window()

    turn(window, 1.0, answered=1)
    limits = [window.limit]
    for look in range(1, 20):
        turn(window, 1 + look * 2 * LOOK_EVERY_S, answered=80, lost=20)
        limits.append(window.limit)

    assert limits[2] < limits[1], "what was lost between two looks counts at the second"
    assert window.limit == LEAST_AT_ONCE


def test_one_that_loses_a_few_keeps_what_it_has() -> None:
    window = Window()

    for look in range(3):
        turn(window, look * 2 * LOOK_EVERY_S, answered=95, lost=5)

    assert window.limit >= FIRST_AT_ONCE


def test_where_polls_wait_in_a_queue_there_are_fewer() -> None:
    window = Window()
    turn(window, 0.0, answered=10, took_s=0.01)
    before = window.limit

    turn(window, 10.0, answered=10, took_s=0.03 + PATIENCE_S)

    assert window.limit < before


# what verdicts rest on


def test_what_nothing_rests_on_any_more_is_forgotten_and_what_something_rests_on_is_not() -> None:
    lab, bases = Lab(), Bases()
    lab.zone.add("a.deep", "A", "192.0.2.2")
    lab.sign()

    def seen(name: str) -> Basis:
        context = Context(int(LAB_AT.timestamp()), lab.anchors, Policy(), Budget(Policy()), {})
        return bases.see(drive(validate(context, names.from_text(name), 1), lab.reply))

    at_apex, again, deep = seen("www.zone.test"), seen("other.zone.test"), seen("a.deep.zone.test")

    assert at_apex is again
    assert deep is not at_apex
    assert len(bases._by_ends) == 2
    del deep
    assert len(bases._by_ends) == 1
    bases.forget()
    assert at_apex.fresh_until == NEVER
    assert seen("www.zone.test") is not at_apex


# who polls what


def added(*hosts: str) -> RosterChange:
    types: dict[str, tuple[int, ...]] = dict.fromkeys(hosts, (1,))
    return compare_types({}, types, set(), ["corp"], SUFFIXES)


def hosts_of(change: RosterChange) -> set[str]:
    return {names.to_text(target.name) for target, _ in change.added}


def test_each_endpoint_is_polled_by_exactly_one_and_a_zones_by_the_same() -> None:
    hosts = [f"h{number}.zone{number % 40}.example" for number in range(400)]
    parts = [hosts_of(part) for part in Shares(3, SUFFIXES).divide(added(*hosts))]

    assert Counter(host for part in parts for host in part) == Counter(f"{host}." for host in hosts)
    for zone in range(40):
        assert sum(any(f".zone{zone}." in host for host in part) for part in parts) == 1
    assert all(parts)


def test_a_zone_with_more_than_its_part_is_split_and_who_polls_a_name_never_changes() -> None:
    shares = Shares(2, SUFFIXES)
    large, small = [f"h{number}.large.example" for number in range(100)], ["a.small.example", "b.small.example"]
    parts = shares.divide(added(*large, *small))
    assert all(30 < sum("large" in host for host in hosts_of(part)) < 70 for part in parts)
    home = {host: at for at, part in enumerate(parts) for host in hosts_of(part)}

    target = PollTarget(names.from_text(large[0]), 1, "corp")
    gone = shares.divide(RosterChange(101, (), [target]))
    back = shares.divide(added(large[0]))
    changed = shares.divide(RosterChange(101, (), (), [target]))

    at = home[f"{large[0]}."]
    assert [len(part.gone) for part in gone] == [int(at == 0), int(at == 1)]
    assert [len(part.added) for part in back] == [int(at == 0), int(at == 1)]
    assert [len(part.changed) for part in changed] == [int(at == 0), int(at == 1)]
    roster = Roster({}, dict.fromkeys((*large, *small), (1,)))
    for number in range(2):
        share = shares.all_of(number, roster, ["corp"])
        assert hosts_of(share) == {host for host, where in home.items() if where == number}


def test_a_small_zone_that_comes_later_goes_to_one() -> None:
    shares = Shares(2, SUFFIXES)
    shares.divide(added(*(f"h{number}.zone{number % 40}.example" for number in range(400))))
    parts = shares.divide(added(*(f"h{number}.later.example" for number in range(20))))

    assert sorted(len(part.added) for part in parts) == [0, 20]


# what several report


def report(detail: str, seconds: float = 0.0, code: str = Code.SELF_VANTAGE_LOST) -> Message:
    return SelfReport(code=code, subject="corp", at=AT + timedelta(seconds=seconds), detail=detail)


def test_a_trouble_of_several_ends_when_the_last_of_them_has_it_no_more() -> None:
    merged = MergedReports(2)

    assert merged.take(0, [report("lost")]) == [report("lost")]
    assert merged.take(1, [report("lost, too")]) == [report("lost, too")]
    assert merged.take(0, [report("")]) == []
    assert merged.take(1, [report("")]) == [report("")]
    assert merged.take(0, [report("")]) == [], "that there is none is told once"


def test_a_process_that_is_replaced_ends_what_the_one_before_had() -> None:
    merged = MergedReports(2)
    merged.take(0, [report("lost")])

    assert merged.take(1, [report("")]) == []
    assert merged.take(0, [report("")]) == [report("")], "the first word of the new one"


@pytest.mark.parametrize(("apart_s", "told"), [(0.5, 1), (SAME_JUMP_S + 1, 2), (-3600.0, 2)])
def test_a_jump_of_the_clock_is_told_once_and_the_next_one_again(apart_s: float, told: int) -> None:
    merged = MergedReports(2)
    jump = Code.SELF_CLOCK_JUMPED

    news = merged.take(0, [report("1 h", 0.0, jump)]) + merged.take(1, [report("1 h", apart_s, jump)])

    assert len(news) == told


# what is handed on


def test_the_largest_batch_of_unchanged_polls_is_less_than_any_broker_takes() -> None:
    host = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    memory = Memory(PollTarget(names.from_text(host), records.AAAA, "v" * 40), host=f"{host}.", signed=(2**31, 2**31))
    memory.observation = "f" * 32
    outbox = Outbox()
    for number in range(MOST_ROWS + 1):
        outbox.confirm(memory, AT.timestamp() + number / 7)

    assert outbox.unchanged == MOST_ROWS + 1
    largest, rest = outbox.take()

    assert isinstance(largest, PollBatch)
    assert isinstance(rest, PollBatch)
    assert (len(largest.names), len(rest.names)) == (MOST_ROWS, 1)
    assert len(encode(largest)) < 1_000_000
    assert outbox.unchanged == 0

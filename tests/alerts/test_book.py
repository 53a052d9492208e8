"""The incident book and the dispatch in a plain loop: no clock, no thread, no ledger, no sleep."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import AlertsConfig, Match, Route
from alerts.decision.agenda import Agenda
from alerts.decision.book import IncidentBook
from alerts.decision.order import Step
from alerts.decision.timekeeping import Moment
from alerts.delivery.delivery import DeliveryOutcome, delivery_of
from alerts.delivery.dispatch import Dispatch
from alerts.delivery.failures import make_failure
from schemas.catalogue import Severity
from schemas.messages import Finding
from tests.support.findings import AT, closed, finding
from tests.support.operations import calls_of
from tests.support.pacing import AT_ONCE

ROUTES = (
    Route(match=Match(severity=(Severity.CRITICAL, Severity.HIGH)), receiver="pager"),
    Route(match=Match(code=("rrsig_missing", "secure_to_insecure")), receiver="chat"),
)


def at(hours: float = 0.0, *, wall: float | None = None) -> Moment:
    return Moment(AT + timedelta(hours=hours), AT + timedelta(hours=hours if wall is None else wall))


def make_book(*receivers: str, **changes: Any) -> IncidentBook:
    fields = {"pacing": AT_ONCE, **changes}
    config = AlertsConfig(rules=(), routes=ROUTES, receivers=(), mappings=(), ledger=Path("none"), **fields)
    return IncidentBook(config, receivers or ("pager", "chat"))


def said(step: Step) -> list[tuple[str, str, str]]:
    return [(order.receiver, order.event, order.incident.cause) for order in step.orders]


def test_a_finding_is_ordered_once_and_its_end_is_too() -> None:
    book, opened = make_book(), finding()

    first = book.take([opened, opened], {}, at())
    again = book.take([opened], first.handled, at())
    last = book.take([closed(opened)], first.handled, at(1))

    assert said(first) == [("pager", "trigger", "bank.example.")]
    assert first.handled == {opened.id: 1}
    assert said(again) == []
    assert said(last) == [("pager", "resolve", "bank.example.")]
    assert not book.incidents


def test_a_month_is_a_loop_over_instants() -> None:
    book = make_book()
    book.take([finding(), finding("secure_to_insecure", zone="idp.example.")], {}, at())

    told = [one for hours in range(1, 30 * 24) for one in said(book.take([], {}, at(hours)))]

    assert told.count(("pager", "reminder", "bank.example.")) == (30 * 24 - 1) // 4
    assert told.count(("pager", "resolve", "idp.example.")) == 1


def test_a_hold_is_over_by_both_clocks_and_looked_at_again_until_it_is() -> None:
    book = make_book()
    book.take([finding("secure_to_insecure")], {}, at())

    ends = [said(book.take([], {}, at(hours, wall=wall))) for hours, wall in ((30, 1), (1, 30), (30.1, 24.1))]

    assert [("pager", "resolve", "bank.example.") in one for one in ends] == [False, False, True]


def test_the_end_of_an_explanation_pages_at_once_and_so_does_its_narrowing() -> None:
    above, below = finding("dnskey_missing", zone="example."), finding("rrsig_missing")
    for news in (
        closed(above),
        msgspec.structs.replace(above, version=2, endpoints=("other.example. A",)),
        msgspec.structs.replace(above, version=2, severity=Severity.HIGH),
    ):
        book = make_book("pager")
        assert ("pager", "trigger", "bank.example.") not in said(book.take([above, below], {}, at()))

        assert ("pager", "trigger", "bank.example.") in said(book.take([news], {}, at(1)))


def test_a_receiver_that_was_informed_of_the_cause_hears_of_the_rest_once_that_is_over() -> None:
    above, below = finding("dnskey_missing", zone="example."), finding("rrsig_missing")
    book = make_book()
    first = said(book.take([above, below], {}, at()))
    book.take([], {}, at(0.1))

    later = said(book.take([closed(above)], {}, at(1)))

    assert sorted(first) == [("chat", "trigger", "bank.example."), ("pager", "trigger", "example.")]
    assert ("pager", "trigger", "bank.example.") in later


def test_a_receiver_that_fails_is_a_finding_and_others_stand_in() -> None:
    book = make_book()
    ordered = book.take([finding()], {}, at())
    failure = make_failure(ordered.orders[0], "HTTP 404", AT)

    step = book.fail(failure, ordered.orders, at())
    late = book.take([finding(zone="late.example.")], {}, at(0.1))
    end = book.recover("pager", at(1))

    assert set(said(step)) == {("chat", "trigger", "pager"), ("chat", "trigger", "bank.example.")}
    assert ("chat", "trigger", "late.example.") in said(late)
    assert ("chat", "resolve", "pager") in said(end)
    assert book.failing == {}


def test_orders_that_no_receiver_takes_are_handed_back() -> None:
    book = make_book("pager")
    ordered = book.take([finding()], {}, at())

    step = book.fail(make_failure(ordered.orders[0], "HTTP 404", AT), ordered.orders, at())

    assert [order.id for order in step.undeliverable if order.incident.cause == "bank.example."] == [
        ordered.orders[0].id
    ]


def test_a_book_that_is_loaded_says_nothing_again_and_forgets_receivers_that_are_gone() -> None:
    book = make_book()
    ordered = book.take([finding()], {}, at())
    book.fail(make_failure(ordered.orders[0], "HTTP 404", AT), ordered.orders, at())

    twin, without = make_book(), make_book("chat")
    assert said(twin.load(book.incidents.values(), at())) == []
    assert twin.failing.keys() == {"pager"}
    assert ("chat", "resolve", "pager") in said(without.load(book.incidents.values(), at()))


def some_finding(chance: random.Random, versions: dict[str, int]) -> Finding:
    zone = chance.choice((".", "example.", "bank.example.", "api.bank.example.", "idp.example.", ""))
    code = "self_clock_skew" if not zone else chance.choice(("dnskey_missing", "rrsig_missing", "secure_to_insecure"))
    one = finding(
        code,
        zone,
        endpoints=tuple(chance.sample(("a.example. A", "b.example. A"), chance.choice((1, 2)))),
        confirmed=chance.random() < 0.8,
        severity=chance.choice((Severity.CRITICAL, Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM)),
    )
    versions[one.id] = version = versions.get(one.id, 0) + 1
    one = msgspec.structs.replace(one, version=version)
    return closed(one, version) if chance.random() < 0.3 else one


@pytest.mark.parametrize("seed", range(40))
def test_what_is_not_looked_at_has_nothing_to_say(seed: int) -> None:
    """The oracle is a book that is loaded anew, which decides on every incident."""
    chance, book = random.Random(seed), make_book()
    handled: dict[str, int] = {}
    versions: dict[str, int] = {}
    hours = 0.0
    for _ in range(60):
        hours += chance.choice((0.0, 0.0, 0.1, 1.0, 4.0, 25.0))
        findings = [some_finding(chance, versions) for _ in range(chance.choice((0, 1, 1, 3)))]
        handled |= book.take(findings, handled, at(hours)).handled
        while (step := book.take([], {}, at(hours))).orders or step.incidents:
            pass

        anew = make_book()
        step = anew.load(book.incidents.values(), at(hours))

        assert (said(step), step.withheld, step.incidents) == ([], (), ())
        assert list(anew.incidents.values()) == list(book.incidents.values())


@pytest.fixture
def books() -> tuple[IncidentBook, IncidentBook]:
    """One with few open incidents, and one with many."""
    made = []
    for count in (20, 2000):
        book = make_book()
        book.take([finding(zone=f"z{number}.example.") for number in range(count)], {}, at())
        book.take([], {}, at())
        made.append(book)
    return made[0], made[1]


class TestCost:
    """A batch costs what it changes, not what is open."""

    def test_of_a_new_finding(self, books: tuple[IncidentBook, IncidentBook]) -> None:
        few, many = (calls_of(lambda book=book: book.take([finding()], {}, at(0.1))) for book in books)  # type: ignore[misc]

        assert many < 1.2 * few < 2000

    def test_of_a_closed_one(self, books: tuple[IncidentBook, IncidentBook]) -> None:
        over = closed(finding(zone="z7.example."))
        few, many = (calls_of(lambda book=book: book.take([over], {}, at(0.2))) for book in books)  # type: ignore[misc]

        assert many < 1.2 * few < 2000

    def test_of_silence(self, books: tuple[IncidentBook, IncidentBook]) -> None:
        books[1].take([], {}, at(0.3))

        assert calls_of(lambda: books[1].take([], {}, at(0.3))) < 100


def test_an_agenda_forgets_what_was_put_off() -> None:
    agenda = Agenda()
    for minute in range(1000):
        agenda.note("a", AT + timedelta(minutes=minute))
    agenda.note("b", AT)
    agenda.note("b", None)

    assert len(agenda._heap) < 100
    assert agenda.take_due(AT + timedelta(minutes=998)) == []
    assert agenda.take_due(AT + timedelta(minutes=999)) == ["a"]
    assert agenda.take_due(AT + timedelta(minutes=1000)) == []


class TestDispatch:
    def test_conditions_of_receivers_count_once_it_is_written(self) -> None:
        book, dispatch = make_book(), Dispatch(("pager", "chat"), 8)
        (order,) = book.take([finding()], {}, at()).orders
        delivery, down = delivery_of(order), DeliveryOutcome(False, "down")
        for _ in range(20):  # the ledger can't be written: the same attempt is settled again and again
            settlement = dispatch.settle([(delivery, down)], book.incidents, at())
        assert settlement.reports == [], "one failure is no failing receiver"
        assert dispatch.choose([delivery], (), book.incidents, at().steady.timestamp())[0] == [(delivery,)]

        dispatch.conclude(settlement)

        assert dispatch.choose([delivery], (), book.incidents, at().steady.timestamp())[0] == []
        assert dispatch.choose([delivery], (), book.incidents, at(0.01).steady.timestamp())[0] == [(delivery,)]

    def test_words_that_were_refused_are_replaced_by_the_newest_state(self) -> None:
        book, dispatch, opened = make_book(), Dispatch(("pager", "chat"), 8), finding()
        (order,) = book.take([opened], {}, at()).orders
        unfit = msgspec.structs.replace(delivery_of(order), unfit=True, attempts=1)
        lanes, settlement = dispatch.choose([unfit], (), book.incidents, 0.0)
        assert (lanes, settlement.renewed, settlement.done) == ([], [], set())

        book.take([msgspec.structs.replace(opened, version=2, detail="another detail")], {}, at(0.1))
        lanes, settlement = dispatch.choose([unfit], (), book.incidents, 0.0)

        assert lanes == []
        assert settlement.done == {unfit.id}
        (newer,) = settlement.renewed
        assert newer.id != unfit.id
        assert not newer.unfit

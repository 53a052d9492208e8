"""How long pages wait, whom they escalate to, and that none of it keeps one from being sent."""

from datetime import UTC, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.config import AlertsConfig, Escalation, Hours, Match, Pacing, Route
from alerts.decision.book import IncidentBook
from alerts.decision.order import Step
from alerts.decision.schedule import Weekly
from alerts.decision.timekeeping import Moment
from schemas.catalogue import Severity
from schemas.messages import Act, Finding
from tests.support.findings import AT, PAYMENTS, closed, finding

DEFAULT = Pacing()
ALL = Route(receiver="pager")
MILD = msgspec.structs.replace(PAYMENTS, id="sa-log", owner="logging", criticality="low")
OFFICE = Hours(
    name="office", windows=(Weekly(days=(0, 1, 2, 3, 4), begins=time(8), ends=time(18), zone=UTC),)
)  # AT is a Tuesday, 12:00


class Night:
    """A book with the default pace on a clock in seconds; ``said`` are the events so far."""

    def __init__(self, *routes: Route, **changes: Any) -> None:
        fields = {"routes": routes or (ALL,), "pacing": DEFAULT, "receivers": (), **changes}
        self.book = IncidentBook(
            AlertsConfig(rules=(), mappings=(), ledger=Path("none"), **fields), ["pager", "boss", "chat"]
        )
        self.seconds = 0.0
        self.steps: list[Step] = []

    def at(self, seconds: float, *batch: Finding | Act) -> list[tuple[str, str]]:
        """Let time pass, take a batch in, and return what was said."""
        self.seconds = seconds
        moment = Moment(AT + timedelta(seconds=seconds), AT + timedelta(seconds=seconds))
        findings = [one for one in batch if isinstance(one, Finding)]
        acts = [one for one in batch if isinstance(one, Act)]
        steps = [self.book.take(findings, {}, moment, acts), *(self.book.take([], {}, moment) for _ in range(3))]
        self.steps += steps
        return [(order.receiver, order.event) for step in steps for order in step.orders]

    @property
    def only(self) -> str:
        (key,) = self.book.incidents
        return key


def test_a_critical_page_waits_ten_seconds_and_another_thirty() -> None:
    night = Night()

    assert night.at(0, finding(), finding("alias_chain_broken", zone="b.example.")) == []
    assert night.at(9.9) == []
    assert night.at(10) == [("pager", "trigger")]
    assert night.at(29.9) == []
    assert night.at(30) == [("pager", "trigger")]


def test_the_book_says_when_a_page_is_due() -> None:
    night = Night()
    night.at(0, finding())

    assert night.book.next_due_at() == AT + timedelta(seconds=10)


def test_what_becomes_critical_while_it_waits_waits_no_longer_than_that() -> None:
    night = Night()
    opened = finding("alias_chain_broken")
    night.at(0, opened)

    assert night.at(12, msgspec.structs.replace(opened, version=2, severity=Severity.CRITICAL)) == [
        ("pager", "trigger")
    ]


def test_the_reason_is_visible_while_it_waits_and_is_no_record() -> None:
    night = Night()
    night.at(0, finding())

    assert night.book.incidents[night.only].withheld == "waits 10 s for what belongs to it"
    assert [one for step in night.steps for one in step.withheld] == []


def test_what_is_over_before_its_page_was_due_is_paged_all_the_same() -> None:
    """A short attack is one."""
    night = Night()
    opened = finding()
    night.at(0, opened)

    assert night.at(5, closed(opened)) == [("pager", "trigger"), ("pager", "resolve")]


def test_a_restart_does_not_begin_the_wait_anew() -> None:
    night = Night()
    night.at(0, finding())
    kept = list(night.book.incidents.values())
    again = Night()
    again.book.load(kept, Moment(AT, AT))

    assert again.at(10) == [("pager", "trigger")]


def test_news_comes_every_five_minutes_and_what_is_worse_at_once() -> None:
    night = Night()
    opened = finding("alias_chain_broken", identities=(MILD,))
    night.at(0, opened)
    night.at(30)
    other = msgspec.structs.replace(MILD, id="sa-x", owner="x")
    assert night.at(40, msgspec.structs.replace(opened, version=2, identities=(MILD, other))) == []
    assert night.at(329) == []
    assert night.at(330) == [("pager", "update")]
    assert night.steps[-4].orders[0].reason == "also affects x"

    assert night.at(340, msgspec.structs.replace(opened, version=3, identities=(MILD, other, PAYMENTS))) == [
        ("pager", "update")
    ]
    incident = night.book.incidents[night.only]
    assert incident.rings == {"pager": 1}, "a more critical identity rings"


def test_a_route_has_its_own_pace() -> None:
    night = Night(Route(receiver="pager", group_wait_s=2.0, repeat_s=60.0))

    assert night.at(0, finding()) == []
    assert night.at(2) == [("pager", "trigger")]
    assert night.at(62) == [("pager", "reminder")]


class TestBusinessHours:
    ROUTES = (Route(receiver="pager"), Route(receiver="chat", hours=OFFICE))

    def test_outside_of_them_a_page_waits_with_its_reason_and_comes_when_they_begin(self) -> None:
        night = Night(Route(receiver="chat", hours=OFFICE))
        evening = 8 * 3600.0
        night.at(evening, finding(opened_at=AT + timedelta(seconds=evening)))
        assert night.at(evening + 60) == []
        assert night.book.incidents[night.only].withheld == (
            "outside the business hours office until 2026-11-25 08:00 UTC"
        )
        assert night.book.next_due_at() == AT + timedelta(hours=20)
        morning = 20 * 3600.0
        assert night.at(morning) + night.at(morning + 10) == [("chat", "trigger")]

    def test_others_are_told_meanwhile_and_the_end_is_told_at_any_hour(self) -> None:
        night = Night(*self.ROUTES)
        opened = finding()
        night.at(0, opened)
        assert night.at(10) == [("pager", "trigger"), ("chat", "trigger")]
        evening = 8 * 3600.0
        assert night.at(evening) == [("pager", "reminder")]
        assert night.at(evening + 1, closed(opened)) == [("pager", "resolve"), ("chat", "resolve")]

    def test_what_began_and_ended_outside_of_them_is_told_to_nobody_there(self) -> None:
        night = Night(Route(receiver="chat", hours=OFFICE))
        evening = 8 * 3600.0
        opened = finding(opened_at=AT + timedelta(seconds=evening))
        night.at(evening, opened)
        night.at(evening + 600, closed(opened))

        assert night.at(20 * 3600.0) == []


class TestEscalation:
    ROUTE = Route(receiver="pager", escalate=(Escalation(after_s=900.0, receiver="boss"),))

    def test_who_does_not_acknowledge_has_it_escalated_once_with_the_reason(self) -> None:
        night = Night(self.ROUTE)
        night.at(0, finding())
        night.at(10)
        assert night.at(909) == []
        assert night.at(910) == [("boss", "trigger")]
        reasons = [order.reason for step in night.steps for order in step.orders]
        assert reasons[-1] == "nobody acknowledged it within 15 min of the page to pager"
        assert night.at(3000) == []

    def test_the_book_says_when_it_is_due(self) -> None:
        night = Night(self.ROUTE)
        night.at(0, finding())
        night.at(10)

        assert night.book.next_due_at() == AT + timedelta(seconds=910)

    def test_who_was_told_so_hears_what_follows(self) -> None:
        night = Night(self.ROUTE)
        opened = finding("alias_chain_broken")
        night.at(0, opened)
        night.at(30)
        night.at(930)

        worse = msgspec.structs.replace(opened, version=2, severity=Severity.CRITICAL)
        assert night.at(940, worse) == [("pager", "update"), ("boss", "update")]
        assert night.at(950, closed(worse, version=3)) == [("pager", "resolve"), ("boss", "resolve")]

    def test_an_acknowledgement_stops_it_and_giving_back_begins_it_anew(self) -> None:
        night = Night(self.ROUTE)
        night.at(0, finding())
        night.at(10)
        night.at(500, Act(id="1", kind="acknowledge", by="ana", at=AT, subject=night.only))
        assert night.at(1000) == []
        night.at(2000, Act(id="2", kind="reopen", by="ana", at=AT, subject=night.only))
        assert night.at(2899) == []
        assert night.at(2900) == [("boss", "trigger")]

    def test_what_is_over_is_not_escalated(self) -> None:
        night = Night(self.ROUTE)
        opened = finding()
        night.at(0, opened)
        night.at(10)
        night.at(800, closed(opened))

        assert night.at(1000) == []


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.HIGH])
def test_a_clock_set_back_before_the_start_puts_no_page_off(severity: Severity) -> None:
    night = Night()
    night.at(100_000, finding(severity=severity))
    kept = [msgspec.structs.replace(one) for one in night.book.incidents.values()]
    again = Night(Route(match=Match(), receiver="pager"))
    loaded = again.book.load(kept, Moment(AT, AT))

    assert [order.event for order in loaded.orders] == ["trigger"]

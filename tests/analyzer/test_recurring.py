"""A fault that comes and goes is one fault, and is over once it has stayed away for longer than before."""

from datetime import timedelta

import pytest

from analyzer.detected import Condition
from analyzer.findings.blast import Consumers
from analyzer.findings.book import FindingBook
from analyzer.findings.radius import Radius
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.messages import FindingStatus
from tests.support.making import AT

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SUBJECT = ("www.bank.example.", "A", "corp")
EXPIRED = Condition(Code.RRSIG_EXPIRED, "bank.example.", "", Severity.CRITICAL, "a signature has ended")


class Polled:
    """One name, polled each five minutes; ``opened`` and ``closed`` have when that was announced."""

    def __init__(self) -> None:
        self.book = FindingBook(Radius(Consumers(), lambda zone, vantage, since: []))
        self.now = AT
        self.opened: list[timedelta] = []
        self.closed: list[timedelta] = []

    def poll(self, span: timedelta, *, bad: bool) -> None:
        end = self.now + span
        while self.now < end:
            self.book.poll(SUBJECT, [EXPIRED] if bad else [], self.now)
            for finding, _ in self.book.take_changes(self.now):
                if finding.status is FindingStatus.OPENED:
                    self.opened.append(self.now - AT)
                if finding.status is FindingStatus.CLOSED:
                    self.closed.append(self.now - AT)
            self.now += 5 * MINUTE


@pytest.fixture
def name() -> Polled:
    return Polled()


def test_a_first_recovery_takes_three_polls(name: Polled) -> None:
    name.poll(HOUR, bad=True)
    name.poll(HOUR, bad=False)

    assert name.closed == [HOUR + 10 * MINUTE]


def test_what_comes_and_goes_for_two_days_is_told_twice(name: Polled) -> None:
    for _ in range(24):
        name.poll(HOUR, bad=True)
        name.poll(HOUR, bad=False)
    assert len(name.opened) == 2
    assert len(name.closed) == 1
    (open_one,) = name.book.open_findings()
    assert "it comes and goes" in open_one.detail
    assert "stays away for 130 min" in open_one.detail

    name.poll(2 * HOUR, bad=False)
    assert len(name.closed) == 2, "twice as long as it stayed away the first time"


def test_single_bad_polls_do_not_add_up(name: Polled) -> None:
    for _ in range(3):
        name.poll(5 * MINUTE, bad=True)
        name.poll(HOUR, bad=False)

    assert len(name.closed) == 3


def test_a_fault_of_some_hours_later_is_another_one(name: Polled) -> None:
    name.poll(HOUR, bad=True)
    name.poll(4 * HOUR, bad=False)
    name.poll(HOUR, bad=True)
    ended_at = name.now - AT
    name.poll(HOUR, bad=False)

    assert name.closed[-1] == ended_at + 10 * MINUTE

"""Of several collectors one has a trouble: a healthy one, or one that is gone, does not say that it is over."""

from datetime import timedelta

import pytest

from collector.polling.outbox import TOLD_AGAIN_S, Outbox
from schemas.messages import Finding, FindingStatus, SelfReport
from tests.support.making import AT, judgement, observation, polls, snapshot
from tests.support.watching import Watching

MINUTE = timedelta(minutes=1)
CODES = ["self_anchor_store_invalid", "self_vantage_lost", "self_inventory_stale", "spoofing_suspected"]


class Reporting(Watching):
    """Two collectors, one of which has a trouble; other messages come each minute."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code, self.minute = code, 0
        self.seen = observation(judgement(), AT)
        self.at(AT, snapshot("sa", "api.bank.example"), self.seen)

    def report(self, by: str, detail: str = "") -> list[Finding]:
        at = AT + self.minute * MINUTE
        return self.at(at, SelfReport(code=self.code, subject="corp", at=at, detail=detail, by=by))

    def go_on(self, minutes: int, *, still: str = "") -> None:
        """Let time pass; ``still`` tells its trouble again each ten minutes."""
        for _ in range(minutes):
            self.minute += 1
            at = AT + self.minute * MINUTE
            if still and self.minute % 10 == 0:
                self.report(still, "broken")
            self.at(at, polls(self.seen, at=at))

    @property
    def is_open(self) -> bool:
        return self.trouble.status is not FindingStatus.CLOSED

    @property
    def trouble(self) -> Finding:
        (found,) = self.last(self.code)
        return found


@pytest.fixture(params=CODES)
def reporting(request: pytest.FixtureRequest) -> Reporting:
    return Reporting(request.param)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_healthy_collector_ends_nothing_of_another_one(reporting: Reporting, restarts: bool) -> None:
    reporting.report("a", "broken")
    if restarts:
        reporting.restart()
    reporting.report("b")

    assert reporting.is_open
    assert reporting.trouble.reporters == ("a",)
    assert "as a reports" in reporting.trouble.detail
    reporting.report("a")
    assert (reporting.trouble.status, reporting.trouble.closed_because) == (FindingStatus.CLOSED, "")


def test_two_that_have_it_are_one_finding_which_ends_with_the_second(reporting: Reporting) -> None:
    reporting.report("a", "broken near")
    reporting.report("b", "broken far")
    assert list(reporting.trouble.reporters) == ["a", "b"]

    reporting.report("a")
    assert reporting.trouble.status is FindingStatus.UPDATED
    assert list(reporting.trouble.reporters) == ["b"]
    assert "near" not in reporting.trouble.detail
    reporting.report("b")
    assert not reporting.is_open


@pytest.mark.parametrize("restarts", [False, True])
def test_one_that_is_gone_is_said_to_be_gone_and_not_healthy(reporting: Reporting, restarts: bool) -> None:
    reporting.report("a", "broken")
    if restarts:
        reporting.restart()
    reporting.go_on(29)
    assert reporting.is_open
    reporting.go_on(5)

    assert not reporting.is_open
    assert "no longer reporting: a" in reporting.trouble.closed_because


def test_one_that_tells_it_again_is_there(reporting: Reporting) -> None:
    reporting.report("a", "broken")
    reporting.go_on(120, still="a")

    assert reporting.is_open


def test_in_silence_nobody_is_gone(reporting: Reporting) -> None:
    reporting.report("a", "broken")
    for minute in range(1, 600, 10):
        reporting.at(AT + minute * MINUTE)

    assert reporting.is_open


class TestCollector:
    def test_what_lasts_is_told_again_where_others_may_be(self) -> None:
        outbox = Outbox("a")
        outbox.add(*outbox.news_of("self_anchor_store_invalid", "root.ds", "broken", AT.timestamp()))
        outbox.tell_again(AT.timestamp() + TOLD_AGAIN_S - 1, of_vantages=True)
        assert [one.by for one in outbox.take() if isinstance(one, SelfReport)] == ["a"]

        outbox.tell_again(AT.timestamp() + TOLD_AGAIN_S, of_vantages=True)
        (again,) = outbox.take()
        assert isinstance(again, SelfReport)
        assert (again.detail, again.by) == ("broken", "a")

    def test_what_is_over_is_not(self) -> None:
        outbox = Outbox("a")
        outbox.news_of("self_anchor_store_invalid", "root.ds", "broken", AT.timestamp())
        outbox.news_of("self_anchor_store_invalid", "root.ds", "", AT.timestamp())
        outbox.tell_again(AT.timestamp() + 2 * TOLD_AGAIN_S, of_vantages=True)

        assert outbox.take() == []

    def test_of_vantages_only_who_polls_can_tell(self) -> None:
        outbox = Outbox("a")
        outbox.news_of("self_vantage_lost", "corp", "lost", AT.timestamp())
        outbox.tell_again(AT.timestamp() + 2 * TOLD_AGAIN_S, of_vantages=False)

        assert outbox.take() == []

    def test_the_only_one_says_it_once(self) -> None:
        outbox = Outbox()
        outbox.news_of("self_anchor_store_invalid", "root.ds", "broken", AT.timestamp())
        outbox.tell_again(AT.timestamp() + 2 * TOLD_AGAIN_S, of_vantages=True)

        assert outbox.take() == []

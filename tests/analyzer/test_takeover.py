"""Changes that together look like a takeover: staged after DNSpionage, Sea Turtle and myetherwallet."""

from datetime import timedelta
from typing import Any

import pytest

from analyzer.detected import Drift, drift_of
from analyzer.findings.blast import Consumers
from analyzer.findings.book import FindingBook
from analyzer.findings.radius import Radius
from analyzer.findings.takeover import Takeovers
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.messages import Finding
from tests.support.making import AT

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ZONE = "bank.example."
SUBJECT = ("api.bank.example.", "A", "corp")


def moved(zone: str = ZONE) -> Drift:
    return drift_of(Code.NS_SET_CHANGED, zone, f"{zone} has other name servers", "ns1", "ns2")


def unsigned(zone: str = ZONE) -> Drift:
    return drift_of(Code.SECURE_TO_INSECURE, zone, f"{zone} is unsigned", "secure", "insecure")


def rekeyed(zone: str = ZONE) -> Drift:
    return drift_of(Code.KEY_CHANGE_UNEXPECTED, zone, f"{zone} has other keys", "1", "2")


def answered(severity: Severity = Severity.MEDIUM, zone: str = ZONE, name: str = "api.bank.example.") -> Drift:
    return drift_of(Code.ANSWER_CHANGED, zone, f"{name} is elsewhere", "1", "2", severity, f"{name} A")


def patterns(*events: tuple[float, Drift]) -> list[Drift]:
    takeovers = Takeovers()
    return [pattern for minutes, event in events for pattern in takeovers.take(event, AT + minutes * MINUTE)]


@pytest.mark.parametrize(
    "parts",
    [
        (moved(), unsigned()),
        (moved(), rekeyed()),
        (moved(), answered()),
        (unsigned(), answered(Severity.HIGH)),
        (unsigned(), moved(), answered()),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_two_kinds_of_change_are_a_pattern_in_any_order(parts: tuple[Drift, ...], reverse: bool) -> None:
    events = list(reversed(parts)) if reverse else list(parts)

    found = patterns(*[(10.0 * n, event) for n, event in enumerate(events)])

    assert {(one.code, one.cause_zone, one.severity) for one in found} == {("takeover_pattern", ZONE, "critical")}
    assert all(event.detail in found[-1].detail for event in events), "its parts are named"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (moved(), moved()),
        (unsigned(), rekeyed()),
        (answered(), answered(Severity.HIGH, name="www.bank.example.")),
        (moved(), answered(Severity.LOW)),
        (moved(), unsigned("other.example.")),
        (moved("example."), answered()),
        (moved("www.bank.example."), answered()),
    ],
    ids=["same kind", "both protection", "both answers", "signed answers", "other zone", "parent", "sibling"],
)
def test_what_does_not_belong_together_is_no_pattern(one: Drift, other: Drift) -> None:
    assert patterns((0, one), (10, other)) == []


def test_a_move_of_a_top_level_domain_takes_in_no_answer_below_it() -> None:
    assert patterns((0, moved("example.")), (10, answered(zone="example."))) == []
    assert patterns((0, moved("example.")), (10, unsigned("example."))) != []


def test_below_an_unsigned_delegation_the_cut_that_moved_is_found_between_zone_and_name() -> None:
    (found,) = patterns((0, moved()), (10, answered(zone="example.")))

    assert found.cause_zone == ZONE


def test_changes_a_day_apart_are_no_pattern() -> None:
    assert patterns((0, moved()), (24 * 60 - 1, answered())) != []
    assert patterns((0, moved()), (24 * 60 + 1, answered())) == []


def test_a_change_that_was_rehearsed_a_day_before_counts_when_it_is_made() -> None:
    """Delegations moved for some minutes first and for good a day later, as in 2018 and 2019."""
    rehearsed = [(0.0, moved()), (10.0, moved())]

    (found,) = patterns(*rehearsed, (23 * 60, moved()), (25 * 60, answered()))

    assert "ns_set_changed at 11:00" in found.detail


def test_cheap_changes_keep_no_old_one_alive_and_push_none_out() -> None:
    flood = [(1.0 + n / 100, answered(name=f"h{n}.bank.example.")) for n in range(1000)]

    assert len(patterns(*flood, (30, moved()))) == 1
    assert patterns(*flood, (25 * 60, moved())) == []


class TestInTheBook:
    def book(self) -> FindingBook:
        return FindingBook(Radius(Consumers(), lambda zone, vantage, since: []))

    def take(self, book: FindingBook, event: Drift, at: Any) -> list[Finding]:
        book.drift(event, SUBJECT, at, "")
        return [finding for finding, _ in book.take_changes(at)]

    def test_a_pattern_is_one_finding_that_grows_and_its_parts_stay(self) -> None:
        book = self.book()

        assert [one.code for one in self.take(book, unsigned(), AT)] == ["secure_to_insecure"]
        first = self.take(book, moved(), AT + MINUTE)
        second = self.take(book, answered(), AT + 2 * MINUTE)

        assert sorted(one.code for one in first) == ["ns_set_changed", "takeover_pattern"]
        assert sorted(one.code for one in second) == ["answer_changed", "takeover_pattern"]
        (opened,) = [one for one in first if one.code == "takeover_pattern"]
        (updated,) = [one for one in second if one.code == "takeover_pattern"]
        assert (opened.id, opened.status, opened.confirmed) == (updated.id, "opened", True)
        assert (updated.status, updated.version) == ("updated", 2)
        assert "is elsewhere" in updated.detail
        assert "is elsewhere" not in opened.detail

    def test_the_same_part_from_another_vantage_says_nothing_new(self) -> None:
        book = self.book()
        self.take(book, unsigned(), AT)
        (pattern,) = [one for one in self.take(book, moved(), AT + MINUTE) if one.code == "takeover_pattern"]
        book.drift(unsigned(), ("www.bank.example.", "A", "corp"), AT + 2 * MINUTE, "")
        found = [one for one, _ in book.take_changes(AT + 10 * MINUTE)]

        assert all(one.detail == pattern.detail for one in found if one.code == "takeover_pattern")

    def test_a_pattern_is_completed_across_a_restart_and_told_once(self) -> None:
        earlier = self.book()
        told = self.take(earlier, unsigned(), AT) + self.take(earlier, moved(), AT + MINUTE)
        book = self.book()
        for finding in told:
            book.restore(finding, [], AT + HOUR)

        found = self.take(book, answered(), AT + HOUR)

        assert sorted(one.code for one in found) == ["answer_changed", "takeover_pattern"]
        (before,) = [one for one in told if one.code == "takeover_pattern"]
        (after,) = [one for one in found if one.code == "takeover_pattern"]
        assert after.id == before.id

    def test_a_part_told_before_a_restart_completes_a_pattern_after_it(self) -> None:
        told = self.take(self.book(), moved(), AT)
        book = self.book()
        book.restore(told[0], [], AT + HOUR)

        assert [one.code for one in self.take(book, answered(), AT + HOUR)] == ["answer_changed", "takeover_pattern"]

    def test_a_day_later_it_is_another_one(self) -> None:
        book = self.book()
        first = self.take(book, unsigned(), AT) + self.take(book, moved(), AT)
        later = AT + 48 * HOUR
        second = self.take(book, unsigned(), later) + self.take(book, moved(), later)

        ids = {one.id for one in (*first, *second) if one.code == "takeover_pattern"}
        assert len(ids) == 2

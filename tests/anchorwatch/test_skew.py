"""Whose clock differs from ours, told once, and that it agrees again."""

from anchorwatch.kafka.skew import QUIET_S, ClockSkews

NOW = 1_800_000_000.0
ONE = "/collector/one"


def skews() -> ClockSkews:
    return ClockSkews("/analyzer/here")


def test_a_clock_that_is_ahead_is_told_once_and_when_it_agrees_again() -> None:
    found = skews()
    for second in range(3):
        found.note(ONE, NOW + second + 300, NOW + second, NOW + second - 1)
    (began,) = found.reports(NOW + 3)
    assert began.detail == "the clock of /collector/one is 300 s ahead of that of /analyzer/here"
    assert (began.code, began.subject) == ("self_clocks_differ", ONE)
    assert found.worst_s == 300

    found.note(ONE, NOW + 4, NOW + 4, NOW + 3)
    (ended,) = found.reports(NOW + 5)
    assert (ended.subject, ended.detail) == (ONE, "")
    assert found.reports(NOW + 6) == []
    assert found.worst_s == 0


def test_a_clock_that_is_behind_is_told_only_by_what_was_not_there_before() -> None:
    found = skews()
    found.note(ONE, NOW - 86_400, NOW, 0.0)
    found.note(ONE, NOW - 300, NOW, NOW - 290)
    assert found.reports(NOW) == [], "it may have waited while we were stopped"

    found.note(ONE, NOW - 300, NOW, NOW - 1)
    (began,) = found.reports(NOW)
    assert began.detail == "the clock of /collector/one is 299 s behind that of /analyzer/here"


def test_small_differences_and_slow_deliveries_are_nothing() -> None:
    found = skews()
    found.note(ONE, NOW + 29, NOW, NOW - 1)
    found.note(ONE, NOW - 45, NOW, NOW - 1)

    assert found.reports(NOW) == []


def test_around_the_bound_nothing_flaps() -> None:
    found = skews()
    for second in range(20):
        found.note(ONE, NOW + second + 28 + 4 * (second % 2), NOW + second, NOW + second)

    assert [report.detail != "" for report in found.reports(NOW + 20)] == [True]


def test_whoever_is_gone_differs_no_more() -> None:
    found = skews()
    found.note(ONE, NOW + 300, NOW, NOW)
    found.reports(NOW)

    (ended,) = found.reports(NOW + QUIET_S + 1)
    assert ended.detail == ""

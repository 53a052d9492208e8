"""A record that is repeated is counted, not written: a log can't be flooded, and a full disk is not made fuller."""

import logging
from typing import Any

from anchorwatch.telemetry import MOST_REMEMBERED, JsonFormatter, RepeatFilter


def record(message: str, level: int = logging.WARNING, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("anchorwatch.test", level, "", 0, message, (), None)
    made.__dict__.update(extra)
    return made


def test_the_same_record_passes_once_a_second_and_says_how_often_it_came(clock: Any) -> None:
    repeats = RepeatFilter(clock)

    passed = [repeats.filter(record("again")) for _ in range(1000)]
    clock.advance(1.0)
    following = record("again")

    assert passed.count(True) == 1
    assert repeats.filter(following)
    assert '"repeated":999' in JsonFormatter().format(following)


def test_records_that_differ_all_pass(clock: Any) -> None:
    repeats = RepeatFilter(clock)
    told = [record("finding opened", logging.INFO, finding=f"f{number}") for number in range(50)]

    assert all(repeats.filter(one) for one in told)
    assert repeats.filter(record("finding closed", logging.INFO, finding="f1"))
    assert repeats.filter(record("finding opened", logging.ERROR, finding="f1"))


def test_an_exception_is_the_same_whatever_it_was_about(clock: Any) -> None:
    repeats = RepeatFilter(clock)
    failed = []
    for number in range(20):
        made = record("a request failed", logging.ERROR, path=f"/{number}")
        made.exc_info = (ValueError, ValueError(number), None)
        failed.append(made)

    assert [repeats.filter(one) for one in failed].count(True) == 1


def test_what_is_remembered_is_bounded(clock: Any) -> None:
    repeats = RepeatFilter(clock)

    for number in range(5 * MOST_REMEMBERED):
        assert repeats.filter(record(f"message {number}"))

    assert len(repeats._seen) <= MOST_REMEMBERED

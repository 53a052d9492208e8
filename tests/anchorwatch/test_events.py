"""What a stream of events says, and what one that was cut hears of when it begins anew."""

from datetime import UTC, datetime

import pytest

from anchorwatch.web.events import Changes

AT = datetime(2026, 11, 27, 8, tzinfo=UTC)


def changed(**marks: int) -> Changes:
    """Return what changed since all kinds were at 0."""
    changes = Changes("a1")
    changes.take({"findings": (0,), "incidents": (0,), "verdicts": (0,)}, AT)
    changes.take({what: (mark,) for what, mark in marks.items()}, AT)  # type: ignore[misc]
    return changes


def test_the_first_look_is_no_change() -> None:
    assert changed().number == 0


def test_a_mark_that_differs_is_a_change_and_says_of_what() -> None:
    changes = changed(findings=1)

    (event,) = changes.after(0)
    assert changes.encode(event) == (
        b'id: a1.1\nevent: changed\ndata: {"what":"findings","at":"2026-11-27T08:00:00Z"}\n\n'
    )


def test_many_changes_of_a_kind_are_one_event() -> None:
    changes = changed(findings=1)
    for mark in range(2, 9):
        changes.take({"findings": (mark,)}, AT)

    assert [event.number for event in changes.after(0)] == [8]
    assert changes.after(8) == []


def test_what_could_not_be_looked_at_is_compared_when_it_can_be_again() -> None:
    changes = changed()

    assert not changes.take({}, AT)
    assert not changes.take({"incidents": (0,)}, AT)
    assert changes.take({"incidents": (1,)}, AT)


def test_a_stream_that_was_cut_hears_of_what_it_missed() -> None:
    changes = changed(findings=1)
    changes.take({"incidents": (1,)}, AT)

    assert [event.changed.what for event in changes.missed("a1.1", AT)] == ["incidents"]
    assert changes.missed("a1.2", AT) == []


def test_a_first_stream_missed_nothing() -> None:
    assert changed(findings=1).missed("", AT) == []


@pytest.mark.parametrize(
    "foreign", ["b2.1", "a1.99", "a1.x", "a1.-1", "a1.²", "a1." + "9" * 5000, "1", "\x00", "a1.1\nid: 5"]
)
def test_an_id_that_is_not_ours_may_have_missed_everything(foreign: str) -> None:
    events = changed(findings=1).missed(foreign, AT)

    assert [event.changed.what for event in events] == ["findings", "incidents", "verdicts"]

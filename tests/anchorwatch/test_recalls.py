"""Who is asked to be observed anew, and when."""

from anchorwatch.pipeline.recalls import GRACE_S, MOST_AT_ONCE, Recalls
from schemas.messages import Subject

ONE, TWO = ("a.example.", "A", "corp"), ("b.example.", "A", "corp")


def due(recalls: Recalls, now: float, *unknown: Subject, last: str | None = None) -> tuple[Subject, ...]:
    return recalls.due(dict.fromkeys(unknown, "lost"), now, lambda subject: last)


def test_a_subject_is_asked_for_soon_and_then_at_growing_distances() -> None:
    recalls = Recalls()

    asked = [second for second in range(4000) if due(recalls, float(second), *([ONE] if second % 10 == 0 else []))]

    assert asked == [3, 63, 183, 423, 903, 1863, 3783]


def test_an_observation_that_its_poll_overtook_is_not_asked_for() -> None:
    recalls = Recalls()
    assert due(recalls, 0.0, ONE, TWO) == ()

    found = recalls.due({}, GRACE_S, lambda subject: "lost" if subject == ONE else "another")

    assert found == (TWO,)
    assert due(recalls, 100.0) == ()


def test_a_subject_that_was_well_for_long_is_asked_for_soon_again() -> None:
    recalls = Recalls()
    times = (0.0, 7200.0, 7300.0)
    for at in times:
        due(recalls, at, ONE)
        assert due(recalls, at + GRACE_S) == (ONE,)


def test_no_more_than_a_thousand_are_asked_for_at_once_and_the_others_next() -> None:
    recalls = Recalls()
    due(recalls, 0.0, *((f"{number}.example.", "A", "corp") for number in range(MOST_AT_ONCE + 5)))

    assert len(due(recalls, 5.0)) == MOST_AT_ONCE
    assert len(due(recalls, 6.0)) == 5

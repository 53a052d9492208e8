"""Who is asked to be observed anew, and when."""

from anchorwatch.recalls import MOST_AT_ONCE, Recalls

ONE, TWO = ("a.example.", "A", "corp"), ("b.example.", "A", "corp")


def test_a_subject_is_asked_for_at_once_and_then_at_growing_distances() -> None:
    recalls = Recalls()

    asked = [second for second in range(0, 4000, 10) if recalls.due({ONE}, float(second))]

    assert asked == [0, 60, 180, 420, 900, 1860, 3780]
    assert recalls.due({ONE, TWO}, 3790.0) == (TWO,)


def test_a_subject_that_was_well_for_long_is_asked_for_at_once_again() -> None:
    recalls = Recalls()
    assert recalls.due({ONE}, 0.0) == (ONE,)
    assert recalls.due({TWO}, 7200.0) == (TWO,)
    assert recalls.due({ONE}, 7201.0) == (ONE,)
    assert recalls.due({ONE}, 7261.0) == (ONE,)


def test_no_more_than_a_thousand_are_asked_for_at_once_and_the_others_next() -> None:
    recalls = Recalls()
    many = {(f"{number}.example.", "A", "corp") for number in range(MOST_AT_ONCE + 5)}

    assert len(recalls.due(many, 0.0)) == MOST_AT_ONCE
    assert len(recalls.due(many, 1.0)) == 5

import pytest

from collector.polling.timekeeping import ClockWatch, Jump, describe_jump

NOON = 1_795_000_000.0


@pytest.mark.parametrize("seconds", [-1800.0, 1800.0, -61.0, 61.0])
def test_a_clock_that_is_set_is_noticed_once_in_both_directions(seconds: float) -> None:
    watch = ClockWatch(60)
    watch.compare(NOON, 100)

    jump = watch.compare(NOON + 0.5 + seconds, 100.5)

    assert jump is not None
    assert jump.seconds == pytest.approx(seconds)
    assert jump.direction == ("forward" if seconds > 0 else "back")
    assert watch.compare(NOON + 1 + seconds, 101) is None


def test_small_steps_that_add_up_are_noticed() -> None:
    watch = ClockWatch(60)
    jumps = [watch.compare(NOON + i - 20 * i, i) for i in range(10)]

    assert [bool(jump) for jump in jumps].count(True) >= 2


def test_a_clock_that_is_slewed_for_hours_is_no_jump() -> None:
    watch = ClockWatch(1)

    assert all(watch.compare(NOON + i * 1.0005, i) is None for i in range(50_000))


def test_a_loop_that_stood_still_is_no_jump() -> None:
    watch = ClockWatch(60)
    watch.compare(NOON, 0)

    assert watch.compare(NOON + 7200, 7200) is None


@pytest.mark.parametrize(("seconds", "said"), [(1800.0, "forward 1800 s"), (-1800.0, "back 1800 s")])
def test_a_jump_is_told_with_its_direction_and_its_consequence(seconds: float, said: str) -> None:
    report = describe_jump(Jump(seconds, NOON))

    assert report.code == "self_clock_jumped"
    assert report.subject.startswith(said)
    assert "check the time service" in report.detail

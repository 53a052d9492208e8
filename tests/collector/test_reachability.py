from collector.polling.reachability import Reachability


def test_one_unanswered_control_question_loses_nothing() -> None:
    reach = Reachability(60)

    assert not reach.unanswered_control(0, 4.5, "no answer")
    assert not reach.is_lost


def test_control_questions_unanswered_over_a_span_lose_the_vantage_once() -> None:
    reach = Reachability(60)
    reach.unanswered_control(0, 4.5, "no answer")

    assert reach.unanswered_control(5, 9.5, "no answer")
    assert reach.is_lost
    assert not reach.unanswered_control(10, 14.5, "no answer")


def test_a_resolver_that_restarts_within_the_span_is_not_lost() -> None:
    reach = Reachability(60)

    assert not any(reach.unanswered_control(at / 10, at / 10 + 0.05, "refused") for at in range(40))


def test_an_answer_between_them_forgets_the_failures() -> None:
    reach = Reachability(60)
    reach.unanswered_control(0, 4.5, "no answer")
    reach.answered(5)

    assert not reach.unanswered_control(6, 11, "no answer")


def test_a_control_question_that_began_before_the_last_answer_does_not_count() -> None:
    reach = Reachability(1)
    reach.answered(5)

    assert not any(reach.unanswered_control(4, 20 + i, "no answer") for i in range(5))
    assert reach.is_lost is False


def test_silences_that_began_before_the_recovery_say_nothing() -> None:
    reach = Reachability(1)
    reach.unanswered_control(0, 2, "no answer")
    reach.unanswered_control(2, 4, "no answer")

    assert reach.answered(10)

    assert reach.speaks_of_before(9)
    assert not reach.speaks_of_before(11)


def test_silences_beside_answers_need_no_control_question_each() -> None:
    reach = Reachability(60)
    reach.answered(100)

    assert not reach.needs_control(90, 100.5)
    assert reach.needs_control(90, 102), "that was a while ago"
    assert reach.needs_control(100.1, 100.5), "that was before the silence began"


def test_a_lost_vantage_is_asked_now_and_then() -> None:
    reach = Reachability(1)
    assert not reach.is_control_due(0, 2)
    reach.unanswered_control(0, 2, "no answer")
    reach.unanswered_control(2, 4, "no answer")

    assert [reach.is_control_due(at, 2) for at in (4, 5, 6, 7, 8)] == [True, False, True, False, True]

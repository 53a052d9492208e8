"""Steps side by side: questions that leave, and questions that are walked to a server first."""

from collector.dnssec import names, records
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.dialogue import Dialogues, Instant, Question, Steps, pose, pose_together, share

CORP = Question("corp", names.from_text("a.test"), records.A)
AUTH = Question("auth", names.from_text("b.test"), records.A)


def saying(word: str) -> FetchFailure:
    return FetchFailure("rcode", word)


def words(replies: list[Reply]) -> list[str]:
    return [reply.detail for reply in replies if isinstance(reply, FetchFailure)]


def walk(question: Question) -> Steps[Reply]:
    """Ask two servers, one after the other."""
    first: Reply = yield Question("auth", question.name, question.rdtype, server="192.0.2.1")
    second: Reply = yield Question("auth", question.name, question.rdtype, server="192.0.2.2")
    return saying("+".join(words([first, second])))


def run(dialogues: Dialogues, steps: Steps[list[Reply]]) -> list[str]:
    results: list[list[Reply]] = []
    dialogues.start(steps, results.append)
    while posed := dialogues.take_posed():
        for ticket, question in reversed(posed):
            dialogues.take(ticket, saying(question.server or question.vantage))
    return words(results[0])


def test_replies_come_back_in_the_order_of_the_questions_walked_or_not() -> None:
    dialogues = Dialogues(Instant(), {"auth": walk})

    said = run(dialogues, pose_together([CORP, AUTH, CORP]))

    assert said == ["corp", "192.0.2.1+192.0.2.2", "corp"]
    assert dialogues.asked == 4, "a question that is walked does not leave itself"


def test_a_question_that_names_its_server_is_not_walked() -> None:
    dialogues = Dialogues(Instant(), {"auth": walk})

    assert run(dialogues, pose_together([Question("auth", AUTH.name, AUTH.rdtype, server="192.0.2.9")])) == [
        "192.0.2.9"
    ]


def test_a_walk_that_knows_the_answer_needs_no_driver_however_often_it_is_asked() -> None:
    def known(question: Question) -> Steps[Reply]:
        return saying("known")
        yield question

    def often() -> Steps[list[Reply]]:
        replies = []
        for _ in range(5000):
            replies.append((yield from pose(AUTH)))
        return replies

    assert run(Dialogues(Instant(), {"auth": known}), often()) == ["known"] * 5000


def test_who_waits_for_the_same_walk_gets_one_reply() -> None:
    dialogues = Dialogues(Instant(), {"auth": walk})
    results: list[Reply] = []
    for _ in range(3):
        dialogues.start(share("same", lambda: pose(AUTH)), results.append)

    run(dialogues, pose_together([CORP]))

    assert words(results) == ["192.0.2.1+192.0.2.2"] * 3
    assert dialogues.asked == 3


def test_what_is_given_up_is_given_up_with_its_walks() -> None:
    dialogues = Dialogues(Instant(), {"auth": walk})
    results: list[Reply] = []
    dialogues.start(pose(AUTH), results.append)
    ((ticket, _),) = dialogues.take_posed()

    dialogues.close()
    dialogues.take(ticket, saying("late"))

    assert (results, dialogues.take_posed()) == ([], [])

"""Who lies behind a zone, as subjects come, move to other chains and go."""

from analyzer.endpoints.current import Current, CurrentState
from schemas.judgement import Verdict
from schemas.messages import Subject
from tests.support.making import AT

API: Subject = ("api.bank.example.", "A", "corp")
LOGIN: Subject = ("login.idp.example.", "A", "corp")


def current(*zones: str) -> Current:
    return Current(AT, AT, "o1", Verdict.SECURE, "", (), None, None, "", "", zones, zones)


def test_subjects_lie_behind_every_zone_of_their_chain() -> None:
    state = CurrentState()
    state.put(API, current(".", "example.", "bank.example."))
    state.put(LOGIN, current(".", "example.", "idp.example."))

    assert set(state.behind(".", "corp")) == set(state.behind("example.", "corp")) == {API, LOGIN}
    assert set(state.behind("bank.example.", "corp")) == {API}
    assert set(state.behind("elsewhere.", "corp")) == set()


def test_a_subject_that_moves_or_goes_is_behind_its_old_chain_no_more() -> None:
    state = CurrentState()
    state.put(API, current(".", "example.", "bank.example."))
    state.put(LOGIN, current(".", "example."))

    state.put(API, current(".", "test."))
    assert (set(state.behind("bank.example.", "corp")), set(state.behind("test.", "corp"))) == (set(), {API})
    assert set(state.behind("example.", "corp")) == {LOGIN}

    state.drop(API)
    state.drop(API)
    assert (set(state.behind(".", "corp")), list(state)) == ({LOGIN}, [LOGIN])
    state.drop(LOGIN)
    assert set(state.behind(".", "corp")) == set()

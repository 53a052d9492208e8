"""Who lies behind a zone, as subjects come, move to other chains and go."""

from analyzer.endpoints.current import Current, CurrentState
from schemas.judgement import Verdict
from schemas.messages import Subject
from tests.support.making import AT

API: Subject = ("api.bank.example.", "A", "corp")
LOGIN: Subject = ("login.idp.example.", "A", "corp")


def behind(state: CurrentState, zone: str) -> set[Subject]:
    return set().union(*state.chains_behind(zone, "corp"))


def current(*zones: str) -> Current:
    return Current(AT, AT, "o1", Verdict.SECURE, "", (), None, None, "", "", zones, zones)


def test_roster_lie_behind_every_zone_of_their_chain() -> None:
    state = CurrentState()
    state.put(API, current(".", "example.", "bank.example."))
    state.put(LOGIN, current(".", "example.", "idp.example."))

    assert behind(state, ".") == behind(state, "example.") == {API, LOGIN}
    assert behind(state, "bank.example.") == {API}
    assert behind(state, "elsewhere.") == set()


def test_a_subject_that_moves_or_goes_is_behind_its_old_chain_no_more() -> None:
    state = CurrentState()
    state.put(API, current(".", "example.", "bank.example."))
    state.put(LOGIN, current(".", "example."))

    state.put(API, current(".", "test."))
    assert (behind(state, "bank.example."), behind(state, "test.")) == (set(), {API})
    assert behind(state, "example.") == {LOGIN}

    state.drop(API)
    state.drop(API)
    assert (behind(state, "."), list(state)) == ({LOGIN}, [LOGIN])
    state.drop(LOGIN)
    assert behind(state, ".") == set()

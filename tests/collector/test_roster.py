from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from collector.dnssec import names, records
from collector.dnssec.names import Name
from collector.polling.memory import PollTarget
from collector.polling.roster import Roster, RosterChange, compare, subjects_of
from schemas.judgement import Verdict
from schemas.messages import Endpoint, Identity

SUFFIXES = PublicSuffixList()
VANTAGES = ("corp", "cloud")
HOSTS = ("api.bank.example", "API.bank.example.", "login.idp.example", "_tls.idp.example", "s3.co.uk")


def everything(name: Name) -> bool:
    return True


def turn(known: Roster, *identities: Identity) -> tuple[Roster, RosterChange]:
    return compare(known, list(identities), VANTAGES, everything, SUFFIXES)


def identity(key: str, *hosts: str, types: tuple[str, ...] = ("A",), expect: Verdict | None = None) -> Identity:
    return Identity(id=key, endpoints=tuple(Endpoint(host=host, types=types, expect=expect) for host in hosts))


identities = st.lists(
    st.builds(
        Identity,
        id=st.sampled_from("abc"),
        owner=st.sampled_from(["", "payments"]),
        endpoints=st.lists(
            st.builds(
                Endpoint,
                host=st.sampled_from(HOSTS),
                types=st.lists(st.sampled_from(["A", "AAAA", "TYPE1"]), min_size=1, max_size=3).map(tuple),
            ),
            max_size=3,
        ).map(tuple),
    ),
    max_size=3,
    unique_by=lambda one: one.id,
)


def _all_but(foreign: set[names.Name]) -> Callable[[names.Name], bool]:
    return lambda name: name not in foreign


@given(st.lists(st.tuples(identities, st.sets(st.sampled_from(HOSTS))), min_size=1, max_size=4))
def test_changes_one_after_another_come_to_what_the_last_inventory_says(
    turns: list[tuple[tuple[Identity, ...], set[str]]],
) -> None:
    roster, watched = Roster(), set[PollTarget]()
    for inventory, foreign in turns:
        not_ours = {names.from_text(host) for host in foreign}
        roster, change = compare(roster, list(inventory), VANTAGES, _all_but(not_ours), SUFFIXES)
        for part in change.parts(2):
            added, gone = [one for one, _ in part.added], set(part.gone)
            assert len(added) == len(set(added))
            assert not watched & set(added), "what is watched is not added"
            assert gone <= watched
            watched = watched - gone | set(added)

        assert watched == {one for one in subjects_of(inventory, VANTAGES) if one.name not in not_ours}
        assert change.hosts == len({one.name for one in watched})
        assert set(change.changed) <= watched


def test_one_row_among_thousands_is_a_change_of_one() -> None:
    rows = [identity(f"sa-{number}", f"h{number}.z{number % 70}.example") for number in range(5000)]
    roster, change = turn(Roster(), *rows)
    assert len(change.added) == 10_000
    assert change.changed == [], "what is new was never observed"

    rows[17] = identity("sa-17", "h17.z17.example", "new.z17.example")
    roster, change = turn(roster, *rows)

    name, new = names.from_text("h17.z17.example"), names.from_text("new.z17.example")
    assert change.added == [(PollTarget(new, records.A, vantage), ("z17.example", vantage)) for vantage in VANTAGES]
    assert change.gone == []
    assert change.changed == [PollTarget(name, records.A, vantage) for vantage in VANTAGES], "its row is another one"
    assert change.hosts == 5001
    _, change = turn(roster, *rows)
    assert (change.added, change.gone, change.changed) == ([], [], [])


def test_a_host_that_another_identity_consumes_stays() -> None:
    roster, _ = turn(Roster(), identity("a", "api.bank.example"), identity("b", "api.bank.example."))

    _, change = turn(roster, identity("b", "API.bank.example"))

    assert change.gone == []


def test_what_is_expected_of_a_host_makes_it_changed() -> None:
    roster, _ = turn(Roster(), identity("a", "api.bank.example"), identity("b", "login.idp.example"))

    _, change = turn(roster, identity("a", "api.bank.example", expect=Verdict.INSECURE), identity("b", "s3.co.uk"))

    assert {names.to_text(one.name) for one in change.changed} == {"api.bank.example."}
    assert {names.to_text(one.name) for one in change.gone} == {"login.idp.example."}


def test_a_host_is_changed_too_when_one_of_those_that_consume_it_leaves() -> None:
    expecting = identity("b", "api.bank.example", "login.idp.example", expect=Verdict.INSECURE)
    roster, _ = turn(Roster(), identity("a", "api.bank.example"), expecting)

    _, change = turn(roster, identity("a", "api.bank.example"))

    assert {names.to_text(one.name) for one in change.changed} == {"api.bank.example."}, "what it expected is over"
    assert {names.to_text(one.name) for one in change.gone} == {"login.idp.example."}


def test_a_change_comes_in_parts_and_an_empty_one_in_one() -> None:
    subjects = [PollTarget(names.from_text(f"h{number}.example"), 1, "corp") for number in range(5)]
    change = RosterChange(3, [(one, ("example", "corp")) for one in subjects[:3]], subjects[3:], ())

    assert [(len(part.added), len(part.gone)) for part in change.parts(2)] == [(2, 2), (1, 0)]
    assert list(RosterChange(7).parts(2)) == [RosterChange(7)]

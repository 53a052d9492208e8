"""Which of a zone's servers say otherwise than they should."""

from typing import Any

import pytest

from analyzer.zones.registrable import registrable_domain
from analyzer.zones.serials import Serials
from analyzer.zones.sights import family_of, find_difference, heard_families, is_delegation_known, who
from schemas.messages import ServerStatus, SignatureState
from tests.support.making import AT
from tests.support.sweeps import OWN, PARENTS, alone, of_parent, own

SILENT = {"status": ServerStatus.SILENT}


def difference(*said: str, serials: tuple[int, ...] = (), **more: Any) -> tuple[str | None, list[str]]:
    numbers = serials or (7,) * len(said)
    sights = [own(n, serial=number, **more) for n, number in enumerate(numbers, 1)]
    found = find_difference(list(zip(sights, said, strict=True)), Serials(sights, (), AT))
    return found.right, sorted(found.wrong)


@pytest.mark.parametrize(
    ("said", "serials", "right", "wrong"),
    [
        (("a", "a", "a"), (), "a", ()),
        (("a", "a", "b"), (), "a", (3,)),
        (("a", "b", "c"), (), None, (1, 2, 3)),
        (("a", "b"), (8, 7), "a", ()),
        (("a", "a", "b"), (7, 7, 8), "a", ()),
    ],
    ids=["all agree", "one differs", "nobody agrees", "one lags", "the others lag"],
)
def test_right_is_what_most_say_and_a_transfer_excuses(
    said: tuple[str, ...], serials: tuple[int, ...], right: str | None, wrong: tuple[int, ...]
) -> None:
    assert difference(*said, serials=serials) == (right, [OWN[n - 1] for n in wrong])


def test_without_signatures_no_serial_decides_between_equals() -> None:
    assert difference("a", "b", serials=(8, 7), signatures=SignatureState.UNKNOWN) == (None, [])
    assert difference("a", "b", serials=(7, 7), signatures=SignatureState.UNKNOWN) == (None, list(OWN[:2]))


@pytest.mark.parametrize(
    ("server", "family"),
    [("192.0.2.1", 4), ("192.0.2.1:5300", 4), ("2001:db8::1", 6), ("[2001:db8::1]:5300", 6)],
)
def test_the_family_of_an_address_with_a_port_or_without(server: str, family: int) -> None:
    assert family_of(server) == family


def test_a_family_is_heard_over_which_anybody_was_be_it_a_refusal() -> None:
    assert heard_families(alone(own(1, **SILENT), of_parent(1))) == {4}
    assert heard_families(alone(own(1, **SILENT), of_parent(1, **SILENT))) == set()
    assert heard_families(alone(own(1, status=ServerStatus.REFUSES))) == {4}


def test_the_delegation_is_known_once_somebody_said_it() -> None:
    assert is_delegation_known(alone(own(1), of_parent(1)))
    assert not is_delegation_known(alone(own(1), of_parent(1, **SILENT)))
    assert is_delegation_known(alone(own(1))), "of a zone whose parent is not asked it says so itself"


def test_a_server_is_told_with_its_name() -> None:
    assert who(of_parent(1)) == f"{PARENTS[0]} (ns1.example.)"


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("ns1.bank.example.", "bank.example"),
        ("a.b.bank.co.uk.", "bank.co.uk"),
        ("co.uk.", "co.uk"),
        ("example.", "example"),
    ],
)
def test_a_name_belongs_to_whoever_registered_it(name: str, registered: str) -> None:
    assert registrable_domain(name) == registered

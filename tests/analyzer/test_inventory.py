"""Who joins the inventory and who leaves it: what is watched from then on, and what is forgotten, with the reason."""

from datetime import timedelta

import pytest

from analyzer.findings.environments import Environments
from analyzer.inventory import Inventory
from schemas.messages import FindingStatus, InventoryIndex, InventorySnapshot
from tests.support.analysing import Parts
from tests.support.making import AT, judgement, observation, polls, snapshot

MINUTE = timedelta(minutes=1)
SUBJECT = ("api.bank.example.", "A", "corp")


class Estate(Parts):
    """One name that is broken, and an inventory that changes."""

    def __init__(self) -> None:
        super().__init__()
        environments = Environments(self.estate.consumers)
        environments.load()
        self.inventory = Inventory(self.estate, self.book, environments, self.endpoints, self.zones, self.servers)
        bad = judgement(verdict="bogus", code="rrsig_expired", rrset="api.bank.example. A")
        seen = observation(bad, AT)
        self.endpoints.take(seen, self.knowledge, self.out)
        self.endpoints.take_polls(polls(seen, at=AT + MINUTE), self.knowledge, self.out)
        self.settle(AT + MINUTE)

    def put(self, message: InventorySnapshot) -> None:
        self.inventory.take(message, self.out)


@pytest.fixture
def parts() -> Estate:
    return Estate()


def test_what_nobody_consumes_any_more_is_forgotten_and_the_file_is_named(parts: Estate) -> None:
    parts.put(InventorySnapshot(id="sa", seen_at=AT, identity=None, source="inventory.yaml"))

    assert SUBJECT not in parts.estate.current
    assert parts.settle(AT)["rrsig_expired"] is FindingStatus.CLOSED
    assert parts.found["rrsig_expired"].closed_because == "no longer watched: removed from inventory.yaml"


def test_what_another_one_still_consumes_stays(parts: Estate) -> None:
    parts.put(snapshot("other", "api.bank.example"))
    parts.put(InventorySnapshot(id="sa", seen_at=AT, identity=None))

    assert SUBJECT in parts.estate.current
    assert parts.settle(AT + MINUTE)["rrsig_expired"] is not FindingStatus.CLOSED


def test_who_joins_is_named_in_what_is_open(parts: Estate) -> None:
    parts.put(snapshot("other", "api.bank.example"))
    parts.settle(AT + 2 * MINUTE)

    assert {one.id for one in parts.found["rrsig_expired"].identities} == {"other", "sa"}


def test_who_is_not_in_the_index_has_left_while_nobody_looked(parts: Estate) -> None:
    parts.inventory.take_index(InventoryIndex(seen_at=AT, ids=("another",)), parts.out)

    assert SUBJECT not in parts.estate.current
    assert [row[0] for row in parts.out.tables["identities"]] == ["sa"]


def test_an_index_that_says_nothing_of_identities_ends_none(parts: Estate) -> None:
    parts.inventory.take_index(InventoryIndex(seen_at=AT, ids=None, vantages=("corp",)), parts.out)

    assert SUBJECT in parts.estate.current


def test_a_vantage_that_is_not_configured_any_more_holds_nothing_open(parts: Estate) -> None:
    parts.inventory.take_index(InventoryIndex(seen_at=AT, ids=("sa",), vantages=("other",)), parts.out)

    parts.settle(AT)
    assert SUBJECT not in parts.estate.current
    assert "the vantage corp was removed" in parts.found["rrsig_expired"].closed_because

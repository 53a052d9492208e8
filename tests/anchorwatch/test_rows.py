"""A row of the inventory's topic is checked like a row of a file."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from anchorwatch.kafka.rows import read_message
from schemas.faults import Rejected
from schemas.messages import Endpoint, Identity, InventoryIndex, InventorySnapshot
from schemas.wire import encode

AT = datetime(2026, 11, 24, tzinfo=UTC)


def record(message: Any) -> Any:
    return SimpleNamespace(value=encode(message), topic="anchorwatch.inventory", partition=3, offset=14)


def row(*endpoints: Endpoint, key: str = "sa", **more: Any) -> InventorySnapshot:
    identity = Identity(id="sa", owner="payments", criticality="critical", endpoints=endpoints, **more)
    return InventorySnapshot(id=key, seen_at=AT, identity=identity)


GOOD = Endpoint(host="api.bank.example", port=443, types=("A", "AAAA", "MX"), purpose="x", answers=("192.0.2.1",))


def test_a_good_row_an_identity_that_is_gone_and_an_index_pass_as_they_are() -> None:
    for message in (
        row(GOOD, Endpoint(host="b.bank.example"), environment="prod", labels={"cost centre": "7"}),
        row(),
        InventorySnapshot(id="sa", seen_at=AT, identity=None),
        InventoryIndex(seen_at=AT, ids=None, vantages=("corp",)),
    ):
        assert read_message(record(message)) == (message, "")


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (Endpoint(host="a..b"), "an empty label"),
        (Endpoint(host="a\0b.example"), "a character that no host name has"),
        (Endpoint(host="x" * 64 + ".example"), "64 octets"),
        (Endpoint(host=".".join(["a"] * 200)), "octets, more than 255"),
        (Endpoint(host=""), "no host"),
        (Endpoint(host="192.0.2.1"), "IP address"),
        (Endpoint(host="a.example", types=("NONSENSE",)), "NONSENSE"),
        (Endpoint(host="a.example", types=()), "types"),
    ],
)
def test_an_endpoint_that_no_file_may_have_is_left_out_and_its_neighbours_stay(endpoint: Endpoint, said: str) -> None:
    message, problem = read_message(record(row(endpoint, GOOD)))

    assert message == row(GOOD)
    assert said in problem
    assert problem.startswith("anchorwatch.inventory/3@14: identity 'sa': ")


def test_a_row_without_an_id_and_one_about_another_identity_are_rejected() -> None:
    nameless = InventorySnapshot(id="", seen_at=AT, identity=Identity(id="", endpoints=(GOOD,)))
    with pytest.raises(Rejected, match=r"anchorwatch\.inventory/3@14: an identity needs an 'id'"):
        read_message(record(nameless))
    with pytest.raises(Rejected, match="row 'other' is about another identity, 'sa'"):
        read_message(record(row(GOOD, key="other")))

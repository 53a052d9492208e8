"""What servers of the parent say at the very first look is no truth because it came first."""

from typing import Any

import pytest

from schemas.messages import Finding, ServerStatus
from tests.support.sweeps import NS, PARENTS, Sweeping, of_parent, own

FALSE = ("ns1.evil.test.", "ns2.evil.test.")
SILENT = {"status": ServerStatus.SILENT, "detail": "timeout"}
LAME = {"status": ServerStatus.LAME, "detail": "no authority"}
CODE = "ns_set_changed"


def changes(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.code == CODE]


@pytest.mark.parametrize("other", [SILENT, LAME], ids=["silent", "lame"])
def test_the_only_server_heard_at_first_is_false_and_the_other_one_is_heard_later(other: dict[str, Any]) -> None:
    run = Sweeping()
    run.sweep(of_parent(1, ns=FALSE), of_parent(2, **other))

    found = changes(run.times(3, of_parent(1, ns=FALSE)))

    assert [one.servers for one in found] == [PARENTS[1:]]
    assert "said by only 1 of 2 servers of the parent, and may be the false one" in found[0].detail


def test_both_are_heard_at_first_and_differ() -> None:
    run = Sweeping()

    found = changes(run.times(4, of_parent(1, ns=FALSE)))

    assert [one.servers for one in found] == [PARENTS[:1]]
    assert (found[0].before, found[0].after) == (", ".join(NS), ", ".join(FALSE))


def _fields(sight: Any) -> dict[str, Any]:
    return {name: getattr(sight, name) for name in sight.__struct_fields__}


class TestTheOnlyServerThereIs:
    def look(self, run: Sweeping, **parent: Any) -> list[Finding]:
        return run.alone(*map(own, (1, 2, 3)), of_parent(1, **parent))

    def test_it_was_false_at_the_first_look(self) -> None:
        run = Sweeping()
        self.look(run, ns=FALSE)

        (found,) = changes(self.look(run))
        assert "seen in one sweep only, and may be the false one" in found.detail

    def test_it_is_false_at_the_second_look(self) -> None:
        run = Sweeping()
        self.look(run)

        (found,) = changes(self.look(run, ns=FALSE))
        assert found.severity == "high"

    def test_what_was_seen_often_is_not_in_doubt(self) -> None:
        run = Sweeping()
        self.look(run)
        self.look(run)

        (found,) = changes(self.look(run, ns=FALSE))
        assert "may be the false one" not in found.detail

    def test_it_was_lame_at_the_first_look(self) -> None:
        run = Sweeping()
        self.look(run, **LAME)

        assert changes([one for _ in range(4) for one in self.look(run)]) == []


def test_a_server_of_the_parent_that_follows_late_is_nothing() -> None:
    run = Sweeping()
    third = type(of_parent(1))(**{**_fields(of_parent(1)), "server": "198.51.100.3"})
    run.times(3, third)
    moved = [of_parent(n, ns=FALSE) for n in (1, 2)]

    found = changes(run.times(5, *moved, third))

    assert [one.servers for one in found] == [PARENTS]


def test_the_same_from_the_first_look_on_is_nothing() -> None:
    run = Sweeping()

    assert changes(run.times(6)) == []
    assert changes([one for _ in range(6) for one in run.alone(own(1), of_parent(1))]) == []

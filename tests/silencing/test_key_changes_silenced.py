"""A change of keys that looks like a rollover, outside of what its owner declared, or together with the delegation."""

from datetime import datetime, timedelta

import pytest

from analyzer.findings.changes import Plan
from schemas.catalogue import Change, Severity
from schemas.messages import Act
from tests.support.making import AT, judgement, key, link, observation, polls, snapshot
from tests.support.sweeps import of_parent, own, sweep
from tests.support.watching import Watching

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONE = "bank.example."
KSK, KSK2, ZSK, ZSK2 = key(1, entry=True), key(3, entry=True), key(2), key(4)
DS, DS2 = "1 13 2 AA", "3 13 2 BB"
BEFORE = link(ZONE, keys=(KSK, ZSK), ds=(DS,))
BOTH_KEYS = link(ZONE, keys=(KSK, KSK2, ZSK), ds=(DS,))
BOTH_DS = link(ZONE, keys=(KSK, ZSK), ds=(DS, DS2))
NEXT_ZSK = link(ZONE, keys=(KSK, ZSK, ZSK2), ds=(DS,))
MOVED = ("ns1.elsewhere.example.", "ns2.elsewhere.example.")


def seen(zone: object, at: datetime, vantage: str = "corp"):  # type: ignore[no-untyped-def]
    chain = (link("."), link("example."), zone)
    return observation(judgement(chain=chain, vantage=vantage), at)  # type: ignore[arg-type]


def declared(*what: Change, begins: datetime, hours: float = 2) -> Act:
    plan = Plan(subject=ZONE, what=what, begins_at=begins, ends_at=begins + hours * HOUR, by="ops")
    return plan.declared(AT, "API")


def sweeps(at: datetime, ns: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
    if not ns:
        return sweep(at=at)
    return sweep(*(own(n, ns=ns) for n in (1, 2, 3)), *(of_parent(n, ns=ns) for n in (1, 2)), at=at)


@pytest.fixture
def watching() -> Watching:
    watching = Watching()
    watching.at(AT, snapshot("sa", "api.bank.example"), seen(BEFORE, AT), sweeps(AT))
    return watching


class TestOutsideAWindow:
    @pytest.mark.parametrize("step", [BOTH_KEYS, BOTH_DS], ids=["a key", "a DS"])
    @pytest.mark.parametrize("hours", [1, 30], ids=["before it", "after it"])
    def test_a_step_of_entry_keys_is_unexpected(self, watching: Watching, step: object, hours: int) -> None:
        watching.at(AT, declared(Change.KEYS, Change.DS, begins=AT + 10 * HOUR))
        at = AT + hours * HOUR
        watching.at(at - 0.1 * HOUR, polls(seen(BEFORE, AT), at=at - 0.1 * HOUR))
        watching.at(at, seen(step, at))

        (found,) = watching.last("key_change_unexpected")
        assert found.severity is Severity.CRITICAL
        assert "outside every window" in found.detail
        assert watching.last("key_rollover") == []

    @pytest.mark.parametrize("step", [BOTH_KEYS, BOTH_DS], ids=["a key", "a DS"])
    def test_inside_it_it_is_a_rollover(self, watching: Watching, step: object) -> None:
        watching.at(AT, declared(Change.KEYS, Change.DS, begins=AT + 10 * HOUR))
        watching.at(AT + 11 * HOUR, seen(step, AT + 11 * HOUR))

        assert watching.last("key_change_unexpected") == []
        assert len(watching.last("key_rollover")) == 1

    def test_a_zone_signing_key_needs_no_window(self, watching: Watching) -> None:
        watching.at(AT, declared(Change.KEYS, Change.DS, begins=AT + 10 * HOUR))
        watching.at(AT + HOUR, seen(NEXT_ZSK, AT + HOUR))

        assert watching.last("key_change_unexpected") == []

    def test_a_zone_that_never_declares_anything_may_roll_at_any_time(self, watching: Watching) -> None:
        watching.at(AT + HOUR, seen(BOTH_KEYS, AT + HOUR))

        assert watching.last("key_change_unexpected") == []

    def test_nor_does_one_that_declares_other_things(self, watching: Watching) -> None:
        watching.at(AT, declared(Change.NS, begins=AT + 10 * HOUR))
        watching.at(AT + HOUR, seen(BOTH_KEYS, AT + HOUR))

        assert watching.last("key_change_unexpected") == []

    def test_the_window_that_was_declared_counts_across_a_restart(self, watching: Watching) -> None:
        watching.at(AT, declared(Change.KEYS, Change.DS, begins=AT + 10 * HOUR))
        watching.restart()
        watching.at(AT + HOUR, seen(BOTH_KEYS, AT + HOUR))

        assert len(watching.last("key_change_unexpected")) == 1


class TestTogetherWithTheDelegation:
    @pytest.mark.parametrize("step", [BOTH_KEYS, BOTH_DS], ids=["a key", "a DS"])
    @pytest.mark.parametrize("keys_first", [True, False])
    @pytest.mark.parametrize("restarts", [False, True])
    def test_a_step_of_entry_keys_is_unexpected_and_part_of_a_pattern(
        self, watching: Watching, step: object, keys_first: bool, restarts: bool
    ) -> None:
        batches = [seen(step, AT + HOUR), sweeps(AT + 2 * HOUR, MOVED)]
        if not keys_first:
            batches = [sweeps(AT + HOUR, MOVED), seen(step, AT + 2 * HOUR)]
        watching.at(AT + HOUR, batches[0])
        assert watching.last("key_change_unexpected") == []
        if restarts:
            watching.restart()
        watching.at(AT + 2 * HOUR, batches[1])

        (found,) = watching.last("key_change_unexpected")
        assert found.severity is Severity.CRITICAL
        assert "within 24 hours of a change of the delegation" in found.detail
        (pattern,) = watching.last("takeover_pattern")
        assert pattern.severity is Severity.CRITICAL
        assert "ns_set_changed" in pattern.detail

    def test_a_zone_signing_key_is_none(self, watching: Watching) -> None:
        watching.at(AT + HOUR, seen(NEXT_ZSK, AT + HOUR))
        watching.at(AT + 2 * HOUR, sweeps(AT + 2 * HOUR, MOVED))

        assert watching.last("key_change_unexpected") == watching.last("takeover_pattern") == []

    def test_nor_is_one_two_days_apart(self, watching: Watching) -> None:
        watching.at(AT + HOUR, seen(BOTH_KEYS, AT + HOUR))
        watching.at(AT + 49 * HOUR, sweeps(AT + 49 * HOUR, MOVED))

        assert watching.last("key_change_unexpected") == watching.last("takeover_pattern") == []

    def test_where_both_were_declared_it_pages_nobody_and_is_told(self, watching: Watching) -> None:
        watching.at(AT, declared(Change.KEYS, Change.DS, Change.NS, begins=AT, hours=3))
        watching.at(AT + HOUR, seen(BOTH_KEYS, AT + HOUR))
        watching.at(AT + 2 * HOUR, sweeps(AT + 2 * HOUR, MOVED))

        assert [one.severity for one in watching.last("key_change_unexpected")] == [Severity.LOW]
        assert [one.severity for one in watching.last("takeover_pattern")] == [Severity.HIGH]

    def test_a_declared_move_hides_no_keys(self, watching: Watching) -> None:
        watching.at(AT, declared(Change.NS, begins=AT, hours=3))
        watching.at(AT + HOUR, seen(BOTH_KEYS, AT + HOUR))
        watching.at(AT + 2 * HOUR, sweeps(AT + 2 * HOUR, MOVED))

        assert [one.severity for one in watching.last("key_change_unexpected")] == [Severity.CRITICAL]
        assert [one.severity for one in watching.last("takeover_pattern")] == [Severity.CRITICAL]

"""The delegation: dangling, told differently by parent and child, changed."""

from typing import Any

import pytest

from schemas.messages import ServerSight, ServerStatus
from tests.support.sweeps import NS, OWN, PARENTS, ZONE, Sweeping, of_parent, own

LAME = {"status": ServerStatus.LAME, "detail": "no authority"}
REFUSED = {"status": ServerStatus.REFUSES, "detail": "REFUSED"}
SERVFAIL = {"status": ServerStatus.REFUSES, "detail": "SERVFAIL"}
SILENT = {"status": ServerStatus.SILENT, "detail": "timeout"}
GONE = "ns9.gone.example.: it does not exist"
MOVED = ("ns1.elsewhere.test.", "ns2.elsewhere.test.")


def told(found: Any) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(one.code, str(one.status), str(one.severity), one.servers) for one in found]


def moved(*numbers: int, ns: tuple[str, ...] = MOVED) -> list[ServerSight]:
    return [of_parent(number, ns=ns) for number in numbers]


class TestDangling:
    @pytest.mark.parametrize("bad", [LAME, REFUSED])
    def test_a_delegation_of_which_every_server_is_lame(self, bad: dict[str, Any]) -> None:
        run = Sweeping()

        said = run.times(2, *(own(n, **bad) for n in (1, 2, 3)))

        assert told(said) == [
            ("auth_server_unreachable", "opened", "high", OWN),
            ("delegation_dangling", "opened", "high", OWN),
        ]
        assert said[1].endpoints == ("api.bank.example. A",)
        run.times(3)
        assert run.open == {}

    def test_it_is_told_at_the_alarm_that_led_to_the_sweep(self) -> None:
        run = Sweeping()

        (opened,) = run.sweep(*(own(n, **REFUSED) for n in (1, 2, 3)), alarm=True)

        assert told([opened]) == [("delegation_dangling", "opened", "high", OWN)]

    @pytest.mark.parametrize(
        "bad", [[LAME, LAME, {}], [LAME, LAME, SILENT], [SERVFAIL] * 3], ids=["one answers", "one is silent", "broken"]
    )
    def test_a_delegation_with_a_server_that_may_know_the_zone_does_not_dangle(self, bad: list[dict[str, Any]]) -> None:
        run = Sweeping()

        run.times(4, *(own(n, **one) for n, one in enumerate(bad, 1)))

        assert "delegation_dangling" not in run.open

    def test_a_name_server_that_does_not_exist(self) -> None:
        run = Sweeping()

        (opened,) = run.times(2, unresolved=(GONE,))

        assert told([opened]) == [("delegation_dangling", "opened", "high", ("ns9.gone.example.",))]
        assert "ns9.gone.example. does not exist" in opened.detail
        assert told(run.times(3)) == [("delegation_dangling", "closed", "high", ("ns9.gone.example.",))]

    def test_a_name_server_that_could_not_be_looked_up_may_exist(self) -> None:
        run = Sweeping()

        assert run.times(4, unresolved=("ns9.gone.example.: no answer",)) == []

    def test_a_look_up_that_failed_does_not_make_a_name_exist(self) -> None:
        run = Sweeping()
        run.times(2, unresolved=(GONE,))

        assert run.times(5, unresolved=("ns9.gone.example.: no answer",)) == []
        assert "delegation_dangling" in run.open


class TestMismatch:
    CODE = "ns_parent_child_mismatch"

    def test_a_child_that_names_other_servers_than_its_parent(self) -> None:
        run = Sweeping()
        child = [own(n, ns=NS[:2]) for n in (1, 2, 3)]

        (opened,) = run.times(2, *child)

        assert told([opened]) == [(self.CODE, "opened", "low", OWN)]
        assert told(run.times(3)) == [(self.CODE, "closed", "low", OWN)]

    def test_a_child_that_is_ahead_of_its_parent_for_less_than_an_hour_is_silent(self) -> None:
        run = Sweeping()

        assert run.times(8, *(own(n, ns=NS[:2]) for n in (1, 2, 3)), hours=0.1) == []

    def test_order_and_case_are_no_difference(self) -> None:
        run = Sweeping()

        assert run.times(4, own(1, ns=tuple(name.upper() for name in reversed(NS)))) == []

    def test_other_addresses_for_the_same_names_are_no_difference(self) -> None:
        """Glue that is not the child's: a server of the parent leads to an address that the child has no more."""
        run = Sweeping()
        more = ServerSight(server="192.0.2.9", name=NS[0], status=ServerStatus.ANSWERS, ns=NS)

        assert run.times(4, more) == []

    def test_servers_of_the_parent_that_differ_while_a_change_is_on_its_way(self) -> None:
        run = Sweeping()
        new = (*NS, "ns4.bank.example.")

        run.sweep(*moved(1, ns=new), own(1, ns=new))

        assert self.CODE not in {fault.code for one in run.analysis.swept.values() for fault in one.faults}

    def test_a_secondary_that_lags_is_silent(self) -> None:
        run = Sweeping()
        run.sweep()
        new = (*NS, "ns4.bank.example.")
        fresh = [own(n, ns=new, serial=9) for n in (1, 2)]

        said = run.times(2, *fresh, *moved(1, 2, ns=new), hours=0.5)

        assert {one.code for one in said} == {"ns_set_changed"}

    def test_a_silent_parent_says_nothing_of_its_delegation(self) -> None:
        run = Sweeping()

        assert run.times(4, own(1, ns=NS[:2]), *(of_parent(n, **SILENT) for n in (1, 2))) == []


class TestChange:
    def test_a_change_is_told_at_once_with_before_and_after(self) -> None:
        run = Sweeping()
        run.sweep()

        said = run.sweep(*moved(1, 2))

        (drift,) = [one for one in said if one.code == "ns_set_changed"]
        assert (str(drift.kind), str(drift.severity), drift.confirmed) == ("drift", "high", True)
        assert (drift.before, drift.after) == (", ".join(NS), ", ".join(MOVED))
        assert drift.servers == PARENTS
        assert "provider moved from bank.example to elsewhere.test" in drift.detail
        assert drift.endpoints == ("api.bank.example. A",)

    @pytest.mark.parametrize(
        ("after", "kind"),
        [
            ((*NS[:2], "ns7.bank.example."), "name servers changed within bank.example"),
            ((*NS[:2], "ns1.elsewhere.test."), "provider partly moved: nobody left, elsewhere.test came"),
        ],
    )
    def test_what_kind_of_change_it_is(self, after: tuple[str, ...], kind: str) -> None:
        run = Sweeping()
        run.sweep()

        (drift, *_) = run.sweep(*moved(1, 2, ns=after), *(own(n, ns=after) for n in (1, 2, 3)))

        assert kind in drift.detail

    def test_it_outlives_recovery_and_the_way_back_is_told_too(self) -> None:
        run = Sweeping()
        run.sweep()

        said = [*run.sweep(*moved(1, 2)), *run.times(10)]

        drifts = [one for one in said if one.code == "ns_set_changed"]
        assert [(one.before, one.after) for one in drifts] == [
            (", ".join(NS), ", ".join(MOVED)),
            (", ".join(MOVED), ", ".join(NS)),
        ]
        assert "closed" not in {str(one.status) for one in drifts}

    def test_a_signed_child_that_agrees_excuses_nothing(self) -> None:
        run = Sweeping()
        run.sweep()

        said = run.sweep(*moved(1, 2), *(own(n, ns=MOVED) for n in (1, 2, 3)))

        assert [one.code for one in said] == ["ns_set_changed"]

    def test_the_first_sweep_of_a_zone_is_no_change(self) -> None:
        assert Sweeping().sweep(*moved(1, 2), *(own(n, ns=MOVED) for n in (1, 2, 3))) == []

    def test_order_and_case_are_no_change(self) -> None:
        run = Sweeping()
        run.sweep()

        assert run.times(3, *moved(1, 2, ns=tuple(name.upper() for name in reversed(NS)))) == []

    def test_one_server_of_the_parent_that_flaps_is_silent(self) -> None:
        run = Sweeping()
        run.sweep()

        for _ in range(10):
            assert run.sweep(*moved(1)) == []
            assert run.sweep() == []

    def test_one_that_flaps_while_the_other_is_silent_decides_nothing(self) -> None:
        run = Sweeping()
        run.sweep()

        for _ in range(10):
            assert run.sweep(*moved(1), of_parent(2, **SILENT)) == []
            assert run.sweep(of_parent(2, **SILENT)) == []

    def test_one_server_of_the_parent_that_stays_with_another_delegation_is_told_once(self) -> None:
        run = Sweeping()
        run.sweep()

        (drift,) = run.times(12, *moved(2))

        assert (drift.code, drift.servers) == ("ns_set_changed", PARENTS[1:])
        assert "only 1 of 2 servers of the parent say so" in drift.detail

    def test_a_change_on_its_way_to_all_servers_of_the_parent_is_told_once(self) -> None:
        run = Sweeping()
        run.sweep()

        said = run.times(6, *moved(1), hours=1 / 12)
        assert said == []
        said = run.times(4, *moved(1, 2), *(own(n, ns=MOVED) for n in (1, 2, 3)), hours=1 / 12)

        assert [one.code for one in said] == ["ns_set_changed"]

    def test_a_server_of_the_parent_that_says_another_thing_each_time_has_strayed_all_the_same(self) -> None:
        run = Sweeping()
        run.sweep()

        for turn in range(40):
            run.sweep(*moved(2, ns=(f"ns{turn}.elsewhere.test.",)))

        told = [one.servers for one in run.said if one.code == "ns_set_changed"]
        assert told[0] == PARENTS[1:]
        assert len(told) == 16, "and not each of them"

    def test_what_one_server_said_first_is_told_again_once_all_say_it(self) -> None:
        run = Sweeping()
        run.sweep()
        run.times(3, *moved(2))

        said = run.sweep(*moved(1, 2))

        assert [one.servers for one in said if one.code == "ns_set_changed"] == [PARENTS]

    def test_a_server_of_the_parent_that_was_behind_from_the_first_sweep_on_changed_nothing(self) -> None:
        run = Sweeping()
        third = ServerSight(
            server="198.51.100.3", name="ns3.example.", of_parent=True, status=ServerStatus.ANSWERS, ns=NS[:1]
        )

        assert "ns_set_changed" not in {one.code for one in run.times(6, third)}

    def test_a_parent_that_is_not_heard_changed_nothing(self) -> None:
        run = Sweeping()
        run.sweep()

        assert run.times(3, *(of_parent(n, **SILENT) for n in (1, 2))) == []
        assert run.times(3) == []

    def test_what_changed_while_the_parent_was_not_heard_is_told(self) -> None:
        run = Sweeping()
        run.sweep()
        run.times(3, *(of_parent(n, **SILENT) for n in (1, 2)))

        assert "ns_set_changed" in {one.code for one in run.sweep(*moved(1, 2))}

    def test_a_zone_never_changes_its_delegation_by_what_its_own_servers_say(self) -> None:
        run = Sweeping()
        run.sweep()

        said = run.times(3, *(own(n, ns=MOVED) for n in (1, 2, 3)))

        assert {(one.code, one.cause_zone) for one in said} == {("ns_parent_child_mismatch", ZONE)}

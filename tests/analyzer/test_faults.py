"""Looks at servers, counted: what confirms a fault, what ends it, and what says nothing."""

from datetime import timedelta
from typing import Any

import pytest

from analyzer.zones.faults import MOST_FAULTS, MOST_TOLD, Fault, Look, conditions_of_faults, weigh_looks
from schemas.catalogue import Severity
from schemas.codes import Code
from tests.support.making import AT

HOUR = timedelta(hours=1)


def look(is_bad: bool, server: str = "192.0.2.1", **more: Any) -> Look:
    fields = {"code": Code.AUTH_SIGNATURE_DIVERGENCE, "zone": "z.", "detail": f"{server} is bad", **more}
    return Look(server=server, is_bad=is_bad, **fields)


def after(*looks: bool | None, **more: Any) -> tuple[Fault, ...]:
    """Return the faults after one look an hour, None for an hour in which the server was not heard."""
    faults: tuple[Fault, ...] = ()
    for hour, is_bad in enumerate(looks):
        faults = weigh_looks(faults, [look(is_bad, **more)] if is_bad is not None else [], AT + hour * HOUR)
    return faults


@pytest.mark.parametrize(
    ("looks", "stands"),
    [
        ((True,), False),
        ((True, True), True),
        ((True, False, True), True),
        ((True, False, False, True), False),
        ((True, False, False, True, False, False, True), True),
        ((True, None, None, None, True), True),
    ],
)
def test_two_of_three_looks_confirm_a_fault_or_three_before_it_ended(
    looks: tuple[bool | None, ...], stands: bool
) -> None:
    (fault,) = after(*looks)

    assert fault.stands is stands


@pytest.mark.parametrize("looks", [(False, False, False), (None, False, None, False, False)])
def test_three_good_looks_in_a_row_end_it(looks: tuple[bool | None, ...]) -> None:
    assert after(True, True, *looks) == ()
    assert after(True, True, *looks[:-1]) != ()


def test_what_passes_by_itself_stands_only_once_it_lasted() -> None:
    passing = {"passes_within": 3 * HOUR}

    assert not after(True, True, True, **passing)[0].stands
    assert after(True, True, True, True, **passing)[0].stands


def test_an_alarm_confirms_what_a_server_says() -> None:
    assert weigh_looks((), [look(True)], AT, alarm=True)[0].stands
    assert not weigh_looks((), [look(True, code=Code.AUTH_SERVER_UNREACHABLE)], AT, alarm=True)[0].stands


def test_it_is_as_severe_as_two_looks_agree() -> None:
    faults: tuple[Fault, ...] = ()
    for severity in (Severity.LOW, Severity.HIGH):
        faults = weigh_looks(faults, [look(True, severity=severity)], AT)
    assert faults[0].severity is Severity.LOW

    assert weigh_looks(faults, [look(True, severity=Severity.HIGH)], AT)[0].severity is Severity.HIGH


def test_many_faults_of_one_kind_leave_room_for_those_of_another() -> None:
    many = [look(True, f"192.0.2.{n}", rrset=f"h{n}.z. A") for n in range(MOST_FAULTS + 50)]
    other = look(True, code=Code.AUTH_DS_DIVERGENCE)

    faults = weigh_looks((), [*many, other], AT)

    assert len(faults) == MOST_FAULTS + 1
    assert faults[-1].code == Code.AUTH_DS_DIVERGENCE


def test_the_servers_of_one_cause_are_one_condition_that_names_them_all() -> None:
    servers = [f"192.0.2.{n}" for n in range(1, MOST_TOLD + 3)]
    faults: tuple[Fault, ...] = ()
    for _ in range(2):
        faults = weigh_looks(faults, [look(True, server) for server in servers], AT)

    (condition,) = conditions_of_faults(faults)
    assert set(condition.servers) == set(servers)
    assert condition.detail.endswith("and 2 more servers")

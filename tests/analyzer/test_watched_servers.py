"""The servers of zones: sweeps stored with what they leave behind, and forgotten with the last name."""

from datetime import timedelta

import pytest

from analyzer.detected import SERVERS
from analyzer.zones.sweeps import read_memory
from schemas.messages import FindingStatus, ServerSight, ServerStatus
from tests.support.analysing import Parts
from tests.support.making import AT, judgement, observation
from tests.support.sweeps import OWN, ZONE, own, sweep

HOUR = timedelta(hours=1)
SUBJECT = (ZONE, SERVERS, "authoritative")
SILENT = {"status": ServerStatus.SILENT, "detail": "timeout"}


@pytest.fixture
def parts() -> Parts:
    parts = Parts()
    parts.endpoints.take(observation(judgement(), AT), parts.knowledge, parts.out)
    return parts


def swept(parts: Parts, hours: float, *sights: ServerSight, late_by: float = 0) -> None:
    at = AT + hours * HOUR
    parts.servers.take(sweep(*sights, at=at), parts.knowledge, parts.out, at + late_by * HOUR)


def test_a_fault_is_told_once_two_sweeps_agree_and_what_is_remembered_is_stored(parts: Parts) -> None:
    swept(parts, 1, own(1, **SILENT))
    assert parts.settle() == {}
    swept(parts, 2, own(1, **SILENT))

    assert parts.settle() == {"auth_server_unreachable": FindingStatus.OPENED}
    assert parts.found["auth_server_unreachable"].servers == OWN[:1]
    (fault,) = read_memory(str(parts.out.tables["sweeps"][-1][-1])).faults
    assert (fault.server, fault.stands) == (OWN[0], True)


def test_the_same_sweep_again_is_a_replay(parts: Parts) -> None:
    swept(parts, 1, own(1, **SILENT))
    swept(parts, 1, own(1, **SILENT))

    assert len(parts.out.replayed) == 1
    assert parts.settle() == {}


def test_a_sweep_that_comes_late_is_stored_without_a_memory_and_decides_nothing(parts: Parts) -> None:
    swept(parts, 2)
    swept(parts, 1, own(1, **SILENT), late_by=1.5)

    assert parts.counts.dropped == 1
    assert parts.out.tables["sweeps"][-1][-1] == ""
    assert parts.estate.swept[SUBJECT].swept_at == AT + 2 * HOUR


def test_of_a_zone_that_nobody_needs_nothing_is_told(parts: Parts) -> None:
    other = Parts("api.elsewhere.example")
    for hour in (1, 2, 3):
        swept(other, hour, own(1, **SILENT))

    assert other.settle() == {}


def test_servers_are_forgotten_an_hour_after_the_last_name(parts: Parts) -> None:
    swept(parts, 1, own(1, **SILENT))
    swept(parts, 2, own(1, **SILENT))
    parts.settle()
    parts.endpoints.forget(("api.bank.example.", "A", "corp"), AT + 2 * HOUR, "gone")

    parts.servers.drop_unneeded(AT + 2 * HOUR)
    assert SUBJECT in parts.estate.swept
    parts.servers.drop_unneeded(AT + 3 * HOUR)

    assert SUBJECT not in parts.estate.swept
    assert parts.settle(AT + 3 * HOUR) == {"auth_server_unreachable": FindingStatus.CLOSED}
    assert "no longer watched" in parts.found["auth_server_unreachable"].closed_because


def test_one_that_is_back_within_the_hour_is_not(parts: Parts) -> None:
    swept(parts, 1)
    parts.endpoints.forget(("api.bank.example.", "A", "corp"), AT + HOUR, "gone")
    parts.servers.drop_unneeded(AT + HOUR)
    parts.endpoints.take(observation(judgement(), AT + 1.5 * HOUR), parts.knowledge, parts.out)
    parts.servers.drop_unneeded(AT + 1.6 * HOUR)
    parts.servers.drop_unneeded(AT + 2 * HOUR)

    assert SUBJECT in parts.estate.swept


def test_what_is_remembered_is_taken_up_only_of_zones_that_are_needed(parts: Parts) -> None:
    swept(parts, 1)
    memory = str(parts.out.tables["sweeps"][-1][-1])
    other = Parts()
    other.servers.restore([(ZONE, "authoritative", memory)])
    assert SUBJECT not in other.estate.swept

    other.endpoints.take(observation(judgement(), AT), other.knowledge, other.out)
    other.servers.restore([(ZONE, "authoritative", memory)])
    assert SUBJECT in other.estate.swept

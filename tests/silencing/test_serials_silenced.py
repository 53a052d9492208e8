"""Whoever holds one server of a zone that nobody signs chooses its serial: honest servers are not blamed for that."""

from typing import Any

import pytest

from schemas.judgement import Verdict
from schemas.messages import SignatureState
from tests.support.sweeps import OWN, Sweeping, alone, of_parent, own

NAME = "api.bank.example. A"
UNSIGNED: dict[str, Any] = {"signatures": SignatureState.UNKNOWN, "keys": ()}
FORGED: dict[str, Any] = {"answers": {NAME: ("203.0.113.66",)}}
FAR = 2**31


class Plain(Sweeping):
    """A zone that is not signed, swept each hour; secondaries refresh each two hours."""

    def plain(self, *serials: int, hours: float = 1, **forged: Any) -> None:
        """Sweep servers with these serials; the last one says ``forged``."""
        last = len(serials)
        sights = [
            own(n, serial=serial, **UNSIGNED, **(forged if n == last else {})) for n, serial in enumerate(serials, 1)
        ]
        self.hours += hours
        parents = [of_parent(n, ds=()) for n in (1, 2)]
        self.take(alone(*sights, *parents, at=self.now, verdict=Verdict.INSECURE, windows=()))

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return the servers that open findings on diverging data name, by what they are about."""
        found = self.analysis.findings()
        return {one.cause_rrset: one.servers for one in found if one.code == "auth_answer_divergence"}


@pytest.mark.parametrize("serial", [9, 4_000_000, 7 + FAR - 1])
def test_a_serial_from_the_future_makes_no_honest_server_stale_alone(serial: int) -> None:
    run = Plain()
    run.plain(7, 7, 7)

    for _ in range(12):
        run.plain(7, 7, serial)
        assert run.named().get("bank.example. SOA") in (None, OWN)

    (told,) = [one for one in run.said if one.cause_rrset == "bank.example. SOA"]
    assert "no serial proves who is right" in told.detail
    assert f"7 on 2 of 3, {serial} on 1 of 3" in told.detail


def test_nor_does_it_make_the_forger_right_of_the_data() -> None:
    run = Plain()
    run.plain(7, 7, 7)
    for _ in range(12):
        run.plain(7, 7, 4_000_000, **FORGED)

    assert run.named()[NAME] == OWN[2:]


def test_a_serial_that_runs_ahead_at_each_sweep_excuses_nobody_for_longer_than_a_refresh() -> None:
    run = Plain()
    run.plain(7, 7, 7)
    for number in range(12):
        run.plain(7, 7, 1000 + number, **FORGED)

    assert run.named()[NAME] == OWN[2:]


def test_of_two_servers_both_are_named() -> None:
    run = Plain()
    run.plain(7, 7)
    for _ in range(12):
        run.plain(7, 4_000_000, **FORGED)

    assert run.named() == {NAME: OWN[:2], "bank.example. SOA": OWN[:2]}


def test_a_forged_serial_that_is_gone_makes_nobody_stale_later() -> None:
    run = Plain()
    run.plain(7, 7, 7)
    for _ in range(6):
        run.plain(7, 7, 4_000_000)
    for _ in range(6):
        run.plain(7, 7, 7)
    run.plain(8, 8, 7)
    run.plain(8, 8, 7, hours=0.5)

    assert run.named() == {}


def test_a_secondary_that_stays_behind_the_others_is_stale() -> None:
    run = Plain()
    run.plain(7, 7, 7)
    for _ in range(6):
        run.plain(8, 8, 7)

    assert run.named() == {"bank.example. SOA": OWN[2:]}


@pytest.mark.parametrize("servers", [2, 3])
def test_a_transfer_that_takes_its_time_is_nothing(servers: int) -> None:
    run = Plain()
    run.plain(*[7] * servers)
    for serial in range(8, 30):
        run.plain(*[serial - 1] * (servers - 1), serial, answers={NAME: (f"192.0.2.{serial}",)}, hours=0.5)
        run.plain(*[serial] * servers, hours=0.5)

    assert run.named() == {}


def test_where_the_zone_is_signed_the_newest_serial_counts() -> None:
    run = Sweeping()
    run.sweep()
    run.times(6, own(3, serial=9))

    assert run.open == {"auth_answer_divergence": OWN[:2]}

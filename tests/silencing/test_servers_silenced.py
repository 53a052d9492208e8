"""What somebody does who holds one server of a zone, or a zone, so that a fault of servers is not told."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from schemas.judgement import Reason, Verdict
from schemas.messages import ServerSight, ServerStatus, SignatureState
from tests.support.making import AT, judgement, observation, snapshot, with_zones
from tests.support.sweeps import HOUR, NS, OWN, ZONE, Sweeping, invalid, of_parent, own, sweep

SILENT = {"status": ServerStatus.SILENT, "detail": "timeout"}
NOT_ASKED = {"status": ServerStatus.NOT_ASKED, "detail": "beyond the bounds"}
NAME = "api.bank.example. A"
FORGED = {"answers": {NAME: ("203.0.113.66",)}}
DIVERGES = "auth_signature_divergence"


def everybody(**said: Any) -> list[ServerSight]:
    return [*(own(n, **said) for n in (1, 2, 3)), *(of_parent(n, **said) for n in (1, 2))]


def run_in(pipeline: Any, hours: range, *sights: ServerSight, **more: Any) -> None:
    for hour in hours:
        pipeline.at(hour * 60, sweep(*sights, at=AT + hour * HOUR, **more))


def begin(pipeline: Any) -> None:
    pipeline.at(0, snapshot("sa", "api.bank.example"), *with_zones([observation(judgement(), AT)]))


def test_a_second_server_that_breaks_beside_a_known_one_is_told_by_its_address(pipeline: Any) -> None:
    begin(pipeline)
    run_in(pipeline, range(1, 30), own(2, **invalid()))

    run_in(pipeline, range(30, 33), own(2, **invalid()), own(3, **invalid()))

    assert [event for event, _ in pipeline.told if event != "reminder"] == ["trigger", "update"]
    assert "also at fault, of the servers: 192.0.2.3" in [body["reason"] for body in pipeline.desk.pager.bodies]


def test_a_server_that_has_been_down_for_weeks_hides_no_forgery_at_another_one(pipeline: Any) -> None:
    begin(pipeline)
    run_in(pipeline, range(1, 30), own(1, **SILENT))
    assert pipeline.told == [], "low: of no receiver here"

    run_in(pipeline, range(30, 33), own(1, **SILENT), own(2, **invalid()))

    assert [event for event, _ in pipeline.told] == ["trigger"]
    assert DIVERGES in pipeline.said[0]


def test_a_name_that_differs_for_good_hides_no_forgery_of_another_name() -> None:
    run = Sweeping("api.bank.example", "odd.bank.example")
    odd = {"odd.bank.example. A": ("192.0.2.99",)}
    run.times(9, own(2, answers=odd), *(own(n, answers={"odd.bank.example. A": ("192.0.2.1",)}) for n in (1, 3)))

    said = run.times(
        2,
        own(2, answers={**odd, **FORGED["answers"]}),
        *(own(n, answers={"odd.bank.example. A": ("192.0.2.1",), NAME: ("192.0.2.80",)}) for n in (1, 3)),
    )

    assert [(one.cause_rrset, str(one.status)) for one in said] == [(NAME, "opened")]


@pytest.mark.parametrize("between", [SILENT, NOT_ASKED, {"status": ServerStatus.REFUSES, "detail": "SERVFAIL"}])
def test_signatures_that_are_wrong_whenever_a_server_speaks_are_told_and_never_over(between: dict[str, Any]) -> None:
    run = Sweeping()

    for _ in range(8):
        run.sweep(own(2, **invalid()))
        run.sweep(own(2, **between))
        run.sweep(own(2, **between))

    assert run.open[DIVERGES] == OWN[1:2]


def test_a_forgery_dealt_out_among_good_sweeps_is_told() -> None:
    run = Sweeping()

    for _ in range(3):
        run.sweep(own(2, **invalid()))
        run.times(2)

    assert [one.code for one in run.said] == [DIVERGES]


def test_a_sweep_in_which_nobody_was_asked_opens_and_closes_nothing() -> None:
    run = Sweeping()
    run.times(2, own(2, **invalid()), own(3, **SILENT), unresolved=("ns9.gone.example.: it does not exist",))
    was = run.open

    assert run.times(6, *everybody(**NOT_ASKED), unresolved=("ns9.gone.example.: not asked",), windows=()) == []
    assert run.open == was
    assert set(was) == {DIVERGES, "auth_server_unreachable", "delegation_dangling"}


def test_our_own_network_that_is_out_blames_no_zone_and_heals_none() -> None:
    run = Sweeping()
    run.times(2, own(2, **invalid()))

    assert run.times(6, *everybody(**SILENT), verdict=Verdict.INDETERMINATE, windows=(), alarm=True) == []
    assert run.open == {DIVERGES: OWN[1:2]}


def test_a_zone_that_names_another_ones_servers_and_faults_stays_the_cause() -> None:
    run = Sweeping()
    victim = Reason("rrsig_crypto_invalid", "victim.example.", "as the victim's server says", 6, "victim.example. SOA")

    run.times(
        3,
        own(2, signatures=SignatureState.INVALID, reasons=(victim,), ns=("ns1.victim.example.",)),
        own(3, answers={"www.victim.example. A": ("203.0.113.66",)}),
        unresolved=("ns1.victim.example.: it does not exist",),
    )

    assert {one.cause_zone for one in run.said} == {ZONE}
    assert len(run.said) >= 3


def test_no_server_of_a_zone_can_bring_a_finding_on_the_parent() -> None:
    run = Sweeping()

    for said in (invalid("example.", "example. SOA"), {"signatures": SignatureState.MISSING}, SILENT, {"ds": ("x",)}):
        run.times(4, own(1, **said), alarm=True)

    assert {one.cause_zone for one in run.said} == {ZONE}


def test_a_server_of_the_parent_that_signs_wrongly_is_the_parents_fault() -> None:
    run = Sweeping()

    run.times(2, of_parent(2, **invalid("example.", f"{ZONE} DS")))

    assert [(one.code, one.cause_zone, one.servers) for one in run.said] == [(DIVERGES, "example.", ("198.51.100.2",))]
    assert run.said[0].endpoints == (NAME,), "and not all that lies below the parent"


def test_a_serial_from_far_ahead_excuses_a_forgery_for_no_longer_than_a_refresh() -> None:
    run = Sweeping()
    run.sweep()
    forged = own(2, serial=2**31 - 1, refresh_s=2**31, **FORGED)

    run.times(30, forged)

    assert "auth_answer_divergence" in {one.code for one in run.said}
    assert min(one.opened_at for one in run.said) <= AT + timedelta(hours=6)


def test_a_forger_that_answers_anew_each_time_does_not_excuse_itself() -> None:
    run = Sweeping()

    for turn in range(6):
        run.sweep(own(2, answers={NAME: (f"203.0.113.{turn}",)}))

    assert run.open["auth_answer_divergence"] == OWN[1:2]


def test_many_odd_names_leave_room_for_faults_of_another_kind() -> None:
    hosts = [f"h{n}.bank.example" for n in range(600)]
    run = Sweeping(*hosts)
    many = {f"{host}. A": ("192.0.2.1",) for host in hosts}
    others = dict.fromkeys(many, ("192.0.2.2",))

    run.times(2, own(2, answers=many), *(own(n, answers=others) for n in (1, 3)))
    run.times(2, own(2, answers=many, **invalid()), *(own(n, answers=others) for n in (1, 3)))

    assert run.open[DIVERGES] == OWN[1:2]
    assert len(run.analysis.findings()) == 5, "three names by themselves, the rest as one"


def test_a_server_taken_out_and_put_back_is_not_healed_in_between() -> None:
    run = Sweeping()
    run.times(2, own(3, **invalid()))
    two = [own(1), own(2), of_parent(1), of_parent(2)]

    for _ in range(4):
        assert run.alone(*two) == []
        assert run.alone(*two) == []
        assert run.sweep(own(3, **invalid())) == []
    assert run.open[DIVERGES] == OWN[2:]


def test_a_delegation_that_is_not_known_makes_no_server_leave() -> None:
    run = Sweeping()
    run.times(2, own(3, **invalid()))

    for _ in range(6):
        run.alone(own(1), of_parent(1, **SILENT), of_parent(2, **SILENT))

    assert run.open[DIVERGES] == OWN[2:]


def test_a_move_that_was_undone_within_the_hour_is_still_told(pipeline: Any) -> None:
    """As in a hijack: the delegation leads elsewhere for one sweep."""
    begin(pipeline)
    run_in(pipeline, range(1, 3))
    pipeline.at(150, sweep(*(of_parent(n, ns=("ns.evil.test.",)) for n in (1, 2)), at=AT + timedelta(minutes=150)))
    run_in(pipeline, range(3, 9))

    drifts = [one for one in pipeline.findings if one.code == "ns_set_changed"]
    assert [one.after for one in drifts] == ["ns.evil.test.", ", ".join(NS)]
    assert "resolve" not in [event for event, _ in pipeline.told]
    assert "trigger" in [event for event, _ in pipeline.told]


def test_a_hostile_zone_with_ten_thousand_servers_is_one_finding_of_bounded_size() -> None:
    run = Sweeping()
    crowd = [
        ServerSight(server=f"10.{n >> 8}.{n & 255}.1", name=f"n{n}.bank.example.", status=ServerStatus.LAME)
        for n in range(10_000)
    ]

    run.times(2, *crowd)

    (found,) = run.analysis.findings()
    assert found.code == "auth_server_unreachable"
    assert len(msgspec.json.encode(found)) < 30_000


def test_a_malformed_record_ends_no_analysis() -> None:
    run = Sweeping()

    for text in ("", "x", "1 2", "0 0", "1 13 2", "70000 300 2 zz", "257 3 13 ?", "a b c d"):
        odd = {"cds": (text,), "cdnskey": (text,), "ds": (text,), "ns": ("",)}
        run.times(2, own(1, **odd), of_parent(1, **odd), unresolved=(text, "no colon"))

    assert run.open


class TestSerialFromTheFuture:
    """One server of three answers with a forged address, and a serial that is later than that of all others."""

    def test_where_the_zone_is_signed_it_blames_no_honest_server(self) -> None:
        run = Sweeping()
        run.times(2)

        run.times(48, own(2, serial=2**31, **FORGED, **invalid()))

        assert run.open["auth_answer_divergence"] == (OWN[1],)
        assert run.open[DIVERGES] == (OWN[1],)

    def test_a_server_that_strips_signatures_sets_no_serial_either(self) -> None:
        run = Sweeping()
        run.times(2)

        run.times(48, own(2, serial=2**31, signatures=SignatureState.MISSING, **FORGED))

        assert run.open["auth_answer_divergence"] == (OWN[1],)

    def test_a_secondary_whose_signatures_ran_out_is_stale_all_the_same(self) -> None:
        run = Sweeping()
        run.sweep(*(own(n, serial=7) for n in (1, 2, 3)))

        run.times(30, own(1, serial=9), own(2, serial=9), own(3, serial=7, **invalid()))

        assert OWN[2] in run.open["auth_answer_divergence"]
        assert run.open[DIVERGES] == (OWN[2],)

"""Servers of a zone held against each other: what opens a finding, what closes it, and what is no fault at all."""

from typing import Any

import pytest

from schemas.catalogue import Severity
from schemas.judgement import Verdict
from schemas.messages import ServerStatus, SignatureState
from tests.support.making import key
from tests.support.sweeps import OWN, PARENTS, ZONE, Sweeping, invalid, of_parent, own

SILENT = {"status": ServerStatus.SILENT, "detail": "timeout"}
STRIPS = {"signatures": SignatureState.MISSING, "keys": ()}
NAME = "api.bank.example. A"


def told(found: Any) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(one.code, str(one.status), str(one.severity), one.servers) for one in found]


class TestEachFault:
    """One bad look opens nothing, the second one does; three good ones close it, and the servers are named."""

    @pytest.mark.parametrize(
        ("code", "severity", "bad", "servers"),
        [
            ("auth_signature_divergence", "high", [own(2, **invalid())], OWN[1:2]),
            ("auth_signature_divergence", "high", [own(1, **invalid()), own(2, **invalid())], OWN[:2]),
            ("auth_server_unsigned", "high", [own(3, **STRIPS)], OWN[2:]),
            ("auth_server_unreachable", "low", [own(1, **SILENT)], OWN[:1]),
            ("auth_server_unreachable", "low", [own(1, status=ServerStatus.LAME)], OWN[:1]),
            ("auth_server_unreachable", "low", [own(1, status=ServerStatus.REFUSES, detail="SERVFAIL")], OWN[:1]),
            ("auth_server_unreachable", "high", [own(n, **SILENT) for n in (1, 2, 3)], OWN),
            ("auth_dnskey_divergence", "medium", [own(2, keys=(key(1, entry=True), key(3)))], OWN[1:2]),
            ("auth_ds_divergence", "high", [of_parent(2, ds=("9 13 2 BB",))], PARENTS),
            ("auth_ds_divergence", "high", [of_parent(2, ds=())], PARENTS),
            ("auth_answer_divergence", "low", [own(2, answers={NAME: ("203.0.113.66",)})], OWN[1:2]),
            ("auth_answer_divergence", "low", [own(2, answers={NAME: ()})], OWN[1:2]),
        ],
    )
    def test_opens_at_the_second_look_and_closes_after_three_good_ones(
        self, code: str, severity: str, bad: list[Any], servers: tuple[str, ...]
    ) -> None:
        run = Sweeping()
        run.sweep()

        assert run.sweep(*bad) == []
        (opened,) = run.sweep(*bad)
        assert told([opened]) == [(code, "opened", severity, servers)]
        assert opened.confirmed
        assert (opened.cause_zone, opened.vantages) == (ZONE, ("authoritative",))
        assert opened.endpoints == (NAME,)
        assert [one.id for one in opened.identities] == ["sa"]
        assert all(server in opened.detail for server in servers)
        assert run.times(2) == []
        assert told(run.sweep()) == [(code, "closed", severity, servers)]
        assert run.open == {}


def test_a_single_timeout_is_not_told() -> None:
    run = Sweeping()

    for _ in range(10):
        assert run.sweep(own(1, **SILENT)) == []
        assert run.times(3) == []


@pytest.mark.parametrize(
    ("code", "bad"),
    [("auth_signature_divergence", own(2, **invalid())), ("auth_server_unsigned", own(2, **STRIPS))],
)
def test_a_sweep_made_for_an_alarm_confirms_by_itself_what_servers_say(code: str, bad: Any) -> None:
    run = Sweeping()

    assert told(run.sweep(bad, alarm=True, verdict=Verdict.BOGUS)) == [(code, "opened", "high", OWN[1:2])]


def test_a_sweep_made_for_an_alarm_confirms_no_silence() -> None:
    run = Sweeping()

    assert run.sweep(own(1, **SILENT), alarm=True, verdict=Verdict.INDETERMINATE) == []


def test_a_zone_that_is_wrong_on_every_server_is_no_divergence() -> None:
    run = Sweeping()

    assert run.times(4, *(own(n, **invalid()) for n in (1, 2, 3)), alarm=True, verdict=Verdict.BOGUS) == []
    assert run.times(4, *(own(n, **STRIPS) for n in (1, 2, 3)), alarm=True, verdict=Verdict.BOGUS) == []


def test_an_unsigned_zone_has_no_signatures_to_differ_in() -> None:
    run = Sweeping()
    plain = [own(n, signatures=SignatureState.UNKNOWN, keys=()) for n in (1, 2, 3)]
    parents = [of_parent(n, ds=()) for n in (1, 2)]

    assert run.times(4, *plain, *parents, verdict=Verdict.INSECURE, windows=()) == []


def test_what_a_signed_zone_showed_is_over_once_it_is_proven_unsigned() -> None:
    run = Sweeping()
    run.times(2, own(2, keys=(key(1, entry=True), key(3)), **invalid()))
    assert set(run.open) == {"auth_signature_divergence", "auth_dnskey_divergence"}
    plain = [own(n, signatures=SignatureState.UNKNOWN, keys=()) for n in (1, 2, 3)]

    run.times(3, *plain, *(of_parent(n, ds=()) for n in (1, 2)), verdict=Verdict.INSECURE, windows=())

    assert run.open == {}


def test_a_ds_set_on_its_way_to_all_servers_of_the_parent_is_silent() -> None:
    """A sweep that says something new comes again after minutes."""
    run = Sweeping()
    run.sweep()
    new = ("1 13 2 AA", "9 13 2 BB")

    assert run.times(6, of_parent(1, ds=new), hours=1 / 12) == []
    assert run.times(4, *(of_parent(n, ds=new) for n in (1, 2))) == []


class TestKeys:
    def keys(self, number: int) -> Any:
        return (key(number, entry=True), key(20), key(30))

    def test_several_signers_are_information(self) -> None:
        run = Sweeping()
        signers = [own(1, keys=self.keys(1)), own(2, keys=self.keys(1)), own(3, keys=self.keys(9))]

        (opened,) = run.times(2, *signers)

        assert told([opened]) == [("auth_dnskey_divergence", "opened", "info", OWN[2:])]

    def test_a_signer_that_lacks_the_others_zone_signing_key_is_no_information(self) -> None:
        run = Sweeping()

        (opened,) = run.times(2, own(3, keys=(key(9, entry=True), key(20))), own(1, keys=self.keys(1)))

        assert opened.severity is Severity.MEDIUM

    def test_a_server_without_valid_signatures_is_no_signer(self) -> None:
        run = Sweeping()
        signers = [own(n, keys=self.keys(1)) for n in (1, 2)]

        run.times(2, *signers, own(3, keys=self.keys(9), **invalid()))

        keys = next(one for one in run.analysis.findings() if one.code == "auth_dnskey_divergence")
        assert keys.severity is Severity.MEDIUM

    def test_the_order_of_keys_is_no_difference(self) -> None:
        run = Sweeping()

        assert run.times(3, own(2, keys=(key(2), key(1, entry=True)))) == []


class TestLag:
    """A secondary has the time that a refresh takes; then it is stale."""

    def test_a_secondary_that_is_behind_for_less_than_a_refresh_is_silent(self) -> None:
        run = Sweeping()
        run.sweep()
        new = {"serial": 9, "answers": {NAME: ("192.0.2.81",)}, "keys": (key(1, entry=True), key(3))}

        assert run.times(2, own(1, **new), own(2, **new), hours=0.5) == [], "the third is behind"
        assert run.times(5, *(own(n, **new) for n in (1, 2, 3))) == []

    def test_a_primary_that_is_ahead_of_all_is_silent_for_as_long(self) -> None:
        run = Sweeping()
        run.sweep()

        assert run.times(2, own(1, serial=9, answers={NAME: ("192.0.2.81",)}), hours=0.5) == []

    def test_a_secondary_that_stays_behind_is_stale(self) -> None:
        run = Sweeping()
        run.sweep()
        new = [own(n, serial=9) for n in (1, 2)]

        (opened,) = run.times(5, *new)

        assert told([opened]) == [("auth_answer_divergence", "opened", "low", OWN[2:])]
        assert opened.cause_rrset == f"{ZONE} SOA"
        assert "stale: serial 7, the newest is 9" in opened.detail
        assert opened.endpoints == (NAME,)
        assert told(run.times(3, *new, own(3, serial=9)))[0][:2] == ("auth_answer_divergence", "closed")

    def test_what_a_stale_server_says_otherwise_is_told_too(self) -> None:
        run = Sweeping()
        run.sweep()
        new = {"serial": 9, "answers": {NAME: ("192.0.2.81",)}}

        said = run.times(5, own(1, **new), own(2, **new))

        assert [(one.cause_rrset, one.servers) for one in said] == [(NAME, OWN[2:]), (f"{ZONE} SOA", OWN[2:])]

    def test_stale_servers_do_not_outvote_the_one_that_is_not(self) -> None:
        run = Sweeping()
        run.sweep()

        said = run.times(5, own(1, serial=9, answers={NAME: ("192.0.2.81",)}))

        assert {one.servers for one in said if one.cause_rrset == NAME} == {OWN[1:]}

    def test_a_refresh_of_a_second_still_leaves_minutes_for_a_transfer(self) -> None:
        run = Sweeping()
        run.sweep()
        new = [own(n, serial=9, refresh_s=1, answers={NAME: ("192.0.2.81",)}) for n in (1, 2)]

        assert run.times(3, *new, own(3, refresh_s=1), hours=1 / 12) == []

    def test_serials_that_move_all_the_time_make_nobody_stale(self) -> None:
        run = Sweeping()

        for serial in range(100, 200, 2):
            assert run.sweep(own(1, serial=serial), own(2, serial=serial - 1), own(3, serial=serial - 2)) == []

    def test_a_serial_that_wraps_around_is_later(self) -> None:
        run = Sweeping()
        run.sweep(*(own(n, serial=2**32 - 1) for n in (1, 2, 3)))

        new = {"serial": 1, "answers": {NAME: ("192.0.2.81",)}}
        assert run.sweep(own(1, **new), own(2, **new), own(3, serial=2**32 - 1), hours=0.5) == []

    def test_a_third_server_that_lags_excuses_none_that_differs_at_the_same_serial(self) -> None:
        run = Sweeping()

        run.times(2, own(1, serial=9), own(2, serial=9, answers={NAME: ("203.0.113.66",)}), hours=0.5)

        assert run.open["auth_answer_divergence"] == OWN[1:2]


class TestAnswers:
    def test_a_divergence_affects_the_one_name(self) -> None:
        run = Sweeping("api.bank.example", "www.bank.example")

        (opened,) = run.times(2, own(2, answers={NAME: ("203.0.113.66",)}))

        assert (opened.cause_rrset, opened.endpoints, opened.endpoint_count) == (NAME, (NAME,), 1)

    def test_answers_that_rotate_at_every_server_are_silent(self) -> None:
        run = Sweeping()

        for turn in range(12):
            rotated = [own(n, answers={NAME: (f"192.0.2.{80 + (turn + n) % 5}",)}) for n in (1, 2, 3)]
            assert run.sweep(*rotated) == []

    def test_what_most_servers_say_is_right(self) -> None:
        run = Sweeping()

        (opened,) = run.times(2, own(1, answers={NAME: ("203.0.113.66",)}))

        assert opened.servers == OWN[:1]
        assert "203.0.113.66, others 192.0.2.80" in opened.detail

    def test_of_two_that_differ_both_are_named(self) -> None:
        run = Sweeping()
        run.hours += 1
        two = [own(1), own(2, answers={NAME: ("203.0.113.66",)}), of_parent(1)]

        run.alone(*two)
        (opened,) = run.alone(*two)

        assert opened.servers == OWN[:2]

    def test_a_name_that_is_not_asked_for_any_more_tells_nothing(self) -> None:
        run = Sweeping()
        run.times(2, own(2, answers={NAME: ("203.0.113.66",)}))

        assert run.times(5, *(own(n, answers={}) for n in (1, 2, 3))) == []
        assert "auth_answer_divergence" in run.open


class TestReachability:
    def test_one_that_is_down_for_long_and_a_single_timeout_of_the_rest_do_not_make_it_high(self) -> None:
        run = Sweeping()
        run.times(5, own(1, **SILENT))

        run.sweep(*(own(n, **SILENT) for n in (1, 2, 3)))

        (found,) = run.analysis.findings()
        assert (found.severity, found.servers) == (Severity.LOW, OWN[:1])

    def test_it_is_low_again_once_one_answers(self) -> None:
        run = Sweeping()
        run.times(3, *(own(n, **SILENT) for n in (1, 2, 3)))

        run.times(4, own(1, **SILENT))

        (found,) = run.analysis.findings()
        assert (found.severity, found.servers) == (Severity.LOW, OWN[:1])

    def test_a_family_in_which_nobody_is_heard_is_not_blamed(self) -> None:
        run = Sweeping()
        six = own(1, **SILENT)
        six = type(six)(server="2001:db8::1", name=six.name, status=ServerStatus.SILENT)

        assert run.times(4, six) == []

    def test_a_server_that_is_no_server_of_the_zone_any_more_is_over(self) -> None:
        run = Sweeping()
        run.times(2, own(3, **SILENT))
        two = [own(1), own(2), of_parent(1), of_parent(2)]

        said = [one for _ in range(3) for one in run.alone(*two)]

        assert told(said) == [("auth_server_unreachable", "closed", "low", OWN[2:])]

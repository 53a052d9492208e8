"""What a zone asks its parent for. Digests and tags are held against dnspython's."""

import base64
from datetime import timedelta
from typing import Any

import dns.dnssec
import dns.name
import dns.rdata
import pytest

from analyzer.zones.cds import asked_but_absent
from schemas.catalogue import Severity
from schemas.judgement import Reason, Verdict, ZoneKey
from schemas.messages import SignatureState
from tests.support.sweeps import OWN, ZONE, Sweeping, of_parent, own

DELETE = {"cds": ("0 0 0 00",), "cdnskey": ("0 3 0 AA==",)}


def cdnskey(number: int) -> str:
    return f"257 3 13 {base64.b64encode(bytes([number]) * 64).decode()}"


def ds(number: int, digest: str = "SHA256") -> str:
    key: Any = dns.rdata.from_text("IN", "DNSKEY", cdnskey(number))
    return dns.dnssec.make_ds(dns.name.from_text(ZONE), key, digest).to_text()


def keys(*numbers: int) -> tuple[ZoneKey, ...]:
    return tuple(ZoneKey(int(ds(number).split()[0]), 13, 257, None, f"k{number}") for number in numbers)


def asks(*numbers: int, **more: Any) -> dict[str, Any]:
    asked = {"cds": tuple(map(ds, numbers)), "cdnskey": tuple(map(cdnskey, numbers))}
    return {"keys": keys(1, 2), **asked, **more}


def all_of(**said: Any) -> list[Any]:
    return [*(own(n, **said) for n in (1, 2, 3)), *(of_parent(n, ds=(ds(1),)) for n in (1, 2))]


class TestPending:
    def test_a_ds_that_the_parent_lacks_is_information_and_medium_after_days(self) -> None:
        run = Sweeping()

        (opened,) = run.times(2, *all_of(**asks(2)))
        assert (opened.code, str(opened.severity), opened.servers) == ("cds_pending", "info", OWN)
        assert ds(2).rsplit(" ", 1)[0] in opened.detail

        said = run.times(80, *all_of(**asks(2)))
        assert [(one.code, str(one.severity)) for one in said] == [("cds_pending", "medium")]
        assert said[0].updated_at - opened.opened_at >= timedelta(days=2.9)
        followed = [*(own(n, **asks(2)) for n in (1, 2, 3)), *(of_parent(n, ds=(ds(2),)) for n in (1, 2))]
        assert [str(one.status) for one in run.times(3, *followed)] == ["closed"]

    def test_what_the_parent_follows_within_a_sweep_is_silent(self) -> None:
        run = Sweeping()
        run.sweep(*all_of(**asks(1)))
        run.sweep(*all_of(**asks(1, 2)))
        followed = [*(own(n, **asks(1, 2)) for n in (1, 2, 3)), *(of_parent(n, ds=(ds(1), ds(2))) for n in (1, 2))]

        assert run.times(6, *followed) == []
        assert run.said == []

    def test_a_request_of_less_than_an_hour_is_silent_however_often_it_is_seen(self) -> None:
        assert Sweeping().times(8, *all_of(**asks(1, 2)), hours=0.1) == []

    def test_a_digest_of_the_parents_choice_is_a_ds_for_the_key(self) -> None:
        run = Sweeping()
        parents = [of_parent(n, ds=(ds(1, "SHA384"),)) for n in (1, 2)]

        assert run.times(4, *(own(n, **asks(1)) for n in (1, 2, 3)), *parents) == []

    def test_a_zone_without_any_ds_may_ask_for_years(self) -> None:
        run = Sweeping()
        unsigned = [own(n, **asks(1, signatures=SignatureState.UNKNOWN)) for n in (1, 2, 3)]

        run.times(200, *unsigned, *(of_parent(n, ds=()) for n in (1, 2)), verdict=Verdict.INSECURE, windows=())

        assert [(one.code, one.severity) for one in run.analysis.findings()] == [("cds_pending", Severity.INFO)]

    @pytest.mark.parametrize("number", range(1, 40))
    def test_a_cdnskey_is_the_ds_that_others_make_of_it(self, number: int) -> None:
        sight = own(1, cdnskey=(cdnskey(number),))

        assert asked_but_absent(ZONE, sight, [ds(number)]) == []
        (absent,) = asked_but_absent(ZONE, sight, [])
        assert " ".join(absent) == ds(number)


class TestInvalid:
    @pytest.mark.parametrize(
        ("said", "why"),
        [
            (asks(1, cdnskey=(cdnskey(2),)), "of different keys"),
            (asks(1, cds=("0 0 0 00", ds(1)), cdnskey=()), "beside other records"),
            (asks(3), "is in the zone's DNSKEY set"),
            (asks(1, cds=(), cdnskey=("257 3 13 A",)), "malformed"),
            (asks(1, cds=(), cdnskey=("257 3",)), "malformed"),
            (
                asks(
                    1,
                    signatures=SignatureState.INVALID,
                    reasons=(Reason("rrsig_signer_invalid", ZONE, "signed by example.", None, f"{ZONE} CDS"),),
                ),
                "not validly signed: signed by example.",
            ),
        ],
    )
    def test_a_set_that_no_parent_can_follow(self, said: dict[str, Any], why: str) -> None:
        run = Sweeping()

        run.times(2, *all_of(**said))

        (opened,) = [one for one in run.said if one.code == "cds_invalid"]
        assert (str(opened.severity), opened.servers) == ("low", OWN)
        assert why in opened.detail
        run.times(3, *all_of(**asks(1)))
        assert [str(one.status) for one in run.said if one.code == "cds_invalid"] == ["opened", "closed"]

    def test_servers_that_ask_for_different_sets(self) -> None:
        run = Sweeping()

        run.times(2, *all_of(**asks(1))[:2], own(3, **asks(2)), *(of_parent(n, ds=(ds(1),)) for n in (1, 2)))

        assert run.open["cds_invalid"] == OWN[2:]

    @pytest.mark.parametrize("said", [asks(1), asks(1, cdnskey=()), asks(1, cds=()), asks(1, 2), {}])
    def test_sets_that_a_parent_can_follow_are_silent(self, said: dict[str, Any]) -> None:
        run = Sweeping()

        run.times(4, *all_of(**said))

        assert "cds_invalid" not in run.open

    def test_cds_of_another_digest_match_their_cdnskey(self) -> None:
        run = Sweeping()
        both = tuple(sorted((ds(1), ds(1, "SHA384").upper().replace("SHA384", ""))))

        assert run.times(4, *all_of(**asks(1, cds=both))) == []


class TestDelete:
    CODE = "cds_delete_requested"

    def test_the_request_is_told_at_once_and_outlives_its_end(self) -> None:
        run = Sweeping()
        run.sweep(*all_of(**asks(1)))

        (drift,) = run.sweep(*all_of(**DELETE))

        assert (drift.code, str(drift.kind), str(drift.severity), drift.servers) == (self.CODE, "drift", "high", OWN)
        assert drift.after == "CDS 0 0 0 00"
        assert ds(1).rsplit(" ", 1)[0] in drift.before
        assert drift.endpoints == ("api.bank.example. A",)
        assert run.times(10, *all_of(**DELETE)) == []
        assert [one.code for one in run.times(10, *all_of(**asks(1))) if one.code == self.CODE] == []

    def test_one_server_is_enough(self) -> None:
        run = Sweeping()

        said = run.sweep(own(2, **DELETE), *(of_parent(n, ds=(ds(1),)) for n in (1, 2)))

        assert [(one.code, one.servers) for one in said] == [(self.CODE, OWN[1:2])]

    def test_a_request_that_comes_again_is_told_again(self) -> None:
        run = Sweeping()
        run.sweep(*all_of(**DELETE))
        run.times(3, *all_of(**asks(1)))

        assert self.CODE in {one.code for one in run.sweep(*all_of(**DELETE))}

    def test_a_request_that_is_dealt_out_among_sweeps_is_told_once(self) -> None:
        run = Sweeping()

        for _ in range(10):
            run.sweep(*all_of(**DELETE))
            run.sweep(*all_of(**asks(1)))

        assert [one.code for one in run.said].count(self.CODE) == 1

    def test_a_request_without_valid_signature_is_invalid_and_no_request(self) -> None:
        run = Sweeping()
        reasons = (Reason("rrsig_missing", ZONE, "no signature", 10, f"{ZONE} CDS"),)

        run.times(2, *all_of(**DELETE, signatures=SignatureState.INVALID, reasons=reasons))

        assert {one.code for one in run.said} == {"cds_invalid"}

    def test_another_rrset_that_is_not_validly_signed_does_not_hide_the_request(self) -> None:
        run = Sweeping()
        reasons = (Reason("rrsig_expired", ZONE, "ended", 7, "www.bank.example. A"),)

        said = run.sweep(*all_of(**DELETE, signatures=SignatureState.INVALID, reasons=reasons))

        assert self.CODE in {one.code for one in said}

    def test_a_zone_that_has_no_ds_has_none_to_lose(self) -> None:
        run = Sweeping()
        unsigned = [own(n, **DELETE, signatures=SignatureState.UNKNOWN) for n in (1, 2, 3)]

        run.times(4, *unsigned, *(of_parent(n, ds=()) for n in (1, 2)), verdict=Verdict.INSECURE, windows=())

        assert run.said == []

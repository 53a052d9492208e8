"""The rollovers of RFC 6781 §4.1, step by step as a vantage sees them, and what is unsafe about them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from analyzer.detected import Drift
from analyzer.zones.rollover import Rollover
from schemas.judgement import ChainLink, Verdict, ZoneKey
from schemas.messages import Signing, ZoneObservation
from tests.support.making import AT, key, zone_observation

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KSK, KSK2, ZSK, ZSK2 = key(1, entry=True), key(3, entry=True), key(2), key(4)
OLD_KSK, OLD_ZSK = key(8, entry=True, algorithm=8), key(7, algorithm=8)
DS, DS2, OLD_DS = "1 13 2 AA", "3 13 2 BB", "8 8 2 CC"
TTL = HOUR
"""Of keys and data; DS sets are cached for a day."""
Signers = tuple[ZoneKey, ...]


class Zone:
    """A zone that is looked at; each look holds what caches may have of the one before it."""

    def __init__(self, parent: str = "example.") -> None:
        self.rollover, self.parent = Rollover(), parent
        self.seen: list[Drift] = []
        self._signed: dict[Signers, datetime] = {}
        self._last: datetime | None = None
        self._was: tuple[Signers, ...] = ()

    def look(
        self,
        at: datetime,
        keys: Sequence[ZoneKey],
        ds: Sequence[str] = (DS,),
        signs: Sequence[Signers] = ((ZSK,),),
        *,
        verdict: Verdict = Verdict.SECURE,
        every: timedelta = timedelta(minutes=5),
        signed_by: Sequence[ZoneKey] | None = None,
        ttl: timedelta = TTL,
    ) -> list[Drift]:
        """Look at the zone, which was as it is until ``every`` ago; the same as before is looked at in between.

        ``signed_by`` are the keys that sign the key set, the secure-entry keys if None; ``ttl`` is that of data now.
        """
        looked_at = at - every if self._last is not None else None
        for signers in self._was if self._last is not None else ():
            self._signed[signers] = at - every + TTL
        self._was, self._last = tuple(signs), at
        for signers in signs:
            self._signed[signers] = at + ttl
        entry = [one for one in keys if one.flags & 1] or list(keys)
        tags = tuple(one.tag for one in (entry if signed_by is None else signed_by))
        is_secure = verdict is Verdict.SECURE
        link = ChainLink("bank.example.", verdict, tuple(ds), tuple(keys) if is_secure else (), tags)
        message = zone_observation(link, at, parent=self.parent)
        found = self.rollover.take(_with(message, self._signed, looked_at, key_ttl_s=int(TTL.total_seconds())))
        self.seen += found
        return found

    def forget(self) -> None:
        """Have a new collector look, which saw nothing before."""
        self._signed, self._was, self._last = {}, (), None

    def told(self) -> list[str]:
        return [one.code for one in self.seen]


def _with(
    message: ZoneObservation, signed: dict[Signers, datetime], looked_at: datetime | None, *, key_ttl_s: int
) -> ZoneObservation:
    import msgspec

    signings = tuple(
        Signing(keys=tuple(sorted((one.tag, one.algorithm) for one in signers)), cached_until=until)
        for signers, until in signed.items()
    )
    return msgspec.structs.replace(
        message,
        signings=signings,
        key_ttl_s=key_ttl_s,
        ds_ttl_s=86_400,
        earlier_keys_until=looked_at + TTL if looked_at is not None else None,
        earlier_ds_until=looked_at + DAY if looked_at is not None else None,
    )


@pytest.fixture
def zone() -> Zone:
    return Zone()


class TestSafe:
    def test_a_zone_signing_key_that_is_published_beforehand(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        (published,) = zone.look(AT + DAY, (KSK, ZSK, ZSK2))
        (signs,) = zone.look(AT + 2 * DAY, (KSK, ZSK, ZSK2), signs=((ZSK2,),))
        (gone,) = zone.look(AT + 3 * DAY, (KSK, ZSK2), signs=((ZSK2,),))

        assert zone.told() == ["key_rollover"] * 3
        assert all("zsk_prepublish" in one.detail for one in zone.seen)
        # the look before, five minutes ago, may be in caches for the TTL of the keys
        assert "next: sign with ZSK 4 (algorithm 13), not before 2026-11-25 12:55 UTC" in published.detail
        assert "data are signed by 4 (algorithm 13)" in signs.detail
        assert "the rollover is complete" in gone.detail

    def test_the_old_key_may_go_once_no_cache_has_its_signatures(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK, ZSK2))
        zone.look(AT + DAY, (KSK, ZSK, ZSK2), signs=((ZSK2,),))
        (step,) = [
            one
            for one in zone.rollover.next_steps(zone_at(zone, AT + DAY + timedelta(minutes=30)))
            if "withdraw" in one.what
        ]

        assert step.to_text() == "withdraw ZSK 2 (algorithm 13), not before 2026-11-25 12:55 UTC"

    def test_a_zone_signing_key_with_double_signatures(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (KSK, ZSK, ZSK2), signs=((ZSK, ZSK2),))
        zone.look(AT + 2 * DAY, (KSK, ZSK2), signs=((ZSK2,),))

        assert zone.told() == ["key_rollover"] * 2
        assert all("zsk_double_signature" in one.detail for one in zone.seen)

    def test_a_key_signing_key_beside_the_old_one(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        (published,) = zone.look(AT + DAY, (KSK, KSK2, ZSK))
        (pointed_at,) = zone.look(AT + 2 * DAY, (KSK, KSK2, ZSK), (DS2,))
        (gone,) = zone.look(AT + 4 * DAY, (KSK2, ZSK), (DS2,))

        assert zone.told() == ["key_rollover"] * 3
        assert all("ksk_double_key" in one.detail for one in zone.seen)
        assert "next: publish the DS of KSK 3 (algorithm 13), not before 2026-11-25 12:55 UTC" in published.detail
        assert "next: withdraw KSK 1 (algorithm 13), not before 2026-11-27 11:55 UTC" in pointed_at.detail
        assert "the rollover is complete" in gone.detail

    def test_a_key_signing_key_whose_ds_is_there_beforehand(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        (published,) = zone.look(AT + DAY, (KSK, ZSK), (DS, DS2))
        zone.look(AT + 3 * DAY, (KSK2, ZSK), (DS, DS2))
        (gone,) = zone.look(AT + 4 * DAY, (KSK2, ZSK), (DS2,))

        assert zone.told() == ["key_rollover"] * 3
        assert all("ksk_double_ds" in one.detail for one in zone.seen)
        assert "next: publish the key of DS 3, not before 2026-11-26 11:55 UTC" in published.detail
        assert "the rollover is complete" in gone.detail

    def test_a_single_key_for_both(self, zone: Zone) -> None:
        zone.look(AT, (KSK,), signs=((KSK,),))
        zone.look(AT + DAY, (KSK, KSK2), signs=((KSK,),))
        zone.look(AT + 2 * DAY, (KSK, KSK2), signs=((KSK, KSK2),))
        zone.look(AT + 3 * DAY, (KSK, KSK2), (DS2,), signs=((KSK, KSK2),))
        zone.look(AT + 5 * DAY, (KSK2,), (DS2,), signs=((KSK2,),))

        assert set(zone.told()) == {"key_rollover"}
        assert "csk" in zone.seen[0].detail
        assert "complete" in zone.seen[-1].detail

    def test_a_conservative_change_of_the_algorithm(self, zone: Zone) -> None:
        old, both = (OLD_KSK, OLD_ZSK), (OLD_KSK, OLD_ZSK, KSK, ZSK)
        zone.look(AT, old, (OLD_DS,), signs=((OLD_ZSK,),))
        zone.look(AT + DAY, old, (OLD_DS,), signs=((OLD_ZSK, ZSK),))
        zone.look(AT + 2 * DAY, both, (OLD_DS,), signs=((OLD_ZSK, ZSK),))
        zone.look(AT + 3 * DAY, both, (DS,), signs=((OLD_ZSK, ZSK),))
        zone.look(AT + 5 * DAY, (KSK, ZSK), (DS,), signs=((OLD_ZSK, ZSK),))
        zone.look(AT + 7 * DAY, (KSK, ZSK), (DS,), signs=((ZSK,),))

        assert set(zone.told()) == {"key_rollover"}
        assert all("algorithm_conservative" in one.detail for one in zone.seen)

    def test_its_last_step_is_to_sign_without_the_key_that_went(self, zone: Zone) -> None:
        """RFC 6781 §4.1.4: the old signatures stay until no cache has the old key set. That they end begins nothing."""
        both = (OLD_KSK, OLD_ZSK, KSK, ZSK)
        zone.look(AT, both, (OLD_DS,), signs=((OLD_ZSK, ZSK),))
        zone.look(AT + DAY, both, (DS,), signs=((OLD_ZSK, ZSK),))
        (withdrawn,) = zone.look(AT + 3 * DAY, (KSK, ZSK), (DS,), signs=((OLD_ZSK, ZSK),))
        (ended,) = zone.look(AT + 5 * DAY, (KSK, ZSK), (DS,), signs=((ZSK,),))

        assert "next: sign without key 7 (algorithm 8), not before 2026-11-27 12:55 UTC" in withdrawn.detail
        assert "data are signed by 7 (algorithm 8) no more; the rollover is complete" in ended.detail

    def test_a_key_of_an_algorithm_that_signs_nothing_yet_may_sign_at_once(self, zone: Zone) -> None:
        """RFC 4035 §2.2 wants it to; signatures beside those of before harm no cache."""
        zone.look(AT, (OLD_KSK, OLD_ZSK), (OLD_DS,), signs=((OLD_ZSK,),))
        zone.look(AT + DAY, (OLD_KSK, OLD_ZSK, KSK, ZSK), (OLD_DS,), signs=((OLD_ZSK,),))
        both = zone_at(zone, AT + DAY, (OLD_KSK, OLD_ZSK, KSK, ZSK))

        assert "sign with ZSK 2 (algorithm 13)" in [step.to_text() for step in zone.rollover.next_steps(both)]

    @pytest.mark.parametrize("later", [DAY, 3 * DAY], ids=["cached", "not cached"])
    def test_a_key_whose_ds_went_is_to_be_withdrawn_and_not_to_get_it_back(self, zone: Zone, later: timedelta) -> None:
        zone.look(AT, (KSK, KSK2, ZSK))
        zone.look(AT + DAY, (KSK, KSK2, ZSK), (DS2,))
        (published,) = zone.look(AT + DAY + later, (KSK, KSK2, ZSK, ZSK2), (DS2,))

        assert "withdraw KSK 1 (algorithm 13)" in published.detail
        assert "publish the DS" not in published.detail

    def test_an_instant_is_rounded_up_to_the_minute(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        (published,) = zone.look(AT + DAY + timedelta(seconds=1), (KSK, ZSK, ZSK2))

        assert "not before 2026-11-25 12:56 UTC" in published.detail

    def test_several_signers_whose_servers_answer_in_turn(self, zone: Zone) -> None:
        """RFC 8901 §2.1.2: each signs with its own keys and publishes those of the other."""
        one, other = (KSK, ZSK, ZSK2), (KSK2, ZSK, ZSK2)
        for hour in range(0, 48, 2):
            zone.look(AT + hour * HOUR, one, (DS, DS2), signs=((ZSK,),))
            zone.look(AT + hour * HOUR + HOUR, other, (DS, DS2), signs=((ZSK2,),))

        assert zone.told() == ["key_rollover"], "once, and not for each server that answers"

    def test_what_comes_back_after_a_day_is_told_again(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + HOUR, (KSK, ZSK, ZSK2))
        zone.look(AT + 2 * HOUR, (KSK, ZSK))
        zone.look(AT + 2 * DAY, (KSK, ZSK, ZSK2))

        assert zone.told() == ["key_rollover"] * 2

    def test_a_new_key_of_the_root_is_to_be_trusted_after_the_hold_down(self) -> None:
        root = Zone(parent="")
        root.look(AT, (KSK, ZSK))
        (published,) = root.look(AT + DAY, (KSK, KSK2, ZSK))

        assert published.code == "key_rollover"
        assert "next: trust KSK 3 (algorithm 13) (RFC 5011), not before 2026-12-25 12:00 UTC" in published.detail


class TestUnsafe:
    def test_a_key_that_goes_while_caches_hold_its_ds(self, zone: Zone) -> None:
        """.nz, May 2023: every live check was green."""
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (KSK, KSK2, ZSK))
        zone.look(AT + 2 * DAY, (KSK, KSK2, ZSK), (DS2,))
        found = zone.look(AT + 2 * DAY + 6 * HOUR, (KSK2, ZSK), (DS2,))

        (unsafe,) = [one for one in found if one.code == "rollover_unsafe"]
        assert unsafe.severity == "high"
        assert "the key of DS 1 was withdrawn too early" in unsafe.detail
        assert "until 2026-11-27 11:55 UTC" in unsafe.detail
        assert zone.told().count("rollover_unsafe") == 1

    def test_it_is_said_once_and_not_with_every_look(self, zone: Zone) -> None:
        zone.look(AT, (KSK, KSK2, ZSK))
        zone.look(AT + HOUR, (KSK, KSK2, ZSK), (DS2,))
        for hour in (2, 3, 4):
            zone.look(AT + hour * HOUR, (KSK2, ZSK), (DS2,))

        assert zone.told().count("rollover_unsafe") == 1

    def test_a_zone_signing_key_that_goes_with_its_signatures_cached(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK, ZSK2))
        zone.look(AT + DAY, (KSK, ZSK, ZSK2), signs=((ZSK2,),))
        found = zone.look(AT + DAY + timedelta(minutes=20), (KSK, ZSK2), signs=((ZSK2,),))

        assert [one.code for one in found] == ["key_rollover", "rollover_unsafe"]
        assert "key 2 was withdrawn too early" in found[1].detail

    def test_a_collector_that_started_in_between_hides_no_early_withdrawal(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK, ZSK2))
        zone.look(AT + DAY, (KSK, ZSK, ZSK2), signs=((ZSK2,),))
        zone.forget()
        found = zone.look(AT + DAY + timedelta(minutes=20), (KSK, ZSK2), signs=((ZSK2,),))

        assert any("key 2 was withdrawn too early" in one.detail for one in found)

    def test_a_key_that_signs_before_caches_can_know_it(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        found = zone.look(AT + DAY, (KSK, ZSK, ZSK2), signs=((ZSK2,),))

        assert "rollover_unsafe" in {one.code for one in found}
        assert any("data are signed by key 4 while caches hold a key set without it" in one.detail for one in found)

    def test_a_ds_that_is_swapped_before_caches_know_the_new_key(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (KSK, KSK2, ZSK))
        found = zone.look(AT + DAY + timedelta(minutes=10), (KSK, KSK2, ZSK), (DS2,))

        assert [one.code for one in found] == ["key_rollover", "rollover_unsafe"]

    def test_a_zone_that_goes_unsigned_with_its_ds(self, zone: Zone) -> None:
        """slack.com, 2021."""
        zone.look(AT, (KSK, ZSK))
        (unsafe,) = zone.look(AT + DAY, (), (), signs=((),), verdict=Verdict.INSECURE)

        assert (unsafe.code, unsafe.severity) == ("rollover_unsafe", "critical")
        assert "until 2026-11-26 11:55 UTC" in unsafe.detail

    def test_a_zone_that_goes_unsigned_a_day_after_its_ds_is_none(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (), (), signs=((ZSK,),), verdict=Verdict.INSECURE)
        zone.look(AT + 3 * DAY, (), (), signs=((),), verdict=Verdict.INSECURE)

        assert "rollover_unsafe" not in zone.told()


class TestUnexpected:
    def test_keys_and_ds_replaced_at_once(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        found = zone.look(AT + DAY, (KSK2, ZSK2), (DS2,), signs=((ZSK2,),))

        assert found[0].code == "key_change_unexpected"
        assert found[0].severity == "critical"

    def test_a_ds_beside_the_old_one_does_not_make_a_whole_new_key_set_expected(self, zone: Zone) -> None:
        """An attacker at the registrar adds a DS, waits, and answers with keys of their own."""
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (KSK, ZSK), (DS, DS2))
        found = zone.look(AT + 8 * DAY, (KSK2, ZSK2), (DS, DS2), signs=((ZSK2,),))

        assert found[0].code == "key_change_unexpected"

    def test_nor_does_an_old_key_that_is_listed_and_signs_nothing(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (KSK, ZSK), (DS, DS2))
        found = zone.look(AT + 8 * DAY, (KSK2, ZSK, ZSK2), (DS, DS2), signs=((ZSK2,),))

        assert "rollover_unsafe" in {one.code for one in found}


class TestTags:
    def test_a_tag_that_another_key_had_lately_is_named(self, zone: Zone) -> None:
        other = ZoneKey(ZSK.tag, ZSK.algorithm, ZSK.flags, None, "another")
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (KSK, other))

        assert zone.rollover.reused_tags(zone_at(zone, AT + DAY, (KSK, other))) == [(2, 13)]
        assert zone.rollover.reused_tags(zone_at(zone, AT + 9 * DAY, (KSK, other))) == []

    def test_a_key_that_comes_back_is_none(self, zone: Zone) -> None:
        zone.look(AT, (KSK, ZSK))
        zone.look(AT + DAY, (KSK, ZSK2), signs=((ZSK2,),))

        assert zone.rollover.reused_tags(zone_at(zone, AT + 2 * DAY, (KSK, ZSK))) == []


def zone_at(zone: Zone, at: datetime, keys: Sequence[ZoneKey] = (KSK, ZSK, ZSK2)) -> ZoneObservation:
    """The zone at an instant, not taken in."""
    link = ChainLink("bank.example.", Verdict.SECURE, (DS,), tuple(keys), (1,))
    return _with(zone_observation(link, at, parent=zone.parent), zone._signed, None, key_ttl_s=3600)

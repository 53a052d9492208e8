"""A zone that is taken over with keys of the attacker's own, dressed as a rollover.

The attacker can set DS records (an account at the registrar) and answer for the zone. Old keys they can list, revoke or
imitate, but not sign with.
"""

from datetime import timedelta

import msgspec
import pytest

from schemas.judgement import ZoneKey
from tests.analyzer.test_rollover import DAY, DS, DS2, HOUR, KSK, KSK2, ZSK, ZSK2, Zone
from tests.support.making import AT

REVOKED = msgspec.structs.replace(KSK, tag=KSK.tag + 128, flags=KSK.flags | 0x80)
TWIN = ZoneKey(KSK.tag, KSK.algorithm, KSK.flags, None, "a twin of the entry key")
ZONE_TWIN = ZoneKey(ZSK.tag, ZSK.algorithm, ZSK.flags, None, "a twin of the zone key")
TWIN_DS = "1 13 2 CC"


@pytest.fixture
def zone() -> Zone:
    """A zone whose DS set the attacker has added to, and waited."""
    zone = Zone()
    zone.look(AT, (KSK, ZSK))
    zone.look(AT + DAY, (KSK, ZSK), (DS, DS2))
    return zone


def test_old_keys_that_are_listed_and_sign_nothing_excuse_no_replacement(zone: Zone) -> None:
    found = zone.look(AT + 8 * DAY, (KSK, KSK2, ZSK, ZSK2), (DS, DS2), signs=((ZSK2,),), signed_by=(KSK2,))

    assert (found[0].code, found[0].severity) == ("key_change_unexpected", "critical")


def test_nor_do_they_where_the_new_data_may_not_be_cached(zone: Zone) -> None:
    found = zone.look(
        AT + 8 * DAY + timedelta(seconds=0.4),
        (KSK, KSK2, ZSK, ZSK2),
        (DS, DS2),
        signs=((ZSK2,),),
        signed_by=(KSK2,),
        ttl=timedelta(seconds=-0.4),
    )

    assert found[0].code == "key_change_unexpected"


def test_an_old_key_that_is_revoked_excuses_no_replacement(zone: Zone) -> None:
    found = zone.look(AT + 8 * DAY, (REVOKED, KSK2, ZSK2), (DS, DS2), signs=((ZSK2,),))

    assert found[0].code == "key_change_unexpected"


def test_nor_does_it_as_the_only_overlap(zone: Zone) -> None:
    zone = Zone()
    zone.look(AT, (KSK, ZSK))

    found = zone.look(AT + DAY, (REVOKED, KSK2, ZSK2), (DS2,), signs=((ZSK2,),))

    assert found[0].code == "key_change_unexpected"


@pytest.mark.parametrize("algorithm", [KSK.algorithm, 15])
def test_keys_with_the_tags_of_old_ones_are_not_those(algorithm: int) -> None:
    twin, zone_twin = (msgspec.structs.replace(one, algorithm=algorithm) for one in (TWIN, ZONE_TWIN))
    zone = Zone()
    zone.look(AT, (KSK, ZSK))
    zone.look(AT + DAY, (KSK, ZSK), (DS, TWIN_DS))

    found = zone.look(
        AT + 8 * DAY,
        (KSK, twin, ZSK, zone_twin),
        (DS, TWIN_DS),
        signs=((zone_twin,),),
        signed_by=(twin,),
    )

    assert found[0].code == "key_change_unexpected"


def test_a_replacement_that_is_shown_now_and_then_is_told_each_time(zone: Zone) -> None:
    for hour in range(0, 6, 2):
        zone.look(AT + 8 * DAY + hour * HOUR, (KSK2, ZSK2), (DS, DS2), signs=((ZSK2,),))
        zone.look(AT + 8 * DAY + (hour + 1) * HOUR, (KSK, ZSK), (DS, DS2))

    assert zone.told().count("key_change_unexpected") >= 3

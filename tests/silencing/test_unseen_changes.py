"""What changes while nobody looks: at a restart of the collector, or of the analyzer, or while the watch is blind."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
import pytest

from schemas.catalogue import Severity
from schemas.judgement import ChainLink, Verdict
from schemas.messages import Observation, ZoneObservation
from tests.support.making import AT, judgement, key, link, observation, polls, snapshot, zone_observation
from tests.support.watching import Watching

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONE = "bank.example."
KSK, KSK2, ZSK, ZSK2 = key(1, entry=True), key(3, entry=True), key(2), key(4)
DS, DS2 = "1 13 2 AA", "3 13 2 BB"


def zone(at: datetime, keys: Any = (KSK, ZSK), ds: Any = (DS,), **more: Any) -> ZoneObservation:
    """The zone as a collector sees it that has just been started: it does not know what was there before."""
    signed_by = tuple(one.tag for one in keys if one.flags & 1)
    seen = ChainLink(ZONE, Verdict.SECURE, tuple(ds), tuple(keys), signed_by)
    fields = {"key_ttl_s": 3600, "ds_ttl_s": 86_400, "from_servers": True, **more}
    return msgspec.structs.replace(zone_observation(seen, at, parent="example."), **fields)


def answer(at: datetime) -> Observation:
    bare = judgement(chain=(link("."), link("example."), link(ZONE)))
    return msgspec.structs.replace(observation(bare, at), id=f"o{at.timestamp()}")


@pytest.fixture
def watching() -> Watching:
    watching = Watching()
    watching.at(AT, snapshot("sa", "api.bank.example"), zone(AT), answer(AT))
    return watching


class TestAtARestart:
    """The DS set goes over to a key that was published in good time, and the old key is withdrawn at once."""

    PUBLISHED = (KSK, KSK2, ZSK)

    def swap(self, watching: Watching, at: datetime, *, of_analyzer: str = "", **more: Any) -> None:
        watching.at(AT + HOUR, zone(AT + HOUR, self.PUBLISHED, earlier_keys_until=AT + 2 * HOUR, **more))
        watching.at(at - MINUTE, polls(answer(AT), at=at - MINUTE))
        if of_analyzer == "before":
            watching.restart()
        watching.at(at, zone(at, self.PUBLISHED, (DS2,), **more))
        if of_analyzer == "between":
            watching.restart()
        watching.at(at + HOUR, zone(at + HOUR, (KSK2, ZSK), (DS2,), **more))

    @pytest.mark.parametrize("of_analyzer", ["", "before", "between"])
    @pytest.mark.parametrize("days", [0.5, 20])
    def test_a_key_withdrawn_too_early_is_told(self, watching: Watching, of_analyzer: str, days: float) -> None:
        self.swap(watching, AT + days * DAY, of_analyzer=of_analyzer)

        (found,) = watching.last("rollover_unsafe")
        assert "the key of DS 1 was withdrawn too early" in found.detail

    def test_through_a_cache_the_copies_that_were_told_count(self, watching: Watching) -> None:
        at = AT + 0.5 * DAY
        self.swap(watching, at, from_servers=False, ds_until=at + 3 * HOUR)

        assert len(watching.last("rollover_unsafe")) == 1

    def test_and_none_that_were_not_seen(self, watching: Watching) -> None:
        """A cache may have shown its copy of the DS set for a day after the zone changed it."""
        at = AT + 0.5 * DAY
        self.swap(watching, at, from_servers=False, ds_until=at + 0.5 * HOUR)

        assert watching.last("rollover_unsafe") == []

    def test_a_rollover_that_waits_is_silent(self, watching: Watching) -> None:
        watching.at(AT + HOUR, zone(AT + HOUR, self.PUBLISHED, earlier_keys_until=AT + 2 * HOUR))
        watching.at(AT + 3 * HOUR, zone(AT + 3 * HOUR, self.PUBLISHED, (DS2,)))
        watching.at(AT + 28 * HOUR, zone(AT + 28 * HOUR, (KSK2, ZSK), (DS2,)))

        assert watching.last("rollover_unsafe") == watching.last("key_change_unexpected") == []


class TestBlind:
    """All keys and the DS set are replaced while the zone is not seen."""

    REPLACED: ClassVar[dict[str, Any]] = {"keys": (KSK2, ZSK2), "ds": (DS2,)}

    def test_for_longer_than_a_safe_rollover_takes_it_is_told_as_what_it_is(self, watching: Watching) -> None:
        watching.at(AT + 21 * DAY, zone(AT + 21 * DAY, **self.REPLACED))

        (found,) = watching.last("key_change_unexpected")
        assert found.severity is Severity.MEDIUM
        assert "was not seen from 2026-11-24 12:00 UTC to 2026-12-15 12:00 UTC" in found.detail
        assert "is not known" in found.detail
        assert all(one.severity.rank <= Severity.MEDIUM.rank for one in watching.last("ds_changed"))

    @pytest.mark.parametrize("restarts", [False, True])
    @pytest.mark.parametrize("days", [0.1, 1, 3, 4])
    def test_for_less_it_is_as_grave_as_ever(self, watching: Watching, days: float, restarts: bool) -> None:
        if restarts:
            watching.restart()
        watching.at(AT + days * DAY, zone(AT + days * DAY, **self.REPLACED))

        assert [one.severity for one in watching.last("key_change_unexpected")] == [Severity.CRITICAL]

    def test_polls_that_went_on_are_no_gap(self, watching: Watching) -> None:
        """The zone was told three weeks ago, and a name of it was polled ever since."""
        seen = answer(AT)
        watching.at(AT + 21 * DAY - MINUTE, polls(seen, at=AT + 21 * DAY - MINUTE))
        watching.at(AT + 21 * DAY, zone(AT + 21 * DAY, **self.REPLACED))

        assert [one.severity for one in watching.last("key_change_unexpected")] == [Severity.CRITICAL]

    def test_nor_is_a_zone_that_was_told_again(self, watching: Watching) -> None:
        watching.at(AT + 20 * DAY, zone(AT + 20 * DAY))
        watching.at(AT + 21 * DAY, zone(AT + 21 * DAY, **self.REPLACED))

        assert [one.severity for one in watching.last("key_change_unexpected")] == [Severity.CRITICAL]

    def test_long_ttls_of_before_need_a_longer_gap(self) -> None:
        watching = Watching()
        week = {"key_ttl_s": 604_800, "ds_ttl_s": 604_800}
        watching.at(AT, snapshot("sa", "api.bank.example"), zone(AT, **week), answer(AT))
        watching.at(AT + 15 * DAY, zone(AT + 15 * DAY, **self.REPLACED))

        assert [one.severity for one in watching.last("key_change_unexpected")] == [Severity.CRITICAL]

    def test_protection_that_was_lost_meanwhile_is_as_grave_as_ever(self, watching: Watching) -> None:
        unsigned = ChainLink(ZONE, Verdict.INSECURE)
        watching.at(AT + 21 * DAY, zone_observation(unsigned, AT + 21 * DAY, parent="example."))

        assert [one.severity for one in watching.last("secure_to_insecure")] == [Severity.CRITICAL]

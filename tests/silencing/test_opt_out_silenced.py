"""Opt-out turned on, and what only looks like it: spans that differ, servers that differ, parameters that change.

The collector's own memory makes the messages, and the timeline judges them.
"""

import random
from datetime import timedelta

import pytest

from analyzer.zones.timeline import Timeline
from collector.dnssec.judgement import ZoneFacts
from collector.polling.denials import FORGOTTEN_AFTER
from collector.polling.zones import ZonesTold
from schemas.judgement import ChainLink, Verdict, ZoneKey
from schemas.messages import DenialParameters, DenialSpan, Evidence
from tests.support.making import AT

EVIDENCE = Evidence(digest="e", name="a.", type="A", at=AT, messages=(), trust_anchors=(), policy={})
KEYS = (ZoneKey(1, 13, 257, None, "digest1"),)
LINK = ChainLink("example.", Verdict.SECURE, ("1 13 2 AA",), KEYS, (1,))
PLAIN = (DenialSpan(0, "", "10", "20"), DenialSpan(0, "", "50", "60"), DenialSpan(0, "", "f0", "10"))
OPTED = tuple(DenialSpan(0, "", one.first, one.next, opt_out=True) for one in PLAIN)
ELSEWHERE = DenialSpan(0, "", "80", "90", opt_out=True)
SALTED = DenialSpan(0, "ab", "33", "44")
SALTED_OPTED = DenialSpan(0, "ab", "33", "44", opt_out=True)


class Zone:
    """A zone whose denials are seen one after another, by collectors that may be started anew."""

    def __init__(self) -> None:
        self.timeline, self.seen = Timeline(), 0
        self.told: list[str] = []
        self.messages = 0
        self.restart()

    def restart(self) -> None:
        self.memory = ZonesTold(86_400.0)

    def deny(self, *spans: DenialSpan, times: int = 1) -> "Zone":
        """See a proof by these NSEC3 spans; by NSEC without any."""
        for _ in range(times):
            self.seen += 1
            first = spans[0] if spans else None
            way = DenialParameters()
            if first is not None:
                way = DenialParameters(True, first.iterations, len(first.salt) // 2, any(one.opt_out for one in spans))
            facts = ZoneFacts(LINK, ".", (), (), (), (b"",), denial=way, spans=spans)
            at = AT + timedelta(minutes=self.seen)
            for message in self.memory.see([facts], EVIDENCE, "corp", at, 60.0 * self.seen).news:
                self.messages += 1
                if not self.timeline.adds_nothing(message):
                    self.told += [one.code for one in self.timeline.put(message).drifts]
        return self

    @property
    def downgrades(self) -> int:
        return self.told.count("algorithm_downgraded")


class TestTurnedOn:
    @pytest.mark.parametrize("number", range(3))
    def test_a_span_that_had_none_has_it(self, number: int) -> None:
        assert Zone().deny(PLAIN[number]).deny(OPTED[number]).downgrades == 1

    def test_a_span_that_was_seen_long_before_and_not_lately(self) -> None:
        zone = Zone().deny(PLAIN[0]).deny(PLAIN[1], times=50)

        assert zone.deny(OPTED[0]).downgrades == 1

    def test_a_part_of_a_span_that_a_new_name_split(self) -> None:
        assert Zone().deny(PLAIN[0]).deny(DenialSpan(0, "", "18", "20", opt_out=True)).downgrades == 1

    def test_across_a_restart_of_the_collector(self) -> None:
        zone = Zone().deny(PLAIN[0])
        zone.restart()

        assert zone.deny(OPTED[0]).downgrades == 1

    @pytest.mark.parametrize("before", [(), (PLAIN[0],)], ids=["NSEC", "another salt"])
    def test_with_a_new_chain(self, before: tuple[DenialSpan, ...]) -> None:
        assert Zone().deny(*before).deny(SALTED_OPTED).downgrades == 1

    def test_where_another_span_of_the_zone_always_had_it(self) -> None:
        assert Zone().deny(ELSEWHERE).deny(PLAIN[0]).deny(OPTED[0]).downgrades == 1

    def test_again_after_it_was_off_for_a_hundred_proofs(self) -> None:
        zone = Zone().deny(PLAIN[0]).deny(OPTED[0]).deny(PLAIN[0], times=FORGOTTEN_AFTER + 1)

        assert zone.deny(OPTED[0]).downgrades == 2


class TestNothing:
    def test_spans_that_differ_by_turns(self) -> None:
        zone = Zone()
        for _ in range(50):
            zone.deny(PLAIN[0]).deny(ELSEWHERE)

        assert zone.downgrades == 0
        assert zone.messages <= 2, "and they are not told at each turn"

    def test_spans_that_differ_in_one_proof(self) -> None:
        zone = Zone()
        for _ in range(50):
            zone.deny(PLAIN[0], ELSEWHERE).deny(PLAIN[1])

        assert zone.downgrades == 0

    @pytest.mark.parametrize("spans", [(PLAIN[0], OPTED[0]), (PLAIN[0], SALTED_OPTED)], ids=["one chain", "two"])
    def test_servers_that_differ_are_told_once(self, spans: tuple[DenialSpan, DenialSpan]) -> None:
        chance, zone = random.Random(7), Zone().deny(spans[0])
        for _ in range(500):
            zone.deny(chance.choice(spans))

        assert zone.downgrades == 1
        assert zone.messages <= 3

    def test_a_new_salt(self) -> None:
        zone = Zone()
        for _ in range(20):
            zone.deny(PLAIN[0]).deny(SALTED)

        assert zone.downgrades == 0

    def test_a_zone_that_always_had_it(self) -> None:
        assert Zone().deny(*OPTED).deny(OPTED[1]).deny(ELSEWHERE).downgrades == 0

    def test_opt_out_turned_off(self) -> None:
        assert Zone().deny(*OPTED).deny(*PLAIN, times=5).downgrades == 0

    def test_nsec_and_nsec3_by_turns(self) -> None:
        zone = Zone()
        for _ in range(50):
            zone.deny().deny(PLAIN[0])

        assert zone.downgrades == 0
        assert zone.messages <= 2

    def test_a_span_never_seen_across_a_restart(self) -> None:
        zone = Zone().deny(PLAIN[0])
        zone.restart()

        assert zone.deny(ELSEWHERE).downgrades == 0

"""Whoever changes a name or a zone with each poll fills no disk, rings no pager all day, and hides nothing by it."""

from datetime import timedelta

import msgspec
import pytest

from analyzer.findings.folding import MOST_A_DAY as MOST_TOLD
from collector.dnssec.judgement import ZoneFacts
from collector.polling.flood import MOST_A_DAY
from collector.polling.memory import PollTarget, memory_of, remember, take_note
from collector.polling.zones import ZonesTold
from schemas.catalogue import Severity
from schemas.judgement import ChainLink, Judgement, Verdict, ZoneKey
from schemas.messages import Evidence, ZoneObservation
from tests.support.making import AT, judgement, key, link, observation, snapshot, zone_observation
from tests.support.watching import Watching

DAY_S, MINUTE = 86_400, timedelta(minutes=1)
EVIDENCE = Evidence(digest="e", name="a.", type="A", at=AT, messages=(), trust_anchors=(), policy={})
HOME, REAL = "192.0.2.1", "203.0.113.66"


def unsigned(address: str, verdict: str = "insecure", **more: object) -> Judgement:
    chain = (link("."), link("example."), link("bank.example.", verdict=Verdict.INSECURE))
    made = judgement(verdict=verdict, answers=(address,), chain=chain, expires_at=None, inception_at=None)
    return msgspec.structs.replace(made, **more)


def decoy(number: int) -> str:
    return f"198.{18 + number // 65_536}.{number // 256 % 256}.{number % 256}"


class Name:
    """An unsigned name that is polled each minute."""

    def __init__(self) -> None:
        self.memory, self.now_s = memory_of(PollTarget((b"example", b"bank", b"api"), 1, "corp")), 0.0
        self.told: list[tuple[float, Judgement]] = []
        self.poll(unsigned(HOME))

    def poll(self, one: Judgement) -> None:
        of_verdict = one.verdict is not self.memory.verdict
        occasion, told, is_withheld = self.memory.weigh(
            one, self.now_s, refresh_s=DAY_S, most=12, of_verdict=of_verdict
        )
        if occasion is not None:
            remember(self.memory, one, "id", self.now_s)
            self.told.append((self.now_s, told))
        elif not is_withheld and self.memory.churn.is_unstable:
            take_note(self.memory, one)
        self.now_s += 60

    @property
    def named(self) -> str:
        """Return all that was said, be it in a remark."""
        remarks = [reason.detail for _, one in self.told for reason in one.remarks]
        return " ".join([*remarks, *(answer for _, one in self.told for answer in one.answers)])


class TestName:
    def test_endless_new_addresses_are_told_a_bounded_number_of_times(self) -> None:
        name = Name()
        for minute in range(3 * 1440):
            name.poll(unsigned(decoy(minute)))

        assert len(name.told) <= 4 * MOST_A_DAY + 3
        (remark,) = name.told[-1][1].remarks
        assert remark.code == "answer_unstable"
        assert "changes were not told one by one" in remark.detail

    def test_none_of_them_is_unnamed(self) -> None:
        name = Name()
        for minute in range(3 * 1440):
            name.poll(unsigned(decoy(minute)))

        missing = [decoy(minute) for minute in range(3 * 1440 - 10) if decoy(minute) not in name.named]
        assert missing == []

    @pytest.mark.parametrize("stays", [1, 2, 60])
    def test_an_address_that_comes_amid_decoys_is_named_within_minutes(self, stays: int) -> None:
        name = Name()
        for minute in range(1000):
            name.poll(unsigned(decoy(minute)))
        came_s = name.now_s
        for _ in range(stays):
            name.poll(unsigned(REAL))
        for minute in range(1000, 1010):
            name.poll(unsigned(decoy(minute)))

        said = [at for at, one in name.told if REAL in str(one.answers) + str(one.remarks)]
        assert said
        assert said[0] - came_s <= 600

    def test_one_that_comes_to_stay_is_told_itself(self) -> None:
        name = Name()
        for minute in range(1000):
            name.poll(unsigned(decoy(minute)))
        for _ in range(10):
            name.poll(unsigned(REAL))

        assert REAL in name.told[-1][1].answers[0]

    def test_one_that_was_withheld_is_told_though_the_name_is_back(self) -> None:
        name = Name()
        for minute in range(1000):
            name.poll(unsigned(decoy(minute)))
        name.poll(unsigned(REAL))
        for _ in range(10):
            name.poll(unsigned(HOME))

        assert REAL in name.named

    def test_a_verdict_that_turns_amid_decoys_is_told_at_once(self) -> None:
        name = Name()
        for minute in range(1000):
            name.poll(unsigned(decoy(minute)))
        at = name.now_s
        name.poll(unsigned(decoy(1000), verdict="bogus"))

        assert (name.told[-1][0], name.told[-1][1].verdict) == (at, "bogus")

    def test_nor_can_a_verdict_flap_without_end(self) -> None:
        name = Name()
        for minute in range(1440):
            name.poll(unsigned(HOME, verdict="bogus" if minute % 2 else "insecure"))

        assert len(name.told) <= 4 * MOST_A_DAY, "an allowance for either kind of change, and what came back of it"

    def test_its_end_is_told(self) -> None:
        name = Name()
        for minute in range(1000):
            name.poll(unsigned(decoy(minute)))
        for _ in range(120):
            name.poll(unsigned(HOME))

        assert name.told[-1][1].remarks == ()

    def test_a_name_that_changes_each_ten_minutes_is_told_each_time(self) -> None:
        name = Name()
        for number in range(144):
            for _ in range(10):
                name.poll(unsigned(decoy(number)))

        assert len(name.told) == 145
        assert all(one.remarks == () for _, one in name.told)


class TestZone:
    def facts(self, number: int) -> ZoneFacts:
        keys = (ZoneKey(1, 13, 257, None, "entry"), ZoneKey(number % 65_536, 13, 256, None, f"digest{number}"))
        return ZoneFacts(
            ChainLink("bank.example.", Verdict.SECURE, ("1 13 2 AA",), keys, (1,)), "example.", (), (), (), (b"",)
        )

    def run(self, numbers: list[int]) -> list[ZoneObservation]:
        told, found = ZonesTold(DAY_S), list[ZoneObservation]()
        for minute, number in enumerate(numbers):
            at = AT + minute * MINUTE
            found += told.see([self.facts(number)], EVIDENCE, "corp", at, 60.0 * minute).news
        return found

    def test_keys_that_change_with_each_poll_are_told_a_bounded_number_of_times(self) -> None:
        found = self.run(list(range(2 * 1440)))

        assert len(found) <= 3 * MOST_A_DAY + 3
        (remark,) = found[-1].remarks
        assert (remark.code, remark.rrset) == ("answer_unstable", "bank.example. DNSKEY")

    def test_a_key_that_comes_to_stay_is_told_within_minutes(self) -> None:
        found = self.run([*range(1000), *[5000] * 10])

        assert any(one.digest == "digest5000" for one in found[-1].link.keys)

    @pytest.mark.parametrize("minute", range(1000, 1005))
    def test_one_that_was_there_for_one_poll_is_named(self, minute: int) -> None:
        found = self.run([*range(minute), 5000, *range(minute + 1, minute + 11)])

        said = " ".join(str(one.remarks) + str(one.link.keys) for one in found)
        assert "digest5000" in said

    def test_what_is_withheld_is_looked_at_again(self) -> None:
        told = ZonesTold(DAY_S)
        seen = [told.see([self.facts(n)], EVIDENCE, "corp", AT, float(n)) for n in range(int(MOST_A_DAY) + 5)]

        assert [one.is_withheld for one in seen[-3:]] == [True] * 3
        assert seen[-1].ids == seen[-4].ids, "names refer to what was told last"


class TestPages:
    def flood(self, watching: Watching, changes: int, first: int = 0) -> None:
        for number in range(first, first + changes):
            at = AT + (1500 + number) * MINUTE
            watching.at(at, observation(unsigned(decoy(256 * number)), at))

    @pytest.fixture
    def watching(self) -> Watching:
        watching = Watching()
        watching.at(AT, snapshot("sa", "api.bank.example"), observation(unsigned(HOME), AT))
        return watching

    def test_changes_are_told_one_by_one_up_to_a_number_and_then_together(self, watching: Watching) -> None:
        self.flood(watching, 300)

        found = watching.last("answer_changed")
        assert len(found) <= 3 * MOST_TOLD + 3
        (folded,) = [one for one in found if one.after == "many changes"]
        assert "further changes are not told one by one" in folded.detail
        assert folded.version <= 300 / 10 + 2

    def test_each_is_named(self, watching: Watching) -> None:
        self.flood(watching, 300)
        for minute in range(1800, 1830, 5):
            watching.at(AT + minute * MINUTE)

        said = " ".join(one.detail + one.after for one in watching.said if one.code == "answer_changed")
        assert [decoy(256 * n) for n in range(300) if decoy(256 * n) not in said] == []

    def test_a_graver_change_is_told_at_once(self, watching: Watching) -> None:
        self.flood(watching, 100)
        at = AT + 1600 * MINUTE
        row = snapshot("sb", "api.bank.example", answers=(HOME,))
        found = watching.at(at, row, observation(unsigned(REAL), at))

        assert any(one.severity is Severity.HIGH and REAL in one.after + one.detail for one in found)

    def test_keys_that_are_replaced_with_each_poll_are_folded_too(self, watching: Watching) -> None:
        for number in range(100):
            at = AT + number * MINUTE
            keys = (key(2 * number + 1, entry=True), key(2 * number + 2))
            one = link("bank.example.", keys=keys, ds=(f"{2 * number + 1} 13 2 AA",))
            watching.at(at, zone_observation(one, at, parent="example."))

        found = watching.last("key_change_unexpected")
        assert len(found) <= MOST_TOLD + 1
        assert max(one.severity.rank for one in found) == Severity.CRITICAL.rank

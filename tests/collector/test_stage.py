"""The collector's loop and the lab's resolver, in virtual time: no clock, no socket, no wait."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest

from anchorwatch.lab.partners import PartnerWorld
from anchorwatch.lab.server import LabResolver
from collector.config import CollectorConfig, InventorySource, VantagePoint
from collector.dnssec import names
from collector.dnssec.policy import Policy
from collector.resolvers.address import Address
from collector.resolvers.authentication import EXPIRED, Authentication
from collector.resolvers.resolver import Resolver
from collector.resolvers.vantage import Vantage
from collector.stage import Collector
from schemas.egress import DIRECT
from schemas.judgement import Judgement
from schemas.messages import InventoryIndex, InventorySnapshot, Message, Observation, PollBatch, SelfReport
from tests.support.clock import NOW
from tests.support.virtual import Memory, run

POLLED = dns.name.from_text("api.bank.example.")
INVENTORY = "identities:\n- {id: sa, endpoints: [{host: api.bank.example, types: [A]}]}\n"


class DeafResolver(LabResolver):
    """A resolver that does not hear the next ``deaf_to`` polls; what validation asks for besides it answers."""

    deaf_to = 0
    dead_zone: dns.name.Name | None = None
    dead_names: tuple[str, ...] = ()

    def reply_to(self, wire: bytes, *, stream: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        asked = query.question[0]
        # The servers of the zone are gone; those of its parent still give its DS.
        if self.dead_zone is not None and asked.name.is_subdomain(self.dead_zone) and asked.rdtype != dns.rdatatype.DS:
            return None
        if asked.name.to_text().lower().startswith(self.dead_names):
            return None
        is_poll = query.question[0].name == POLLED and bool(query.flags & dns.flags.CD)
        if self.deaf_to and is_poll:
            self.deaf_to -= 1
            return None
        return super().reply_to(wire, stream=stream)


class Watch:
    """A collector on a lab; ``until`` runs it until what it has said so far fits."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "inventory.yaml"
        self.path.write_text(INVENTORY)
        self.passed_s: Callable[[], float] = lambda: 0.0
        self.clock: Callable[[], float] = lambda: NOW.timestamp() + self.passed_s()
        self.world = PartnerWorld(lambda: self.clock())
        self.resolver = DeafResolver(self.world.world, self.world.anchors, lambda: self.clock())
        self.said: list[Message] = []
        self.settings: dict[str, Any] = {}
        self.address = Address("udp", "127.0.0.1", 53)
        self.carried_by: type[Memory] = Memory

    def run(self, story: Callable[["Watch"], Any], *, read: bool = True) -> list[Message]:
        async def bounded() -> None:
            self.passed_s = asyncio.get_running_loop().time
            config = CollectorConfig(
                sources=(InventorySource(path=self.path, format="yaml"),),
                vantages=(VantagePoint(name="lab", address=self.address),),
                anchors=self.world.anchors,
                policy=Policy(),
                **{"interval_s": 60.0, "attempts": 1, **self.settings},
            )
            self.collector = Collector(
                config,
                lambda: self.clock(),
                ticks=self.passed_s,
                open_transport=lambda address: self.carried_by(self.resolver.reply_to),
            )
            reader = asyncio.create_task(self.read()) if read else None
            try:
                await asyncio.wait_for(story(self), 7200)
            finally:
                self.collector.stop()
                if reader is not None:
                    await asyncio.wait_for(reader, 15)

        run(bounded())
        return self.said

    async def read(self) -> None:
        async for batch in self.collector.observe():
            self.said += batch

    async def until(self, holds: Callable[[list[Message]], Any]) -> None:
        while not holds(self.said):
            await asyncio.sleep(0.1)

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.said if isinstance(message, kind)]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_first_sight_then_unchanged_then_change(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(PollBatch))
        w.world.stage_forged("bank.example.", "api", "203.0.113.9")
        await w.until(lambda said: len(w.of(Observation)) >= 2)

    watch.run(story)

    first, second = watch.of(Observation)[:2]
    assert (first.occasion, first.judgement.verdict) == ("first", "secure")
    assert (second.occasion, second.judgement.verdict) == ("change", "bogus")
    assert first.evidence is not None
    assert watch.of(PollBatch)[0].observations[0] == first.id
    assert watch.of(InventorySnapshot)[0].identity.id == "sa"
    assert watch.of(InventoryIndex)[0].vantages == ("lab",)


def test_after_a_start_no_trouble_is_said_too(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: len(w.of(SelfReport)) >= 3)

    watch.run(story)

    assert {(report.code, report.detail) for report in watch.of(SelfReport)} == {
        ("self_inventory_stale", ""),
        ("self_inventory_shrunk", ""),
        ("self_vantage_lost", ""),
    }


def test_one_silence_is_not_told(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        w.resolver.deaf_to = 1
        await w.until(lambda said: not w.resolver.deaf_to)
        told = len(w.of(PollBatch))
        await w.until(lambda said: len(w.of(PollBatch)) > told + 1)

    watch.run(story)

    assert [one.judgement.verdict for one in watch.of(Observation)] == ["secure"]


def test_a_lost_vantage_is_told_and_its_return(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        w.resolver.muted = True
        await w.until(lambda said: any(report.detail for report in w.of(SelfReport)))
        w.resolver.muted = False
        count = len(w.of(SelfReport))
        await w.until(lambda said: len(w.of(SelfReport)) > count)

    watch.run(story)

    lost = [report for report in watch.of(SelfReport) if report.code == "self_vantage_lost"]
    assert [bool(report.detail) for report in lost] == [False, True, False]


def test_a_vantage_that_can_not_show_who_it_is_is_lost_with_reason_and_remedy(watch: Watch) -> None:
    class Expires(Memory):
        async def stream(self, wire: bytes) -> bytes:
            if loop().time() < 100 or loop().time() > 400:
                return await super().stream(wire)
            raise Authentication(address, DIRECT).explain(expired)

    loop = asyncio.get_running_loop
    address = Address("tls", "192.0.2.1", 853)
    expired = ssl.SSLCertVerificationError(1, "certificate verify failed: certificate has expired")
    expired.verify_code = EXPIRED
    watch.address, watch.carried_by = address, Expires

    async def story(w: Watch) -> None:
        await w.until(lambda said: len(lost(w)) == 1)
        await w.until(lambda said: w.of(SelfReport)[-1].detail == "")

    watch.run(story)

    assert [one.detail for one in lost(watch)] == [
        "lab: tls://192.0.2.1:853: not authenticated: its certificate, or one that vouches for it, has expired."
        " Renew it at the resolver; if it has not, this machine's clock is wrong;"
        " the names behind it are not watched through it"
    ]
    assert "bogus" not in {one.judgement.verdict for one in watch.of(Observation)}, "no name is to blame"


def test_names_taken_over_make_it_news_how_their_vantage_is(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        w.path.write_text(INVENTORY.replace("types: [A]", "types: [A, TXT]"))
        w.collector.reload_soon()
        await w.until(lambda said: len({one.judgement.type for one in w.of(Observation)}) == 2)
        await w.until(lambda said: len(over(w)) == 2)

    def over(w: Watch) -> list[SelfReport]:
        return [one for one in w.of(SelfReport) if one.code == "self_vantage_lost" and not one.detail]

    watch.run(story)

    assert len(over(watch)) == 2, "whoever polled them before may have left the trouble open"


def test_of_an_inventory_that_was_never_read_nobody_is_said_to_be_gone(watch: Watch) -> None:
    watch.path.write_text("identities: [")

    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(InventoryIndex))
        w.path.write_text(INVENTORY)
        w.collector.reload_soon()
        await w.until(lambda said: w.of(InventorySnapshot))

    watch.run(story)

    assert [index.ids for index in watch.of(InventoryIndex)] == [None, ("sa",)]


def test_a_crash_of_one_poll_is_raised_once_and_a_second_start_works(watch: Watch) -> None:
    async def crash() -> None:
        raise ZeroDivisionError

    async def story(w: Watch) -> None:
        crashed = asyncio.create_task(crash())
        await asyncio.wait({crashed})
        w.collector._finished(crashed)
        with pytest.raises(ZeroDivisionError):
            await w.read()
        reading = asyncio.create_task(w.read())
        await w.until(lambda said: w.of(Observation))
        w.collector.stop()
        await reading

    watch.run(story, read=False)

    assert watch.of(Observation)


@pytest.mark.parametrize("broken", ["identities: [\n", "identities: [{id: !vault x}]\n", "identities: " + "[" * 5000])
def test_an_inventory_that_breaks_keeps_its_rows_and_is_said(watch: Watch, broken: str) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        w.path.write_text(broken)
        w.collector.reload_soon()
        await w.until(lambda said: any(report.detail for report in w.of(SelfReport)))

    watch.run(story)

    assert watch.collector.status().watched == 1
    assert any("inventory.yaml" in report.detail for report in watch.of(SelfReport))


def test_what_an_edit_expects_is_observed_again_at_once(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        w.path.write_text(INVENTORY.replace("types: [A]", "types: [A], expect: insecure"))
        w.collector.reload_soon()
        await w.until(lambda said: len(w.of(Observation)) >= 2)

    watch.run(story)

    assert watch.of(Observation)[1].occasion == "refresh"


def test_who_leaves_the_inventory_is_polled_no_more(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        w.path.write_text("identities:\n- {id: other, endpoints: [{host: login.idp.example, types: [A]}]}\n")
        w.collector.reload_soon()
        await w.until(lambda said: any(o.judgement.name == "login.idp.example." for o in w.of(Observation)))

    watch.run(story)

    assert watch.of(InventoryIndex)[-1].ids == ("other",)
    assert watch.collector.status().watched == 1


# time


@pytest.mark.parametrize(("seconds", "direction"), [(-1800, "back"), (1800, "forward")])
def test_polling_goes_on_when_the_clock_is_set_and_the_jump_is_told_once(
    watch: Watch, seconds: float, direction: str
) -> None:
    offset = 0.0
    watch.clock = lambda: NOW.timestamp() + watch.passed_s() + offset

    async def story(w: Watch) -> None:
        nonlocal offset
        await w.until(lambda said: len(w.of(PollBatch)) >= 2)
        polls, offset = w.collector.status().polls, seconds
        await w.until(lambda said: w.collector.status().polls >= polls + 5 and len(w.of(Observation)) >= 2)

    watch.run(story)

    jumps = [report for report in watch.of(SelfReport) if report.code == "self_clock_jumped"]
    assert len(jumps) == 1
    assert jumps[0].subject.startswith(f"{direction} 1800 s")
    first, second = watch.of(Observation)[:2]
    assert second.occasion == "refresh", "what is known is validated and told anew by the new time"
    assert ((second.observed_at - first.observed_at).total_seconds() > 0) is (seconds > 0)


def test_a_name_that_turned_bad_is_confirmed_within_ten_seconds_not_an_interval_later(watch: Watch) -> None:
    seen_at: list[float] = []

    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        w.world.stage_forged("bank.example.", "api", "203.0.113.9")
        await w.until(lambda said: len(w.of(Observation)) >= 2)
        bogus = w.of(Observation)[1]
        assert bogus.judgement.verdict == "bogus"
        seen_at.append(w.passed_s())
        await w.until(lambda said: sum(rows.observations.count(bogus.id) for rows in w.of(PollBatch)) >= 2)
        seen_at.append(w.passed_s())

    watch.run(story)

    assert seen_at[1] - seen_at[0] < 10, "two further polls; the interval is 60 s"


# silence


def many(hosts: list[str]) -> str:
    return "identities:\n" + "".join(
        f"- {{id: sa-{number}, endpoints: [{{host: {host}, types: [A]}}]}}\n" for number, host in enumerate(hosts)
    )


def lost(watch: Watch) -> list[SelfReport]:
    return [one for one in watch.of(SelfReport) if one.code == "self_vantage_lost" and one.detail]


@pytest.mark.parametrize("cold", [True, False], ids=["from the start", "later"])
def test_a_dead_zone_is_one_cause_and_no_lost_vantage(watch: Watch, cold: bool) -> None:
    dead = ["api.bank.example", "a.bank.example", "b.bank.example", "c.bank.example", "d.bank.example"]
    watch.path.write_text(many([*dead, "login.idp.example"]))

    def silent(w: Watch) -> dict[str, str]:
        judged = [one.judgement for one in w.of(Observation)]
        return {one.name: one.cause_zone for one in judged if one.verdict == "indeterminate"}

    async def story(w: Watch) -> None:
        if not cold:
            await w.until(lambda said: len(w.of(Observation)) == 6)
        w.resolver.dead_zone = dns.name.from_text("bank.example.")
        await w.until(lambda said: len(silent(w)) == 5)
        seen = w.collector.status().polls
        await w.until(lambda said: w.collector.status().polls > seen + 10)

    watch.run(story)

    assert set(silent(watch).values()) == {"bank.example."}, "one finding on the zone"
    assert lost(watch) == []
    last = {one.judgement.name: one.judgement.verdict for one in watch.of(Observation)}
    assert last["login.idp.example."] == "secure"
    unheard = [one.judgement for one in watch.of(Observation) if one.judgement.verdict == "indeterminate"]
    assert {(one.resolver, one.plain) for one in unheard} == {(None, None)}, "what was claimed earlier is not said now"


def test_a_dead_zone_rests_and_comes_back_whole(watch: Watch) -> None:
    watch.path.write_text(many(["api.bank.example", "a.bank.example", "b.bank.example", "login.idp.example"]))

    async def story(w: Watch) -> None:
        await w.until(lambda said: len(w.of(Observation)) == 4)
        w.resolver.dead_zone = dns.name.from_text("bank.example.")
        await w.until(lambda said: w.collector.status().resting == 3)
        w.resolver.dead_zone = None
        await w.until(lambda said: not w.collector.status().resting)
        await w.until(lambda said: set(verdicts(w).values()) == {"secure"})

    def verdicts(w: Watch) -> dict[str, str]:
        return {one.judgement.name: one.judgement.verdict for one in w.of(Observation)}

    watch.run(story)

    assert len(verdicts(watch)) == 4
    assert lost(watch) == []


def test_silences_that_waited_through_an_outage_make_no_second_one(watch: Watch) -> None:
    hosts = [f"n{number}.bank.example" for number in range(12)]
    watch.path.write_text(many(hosts))

    async def story(w: Watch) -> None:
        await w.until(lambda said: len(w.of(Observation)) == 12)
        w.resolver.muted = True
        await w.until(lambda said: lost(w))
        w.resolver.muted = False
        count = len(w.of(SelfReport))
        await w.until(lambda said: len(w.of(SelfReport)) > count)
        seen = w.collector.status().polls
        await w.until(lambda said: w.collector.status().polls > seen + 100)

    watch.run(story)

    told = [bool(one.detail) for one in watch.of(SelfReport) if one.code == "self_vantage_lost"]
    assert told == [False, True, False]
    recovered = next(i for i, one in reversed(list(enumerate(watch.said))) if isinstance(one, SelfReport))
    after = [one for one in watch.said[recovered:] if isinstance(one, Observation)]
    assert {one.judgement.verdict for one in after} <= {"secure"}, "nobody is blamed for the outage afterwards"


# replies that match nothing


def test_a_flood_of_replies_that_match_nothing_is_told_of_the_vantage(watch: Watch) -> None:
    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        for _ in range(30):
            w.collector._tallies["lab"].pass_over("id", asyncio.get_running_loop().time())
        await w.until(lambda said: any(one.code == "spoofing_suspected" for one in w.of(SelfReport)))

    watch.run(story)

    report = next(one for one in watch.of(SelfReport) if one.code == "spoofing_suspected")
    assert report.subject == "lab"
    assert "match no question" in report.detail
    assert watch.collector.status().passed_over["id"] == 30


# churn


def test_an_answer_that_changes_at_every_poll_is_observed_a_bounded_number_of_times(watch: Watch) -> None:
    watch.settings = {"changes_per_hour": 3}

    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        for number in range(10):
            zone = w.world["bank.example."]
            zone.remove("api", "A")
            zone.add("api", "A", f"192.0.2.{number + 1}")
            w.world.sign(zone)
            seen = w.collector.status().validations
            await w.until(lambda said, seen=seen: w.collector.status().validations > seen + 1)  # type: ignore[misc]

    watch.run(story)

    observed = watch.of(Observation)
    assert [one.judgement.verdict for one in observed] == ["secure"] * len(observed)
    assert len(observed) <= 1 + 3 + 1
    assert [remark.code for remark in observed[-1].judgement.remarks][-1:] == ["answer_unstable"]
    assert watch.of(PollBatch)[-1].observations[-1] == observed[-1].id


def test_a_name_of_a_dead_zone_asked_once_is_hung_on_its_zone(watch: Watch) -> None:
    watch.path.write_text(many(["login.idp.example"]))

    async def story(w: Watch) -> None:
        w.resolver.dead_zone = dns.name.from_text("bank.example.")
        memory = Memory(w.resolver.reply_to)
        resolver = Resolver(Address("udp", "127.0.0.1", 53), attempts=1, transport=memory)
        vantage = Vantage("once", resolver, w.world.anchors, Policy(), w.clock)
        for host in ("api.bank.example", "token.bank.example"):
            judged.append((await vantage.judge(names.from_text(host), 1)).judgement)

    judged: list[Judgement] = []
    watch.run(story)

    assert [(one.verdict, one.cause_zone) for one in judged] == [("indeterminate", "bank.example.")] * 2


def test_names_that_do_not_answer_slow_nobody_else_down(watch: Watch) -> None:
    """Forty silent names would hold all eight slots for six seconds of every second's turns."""
    good = ["login.idp.example", "jwks.idp.example"]
    watch.path.write_text(many([*(f"s{number}.bank.example" for number in range(40)), *good]))
    watch.settings = {"interval_s": 1.0, "timeout_s": 1.2, "concurrency": 8}
    watch.resolver.dead_zone = dns.name.from_text("bank.example.")

    def polled(w: Watch) -> int:
        return sum(names.endswith("idp.example.") for rows in w.of(PollBatch) for names in rows.names)

    async def story(w: Watch) -> None:
        await w.until(lambda said: polled(w))
        began_at, before = w.passed_s(), polled(w)
        await w.until(lambda said: w.passed_s() - began_at > 8)
        turns.append((w.passed_s() - began_at) * len(good))
        turns.append(polled(w) - before)

    turns: list[float] = []
    watch.run(story)

    assert turns[1] > turns[0] * 0.6


def test_names_that_are_silent_to_every_question_within_a_living_zone_are_one_cause(watch: Watch) -> None:
    watch.path.write_text(many(["s1.bank.example", "s2.bank.example", "s3.bank.example", "api.bank.example"]))
    watch.resolver.dead_names = ("s1.", "s2.", "s3.")

    def silent(w: Watch) -> dict[str, str]:
        judged = [one.judgement for one in w.of(Observation)]
        return {one.name: one.cause_zone for one in judged if one.verdict == "indeterminate"}

    async def story(w: Watch) -> None:
        await w.until(lambda said: len(silent(w)) == 3)

    watch.run(story)

    assert set(silent(watch).values()) == {"bank.example."}
    assert lost(watch) == []


def test_a_name_that_never_answered_holds_a_slot_for_one_try_at_first(watch: Watch) -> None:
    """Forty silent names at the start, with three tries each: the good ones have their turn soon."""
    good = ["login.idp.example", "jwks.idp.example", "api.bank.example"]
    watch.path.write_text(many([*(f"s{number}.bank.example" for number in range(40)), *good]))
    watch.settings = {"interval_s": 8.0, "timeout_s": 1.0, "attempts": 3, "concurrency": 16}
    watch.resolver.dead_names = tuple(f"s{number}." for number in range(40))
    took: list[float] = []

    async def story(w: Watch) -> None:
        began_at = w.passed_s()
        await w.until(lambda said: sum(one.judgement.verdict == "secure" for one in w.of(Observation)) == 3)
        took.append(w.passed_s() - began_at)

    watch.run(story)

    assert took[0] < 20, "forty names of three tries each, eight at a time, would take 35 s"


@pytest.mark.parametrize("content", ["", ". IN DS nonsense\n", None])
def test_a_store_of_anchors_that_breaks_is_said_and_the_last_good_ones_count(
    watch: Watch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "root.ds"
    good = "\n".join(watch.world.anchors.texts)
    path.write_text(good)
    watch.settings["anchors_path"] = path

    def invalid(w: Watch) -> list[str]:
        return [report.detail for report in w.of(SelfReport) if report.code == "self_anchor_store_invalid"]

    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation) and invalid(w) == [""])
        path.unlink() if content is None else path.write_text(content)
        await w.until(lambda said: len(invalid(w)) == 2)
        batches = len(w.of(PollBatch))
        await w.until(lambda said: len(w.of(PollBatch)) > batches)
        path.write_text(good)
        await w.until(lambda said: len(invalid(w)) == 3)

    watch.run(story)

    assert "root.ds" in invalid(watch)[1]
    assert invalid(watch)[2] == ""
    assert {one.judgement.verdict for one in watch.of(Observation)} == {"secure"}


def test_anchors_that_change_in_their_file_are_followed(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "root.ds"
    path.write_text("\n".join(watch.world.anchors.texts))
    watch.settings["anchors_path"] = path

    async def story(w: Watch) -> None:
        await w.until(lambda said: w.of(Observation))
        path.write_text(f". IN DS 1 13 2 {'AB' * 32}\n")
        await w.until(lambda said: len(w.of(Observation)) >= 2)

    watch.run(story)

    reasons = watch.of(Observation)[1].judgement.reasons
    assert reasons[0].code == "trust_anchor_mismatch"
    assert {one.detail for one in watch.of(SelfReport) if one.code == "self_anchor_store_invalid"} == {""}

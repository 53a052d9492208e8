"""The watch in a plain loop over instants: no clock, no socket, no task, no sleep; signed zones answer from memory."""

import gc
import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import msgspec
import pytest
from dns.rdatatype import RdataType

from anchorwatch.lab.server import LabResolver
from anchorwatch.lab.zones import Zone, generate_key
from collector.config import CollectorConfig, InventorySource, VantagePoint
from collector.dnssec import names, records
from collector.dnssec.message import Response, read_response
from collector.dnssec.names import Name
from collector.dnssec.policy import Policy
from collector.dnssec.questions import FetchFailure, Reply
from collector.polling.memory import PollTarget
from collector.polling.roster import RosterChange
from collector.polling.watch import MOST_CHANGED, Watch
from collector.resolvers.address import Address
from collector.resolvers.dialogue import Posed, Question
from schemas.messages import Message, Observation, PollBatch, SelfReport, ZoneObservation
from tests.support.lab import Lab

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
HOUR = timedelta(hours=1)
TTL_S = 3600
LATENCY_S, PATIENCE_S = 0.02, 1.5


class World:
    """Zones of fifty names each below ``test.``, served by a resolver that validates; ``silent`` zones are gone.

    The resolver gives other records to clients that ask with EDNS (True) or without it (False) as ``lies_to`` has it.
    """

    def __init__(self, zones: tuple[str, ...] = ("zone", "bank")) -> None:
        self.lab = Lab()
        self.silent: set[str] = set()
        self.lies_to: set[bool] = set()
        self.forged: set[Name] = set()
        self.passed_s = 0.0
        self.zones = {"zone": self.lab.zone}
        for name in zones:
            if name not in self.zones:
                keys = [generate_key(13, entry=True), generate_key(13)]
                self.zones[name] = self.lab.world.add(Zone(dns.name.from_text(f"{name}.test."), keys=keys))
                self.zones[name].add("@", "NS", "ns.test.")
                self.lab.tld.add(name, "NS", "ns.test.")
            for number in range(50):
                self.zones[name].add(f"h{number}", "A", f"192.0.2.{number}", ttl=TTL_S)
        for one in (*self.zones.values(), self.lab.tld, self.lab.root):
            one.ttl = TTL_S
        self.sign()
        self._resolver = LabResolver(self.lab.world, self.lab.anchors, lambda: MIDNIGHT.timestamp() + self.passed_s)

    def sign(self) -> None:
        at = MIDNIGHT + timedelta(seconds=self.passed_s)
        for name, zone in self.zones.items():
            zone.sign(at)
            self.lab.tld.add(name, "DS", *zone.ds_records())
        self.lab.sign(at=at)
        self._replies: dict[Question, Reply] = {}

    def hosts(self) -> list[str]:
        return [f"h{number}.{name}.test" for name in self.zones for number in range(50)]

    def reply(self, question: Question) -> Reply:
        """Return a resolver's reply; the same question has the same octets until the zones are signed again."""
        name = names.to_text(question.name)
        if question.rdtype != records.DS and any(name.endswith(f"{zone}.test.") for zone in self.silent):
            return FetchFailure("timeout", f"no answer to {name}")
        if not question.checking_disabled and question.edns in self.lies_to and question.rdtype == records.A:
            name = "h49.zone.test."
            question = msgspec.structs.replace(question, octets=b"", name=names.from_text(name))
        if question not in self._replies:
            query = dns.message.make_query(
                dns.name.from_text(name),
                RdataType.make(question.rdtype),
                want_dnssec=question.edns,
                use_edns=0 if question.edns else -1,
                flags=dns.flags.RD | (dns.flags.CD if question.checking_disabled else 0),
            )
            wire = self._resolver.reply_to(query.to_wire(), stream=True)
            assert wire is not None
            self._replies[question] = read_response(wire)
        reply = self._replies[question]
        is_forged = question.name in self.forged and question.rdtype == records.A
        if isinstance(reply, Response) and is_forged and not question.stream and question.checking_disabled:
            return read_response(reply.wire.replace(bytes((192, 0, 2)), bytes((203, 0, 113))))
        return reply


class Days:
    """A watch on a world, turned from instant to instant; ``said`` has when each message was taken, by the hour."""

    def __init__(self, world: World, begins: datetime = MIDNIGHT, shadow_every: int = 0) -> None:
        self.world = world
        config = CollectorConfig(
            sources=(InventorySource(path=Path("inventory.yaml"), format="yaml"),),
            vantages=(VantagePoint(name="lab", address=Address("udp", "127.0.0.1", 53)),),
            anchors=world.lab.anchors,
            policy=Policy(),
            shadow_every=shadow_every,
        )
        self.watch = Watch(config)
        self.now = (begins - MIDNIGHT).total_seconds()
        self.said: list[Message] = []
        self.begun: list[float] = []
        self._under_way: list[tuple[float, int, Reply]] = []
        hosts = [(host, names.from_text(host)) for host in world.hosts()]
        added = [(PollTarget(name, records.A, "lab"), (host.split(".", 1)[1], "lab")) for host, name in hosts]
        self.watch.change(RosterChange(len(hosts), added), self.now)

    def until(self, at: datetime) -> "Days":
        """Let everything happen that happens before an instant, one thing after another."""
        end = (at - MIDNIGHT).total_seconds()
        while True:
            reply_at = self._under_way[0][0] if self._under_way else float("inf")
            self.now = max(self.now, min(self.watch.next_due_at(), reply_at))
            if self.now >= end:
                self.now = end
                self.said += self.watch.take_messages()
                return self
            self.world.passed_s = self.now
            wall = MIDNIGHT.timestamp() + self.now
            if reply_at <= self.now:
                _, ticket, reply = heapq.heappop(self._under_way)
                self._put(self.watch.take(ticket, reply, self.now, wall))
                continue
            begun = self.watch.due(self.now, wall)
            self.begun += [self.now] * sum(one.rdtype == records.A and one.checking_disabled for _, one in begun)
            self._put(begun)

    def _put(self, posed: list[Posed]) -> None:
        for ticket, question in posed:
            reply = self.world.reply(question)
            takes = PATIENCE_S if isinstance(reply, FetchFailure) else LATENCY_S
            heapq.heappush(self._under_way, (self.now + takes, ticket, reply))

    def observations(self, since: int = 0) -> list[Observation]:
        return [message for message in self.said[since:] if isinstance(message, Observation)]


@pytest.fixture
def days() -> Days:
    return Days(World())


@pytest.mark.parametrize("hours", [3, pytest.param(24, marks=pytest.mark.slow)])
def test_a_day_of_a_hundred_endpoints_is_a_loop_over_instants(days: Days, hours: int) -> None:
    for hour in range(1, hours + 1):
        days.until(MIDNIGHT + hour * HOUR)

    # a quick first round, then each at its own instant of every minute
    assert hours * 6000 <= days.watch.polls <= hours * 6000 + 100
    assert days.watch.polls_late == 0
    kinds = Counter(type(message) for message in days.said)
    assert kinds == {Observation: 100, ZoneObservation: 4, PollBatch: 3 * hours, SelfReport: 1}
    rows = sum(len(batch.observations) for batch in days.said if isinstance(batch, PollBatch))
    assert rows == days.watch.polls - 100
    assert {one.judgement.verdict for one in days.observations()} == {"secure"}
    assert days.watch.validations < 100 * hours + 200, "the same answer is validated again once an hour, with its chain"


def test_turns_are_spread_over_the_interval(days: Days) -> None:
    days.until(MIDNIGHT + timedelta(minutes=10))

    in_one_minute = [at % 60 for at in days.begun if 300 <= at < 360]
    assert len(in_one_minute) == 100
    by_ten_seconds = Counter(int(second // 10) for second in in_one_minute)
    assert len(by_ten_seconds) == 6
    assert max(by_ten_seconds.values()) <= 30


@pytest.mark.slow
def test_an_outage_at_noon_and_new_keys_at_three_are_told_when_they_are_seen() -> None:
    world = World()
    days = Days(world, begins=MIDNIGHT + 11.5 * HOUR)
    days.until(MIDNIGHT + 12 * HOUR)
    before = len(days.said)
    world.silent.add("bank")
    days.until(MIDNIGHT + 12.5 * HOUR)
    outage = days.observations(before)
    world.silent.clear()
    before = len(days.said)
    days.until(MIDNIGHT + 15 * HOUR)
    recovery = days.observations(before)
    before = len(days.said)
    world.zones["bank"].keys = [generate_key(13, entry=True), generate_key(13)]
    world.sign()
    days.until(MIDNIGHT + 16 * HOUR)

    # at noon: every name of the silent zone, for one cause, and no vantage is lost
    assert {one.judgement.name for one in outage} == {f"h{number}.bank.test." for number in range(50)}
    assert {(one.judgement.verdict, one.judgement.cause_zone) for one in outage} == {("indeterminate", "bank.test.")}
    told_at = [one.observed_at - (MIDNIGHT + 12 * HOUR) for one in outage[:50]]
    assert len({one.judgement.name for one in outage[:50]}) == 50
    assert timedelta(seconds=PATIENCE_S) < min(told_at) < timedelta(seconds=30), "one silence is not told; two are"
    assert max(told_at) < timedelta(minutes=3)
    assert [one.code for one in days.said if isinstance(one, SelfReport) and one.detail] == []
    # half an hour later: one probe is answered, and all come back
    assert {(one.judgement.verdict, one.judgement.name) for one in recovery} == {
        ("secure", f"h{number}.bank.test.") for number in range(50)
    }
    assert max(one.observed_at for one in recovery) - (MIDNIGHT + 12.5 * HOUR) < timedelta(minutes=6)
    # at three: the zone has other keys, which its parent vouches for; no answer has changed
    changes = [one for one in days.said[before:] if isinstance(one, ZoneObservation)]
    assert [(one.zone, one.occasion, one.link.verdict) for one in changes if one.zone == "bank.test."] == [
        ("bank.test.", "change", "secure")
    ]
    assert timedelta() < changes[0].observed_at - (MIDNIGHT + 15 * HOUR) < timedelta(seconds=15)
    assert days.observations(before) == []


@pytest.mark.slow
@pytest.mark.parametrize("edns", [True, False])
def test_other_data_for_clients_are_told_though_the_answer_to_us_stays_the_same(days: Days, edns: bool) -> None:
    days.until(MIDNIGHT + HOUR)
    validations, before = days.watch.validations, len(days.said)
    days.world.lies_to.add(edns)
    days.until(MIDNIGHT + HOUR + timedelta(minutes=21))
    told = {one.judgement.name: one.judgement for one in days.observations(before)}
    days.world.lies_to.clear()
    days.until(MIDNIGHT + HOUR + timedelta(minutes=45))
    after = {one.judgement.name: one.judgement for one in days.observations(before)}

    assert days.watch.validations > validations
    assert len(told) == 99, "each way of asking has its turn with every twentieth poll"
    claims = [one.resolver if edns else one.plain for one in told.values()]
    assert {claim.answers for claim in claims if claim is not None} == {("h49.zone.test. A 192.0.2.49",)}
    healed = [one.resolver if edns else one.plain for one in after.values()]
    assert all(claim is not None and claim.answers != ("h49.zone.test. A 192.0.2.49",) for claim in healed)


def test_a_large_change_is_taken_in_parts_and_one_row_at_once(days: Days) -> None:
    many = [
        (PollTarget(names.from_text(f"m{number}.zone.test"), records.A, "lab"), ("zone", "lab"))
        for number in range(5000)
    ]
    days.watch.change(RosterChange(5100, many), days.now)
    assert days.watch.watched == 100 + MOST_CHANGED

    turns = 0
    while days.watch.next_due_at() <= days.now:
        days.watch.due(days.now, MIDNIGHT.timestamp(), begin=False)
        turns += 1
        if days.watch.watched == 5100:
            break
    days.watch.change(RosterChange(5099, (), [many[0][0]]), days.now)

    assert turns == 2
    assert days.watch.watched == 5099


@pytest.mark.slow
def test_zones_are_told_anew_only_once_no_name_of_them_is_left(days: Days) -> None:
    days.until(MIDNIGHT + HOUR)
    of_bank = [PollTarget(names.from_text(host), records.A, "lab") for host in days.world.hosts() if ".bank." in host]
    added = [(one, ("bank.test", "lab")) for one in of_bank]

    def told_after(gone: list[PollTarget]) -> list[str]:
        before = len(days.said)
        days.watch.change(RosterChange(100, (), gone), days.now)
        days.watch.change(RosterChange(100, added[: len(gone)]), days.now)
        days.until(MIDNIGHT + timedelta(seconds=days.now) + timedelta(minutes=2))
        return [one.zone for one in days.said[before:] if isinstance(one, ZoneObservation)]

    assert told_after(of_bank[:10]) == []
    assert told_after(of_bank) == ["bank.test."]


@pytest.mark.slow
def test_garbage_collection_passes_over_what_is_kept_of_each_endpoint(days: Days) -> None:
    """A collection stops the loop, so that its work must not grow with the endpoints."""
    of_bank = [PollTarget(names.from_text(host), records.A, "lab") for host in days.world.hosts() if ".bank." in host]

    def visited() -> int:
        days.said.clear()
        gc.collect()
        return len(gc.get_objects())

    days.until(MIDNIGHT + HOUR)
    with_bank = visited()
    days.watch.change(RosterChange(50, (), of_bank), days.now)
    days.until(MIDNIGHT + HOUR + timedelta(minutes=5))

    assert days.watch.watched == 50
    assert with_bank - visited() < len(of_bank)


@pytest.mark.slow
def test_a_zone_signed_anew_costs_one_signature_a_poll_and_no_observation(days: Days) -> None:
    days.until(MIDNIGHT + 0.5 * HOUR)
    validations, before = days.watch.validations, len(days.said)
    for _ in range(5):
        days.world.passed_s = days.now
        days.world.sign()
        days.until(MIDNIGHT + timedelta(seconds=days.now + 60))

    assert days.watch.resigned == 500
    assert days.watch.validations == validations
    assert days.observations(before) == []
    batches = [one for one in days.said[before:] if isinstance(one, PollBatch)]
    ends = {end for batch in batches for end in batch.expirations}
    assert len(ends) == 5, "each poll tells of the signature that it saw"


@pytest.mark.slow
def test_a_poll_in_turn_is_validated_in_full_to_compare() -> None:
    days = Days(World(), shadow_every=10)
    days.until(MIDNIGHT + 0.75 * HOUR)

    assert 300 <= days.watch.shadowed <= 600
    assert days.watch.shadow_differences == 0
    assert days.watch.take_differences() == []

    for memory in days.watch._memory.values():
        memory.answers = ("h1.bank.test. A 192.0.2.99",)
    days.until(MIDNIGHT + 0.75 * HOUR + timedelta(minutes=11))

    assert days.watch.shadow_differences > 0
    assert "by the skim" in days.watch.take_differences()[0]


def test_a_forged_datagram_that_was_asked_again_over_tcp_is_never_taken_for_what_was_validated(days: Days) -> None:
    """The answer over TCP is the true one; the forged one says the same each time, and is validated each time."""
    days.until(MIDNIGHT + 0.5 * HOUR)
    forged = names.from_text("h1.bank.test")
    validations = days.watch.validations
    days.world.forged.add(forged)
    days.until(MIDNIGHT + 0.5 * HOUR + timedelta(minutes=10))

    assert days.watch.validations - validations == 10

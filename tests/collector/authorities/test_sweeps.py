"""The watch in a loop over instants, its servers in memory: what it polls through them, and what it has swept."""

import heapq
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from collector.authorities.rounds import FIRST_ROUND_S
from collector.authorities.walk import Walker
from collector.config import Authorities, CollectorConfig, InventorySource, VantagePoint
from collector.dnssec import names, records
from collector.dnssec.policy import Policy
from collector.dnssec.questions import FetchFailure, Reply
from collector.polling.memory import PollTarget
from collector.polling.roster import RosterChange
from collector.polling.watch import Watch
from collector.resolvers.address import Address, parse_address
from collector.resolvers.dialogue import Posed, Question
from schemas.judgement import Verdict
from schemas.messages import Message, Observation, PollBatch, SelfReport, ServerStatus, ZoneSweep
from tests.support.internet import AT, SILENCE, Internet

NS1, NS2 = "192.0.2.21", "192.0.2.22"
HOSTS = ("www.zone.test", "api.zone.test", "www.other.test")
INTERVAL_S, LATENCY_S, PATIENCE_S = 60.0, 0.01, 1.5
BOTH = (VantagePoint(name="auth", address=parse_address("authoritative:")),)
CORP = (VantagePoint(name="corp", address=Address("udp", "127.0.0.1", 53)),)


class World(Internet):
    """``zone.test.`` with two servers and ``other.test.`` with one; a resolver that asks them for the vantage corp."""

    def __init__(self) -> None:
        super().__init__()
        self.add("test.", {"ns1.test.": ["192.0.2.11"]})
        self.zone = self.add("zone.test.", {"ns1.zone.test.": [NS1], "ns2.zone.test.": [NS2]})
        other = self.add("other.test.", {"ns.other.test.": ["192.0.2.31"]})
        for zone in (self.zone, other):
            zone.add("www", "A", "198.51.100.1")
            zone.add("api", "A", "198.51.100.2")
        self.anchors = self.sign()
        self.authorities = Authorities(vantage="auth", hints=self.hints, allow_private=True)
        self._resolver = Walker(self.authorities, self.instant)

    def answer(self, question: Question) -> Reply:
        return self.reply(question) if question.server else self.run(self._resolver.walk(question))


class Days:
    """A watch, turned from instant to instant; ``said`` is what it told.

    Zones change between runs only, so within one a server's reply to the same question is the same.
    """

    def __init__(self, world: World, vantages: tuple[VantagePoint, ...] = BOTH) -> None:
        self.world = world
        config = CollectorConfig(
            sources=(InventorySource(path=Path("inventory.yaml"), format="yaml"),),
            vantages=vantages,
            anchors=world.anchors,
            policy=Policy(),
            interval_s=INTERVAL_S,
            authorities=world.authorities,
        )
        self.watch = Watch(config)
        self.posed: list[Question] = []
        self.said: list[Message] = []
        self._under_way: list[tuple[float, int, Reply]] = []
        self._replies: dict[tuple[str, names.Name, int], Reply] = {}
        added = [
            (PollTarget(names.from_text(host), records.A, point.name), (host.split(".", 1)[1], point.name))
            for point in vantages
            for host in HOSTS
        ]
        self.watch.change(RosterChange(len(HOSTS), added), self.now)

    @property
    def now(self) -> float:
        return self.world.instant.now

    def run(self, seconds: float) -> "Days":
        end = self.now + seconds
        self._replies.clear()
        while True:
            reply_at = self._under_way[0][0] if self._under_way else float("inf")
            now = max(self.now, min(self.watch.next_due_at(), reply_at))
            if now >= end:
                self._look(end)
                self.said += self.watch.take_messages()
                return self
            self._look(now)
            if reply_at <= now:
                _, ticket, reply = heapq.heappop(self._under_way)
                self._put(self.watch.take(ticket, reply, now, self.world.instant.at))
            else:
                self._put(self.watch.due(now, self.world.instant.at))

    def _look(self, now: float) -> None:
        self.world.instant.at += now - self.now
        self.world.instant.now = now

    def _put(self, posed: list[Posed]) -> None:
        for ticket, question in posed:
            self.posed.append(question)
            reply = self._reply(question)
            silent = isinstance(reply, FetchFailure) and reply.is_silence
            heapq.heappush(self._under_way, (self.now + (PATIENCE_S if silent else LATENCY_S), ticket, reply))

    def _reply(self, question: Question) -> Reply:
        if not question.server:
            return self.world.answer(question)
        asked = question.server, question.name, question.rdtype
        if asked not in self._replies:
            self._replies[asked] = self.world.answer(question)
        return self._replies[asked]

    def forget(self) -> None:
        self.said.clear()
        self.posed.clear()

    def sweeps(self, zone: str = "") -> list[ZoneSweep]:
        return [one for one in self.said if isinstance(one, ZoneSweep) and zone in ("", one.zone)]

    def observations(self) -> list[Observation]:
        return [one for one in self.said if isinstance(one, Observation)]


@pytest.fixture
def days() -> Days:
    return Days(World()).run(FIRST_ROUND_S + 60)


def test_names_are_polled_through_the_servers_themselves_and_nobody_claims_anything(days: Days) -> None:
    found = days.observations()

    assert {(one.judgement.name, one.judgement.verdict) for one in found} == {
        (f"{host}.", Verdict.SECURE) for host in HOSTS
    }
    assert all(one.judgement.resolver is None and one.judgement.plain is None for one in found)
    assert all(question.server for question in days.posed), "there is no resolver to ask"
    assert [one for one in days.said if isinstance(one, SelfReport) and one.detail] == []


def test_an_unchanged_answer_costs_one_question_a_poll(days: Days) -> None:
    days.forget()

    days.run(10 * INTERVAL_S)

    hosts = {names.from_text(host) for host in HOSTS}
    polls = [question for question in days.posed if question.attempts == 1 and question.name in hosts]
    assert len(days.observations()) == 0
    assert sum(len(one.names) for one in days.said if isinstance(one, PollBatch)) == 30
    assert len(polls) == 30


def test_each_zone_on_the_way_is_swept_once_in_the_interval(days: Days) -> None:
    first = {sweep.zone for sweep in days.sweeps()}
    assert first == {".", "test.", "zone.test.", "other.test."}
    (zone, *_) = days.sweeps("zone.test.")
    assert {one.server for one in zone.servers if not one.of_parent} == {NS1, NS2}
    assert {key for one in zone.servers for key in one.answers} == {"www.zone.test. A", "api.zone.test. A"}

    days.run(3600)
    days.forget()
    days.run(5 * 3600)

    counts = {zone: len(days.sweeps(zone)) for zone in first}
    assert all(5 <= count <= 7 for count in counts.values()), counts
    assert all(sweep.evidence is None and not sweep.alarm for sweep in days.sweeps())


def test_the_zones_of_a_resolvers_names_are_swept_too() -> None:
    days = Days(World(), CORP).run(FIRST_ROUND_S + 60)

    assert {sweep.zone for sweep in days.sweeps()} == {".", "test.", "zone.test.", "other.test."}
    assert {sweep.vantage for sweep in days.sweeps()} == {"auth"}
    assert {one.judgement.vantage for one in days.observations()} == {"corp"}
    assert any(one.judgement.resolver is not None for one in days.observations())


def test_a_zone_that_turns_bogus_is_swept_at_once_and_again_when_it_is_back(days: Days) -> None:
    days.run(3 * 3600)
    days.forget()
    began = days.now
    for address in (NS1, NS2):
        copy = days.world.copy_at(address, "zone.test.")
        copy.sign(AT, inception=AT.replace(month=1), expiration=AT.replace(month=2))

    days.run(2 * INTERVAL_S)

    (sweep, *_) = [one for one in days.sweeps("zone.test.") if one.alarm]
    assert sweep.swept_at.timestamp() - (days.world.instant.at - (days.now - began)) <= INTERVAL_S + 5
    assert sweep.verdict is Verdict.BOGUS
    assert {one.signatures for one in sweep.servers if not one.of_parent} == {"invalid"}
    assert sweep.evidence is not None
    assert days.sweeps("other.test.") == []

    days.forget()
    for address in (NS1, NS2):
        days.world.copy_at(address, "zone.test.")
    days.run(3 * INTERVAL_S)

    assert [one.verdict for one in days.sweeps("zone.test.")][-1] is Verdict.SECURE


def test_one_server_that_is_silent_is_found_although_the_names_still_resolve(days: Days) -> None:
    days.run(3600)
    days.forget()
    days.world.bend(NS2, SILENCE)

    days.run(2 * 3600)

    assert {one.judgement.verdict for one in days.observations()} <= {Verdict.SECURE}
    sweeps = days.sweeps("zone.test.")
    assert {one.server for one in sweeps[-1].servers if one.status is ServerStatus.SILENT} == {NS2}
    assert [sweep.evidence is not None for sweep in sweeps].count(True) == 1, "what is known is not sent again"


def test_our_own_network_that_is_gone_is_one_trouble_and_no_servers_fault(days: Days) -> None:
    days.run(3600)
    days.forget()
    for server in days.world.servers:
        days.world.bend(server, SILENCE)

    days.run(4 * 3600)

    lost = [one for one in days.said if isinstance(one, SelfReport) and one.detail]
    assert [(one.code, one.subject) for one in lost] == [("self_vantage_lost", "auth")]
    assert {one.status for sweep in days.sweeps() for one in sweep.servers} <= {ServerStatus.NOT_ASKED}


def test_names_that_leave_the_inventory_leave_the_sweeps(days: Days) -> None:
    gone = [PollTarget(names.from_text(host), records.A, "auth") for host in HOSTS if "zone" in host]
    days.watch.change(RosterChange(1, [], gone=gone), days.now)
    days.run(INTERVAL_S)
    days.forget()

    days.run(3 * 3600)

    assert {sweep.zone for sweep in days.sweeps()} == {".", "test.", "other.test."}


def test_a_server_that_errs_during_a_poll_does_not_end_the_watch(days: Days) -> None:
    def refuse(_: Question, response: dns.message.Message) -> dns.message.Message:
        response.set_rcode(dns.rcode.SERVFAIL)
        response.answer = response.authority = []
        return response

    days.world.bend("192.0.2.11", refuse)
    days.run(3 * 3600)

    (sweep, *_) = reversed(days.sweeps("zone.test."))
    above = [one for one in sweep.servers if one.of_parent]
    assert [(one.server, one.status, one.detail) for one in above] == [
        ("192.0.2.11", ServerStatus.REFUSES, "it answers SERVFAIL")
    ]

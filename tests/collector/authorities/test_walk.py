"""Walks over servers in memory: what is asked of whom, how much, and what is believed."""

import pytest

from collector.authorities.walk import Walker
from collector.config import Authorities
from collector.dnssec import names, records
from collector.dnssec.message import Response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Reply
from collector.resolvers.dialogue import Dialogues, Question
from collector.resolvers.view import View
from schemas.judgement import Judgement
from tests.support.internet import Internet


class World(Internet):
    """``test.`` with two servers, ``zone.test.`` with two of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.add("test.", {"ns1.test.": ["192.0.2.11"], "ns2.test.": ["192.0.2.12"]})
        zone = self.add("zone.test.", {"ns1.zone.test.": ["192.0.2.21"], "ns2.zone.test.": ["192.0.2.22"]})
        zone.add("www", "A", "198.51.100.1")
        zone.add("a.b.c", "A", "198.51.100.2")
        zone.add("alias", "CNAME", "www.elsewhere.test.")

    def walker(self, *, allow_private: bool = True) -> Walker:
        return Walker(Authorities(hints=self.hints, allow_private=allow_private), self.instant)

    def ask(self, name: str, rdtype: str = "A", walker: Walker | None = None, attempts: int | None = None) -> Reply:
        walker = walker or self.walker()
        question = Question("auth", names.from_text(name), records.type_from_text(rdtype), attempts=attempts)
        return self.run(walker.walk(question))

    def judge(self, name: str, rdtype: str = "A") -> Judgement:
        anchors = self.sign()
        walker = self.walker()
        view = View("auth", anchors, Policy(), self.instant, is_resolver=False)
        dialogues = Dialogues(self.instant, {"auth": walker.walk})
        steps = view.judge(names.from_text(name), records.type_from_text(rdtype))
        return self.run(steps, dialogues).judgement

    @property
    def shown(self) -> list[str]:
        return [f"{names.to_text(q.name)} {records.type_to_text(q.rdtype)}" for q in self.asked]


def addresses(reply: Reply, name: str) -> list[str]:
    assert isinstance(reply, Response), reply
    rrset = reply.answer[names.from_text(name), records.A]
    return [records.rdata_to_text(records.A, rdata) for rdata in rrset.rdatas]


@pytest.fixture
def world() -> World:
    return World()


def test_a_walk_shows_each_server_no_more_of_the_name_than_it_needs(world: World) -> None:
    world.sign()

    reply = world.ask("www.zone.test")

    assert addresses(reply, "www.zone.test") == ["198.51.100.1"]
    assert world.shown == ["test. A", "zone.test. A", "www.zone.test. A"]
    assert [question.server[:9] for question in world.asked] == ["192.0.2.1", "192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize(
    ("name", "rdtype", "verdict"),
    [
        ("www.zone.test", "A", "secure"),
        ("www.zone.test", "AAAA", "secure"),
        ("nowhere.zone.test", "A", "secure"),
        ("a.b.c.zone.test", "A", "secure"),
        ("b.c.zone.test", "A", "secure"),
        ("zone.test", "DS", "secure"),
        ("zone.test", "DNSKEY", "secure"),
        (".", "NS", "secure"),
    ],
)
def test_what_a_walk_finds_is_validated_like_the_word_of_a_resolver(
    world: World, name: str, rdtype: str, verdict: str
) -> None:
    judgement = world.judge(name, rdtype)

    assert judgement.verdict == verdict, judgement.reasons
    assert judgement.resolver is None

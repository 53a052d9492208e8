"""Resolvers: what they tell their clients, what they leave out, and whether they answer."""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from collector.dnssec.questions import FetchFailure
from collector.resolvers.dialogue import Question
from collector.resolvers.matching import GUESSED
from collector.resolvers.suspicion import CALM_S, MOST_IN_WINDOW, Tally
from schemas.catalogue import Severity
from schemas.codes import Code
from tests.catalogue.answers import honest
from tests.catalogue.case import Case, Deed
from tests.catalogue.deeds import is_about, is_for_client, once, restore, signed_from, stripped
from tests.catalogue.signatures import DAY, MINUTE
from tests.support.internet import SILENCE
from tests.support.watched_world import Bend, WatchedWorld

LONGER_THAN_CACHES = 25.0
"""What clients are told is asked with each tenth poll, and must outlast what caches lag behind."""


def bending(bend: Bend) -> Deed:
    def change(world: WatchedWorld) -> None:
        world.bends["corp"] = bend

    return change


def lies(question: Question, message: dns.message.Message) -> dns.message.Message:
    """Give clients a forged address, and call it authentic."""
    if is_for_client(question) and is_about(question, "www.zone.test"):
        message.answer = [dns.rrset.from_text("www.zone.test.", 60, "IN", "A", "203.0.113.66")]
        message.flags |= dns.flags.AD
    return message


def validates_not(question: Question, message: dns.message.Message) -> dns.message.Message:
    """Give clients everything as it is, and call nothing authentic."""
    if is_for_client(question):
        message.flags &= ~dns.flags.AD
    return message


def turned(question: Question, message: dns.message.Message) -> dns.message.Message:
    """Give clients the records in another order, under another TTL."""
    if is_for_client(question):
        message.answer = [
            dns.rrset.from_rdata_list(rrset.name, 7, list(reversed(list(rrset)))) for rrset in message.answer
        ]
    return message


def silent(_: Question, __: dns.message.Message) -> FetchFailure:
    return SILENCE


def expired_but_handed_out(world: WatchedWorld) -> None:
    """Let the signatures end, and have the resolver hand the answers to its clients nevertheless."""
    signed_from(-20 * DAY, -MINUTE)(world)

    def hands_out(question: Question, message: dns.message.Message) -> dns.message.Message:
        if is_for_client(question) and is_about(question, "www.zone.test"):
            message.set_rcode(dns.rcode.NOERROR)
            message.answer = [dns.rrset.from_text("www.zone.test.", 60, "IN", "A", "198.51.100.1")]
        return message

    world.bends["corp"] = hands_out


def handed_out_no_more(world: WatchedWorld) -> None:
    restore(world)
    honest(world)


def of_two_zones() -> WatchedWorld:
    world = WatchedWorld()
    world.add("bank.test.").add("www", "A", "198.51.100.9")
    world.sign()
    world.watch_host("www.bank.test")
    return world


def guessed(count: int) -> Deed:
    """Have so many replies arrive that match no question, as the resolver's own tally counts them."""

    def change(world: WatchedWorld) -> None:
        tally = Tally()
        tally.suspicion(world.now)
        world.run(CALM_S)
        for _ in range(count):
            tally.pass_over(sorted(GUESSED)[0], world.now)
        suspicion = tally.suspicion(world.now)
        assert suspicion is not None
        world.watch.suspect("corp", suspicion, world.our_at)

    return change


def guessed_no_more(world: WatchedWorld) -> None:
    world.watch.suspect("corp", "", world.our_at)


CASES = (
    Case(
        code=Code.RESOLVER_DISAGREES,
        severity=Severity.CRITICAL,
        happens="clients of the resolver get a forged address as authentic",
        cause="",
        stage=bending(lies),
        heal=honest,
        harmless="they get the records in another order under another TTL",
        near=bending(turned),
        minutes=LONGER_THAN_CACHES,
        heals_in=LONGER_THAN_CACHES,
    ),
    Case(
        code=Code.RESOLVER_NOT_VALIDATING,
        happens="the resolver calls nothing authentic",
        cause="",
        stage=bending(validates_not),
        heal=honest,
        harmless="it does not once",
        near=bending(once(validates_not, is_for_client)),
        minutes=LONGER_THAN_CACHES,
        heals_in=LONGER_THAN_CACHES,
    ),
    Case(
        code=Code.RESOLVER_NTA_SUSPECTED,
        happens="signatures have ended, and a resolver that validates elsewhere hands the answers out",
        cause="",
        made=of_two_zones,
        stage=expired_but_handed_out,
        heal=handed_out_no_more,
        harmless="signatures have ended, and the resolver refuses the answers",
        near=signed_from(-20 * DAY, -MINUTE),
        beside=frozenset({Code.RRSIG_EXPIRED, Code.RESOLVER_NOT_VALIDATING}),
        beside_near=frozenset({Code.RRSIG_EXPIRED}),
        heals_in=LONGER_THAN_CACHES,
    ),
    Case(
        code=Code.VANTAGE_STRIPS_DNSSEC,
        severity=Severity.CRITICAL,
        happens="the resolver leaves out DNSSEC records",
        cause="",
        stage=bending(stripped),
        heal=honest,
        harmless="it leaves them out of one reply",
        near=bending(once(stripped)),
    ),
    Case(
        code=Code.SPOOFING_SUSPECTED,
        happens="more replies arrive that match no question than an honest network brings",
        cause="",
        stage=guessed(MOST_IN_WINDOW + 1),
        heal=guessed_no_more,
        harmless="as many as it may bring",
        near=guessed(MOST_IN_WINDOW),
    ),
    Case(
        code=Code.SELF_VANTAGE_LOST,
        happens="the resolver does not answer any more",
        cause="",
        stage=bending(silent),
        heal=honest,
        harmless="it does not answer one question",
        near=bending(once(silent)),
    ),
)

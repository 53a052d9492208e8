"""Signatures: those that do not hold, those that are missing, and those that soon will not hold."""

from datetime import timedelta

import dns.name
import dns.rdata
import msgspec

from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import Message, Observation
from tests.catalogue.case import Case, Deed
from tests.catalogue.deeds import adding, alter_signatures, drop_from, restore, serve, sign_by, signed_from
from tests.support.internet import SILENCE
from tests.support.watched_world import WatchedWorld

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WWW = "www.zone.test."


def forge(world: WatchedWorld) -> None:
    serve(world.zone, "www", "A", "203.0.113.66")


def spoil_one_of_two(world: WatchedWorld) -> None:
    alter_signatures(world.zone, "www", "A", lambda made: [*made, *(one.replace(signature=bytes(64)) for one in made)])


def sign_keys_by_all(world: WatchedWorld) -> None:
    """Sign the key set by the zone-signing key, too, which cannot vouch for it."""
    sign_by(world.zone, "@", "DNSKEY", world.zone.keys, world.at)


def unsign(world: WatchedWorld) -> None:
    del world.zone.signatures[dns.name.from_text(WWW), dns.rdatatype.A]


def watch_unsigned(world: WatchedWorld) -> None:
    world.add("plain.test.", keys=[]).add("www", "A", "198.51.100.9")
    world.sign()
    world.watch_host("www.plain.test")


def sign_as_another(world: WatchedWorld) -> None:
    def alter(made: list[dns.rdata.Rdata]) -> list[dns.rdata.Rdata]:
        return [one.replace(signer=dns.name.from_text(WWW)) for one in made]

    alter_signatures(world.zone, "www", "A", alter)


def watch_below_wildcard(world: WatchedWorld) -> None:
    adding("*.w", "A", "198.51.100.2")(world)
    world.watch_host("any.w.zone.test")


def watched_below_wildcard() -> WatchedWorld:
    world = WatchedWorld()
    watch_below_wildcard(world)
    return world


def hide_denial(world: WatchedWorld) -> None:
    drop_from(world.zone, "NSEC")


def speak_of_a_new_fault(message: Message) -> Message:
    """Name a fault as a later version might, which the analysis does not know yet."""
    if isinstance(message, Observation) and message.judgement.verdict is Verdict.BOGUS:
        reasons = tuple(msgspec.structs.replace(one, code="rrsig_of_the_future") for one in message.judgement.reasons)
        return msgspec.structs.replace(message, judgement=msgspec.structs.replace(message.judgement, reasons=reasons))
    return message


def meet_a_later_version(world: WatchedWorld) -> None:
    world.in_transit = speak_of_a_new_fault
    forge(world)


def answer_badly(world: WatchedWorld) -> None:
    world.recursion.broken.add(world.zone.name)


def answer_again(world: WatchedWorld) -> None:
    world.recursion.broken.clear()


def lose_one(world: WatchedWorld) -> None:
    world.bends["corp"] = lambda question, message: SILENCE
    world.run(2)
    del world.bends["corp"]


def renewed_seldom() -> WatchedWorld:
    """Return a world whose zone was signed for three days each 21 hours, three times, and once more."""
    world = WatchedWorld(interval_s=1800.0, sweep_s=86_400.0)
    for _ in range(3):
        sign_for_three_days(world)
        world.run(21 * 3600)
    sign_for_three_days(world)
    return world


def let_pass(hours: float) -> Deed:
    """Do nothing for so long."""
    return lambda world: world.run(hours * 3600)


sign_for_three_days = signed_from(-HOUR, 3 * DAY)


def keep_longer_than_signed(world: WatchedWorld) -> None:
    world.zone.add("www", "A", "198.51.100.1", ttl=7200)
    signed_from(-HOUR, HOUR)(world)


def keep_as_long_as_signed(world: WatchedWorld) -> None:
    world.zone.add("www", "A", "198.51.100.1", ttl=1800)
    signed_from(-HOUR, HOUR)(world)


def keep_shortly(world: WatchedWorld) -> None:
    world.zone.add("www", "A", "198.51.100.1", ttl=60)
    restore(world)


CASES = (
    Case(
        code=Code.VERDICT_BOGUS,
        happens="a forged answer, and a collector that names its fault by a code that is not known yet",
        stage=meet_a_later_version,
        heal=restore,
        harmless="the same by a code that is known: it is told by that one",
        near=forge,
        beside_near=frozenset({Code.RRSIG_CRYPTO_INVALID}),
    ),
    Case(
        code=Code.VERDICT_INDETERMINATE,
        happens="the resolver answers SERVFAIL for the zone",
        stage=answer_badly,
        heal=answer_again,
        harmless="one reply is lost",
        near=lose_one,
    ),
    Case(
        code=Code.RRSIG_EXPIRED,
        happens="every signature of the zone has ended",
        stage=signed_from(-20 * DAY, -MINUTE),
        heal=restore,
        harmless="every signature ends within the day",
        near=signed_from(-13 * DAY, DAY),
        beside_near=frozenset({Code.RRSIG_EXPIRING}),
    ),
    Case(
        code=Code.RRSIG_NOT_YET_VALID,
        happens="every signature of the zone begins tomorrow",
        stage=signed_from(DAY, 15 * DAY),
        heal=restore,
        harmless="every signature begins this second",
        near=signed_from(timedelta(), 14 * DAY),
    ),
    Case(
        code=Code.RRSIG_WINDOW_INVERTED,
        happens="signatures that end before they begin",
        stage=signed_from(DAY, -DAY),
        heal=restore,
        harmless="signatures for an hour only",
        near=signed_from(timedelta(), HOUR),
        beside_near=frozenset({Code.RRSIG_SHORTER_THAN_SOA_EXPIRE}),
    ),
    Case(
        code=Code.RRSIG_CRYPTO_INVALID,
        happens="a forged address below the old signature",
        stage=forge,
        heal=restore,
        harmless="the same data are signed anew",
        near=restore,
    ),
    Case(
        code=Code.RRSIG_PARTIAL_INVALID,
        happens="a signature that does not verify stands beside a good one",
        stage=spoil_one_of_two,
        heal=restore,
        harmless="the key set is signed by the zone-signing key, too",
        near=sign_keys_by_all,
    ),
    Case(
        code=Code.RRSIG_MISSING,
        happens="an address of the signed zone comes without its signature",
        stage=unsign,
        heal=restore,
        harmless="a name of a zone that is not signed is watched",
        near=watch_unsigned,
    ),
    Case(
        code=Code.RRSIG_SIGNER_INVALID,
        happens="a signature names a signer that is no zone",
        stage=sign_as_another,
        heal=restore,
        harmless="a signature with fewer labels than the name, from a wildcard",
        near=watch_below_wildcard,
    ),
    Case(
        code=Code.WILDCARD_PROOF_INVALID,
        happens="a wildcard is expanded without the proof that no closer name exists",
        made=watched_below_wildcard,
        stage=hide_denial,
        heal=restore,
        harmless="a wildcard is expanded with that proof",
        near=watch_below_wildcard,
    ),
    Case(
        code=Code.RRSIG_EXPIRING,
        severity=Severity.CRITICAL,
        happens="a day of two weeks is left",
        stage=signed_from(-13 * DAY, DAY),
        heal=restore,
        harmless="six days of two weeks are left",
        near=signed_from(-8 * DAY, 6 * DAY),
    ),
    Case(
        code=Code.RRSIG_REFRESH_OVERDUE,
        happens="a zone that is signed each 21 hours is not for 31",
        made=renewed_seldom,
        stage=let_pass(31),
        heal=sign_for_three_days,
        harmless="it is not for 26",
        near=let_pass(26),
        heals_in=120,  # three polls, each half an hour
    ),
    Case(
        code=Code.RRSIG_TTL_BEYOND_EXPIRY,
        happens="an address may be kept for two hours, and its signature ends in one",
        stage=keep_longer_than_signed,
        heal=keep_shortly,
        harmless="it may be kept for half an hour",
        near=keep_as_long_as_signed,
        beside_near=frozenset({Code.RRSIG_SHORTER_THAN_SOA_EXPIRE}),
    ),
)

"""Names: what is denied of them, where their aliases lead, what they answer, and who consumes them."""

import itertools

import dns.message
import dns.rrset

from anchorwatch.lab.zones import Nsec3Params
from collector.resolvers.dialogue import Question
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import Endpoint, Identity
from tests.catalogue.case import Case, Deed
from tests.catalogue.deeds import adding, drop_from, is_about, removing, restore, sign_nsec
from tests.support.watched_world import Bend, WatchedWorld

HOST = "www.zone.test"
BOTH_TYPES = ("A", "AAAA")
ADDRESS, OTHER, FAR = "198.51.100.1", "198.51.100.2", "203.0.113.66"


def of_both_types(interval_s: float = 60.0) -> WatchedWorld:
    """Watch a name that has no IPv6 address for both kinds."""
    world = WatchedWorld(interval_s=interval_s)
    world.watch_host(HOST, types=BOTH_TYPES)
    return world


def of_both_types_slowly() -> WatchedWorld:
    """Poll each five minutes: caches may hold a denial for an hour, so longer is watched."""
    return of_both_types(300.0)


def without_denial(world: WatchedWorld) -> None:
    drop_from(world.zone, "NSEC")


def hashed(iterations: int, salt: bytes = b"") -> Deed:
    """Have the zone prove absence by NSEC3."""

    def change(world: WatchedWorld) -> None:
        world.zone.nsec3 = Nsec3Params(iterations, salt)
        world.publish()

    return change


def with_nsec(world: WatchedWorld) -> None:
    world.zone.nsec3 = None
    removing("@", "NSEC3PARAM")(world)


def denying(types: str) -> Deed:
    """Have the zone prove, validly signed, that the watched name has just these types."""
    return lambda world: sign_nsec(world.zone, "www", types, world.at)


def with_alias(target: str = HOST + ".") -> WatchedWorld:
    """Watch a name of the zone that is an alias."""
    world = WatchedWorld()
    world.add("bank.test.").add("www", "A", "198.51.100.9")
    world.add("plain.test.", keys=[]).add("www", "A", "198.51.100.9")
    world.zone.add("alias", "CNAME", target)
    world.zone.add("via", "CNAME", HOST + ".")
    world.sign()
    world.watch_host("alias.zone.test")
    return world


def to_a_signed_name() -> WatchedWorld:
    return with_alias("www.bank.test.")


def served_alone() -> WatchedWorld:
    """Watch a name of a zone that is not signed."""
    world = WatchedWorld(vantages=("corp", "dmz"))
    world.add("plain.test.", keys=[]).add("www", "A", ADDRESS)
    world.sign()
    world.watch_host("www.plain.test")
    return world


def from_two() -> WatchedWorld:
    return WatchedWorld(vantages=("corp", "dmz"))


def answering(host: str, *turns: tuple[str, ...]) -> Bend:
    """Answer these addresses for a host, the next with each question."""
    turn = itertools.cycle(turns)

    def bend(question: Question, message: dns.message.Message) -> dns.message.Message:
        if is_about(question, host):
            answer = message.answer[0]
            message.answer[0] = dns.rrset.from_text(answer.name, answer.ttl, "IN", "A", *next(turn))
        return message

    return bend


def at(vantage: str, bend: Bend) -> Deed:
    def change(world: WatchedWorld) -> None:
        world.bends[vantage] = bend

    return change


def honest(world: WatchedWorld) -> None:
    world.bends.clear()


def calm() -> WatchedWorld:
    world = served_alone()
    world.zone = world.internet.zones["plain.test."]
    return world


def consumed_by(environment: str, *, host: str = HOST) -> Deed:
    """Have a further identity consume a name."""

    def change(world: WatchedWorld) -> None:
        endpoint = Endpoint(host=host, types=("A",))
        world.put_identity(Identity(id="sa-more", environment=environment, endpoints=(endpoint,)))

    return change


def consumed_no_more(world: WatchedWorld) -> None:
    world.drop_identity("sa-more")


def expecting(verdict: Verdict) -> Deed:
    """Have a further identity expect a verdict of a name."""

    def change(world: WatchedWorld) -> None:
        endpoint = Endpoint(host=HOST, types=("A",), expect=verdict)
        world.put_identity(Identity(id="sa-more", environment="prod", endpoints=(endpoint,)))

    return change


def flip(*turns: tuple[str, ...], every_s: float = 60.0, times: int = 20) -> Deed:
    """Serve these addresses in turn, validly signed."""

    def change(world: WatchedWorld) -> None:
        for addresses, _ in zip(itertools.cycle(turns), range(times), strict=False):
            adding("www", "A", *addresses)(world)
            world.run(every_s)

    return change


def nothing(_: WatchedWorld) -> None:
    """Leave everything as it is."""


CASES = (
    Case(
        code=Code.DENIAL_MISSING,
        happens="that there is no IPv6 address is said without proof",
        made=of_both_types,
        stage=without_denial,
        heal=restore,
        harmless="it is proven by NSEC3 instead of NSEC",
        near=hashed(0),
    ),
    Case(
        code=Code.DENIAL_INVALID,
        happens="the proof that there is no IPv6 address says that there is one",
        made=of_both_types,
        stage=denying("A AAAA RRSIG NSEC"),
        heal=restore,
        harmless="the proof says that there is a TXT record",
        near=denying("A TXT RRSIG NSEC"),
    ),
    Case(
        code=Code.DENIAL_CONTRADICTS_DATA,
        happens="the proof that there is no IPv6 address says that there is no IPv4 address either",
        made=of_both_types_slowly,
        stage=denying("RRSIG NSEC"),
        heal=restore,
        harmless="both addresses are gone, and both are denied",
        near=removing("www", "A"),
        beside_near=frozenset({Code.ENDPOINT_ABSENT}),
        minutes=80,
        heals_in=20,
    ),
    Case(
        code=Code.ALIAS_CHAIN_BROKEN,
        happens="an alias leads to itself",
        made=with_alias,
        stage=adding("alias", "CNAME", "alias.zone.test."),
        heal=adding("alias", "CNAME", HOST + "."),
        harmless="an alias leads to the same place by way of another one",
        near=adding("alias", "CNAME", "via.zone.test."),
    ),
    Case(
        code=Code.ALIAS_EXITS_SIGNED_SPACE,
        happens="an alias leads to a zone that is not signed",
        made=to_a_signed_name,
        stage=adding("alias", "CNAME", "www.plain.test."),
        heal=adding("alias", "CNAME", "www.bank.test."),
        harmless="an alias leads to another zone that is signed",
        near=adding("alias", "CNAME", HOST + "."),
        beside_near=frozenset({Code.ANSWER_CHANGED}),
    ),
    Case(
        code=Code.NSEC3_ITERATIONS_OVER_LIMIT,
        happens="absence is proven by NSEC3 with 151 iterations",
        made=of_both_types,
        stage=hashed(151),
        heal=with_nsec,
        harmless="it is with 150",
        near=hashed(150),
        beside=frozenset({Code.NSEC3_PARAMS_POOR}),
        beside_near=frozenset({Code.NSEC3_PARAMS_POOR}),
    ),
    Case(
        code=Code.NSEC3_PARAMS_POOR,
        happens="absence is proven by NSEC3 with a salt",
        made=of_both_types,
        stage=hashed(0, b"\xab\xcd"),
        heal=with_nsec,
        harmless="it is without one, and without further iterations",
        near=hashed(0),
    ),
    Case(
        code=Code.ENDPOINT_ABSENT,
        severity=Severity.HIGH,
        happens="a watched name has gone",
        stage=removing("www", "A"),
        heal=adding("www", "A", ADDRESS),
        harmless="a watched name never had an IPv6 address",
        near=nothing,
        made=of_both_types,
    ),
    Case(
        code=Code.ANSWER_UNSTABLE,
        happens="a name gets another address each minute",
        stage=flip((ADDRESS,), (OTHER,)),
        heal=nothing,
        harmless="its addresses come in another order each time",
        near=flip((ADDRESS, OTHER), (OTHER, ADDRESS)),
        heals_in=90,
        beside=frozenset({Code.ANSWER_CHANGED}),
    ),
    Case(
        code=Code.VANTAGE_DISAGREEMENT,
        happens="one of two vantages gets an address of another network for a name that is not signed",
        cause="plain.test.",
        made=served_alone,
        stage=at("dmz", answering("www.plain.test", (FAR,))),
        heal=honest,
        harmless="one of two vantages gets another address of the same network",
        near=at("dmz", answering("www.plain.test", (OTHER,))),
        beside=frozenset({Code.ANSWER_CHANGED}),
        beside_near=frozenset({Code.ANSWER_CHANGED}),
        minutes=25,
    ),
    Case(
        code=Code.ENVIRONMENT_MIXED,
        happens="an identity of development consumes a name of production",
        stage=consumed_by("dev"),
        heal=consumed_no_more,
        harmless="a further identity of production consumes it",
        near=consumed_by("prod"),
    ),
    Case(
        code=Code.EXPECTATION_MISSED,
        happens="the inventory expects a signed name to be unsigned",
        stage=expecting(Verdict.INSECURE),
        heal=consumed_no_more,
        harmless="it expects it to be signed",
        near=expecting(Verdict.SECURE),
    ),
)

"""Changes: of keys, of delegations, of protection, of answers. Each outlives the return to what was before."""

import msgspec

from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.messages import Act, ActKind, utc
from tests.catalogue.answers import ADDRESS, FAR, OTHER, calm, nothing
from tests.catalogue.case import SWEPT, Case, Deed
from tests.catalogue.deeds import adding, ds_of, publishing, restore, spare, with_keys
from tests.catalogue.keys import OWN, ROLLED, sign_again, two_keys_two_ds, watch_island
from tests.catalogue.servers import NAMES, SOME_SWEEPS
from tests.support.watched_world import ZONE, WatchedWorld

NEW_ENTRY, NEW_SIGNER = spare(61, entry=True), spare(62)
LONG_TTL_S = 7200
PROVIDER = ("ns1.elsewhere.test.", "ns2.elsewhere.test.")


def kept_for_hours() -> WatchedWorld:
    """Return a world whose DS and key sets caches keep for two hours."""
    world = WatchedWorld(interval_s=300.0, sweep_s=7200.0)
    world.zone.ttl = world.tld.ttl = LONG_TTL_S
    world.sign()
    return world


def go_unsigned(world: WatchedWorld) -> None:
    world.zone.keys = []
    world.publish()
    world.set_ds()


def island() -> WatchedWorld:
    world = WatchedWorld()
    watch_island(world)
    return world


def secure_island(world: WatchedWorld) -> None:
    world.set_ds(*ds_of(world.internet.zones["island.test."]), zone="island.test.")


def leave_island(world: WatchedWorld) -> None:
    world.set_ds(zone="island.test.")


def below(name: str) -> WatchedWorld:
    """Watch a name two labels below its zone."""
    world = WatchedWorld()
    world.zone.add(name, "A", ADDRESS)
    world.publish()
    world.watch_host(f"{name}.{ZONE}".rstrip("."))
    return world


def of_depth() -> WatchedWorld:
    return below("www.sub")


def delegate(label: str) -> Deed:
    """Make a zone of its own of what lies below a label."""

    def change(world: WatchedWorld) -> None:
        world.add(f"{label}.{ZONE}").add("www", "A", ADDRESS)
        world.sign()

    return change


def take_back(world: WatchedWorld) -> None:
    world.take_away(f"sub.{ZONE}")
    for rdtype in ("NS", "DS"):
        world.zone.remove("sub", rdtype)
    world.publish()


def swap_entry_key(*, wait_s: float) -> Deed:
    """Publish a new entry key and its DS, and take the old ones away after some time."""

    def change(world: WatchedWorld) -> None:
        zone = world.zone
        zone.keys = [NEW_ENTRY, *OWN]
        world.publish()
        world.run(wait_s)
        world.set_ds(*ds_of(zone, NEW_ENTRY))
        world.run(wait_s)
        zone.keys = [NEW_ENTRY, OWN[1]]
        world.publish()

    return change


def entry_key_back(world: WatchedWorld) -> None:
    world.zone.keys = [NEW_ENTRY, *OWN]
    world.publish()


def name_servers(*names: str) -> Deed:
    """Have parent and zone name these servers."""

    def change(world: WatchedWorld) -> None:
        for zone, owner in ((world.zone, "@"), (world.tld, ZONE)):
            zone.add(owner, "NS", *names)
        world.publish(world.zone, world.tld)

    return change


def with_sha384() -> WatchedWorld:
    world = WatchedWorld()
    world.set_ds(*ds_of(world.zone, digest="SHA384"))
    return world


def both_digests(world: WatchedWorld) -> None:
    world.set_ds(*ds_of(world.zone), *ds_of(world.zone, digest="SHA384"))


def sha384_again(world: WatchedWorld) -> None:
    world.set_ds(*ds_of(world.zone, digest="SHA384"))


def moved_and_unsigned(world: WatchedWorld) -> None:
    name_servers(*NAMES[:2])(world)
    go_unsigned(world)


def back_and_signed(world: WatchedWorld) -> None:
    name_servers(*NAMES)(world)
    sign_again(world)


def doing(kind: ActKind, **fields: object) -> Deed:
    """Have somebody act."""

    def change(world: WatchedWorld) -> None:
        at = utc(world.our_at)
        act = Act(id=f"act-{kind}", kind=kind, by="ops", at=at, subject=ZONE, why="maintenance", source="api")
        more = {**fields, "ends_at": utc(world.our_at + 600)}
        world.send(msgspec.structs.replace(act, begins_at=at, **more))

    return change


def further_signed_address(world: WatchedWorld) -> None:
    zone = world.internet.zones[ZONE]
    zone.add("www", "A", ADDRESS, OTHER)
    world.publish(zone)


CASES = (
    Case(
        code=Code.SECURE_TO_INSECURE,
        happens="the zone goes unsigned, and its DS is removed",
        stage=go_unsigned,
        heal=sign_again,
        harmless="a zone that never was signed is watched",
        near=watch_island,
        beside=frozenset({Code.DS_CHANGED}),
    ),
    Case(
        code=Code.ZONE_CUT_CHANGED,
        happens="a label above a watched name becomes a zone of its own",
        cause=f"sub.{ZONE}",
        made=of_depth,
        stage=delegate("sub"),
        heal=take_back,
        harmless="a label beside it does",
        near=delegate("beside"),
    ),
    Case(
        code=Code.DS_CHANGED,
        happens="a zone that had keys and no DS gets one",
        cause="island.test.",
        made=island,
        stage=secure_island,
        heal=leave_island,
        harmless="a standby key gets a DS beside the one that is there",
        near=two_keys_two_ds,
        beside_near=ROLLED,
    ),
    Case(
        code=Code.KEY_ROLLOVER,
        happens="a new signing key is published",
        stage=publishing(NEW_SIGNER),
        heal=publishing(),
        harmless="everything is signed anew by the same keys",
        near=restore,
    ),
    Case(
        code=Code.ROLLOVER_UNSAFE,
        happens="an entry key is replaced within minutes, while caches keep its DS for two hours",
        made=kept_for_hours,
        stage=swap_entry_key(wait_s=420),
        heal=entry_key_back,
        harmless="it is replaced by the same steps, each after three hours",
        near=swap_entry_key(wait_s=3 * 3600),
        beside=ROLLED,
        beside_near=ROLLED,
        settles_in=SWEPT,
        minutes=10,
    ),
    Case(
        code=Code.KEY_CHANGE_UNEXPECTED,
        happens="all keys and the DS are replaced at one stroke",
        stage=with_keys(NEW_ENTRY, NEW_SIGNER),
        heal=sign_again,
        harmless="a standby key gets a DS beside the one that is there",
        near=two_keys_two_ds,
        beside=frozenset({Code.DS_CHANGED}),
        beside_near=ROLLED,
    ),
    Case(
        code=Code.ALGORITHM_DOWNGRADED,
        happens="a SHA-256 digest takes the place of the SHA-384 one",
        made=with_sha384,
        stage=restore,
        heal=sha384_again,
        harmless="a SHA-256 digest stands beside it",
        near=both_digests,
        beside=ROLLED,
        beside_near=ROLLED,
    ),
    Case(
        code=Code.NS_SET_CHANGED,
        happens="the delegation loses one of three servers",
        stage=name_servers(*NAMES[:2]),
        heal=name_servers(*NAMES),
        harmless="the delegation names the same servers in another order and case",
        near=name_servers(*(name.upper() for name in reversed(NAMES))),
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.TAKEOVER_PATTERN,
        happens="the delegation changes, and the zone loses its protection",
        stage=moved_and_unsigned,
        heal=back_and_signed,
        harmless="the delegation changes",
        near=name_servers(*NAMES[:2]),
        beside=frozenset({Code.NS_SET_CHANGED, Code.SECURE_TO_INSECURE, Code.DS_CHANGED}),
        beside_near=frozenset({Code.NS_SET_CHANGED}),
        settles_in=SWEPT,
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.ANSWER_CHANGED,
        severity=Severity.MEDIUM,
        happens="a name that is not signed gets another address",
        cause="plain.test.",
        made=calm,
        stage=adding("www", "A", FAR),
        heal=adding("www", "A", ADDRESS),
        harmless="a name that is signed gets a further address",
        near=further_signed_address,
    ),
    Case(
        code=Code.CHANGE_DECLARED,
        happens="somebody declares a change of keys",
        cause="",
        stage=doing("declare_change", what=("keys", "ds")),
        heal=nothing,
        harmless="somebody sets a silence",
        near=doing("silence", matchers=("zone=zone.test.",)),
        heals_in=15,
    ),
)

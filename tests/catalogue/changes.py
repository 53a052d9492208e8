"""Changes: of keys, of delegations, of protection, of answers. Each outlives the return to what was before."""

import msgspec
from dns.rdatatype import RdataType

from schemas.codes import Code
from schemas.messages import Act, ActKind, utc
from tests.catalogue.answers import ADDRESS, FAR, HOST, OTHER, calm, flip, of_both_types
from tests.catalogue.case import Case, Deed
from tests.catalogue.deeds import adding, ds_of, publishing, removing, restore, spare, with_keys
from tests.catalogue.keys import OWN, ROLLED, sign_again, two_keys_two_ds, watch_island
from tests.catalogue.servers import LONGER_THAN_A_TRANSFER, NAMES, SOME_SWEEPS
from tests.support.estate import ZONE, Estate

NEW_ENTRY, NEW_SIGNER = spare(61, entry=True), spare(62)
LONG_TTL_S = 7200
PROVIDER = ("ns1.elsewhere.test.", "ns2.elsewhere.test.")


def kept_for_hours() -> Estate:
    """Return an estate whose DS and key sets caches keep for two hours."""
    estate = Estate()
    estate.zone.ttl = estate.tld.ttl = LONG_TTL_S
    estate.sign()
    return estate


def go_unsigned(estate: Estate) -> None:
    estate.zone.keys = []
    estate.publish()
    estate.set_ds()


def island() -> Estate:
    estate = Estate()
    watch_island(estate)
    return estate


def secure_island(estate: Estate) -> None:
    estate.set_ds(*ds_of(estate.internet.zones["island.test."]), zone="island.test.")


def leave_island(estate: Estate) -> None:
    estate.set_ds(zone="island.test.")


def below(name: str) -> Estate:
    """Watch a name two labels below its zone."""
    estate = Estate()
    estate.zone.add(name, "A", ADDRESS)
    estate.publish()
    estate.watch_host(f"{name}.{ZONE}".rstrip("."))
    return estate


def of_depth() -> Estate:
    return below("www.sub")


def delegate(label: str) -> Deed:
    """Make a zone of its own of what lies below a label."""

    def change(estate: Estate) -> None:
        estate.add(f"{label}.{ZONE}").add("www", "A", ADDRESS)
        estate.sign()

    return change


def take_back(estate: Estate) -> None:
    estate.take_away(f"sub.{ZONE}")
    for rdtype in ("NS", "DS"):
        estate.zone.remove("sub", rdtype)
    estate.publish()


def swap_entry_key(*, wait_s: float) -> Deed:
    """Publish a new entry key and its DS, and take the old ones away after some time."""

    def change(estate: Estate) -> None:
        zone = estate.zone
        zone.keys = [NEW_ENTRY, *OWN]
        estate.publish()
        estate.run(wait_s)
        estate.set_ds(*ds_of(zone, NEW_ENTRY))
        estate.run(wait_s)
        zone.keys = [NEW_ENTRY, OWN[1]]
        estate.publish()

    return change


def entry_key_back(estate: Estate) -> None:
    estate.zone.keys = [NEW_ENTRY, *OWN]
    estate.publish()


def name_servers(*names: str) -> Deed:
    """Have parent and zone name these servers."""

    def change(estate: Estate) -> None:
        for zone, owner in ((estate.zone, "@"), (estate.tld, ZONE)):
            zone.add(owner, "NS", *names)
        estate.publish(estate.zone, estate.tld)

    return change


def with_sha384() -> Estate:
    estate = Estate()
    estate.set_ds(*ds_of(estate.zone, digest="SHA384"))
    return estate


def both_digests(estate: Estate) -> None:
    estate.set_ds(*ds_of(estate.zone), *ds_of(estate.zone, digest="SHA384"))


def sha384_again(estate: Estate) -> None:
    estate.set_ds(*ds_of(estate.zone, digest="SHA384"))


def moved_and_unsigned(estate: Estate) -> None:
    name_servers(*NAMES[:2])(estate)
    go_unsigned(estate)


def back_and_signed(estate: Estate) -> None:
    name_servers(*NAMES)(estate)
    sign_again(estate)


def doing(kind: ActKind, **fields: object) -> Deed:
    """Have somebody act."""

    def change(estate: Estate) -> None:
        at = utc(estate.our_at)
        act = Act(id=f"act-{kind}", kind=kind, by="ops", at=at, subject=ZONE, why="maintenance", source="api")
        more = {**fields, "ends_at": utc(estate.our_at + 600)}
        estate.send(msgspec.structs.replace(act, begins_at=at, **more))

    return change


def nothing(_: Estate) -> None:
    """Leave everything as it is."""


CASES = (
    Case(
        code=Code.SECURE_TO_INSECURE,
        happens="the zone goes unsigned, and its DS is removed",
        stage=go_unsigned,
        heal=sign_again,
        harmless="a zone that never was signed is watched",
        near=watch_island,
        beside=frozenset({Code.DS_CHANGED, Code.ROLLOVER_UNSAFE}),
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
        stage=swap_entry_key(wait_s=240),
        heal=entry_key_back,
        harmless="it is replaced by the same steps, each after three hours",
        near=swap_entry_key(wait_s=3 * 3600),
        beside=ROLLED,
        beside_near=ROLLED,
        minutes=75,
    ),
    Case(
        code=Code.KEY_CHANGE_UNEXPECTED,
        happens="all keys and the DS are replaced at one stroke",
        stage=with_keys(NEW_ENTRY, NEW_SIGNER),
        heal=sign_again,
        harmless="a standby key gets a DS beside the one that is there",
        near=two_keys_two_ds,
        beside=frozenset({Code.DS_CHANGED, Code.ROLLOVER_UNSAFE}),
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
        beside=frozenset({Code.DS_CHANGED}),
        beside_near=ROLLED,
    ),
    Case(
        code=Code.NS_SET_CHANGED,
        happens="the delegation loses one of three servers",
        stage=name_servers(*NAMES[:2]),
        heal=name_servers(*NAMES),
        harmless="the delegation names the same servers in another order and case",
        near=name_servers(*(name.upper() for name in reversed(NAMES))),
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
        beside=frozenset(
            {Code.NS_SET_CHANGED, Code.SECURE_TO_INSECURE, Code.DS_CHANGED, Code.ROLLOVER_UNSAFE}
        ),
        beside_near=frozenset({Code.NS_SET_CHANGED}),
        minutes=SOME_SWEEPS,
        heals_in=SOME_SWEEPS,
    ),
    Case(
        code=Code.ANSWER_CHANGED,
        happens="a name that is not signed gets another address",
        cause="plain.test.",
        made=calm,
        stage=adding("www", "A", FAR),
        heal=adding("www", "A", ADDRESS),
        harmless="a name that is signed gets a further address",
        near=nothing,
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

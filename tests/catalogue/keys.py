"""Keys, DS sets, trust anchors and algorithms: what a chain can't rest on, and what it should not rest on."""

import dns.rrset
from dns.rdatatype import RdataType

from schemas.codes import Code
from tests.catalogue.case import Case, Deed
from tests.catalogue.deeds import REVOKE, ds_of, flagged, publishing, restore, sign_by, spare, with_keys
from tests.support.internet import KEYS
from tests.support.watched_world import WatchedWorld

ROLLED = frozenset({Code.KEY_ROLLOVER})
ENTRY, SIGNER = spare(11, entry=True), spare(12)
OWN = KEYS[2]
"""The keys of the zone, the third that is made."""


def ds_set(*lines: str) -> Deed:
    """Have the parent give this DS set besides that of the zone's keys."""

    def change(world: WatchedWorld) -> None:
        world.set_ds(*ds_of(world.zone), *lines)

    return change


def unsign_below_ds(world: WatchedWorld) -> None:
    world.zone.keys = []
    world.publish()


def sign_again(world: WatchedWorld) -> None:
    world.zone.keys, world.zone.published = list(OWN), []
    world.sign()


def watch_island(world: WatchedWorld) -> None:
    """Watch a zone that is signed and has no DS."""
    world.add("island.test.", keys=[ENTRY, SIGNER]).add("www", "A", "198.51.100.9")
    world.sign()
    world.set_ds(zone="island.test.")
    world.watch_host("www.island.test")


def other_digest(world: WatchedWorld) -> None:
    ds = ds_of(world.zone)[0]
    world.set_ds(ds[:-2] + ("00" if ds[-2:] != "00" else "11"))


def two_digests(world: WatchedWorld) -> None:
    world.set_ds(*ds_of(world.zone), *ds_of(world.zone, digest="SHA384"))


def two_keys_two_ds(world: WatchedWorld) -> None:
    """Publish a standby key, and its DS."""
    publishing(ENTRY)(world)
    world.set_ds(*ds_of(world.zone), *ds_of(world.zone, ENTRY))


def crowd(count: int) -> Deed:
    def change(world: WatchedWorld) -> None:
        world.set_ds(*[f"{tag} 13 2 {'ab' * 32}" for tag in range(1, count)], *ds_of(world.zone))

    return change


def root_of(*keys: int) -> Deed:
    """Give the root new keys, of which the parent can know nothing."""

    def change(world: WatchedWorld) -> None:
        world.root.keys = [spare(number, entry=True) for number in keys]
        world.publish(world.root)

    return change


def root_publishing(number: int) -> Deed:
    def change(world: WatchedWorld) -> None:
        world.root.keys = [*KEYS[0], spare(number, entry=True)]
        world.publish(world.root)

    return change


def root_restored(world: WatchedWorld) -> None:
    world.root.keys = list(KEYS[0])
    world.publish(world.root)


def holding_standby() -> WatchedWorld:
    return WatchedWorld(standby=spare(21, entry=True))


def signed_by(*keys: str) -> Deed:
    """Watch a further zone that is signed by keys of these algorithms (``8/1024``: of so many bits)."""

    def change(world: WatchedWorld) -> None:
        made = [spare(number, entry=True, **_kind(one)) for number, one in enumerate(keys, 31)]
        zone = world.add("old.test.", keys=made)
        zone.add("www", "A", "198.51.100.9")
        world.sign()
        world.watch_host("www.old.test")

    return change


def _kind(text: str) -> dict[str, int]:
    algorithm, _, bits = text.partition("/")
    return {"algorithm": int(algorithm), **({"bits": int(bits)} if bits else {})}


def old_signed_by(algorithm: int) -> Deed:
    def change(world: WatchedWorld) -> None:
        world.internet.zones["old.test."].keys = [spare(39, algorithm=algorithm, entry=True)]
        world.sign()

    return change


def digests(*kinds: str) -> Deed:
    def change(world: WatchedWorld) -> None:
        world.set_ds(*(ds for kind in kinds for ds in ds_of(world.zone, digest=kind)))

    return change


def second_algorithm(*, signs: bool) -> Deed:
    """Have a DS of a second algorithm, whose key signs the key set, or does not."""

    def change(world: WatchedWorld) -> None:
        second = [spare(41, algorithm=15, entry=True), spare(42, algorithm=15)]
        zone = world.zone
        zone.keys, zone.published = ([*OWN, *second], []) if signs else (list(OWN), second)
        world.publish()
        world.set_ds(*ds_of(zone, *OWN), *ds_of(zone, *second))

    return change


def polled_seldom() -> WatchedWorld:
    return WatchedWorld(interval_s=7200.0, sweep_s=86_400.0)


def twin_key(world: WatchedWorld) -> None:
    """Publish a key with the tag of another: the tag is a sum, so the order of the words in it does not matter."""
    zone = world.zone
    record = OWN[1].record
    octets = record.key
    twin = record.replace(key=octets[2:4] + octets[:2] + octets[4:])
    name, rdtype = zone.name, RdataType.DNSKEY
    zone.rrsets[name, rdtype] = dns.rrset.from_rdata_list(name, zone.ttl, [*zone.rrsets[name, rdtype], twin])
    sign_by(zone, "@", "DNSKEY", OWN[:1], world.at)


CASES = (
    Case(
        code=Code.DNSKEY_MISSING,
        happens="the zone has no keys any more, and its DS is still there",
        stage=unsign_below_ds,
        heal=sign_again,
        harmless="a zone that has keys and no DS is watched",
        near=watch_island,
    ),
    Case(
        code=Code.DNSKEY_NOT_ZONE_KEY,
        happens="the DS points at a key without the zone bit, which signs everything",
        stage=with_keys(flagged(ENTRY, 0)),
        heal=sign_again,
        harmless="such a key is published beside those that sign",
        near=publishing(flagged(SIGNER, 0)),
        beside_near=ROLLED,
        beside=frozenset({Code.DS_CHANGED}),
    ),
    Case(
        code=Code.DNSKEY_REVOKED_IN_USE,
        happens="the DS points at a key that is revoked, which signs everything",
        stage=with_keys(flagged(ENTRY, 257 | REVOKE)),
        heal=sign_again,
        harmless="a revoked key signs the key set beside the one that the DS points at",
        near=publishing(flagged(ENTRY, 257 | REVOKE)),
        beside_near=ROLLED,
        beside=frozenset({Code.DS_CHANGED}),
    ),
    Case(
        code=Code.DS_DNSKEY_MISMATCH,
        happens="the DS has another digest than the key that it names",
        stage=other_digest,
        heal=restore,
        harmless="a second digest of the same key",
        near=two_digests,
        beside_near=ROLLED,
        beside=frozenset({Code.DS_CHANGED}),
    ),
    Case(
        code=Code.DS_ORPHAN,
        happens="a DS is added for a key that the zone does not have",
        stage=ds_set(f"4711 13 2 {'ab' * 32}"),
        heal=restore,
        harmless="a DS is added for a key that is published and does not sign",
        near=two_keys_two_ds,
        beside=ROLLED,
        beside_near=ROLLED,
    ),
    Case(
        code=Code.TRUST_ANCHOR_MISMATCH,
        happens="the root is signed by a key that no anchor is for",
        cause=".",
        stage=root_of(22),
        heal=root_restored,
        harmless="it is signed by a key whose anchor is held already",
        near=root_of(21),
        made=holding_standby,
        beside_near=frozenset({Code.KEY_CHANGE_UNEXPECTED}),
    ),
    Case(
        code=Code.TRUST_ANCHOR_OUTDATED,
        happens="the root publishes a key that no anchor is for",
        cause=".",
        stage=root_publishing(22),
        heal=root_restored,
        harmless="it publishes a key whose anchor is held already",
        near=root_publishing(21),
        made=holding_standby,
        beside=ROLLED,
        beside_near=ROLLED,
    ),
    Case(
        code=Code.VALIDATION_BUDGET_EXCEEDED,
        happens="the zone has thirteen DS records",
        stage=crowd(13),
        heal=restore,
        harmless="it has twelve",
        near=crowd(12),
        beside_near=frozenset({Code.DS_ORPHAN, Code.KEY_ROLLOVER}),
        beside=frozenset({Code.DS_CHANGED}),
    ),
    Case(
        code=Code.ALGORITHM_UNSUPPORTED,
        happens="a zone is watched that is signed by algorithm 7",
        cause="old.test.",
        stage=signed_by("7"),
        heal=old_signed_by(13),
        harmless="a zone is watched that is signed by algorithm 15",
        near=signed_by("15"),
        beside=frozenset({Code.ALGORITHM_DEPRECATED}),
    ),
    Case(
        code=Code.ALGORITHM_DEPRECATED,
        happens="the DS has a SHA-1 digest only",
        stage=digests("SHA1"),
        heal=restore,
        harmless="a SHA-1 digest stands beside the SHA-256 one",
        near=digests("SHA1", "SHA256"),
        beside=frozenset({Code.ALGORITHM_DOWNGRADED, Code.KEY_ROLLOVER}),
        beside_near=ROLLED,
    ),
    Case(
        code=Code.KEY_WEAK,
        happens="a zone is watched that is signed by RSA with 1024 bits",
        cause="old.test.",
        stage=signed_by("8/1024"),
        heal=old_signed_by(13),
        harmless="a zone is watched that is signed by RSA with 2048 bits",
        near=signed_by("8/2048"),
    ),
    Case(
        code=Code.ALGORITHM_SIGNING_INCOMPLETE,
        happens="a DS names a second algorithm, whose key signs nothing",
        stage=second_algorithm(signs=False),
        heal=sign_again,
        harmless="a DS names a second algorithm, whose keys sign everything",
        near=second_algorithm(signs=True),
        beside=ROLLED,
        beside_near=ROLLED,
    ),
    Case(
        code=Code.KEYTAG_COLLISION,
        happens="a second key has the tag of the first",
        stage=twin_key,
        heal=sign_again,
        harmless="a second key has another tag",
        near=publishing(SIGNER),
        beside=ROLLED,
        beside_near=ROLLED,
        made=polled_seldom,
        minutes=8 * 60,
        heals_in=8 * 1440,
    ),
)

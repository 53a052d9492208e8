"""What can be done to the zones of a world, as operators, attackers and accidents do it."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import dns.dnssec
import dns.message
import dns.name
import dns.rdata
import dns.rrset
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import SigningKey, Zone, generate_key
from collector.dnssec import names
from collector.resolvers.dialogue import Question
from tests.catalogue.case import Deed
from tests.support.watched_world import Bend, WatchedWorld

REVOKE = 0x0080
HIDDEN = (RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3)


@cache
def spare(number: int = 1, *, algorithm: int = 13, entry: bool = False, bits: int = 2048) -> SigningKey:
    """Return the n-th key pair of a kind, the same each time."""
    return generate_key(algorithm, entry=entry, bits=bits)


def flagged(key: SigningKey, flags: int) -> SigningKey:
    """Return a key pair with other flags."""
    return replace(key, flags=flags)


def restore(world: WatchedWorld) -> None:
    """Sign everything, with the keys and the DS sets that it should have."""
    world.sign()


def signed_from(begins: timedelta, ends: timedelta) -> Deed:
    """Sign the zone with signatures that begin and end so long after now."""

    def sign(world: WatchedWorld) -> None:
        world.zone.sign(world.at, inception=world.at + begins, expiration=world.at + ends)

    return sign


def with_keys(*keys: SigningKey, published: tuple[SigningKey, ...] = ()) -> Deed:
    """Give the zone other keys, and its parent their DS set."""

    def change(world: WatchedWorld) -> None:
        world.zone.keys, world.zone.published = list(keys), list(published)
        world.sign()

    return change


def publishing(*keys: SigningKey) -> Deed:
    """Have further keys in the zone's key set that sign nothing."""

    def change(world: WatchedWorld) -> None:
        world.zone.published = list(keys)
        world.publish()

    return change


def adding(owner: str, rdtype: str, *values: str, ttl: int | None = None) -> Deed:
    """Put records into the zone, and sign it."""

    def change(world: WatchedWorld) -> None:
        world.zone.add(owner, rdtype, *values, ttl=ttl)
        world.publish()

    return change


def removing(owner: str, rdtype: str) -> Deed:
    """Take records out of the zone, and sign it."""

    def change(world: WatchedWorld) -> None:
        world.zone.remove(owner, rdtype)
        world.publish()

    return change


def ds_of(zone: Zone, *keys: SigningKey, digest: str = "SHA256") -> list[str]:
    """Return the DS records of the secure-entry keys among these, or among those that the zone has."""
    pairs = list(keys or zone.keys)
    entry = [key for key in pairs if key.flags & 1] or pairs
    policy = dns.dnssec.allow_all_policy
    return [dns.dnssec.make_ds(zone.name, key.record, digest, policy=policy).to_text() for key in entry]


def alter_signatures(
    zone: Zone, owner: str, rdtype: str, alter: Callable[[list[dns.rdata.Rdata]], list[dns.rdata.Rdata]]
) -> None:
    """Serve other signatures over one RRset."""
    key = (dns.name.from_text(owner, zone.name), RdataType[rdtype])
    rrset = zone.signatures[key]
    zone.signatures[key] = dns.rrset.from_rdata_list(rrset.name, rrset.ttl, alter(list(rrset)))


def serve(zone: Zone, owner: str, rdtype: str, text: str) -> None:
    """Serve one record in the place of an RRset, under the signature that this has."""
    name = dns.name.from_text(owner, zone.name)
    zone.rrsets[name, RdataType[rdtype]] = dns.rrset.from_text(name, zone.ttl, "IN", rdtype, text)


def drop_from(zone: Zone, *rdtypes: str) -> None:
    """Serve a signed zone without the RRsets of some types."""
    for kept in (zone.rrsets, zone.signatures):
        for key in [key for key in kept if key[1] in {RdataType[one] for one in rdtypes}]:
            del kept[key]


def sign_by(zone: Zone, owner: str, rdtype: str, keys: Iterable[SigningKey], at: datetime) -> None:
    """Sign one RRset as it is served, by these keys alone."""
    key = (dns.name.from_text(owner, zone.name), RdataType[rdtype])
    rrset = zone.rrsets[key]
    made = [zone.sign_rrset(rrset, one, at - timedelta(hours=1), at + zone.lifetime) for one in keys]
    zone.signatures[key] = dns.rrset.from_rdata_list(rrset.name, rrset.ttl, made)


def sign_nsec(zone: Zone, owner: str, types: str, at: datetime) -> None:
    """Serve an NSEC record with other types at a name, validly signed."""
    following = zone.rrsets[dns.name.from_text(owner, zone.name), RdataType.NSEC][0].next
    serve(zone, owner, "NSEC", f"{following} {types}")
    sign_by(zone, owner, "NSEC", [key for key in zone.keys if not key.flags & 1], at)


# what resolvers and servers do


def is_for_client(question: Question) -> bool:
    """Return whether a question is asked as clients do, who leave the validation to the resolver."""
    return not question.checking_disabled


def stripped(_: Question, message: dns.message.Message) -> dns.message.Message:
    """Leave out DNSSEC records."""
    for section in (message.answer, message.authority):
        section[:] = [rrset for rrset in section if rrset.rdtype not in HIDDEN]
    return message


def once(bend: Bend, when: Callable[[Question], bool] = lambda question: True) -> Bend:
    """Bend the next reply that fits, and no other."""
    left = itertools.chain([True], itertools.repeat(False))

    def bent(question: Question, message: dns.message.Message) -> dns.message.Message:
        return bend(question, message) if when(question) and next(left) else message  # type: ignore[return-value]

    return bent


def is_about(question: Question, host: str, rdtype: str = "A") -> bool:
    """Return whether a question is for a name and type."""
    return (question.name, question.rdtype) == (names.from_text(host), RdataType[rdtype])

"""Random damage to responses: what an attacker on the path, a broken resolver or a careless signer may do.

A case is a world, a question and a few damages. A damage changes one response, or one RRset wherever it appears, and
always in the same way, so that whoever asks sees the same.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from packets import Message, Record, Terms, altered, sign
from worlds import (
    LABELS,
    Question,
    SignedWorld,
    all_denials,
    colliding_keys,
    earlier_pool,
    from_dns,
    make_key,
    to_dns,
)

from anchorwatch.lab.zones import SigningKey, Zone
from collector.dnssec import names, records
from collector.dnssec.message import NXDOMAIN
from collector.dnssec.names import Name

Rrset = list[Record]
DAY_S = 86_400


@dataclass(frozen=True)
class Site:
    """Where a damage happens: the world, the response's question, and whether clocks may be near an edge."""

    made: SignedWorld
    question: Question

    @property
    def zone(self) -> Zone:
        """Return the zone that contains the name asked."""
        return self.made.zone_over(self.question[0])

    def zone_for(self, rrset: Rrset) -> Zone:
        """Return the zone that an RRset is, or could be, part of."""
        owner = rrset[0].owner
        parent_side = any(record.covers == records.DS for record in rrset) and owner
        return self.made.zone_over(owner[:-1] if parent_side else owner)


@dataclass(frozen=True)
class Damage:
    """One change. ``rrset`` is its target by owner and type, None for the whole response; ``only`` limits it to one."""

    kind: str
    seed: str
    rrset: tuple[Name, int] | None
    only: Question | None

    def apply(self, made: SignedWorld, question: Question, message: Message) -> None:
        """Change the response in place, if it is concerned."""
        if self.only is not None and question != self.only:
            return
        site = Site(made, question)
        if self.rrset is None:
            MESSAGE_DAMAGES[self.kind](Random(self.seed), site, message)
            return
        for section in message.sections:
            target = [record for record in section if (record.owner, record.covers) == self.rrset]
            if target:
                position = section.index(target[0])
                changed = RRSET_DAMAGES[self.kind](Random(self.seed), site, target)
                section[:] = [record for record in section if record not in target]
                section[position:position] = changed

    def to_text(self) -> str:
        """Return what is changed, for people."""
        where = "the response" if self.rrset is None else f"{names.to_text(self.rrset[0])} {_type(self.rrset[1])}"
        what = f" to {names.to_text(self.only[0])} {_type(self.only[1])}" if self.only else " everywhere"
        return f"{self.kind}: {where}{what}"


def _type(rdtype: int) -> str:
    return records.type_to_text(rdtype)


@dataclass
class Case:
    """A question in a world, and what is damaged on the way; ``message`` is what everybody gets."""

    made: SignedWorld
    question: Question
    damages: list[Damage] = field(default_factory=list)
    _messages: dict[Question, Message] = field(default_factory=dict)

    def message(self, qname: Name, qtype: int) -> Message:
        """Return the response to a question, damaged."""
        question = qname, qtype
        found = self._messages.get(question)
        if found is None:
            found = self.made.message(qname, qtype)
            if self.damages:
                found = found.copy()
                for damage in self.damages:
                    damage.apply(self.made, question, found)
            self._messages[question] = found
        return found

    def prepare(self, question: Question, message: Message) -> None:
        """Fix the response to a question, whatever the damages."""
        self._messages[question] = message

    def wire(self, qname: Name, qtype: int, message_id: int = 0) -> bytes:
        """Return the damaged response in wire format."""
        return self.message(qname, qtype).to_wire(qname, qtype, message_id)


def pick_damages(rng: Random, made: SignedWorld, question: Question, trace: list[Question], seed: str) -> list[Damage]:
    """Return damages to what is asked on the way; ``trace`` are the questions of an undamaged validation."""
    damages = []
    for number in range(rng.choices((0, 1, 2, 3), (4, 66, 22, 8))[0]):
        target = question if rng.random() < 0.5 else rng.choice(trace)
        message = made.message(*target)
        present = list(dict.fromkeys((r.owner, r.covers) for section in message.sections for r in section))
        own_seed = f"{seed}/{number}"
        if present and rng.random() < 0.62:
            kind = rng.choice(list(RRSET_DAMAGES))
            damages.append(Damage(kind, own_seed, rng.choice(present), target if rng.random() < 0.4 else None))
        else:
            kind = rng.choice(list(MESSAGE_DAMAGES))
            damages.append(Damage(kind, own_seed, None, target))
            if kind in HIJACKS and rng.random() < 0.7:
                damages.append(Damage("forged unsigned answer", own_seed + "+", None, question))
    return damages


# --- damage to one RRset: (generator, site, RRset with its signatures) -> what takes its place ---


def _split(rrset: Rrset) -> tuple[Rrset, Rrset]:
    return [r for r in rrset if not r.is_signature], [r for r in rrset if r.is_signature]


def _flip_bit(rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    index = rng.randrange(len(rrset))
    record = rrset[index]
    if not record.rdata:
        return rrset
    offset = rng.randrange(len(record.rdata))
    changed = altered(record, offset, bytes((record.rdata[offset] ^ 1 << rng.randrange(8),)))
    return [*rrset[:index], changed, *rrset[index + 1 :]]


_FIELDS = {
    "covers": (0, 2),
    "algorithm": (2, 1),
    "labels": (3, 1),
    "ttl": (4, 4),
    "end": (8, 4),
    "begin": (12, 4),
    "tag": (16, 2),
}


def _signature_field(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    data, signatures = _split(rrset)
    if not signatures:
        return data
    index = rng.randrange(len(signatures))
    offset, length = rng.choice(list(_FIELDS.values()))
    value = int.from_bytes(signatures[index].rdata[offset : offset + length], "big")
    value = rng.choice((value + 1, value - 1, 0, rng.getrandbits(8 * length), site.made.now & 0xFFFFFFFF))
    octets = (value % (1 << 8 * length)).to_bytes(length, "big")
    signatures[index] = altered(signatures[index], offset, octets)
    return data + signatures


def _signer_name(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    data, signatures = _split(rrset)
    return data + [_with_signer(record, _some_name(rng, site)) for record in signatures]


def _with_signer(record: Record, signer: Name) -> Record:
    parsed = records.read_name(record.rdata, 18)
    if parsed is None:
        return record
    return replace(record, rdata=record.rdata[:18] + names.to_wire(signer) + record.rdata[parsed[1] :])


def _some_name(rng: Random, site: Site) -> Name:
    qname = site.question[0]
    around = [from_dns(zone.name) for zone in site.made.zones]
    around += [qname[: rng.randint(0, len(qname))], (*qname, b"a"), qname]
    return rng.choice(around)


def _truncated(rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    index = rng.randrange(len(rrset))
    record = rrset[index]
    rdata = (
        record.rdata[: rng.randrange(len(record.rdata) + 1)] if rng.random() < 0.7 else record.rdata + rng.randbytes(2)
    )
    return [*rrset[:index], replace(record, rdata=rdata), *rrset[index + 1 :]]


def _drop_record(rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    index = rng.randrange(len(rrset))
    return rrset[:index] + rrset[index + 1 :]


def _drop_signatures(_rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    return _split(rrset)[0]


def _drop_data(_rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    return _split(rrset)[1]


def _drop(_rng: Random, _site: Site, _rrset: Rrset) -> Rrset:
    return []


def _forged(rng: Random, site: Site, record: Record) -> Record:
    """Return a record of the same name and type with other data that look right."""
    match record.rdtype:
        case records.A:
            return replace(record, rdata=bytes((198, 51, 100, rng.randrange(256))))
        case records.CNAME | records.DNAME | records.NS:
            return replace(record, rdata=names.to_wire(_some_name(rng, site)))
        case records.DNSKEY:
            key = make_key(rng, 15, rng.choice((256, 257)))
            return replace(record, rdata=key.record.to_digestable())
        case records.DS:
            return replace(record, rdata=struct.pack("!HBB", rng.randrange(65536), 13, 2) + rng.randbytes(32))
        case records.NSEC:
            parsed = records.read_name(record.rdata, 0)
            bitmap = record.rdata[parsed[1] :] if parsed else b""
            return replace(record, rdata=names.to_wire(_some_name(rng, site)) + bitmap)
    rdata = bytearray(record.rdata or b"\0")
    rdata[-1] ^= rng.randrange(1, 256)
    return replace(record, rdata=bytes(rdata))


def _replace_data(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    data, signatures = _split(rrset)
    if data:
        index = rng.randrange(len(data))
        data[index] = _forged(rng, site, data[index])
    return data + signatures


def _add_data(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    data, signatures = _split(rrset)
    return data + [_forged(rng, site, record) for record in data[:1]] + signatures


def _harmless(rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    """Repeat, shuffle, lower the TTL, or write the owner in capitals: none of it may matter."""
    match rng.randrange(4):
        case 0:
            return [*rrset, rng.choice(rrset)]
        case 1:
            return rng.sample(rrset, len(rrset))
        case 2:
            return [replace(record, ttl=7) for record in rrset]
    return [replace(record, owner=tuple(label.upper() for label in record.owner)) for record in rrset]


def _rename(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    return [replace(record, owner=owner) for owner in (_some_name(rng, site),) for record in rrset]


def _retype(rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    data, signatures = _split(rrset)
    rdtype = rng.choice((records.A, records.TXT, records.AAAA, records.NS, records.DS, records.DNSKEY, records.CNAME))
    signatures = [altered(record, 0, rdtype.to_bytes(2, "big")) for record in signatures]
    return [replace(record, rdtype=rdtype) for record in data] + signatures


def _reclass(_rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    return [replace(record, rdclass=3) for record in rrset]


def _other_time(rng: Random, site: Site, rrset: Rrset, *, still_valid: bool) -> Rrset:
    zone = site.zone_for(rrset)
    if not zone.is_signed:
        return rrset
    key = (rrset[0].owner, rrset[0].covers)
    for old in earlier_pool(site.made, zone, rng, still_valid=still_valid):
        if (old[0].owner, old[0].covers) == key:
            return old
    return []


def _expired(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    return _other_time(rng, site, rrset, still_valid=False)


def _earlier(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    return _other_time(rng, site, rrset, still_valid=True)


def _signers(zone: Zone, rrset: Rrset) -> list[SigningKey]:
    if rrset[0].covers == records.DNSKEY:
        return [key for key in zone.keys if key.flags & 1] or zone.keys
    return [key for key in zone.keys if not key.flags & 1] or zone.keys


def _terms(site: Site, zone: Zone) -> Terms:
    return Terms(from_dns(zone.name), site.made.now - 3600, site.made.now + 14 * DAY_S)


def _sign_anew(rng: Random, site: Site, rrset: Rrset, change: Callable[[Terms], Terms]) -> Rrset:
    zone = site.zone_for(rrset)
    data, _ = _split(rrset)
    keys = _signers(zone, data) if data else []
    return data + ([sign(data, rng.choice(keys), change(_terms(site, zone)))] if keys else [])


def _wrong_time(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    """Sign with the right key for a window that is over, has not begun, is inverted, or wraps the 32-bit circle."""
    now = site.made.now
    begin, end = rng.choice(
        (
            (now - 20 * DAY_S, now - DAY_S),
            (now + DAY_S, now + 20 * DAY_S),
            (now + DAY_S, now - DAY_S),
            (now - DAY_S, now + 2**31 + 5 * DAY_S),
            (now - 2**31 + 5 * DAY_S, now + DAY_S),
            (now - 2**31 - 5 * DAY_S, now + DAY_S),
            (now - DAY_S, now + 2**32 - 2 * DAY_S),
        )
    )
    return _sign_anew(rng, site, rrset, lambda terms: replace(terms, inception=begin, expiration=end))


def _wrong_terms(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    """Sign with the right key and one field that lies."""
    changes: tuple[dict[str, Any], ...] = (
        {"signer": _some_name(rng, site)},
        {"labels": rng.choice((0, 1, 2, 3, len(rrset[0].owner) + 1, 255))},
        {"labels": max(len(rrset[0].owner) - 1, 0)},
        {"algorithm": rng.choice((5, 8, 10, 13, 15, 253))},
        {"covers": rng.choice((records.A, records.NS, records.NSEC))},
        {"original_ttl": rng.choice((0, 1, 2**31, 2**32 - 1))},
        {"key_tag": rng.randrange(65536)},
    )
    change = rng.choice(changes)
    return _sign_anew(rng, site, rrset, lambda terms: replace(terms, **change))


def _wrong_key(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    """Sign with a key of another zone, in its own name or in the right zone's, or with a key of nobody."""
    data, _ = _split(rrset)
    zone = site.zone_for(rrset)
    others = [other for other in site.made.zones if other is not zone and other.is_signed]
    if not data or not others:
        return data
    other = rng.choice(others)
    key = rng.choice(other.keys) if rng.random() < 0.8 else make_key(rng, rng.choice((13, 15)))
    terms = _terms(site, other if rng.random() < 0.6 else zone)
    return [*data, sign(data, key, terms)]


def _entry_or_published_key(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    """Sign with whatever key is in the zone's key set: standby, revoked, no zone key, or the other role's."""
    data, _ = _split(rrset)
    zone = site.zone_for(rrset)
    keys = [*zone.published, *zone.keys]
    return [*data, sign(data, rng.choice(keys), _terms(site, zone))] if keys and data else data


def _wildcard_signature(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    """Sign the RRset as if it came from a wildcard, or at the wildcard itself."""
    owner = rrset[0].owner
    labels = max(len(owner) - rng.randint(1, 3), 0)
    return _sign_anew(rng, site, rrset, lambda terms: replace(terms, labels=labels))


def _junk_signatures(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    """Add signatures that can't verify before those that can."""
    data, signatures = _split(rrset)
    if not signatures or not data:
        return rrset
    junk = []
    for _ in range(rng.randint(1, 5)):
        one = rng.choice(signatures)
        offset = len(one.rdata) - 1
        junk.append(altered(one, offset, bytes((one.rdata[offset] ^ rng.randrange(1, 256),))))
    return data + junk + signatures


def _other_signature(rng: Random, site: Site, rrset: Rrset) -> Rrset:
    """Take the signature of another RRset of the zone, with or without a fitting type in it."""
    data, _ = _split(rrset)
    pool = [one for one in site.made.pool(site.zone_for(rrset)) if one[-1].is_signature]
    if not pool or not data:
        return data
    stolen = replace(rng.choice(pool)[-1], owner=data[0].owner)
    return [*data, altered(stolen, 0, data[0].rdtype.to_bytes(2, "big")) if rng.random() < 0.6 else stolen]


def _colliding_key(rng: Random, _site: Site, rrset: Rrset) -> Rrset:
    """Add keys to a key set, colliding ones for preference; elsewhere a second record."""
    data, signatures = _split(rrset)
    if data and data[0].rdtype == records.DNSKEY:
        pair = rng.choice(colliding_keys())
        data += [replace(data[0], rdata=key.record.to_digestable()) for key in pair]
    return data + signatures


RRSET_DAMAGES: dict[str, Callable[[Random, Site, Rrset], Rrset]] = {
    "a bit flipped": _flip_bit,
    "a bit flipped again": _flip_bit,
    "a field of the signature changed": _signature_field,
    "signer renamed": _signer_name,
    "data cut short or too long": _truncated,
    "record dropped": _drop_record,
    "signatures dropped": _drop_signatures,
    "data dropped, signatures kept": _drop_data,
    "RRset dropped": _drop,
    "data forged": _replace_data,
    "data added": _add_data,
    "harmless": _harmless,
    "renamed": _rename,
    "type changed": _retype,
    "class changed": _reclass,
    "replayed from the past, expired": _expired,
    "replayed from the past, valid": _earlier,
    "signed for another time": _wrong_time,
    "signed with a lie": _wrong_terms,
    "signed with a lie again": _wrong_terms,
    "signed by another's key": _wrong_key,
    "signed by any key of the set": _entry_or_published_key,
    "signed as a wildcard": _wildcard_signature,
    "junk signatures added": _junk_signatures,
    "signature of another RRset": _other_signature,
    "colliding keys added": _colliding_key,
}


# --- damage to a whole response ---


def _rcode(rng: Random, _site: Site, message: Message) -> None:
    message.rcode = rng.choice((0, 0, NXDOMAIN, NXDOMAIN, 2, 5))


def _strip(_rng: Random, _site: Site, message: Message) -> None:
    dnssec = (records.RRSIG, records.NSEC, records.NSEC3)
    for section in message.sections:
        section[:] = [record for record in section if record.rdtype not in dnssec]


def _empty(rng: Random, _site: Site, message: Message) -> None:
    rng.choice(message.sections).clear()


def _denials(rng: Random, site: Site) -> list[Rrset]:
    """Return denial RRsets of the zones on the way to the name, or of anywhere."""
    qname = site.question[0]
    on_path = [zone for zone in site.made.zones if names.is_at_or_below(qname, from_dns(zone.name))]
    zones = on_path[-1:] if rng.random() < 0.4 else on_path if rng.random() < 0.7 else site.made.zones
    if rng.random() < 0.15:
        zone = rng.choice(on_path)
        old = earlier_pool(site.made, zone, rng, still_valid=True) if zone.is_signed else []
        return [one for one in old if one[0].rdtype in (records.NSEC, records.NSEC3)]
    return all_denials(site.made, zones)


def _forged_denial(rng: Random, site: Site, message: Message) -> None:
    """Deny what is there, with genuine denial records of the zones around."""
    found = _denials(rng, site)
    zone = rng.choice([site.zone, site.made.zone_over(site.question[0][:-1])])
    soa = [one for one in site.made.pool(zone) if one[0].rdtype == records.SOA]
    message.answer.clear()
    chosen = found if rng.random() < 0.4 else rng.sample(found, min(len(found), rng.randint(1, 4)))
    message.authority[:] = [record for rrset in (*soa, *chosen) for record in rrset]
    message.rcode = rng.choice((0, NXDOMAIN))


def _forged_wildcard_denial(rng: Random, site: Site, message: Message) -> None:
    """Deny with denial records under another name, as if a wildcard had made them."""
    _forged_denial(rng, site, message)
    name = _some_name(rng, site)
    message.authority[:] = [
        replace(record, owner=name) if record.covers in (records.NSEC, records.NSEC3) else record
        for record in message.authority
    ]


def _add_denials(rng: Random, site: Site, message: Message) -> None:
    found = _denials(rng, site)
    for rrset in rng.sample(found, min(len(found), 2)):
        message.authority += rrset


def _other_denials(rng: Random, site: Site, message: Message) -> None:
    """Swap the denial records for others."""
    wanted = (records.NSEC, records.NSEC3)
    message.authority[:] = [record for record in message.authority if record.covers not in wanted]
    _add_denials(rng, site, message)


def _other_answer(rng: Random, site: Site, message: Message) -> None:
    """Answer with the response to another question, under its names or the one asked."""
    qname, qtype = site.question
    name = rng.choice((qname, _some_name(rng, site), (*qname[:-1], rng.choice(LABELS).encode())))
    other = site.made.message(name, rng.choice((qtype, qtype, records.A, records.DS, records.NS)))
    message.rcode, message.answer[:], message.authority[:] = other.rcode, other.answer, other.authority
    if rng.random() < 0.5:
        message.answer[:] = [
            replace(record, owner=qname) if record.owner == name else record for record in other.answer
        ]


def _forged_answer(rng: Random, site: Site, message: Message) -> None:
    """Answer with an address of the attacker's, unsigned."""
    qname, qtype = site.question
    rdata = {records.A: b"\xc6\x33\x64\x42", records.TXT: b"\x04evil", records.AAAA: bytes(16)}.get(qtype)
    message.rcode, message.authority[:] = 0, []
    if rdata is None:
        data, _ = _split(message.answer)
        message.answer[:] = [_forged(rng, site, record) for record in data]
    else:
        message.answer[:] = [Record(qname, qtype, 300, rdata)]


def _expanded(rng: Random, site: Site, message: Message) -> None:
    """Answer from a wildcard of the zones around, expanded to the name asked, with or without proofs."""
    qname, qtype = site.question
    pool = [one for zone in site.made.zones for one in site.made.pool(zone) if one[0].owner[-1:] == (b"*",)]
    fitting = [one for one in pool if one[0].rdtype in (qtype, records.CNAME)] or pool
    if not fitting:
        return
    message.rcode = 0
    message.answer[:] = [replace(record, owner=qname) for record in rng.choice(fitting)]
    if rng.random() < 0.7:
        found = _denials(rng, site)
        message.authority[:] = [record for rrset in rng.sample(found, min(len(found), 3)) for record in rrset]


def _extra_answers(rng: Random, site: Site, message: Message) -> None:
    """Put RRsets nobody asked for beside the answer, signed or not."""
    rrset = rng.choice(site.made.pool(rng.choice(site.made.zones)))
    extra = rrset if rng.random() < 0.5 else _split(rrset)[0]
    if rng.random() < 0.4:
        extra = [replace(record, owner=site.question[0]) for record in extra]
    rng.choice(message.sections).extend(extra)


def _attackers_keys(rng: Random, site: Site, message: Message) -> None:
    """Answer with a key set of the attacker's that signs itself."""
    key = make_key(rng, 13, 257)
    qname, _ = site.question
    data = [record for record in message.answer if record.rdtype == records.DNSKEY] if rng.random() < 0.5 else []
    data.append(Record(qname, records.DNSKEY, 300, key.record.to_digestable()))
    signatures = [record for record in message.answer if record.is_signature] if rng.random() < 0.5 else []
    terms = Terms(qname, site.made.now - 3600, site.made.now + DAY_S)
    message.answer[:] = [*data, sign(data, key, terms), *signatures]


def _one_key_alone(rng: Random, _site: Site, message: Message) -> None:
    """Show one key of a key set alone, unsigned: whichever weakens the chain most."""
    data = [record for record in message.answer if record.rdtype == records.DNSKEY]
    if data:
        message.answer[:] = [
            min(data, key=lambda record: len(record.rdata)) if rng.random() < 0.3 else rng.choice(data)
        ]


def _childs_denial(rng: Random, site: Site, message: Message) -> None:
    """Deny a DS, or anything, by what the child says at its apex: parent and child on one server."""
    zone = site.made.world.zones.get(to_dns(site.question[0]))
    if zone is None:
        return
    wanted = (records.SOA, records.NSEC, records.NSEC3)
    found = [one for one in site.made.pool(zone) if one[0].rdtype in wanted]
    message.answer.clear()
    message.authority[:] = [record for rrset in found for record in rrset]
    message.rcode = rng.choice((0, 0, NXDOMAIN))


def _alias_instead(rng: Random, site: Site, message: Message) -> None:
    """Answer with an alias: unsigned, signed by the zone, or by another zone."""
    cname = [Record(site.question[0], records.CNAME, 300, names.to_wire(_some_name(rng, site)))]
    zone = rng.choice((site.zone, rng.choice(site.made.zones)))
    if zone.is_signed and rng.random() < 0.7:
        cname.append(sign(cname, rng.choice(_signers(zone, cname)), _terms(site, zone)))
    message.rcode = 0
    message.answer[:] = cname + (message.answer if rng.random() < 0.3 else [])


def _break_alias(rng: Random, site: Site, message: Message) -> None:
    """Change or drop one of the links of an alias chain."""
    links = [record for record in message.answer if record.rdtype in (records.CNAME, records.DNAME)]
    if not links:
        return
    link = rng.choice(links)
    index = message.answer.index(link)
    if rng.random() < 0.5:
        del message.answer[index]
    else:
        message.answer[index] = _forged(rng, site, link)


def _sign_odd_denial(rng: Random, site: Site, message: Message) -> None:
    """Let a zone on the way sign a denial that reaches too far, in its own name."""
    qname, _ = site.question
    on_path = [z for z in site.made.zones if z.is_signed and names.is_at_or_below(qname, from_dns(z.name))]
    if not on_path:
        return
    zone = rng.choice(on_path)
    apex = from_dns(zone.name)
    owner = rng.choice((apex, qname, qname[:-1], (*apex, b"a"), _some_name(rng, site)))
    following = rng.choice((apex, (*qname, b"0"), qname, _some_name(rng, site), (b"zz",)))
    bitmap = rng.choice(
        (b"\0\6\x40\1\0\0\0\3", b"\0\6\x62\0\0\0\0\3", b"\0\7\x22\0\0\0\0\3\x80", b"\0\6\x20\0\0\0\0\3", b"")
    )
    nsec = [Record(owner, records.NSEC, 300, names.to_wire(following) + bitmap)]
    nsec.append(sign(nsec, rng.choice(_signers(zone, nsec)), _terms(site, zone)))
    message.rcode = rng.choice((0, NXDOMAIN))
    message.answer.clear()
    message.authority[:] = nsec + (message.authority if rng.random() < 0.5 else [])


MESSAGE_DAMAGES: dict[str, Callable[[Random, Site, Message], None]] = {
    "rcode changed": _rcode,
    "stripped of DNSSEC": _strip,
    "section emptied": _empty,
    "forged denial": _forged_denial,
    "forged denial again": _forged_denial,
    "forged denial from a wildcard": _forged_wildcard_denial,
    "denial records added": _add_denials,
    "denial records swapped": _other_denials,
    "answer to another question": _other_answer,
    "forged unsigned answer": _forged_answer,
    "wildcard expanded": _expanded,
    "records nobody asked for": _extra_answers,
    "attacker's keys": _attackers_keys,
    "one key alone": _one_key_alone,
    "the child's denial": _childs_denial,
    "alias instead": _alias_instead,
    "alias broken": _break_alias,
    "odd denial signed": _sign_odd_denial,
}
HIJACKS = frozenset(
    {"forged denial", "forged denial again", "the child's denial", "odd denial signed", "attacker's keys"}
)

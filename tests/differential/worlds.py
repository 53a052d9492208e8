"""A generator of random signed worlds: the same seed makes the same zones, keys and questions.

Labels come from a small alphabet, so that hosts, wildcards, aliases, cuts and empty non-terminals get in each other's
way.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from random import Random

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdtypes.ANY.DNSKEY
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from dns.rdatatype import RdataType
from packets import Message, Record, flatten

from anchorwatch.lab.world import World
from anchorwatch.lab.zones import Nsec3Params, PrivateKey, SigningKey, Zone
from collector.dnssec import records
from collector.dnssec.anchors import TrustAnchors, parse_anchors
from collector.dnssec.message import NXDOMAIN
from collector.dnssec.names import Name

ALGORITHMS = (8, 10, 13, 14, 15)
ED448 = 16
LABELS = ("a", "b", "c", "d", "e", "m", "x", "z")
TTL_S = 300
MODES = {
    "secure": 50,
    "unsigned": 10,
    "island": 8,
    "unknown": 4,
    "mismatch": 3,
    "sha1": 3,
    "sha1and2": 5,
    "sha384": 5,
    "both": 7,
    "orphan": 5,
    "short beside": 5,
    "short alone": 2,
}
"""How a delegation is secured or not, and how often."""
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ORDERS: dict[int, tuple[ec.EllipticCurve, int]] = {
    13: (ec.SECP256R1(), _P256_ORDER),
    14: (ec.SECP384R1(), (1 << 384) - (1 << 190)),  # below the order of the curve
}
Question = tuple[Name, int]


def _prime(rng: Random, bits: int) -> int:
    while True:
        candidate = rng.getrandbits(bits) | (3 << (bits - 2)) | 1
        if any(candidate % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43)):
            continue
        if candidate % 65537 != 1 and all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5, 7)):
            return candidate


@lru_cache
def rsa_pool() -> tuple[rsa.RSAPrivateKey, ...]:
    """Return RSA keys of 1024 to 2048 bits, always the same ones, made once."""
    rng, pool = Random("rsa"), []
    for bits in (1024, 1024, 1024, 1280, 1280, 2048):
        p, q = _prime(rng, bits // 2), _prime(rng, bits // 2)
        d = pow(65537, -1, (p - 1) * (q - 1))
        numbers = rsa.RSAPrivateNumbers(
            p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(65537, p * q)
        )
        pool.append(numbers.private_key())
    return tuple(pool)


def make_key(rng: Random, algorithm: int, flags: int = 256) -> SigningKey:
    """Return a key that follows from the generator's state."""
    private: PrivateKey
    if algorithm in (8, 10):
        private = rng.choice(rsa_pool())
    elif algorithm in _ORDERS:
        curve, order = _ORDERS[algorithm]
        private = ec.derive_private_key(rng.randrange(1, order), curve)
    elif algorithm == 15:
        private = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    else:
        private = ed448.Ed448PrivateKey.from_private_bytes(rng.randbytes(57))
    return SigningKey(private, algorithm, flags)


@dataclass(frozen=True)
class ShortKey(SigningKey):
    """An RSA key of 512 bits, to be published and vouched for; it signs nothing."""

    @cached_property
    def record(self) -> dns.rdtypes.ANY.DNSKEY.DNSKEY:
        """Return the DNSKEY record."""
        rng = Random("short")
        modulus = _prime(rng, 256) * _prime(rng, 256)
        octets = b"\3\1\0\1" + modulus.to_bytes(64, "big")
        rdata = struct.pack("!HBB", self.flags, 3, 8) + octets
        record = dns.rdata.from_wire(dns.rdataclass.IN, RdataType.DNSKEY, rdata, 0, len(rdata))
        assert isinstance(record, dns.rdtypes.ANY.DNSKEY.DNSKEY)
        return record


@lru_cache
def colliding_keys() -> tuple[tuple[SigningKey, SigningKey], ...]:
    """Return pairs of zone keys that share algorithm (13 or 15) and tag."""
    rng, pairs = Random("collisions"), []
    for algorithm in (15, 13):
        by_tag: dict[int, SigningKey] = {}
        found = 0
        while found < 2:
            key = make_key(rng, algorithm)
            tag = dns.dnssec.key_id(key.record)
            if tag in by_tag:
                pairs.append((by_tag.pop(tag), key))
                found += 1
            else:
                by_tag[tag] = key
    return tuple(pairs)


@dataclass
class SignedWorld:
    """A world at ``now`` (POSIX seconds), what to trust in it, and how each zone was made (for people)."""

    now: int
    world: World = field(default_factory=World)
    notes: dict[Name, str] = field(default_factory=dict)
    has_ed448: bool = False
    _messages: dict[Question, Message] = field(default_factory=dict)
    _pool: dict[Name, list[list[Record]]] = field(default_factory=dict)

    @property
    def zones(self) -> list[Zone]:
        """Return the zones, the root first."""
        return list(self.world.zones.values())

    @property
    def is_on_edge(self) -> bool:
        """Return whether a second more or less would change a verdict."""
        return any(note.endswith(("expires now", "begins now", "future")) for note in self.notes.values())

    @property
    def anchor_texts(self) -> list[str]:
        """Return the root's anchors."""
        return [f". IN DS {ds}" for ds in self.zones[0].ds_records()]

    @property
    def anchors(self) -> TrustAnchors:
        """Return the root's anchors, parsed."""
        return parse_anchors("\n".join(self.anchor_texts), "world")

    def message(self, qname: Name, qtype: int) -> Message:
        """Return the honest response; not to be changed."""
        found = self._messages.get((qname, qtype))
        if found is None:
            answer = self.world.resolve(to_dns(qname), RdataType.make(qtype))
            found = Message(int(answer.rcode), flatten(answer.answer), flatten(answer.authority))
            found.authority = list(dict.fromkeys(found.authority))
            self._messages[qname, qtype] = found
        return found

    def pool(self, zone: Zone) -> list[list[Record]]:
        """Return every RRset that the zone serves, with its signatures behind it."""
        apex = from_dns(zone.name)
        if apex not in self._pool:
            self._pool[apex] = [
                flatten([rrset, *([signed] if (signed := zone.signatures.get(key)) else [])])
                for key, rrset in sorted(zone.rrsets.items())
            ]
        return self._pool[apex]

    def chain_is_signed(self, name: Name) -> bool:
        """Return whether every delegation from the root to the zone of ``name`` has a DS."""
        apexes = [from_dns(zone.name) for zone in self.zones[1:]]
        cuts = [apex for apex in apexes if name[: len(apex)] == apex]
        return all(any(record.rdtype == records.DS for record in self.message(cut, records.DS).answer) for cut in cuts)

    def zone_over(self, name: Name) -> Zone:
        """Return the deepest zone that contains the name."""
        for depth in range(len(name), -1, -1):
            zone = self.world.zones.get(to_dns(name[:depth]))
            if zone is not None:
                return zone
        raise AssertionError("a world has a root")


def to_dns(name: Name) -> dns.name.Name:
    """Return dnspython's form of a name."""
    return dns.name.Name((*reversed(name), b""))


def from_dns(name: dns.name.Name) -> Name:
    """Return our form of a name."""
    return tuple(label.lower() for label in reversed(name.labels[:-1]))


class _Maker:
    """Makes one world."""

    def __init__(self, rng: Random, now: int) -> None:
        self.rng = rng
        self.made = SignedWorld(now, has_ed448=rng.random() < 0.15)
        self.algorithms = (*ALGORITHMS, ED448, ED448) if self.made.has_ed448 else ALGORITHMS
        self.parents: dict[dns.name.Name, Zone] = {}

    def make(self) -> SignedWorld:
        root = self._zone(dns.name.root, None, "secure")
        frontier, limit = [root], self.rng.randint(4, 8)
        while frontier and len(self.made.zones) < limit:
            parent = frontier.pop(0)
            for _ in range(self.rng.randint(1, 3)):
                if len(self.made.zones) < limit:
                    child = self._child(parent)
                    if child is not None:
                        frontier.append(child)
        for zone in self.made.zones:
            self._fill(zone)
        for zone in sorted(self.made.zones, key=lambda zone: -len(zone.name)):
            self._delegate(zone)
        for zone in self.made.zones:
            self._sign(zone)
        return self.made

    def _child(self, parent: Zone) -> Zone | None:
        labels = self.rng.choices(LABELS, k=self.rng.choice((1, 1, 1, 2, 2, 3)))
        name = dns.name.from_text(".".join(labels), parent.name)
        if any(
            zone.name.is_subdomain(name)
            or (zone is not parent and name.is_subdomain(zone.name) and zone.name.is_subdomain(parent.name))
            for zone in self.made.zones
        ):
            return None
        return self._zone(name, parent, self.rng.choices(list(MODES), list(MODES.values()))[0])

    def _zone(self, name: dns.name.Name, parent: Zone | None, mode: str) -> Zone:
        rng = self.rng
        zone = Zone(name, ttl=TTL_S)
        style = "unsigned"
        if mode != "unsigned":
            style = self._give_keys(zone, parent)
            if rng.random() < 0.6:
                iterations = rng.choice((0, 0, 0, 0, 0, 1, 5, 150, rng.choice((151, 500, 501))))
                salt = rng.choice((b"", b"", b"\xab\xcd", b"saltsalt"))
                zone.nsec3 = Nsec3Params(iterations, salt, rng.random() < 0.4)
        self.made.world.add(zone)
        if parent is not None:
            self.parents[name] = parent
        denial = "NSEC" if zone.nsec3 is None else str(zone.nsec3)
        self.made.notes[from_dns(name)] = f"{mode}, {style}, {denial}"
        return zone

    def _give_keys(self, zone: Zone, parent: Zone | None) -> str:
        rng = self.rng
        algorithm = rng.choice(self.algorithms)
        style = rng.choices(
            ("split", "single", "zone key only", "two zone keys", "two algorithms", "colliding", "shared with parent"),
            (45, 15, 8, 8, 8, 10, 6),
        )[0]
        match style:
            case "split":
                zone.keys = [make_key(rng, algorithm, 257), make_key(rng, algorithm)]
            case "single":
                zone.keys = [make_key(rng, algorithm, 257)]
            case "zone key only":
                zone.keys = [make_key(rng, algorithm)]
            case "two zone keys":
                zone.keys = [make_key(rng, algorithm, 257), make_key(rng, algorithm), make_key(rng, algorithm)]
            case "two algorithms":
                other = rng.choice([one for one in self.algorithms if one != algorithm])
                zone.keys = [make_key(rng, one, flags) for one in (algorithm, other) for flags in (257, 256)]
            case "colliding":
                pair = rng.choice(colliding_keys())
                zone.keys = [make_key(rng, pair[0].algorithm, 257), pair[0]]
                if rng.random() < 0.5:
                    zone.keys.append(pair[1])
                else:
                    zone.published.append(pair[1])
            case _:
                zone.keys = list(parent.keys) if parent and parent.keys else [make_key(rng, algorithm, 257)]
        # RSA keys come from a small pool: no key twice in one set
        zone.keys = list({key.record.to_wire(): key for key in zone.keys}.values())
        if rng.random() < 0.25:
            flags = rng.choice((256, 257, 257 | 128, 256 | 128, 0, 1))
            zone.published.append(make_key(rng, rng.choice((13, 15)), flags))
        return f"{style}, algorithms {sorted({key.algorithm for key in zone.keys})}"

    def _delegate(self, zone: Zone) -> None:
        parent = self.parents.get(zone.name)
        if parent is None:
            return
        owner = zone.name.relativize(parent.name).to_text()
        parent.add(owner, "NS", f"ns.{zone.name}")
        mode = self.made.notes[from_dns(zone.name)].split(",")[0]
        found = self._ds_texts(zone, mode)
        if found:
            parent.add(owner, "DS", *found)

    def _ds_texts(self, zone: Zone, mode: str) -> list[str]:
        rng = self.rng
        match mode:
            case "unsigned" | "island":
                return []
            case "sha1":
                return self._sha1(zone)
            case "sha1and2":
                return self._sha1(zone, wrong=rng.random() < 0.5) + zone.ds_records()
            case "sha384":
                return zone.ds_records("SHA384")
            case "both":
                return zone.ds_records() + zone.ds_records("SHA384")
            case "orphan":
                return [
                    *zone.ds_records(),
                    f"{rng.randrange(65536)} {rng.choice(self.algorithms)} 2 {rng.randbytes(32).hex()}",
                ]
            case "short beside" | "short alone":
                short = ShortKey(rsa_pool()[0], 8, 257)
                zone.published.append(short)
                texts = [dns.dnssec.make_ds(zone.name, short.record, "SHA256").to_text()]
                return texts + (zone.ds_records() if mode == "short beside" else [])
            case "unknown":
                algorithm, digest = rng.choice(((12, 2), (253, 2), (3, 1), (13, 99), (8, 3), (1, 2)))
                length = {1: 20, 2: 32, 3: 32, 99: 7}[digest]
                return [f"{rng.randrange(65536)} {algorithm} {digest} {rng.randbytes(length).hex()}"]
            case "mismatch":
                *head, octets = zone.ds_records()[0].split()
                return [f"{' '.join(head)} {rng.randbytes(len(octets) // 2).hex()}"]
        return zone.ds_records()

    def _sha1(self, zone: Zone, *, wrong: bool = False) -> list[str]:
        entry = [key for key in zone.keys if key.flags & 1] or zone.keys
        made = [
            dns.dnssec.make_ds(zone.name, key.record, "SHA1", policy=dns.dnssec.allow_all_policy).to_text()
            for key in entry
        ]
        return [f"{one.rpartition(' ')[0]} {self.rng.randbytes(20).hex()}" for one in made] if wrong else made

    def _sign(self, zone: Zone) -> None:
        now = datetime.fromtimestamp(self.made.now, UTC)
        begin, end = now - timedelta(hours=1), now + timedelta(days=14)
        trouble = self.rng.random()
        if zone.name != dns.name.root and zone.keys and trouble < 0.10:
            note, begin, end = self.rng.choice(
                (
                    ("expired", now - timedelta(days=9), now - timedelta(seconds=1)),
                    ("expires now", begin, now),
                    ("begins now", now, end),
                    ("future", now + timedelta(seconds=1), end),
                    ("long", begin, now + timedelta(seconds=2**31 - 3700)),
                    ("inverted", end, begin),
                )
            )
            self.made.notes[from_dns(zone.name)] += f", {note}"
        zone.sign(now, inception=begin, expiration=end)

    # --- the data of a zone ---

    def _fill(self, zone: Zone) -> None:
        rng = self.rng
        zone.add("@", "NS", f"ns.{zone.name}" if zone.name != dns.name.root else "ns.")
        zone.add("ns", "A", "192.0.2.1")
        if rng.random() < 0.5:
            self._host(zone, "@")
        for _ in range(rng.randint(2, 5)):
            owner = self._free(zone)
            if owner:
                self._host(zone, owner)
        for make in rng.sample((self._wildcard, self._alias, self._alias, self._redirection), rng.randint(1, 4)):
            make(zone)

    def _taken(self, zone: Zone, name: dns.name.Name) -> bool:
        """Return whether an own record at ``name`` would collide with a record, a cut or a DNAME."""
        if (name, RdataType.CNAME) in zone.data or (name, RdataType.A) in zone.data:
            return True
        if any(
            child.name != zone.name and child.name.is_subdomain(zone.name) and name.is_subdomain(child.name)
            for child in self.made.zones
        ):
            return True
        return any(rdtype == RdataType.DNAME and name.is_subdomain(owner) for owner, rdtype in zone.data)

    def _free(self, zone: Zone) -> str:
        labels = self.rng.choices(LABELS, k=self.rng.choice((1, 1, 1, 2, 2, 3)))
        return "" if self._taken(zone, dns.name.from_text(".".join(labels), zone.name)) else ".".join(labels)

    def _host(self, zone: Zone, owner: str) -> None:
        rng = self.rng
        zone.add(owner, "A", *(f"192.0.2.{rng.randint(2, 254)}" for _ in range(rng.randint(1, 2))))
        for rdtype, text in (("AAAA", "2001:db8::1"), ("TXT", '"v=1" "two"'), ("MX", f"10 ns.{zone.name}")):
            if rng.random() < 0.3:
                zone.add(owner, rdtype, text if zone.name != dns.name.root or rdtype != "MX" else "10 ns.")

    def _wildcard(self, zone: Zone) -> None:
        below = self.rng.choice(("", self._free(zone)))
        owner = f"*.{below}" if below else "*"
        if self._taken(zone, dns.name.from_text(owner, zone.name)):
            return
        if self.rng.random() < 0.3:
            zone.add(owner, "CNAME", self._target(zone))
        else:
            self._host(zone, owner)

    def _alias(self, zone: Zone) -> None:
        owner = self._free(zone)
        if owner and not any(name == dns.name.from_text(owner, zone.name) for name, _ in zone.data):
            zone.add(owner, "CNAME", self._target(zone))

    def _redirection(self, zone: Zone) -> None:
        owner = self._free(zone)
        name = dns.name.from_text(owner, zone.name) if owner else zone.name
        inside = any(other.is_subdomain(name) and other != name for other, _ in zone.data)
        below = any(child.name.is_subdomain(name) for child in self.made.zones)
        if owner and not inside and not below and (name, RdataType.CNAME) not in zone.data:
            target = self.rng.choice([other for other in self.made.zones if not other.name.is_subdomain(name)])
            zone.add(owner, "DNAME", target.name.to_text())

    def _target(self, zone: Zone) -> str:
        other = self.rng.choice([*self.made.zones, zone])
        hosts = sorted({owner for owner, rdtype in other.data if rdtype in (RdataType.A, RdataType.CNAME)})
        if hosts and self.rng.random() < 0.75:
            return self.rng.choice(hosts).to_text().replace("*", "d")
        return dns.name.from_text(self.rng.choice(LABELS), other.name).to_text()


def make_world(rng: Random, now: int) -> SignedWorld:
    """Return a random world as it is served at ``now`` (POSIX seconds)."""
    return _Maker(rng, now).make()


def earlier_pool(made: SignedWorld, zone: Zone, rng: Random, *, still_valid: bool) -> list[list[Record]]:
    """Return what the zone served at another time: fewer names and delegations, signatures still valid or expired."""
    twin = Zone(zone.name, zone.ttl, zone.keys, zone.published, zone.nsec3, zone.lifetime, dict(zone.data))
    for key in list(twin.data):
        if key[0] != zone.name and rng.random() < 0.35:
            del twin.data[key]
    now = datetime.fromtimestamp(made.now, UTC)
    begin, end = now - timedelta(days=20), now + timedelta(days=2) if still_valid else now - timedelta(days=6)
    twin.sign(now, inception=begin, expiration=end)
    return [
        flatten([rrset, *([signed] if (signed := twin.signatures.get(key)) else [])])
        for key, rrset in sorted(twin.rrsets.items())
        if zone.is_signed
    ]


def pick_question(made: SignedWorld, rng: Random) -> Question:
    """Return a question about something there, something beside it, or something denied."""
    zone = rng.choice(made.zones[1:] or made.zones)
    apex = from_dns(zone.name)
    owners = sorted({from_dns(owner) for owner, _ in zone.data})
    kind = rng.choices(
        ("there", "type", "beside", "below", "above", "cut", "apex", "wild"), (30, 12, 16, 10, 8, 10, 8, 6)
    )[0]
    common = (records.A, records.A, records.AAAA, records.TXT, 15, records.CNAME, records.NS, records.DS, records.SOA)
    owner = rng.choice(owners)
    if owner[-1:] == (b"*",) and rng.random() < 0.8:
        owner = (*owner[:-1], *(rng.choice(LABELS).encode() for _ in range(rng.randint(1, 2))))
    match kind:
        case "there":
            rdtypes = [int(rdtype) for name, rdtype in zone.data if from_dns(name) == owner] or [records.A]
            return owner, rng.choice([*rdtypes, records.A])
        case "type":
            return owner, rng.choice(common)
        case "beside":
            return (*owner[: max(len(owner) - 1, len(apex))], rng.choice(LABELS).encode()), rng.choice(common)
        case "below":
            return (*owner, rng.choice(LABELS).encode()), rng.choice(common)
        case "above":
            return owner[: rng.randint(len(apex), len(owner))], rng.choice(common)
        case "cut":
            return apex, rng.choice((records.DS, records.NS, records.DNSKEY, records.A))
        case "apex":
            return apex, rng.choice((records.SOA, records.DNSKEY, records.NS, records.ANY, records.NSEC, records.TXT))
        case _:
            wild = [one for one in owners if one[-1:] == (b"*",)] or [apex]
            made_up = (rng.choice(LABELS).encode() for _ in range(rng.randint(1, 2)))
            encloser = rng.choice(wild)
            return (*(encloser[:-1] if encloser[-1:] == (b"*",) else encloser), *made_up), rng.choice(common[:5])


def all_denials(made: SignedWorld, zones: Sequence[Zone]) -> list[list[Record]]:
    """Return every NSEC and NSEC3 RRset of the zones with its signatures."""
    wanted = (records.NSEC, records.NSEC3)
    return [rrset for zone in zones for rrset in made.pool(zone) if rrset[0].rdtype in wanted]


def is_denial(message: Message) -> bool:
    """Return whether a response denies something."""
    return message.rcode == NXDOMAIN or not message.answer

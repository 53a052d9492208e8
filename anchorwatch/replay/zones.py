"""A zone as its operator has it, and what is served of it at one time: signatures are made when they are asked for.

Source: RFC 4035 §2 (signing), RFC 6781 §4.1 (which keys sign what), RFC 2308 §3 (how long a denial stands).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import Nsec3Params, RRsetKey, Zone
from anchorwatch.replay.faults import Fault
from anchorwatch.replay.keys import KeyPair
from anchorwatch.replay.messages import Part

IN = dns.rdataclass.IN
DAY_S = 86_400.0
ENTRY_ROLES = ("ksk", "csk")


@dataclass(frozen=True)
class Signing:
    """How a zone signs: how long signatures last, when they are renewed, and how far they begin before they are made.

    ``jitter_s``: each signature ends up to so much earlier, and each renewal comes up to so much later, by chance.
    ``refresh_s`` is None where nothing is renewed by itself. ``key_validity_s`` is for the key set alone.
    """

    validity_s: float = 14 * DAY_S
    refresh_s: float | None = 7 * DAY_S
    jitter_s: float = 0.0
    inception_offset_s: float = 3600.0
    key_validity_s: float | None = None


@dataclass
class HeldKey:
    """A key of a zone and what it is used for. ``broken``: its signatures do not verify."""

    name: str
    role: str
    pair: KeyPair
    published: bool = True
    signing: bool = True
    broken: bool = False

    @property
    def is_entry(self) -> bool:
        """Return whether it signs the key set, and is what a DS points at."""
        return self.role in ENTRY_ROLES


@dataclass(frozen=True)
class Ttls:
    """TTLs of a zone in seconds; ``ds`` and ``ns`` are those at its parent."""

    records: int = 3600
    keys: int = 3600
    ns: int = 86_400
    ds: int = 86_400
    negative: int = 900


@dataclass(frozen=True)
class Window:
    """When the signatures of a zone were made and, where that is given, when they begin and end (POSIX seconds)."""

    made_at: float
    begins_at: float | None = None
    ends_at: float | None = None


@dataclass(frozen=True)
class Rotation:
    """Records of which some are shown at a time, others every ``every_s`` seconds."""

    values: tuple[dns.rdata.Rdata, ...]
    shown: int
    every_s: float

    def at(self, t: float) -> list[dns.rdata.Rdata]:
        """Return what is shown at an instant."""
        first = int(t // self.every_s) * self.shown % len(self.values)
        doubled = (*self.values, *self.values)
        return list(doubled[first : first + self.shown])


class Signatures:
    """The signatures of what is served, each made once, when it is asked for."""

    def __init__(self, zone: "ServedZone") -> None:
        self._zone = zone
        self._made: dict[RRsetKey, dns.rrset.RRset | None] = {}

    def get(self, key: RRsetKey, default: None = None) -> dns.rrset.RRset | None:
        """Return the RRSIGs over an RRset, None where it has none."""
        if key not in self._made:
            self._made[key] = self._zone.make_signatures(key)
        return self._made[key]


class ServedZone(Zone):
    """What servers answer of a zone; it never changes. ``originals`` are the RRsets that signatures are over."""

    def __init__(self, state: "ZoneState", server: str, faults: Sequence[Fault]) -> None:
        super().__init__(state.name, ttl=state.ttls.negative, nsec3=state.nsec3 if state.is_signed else None)
        self.serial, self._window, self._signing = state.serial, state.window, state.signing
        self._signers = [replace(key) for key in state.keys.values() if key.signing]
        self._is_signed, self._is_spread, self._server = state.is_signed, state.is_spread, server
        self._faults = tuple(faults)
        self._types: dict[dns.name.Name, set[RdataType]] = {}
        self.parts: dict[tuple[dns.name.Name, int, bool], Part] = {}
        self.data = dict(state.data)
        self.data[self.name, RdataType.SOA] = state.soa()
        self._build(state)
        self.originals = dict(self.rrsets)
        self.signatures = Signatures(self)  # type: ignore[assignment]
        for fault in self._faults:
            fault.change_records(self.rrsets, self.originals)

    @property
    def is_signed(self) -> bool:
        """Return whether the zone signs."""
        return self._is_signed

    def _build(self, state: "ZoneState") -> None:
        self.rrsets = dict(self.data)
        if not self._is_signed:
            return
        published = [key.pair.record for key in state.keys.values() if key.published]
        if published:
            self.rrsets[self.name, RdataType.DNSKEY] = dns.rrset.from_rdata_list(self.name, state.ttls.keys, published)
        if self.nsec3 is None:
            self._add_nsec()
        else:
            self._add_nsec3(self.nsec3)

    def types_at(self, owner: dns.name.Name) -> set[RdataType]:
        """Return the types that a denial record for ``owner`` must list, signatures and denial aside."""
        if not self._types:
            for name, rdtype in self.rrsets:
                self._types.setdefault(name, set()).add(rdtype)
        types = self._types.get(owner, set()) - {RdataType.NSEC}
        if self.cut_above(owner) == owner:
            types &= {RdataType.NS, RdataType.DS}
        return types

    def make_signatures(self, key: RRsetKey) -> dns.rrset.RRset | None:
        """Return the RRSIGs over an RRset as they are served, None where it has none."""
        rrset = self.originals.get(key)
        if rrset is None or not self._is_signed or not self.is_authoritative(*key):
            return None
        for fault in self._faults:
            rrset = fault.signed_records(key, rrset)
        begin, end = self._window_of(key)
        made = [self._sign(signer, rrset, begin, end) for signer in self._signers_of(key)]
        for fault in self._faults:
            made = fault.change_signatures(key, made, lambda b, e: self._resigned(key, rrset, b, e))
        return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, made) if made else None

    def _resigned(
        self, key: RRsetKey, rrset: dns.rrset.RRset, begin: float | None, end: float | None
    ) -> list[dns.rdata.Rdata]:
        usual = self._window_of(key)
        window = usual[0] if begin is None else begin, usual[1] if end is None else end
        return [self._sign(signer, rrset, *window) for signer in self._signers_of(key)]

    def _sign(self, signer: HeldKey, rrset: dns.rrset.RRset, begin: float, end: float) -> dns.rdata.Rdata:
        made = signer.pair.sign(rrset, self.name, begin, end)
        return garbled(made) if signer.broken else made

    def _signers_of(self, key: RRsetKey) -> list[HeldKey]:
        entry = [one for one in self._signers if one.is_entry]
        others = [one for one in self._signers if one.role in ("zsk", "csk")]
        signers = (entry or others) if key[1] == RdataType.DNSKEY else (others or entry)
        if self._is_spread and len(signers) > 1 and key[1] != RdataType.DNSKEY:
            return [signers[int(self._chance(key, self._server) * len(signers))]]
        return signers

    def _window_of(self, key: RRsetKey) -> tuple[float, float]:
        window, signing = self._window, self._signing
        validity_s = signing.validity_s
        if key[1] == RdataType.DNSKEY and signing.key_validity_s is not None:
            validity_s = signing.key_validity_s
        end = window.made_at + validity_s - signing.jitter_s * self._chance(key, "")
        begin = window.made_at - signing.inception_offset_s
        return (
            begin if window.begins_at is None else window.begins_at,
            end if window.ends_at is None else window.ends_at,
        )

    def _chance(self, key: RRsetKey, salt: str) -> float:
        return chance(f"{self.name}/{key[0]}/{key[1]}/{int(self._window.made_at)}/{salt}")


def chance(text: str) -> float:
    """Return a number in [0, 1) that is always the same for one text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def garbled(signature: dns.rdata.Rdata) -> dns.rdata.Rdata:
    """Return a signature with a bit of its value turned, so that it does not verify."""
    value: bytes = signature.signature  # type: ignore[attr-defined]
    return signature.replace(signature=bytes((value[0] ^ 1, *value[1:])))


@dataclass
class ZoneState:
    """A zone as its operator has it now; every change raises ``serial``.

    ``is_spread``: each signature is by one of the signing keys only, by chance and server. ``stalled``: the signer does
    nothing by itself. ``faults`` are what is wrong with what is served.
    """

    name: dns.name.Name
    ttls: Ttls = Ttls()
    signing: Signing = Signing()
    nsec3: Nsec3Params | None = None
    keys: dict[str, HeldKey] = field(default_factory=dict)
    data: dict[RRsetKey, dns.rrset.RRset] = field(default_factory=dict)
    rotations: dict[RRsetKey, Rotation] = field(default_factory=dict)
    window: Window = Window(0.0)
    is_signed: bool = True
    is_spread: bool = False
    stalled: bool = False
    faults: list[Fault] = field(default_factory=list)
    primary: str = ""
    soa_fields: tuple[int, int, int] = (3600, 600, 1_209_600)
    serial: int = 1
    next_signing_at: float | None = None
    _served: dict[tuple[object, ...], ServedZone] = field(default_factory=dict)

    def changed(self) -> None:
        """Note that something is different from now on."""
        self.serial += 1
        self._served.clear()

    def served_by(self, server: str) -> ServedZone:
        """Return what a server answers of the zone, with the faults of its copy."""
        faults = [fault for fault in self.faults if fault.is_at(server)]
        key = (tuple(map(id, faults)), server if self.is_spread else "")
        if key not in self._served:
            self._served[key] = ServedZone(self, server, faults)
        return self._served[key]

    def soa(self) -> dns.rrset.RRset:
        """Return the SOA record. Its TTL is that of denials: RFC 2308 §3."""
        at, ttl = self.name, self.ttls.negative
        primary = self.primary or f"ns1.{_below(at)}"
        times = " ".join(map(str, self.soa_fields))
        text = f"{primary} hostmaster.{_below(at)} {self.serial} {times} {ttl}"
        return dns.rrset.from_text(at, ttl, "IN", "SOA", text)

    # keys and signatures

    def sign(self, at: float, *, begins_at: float | None = None, ends_at: float | None = None) -> None:
        """Make all signatures anew at an instant (POSIX seconds)."""
        self.window = Window(at, begins_at, ends_at)
        refresh_s = self.signing.refresh_s
        self.next_signing_at = None
        if refresh_s is not None and self.is_signed:
            late_s = self.signing.jitter_s * chance(f"{self.name}/renewal/{int(at)}")
            self.next_signing_at = at + refresh_s + late_s
        self.changed()

    def rotate(self, at: float) -> None:
        """Show what rotations have at an instant."""
        for key, rotation in self.rotations.items():
            self.data[key] = dns.rrset.from_rdata_list(key[0], self.data[key].ttl, rotation.at(at))
        self.changed()

    def ds_of(self, keys: Iterable[HeldKey], digests: Sequence[str]) -> list[dns.rdata.Rdata]:
        """Return the DS records for keys."""
        policy = dns.dnssec.allow_all_policy
        return [
            dns.dnssec.make_ds(self.name, key.pair.record, digest, policy=policy) for key in keys for digest in digests
        ]

    @property
    def entry_keys(self) -> list[HeldKey]:
        """Return the published keys that a DS should point at: the signing ones."""
        published = [key for key in self.keys.values() if key.published and key.signing]
        return [key for key in published if key.is_entry] or published

    # data

    def put(self, owner: dns.name.Name, rdtype: RdataType, ttl: int, values: Sequence[dns.rdata.Rdata]) -> None:
        """Set an RRset; without values it is gone."""
        self.rotations.pop((owner, rdtype), None)
        if values:
            self.data[owner, rdtype] = dns.rrset.from_rdata_list(owner, ttl, list(values))
        else:
            self.data.pop((owner, rdtype), None)
        self.changed()


def _below(zone: dns.name.Name) -> str:
    return "" if zone == dns.name.root else zone.to_text()


def records_of(zone: dns.name.Name, rdtype: RdataType, texts: Sequence[str]) -> list[dns.rdata.Rdata]:
    """Return record data in presentation format as records; names are relative to the zone.

    Raises:
        dns.exception.DNSException, ValueError: no such data.
    """
    return [dns.rdata.from_text(IN, rdtype, text, origin=zone, relativize=False) for text in texts]

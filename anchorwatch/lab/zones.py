"""Zones that sign themselves: records in, signatures and NSEC or NSEC3 chains out.

Source: RFC 4035 §2 (signing a zone), RFC 5155 §7.1 (NSEC3 chain).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from dns.dnssectypes import NSEC3Hash
from dns.rdatatype import RdataType

RRsetKey = tuple[dns.name.Name, RdataType]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
IN = dns.rdataclass.IN
DEFAULT_LIFETIME = timedelta(days=14)


@dataclass(frozen=True)
class SigningKey:
    """A key pair; ``flags`` 257 for a secure-entry key, 256 else."""

    private: PrivateKey
    algorithm: int
    flags: int

    @cached_property
    def record(self) -> dns.rdtypes.ANY.DNSKEY.DNSKEY:
        """Return the DNSKEY record."""
        return dns.dnssec.make_dnskey(self.private.public_key(), self.algorithm, self.flags)


def generate_key(algorithm: int = 13, *, entry: bool = False, bits: int = 2048) -> SigningKey:
    """Return a new key pair of the algorithm."""
    flags = 257 if entry else 256
    private: PrivateKey
    match algorithm:
        case 5 | 7 | 8 | 10:
            private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        case 13:
            private = ec.generate_private_key(ec.SECP256R1())
        case 14:
            private = ec.generate_private_key(ec.SECP384R1())
        case 15:
            private = ed25519.Ed25519PrivateKey.generate()
        case 16:
            private = ed448.Ed448PrivateKey.generate()
        case _:
            raise ValueError(f"algorithm {algorithm} can't be signed with here")
    return SigningKey(private, algorithm, flags)


@dataclass(frozen=True)
class Nsec3Params:
    """How a zone hashes its names."""

    iterations: int = 0
    salt: bytes = b""
    opt_out: bool = False


@dataclass
class Zone:
    """A zone as its operator has it. Change anything, then ``sign``; ``rrsets`` is what is served.

    ``keys`` sign: those with flags 257 the key set, the others the rest (or all sign all where there is one kind only).
    ``published`` are further keys in the key set that sign nothing.
    """

    name: dns.name.Name
    ttl: int = 60
    keys: list[SigningKey] = field(default_factory=list)
    published: list[SigningKey] = field(default_factory=list)
    nsec3: Nsec3Params | None = None
    lifetime: timedelta = DEFAULT_LIFETIME
    data: dict[RRsetKey, dns.rrset.RRset] = field(default_factory=dict)
    rrsets: dict[RRsetKey, dns.rrset.RRset] = field(default_factory=dict)
    signatures: dict[RRsetKey, dns.rrset.RRset] = field(default_factory=dict)

    @property
    def is_signed(self) -> bool:
        """Return whether the zone has keys."""
        return bool(self.keys)

    def add(self, owner: str, rdtype: str, *values: str, ttl: int | None = None) -> None:
        """Add records; ``owner`` is relative to the zone, ``@`` its apex."""
        name = dns.name.from_text(owner, self.name)
        found = dns.rrset.from_text_list(
            name, ttl if ttl is not None else self.ttl, "IN", rdtype, values, origin=self.name, relativize=False
        )
        self.data[name, found.rdtype] = found

    def remove(self, owner: str, rdtype: str) -> None:
        """Remove records, if they are there."""
        self.data.pop((dns.name.from_text(owner, self.name), dns.rdatatype.from_text(rdtype)), None)

    def ds_records(self, digest: str = "SHA256") -> list[str]:
        """Return the DS records for the secure-entry keys (for all keys where none is marked)."""
        entry = [key for key in self.keys if key.flags & 1] or self.keys
        return [dns.dnssec.make_ds(self.name, key.record, digest).to_text() for key in entry]

    def sign(self, now: datetime, *, inception: datetime | None = None, expiration: datetime | None = None) -> None:
        """Make the zone as it is served at ``now`` (aware UTC); without keys it is served unsigned."""
        if (self.name, RdataType.SOA) not in self.data:
            self.add("@", "SOA", f"ns.{self._absolute()} host.{self._absolute()} 1 3600 600 86400 {self.ttl}")
        self.rrsets = dict(self.data)
        self.signatures = {}
        if not self.keys:
            return
        records = [key.record for key in (*self.keys, *self.published)]
        keys = dns.rrset.from_rdata_list(self.name, self.ttl, records)
        self.rrsets[self.name, RdataType.DNSKEY] = keys
        if self.nsec3 is None:
            self._add_nsec()
        else:
            self._add_nsec3(self.nsec3)
        begin = inception or now - timedelta(hours=1)
        end = expiration or now + self.lifetime
        for key, rrset in self.rrsets.items():
            if self.is_authoritative(*key):
                self.signatures[key] = self._signed(rrset, begin, end)

    def _absolute(self) -> str:
        return "" if self.name == dns.name.root else self.name.to_text()

    def _signed(self, rrset: dns.rrset.RRset, begin: datetime, end: datetime) -> dns.rrset.RRset:
        entry = [key for key in self.keys if key.flags & 1]
        others = [key for key in self.keys if not key.flags & 1]
        signers = (entry or others) if rrset.rdtype == RdataType.DNSKEY else (others or entry)
        made = [self.sign_rrset(rrset, key, begin, end) for key in signers]
        return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, made)

    def sign_rrset(self, rrset: dns.rrset.RRset, key: SigningKey, begin: datetime, end: datetime) -> dns.rdata.Rdata:
        """Return one RRSIG over the RRset by one key."""
        return dns.dnssec.sign(
            rrset,
            key.private,
            self.name,
            key.record,
            inception=begin,
            expiration=end,
            policy=dns.dnssec.allow_all_policy,
        )

    def cut_above(self, name: dns.name.Name) -> dns.name.Name | None:
        """Return the zone cut at or above ``name`` below the apex, None where the name is this zone's own."""
        for depth in range(len(self.name) + 1, len(name) + 1):
            candidate = name.split(depth)[1]
            if (candidate, RdataType.NS) in self.data:
                return candidate
        return None

    def is_authoritative(self, owner: dns.name.Name, rdtype: RdataType) -> bool:
        """Return whether the zone signs this RRset: neither glue nor the delegation's NS set."""
        if owner == self.name:
            return True
        cut = self.cut_above(owner)
        if rdtype in (RdataType.NSEC, RdataType.NSEC3):
            return True
        return cut is None or (cut == owner and rdtype == RdataType.DS)

    def names(self) -> list[dns.name.Name]:
        """Return the names of the zone in canonical order, delegations included, glue not, empty non-terminals not."""
        found = {owner for owner, _ in self.data if self.cut_above(owner) in (None, owner)}
        return sorted(found | {self.name})

    def exists(self, name: dns.name.Name) -> bool:
        """Return whether the name or anything below it exists in the zone."""
        return any(owner.is_subdomain(name) for owner, _ in self.data)

    def types_at(self, owner: dns.name.Name) -> set[RdataType]:
        """Return the types that a denial record for ``owner`` must list, signatures and denial aside."""
        types: set[RdataType] = {rdtype for name, rdtype in self.rrsets if name == owner and rdtype != RdataType.NSEC}
        if self.cut_above(owner) == owner:
            types &= {RdataType.NS, RdataType.DS}
        return types

    def _add_nsec(self) -> None:
        owners = self.names()
        for owner, following in zip(owners, [*owners[1:], self.name], strict=True):
            types = self.types_at(owner) | {RdataType.NSEC, RdataType.RRSIG}
            text = f"{following} {' '.join(dns.rdatatype.to_text(t) for t in sorted(types))}"
            self.rrsets[owner, RdataType.NSEC] = dns.rrset.from_text(owner, self.ttl, "IN", "NSEC", text)

    def _add_nsec3(self, params: Nsec3Params) -> None:
        salt = params.salt.hex() or "-"
        self.add("@", "NSEC3PARAM", f"1 0 {params.iterations} {salt}")
        self.rrsets[self.name, RdataType.NSEC3PARAM] = self.data[self.name, RdataType.NSEC3PARAM]
        hashed = sorted((self.hash_of(owner, params), owner) for owner in self._hashed_names(params))
        for (digest, owner), (following, _) in zip(hashed, [*hashed[1:], hashed[0]], strict=True):
            types = self.types_at(owner)
            if any(self.is_authoritative(owner, rdtype) for rdtype in types):
                types.add(RdataType.RRSIG)
            name = dns.name.from_text(digest.lower(), self.name)
            flags = 1 if params.opt_out else 0
            shown = " ".join(dns.rdatatype.to_text(t) for t in sorted(types))
            text = f"1 {flags} {params.iterations} {salt} {following.lower()} {shown}"
            self.rrsets[name, RdataType.NSEC3] = dns.rrset.from_text(name, self.ttl, "IN", "NSEC3", text)

    def hash_of(self, owner: dns.name.Name, params: Nsec3Params) -> str:
        """Return the NSEC3 hash of a name in base32hex, upper case."""
        return dns.dnssec.nsec3_hash(owner, params.salt or None, params.iterations, NSEC3Hash.SHA1)

    def _hashed_names(self, params: Nsec3Params) -> Iterable[dns.name.Name]:
        """Return the names that get an NSEC3: empty non-terminals too, with opt-out not the unsigned delegations."""
        wanted: set[dns.name.Name] = {self.name}
        for owner in self.names():
            unsigned_cut = self.cut_above(owner) == owner and (owner, RdataType.DS) not in self.data
            if params.opt_out and unsigned_cut:
                continue
            name = owner
            while name != self.name:
                wanted.add(name)
                name = name.parent()
        return wanted

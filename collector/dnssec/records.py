"""DNS records as the validator needs them: canonical octets, parsed once.

Source: RFC 4034 §2 to §6, RFC 5155 §3, RFC 6840 §5.1 (canonical form), RFC 3597 §4 (where compression may occur).
"""

from dataclasses import dataclass
from functools import lru_cache

import dns.exception
import dns.rdata
import dns.rdatatype
import msgspec

from collector.dnssec import names
from collector.dnssec.names import Name

A, NS, CNAME, SOA, TXT, AAAA, OPT = 1, 2, 5, 6, 16, 28, 41
DNAME, DS, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, ANY = 39, 43, 46, 47, 48, 50, 51, 255
IN = 1

# Types with names in their data: n is a name, a digit counts octets, s is a character string. Names in them are
# lower-cased for signing (RFC 4034 §6.2 less NSEC and HINFO, by RFC 6840 §5.1) and may come compressed (RFC 3597 §4).
LAYOUTS: dict[int, str] = {
    NS: "n",
    3: "n",
    4: "n",
    CNAME: "n",
    SOA: "nn",
    7: "n",
    8: "n",
    9: "n",
    12: "n",
    14: "nn",
    15: "2n",
    17: "nn",
    18: "2n",
    21: "2n",
    26: "2nn",
    33: "6n",
    35: "4sssn",
    36: "2n",
    DNAME: "n",
}
# Data of another length are no address, even if they are signed (RFC 1035 §3.4.1, RFC 3596 §2.2).
FIXED_LENGTHS: dict[int, int] = {A: 4, AAAA: 16}


class Signature(msgspec.Struct, frozen=True, gc=False):
    """One RRSIG; ``signed_prefix`` is its data without the signature, the signer in canonical form."""

    covers: int
    algorithm: int
    labels: int
    original_ttl: int
    expiration: int
    inception: int
    key_tag: int
    signer: Name
    signature: bytes
    signed_prefix: bytes


class RRset(msgspec.Struct, frozen=True, gc=False):
    """Records of one name and type, and the signatures over them that came in the same section.

    ``rdatas`` are canonical, distinct, in canonical order. ``ttl`` is the smallest received. ``class_`` is always IN.
    """

    name: Name
    rdtype: int
    ttl: int
    rdatas: tuple[bytes, ...]
    signatures: tuple[Signature, ...] = ()


class KeyRecord(msgspec.Struct, frozen=True, gc=False):
    """One DNSKEY; ``rdata`` are its canonical octets."""

    flags: int
    protocol: int
    algorithm: int
    public_key: bytes
    tag: int
    rdata: bytes

    @property
    def is_zone_key(self) -> bool:
        """Return whether flags and protocol let the key sign a zone.

        Source: RFC 4034 §2.1.1, §2.1.2.
        """
        return bool(self.flags & 0x0100) and self.protocol == 3

    @property
    def is_entry(self) -> bool:
        """Return whether the key is meant as a secure entry point. Source: RFC 4034 §2.1.1, RFC 3757 §2."""
        return bool(self.flags & 0x0001)

    @property
    def is_revoked(self) -> bool:
        """Return whether the REVOKE bit is set. Source: RFC 5011 §2.1."""
        return bool(self.flags & 0x0080)


@dataclass(frozen=True, slots=True)
class DelegationSigner:
    """One DS."""

    tag: int
    algorithm: int
    digest_type: int
    digest: bytes

    def to_text(self) -> str:
        """Return the presentation format."""
        return f"{self.tag} {self.algorithm} {self.digest_type} {self.digest.hex().upper()}"


@dataclass(frozen=True, slots=True)
class Nsec:
    """One NSEC: nothing exists between ``owner`` and ``next_name``."""

    owner: Name
    next_name: Name
    types: frozenset[int]


@dataclass(frozen=True, slots=True)
class Nsec3:
    """One NSEC3: no hash exists between ``owner_hash`` and ``next_hash``."""

    owner_hash: bytes
    next_hash: bytes
    types: frozenset[int]
    iterations: int
    salt: bytes
    opt_out: bool


def key_tag(rdata: bytes) -> int:
    """Return the key tag of a DNSKEY's octets. Source: RFC 4034 App. B."""
    if rdata[3] == 1:
        return int.from_bytes(rdata[-3:-1], "big") if len(rdata) >= 7 else 0
    total = sum(rdata[1::2]) + (sum(rdata[0::2]) << 8)
    return (total + (total >> 16)) & 0xFFFF


@lru_cache(maxsize=16384)
def parse_key(rdata: bytes) -> KeyRecord | None:
    """Return the DNSKEY in ``rdata``, None if it is too short to be one."""
    if len(rdata) < 5:
        return None
    return KeyRecord(int.from_bytes(rdata[:2], "big"), rdata[2], rdata[3], rdata[4:], key_tag(rdata), rdata)


def parse_ds(rdata: bytes) -> DelegationSigner | None:
    """Return the DS in ``rdata``, None if it is too short to be one."""
    if len(rdata) < 5:
        return None
    return DelegationSigner(int.from_bytes(rdata[:2], "big"), rdata[2], rdata[3], rdata[4:])


def parse_nsec(owner: Name, rdata: bytes) -> Nsec | None:
    """Return the NSEC, None if it is malformed."""
    parsed = read_name(rdata, 0)
    if parsed is None:
        return None
    next_name, offset = parsed
    types = _parse_bitmap(rdata[offset:])
    return None if types is None else Nsec(owner, next_name, types)


def parse_nsec3(owner: Name, zone: Name, rdata: bytes) -> Nsec3 | None:
    """Return the NSEC3, None if it is malformed, of an unknown hash, has unknown flags, or does not belong to ``zone``.

    Source: RFC 5155 §8.1 (unknown hashes), §8.2 (unknown flags), §3 (the owner is the hash, one label below the apex).
    """
    if len(rdata) < 6 or owner[:-1] != zone or len(owner) != len(zone) + 1:
        return None
    hash_algorithm, flags, salt_length = rdata[0], rdata[1], rdata[4]
    salt_end = 5 + salt_length
    if hash_algorithm != 1 or flags & ~1 or len(rdata) < salt_end + 1:
        return None
    hash_length = rdata[salt_end]
    next_end = salt_end + 1 + hash_length
    owner_hash = _from_base32hex(owner[-1])
    types = _parse_bitmap(rdata[next_end:]) if len(rdata) >= next_end else None
    if owner_hash is None or types is None or hash_length != 20 or len(owner_hash) != 20:
        return None
    iterations = int.from_bytes(rdata[2:4], "big")
    return Nsec3(owner_hash, rdata[salt_end + 1 : next_end], types, iterations, rdata[5:salt_end], bool(flags & 1))


def _from_base32hex(label: bytes) -> bytes | None:
    try:
        number = int(label, 32)
    except ValueError:
        return None
    if len(label) != 32 or not label.isalnum():
        return None
    return number.to_bytes(20, "big")


def _parse_bitmap(data: bytes) -> frozenset[int] | None:
    types: set[int] = set()
    offset, last_window = 0, -1
    while offset < len(data):
        if offset + 2 > len(data):
            return None
        window, length = data[offset], data[offset + 1]
        offset += 2
        if window <= last_window or not 1 <= length <= 32 or offset + length > len(data):
            return None
        for index, octet in enumerate(data[offset : offset + length]):
            if octet:
                base = window * 256 + index * 8
                types.update(base + bit for bit in range(8) if octet & (0x80 >> bit))
        last_window, offset = window, offset + length
    return frozenset(types)


def read_name(data: bytes, offset: int) -> tuple[Name, int] | None:
    """Return the name at ``offset`` and the offset behind it; None if it runs over or is compressed."""
    labels: list[bytes] = []
    total = 1
    while True:
        if offset >= len(data):
            return None
        length = data[offset]
        offset += 1
        if length == 0:
            return tuple(reversed(labels)), offset
        total += length + 1
        if length > names.MAX_LABEL_BYTES or offset + length > len(data) or total > names.MAX_NAME_BYTES:
            return None
        labels.append(data[offset : offset + length].lower())
        offset += length


def target_of(rdata: bytes) -> Name:
    """Return the target of a canonical CNAME or DNAME."""
    parsed = read_name(rdata, 0)
    if parsed is None:
        raise ValueError("not canonical data of a CNAME or DNAME")
    return parsed[0]


@lru_cache(maxsize=1024)
def type_to_text(rdtype: int) -> str:
    """Return the mnemonic of a type, ``TYPEnnn`` where it has none."""
    return dns.rdatatype.to_text(rdtype)  # type: ignore[arg-type]


def type_from_text(text: str) -> int:
    """Return the number of a type.

    Raises:
        ValueError: no such type.
    """
    try:
        return int(dns.rdatatype.from_text(text))
    except (dns.rdatatype.UnknownRdatatype, ValueError) as error:
        raise ValueError(f"{text!r} is no record type") from error


@lru_cache(maxsize=16384)
def rdata_to_text(rdtype: int, rdata: bytes) -> str:
    """Return canonical record data in presentation format; RFC 3597 form where they are malformed."""
    try:
        return dns.rdata.from_wire(IN, rdtype, rdata, 0, len(rdata)).to_text()  # type: ignore[arg-type]
    except (ValueError, dns.exception.DNSException):
        return f"\\# {len(rdata)} {rdata.hex()}"

"""Responses as plain lists of records that may be wrong in any way, and signatures with any field of choice."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import dns.dnssecalgs
import dns.rrset

from anchorwatch.lab.zones import SigningKey
from collector.dnssec import names, records
from collector.dnssec.names import Name

QR_RD_RA = 0x8180
_SIG = struct.Struct("!HBBIIIH")


@dataclass(frozen=True, slots=True)
class Record:
    """One record; ``rdata`` are octets without compression."""

    owner: Name
    rdtype: int
    ttl: int
    rdata: bytes
    rdclass: int = 1

    @property
    def covers(self) -> int:
        """Return the type that an RRSIG covers, else the record's own: what makes it one RRset with its signatures."""
        is_signature = self.rdtype == records.RRSIG and len(self.rdata) >= 2
        return int.from_bytes(self.rdata[:2], "big") if is_signature else self.rdtype

    @property
    def is_signature(self) -> bool:
        """Return whether it is an RRSIG."""
        return self.rdtype == records.RRSIG

    def to_text(self) -> str:
        """Return the presentation format."""
        kind = records.type_to_text(self.rdtype)
        return f"{names.to_text(self.owner)} {self.ttl} {kind} {records.rdata_to_text(self.rdtype, self.rdata)}"


@dataclass(slots=True)
class Message:
    """A response less its header and question."""

    rcode: int = 0
    answer: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)

    def copy(self) -> "Message":
        """Return a copy whose lists may be changed."""
        return Message(self.rcode, list(self.answer), list(self.authority))

    @property
    def sections(self) -> tuple[list[Record], list[Record]]:
        """Return the sections that matter."""
        return self.answer, self.authority

    def to_wire(self, qname: Name, qtype: int, message_id: int = 0) -> bytes:
        """Return the octets of the response to a question, with EDNS, uncompressed."""
        head = struct.pack("!6H", message_id, QR_RD_RA | self.rcode & 15, 1, len(self.answer), len(self.authority), 1)
        parts = [head, names.to_wire(qname), struct.pack("!HH", qtype, 1)]
        for record in (*self.answer, *self.authority):
            parts.append(names.to_wire(record.owner))
            parts.append(struct.pack("!HHIH", record.rdtype, record.rdclass, record.ttl, len(record.rdata)))
            parts.append(record.rdata)
        parts.append(b"\0" + struct.pack("!HHIH", records.OPT, 1232, 0x8000, 0))
        return b"".join(parts)

    def to_text(self) -> str:
        """Return the records for people."""
        lines = [f"rcode {self.rcode}"]
        for title, section in zip(("answer", "authority"), self.sections, strict=True):
            lines += [f"  {title}: {record.to_text()}" for record in section]
        return "\n".join(lines)


def flatten(rrsets: Iterable[dns.rrset.RRset]) -> list[Record]:
    """Return the records of RRsets, in their order."""
    found = []
    for rrset in rrsets:
        owner = names.from_text(rrset.name.to_text())
        found += [Record(owner, int(rrset.rdtype), rrset.ttl, rdata.to_wire()) for rdata in rrset]
    return found


@dataclass(frozen=True, slots=True)
class Terms:
    """The fields of a signature to make; None takes what is right for the RRset and the key."""

    signer: Name
    inception: int
    expiration: int
    covers: int | None = None
    algorithm: int | None = None
    labels: int | None = None
    original_ttl: int | None = None
    key_tag: int | None = None


def sign(rrset: Sequence[Record], key: SigningKey, terms: Terms, *, over: Name | None = None) -> Record:
    """Return an RRSIG over the records by ``key``; the fields say what ``terms`` says, true or not.

    ``over`` is the owner that the signed octets name, where it is not the records' own.
    """
    first = rrset[0]
    dnskey = key.record.to_digestable()
    own_labels = len(first.owner) - (1 if first.owner[-1:] == (b"*",) else 0)
    labels = own_labels if terms.labels is None else terms.labels
    prefix = _SIG.pack(
        first.rdtype if terms.covers is None else terms.covers,
        key.algorithm if terms.algorithm is None else terms.algorithm,
        labels & 255,
        first.ttl if terms.original_ttl is None else terms.original_ttl,
        terms.expiration & 0xFFFFFFFF,
        terms.inception & 0xFFFFFFFF,
        records.key_tag(dnskey) if terms.key_tag is None else terms.key_tag,
    ) + names.to_wire(terms.signer)
    owner = first.owner if over is None else over
    if over is None and labels < own_labels:
        owner = names.wildcard_of(owner[:labels])
    ttl = first.ttl if terms.original_ttl is None else terms.original_ttl
    head = names.to_wire(owner) + struct.pack("!HHI", first.rdtype, 1, ttl)
    parts = [prefix]
    for rdata in sorted({record.rdata for record in rrset}):
        parts += (head, len(rdata).to_bytes(2, "big"), rdata)
    signature = dns.dnssecalgs.get_algorithm_cls(key.algorithm)(key=key.private).sign(b"".join(parts))
    return Record(first.owner, records.RRSIG, first.ttl, prefix + signature)


def altered(record: Record, offset: int, octets: bytes) -> Record:
    """Return the record with some octets of its data replaced."""
    return replace(record, rdata=record.rdata[:offset] + octets + record.rdata[offset + len(octets) :])

"""Answers as octets whose TTLs run down, and as the collector reads them: each made once, by content and age.

Source: RFC 1035 §4 (messages), RFC 6891 §6.1 (OPT), RFC 8914 §2 (extended errors).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import dns.name
import dns.rcode
import dns.rrset
from dns.rdatatype import RdataType

from collector.dnssec import names
from collector.dnssec.message import AA, AD, CD, QR, RA, RD, Response, read_response
from collector.dnssec.records import RRset

PAYLOAD_BYTES = 1232
Section = dict[tuple[names.Name, int], RRset]
_TTL = struct.Struct("!I")
_HIDDEN = frozenset({RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3})


@dataclass(frozen=True, eq=False)
class Part:
    """What one zone says to one question; ``target`` is where an alias in it leads to.

    ``cut`` is the zone below that it refers to, None where it is an answer. ``ttl_s`` says for how long it stands.
    """

    rcode: int = 0
    answer: tuple[dns.rrset.RRset, ...] = ()
    authority: tuple[dns.rrset.RRset, ...] = ()
    additional: tuple[dns.rrset.RRset, ...] = ()
    target: dns.name.Name | None = None
    is_authoritative: bool = True
    cut: dns.name.Name | None = None
    ede: tuple[int, str] | None = None
    ttl_s: int = field(init=False)

    def __post_init__(self) -> None:
        ttls = [rrset.ttl for rrset in (*self.answer, *(self.authority if not self.answer else ()))]
        object.__setattr__(self, "ttl_s", min(ttls, default=0))

    def with_error(self, code: int, text: str) -> "Part":
        """Return it with an extended error beside the data."""
        return replace(self, ede=(code, text))


@dataclass(frozen=True)
class Header:
    """How a question was asked and is answered."""

    authoritative: bool = False
    recursive: bool = True
    checking_disabled: bool = False
    authentic: bool = False
    edns: bool = True
    dnssec_ok: bool = True


class Template:
    """A response without its age: ``at`` gives it with TTLs run down."""

    def __init__(self, name: dns.name.Name, rdtype: int, parts: Sequence[Part], header: Header) -> None:
        self._ttls: list[tuple[int, int, int]] = []
        self._wire = self._write(name, rdtype, parts, header)
        self._young = read_response(self._wire)
        self._part_of = self._parts_by_key()

    def at(self, *ages: int) -> Response:
        """Return the response when its parts are so many seconds old."""
        wire = bytearray(self._wire)
        for offset, ttl, part in self._ttls:
            _TTL.pack_into(wire, offset, max(0, ttl - ages[part]))
        young = self._young
        return Response(
            bytes(wire),
            young.id,
            young.flags,
            young.rcode,
            young.qname,
            young.qtype,
            self._older(young.answer, ages),
            self._older(young.authority, ages),
            young.ede,
            young.has_edns,
            young.cookie,
        )

    def _older(self, section: Section, ages: Sequence[int]) -> Section:
        return {
            key: RRset(one.name, one.rdtype, max(0, one.ttl - ages[self._part_of[key]]), one.rdatas, one.signatures)
            for key, one in section.items()
        }

    def _parts_by_key(self) -> dict[tuple[names.Name, int], int]:
        """Return of which part each RRset is: the response is read once more with TTLs that say so."""
        wire = bytearray(self._wire)
        for offset, _, part in self._ttls:
            _TTL.pack_into(wire, offset, part)
        marked = read_response(bytes(wire))
        return {key: one.ttl for section in (marked.answer, marked.authority) for key, one in section.items()}

    def _write(self, name: dns.name.Name, rdtype: int, parts: Sequence[Part], header: Header) -> bytes:
        hidden = frozenset() if header.dnssec_ok else _HIDDEN - {rdtype}
        last = len(parts) - 1
        answer = [(rrset, n) for n, part in enumerate(parts) for rrset in part.answer if rrset.rdtype not in hidden]
        authority = [
            (rrset, n) for n, part in enumerate(parts) for rrset in part.authority if rrset.rdtype not in hidden
        ]
        # Proofs go along with every part; of a denial only the last zone's SOA record says something.
        authority = [(r, n) for r, n in authority if n == last or (r.rdtype in _HIDDEN and not _covers_soa(r))]
        additional = [(rrset, last) for rrset in parts[last].additional if rrset.rdtype not in hidden] if parts else []
        rcode = parts[last].rcode if parts else 0
        flags = QR | rcode & 15
        flags |= AA if header.authoritative and parts and parts[0].is_authoritative else 0
        flags |= RD | RA if header.recursive else 0
        flags |= CD if header.checking_disabled else 0
        flags |= AD if header.authentic else 0
        wire = bytearray(12) + wire_of(name) + struct.pack("!HH", rdtype, 1)
        counts = [self._put(wire, section) for section in (answer, authority, additional)]
        if header.edns:
            counts[2] += 1
            wire += _opt(rcode, header.dnssec_ok, parts[last].ede if parts else None)
        struct.pack_into("!6H", wire, 0, 0, flags, 1, *counts)
        return bytes(wire)

    def _put(self, wire: bytearray, section: Sequence[tuple[dns.rrset.RRset, int]]) -> int:
        """Append the records of a section, each once; return how many."""
        seen: set[tuple[dns.name.Name, int, bytes]] = set()
        for rrset, part in section:
            owner = wire_of(rrset.name)
            for record in rrset:
                data = record.to_wire() or b""
                key = (rrset.name, rrset.rdtype, data)
                if key in seen:
                    continue
                seen.add(key)
                wire += owner + struct.pack("!HHIH", rrset.rdtype, 1, rrset.ttl, len(data)) + data
                self._ttls.append((len(wire) - len(data) - 6, rrset.ttl, part))
        return len(seen)


def wire_of(name: dns.name.Name) -> bytes:
    """Return the octets of a name, uncompressed."""
    octets = name.to_wire()
    assert octets is not None
    return octets


def _covers_soa(rrset: dns.rrset.RRset) -> bool:
    return rrset.rdtype == RdataType.RRSIG and all(one.type_covered == RdataType.SOA for one in rrset)


def _opt(rcode: int, dnssec_ok: bool, ede: tuple[int, str] | None) -> bytes:
    option = b""
    if ede is not None:
        text = ede[1].encode()[:200]
        option = struct.pack("!HHH", 15, 2 + len(text), ede[0]) + text
    ttl = (rcode >> 4) << 24 | (0x8000 if dnssec_ok else 0)
    return b"\0" + struct.pack("!HHIH", RdataType.OPT, PAYLOAD_BYTES, ttl, len(option)) + option


def failed(rcode: int, ede: tuple[int, str] | None = None) -> Part:
    """Return the answer that there is none."""
    return Part(rcode=rcode, is_authoritative=False, ede=ede)


SERVFAIL, REFUSED = int(dns.rcode.SERVFAIL), int(dns.rcode.REFUSED)

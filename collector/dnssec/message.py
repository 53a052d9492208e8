"""DNS messages: make a query, read a response.

The reader trusts nothing: every length is checked, compression pointers only lead backwards, and the work is bounded by
the size of the message. Records come out canonical and grouped into RRsets with their signatures, which is all that
validation looks at.

Source: RFC 1035 §4, RFC 6891 (EDNS), RFC 8914 (extended errors), RFC 2181 §5 (RRsets).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

import msgspec

from collector.dnssec import names, records
from collector.dnssec.names import Name
from collector.dnssec.records import RRset, Signature

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN = 0, 1, 2, 3, 4, 5, 6
BADCOOKIE = 23
EDNS_PAYLOAD_BYTES = 1232
MAX_RECORDS = 4096
MAX_JUMPS = 128

_HEADER = Struct("!6H")
_RR = Struct("!HHIH")
_SIG = Struct("!HBBIIIH")
_OPTION = Struct("!HH")
_COOKIE, _EXTENDED_ERROR = 10, 15


_RCODES = {
    0: "NOERROR",
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
    6: "YXDOMAIN",
    9: "NOTAUTH",
}


class FormError(ValueError):
    """The octets are no DNS message."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """A response; ``answer`` and ``authority`` map (name, type) to the RRset with the signatures over it.

    ``wire`` are the octets as received; ``ede`` the extended errors as (code, text); ``cookie`` the client's cookie and
    the server's, as they came.
    """

    wire: bytes
    id: int
    flags: int
    rcode: int
    qname: Name
    qtype: int
    answer: dict[tuple[Name, int], RRset]
    authority: dict[tuple[Name, int], RRset]
    ede: tuple[tuple[int, str], ...] = ()
    has_edns: bool = False
    cookie: bytes = b""

    @property
    def truncated(self) -> bool:
        """Return the TC bit."""
        return bool(self.flags & TC)


def make_query(
    message_id: int,
    qname: Name,
    qtype: int,
    *,
    checking_disabled: bool,
    payload: int = EDNS_PAYLOAD_BYTES,
    edns: bool = True,
    cookie: bytes = b"",
    question: bytes = b"",
    recursive: bool = True,
) -> bytes:
    """Return a query with RD, EDNS and DO=1.

    With ``checking_disabled`` it asks as a validator does (CD=1: RFC 4035 §4.9.2), else as a client that understands AD
    (RFC 6840 §5.7), or, without ``edns``, as a plain stub. Without ``recursive`` it asks for what the server itself
    knows: none of these bits. ``cookie`` is sent as an option (RFC 7873); ``question`` are the octets of ``qname`` in
    the letter case to send, by default lower case.
    """
    flags = RD | (CD if checking_disabled else AD if edns else 0) if recursive else 0
    opt = opt_record(cookie, payload) if edns else b""
    asked = (question or names.to_wire(qname)) + qtype.to_bytes(2, "big") + b"\0\1"
    return _HEADER.pack(message_id, flags, 1, 0, 0, int(edns)) + asked + opt


def opt_record(cookie: bytes, payload: int = EDNS_PAYLOAD_BYTES) -> bytes:
    """Return an OPT record with DO=1, and a cookie unless that is empty. Source: RFC 6891 §6.1.2, RFC 7873 §4."""
    options = _OPTION.pack(_COOKIE, len(cookie)) + cookie if cookie else b""
    return b"\0" + _RR.pack(records.OPT, payload, 0x8000, len(options)) + options


def rcode_text(rcode: int) -> str:
    """Return the mnemonic of an rcode."""
    return _RCODES.get(rcode, f"RCODE{rcode}")


@dataclass(slots=True)
class _Group:
    """Records of one name and type in one section while they are gathered."""

    ttl: int = 0x7FFFFFFF
    rdatas: set[bytes] = field(default_factory=set)
    signatures: list[Signature] = field(default_factory=list)


class _Reader:
    """One pass over the octets of a message."""

    def __init__(self, wire: bytes) -> None:
        self.wire = wire
        self.offset = 12
        self.known: dict[int, tuple[Name, int]] = {}

    def name(self) -> Name:
        """Read the name here, compressed or not, and move behind it."""
        # Most owners are one pointer to a name that was read before, or the root.
        here = self.wire[self.offset : self.offset + 2]
        if len(here) == 2 and here[0] >= 0xC0:
            known = self.known.get((here[0] & 0x3F) << 8 | here[1])
            if known is not None:
                self.offset += 2
                return known[0]
        elif here[:1] == b"\0":
            self.offset += 1
            return names.ROOT
        name, self.offset = self.name_at(self.offset)
        return name

    def name_at(self, offset: int) -> tuple[Name, int]:
        known = self.known.get(offset)
        if known is not None:
            return known
        start, wire, end = offset, self.wire, len(self.wire)
        labels: list[bytes] = []
        suffix: Name = ()
        total, behind, lowest, jumps = 1, 0, offset, 0
        while True:
            if offset >= end:
                raise FormError("a name runs over the end")
            length = wire[offset]
            if length < 0x40:
                offset += 1
                if length == 0:
                    break
                total += length + 1
                if offset + length > end or total > names.MAX_NAME_BYTES:
                    raise FormError("a name is too long")
                labels.append(wire[offset : offset + length].lower())
                offset += length
                continue
            if length < 0xC0 or offset + 1 >= end:
                raise FormError("an unknown kind of label")
            target = (length & 0x3F) << 8 | wire[offset + 1]
            behind = behind or offset + 2
            jumps += 1
            if target >= lowest or jumps > MAX_JUMPS:
                raise FormError("a compression pointer that does not lead backwards")
            known = self.known.get(target)
            if known is not None:
                suffix = known[0]
                total += names.wire_length(suffix) - 1
                if total > names.MAX_NAME_BYTES:
                    raise FormError("a name is too long")
                break
            lowest = offset = target
        labels.reverse()
        found = (suffix + tuple(labels), behind or offset)
        self.known[start] = found
        return found

    def canonical(self, layout: str, end: int) -> bytes:
        """Read rdata with names in it up to ``end`` and return it with the names lower-cased and uncompressed."""
        parts: list[bytes] = []
        for item in layout:
            if item == "n":
                parts.append(names.to_wire(self.name()))
                continue
            length = int(item) if item != "s" else 1 + (self.wire[self.offset] if self.offset < end else 0)
            parts.append(self.wire[self.offset : self.offset + length])
            self.offset += length
        if self.offset > end:
            raise FormError("record data run over their length")
        parts.append(self.wire[self.offset : end])
        return b"".join(parts)

    def signature(self, end: int) -> Signature:
        """Read an RRSIG. Source: RFC 4034 §3.1."""
        start = self.offset
        if end - start < 19:
            raise FormError("a signature record is too short")
        covers, algorithm, labels, ttl, expiration, inception, tag = _SIG.unpack_from(self.wire, start)
        self.offset = start + 18
        signer = self.name()
        if self.offset > end:
            raise FormError("record data run over their length")
        prefix = self.wire[start : start + 18] + names.to_wire(signer)
        value = self.wire[self.offset : end]
        return Signature(covers, algorithm, labels, ttl, expiration, inception, tag, signer, value, prefix)


def read_response(wire: bytes) -> Response:
    """Parse a whole response.

    Raises:
        FormError: truncated, looping, over-long, more than one question, or not a response.
    """
    if len(wire) < 12:
        raise FormError("shorter than a header")
    message_id, flags, qdcount, ancount, nscount, arcount = _HEADER.unpack_from(wire)
    if not flags & QR or flags & 0x7800:
        raise FormError("not a response to a query")
    if qdcount != 1:
        raise FormError(f"{qdcount} questions instead of one")
    if ancount + nscount + arcount > MAX_RECORDS:
        raise FormError(f"{ancount + nscount + arcount} records, more than {MAX_RECORDS}")
    reader = _Reader(wire)
    qname = reader.name()
    if reader.offset + 4 > len(wire):
        raise FormError("the question runs over the end")
    qtype = int.from_bytes(wire[reader.offset : reader.offset + 2], "big")
    if wire[reader.offset + 2 : reader.offset + 4] != b"\0\1":
        raise FormError("a question outside class IN")
    reader.offset += 4
    answer = _read_section(reader, ancount)
    authority = _read_section(reader, nscount)
    rcode, has_edns, cookie = flags & 15, False, b""
    ede: tuple[tuple[int, str], ...] = ()
    if arcount:
        has_edns, extended, ede, cookie = _read_additional(reader, arcount)
        rcode |= extended << 4
    return Response(wire, message_id, flags, rcode, qname, qtype, answer, authority, ede, has_edns, cookie)


def read_options(wire: bytes) -> dict[int, bytes]:
    """Return the EDNS options of a message by code, of each the last.

    Raises:
        FormError: it can't be read.
    """
    if len(wire) < _HEADER.size:
        raise FormError("shorter than a header")
    _, _, qdcount, *counts = _HEADER.unpack_from(wire)
    if sum(counts) > MAX_RECORDS:
        raise FormError(f"{sum(counts)} records, more than {MAX_RECORDS}")
    reader = _Reader(wire)
    for _ in range(min(qdcount, 1)):
        reader.name()
        reader.offset += 4
    options: dict[int, bytes] = {}
    for _ in range(sum(counts)):
        _name, rdtype, _rdclass, _ttl, end = _next_record(reader)
        if rdtype == records.OPT:
            options.update(_options(reader, end))
        reader.offset = end
    return options


def _next_record(reader: _Reader) -> tuple[Name, int, int, int, int]:
    """Read a record's head; the reader stands at its data. Return name, type, class, TTL and the end of the data."""
    name = reader.name()
    start = reader.offset
    if start + 10 > len(reader.wire):
        raise FormError("a record runs over the end")
    rdtype, rdclass, ttl, length = _RR.unpack_from(reader.wire, start)
    reader.offset = start + 10
    end = reader.offset + length
    if end > len(reader.wire):
        raise FormError("record data run over the end")
    return name, rdtype, rdclass, ttl, end


def _read_section(reader: _Reader, count: int) -> dict[tuple[Name, int], RRset]:
    if not count:
        return {}
    groups: dict[tuple[Name, int], _Group] = {}
    for _ in range(count):
        name, rdtype, rdclass, ttl, end = _next_record(reader)
        if rdclass == records.IN and rdtype != records.OPT:
            # "a TTL with the most significant bit set is treated as zero": RFC 2181 §8
            ttl = ttl if ttl < 0x80000000 else 0
            if rdtype == records.RRSIG:
                signature = reader.signature(end)
                group = groups.setdefault((name, signature.covers), _Group())
                group.signatures.append(signature)
            else:
                group = groups.setdefault((name, rdtype), _Group())
                if records.FIXED_LENGTHS.get(rdtype, end - reader.offset) == end - reader.offset:
                    group.rdatas.add(_read_rdata(reader, rdtype, end))
            group.ttl = min(group.ttl, ttl)
        reader.offset = end
    return {
        key: RRset(key[0], key[1], group.ttl, tuple(sorted(group.rdatas)), tuple(dict.fromkeys(group.signatures)))
        for key, group in groups.items()
    }


def read_glue(wire: bytes) -> dict[tuple[Name, int], tuple[bytes, ...]]:
    """Return the addresses in the additional section by (name, type); ``wire`` is a response that was read before.

    They are hints where to ask next, never an answer, so a response does not hold them.
    """
    _id, _flags, qdcount, ancount, nscount, arcount = _HEADER.unpack_from(wire)
    reader = _Reader(wire)
    for _ in range(qdcount):
        reader.name()
        reader.offset += 4
    found: dict[tuple[Name, int], list[bytes]] = {}
    for number in range(ancount + nscount + arcount):
        name, rdtype, rdclass, _ttl, end = _next_record(reader)
        is_address = records.FIXED_LENGTHS.get(rdtype) == end - reader.offset and rdclass == records.IN
        if number >= ancount + nscount and is_address:
            found.setdefault((name, rdtype), []).append(wire[reader.offset : end])
        reader.offset = end
    return {key: tuple(dict.fromkeys(addresses)) for key, addresses in found.items()}


def write_response(response: Response) -> bytes:
    """Return a response in wire format, made of the records that are left in it: canonical and uncompressed."""
    head = names.to_wire(response.qname) + response.qtype.to_bytes(2, "big") + b"\0\1"
    written = [_write_section(section) for section in (response.answer, response.authority)]
    counts = [len(section) for section in written]
    header = _HEADER.pack(response.id, response.flags & ~15 | response.rcode & 15, 1, *counts, int(response.has_edns))
    opt = b"\0" + _RR.pack(records.OPT, EDNS_PAYLOAD_BYTES, response.rcode >> 4 << 24 | 0x8000, 0)
    return b"".join([header, head, *(b"".join(section) for section in written), opt if response.has_edns else b""])


def _write_section(section: dict[tuple[Name, int], RRset]) -> list[bytes]:
    written = []
    for rrset in section.values():
        owner = names.to_wire(rrset.name)
        data = [(rrset.rdtype, rdata) for rdata in rrset.rdatas]
        data += [(records.RRSIG, one.signed_prefix + one.signature) for one in rrset.signatures]
        written += [owner + _RR.pack(rdtype, records.IN, rrset.ttl, len(rdata)) + rdata for rdtype, rdata in data]
    return written


def _read_rdata(reader: _Reader, rdtype: int, end: int) -> bytes:
    layout = records.LAYOUTS.get(rdtype)
    if layout is None:
        return reader.wire[reader.offset : end]
    return reader.canonical(layout, end)


def _options(reader: _Reader, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the options of an OPT record at whose data the reader stands."""
    offset = reader.offset
    while offset + 4 <= end:
        code, length = _OPTION.unpack_from(reader.wire, offset)
        yield code, reader.wire[offset + 4 : min(offset + 4 + length, end)]
        offset += 4 + length


def _read_additional(reader: _Reader, count: int) -> tuple[bool, int, tuple[tuple[int, str], ...], bytes]:
    """Skip glue; return whether there was an OPT record, the rcode's upper bits, extended errors, and the cookie."""
    has_edns, extended, errors, cookie = False, 0, [], b""
    for _ in range(count):
        _name, rdtype, _rdclass, ttl, end = _next_record(reader)
        if rdtype == records.OPT:
            has_edns, extended = True, ttl >> 24
            for code, data in _options(reader, end):
                if code == _COOKIE:
                    cookie = data
                if code == _EXTENDED_ERROR and len(data) >= 2:
                    errors.append((int.from_bytes(data[:2], "big"), data[2:].decode("utf-8", "replace").rstrip("\0")))
        reader.offset = end
    return has_edns, extended, tuple(errors), cookie

"""Tell whether a response says what the last one said, without parsing it.

What is kept of a response is an imprint. The next response is first compared record by record, each taken from where
the last response had one. Only if that fails it is walked, and compared as a set of records with expanded names.

Two responses say the same when they differ only in the id, the AD bit, TTLs, the order of records, the letter case of
names, how names are compressed, and the additional section (of which the rcode's upper bits count). A TTL above all
that were seen before is a change.

Why the quick comparison proves as much as the walk: all octets that decide the structure of a record are among those
compared, and where they are split by the TTL is, too, so that whoever fills in TTLs or the additional section decides
nothing. Where a name leads into another record, order counts. Where it leads to octets that are not compared, there is
no quick comparison.

Source: RFC 1035 §4.1 (layout of a message), RFC 3597 §4 (where names are in data), RFC 6891 §6.1.3 (extended rcode).
"""

from hashlib import blake2b
from struct import Struct

import msgspec

from collector.dnssec import names, records
from collector.dnssec.message import MAX_JUMPS

HEADER_BYTES = 12
DIGEST_BYTES = 16
MOST_RECORDS = 256
"""Of more, a response is parsed; so that a hostile one is not walked twice."""

_COUNTS = Struct("!6H")
_RECORD = Struct("!HHIH")
_SIGNER_AT = 18
_NO_TTL = 0x80000000  # and above: as zero, RFC 2181 §8
_OPT = b"\0\0\x29"
_UNSAID = 0x20  # the AD bit, in the header's fourth octet
_FLAGS = tuple(bytes((octet & ~_UNSAID,)) for octet in range(256))


class Row(msgspec.Struct, frozen=True, gc=False):
    """Where one record of a response is; ``split`` tells its section and its sizes before and behind the TTL."""

    split: bytes
    start: int
    ttl_at: int
    end: int


class Layout(msgspec.Struct, frozen=True, gc=False):
    """Where the records of answer and authority section are, up to ``end``.

    ``is_movable``: their names lead to the question at most, so that they mean the same in any order.
    """

    rows: tuple[Row, ...]
    end: int
    is_movable: bool


class Imprint(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a response. ``longest_ttl`` in seconds is the most that the next one may have.

    ``quick`` is the digest by the rows of ``layout``, empty where names lead to octets that may vary; ``as_set`` is the
    digest of the records wherever they are.
    """

    layout: Layout
    longest_ttl: int
    quick: bytes
    as_set: bytes


class _Unreadable(Exception):
    """The walk can't go on: truncated, looping, or of an unknown form. The parser says how."""


_layouts: dict[Layout, Layout] = {}
_MOST_LAYOUTS = 4096


def take_imprint(wire: bytes, before: Imprint | None = None) -> Imprint | None:
    """Return the imprint of a response, None if it can't be walked; ``before`` is that of the last response."""
    walk = _walked(wire)
    if walk is None:
        return None
    layout = Layout(tuple(walk.rows), walk.offset, walk.is_movable)
    layout = _layouts.get(layout) or _remember(layout)
    longest = max(walk.longest_ttl, before.longest_ttl if before is not None else 0)
    is_quick = walk.is_covered and _ends_plainly(wire, layout.end)
    return Imprint(layout, longest, _quick_digest(wire, layout) if is_quick else b"", walk.digest())


def says_the_same(imprint: Imprint, wire: bytes) -> bool:
    """Return whether a response to the same question says what the one said that the imprint is of."""
    layout, longest = imprint.layout, imprint.longest_ttl
    if imprint.quick and len(wire) >= layout.end and _ends_plainly(wire, layout.end):
        ttls = [wire[row.ttl_at : row.ttl_at + 4] for row in layout.rows]
        is_usual = not ttls or int.from_bytes(max(ttls), "big") <= longest
        if is_usual and _quick_digest(wire, layout) == imprint.quick:
            return True
    walk = _walked(wire)
    return walk is not None and walk.longest_ttl <= longest and walk.digest() == imprint.as_set


def least_ttl(wire: bytes) -> int:
    """Return the smallest TTL in a response that can be walked, in seconds; 0 without a record."""
    walk = _walked(wire)
    rows = walk.rows if walk is not None else []
    ttls = [int.from_bytes(wire[row.ttl_at : row.ttl_at + 4], "big") for row in rows]
    return min((ttl if ttl < _NO_TTL else 0 for ttl in ttls), default=0)


def take_claim_mark(wire: bytes) -> bytes:
    """Return octets that stand for all that a resolver tells a client; empty if the response can't be walked.

    The AD bit and the additional section, with the extended errors in it, are part of it.
    """
    walk = _walked(wire)
    if walk is None:
        return b""
    said = (walk.digest(), wire[2:4], wire[10:12], wire[walk.offset :])
    return blake2b(b"".join(said), digest_size=DIGEST_BYTES).digest()


def _remember(layout: Layout) -> Layout:
    if len(_layouts) >= _MOST_LAYOUTS:
        _layouts.clear()
    return _layouts.setdefault(layout, layout)


def _quick_digest(wire: bytes, layout: Layout) -> bytes:
    """Return a digest of what counts, by the rows of a layout; the question was compared with what was asked."""
    pieces = [
        b"".join((row.split, wire[row.start : row.ttl_at], wire[row.ttl_at + 4 : row.end])) for row in layout.rows
    ]
    if layout.is_movable:
        pieces.sort()
    head = (wire[2:3], _FLAGS[wire[3]], wire[4:10])
    return blake2b(b"".join((*head, *pieces)), digest_size=DIGEST_BYTES).digest()


def _ends_plainly(wire: bytes, end: int) -> bool:
    """Return whether nothing follows, or only an OPT record that adds nothing to the rcode."""
    count = wire[10:12]
    if count == b"\0\0":
        return True
    return count == b"\0\1" and wire[end : end + 3] == _OPT and wire[end + 5 : end + 6] == b"\0"


class _Walk:
    """One pass over the records of a response.

    ``is_covered``: every name ends, or leads to the beginning of a label of a name in a record before it, or in the
    question; in any other case what it leads to may be octets that vary. ``is_movable``: to the question only.
    """

    def __init__(self, wire: bytes) -> None:
        self._wire, self._size = wire, len(wire)
        self._labels: dict[int, bytes] = {}  # by the offset of a label: the name from there on, expanded
        self.start = self._size
        self.rows: list[Row] = []
        self.longest_ttl = 0
        self.is_covered = self.is_movable = True
        _id, flags, questions, answers, authorities, additional = _COUNTS.unpack_from(wire)
        if questions != 1 or answers + authorities + additional > MOST_RECORDS:
            raise _Unreadable
        question, self.offset = self._name(HEADER_BYTES)
        self.offset += 4
        self.start = self.offset
        sections = [self._section(b"\0", answers), self._section(b"\1", authorities)]
        rcode = self._extended_rcode(additional)
        head = (flags & ~_UNSAID, rcode, answers, authorities)
        self._said = [question, wire[self.start - 4 : self.start], repr(head).encode(), *sections[0], b"", *sections[1]]

    def digest(self) -> bytes:
        """Return a digest of what is said, wherever it stands."""
        pieces = [len(piece).to_bytes(4, "big") + piece for piece in self._said]
        return blake2b(b"".join(pieces), digest_size=DIGEST_BYTES).digest()

    def _section(self, section: bytes, count: int) -> list[bytes]:
        wire, pieces = self._wire, []
        for _ in range(count):
            owner, at = self._name(self.offset)
            data_at = at + 10
            if data_at > self._size:
                raise _Unreadable
            rdtype, _class, ttl, length = _RECORD.unpack_from(wire, at)
            end = data_at + length
            if end > self._size:
                raise _Unreadable
            split = section + (at - self.offset).to_bytes(2, "big") + (end - at).to_bytes(4, "big")
            self.rows.append(Row(split, self.offset, at + 4, end))
            if self.longest_ttl < ttl < _NO_TTL:
                self.longest_ttl = ttl
            if rdtype == records.RRSIG:
                data = self._signature(data_at, end)
            elif rdtype in records.LAYOUTS:
                data = self._data(records.LAYOUTS[rdtype], data_at, end)
            else:
                data = wire[data_at:end]
            pieces.append(b"".join((owner, wire[at : at + 4], data)))
            self.offset = end
        pieces.sort()
        return pieces

    def _signature(self, start: int, end: int) -> bytes:
        if end - start <= _SIGNER_AT:
            raise _Unreadable
        self.longest_ttl = max(self.longest_ttl, int.from_bytes(self._wire[start + 4 : start + 8], "big"))
        signer, at = self._name(start + _SIGNER_AT)
        if at > end:
            raise _Unreadable
        return b"".join((self._wire[start : start + _SIGNER_AT], signer, self._wire[at:end]))

    def _data(self, layout: str, at: int, end: int) -> bytes:
        parts = []
        for item in layout:
            if item == "n":
                part, at = self._name(at)
            else:
                length = int(item) if item != "s" else 1 + (self._wire[at] if at < end else 0)
                part, at = self._wire[at : at + length], at + length
            parts.append(part)
        if at > end:
            raise _Unreadable
        return b"".join((*parts, self._wire[at:end]))

    def _extended_rcode(self, count: int) -> int:
        rcode, at = 0, self.offset
        for _ in range(count):
            _name, at = self._name(at)
            if at + 10 > self._size:
                raise _Unreadable
            rdtype, _class, ttl, length = _RECORD.unpack_from(self._wire, at)
            rcode = ttl >> 24 if rdtype == records.OPT else rcode
            at += 10 + length
            if at > self._size:
                raise _Unreadable
        return rcode

    def _name(self, offset: int) -> tuple[bytes, int]:
        """Return the name, expanded and in lower case, and the offset behind it."""
        wire, labels = self._wire, self._labels
        starts: list[int] = []
        at = lowest = offset
        behind = jumps = 0
        while True:
            if at >= self._size:
                raise _Unreadable
            rest = labels.get(at, b"") if jumps else b""
            if rest:
                break
            length = wire[at]
            if length == 0:
                rest = b"\0"
                behind = behind or at + 1
                break
            if length < 0x40:
                starts.append(at)
                at += length + 1
                continue
            if length < 0xC0 or at + 1 >= self._size:
                raise _Unreadable
            behind = behind or at + 2
            jumps += 1
            at = (length & 0x3F) << 8 | wire[at + 1]
            if at >= lowest or jumps > MAX_JUMPS:
                raise _Unreadable
            lowest = at
            self.is_covered = self.is_covered and at in labels
            self.is_movable = self.is_movable and at < self.start
        for start in reversed(starts):
            rest = wire[start : start + wire[start] + 1].lower() + rest
            labels[start] = rest
        if len(rest) > names.MAX_NAME_BYTES:
            raise _Unreadable
        return rest, behind


def _walked(wire: bytes) -> _Walk | None:
    if len(wire) < HEADER_BYTES:
        return None
    try:
        return _Walk(wire)
    except _Unreadable:
        return None

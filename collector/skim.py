"""Tell whether a response says what the last one said, without parsing it.

Two responses have one skim when they differ only in what varies by nature: the id, TTLs, the AD bit, the additional
section, and the order of records.

Source: RFC 1035 §4.1 (layout of a message).
"""

import hashlib

_HEADER_BYTES = 12


def skim(wire: bytes) -> bytes:
    """Return 16 octets that stand for a response's content; empty if it can't be walked."""
    if len(wire) < _HEADER_BYTES:
        return b""
    flags = (int.from_bytes(wire[2:4], "big") & ~0x0020).to_bytes(2, "big")
    counts = wire[4:10]
    end = len(wire)
    offset = _HEADER_BYTES
    for _ in range(wire[4] << 8 | wire[5]):
        offset = _skip_name(wire, offset, end) + 4
    pieces: list[bytes] = []
    start = offset
    for _ in range((wire[6] << 8 | wire[7]) + (wire[8] << 8 | wire[9])):
        ttl_at = _skip_name(wire, offset, end) + 4
        data_at = ttl_at + 6
        if data_at > end:
            return b""
        after = data_at + (wire[data_at - 2] << 8 | wire[data_at - 1])
        if after > end:
            return b""
        pieces.append(wire[offset:ttl_at] + wire[ttl_at + 4 : after])
        offset = after
    pieces.sort()
    return hashlib.blake2b(b"".join((flags, counts, wire[_HEADER_BYTES:start], *pieces)), digest_size=16).digest()


def _skip_name(wire: bytes, offset: int, end: int) -> int:
    """Return the offset behind the name; ``end`` if it runs over."""
    while offset < end:
        length = wire[offset]
        if length == 0:
            return offset + 1
        if length >= 0xC0:
            return offset + 2
        offset += length + 1
    return end

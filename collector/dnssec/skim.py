"""Tell whether a response says what the last one said, without parsing it.

Two responses have one skim when they differ only in what varies by nature: the id, TTLs, the AD bit, the additional
section, the letter case of owner names, and the order of records.

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
    questions: list[bytes] = []
    for _ in range(wire[4] << 8 | wire[5]):
        name_end = _skip_name(wire, offset, end)
        questions.append(_folded(wire, offset, name_end) + wire[name_end : name_end + 4])
        offset = name_end + 4
    pieces: list[bytes] = []
    for _ in range((wire[6] << 8 | wire[7]) + (wire[8] << 8 | wire[9])):
        name_end = _skip_name(wire, offset, end)
        ttl_at = name_end + 4
        data_at = ttl_at + 6
        if data_at > end:
            return b""
        after = data_at + (wire[data_at - 2] << 8 | wire[data_at - 1])
        if after > end:
            return b""
        pieces.append(_folded(wire, offset, name_end) + wire[name_end:ttl_at] + wire[ttl_at + 4 : after])
        offset = after
    pieces.sort()
    return hashlib.blake2b(b"".join((flags, counts, *questions, *pieces)), digest_size=16).digest()


def _folded(wire: bytes, start: int, end: int) -> bytes:
    """Return a name's octets with its letters in lower case: the case of our question is random, and comes back.

    Lengths and the first octet of a pointer are no letters; the second octet of a pointer may be one by chance.
    """
    if wire[end - 1 : end] == b"\0":
        return wire[start:end].lower()
    return wire[start : end - 2].lower() + wire[max(start, end - 2) : end]


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

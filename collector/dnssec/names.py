"""Domain names as tuples of lower-case labels, root first: ``www.example.com`` is ``(b"com", b"example", b"www")``.

Written this way round, Python's own order of tuples and bytes *is* the canonical order of names, the parent is
``name[:-1]``, and the labels of an ancestor are a prefix.

Source: RFC 4034 §6.1 (canonical order), RFC 1035 §3.1 and §5.1 (wire and presentation format).
"""

import re
from functools import lru_cache

Name = tuple[bytes, ...]

ROOT: Name = ()
MAX_LABEL_BYTES = 63
MAX_NAME_BYTES = 255

_FOREIGN = re.compile(r"[^!-~]")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_*/+=:!#%&'?^`{|}~[]<>,")


def is_at_or_below(name: Name, ancestor: Name) -> bool:
    """Return whether ``name`` is ``ancestor`` or lies below it."""
    return name[: len(ancestor)] == ancestor


def common_ancestor(one: Name, other: Name) -> Name:
    """Return the deepest name that both are at or below."""
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    return one[:shared]


def wildcard_of(closest_encloser: Name) -> Name:
    """Return the source of synthesis below a closest encloser. Source: RFC 4592 §3.3.1."""
    return (*closest_encloser, b"*")


def wire_length(name: Name) -> int:
    """Return the octets of the name in wire format, the root's included."""
    return sum(map(len, name)) + len(name) + 1


@lru_cache(maxsize=65536)
def to_wire(name: Name) -> bytes:
    """Return the name in canonical wire format: lower case, uncompressed."""
    return b"".join(bytes((len(label),)) + label for label in reversed(name)) + b"\0"


@lru_cache(maxsize=65536)
def to_text(name: Name) -> str:
    """Return the presentation format with the final dot; odd octets escaped."""
    if not name:
        return "."
    return "".join(_label_to_text(label) + "." for label in reversed(name))


def _label_to_text(label: bytes) -> str:
    if _PLAIN.issuperset(label):
        return label.decode()
    return "".join(chr(octet) if octet in _PLAIN else _escape(octet) for octet in label)


def _escape(octet: int) -> str:
    return "\\" + chr(octet) if octet in b'.\\"();@$' else f"\\{octet:03d}"


def from_text(text: str) -> Name:
    """Parse presentation format, absolute with or without the final dot; escapes as in master files.

    Raises:
        ValueError: an empty or over-long label, an over-long name, a bad escape, or a character outside ASCII.
    """
    if text in (".", "", "@"):
        if text == ".":
            return ROOT
        raise ValueError("an empty name")
    labels = _split(text) if "\\" not in text else _split_escaped(text)
    name = tuple(reversed(labels))
    if wire_length(name) > MAX_NAME_BYTES:
        raise ValueError(f"the name has {wire_length(name)} octets, more than {MAX_NAME_BYTES}")
    return name


def _split(text: str) -> list[bytes]:
    """Return the labels of a name without escapes, leftmost first."""
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        raise ValueError(f"the character {foreign[0]!r} does not belong in a name in A-label form")
    labels = text.removesuffix(".").encode().split(b".")
    return [_checked(label) for label in labels]


def _split_escaped(text: str) -> list[bytes]:
    labels: list[bytes] = []
    label = bytearray()
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            octet, position = _unescape(text, position)
            label.append(octet)
        elif character == ".":
            labels.append(_checked(label))
            label = bytearray()
        elif ord(character) > 126 or ord(character) < 33:
            raise ValueError(f"the character {character!r} does not belong in a name in A-label form")
        else:
            label.append(ord(character))
    if label or not text.endswith("."):
        labels.append(_checked(label))
    return labels


def _checked(label: bytes | bytearray) -> bytes:
    if not label:
        raise ValueError("an empty label: two dots in a row, or a leading dot")
    if len(label) > MAX_LABEL_BYTES:
        raise ValueError(f"a label of {len(label)} octets, more than {MAX_LABEL_BYTES}")
    return bytes(label).lower()


def _unescape(text: str, position: int) -> tuple[int, int]:
    digits = text[position : position + 3]
    if len(digits) == 3 and digits.isascii() and digits.isdigit():
        if int(digits) > 255:
            raise ValueError(f"the escape \\{digits} is above \\255")
        return int(digits), position + 3
    if not digits or digits[0].isdigit() or ord(digits[0]) > 126:
        raise ValueError("a backslash that escapes nothing")
    return ord(digits[0]), position + 1

"""Names that are not public: a resolver may answer them by itself, without signatures.

Source: RFC 6761, RFC 6762 §3 and App. G, RFC 7686, RFC 8375, RFC 9476; RFC 6303 §4 and RFC 7793 (reverse zones);
ICANN resolution 2024.07.29.06 (``internal``).
"""

from collector.dnssec import names
from collector.dnssec.names import Name

_REVERSE4 = (
    "0",
    "10",
    "127",
    "254.169",
    "168.192",
    "2.0.192",
    "100.51.198",
    "113.0.203",
    "255.255.255.255",
    *(f"{second}.172" for second in range(16, 32)),
    *(f"{second}.100" for second in range(64, 128)),
)
_REVERSE6 = ("d.f", "8.e.f", "9.e.f", "a.e.f", "b.e.f", "8.b.d.0.1.0.0.2")
_SUFFIXES = frozenset(
    names.from_text(text)
    for text in (
        *("alt", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localhost", "onion", "private"),
        *("test", "home.arpa", "resolver.arpa", "service.arpa"),
        *(f"{zone}.in-addr.arpa" for zone in _REVERSE4),
        *(f"{zone}.ip6.arpa" for zone in _REVERSE6),
    )
)
_LONGEST = max(map(len, _SUFFIXES))


def private_suffix(name: Name) -> Name | None:
    """Return the special-use or private name that ``name`` lies at or below; None where it is a public name.

    A single label is private by itself: ``redis``, ``vault``.
    """
    for length in range(min(len(name), _LONGEST), 0, -1):
        if name[:length] in _SUFFIXES:
            return name[:length]
    return name if len(name) == 1 else None


def neighbour_of(name: Name) -> Name:
    """Return a name right behind ``name`` in canonical order: the NSEC record that denies it denies ``name`` as well.

    A resolver that answers for ``name`` by itself, its DS set included, sends this question on.
    """
    return (*name[:-1], name[-1][: names.MAX_LABEL_BYTES - 2] + b"-0")

"""How a resolver proves who it is over TLS: by the authorities that vouch for it, by its name, by its key. Pure.

Source: RFC 7858 §4.2 (pins), RFC 8310 §5.1 and §8 (strict profile).
"""

import base64
from dataclasses import dataclass

PIN_BYTES = 32
PROVING_SCHEMES = ("tls", "https")


@dataclass(frozen=True, slots=True)
class Identity:
    """What must hold; without anything the system's authorities vouch for the host of the URL.

    ``ca_path`` is a PEM file of the authorities to trust instead. ``server_name`` is the name that is asked for (SNI)
    and must be in the certificate, instead of the host of the URL. ``pins`` are SHA-256 digests of public keys
    (SubjectPublicKeyInfo), one of which must be the server's own. Pins alone need no authority and no name, so that
    certificates that are signed by nobody else can be used; beside ``ca_path`` or ``server_name`` all must hold.
    """

    ca_path: str = ""
    server_name: str = ""
    pins: tuple[bytes, ...] = ()

    @property
    def is_pinned_only(self) -> bool:
        """Return whether the key alone counts."""
        return bool(self.pins) and not self.ca_path and not self.server_name


ANYBODY_VOUCHED_FOR = Identity()


def parse_pin(text: str) -> bytes:
    """Return a pin in base64 as its 32 octets.

    Raises:
        ValueError: it is none.
    """
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != PIN_BYTES:
        raise ValueError("a pin is the SHA-256 digest of a public key in base64, 44 signs that end in =")
    return digest


def pin_text(digest: bytes) -> str:
    """Return a pin in base64."""
    return base64.b64encode(digest).decode("ascii")

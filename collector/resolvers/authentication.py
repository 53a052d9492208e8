"""Make sure over TLS that a resolver is who it should be, and say what was wrong and what to do. Never any fallback.

Source: RFC 8310 §5.1 (strict: no authenticated resolver, no query), §8.1 (names); RFC 7858 §4.2 (pins).
"""

import hashlib
import os
import ssl

from collector.resolvers.address import Address
from collector.resolvers.identity import pin_text
from schemas.egress import Egress

EXPIRED, NOT_YET_VALID = 10, 9
SELF_SIGNED, UNKNOWN = 18, (19, 20, 21)
OTHER_NAME = (62, 64)


class Unauthenticated(OSError):
    """The other end is not, or can't show that it is, the resolver that was configured."""


class Authentication:
    """How one resolver is authenticated. The authorities are read when first needed, and after a failure if they have
    changed."""

    def __init__(self, address: Address, egress: Egress, alpn: tuple[str, ...] = ()) -> None:
        self._identity = address.identity
        self._ca_path = address.identity.ca_path or egress.ca_path
        self._alpn = alpn
        self.name = (address.identity.server_name or address.host).rstrip(".")
        self._context: ssl.SSLContext | None = None
        self._read: tuple[int, ...] = ()
        self._has_failed = False

    def context(self) -> ssl.SSLContext:
        """Return what checks certificate and name in the handshake; where only the key counts, nothing.

        Raises:
            Unauthenticated: the authorities can't be read.
        """
        if self._has_failed and self._looks() != self._read:
            self._context = None
        self._has_failed = False
        if self._context is None:
            self._read = self._looks()
            if self._identity.is_pinned_only:
                self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
            else:
                self._context = self._trusting()
            if self._alpn:
                self._context.set_alpn_protocols(self._alpn)
        return self._context

    def _looks(self) -> tuple[int, ...]:
        """Return what tells one version of the file of authorities from another, empty where there is none."""
        try:
            found = os.stat(self._ca_path or ssl.get_default_verify_paths().cafile or "")
        except OSError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _trusting(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca_path or None)
        except OSError as error:
            why = "it holds no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise Unauthenticated(f"ca_file: {self._ca_path} can't be used: {why}") from error

    def check_key(self, connection: ssl.SSLObject) -> None:
        """Check the key of the server after the handshake, and before anything is sent.

        Raises:
            Unauthenticated: there are pins, and it is none of them.
        """
        if not self._identity.pins:
            return
        certificate = connection.getpeercert(binary_form=True)
        pin = _pin_of(certificate) if certificate else b""
        # Without a match nothing is sent over this connection, nor over any other (RFC 7858 §4.2, RFC 8310 §5.1).
        if pin not in self._identity.pins:
            raise Unauthenticated(
                f"not authenticated: its key is none of those in pins (it has {pin_text(pin)}). If whoever runs the"
                " resolver confirms that this is its new key, add it to pins; else somebody else answers here"
            )

    def explain(self, error: OSError) -> OSError:
        """Return a failure of the handshake as one that says what is wrong, and what to do; others as they are."""
        if not isinstance(error, ssl.SSLError):
            return error
        self._has_failed = True
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unauthenticated(f"not authenticated: {self._certificate_fault(error)}")
        if isinstance(error, ssl.SSLEOFError):
            return ConnectionResetError("the server closed the connection within the TLS handshake")
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return Unauthenticated("not authenticated: no TLS is spoken at this port")
        return Unauthenticated(f"not authenticated: the TLS handshake failed ({(error.reason or str(error)).lower()})")

    def _certificate_fault(self, error: ssl.SSLCertVerificationError) -> str:
        code = error.verify_code
        trusted = self._ca_path or "the system's authorities"
        if code == EXPIRED:
            return (
                "its certificate, or one that vouches for it, has expired. Renew it at the resolver; if it has not,"
                " this machine's clock is wrong"
            )
        if code == NOT_YET_VALID:
            return (
                "its certificate, or one that vouches for it, is not valid yet. If it is, this machine's clock is wrong"
            )
        if code in OTHER_NAME:
            return (
                f"its certificate is not for {self.name}. If it is the right resolver, set server_name to the name"
                " that is in the certificate"
            )
        if code == SELF_SIGNED:
            return f"its certificate is signed by itself alone, and not in {trusted}. Name it in ca_file, or use pins"
        if code in UNKNOWN:
            return (
                f"its certificate is signed by an authority that is not in {trusted}, or comes without those between."
                " Name the authority in ca_file"
            )
        return f"its certificate can't be trusted: {error.verify_message}"


def _pin_of(certificate: bytes) -> bytes:
    """Return the SHA-256 digest of a certificate's public key, empty where it has none that can be read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

"""Public keys and digests: which this host can compute, loaded once, used many times.

Source: RFC 3110, RFC 5702 (RSA), RFC 6605 (ECDSA), RFC 8080 (EdDSA), RFC 4509, RFC 6605 §2 (DS digests).
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from collector.dnssec import names
from collector.dnssec.names import Name
from collector.dnssec.policy import RSA_ALGORITHMS
from collector.dnssec.records import KeyRecord

Verify = Callable[[bytes, bytes], bool]

_RSA_HASHES: dict[int, hashes.HashAlgorithm] = {
    5: hashes.SHA1(),
    7: hashes.SHA1(),
    8: hashes.SHA256(),
    10: hashes.SHA512(),
}
_CURVES: dict[int, tuple[ec.EllipticCurve, hashes.HashAlgorithm, int]] = {
    13: (ec.SECP256R1(), hashes.SHA256(), 32),
    14: (ec.SECP384R1(), hashes.SHA384(), 48),
}
_DIGESTS = {1: hashlib.sha1, 2: hashlib.sha256, 4: hashlib.sha384}


def rsa_numbers(public_key: bytes) -> tuple[int, int] | None:
    """Return exponent and modulus of an RSA key's octets, None if malformed. Source: RFC 3110 §2."""
    if len(public_key) < 3:
        return None
    length, offset = public_key[0], 1
    if length == 0:
        length, offset = int.from_bytes(public_key[1:3], "big"), 3
    exponent = int.from_bytes(public_key[offset : offset + length], "big")
    modulus = int.from_bytes(public_key[offset + length :], "big")
    return (exponent, modulus) if exponent and modulus else None


@lru_cache(maxsize=8192)
def rsa_bits(key: KeyRecord) -> int | None:
    """Return the modulus length of an RSA key, 0 if it is malformed, None for other algorithms."""
    if key.algorithm not in RSA_ALGORITHMS:
        return None
    numbers = rsa_numbers(key.public_key)
    return numbers[1].bit_length() if numbers else 0


@lru_cache(maxsize=8192)
def load_verifier(algorithm: int, public_key: bytes) -> Verify | None:
    """Return a function (signature, data) -> valid, None where the octets are no key of the algorithm."""
    try:
        if algorithm in RSA_ALGORITHMS:
            return _load_rsa(algorithm, public_key)
        if algorithm in _CURVES:
            return _load_ecdsa(algorithm, public_key)
        if algorithm == 15:
            return _checked(ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify)
        if algorithm == 16:
            return _checked(ed448.Ed448PublicKey.from_public_bytes(public_key).verify)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return None


@lru_cache(maxsize=16384)
def is_valid(algorithm: int, public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether the signature holds; recent results are kept."""
    verifier = load_verifier(algorithm, public_key)
    return verifier is not None and verifier(signature, data)


def _checked(verify: Callable[[bytes, bytes], None]) -> Verify:
    def verifier(signature: bytes, data: bytes) -> bool:
        try:
            verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verifier


def _load_rsa(algorithm: int, public_key: bytes) -> Verify | None:
    numbers = rsa_numbers(public_key)
    if numbers is None:
        return None
    key = rsa.RSAPublicNumbers(*numbers).public_key()
    scheme, hash_algorithm = padding.PKCS1v15(), _RSA_HASHES[algorithm]
    return _checked(lambda signature, data: key.verify(signature, data, scheme, hash_algorithm))


def _load_ecdsa(algorithm: int, public_key: bytes) -> Verify | None:
    curve, hash_algorithm, size = _CURVES[algorithm]
    if len(public_key) != 2 * size:
        return None
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + public_key)
    scheme = ec.ECDSA(hash_algorithm)

    def verify(signature: bytes, data: bytes) -> None:
        if len(signature) != 2 * size:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), data, scheme)

    return _checked(verify)


def ds_digest(owner: Name, key_rdata: bytes, digest_type: int) -> bytes | None:
    """Return the digest a DS must hold for this key, None for an unknown digest type. Source: RFC 4034 §5.1.4."""
    digest = _DIGESTS.get(digest_type)
    return digest(names.to_wire(owner) + key_rdata).digest() if digest else None


def nsec3_hash(name: Name, salt: bytes, iterations: int) -> bytes:
    """Return the NSEC3 hash of a name. Source: RFC 5155 §5."""
    digest = hashlib.sha1(names.to_wire(name) + salt).digest()
    for _ in range(iterations):
        digest = hashlib.sha1(digest + salt).digest()
    return digest


def probe_host() -> list[str]:
    """Return a sentence for each algorithm that this host's cryptography can't verify; empty when all is well."""
    troubles = []
    for algorithm, hash_algorithm in _RSA_HASHES.items():
        private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        try:
            signature = private.sign(b"probe", padding.PKCS1v15(), hash_algorithm)
            private.public_key().verify(signature, b"probe", padding.PKCS1v15(), hash_algorithm)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
            troubles.append(f"algorithm {algorithm} (RSA, {hash_algorithm.name}) fails on this host: {error}")
    for algorithm, (curve, hash_algorithm, _size) in _CURVES.items():
        try:
            private_ec = ec.generate_private_key(curve)
            signature = private_ec.sign(b"probe", ec.ECDSA(hash_algorithm))
            private_ec.public_key().verify(signature, b"probe", ec.ECDSA(hash_algorithm))
        except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
            troubles.append(f"algorithm {algorithm} (ECDSA, {curve.name}) fails on this host: {error}")
    for algorithm, edwards in ((15, ed25519.Ed25519PrivateKey), (16, ed448.Ed448PrivateKey)):
        try:
            private_ed = edwards.generate()
            private_ed.public_key().verify(private_ed.sign(b"probe"), b"probe")
        except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
            troubles.append(f"algorithm {algorithm} (EdDSA) fails on this host: {error}")
    return troubles


@lru_cache(maxsize=16384)
def key_digest(rdata: bytes) -> str:
    """Return the identity of a key over time: hex SHA-256 of its octets less the REVOKE bit, cut to 16 octets."""
    flags = int.from_bytes(rdata[:2], "big") & ~0x0080
    return hashlib.sha256(flags.to_bytes(2, "big") + rdata[2:]).hexdigest()[:32]

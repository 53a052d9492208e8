"""Key pairs that come from a seed: the same scenario has the same keys, tags and signatures in every run.

ECDSA signs deterministically (RFC 6979), as RSA and EdDSA do by themselves.
"""

import hashlib
import itertools
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdtypes.ANY.DNSKEY
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from anchorwatch.lab.zones import PrivateKey

REVOKE = 0x80
MNEMONICS = {
    "RSASHA1": 5,
    "RSASHA1-NSEC3-SHA1": 7,
    "RSASHA256": 8,
    "RSASHA512": 10,
    "ECDSAP256SHA256": 13,
    "ECDSAP384SHA384": 14,
    "ED25519": 15,
    "ED448": 16,
}
ALGORITHMS = frozenset(MNEMONICS.values())
CURVES = {13: ec.SECP256R1(), 14: ec.SECP384R1()}
SMALL_PRIMES = tuple(n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))


@dataclass(frozen=True)
class KeyPair:
    """A key of a zone; ``flags`` 257 for a secure-entry key, 256 else, with 128 once it is revoked."""

    private: PrivateKey
    algorithm: int
    flags: int

    @cached_property
    def record(self) -> dns.rdtypes.ANY.DNSKEY.DNSKEY:
        """Return the DNSKEY record."""
        return dns.dnssec.make_dnskey(self.private.public_key(), self.algorithm, self.flags)

    @cached_property
    def tag(self) -> int:
        """Return the key tag. Source: RFC 4034 App. B."""
        return int(dns.dnssec.key_id(self.record))

    def revoked(self) -> "KeyPair":
        """Return the same key with the REVOKE bit, which gives it another tag. Source: RFC 5011 §2.1."""
        return replace(self, flags=self.flags | REVOKE)

    def sign(self, rrset: dns.rrset.RRset, zone: dns.name.Name, begin: float, end: float) -> dns.rdata.Rdata:
        """Return the signature over an RRset, valid from ``begin`` until ``end`` (POSIX seconds)."""
        return dns.dnssec.sign(
            rrset,
            self.private,
            zone,
            self.record,
            inception=datetime.fromtimestamp(int(begin), UTC),
            expiration=datetime.fromtimestamp(int(end), UTC),
            policy=dns.dnssec.allow_all_policy,
        )


def make_key(seed: str, algorithm: int, *, entry: bool, bits: int = 2048) -> KeyPair:
    """Return the key of a seed."""
    return KeyPair(_private(seed, algorithm, bits), algorithm, 257 if entry else 256)


def make_colliding(seed: str, algorithm: int, count: int, *, entry: bool, bits: int = 2048) -> list[KeyPair]:
    """Return the first so many keys of a seed that share one key tag."""
    by_tag: dict[int, list[KeyPair]] = {}
    for number in itertools.count():
        key = make_key(f"{seed}/{number}", algorithm, entry=entry, bits=bits)
        found = by_tag.setdefault(key.tag, [])
        found.append(key)
        if len(found) == count:
            return found
    raise AssertionError("numbers do not end")


def _private(seed: str, algorithm: int, bits: int) -> PrivateKey:
    digest = hashlib.shake_256(seed.encode())
    match algorithm:
        case 5 | 7 | 8 | 10:
            return _rsa(seed, bits)
        case 13 | 14:
            return ec.derive_private_key(int.from_bytes(digest.digest(31), "big") + 1, CURVES[algorithm])
        case 15:
            return ed25519.Ed25519PrivateKey.from_private_bytes(digest.digest(32))
        case 16:
            return ed448.Ed448PrivateKey.from_private_bytes(digest.digest(57))
        case _:
            raise ValueError(f"algorithm {algorithm} can't be signed with here")


@lru_cache(maxsize=1024)
def _rsa(seed: str, bits: int) -> rsa.RSAPrivateKey:
    chance, exponent = random.Random(seed), 65_537
    while True:
        p, q = _prime(chance, bits // 2), _prime(chance, bits - bits // 2)
        if p != q and (p * q).bit_length() == bits and (p - 1) % exponent and (q - 1) % exponent:
            break
    d = pow(exponent, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(exponent, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key()


def _prime(chance: random.Random, bits: int) -> int:
    """Return a probable prime with its two highest bits set."""
    while True:
        candidate = chance.getrandbits(bits) | (3 << (bits - 2)) | 1
        if all(candidate % prime for prime in SMALL_PRIMES) and _is_probable_prime(candidate, chance):
            return candidate


def _is_probable_prime(number: int, chance: random.Random) -> bool:
    """Return the word of the Miller–Rabin test, wrong in one of 2^40 cases at most."""
    shift = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> shift
    for _ in range(20):
        x = pow(chance.randrange(2, number - 1), odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(shift - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True

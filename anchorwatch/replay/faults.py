"""What is wrong with a copy of a zone: any field of any record or signature, on all servers or on some. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import RRsetKey

SIGNATURE_FIELDS = (
    "type_covered", "algorithm", "labels", "original_ttl", "expiration", "inception", "key_tag", "signer", "signature",
)  # fmt: skip
RECORD_FIELDS = {
    "DNSKEY": ("flags", "protocol", "algorithm", "key"),
    "DS": ("key_tag", "algorithm", "digest_type", "digest"),
    "NSEC": ("next", "types"),
    "NSEC3": ("algorithm", "flags", "iterations", "salt", "next", "types"),
    "SOA": ("mname", "rname", "serial", "refresh", "retry", "expire", "minimum"),
}
WHOLE = ("records", "ttl", "signatures", "window")
Resign = Callable[[float | None, float | None], list[dns.rdata.Rdata]]


@dataclass(frozen=True, eq=False)
class Fault:
    """One fault. ``owner`` and ``rdtype`` say of which RRsets, None: of all; ``servers`` at which, None: at all.

    ``field``: one of the record or of its signatures, or ``records`` (replaced by ``to``, or left out), ``ttl``,
    ``signatures`` (left out), ``window`` (made by the right keys, valid from ``begins_at`` until ``ends_at``).
    ``to`` is the value, None: another one than it is. With ``signed`` a changed record is signed as it is now, so that
    only its content is wrong; else the signature is still that of the record as it was.
    """

    field: str
    owner: dns.name.Name | None = None
    rdtype: RdataType | None = None
    servers: frozenset[str] | None = None
    to: object = None
    signed: bool = False
    begins_at: float | None = None
    ends_at: float | None = None

    def is_at(self, server: str) -> bool:
        """Return whether a server has it."""
        return self.servers is None or server in self.servers

    def concerns(self, key: RRsetKey) -> bool:
        """Return whether an RRset has it."""
        return (self.owner is None or self.owner == key[0]) and (self.rdtype is None or self.rdtype == key[1])

    @property
    def is_of_records(self) -> bool:
        """Return whether records are changed, and not their signatures."""
        return self.field in ("records", "ttl") or (
            self.rdtype is not None and self.field in RECORD_FIELDS.get(dns.rdatatype.to_text(self.rdtype), ())
        )

    def change_records(
        self, rrsets: dict[RRsetKey, dns.rrset.RRset], originals: dict[RRsetKey, dns.rrset.RRset]
    ) -> None:
        """Change what is served."""
        if not self.is_of_records:
            return
        for key in [key for key in originals if self.concerns(key)]:
            changed = self._changed(key, rrsets.get(key, originals[key]))
            if changed is None:
                rrsets.pop(key, None)
            else:
                rrsets[key] = changed

    def signed_records(self, key: RRsetKey, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        """Return what is signed: the changed records where they are signed as they are now."""
        if not (self.is_of_records and self.signed and self.concerns(key)):
            return rrset
        return self._changed(key, rrset) or rrset

    def change_signatures(self, key: RRsetKey, made: list[dns.rdata.Rdata], resign: Resign) -> list[dns.rdata.Rdata]:
        """Return the signatures over an RRset as they are served."""
        if self.is_of_records or not self.concerns(key):
            return made
        if self.field == "signatures":
            return []
        if self.field == "window":
            return resign(self.begins_at, self.ends_at)
        return [changed_field(one, self.field, self.to) for one in made]

    def _changed(self, key: RRsetKey, rrset: dns.rrset.RRset) -> dns.rrset.RRset | None:
        if self.field == "ttl":
            assert isinstance(self.to, int)
            return dns.rrset.from_rdata_list(rrset.name, self.to, list(rrset))
        if self.field == "records":
            values = self.to if isinstance(self.to, tuple) else ()
            return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, list(values)) if values else None
        changed = [changed_field(one, self.field, self.to) for one in rrset]
        return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, changed)


def changed_field(record: dns.rdata.Rdata, field: str, to: object) -> dns.rdata.Rdata:
    """Return a record with one field changed, to another value than it has where none is given."""
    if field == "types":
        return record.replace(windows=windows_of(str(to or "").split()))
    now = getattr(record, field)
    value = to if to is not None else _other(now)
    return record.replace(**{field: _fitting(now, value)})


def _other(now: object) -> object:
    if isinstance(now, bytes):
        return bytes((now[0] ^ 1, *now[1:])) if now else b"\1"
    if isinstance(now, dns.name.Name):
        return dns.name.Name((b"x", *now.labels))
    assert isinstance(now, int)
    return now ^ 1


def _fitting(now: object, value: object) -> object:
    """Return a value as the field has it: names and octets are written as text in a scenario."""
    if isinstance(now, dns.name.Name) and isinstance(value, str):
        return dns.name.from_text(value)
    if isinstance(now, bytes) and isinstance(value, str):
        return bytes.fromhex(value)
    if isinstance(now, RdataType) and isinstance(value, str):
        return dns.rdatatype.from_text(value)
    return value


def windows_of(types: list[str]) -> tuple[tuple[int, bytes], ...]:
    """Return a type bitmap. Source: RFC 4034 §4.1.2."""
    by_window: dict[int, bytearray] = {}
    for text in types:
        number = int(dns.rdatatype.from_text(text))
        bits = by_window.setdefault(number >> 8, bytearray(32))
        bits[(number & 0xFF) >> 3] |= 0x80 >> (number & 7)
    return tuple((window, bytes(bits).rstrip(b"\0")) for window, bits in sorted(by_window.items()))

"""Trust anchors: DS or DNSKEY records in presentation format, for the root or any other zone.

Source: RFC 9718 (the root's), RFC 4035 §5 (islands of security), RFC 6840 §5.8.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from collector.dnssec import names, records
from collector.dnssec.names import Name
from collector.dnssec.records import DelegationSigner, KeyRecord

# The root's anchors as published by IANA; the root has been signed by 38696 since 2026-10-11.
IANA = """\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
"""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The trust anchors of one zone: DS records, keys, or both."""

    zone: Name
    ds: tuple[DelegationSigner, ...] = ()
    keys: tuple[KeyRecord, ...] = ()


@dataclass(frozen=True)
class TrustAnchors:
    """All anchors by zone; ``texts`` are their records as written, normalised and sorted."""

    by_zone: dict[Name, Anchor]
    texts: tuple[str, ...] = field(default=())

    @cached_property
    def fingerprint(self) -> str:
        """Return the hex SHA-256 of the sorted records."""
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()

    def closest(self, name: Name, *, strictly_above: bool = False) -> Anchor | None:
        """Return the deepest anchor at or above ``name``, None where nothing is trusted."""
        for depth in range(len(name) - (1 if strictly_above and name else 0), -1, -1):
            anchor = self.by_zone.get(name[:depth])
            if anchor is not None:
                return anchor
        return None


def parse_anchors(text: str, source: str) -> TrustAnchors:
    """Read anchors from ``text``, one record a line; comments with ``;`` or ``#``; TTL and class may be absent.

    Raises:
        ValueError: nothing in it, or a line that is no DS or DNSKEY; one sentence a problem, with ``source`` and line.
    """
    ds: dict[Name, list[DelegationSigner]] = {}
    keys: dict[Name, list[KeyRecord]] = {}
    texts, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split(";")[0].strip()
        if not line or line.startswith("#"):
            continue
        try:
            zone, rdtype, rdata = _parse_line(line)
        except ValueError as error:
            problems.append(f"{source}:{number}: {error}")
            continue
        wire = rdata.to_digestable()
        if rdtype == records.DS and (parsed := records.parse_ds(wire)):
            ds.setdefault(zone, []).append(parsed)
        elif key := records.parse_key(wire):
            keys.setdefault(zone, []).append(key)
        texts.append(f"{names.to_text(zone)} IN {records.type_to_text(rdtype)} {rdata.to_text()}")
    if not texts and not problems:
        problems.append(f"{source}: no trust anchor in it: DS or DNSKEY records are expected, one a line")
    if problems:
        raise ValueError("\n".join(problems))
    zones = {*ds, *keys}
    by_zone = {zone: Anchor(zone, tuple(ds.get(zone, ())), tuple(keys.get(zone, ()))) for zone in zones}
    return TrustAnchors(by_zone, tuple(sorted(set(texts))))


def _parse_line(line: str) -> tuple[Name, int, dns.rdata.Rdata]:
    owner, *words = line.split()
    while words and (words[0].isdigit() or words[0].upper() in ("IN", "CH", "HS")):
        if words[0].upper() in ("CH", "HS"):
            raise ValueError("a trust anchor must be of class IN")
        words.pop(0)
    if len(words) < 2 or words[0].upper() not in ("DS", "DNSKEY"):
        raise ValueError("a trust anchor is a DS or DNSKEY record: owner, type, data")
    rdtype = records.DS if words[0].upper() == "DS" else records.DNSKEY
    try:
        rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.RdataType(rdtype), " ".join(words[1:]))
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"the {words[0].upper()} record can't be read: {error}") from error
    return names.from_text(owner), rdtype, rdata

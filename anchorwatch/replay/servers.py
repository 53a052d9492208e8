"""What one authoritative server answers, and how it may be at fault.

Source: RFC 1034 §4.3.2 (the algorithm), RFC 4035 §3.1.4.1 (the DS question belongs to the parent), RFC 4035 §3.1.4
(referrals to signed and unsigned zones).
"""

from dataclasses import dataclass, field

import dns.name
import dns.rrset
from dns.rdatatype import RdataType

from anchorwatch.lab.world import Answer, answer_from, prove_types, put_rrset
from anchorwatch.replay.messages import REFUSED, Header, Part, Template, failed
from anchorwatch.replay.zones import ServedZone, ZoneState
from collector.dnssec.message import Response

USUAL_LATENCY_S = 0.01
UNSIGNED_TYPES = frozenset({RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3, RdataType.DNSKEY, RdataType.NSEC3PARAM})


@dataclass(eq=False)
class Server:
    """A server at one address; ``zones`` are those it is configured for.

    ``lame`` zones it does not know though it should; with ``strips`` it gives no DNSSEC records; of ``stale`` zones it
    serves an old copy; ``rcode`` is what it answers to everything.
    """

    name: str
    address: str
    zones: dict[dns.name.Name, ZoneState] = field(default_factory=dict)
    is_up: bool = True
    lame: set[dns.name.Name] = field(default_factory=set)
    strips: bool = False
    stale: dict[dns.name.Name, ServedZone] = field(default_factory=dict)
    rcode: int = 0
    latency_s: float = USUAL_LATENCY_S
    loss: float = 0.0
    _templates: dict[tuple[int, dns.name.Name, int, Header], tuple[Part, Template]] = field(default_factory=dict)

    def restore(self) -> None:
        """Be without fault again."""
        self.is_up, self.strips, self.rcode, self.loss, self.latency_s = True, False, 0, 0.0, USUAL_LATENCY_S
        self.lame.clear()
        self.stale.clear()

    def copy_of(self, zone: dns.name.Name) -> ServedZone:
        """Return what it serves of a zone."""
        return self.stale.get(zone) or self.zones[zone].served_by(self.name)

    def part(self, name: dns.name.Name, rdtype: int) -> Part:
        """Return what it says to a question."""
        if self.rcode:
            return failed(self.rcode)
        zone = self._zone_for(name, rdtype)
        if zone is None:
            return failed(REFUSED)
        return part_of(self.copy_of(zone), name, rdtype, strips=self.strips)

    def reply(self, name: dns.name.Name, rdtype: int, header: Header) -> Response:
        """Return the response to a question that came to it directly."""
        part = self.part(name, rdtype)
        key = (id(part), name, rdtype, header)
        known = self._templates.get(key)
        if known is None:
            if len(self._templates) > 10_000:
                self._templates.clear()
            known = self._templates[key] = part, Template(name, rdtype, [part], header)
        return known[1].at(0)

    def _zone_for(self, name: dns.name.Name, rdtype: int) -> dns.name.Name | None:
        """Return the deepest zone that it has for a name; a DS question is for the zone above, if it has that too."""
        found = [zone for zone in self.zones if zone not in self.lame and name.is_subdomain(zone)]
        found.sort(key=len, reverse=True)
        if rdtype == RdataType.DS and len(found) > 1 and found[0] == name:
            return found[1]
        return found[0] if found else None


def part_of(zone: ServedZone, name: dns.name.Name, rdtype: int, *, strips: bool = False) -> Part:
    """Return what a server of a zone says to a question; the same to all who have the same copy."""
    key = (name, rdtype, strips)
    known = zone.parts.get(key)
    if known is None:
        known = zone.parts[key] = answer_of(zone, name, RdataType.make(rdtype), strips=strips)
    return known


def answer_of(zone: ServedZone, name: dns.name.Name, rdtype: RdataType, *, strips: bool = False) -> Part:
    """Return what a server of a zone says: the data, a denial, or the servers of a zone below."""
    cut = zone.cut_above(name)
    if cut is not None and not (cut == name and rdtype == RdataType.DS):
        found, glue = _referral(zone, cut)
        return _part_of(found, strips, cut=cut, additional=glue)
    return _part_of(answer_from(zone, name, rdtype), strips)


def _referral(zone: ServedZone, cut: dns.name.Name) -> tuple[Answer, list[dns.rrset.RRset]]:
    found = Answer()
    put_rrset(zone, found.authority, cut, RdataType.NS)
    if (cut, RdataType.DS) in zone.rrsets:
        put_rrset(zone, found.authority, cut, RdataType.DS)
    elif zone.is_signed:
        prove_types(zone, found, cut)
    glue = [
        rrset
        for record in zone.rrsets[cut, RdataType.NS]
        for rdtype in (RdataType.A, RdataType.AAAA)
        if (rrset := zone.rrsets.get((record.target, rdtype))) is not None
    ]
    return found, glue


def _part_of(
    found: Answer, strips: bool, cut: dns.name.Name | None = None, additional: list[dns.rrset.RRset] | None = None
) -> Part:
    def kept(section: list[dns.rrset.RRset]) -> tuple[dns.rrset.RRset, ...]:
        return tuple(rrset for rrset in section if not strips or rrset.rdtype not in UNSIGNED_TYPES)

    return Part(
        rcode=int(found.rcode),
        answer=kept(found.answer),
        authority=kept(found.authority),
        additional=tuple(additional or ()),
        target=found.target,
        is_authoritative=cut is None,
        cut=cut,
    )

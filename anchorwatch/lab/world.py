"""All zones of a small DNS, and what a recursive resolver that does not validate answers from them.

Source: RFC 1034 §4.3.2 (the algorithm), RFC 4035 §3.1 (which signatures and proofs go along), RFC 5155 §7.2, RFC 6672
§3.2.
"""

from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

from anchorwatch.lab.zones import Nsec3Params, Zone

MAX_LINKS = 16


@dataclass
class Answer:
    """What one zone says, or several of them along a chain of aliases."""

    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    answer: list[dns.rrset.RRset] = field(default_factory=list)
    authority: list[dns.rrset.RRset] = field(default_factory=list)
    target: dns.name.Name | None = None


class World:
    """Zones by name; the servers of ``broken`` zones are out of order (SERVFAIL)."""

    def __init__(self) -> None:
        self.zones: dict[dns.name.Name, Zone] = {}
        self.broken: set[dns.name.Name] = set()

    def add(self, zone: Zone) -> Zone:
        """Take in a zone."""
        self.zones[zone.name] = zone
        return zone

    def zone_of(self, name: dns.name.Name, rdtype: RdataType) -> Zone | None:
        """Return the deepest zone that is authoritative; for a DS the parent's side."""
        start = name
        if rdtype == RdataType.DS and name in self.zones and name != dns.name.root:
            start = name.parent()
        while True:
            zone = self.zones.get(start)
            if zone is not None and (
                zone.cut_above(name) is None or rdtype == RdataType.DS or zone.cut_above(name) not in self.zones
            ):
                return zone
            if start == dns.name.root:
                return None
            start = start.parent()

    def resolve(self, name: dns.name.Name, rdtype: RdataType) -> Answer:
        """Answer as a resolver does for DO=1 CD=1, aliases followed over zones."""
        whole = Answer()
        seen = {name}
        for _ in range(MAX_LINKS):
            zone = self.zone_of(name, rdtype)
            if zone is None or zone.name in self.broken:
                whole.rcode = dns.rcode.SERVFAIL
                return whole
            part = answer_from(zone, name, rdtype)
            whole.rcode = part.rcode
            whole.answer += [rrset for rrset in part.answer if rrset not in whole.answer]
            whole.authority += part.authority
            if part.target is None or part.target in seen:
                return whole
            name = part.target
            seen.add(name)
        whole.rcode = dns.rcode.SERVFAIL
        return whole

    def respond(self, query: dns.message.Message) -> dns.message.Message:
        """Return the response to one query, signatures and proofs only with DO=1."""
        question = query.question[0]
        found = self.resolve(question.name, question.rdtype)
        response = dns.message.make_response(query, recursion_available=True, our_payload=1232)
        response.set_rcode(found.rcode)
        response.flags |= query.flags & dns.flags.CD
        hidden = {RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3} - {question.rdtype}
        keep_all = bool(query.ednsflags & dns.flags.DO)
        response.answer = [r for r in found.answer if keep_all or r.rdtype not in hidden]
        response.authority = [r for r in found.authority if keep_all or r.rdtype not in hidden]
        return response


def answer_from(zone: Zone, name: dns.name.Name, rdtype: RdataType) -> Answer:
    """Return what one zone answers authoritatively."""
    found = Answer()
    dname = _dname_above(zone, name)
    if dname is not None:
        put_rrset(zone, found.answer, dname, RdataType.DNAME)
        labels = (*name.relativize(dname).labels, *zone.rrsets[dname, RdataType.DNAME][0].target.labels)
        try:
            target = dns.name.Name(labels)
        except dns.name.NameTooLong:
            # "the server SHOULD set the RCODE ... to YXDOMAIN": RFC 6672 §2.2
            found.rcode = dns.rcode.YXDOMAIN
            return found
        cname = dns.rrset.from_text(name, zone.ttl, "IN", "CNAME", target.to_text())
        found.answer.append(cname)
        found.target = target if rdtype != RdataType.CNAME else None
        return found
    if zone.exists(name):
        return _at_name(zone, name, rdtype, found)
    encloser = name
    while not zone.exists(encloser):
        encloser = encloser.parent()
    wildcard = dns.name.Name((b"*", *encloser.labels))
    if not zone.exists(wildcard):
        found.rcode = dns.rcode.NXDOMAIN
        put_rrset(zone, found.authority, zone.name, RdataType.SOA)
        _deny_name(zone, found, name, encloser, wildcard)
        return found
    kind = rdtype if (wildcard, rdtype) in zone.rrsets else RdataType.CNAME
    if (wildcard, kind) in zone.rrsets:
        put_rrset(zone, found.answer, wildcard, kind, shown=name)
        _deny_closer(zone, found, name, encloser)
        if kind == RdataType.CNAME and rdtype != RdataType.CNAME:
            found.target = zone.rrsets[wildcard, kind][0].target
        return found
    put_rrset(zone, found.authority, zone.name, RdataType.SOA)
    _deny_closer(zone, found, name, encloser)
    prove_types(zone, found, wildcard)
    return found


def _at_name(zone: Zone, name: dns.name.Name, rdtype: RdataType, found: Answer) -> Answer:
    every = _types_of(zone, name) if rdtype == RdataType.ANY else []
    if every:
        for one in every:
            put_rrset(zone, found.answer, name, one)
    elif (name, rdtype) in zone.rrsets and (zone.is_authoritative(name, rdtype) or not zone.is_signed):
        put_rrset(zone, found.answer, name, rdtype)
    elif (name, RdataType.CNAME) in zone.rrsets and rdtype != RdataType.CNAME:
        put_rrset(zone, found.answer, name, RdataType.CNAME)
        found.target = zone.rrsets[name, RdataType.CNAME][0].target
    else:
        put_rrset(zone, found.authority, zone.name, RdataType.SOA)
        prove_types(zone, found, name)
    return found


def _types_of(zone: Zone, name: dns.name.Name) -> list[RdataType]:
    """Return the types that an ANY question gets, sorted."""
    return sorted(rdtype for owner, rdtype in zone.rrsets if owner == name and rdtype != RdataType.NSEC3)


def _dname_above(zone: Zone, name: dns.name.Name) -> dns.name.Name | None:
    above = name
    while above != zone.name:
        above = above.parent()
        if (above, RdataType.DNAME) in zone.rrsets:
            return above
    return None


def put_rrset(
    zone: Zone,
    section: list[dns.rrset.RRset],
    owner: dns.name.Name,
    rdtype: RdataType,
    shown: dns.name.Name | None = None,
) -> None:
    """Put an RRset and its signatures into a section, under another owner where a wildcard is expanded."""
    for rrset in (zone.rrsets.get((owner, rdtype)), zone.signatures.get((owner, rdtype))):
        if rrset is None:
            continue
        copy = dns.rrset.from_rdata_list(shown or owner, rrset.ttl, list(rrset))
        if copy not in section:
            section.append(copy)


def prove_types(zone: Zone, found: Answer, name: dns.name.Name) -> None:
    """Add the proof about a name that exists, be it as an empty non-terminal or not hashed for opt-out."""
    if zone.nsec3 is None:
        owner = name if (name, RdataType.NSEC) in zone.rrsets else _nsec_before(zone, name)
        if owner is not None:
            put_rrset(zone, found.authority, owner, RdataType.NSEC)
        return
    if not zone.is_signed:
        return
    if not _put_nsec3_matching(zone, found, name, zone.nsec3):
        encloser = name.parent()
        while not _put_nsec3_matching(zone, found, encloser, zone.nsec3):
            encloser = encloser.parent()
        next_closer = name.split(len(encloser) + 1)[1]
        _put_nsec3_covering(zone, found, next_closer, zone.nsec3)


def _deny_name(
    zone: Zone, found: Answer, name: dns.name.Name, encloser: dns.name.Name, wildcard: dns.name.Name
) -> None:
    if not zone.is_signed:
        return
    _deny_closer(zone, found, name, encloser)
    if zone.nsec3 is None:
        owner = _nsec_before(zone, wildcard)
        if owner is not None:
            put_rrset(zone, found.authority, owner, RdataType.NSEC)
    else:
        _put_nsec3_covering(zone, found, wildcard, zone.nsec3)


def _deny_closer(zone: Zone, found: Answer, name: dns.name.Name, encloser: dns.name.Name) -> None:
    """Add the proof that no name closer than the encloser exists."""
    if not zone.is_signed:
        return
    if zone.nsec3 is None:
        owner = _nsec_before(zone, name)
        if owner is not None:
            put_rrset(zone, found.authority, owner, RdataType.NSEC)
        return
    while not _put_nsec3_matching(zone, found, encloser, zone.nsec3):
        encloser = encloser.parent()
    _put_nsec3_covering(zone, found, name.split(len(encloser) + 1)[1], zone.nsec3)


def _nsec_before(zone: Zone, name: dns.name.Name) -> dns.name.Name | None:
    owners = sorted(owner for owner, rdtype in zone.rrsets if rdtype == RdataType.NSEC)
    before = [owner for owner in owners if owner <= name]
    return before[-1] if before else (owners[-1] if owners else None)


def _put_nsec3_matching(zone: Zone, found: Answer, name: dns.name.Name, params: Nsec3Params) -> bool:
    owner = dns.name.from_text(zone.hash_of(name, params).lower(), zone.name)
    if (owner, RdataType.NSEC3) not in zone.rrsets:
        return False
    put_rrset(zone, found.authority, owner, RdataType.NSEC3)
    return True


def _put_nsec3_covering(zone: Zone, found: Answer, name: dns.name.Name, params: Nsec3Params) -> None:
    digest = zone.hash_of(name, params).lower().encode()
    owners = sorted(owner for owner, rdtype in zone.rrsets if rdtype == RdataType.NSEC3)
    before = [owner for owner in owners if owner.labels[0] <= digest]
    put_rrset(zone, found.authority, before[-1] if before else owners[-1], RdataType.NSEC3)

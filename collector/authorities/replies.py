"""Whether the reply of a server is an answer, a referral, or none: lame, or an error.

Source: RFC 1034 §4.3.1, §5.3.3; RFC 2308 §2 (negative answers); RFC 4035 §3.1.4.1 (a DS is the parent's); RFC 8020.
"""

from dataclasses import dataclass

from msgspec import structs

from collector.dnssec import names, records
from collector.dnssec.message import AA, NOERROR, NXDOMAIN, YXDOMAIN, Response, rcode_text, write_response
from collector.dnssec.names import Name
from collector.dnssec.questions import FetchFailure, Reply
from collector.dnssec.records import RRset


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says with authority; ``response`` has nothing left in it that is not the zone's to say."""

    response: Response


@dataclass(frozen=True, slots=True)
class Referral:
    """The zone below that a server refers to."""

    response: Response
    zone: Name


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reply is of no use. ``lame``: the server does not know the zone; ``silent``: nothing came.

    ``waited``: so it was found out by waiting. ``data``: the answer that came without authority, if it is one to the
    question.
    """

    detail: str
    lame: bool = False
    silent: bool = False
    waited: bool = False
    rcode: int | None = None
    data: Response | None = None


Reading = Answer | Referral | Refusal


def read_reply(reply: Reply, zone: Name, name: Name, rdtype: int) -> Reading:
    """Return what the reply of a server of ``zone`` to a question means."""
    if isinstance(reply, FetchFailure):
        waited = reply.kind == "timeout"
        detail = "no answer" if waited else reply.detail
        return Refusal(detail, silent=reply.is_silence, waited=waited, rcode=reply.rcode)
    if reply.rcode not in (NOERROR, NXDOMAIN, YXDOMAIN):
        return Refusal(f"it answers {rcode_text(reply.rcode)}", rcode=reply.rcode)
    own = scrub(reply, zone)
    if _is_data(own, name, rdtype):
        if own.flags & AA:
            return Answer(own)
        return Refusal("it answers without authority", lame=True, data=own)
    soa = next((owner for owner, kind in reply.authority if kind == records.SOA), None)
    below = _referred(reply, name) if soa is None and reply.rcode == NOERROR else None
    if below is not None and not (below == zone and own.flags & AA):  # else a denial that lacks its SOA record
        return _read_referral(reply, below, zone, name, rdtype)
    return _read_denial(own, soa, zone, name, rdtype)


def _is_data(response: Response, name: Name, rdtype: int) -> bool:
    """Return whether a response has data for the question, or an alias."""
    for (owner, kind), rrset in response.answer.items():
        if owner == name and (kind in (rdtype, records.CNAME) or rdtype == records.ANY) and rrset.rdatas:
            return True
        if owner == name and rdtype == records.RRSIG and rrset.signatures:
            return True
        if kind == records.DNAME and len(owner) < len(name) and names.is_at_or_below(name, owner):
            return True
    return False


def _referred(response: Response, name: Name) -> Name | None:
    """Return the zone that a response without data refers to, at or above the name asked for or elsewhere."""
    owners = [owner for (owner, kind), rrset in response.authority.items() if kind == records.NS and rrset.rdatas]
    on_the_way = [owner for owner in owners if names.is_at_or_below(name, owner)]
    return max(on_the_way, key=len) if on_the_way else next(iter(owners), None)


def _read_referral(response: Response, below: Name, zone: Name, name: Name, rdtype: int) -> Reading:
    """Tell a referral that leads on from one that leads nowhere. Source: RFC 1034 §5.3.3 (step 4b)."""
    if not names.is_at_or_below(name, below):
        return Refusal(f"it refers to the servers of {names.to_text(below)}, which is elsewhere", lame=True)
    if len(below) <= len(zone) or not names.is_at_or_below(below, zone):
        return Refusal(f"it refers back to the servers of {names.to_text(below)}", lame=True)
    if rdtype == records.DS and below == name:
        # "The DS RRset ... is authoritative in the parent zone": whoever refers to the child does not know that.
        return Refusal("it refers to the zone whose DS set was asked for", lame=False)
    return Referral(response, below)


def _read_denial(own: Response, soa: Name | None, zone: Name, name: Name, rdtype: int) -> Reading:
    """Tell the word of a server that there is nothing from that of one that does not know the zone."""
    if not own.flags & AA:
        return Refusal("it answers without authority", lame=True)
    if soa is not None and not names.is_at_or_below(soa, zone):
        return Refusal(f"it speaks for {names.to_text(soa)} and does not know the zone", lame=True)
    if soa is not None and not names.is_at_or_below(name, soa):
        return Refusal(f"it speaks for {names.to_text(soa)}, which is elsewhere", lame=True)
    if rdtype == records.DS and soa == name and name:
        return Refusal("it denies the DS set in the name of the zone itself, not of its parent")
    return Answer(own)


def scrub(response: Response, zone: Name) -> Response:
    """Return a response without the records that a server of ``zone`` has no say in: those outside it.

    Such a server may serve the target of an alias as well; that zone's own servers are to be asked all the same.
    """
    answer, authority = _within(response.answer, zone), _within(response.authority, zone)
    if len(answer) == len(response.answer) and len(authority) == len(response.authority):
        return response
    kept = structs.replace(response, answer=answer, authority=authority)
    return structs.replace(kept, wire=write_response(kept))


def _within(section: dict[tuple[Name, int], RRset], zone: Name) -> dict[tuple[Name, int], RRset]:
    return {key: rrset for key, rrset in section.items() if names.is_at_or_below(key[0], zone)}

"""What a resolver tells its clients: read, and held against what was validated. Pure.

Source: RFC 4035 §3.2.3, §4.9; RFC 6052 §2.2 (addresses that DNS64 makes).
"""

import ipaddress
from collections.abc import Iterable

from collector.dnssec import names, records
from collector.dnssec.message import AD, rcode_text
from collector.dnssec.questions import FetchFailure, Reply
from schemas.judgement import ANSWERED, Judgement, ResolverClaim, Verdict, data_of

# Where an IPv4 address lies within 16 octets, by length of the prefix; octet 8 is zero. Source: RFC 6052 §2.2.
EMBEDDED = {
    32: (4, 5, 6, 7),
    40: (5, 6, 7, 9),
    48: (6, 7, 9, 10),
    56: (7, 9, 10, 11),
    64: (9, 10, 11, 12),
    96: (12, 13, 14, 15),
}
DISPUTED_POLLS = 3
"""So many polls in a row ask for the claim once it differed from proven data."""


def read_claim(reply: Reply) -> ResolverClaim | None:
    """Return what a reply to a client says; None for silence."""
    if isinstance(reply, FetchFailure):
        return ResolverClaim(False, rcode_text(reply.rcode), (), reply.ede) if reply.rcode is not None else None
    answers = sorted(
        f"{names.to_text(owner)} {records.type_to_text(kind)} {records.rdata_to_text(kind, rdata)}"
        for (owner, kind), rrset in reply.answer.items()
        for rdata in rrset.rdatas
    )
    return ResolverClaim(bool(reply.flags & AD), rcode_text(reply.rcode), tuple(answers), reply.ede)


def differs(judgement: Judgement, claim: ResolverClaim | None) -> bool:
    """Return whether clients get other data than were validated: more, or none where there are some."""
    if claim is None or claim.proven or judgement.verdict not in (Verdict.SECURE, Verdict.INSECURE):
        return False
    here, there = data_of(judgement.answers, judgement.type), data_of(claim.answers, judgement.type)
    return bool(there - here) or (bool(here) and not there)


def newer_claim(
    judgement: Judgement, known: ResolverClaim | None, heard: ResolverClaim | None, *, asked: bool
) -> ResolverClaim | None:
    """Return the claim that counts from now on.

    Other data than were validated count until another answer is heard: whoever lied once and then says nothing, or
    SERVFAIL, has not taken it back.
    """
    if not asked:
        return known
    is_answer = heard is not None and heard.rcode in ANSWERED
    return heard if is_answer or not differs(judgement, known) else known


def embeds(address: str, known: Iterable[str]) -> bool:
    """Return whether an IPv6 address holds one of the IPv4 addresses where DNS64 puts it."""
    octets = ipaddress.IPv6Address(address).packed
    inside = {str(ipaddress.IPv4Address(bytes(octets[at] for at in places))) for places in EMBEDDED.values()}
    return not inside.isdisjoint(known)

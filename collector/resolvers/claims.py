"""What a resolver tells its clients: read, and held against what was validated. Pure.

Source: RFC 4035 §3.2.3, §4.9; RFC 6052 §2.2 (addresses that DNS64 makes).
"""

import ipaddress
from collections.abc import Iterable

from collector.dnssec import names, records
from collector.dnssec.message import AD, rcode_text
from collector.dnssec.questions import FetchFailure, Reply
from schemas.judgement import ANSWERED, VALIDATED, Judgement, ResolverClaim, data_of

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
    if claim is None or claim.proven or judgement.verdict not in VALIDATED:
        return False
    here, there = data_of(judgement.answers, judgement.type), data_of(claim.answers, judgement.type)
    return bool(there - here) or (bool(here) and not there)


def says_the_same(known: ResolverClaim | None, heard: ResolverClaim | None) -> bool:
    """Return whether nothing new was heard, so that no record has to be held against what is proven anew."""
    if known is None or heard is None:
        return known is heard
    if known.proven or known.translated:
        return False  # other data than were validated: whether they still may stand is to be asked each time
    codes = [[code for code, _ in claim.ede] for claim in (known, heard)]
    return (known.ad, known.rcode, known.answers, codes[0]) == (heard.ad, heard.rcode, heard.answers, codes[1])


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

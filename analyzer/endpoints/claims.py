"""What a resolver tells its clients, held against what was validated: the content first, then how it says it.

Source: RFC 4035 §4.9; RFC 6052 §2.1 and RFC 8215 (the prefixes of DNS64 that are well known).
"""

import ipaddress
from collections.abc import Iterable

from schemas.catalogue import Severity
from schemas.judgement import ANSWERED, VALIDATED, Judgement, ResolverClaim, Verdict, data_of

WELL_KNOWN = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
# With an alias as the answer the rcode is that of its target: RFC 6604 §3.
MAY_LEAD_NOWHERE = ("CNAME", "DNAME", "ANY")


def disagreements(judgement: Judgement, proven: frozenset[str]) -> Iterable[tuple[Severity, str]]:
    """Yield (severity, sentence) for each way of asking in which clients get other data than were validated.

    ``proven`` are the data known of this name besides the judgement's own.
    """
    if judgement.verdict not in VALIDATED:
        return
    for claim in (judgement.plain, judgement.resolver):
        if claim is None or claim.rcode not in ANSWERED or claim.proven:
            continue
        found = _compare(judgement, claim, proven)
        if found is not None:
            yield found
            return


def _compare(judgement: Judgement, claim: ResolverClaim, proven: frozenset[str]) -> tuple[Severity, str] | None:
    here, there = data_of(judgement.answers, judgement.type), data_of(claim.answers, judgement.type)
    unknown = sorted(there - here - proven)
    worst = Severity.CRITICAL if judgement.verdict is Verdict.SECURE else Severity.HIGH
    known = "is secure" if judgement.verdict is Verdict.SECURE else "is not signed"
    name = f"{judgement.name} {judgement.type}"
    ours = ", ".join(sorted(here)) or _absence_of(judgement.rcode)
    if unknown:
        if not here and judgement.type == "AAAA" and claim.translated:
            if all(any(ipaddress.IPv6Address(one) in net for net in WELL_KNOWN) for one in unknown):
                return Severity.INFO, f"{name}: the resolver makes {', '.join(unknown)} from the A records (DNS64)"
            worst = Severity.HIGH
            known += " (DNS64 with a prefix that is not well known?)"
        said = ", ".join(unknown)
        return worst, f"{name} {known} and is {ours}; clients of the resolver get {said}, which nothing proves"
    if here and (not there or (claim.rcode == "NXDOMAIN" and judgement.type not in MAY_LEAD_NOWHERE)):
        blocked = f"clients of the resolver get {_absence_of(claim.rcode)}"
        return worst, f"{name} {known} and is {ours}; {blocked}"
    return None


def _absence_of(rcode: str) -> str:
    return "absent (NXDOMAIN)" if rcode == "NXDOMAIN" else "without data (NODATA)"

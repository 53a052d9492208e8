"""What is wrong with one endpoint now: a judgement to the conditions that open state findings.

Every condition hangs on its cause, not on the endpoint: all names below one broken zone share one condition.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from analyzer.detected import Condition
from analyzer.endpoints.claims import disagreements
from analyzer.zones.conditions import TIMES, has_weak_key
from schemas.catalogue import CATALOGUE, Confirmation, Doubt, Kind, Scope, Severity, codes_where, find_row
from schemas.cause import INFRASTRUCTURE, VANTAGE
from schemas.codes import Code
from schemas.judgement import ANSWERED, VALIDATED, Judgement, Reason, ResolverClaim, Verdict, data_of
from schemas.messages import Endpoint

PER_NAME = codes_where(lambda row: row.kind is Kind.STATE and row.scope is Scope.NAME)
# What a stage reports of itself or of a vantage, so that no poll of a name shows it.
REPORTED = codes_where(lambda row: row.scope is Scope.SELF or row.confirmed_by is Confirmation.REPORT)
# Where our profile and the resolver's may honestly differ, its AD bit proves nothing.
PROFILE_DEPENDENT = codes_where(lambda row: Doubt.POLICY in row.doubts)
LONGEST_LAG = timedelta(days=1)
"""As long as any resolver keeps data, whatever their TTL."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an endpoint and its vantage besides the judgement itself.

    ``proven`` are data (such as ``192.0.2.1``) that were proven for this name and type in the last 30 days, or, of a
    name that is not signed, seen there through any vantage. ``serves_dnssec``: the vantage has given signed answers
    before. ``validates``: its resolver has called answers authentic before. ``was_present``: the last validated answer
    had data.
    """

    proven: frozenset[str] = frozenset()
    serves_dnssec: bool = False
    validates: bool = False
    was_present: bool = False


NOTHING_KNOWN = Known()


def conditions_of(
    judgement: Judgement, endpoints: Sequence[Endpoint], known: Known = NOTHING_KNOWN
) -> tuple[Condition, ...]:
    """Return the conditions that a judgement shows, each key once, the decisive one first.

    ``endpoints`` are the inventory's entries for this name: what they expect, and which aliases they allow.
    """
    found: dict[tuple[str, str, str], Condition] = {}
    for condition in (
        *_verdict_conditions(judgement, endpoints, known),
        *_absence(judgement, known),
        *_dangling_alias(judgement),
        *_unsigned_and_unproven(judgement, known),
        *_claim_conditions(judgement, known),
        *_resolver_conditions(judgement),
        *_negative_anchors(judgement, known),
        *_expectations(judgement, endpoints),
    ):
        found.setdefault(condition.key, condition)
    return tuple(found.values())


def of_vantage(code: Code, vantage: str, detail: str) -> Condition:
    """Return a condition that hangs on a vantage instead of a zone."""
    return Condition(code, "", f"{VANTAGE}{vantage}", CATALOGUE[code].severity, detail, vantage)


def is_absent(judgement: Judgement) -> bool:
    """Return whether it is proven that the name does not exist or has no data of this type."""
    return judgement.verdict is Verdict.SECURE and not judgement.answers


def _absence(judgement: Judgement, known: Known) -> Iterable[Condition]:
    """Report a host that DOES NOT EXIST; that it has none of the types asked for, the caller decides over all types."""
    if not is_absent(judgement):
        return
    row = CATALOGUE[Code.ENDPOINT_ABSENT]
    what = "DOES NOT EXIST" if judgement.rcode == "NXDOMAIN" else f"has no {judgement.type} record"
    before = "; it did until now" if known.was_present else ""
    zone = judgement.links[-1].zone if judgement.links and judgement.links[-1].zone else judgement.name
    severity = Severity.HIGH if known.was_present else row.severity
    detail = f"{judgement.name} {what}, as {zone} proves{before}"
    yield Condition(row.code, zone, judgement.name, severity, detail, judgement.vantage)


def _dangling_alias(judgement: Judgement) -> Iterable[Condition]:
    """Report an alias whose target does not exist: whoever can register that name gets what is meant for this one.

    Source: RFC 1034 §3.6.2; the takeovers of names of cloud providers.
    """
    alias = next((link for link in judgement.links if link.target), None)
    if alias is None or judgement.verdict not in VALIDATED or judgement.rcode != "NXDOMAIN":
        return
    if data_of(judgement.answers, judgement.type):
        return
    row, target = CATALOGUE[Code.ALIAS_CHAIN_BROKEN], judgement.links[-1].name
    detail = f"{judgement.name} is an alias that leads to {target}, which DOES NOT EXIST"
    yield Condition(row.code, alias.zone or judgement.name, judgement.name, row.severity, detail, judgement.vantage)


def _unsigned_and_unproven(judgement: Judgement, known: Known) -> Iterable[Condition]:
    """Report unsigned data that were never proven, whatever is said of the vantage that strips DNSSEC records."""
    if not known.proven or not any(reason.code == Code.VANTAGE_STRIPS_DNSSEC for reason in judgement.reasons):
        return
    outside = sorted({answer.split(" ", 2)[2] for answer in judgement.answers} - known.proven)
    if outside:
        row = CATALOGUE[Code.RRSIG_MISSING]
        zone = judgement.cause_zone or judgement.name
        detail = (
            f"{judgement.name} {judgement.type} comes without signature and says {', '.join(outside)}; "
            f"proven in the last 30 days: {', '.join(sorted(known.proven)[:8])}"
        )
        yield Condition(row.code, zone, judgement.name, row.severity, detail, judgement.vantage)


def _verdict_conditions(judgement: Judgement, endpoints: Sequence[Endpoint], known: Known) -> Iterable[Condition]:
    rows = [(reason, find_row(reason.code)) for reason in (*judgement.reasons, *judgement.remarks)]
    states = [(reason, row) for reason, row in rows if row is not None and row.kind is Kind.STATE]
    for reason, row in states:
        if reason.code == Code.VANTAGE_STRIPS_DNSSEC:
            stripping = of_vantage(row.code, judgement.vantage, reason.detail)
            served = f"{reason.detail}; it has served DNSSEC before"
            yield replace(stripping, severity=Severity.CRITICAL, detail=served) if known.serves_dnssec else stripping
        elif reason.code in TIMES and _is_clock(judgement, reason):
            skew = CATALOGUE[Code.SELF_CLOCK_SKEW]
            yield Condition(skew.code, "", "", skew.severity, f"{skew.sentence}: {reason.detail}", judgement.vantage)
        else:
            yield _from_reason(reason, row.severity, judgement, endpoints)
    decisive = {reason for reason, _ in states}
    if judgement.verdict is Verdict.BOGUS and not any(reason in decisive for reason in judgement.reasons):
        row = CATALOGUE[Code.VERDICT_BOGUS]
        yield Condition(row.code, judgement.cause_zone, "", row.severity, row.sentence, judgement.vantage)


def _from_reason(reason: Reason, severity: Severity, judgement: Judgement, endpoints: Sequence[Endpoint]) -> Condition:
    if reason.code == Code.ALIAS_EXITS_SIGNED_SPACE and endpoints and all(e.unsigned_alias_ok for e in endpoints):
        severity = Severity.INFO
    if reason.code == Code.KEY_WEAK and any(has_weak_key(link.keys) for link in judgement.chain):
        severity = Severity.MEDIUM
    named = ""
    if reason.rrset.endswith(INFRASTRUCTURE) or reason.code in PER_NAME:
        named = reason.rrset
    elif judgement.verdict is Verdict.BOGUS and reason in judgement.reasons:
        named = reason.rrset.partition(" ")[0]  # a fault of one owner name, until more of them make it the zone's
    lag = min(timedelta(seconds=reason.lag_s), LONGEST_LAG)
    return Condition(reason.code, reason.zone, named, severity, reason.detail, judgement.vantage, lag)


def _is_clock(judgement: Judgement, reason: Reason) -> bool:
    """Return whether a fault of times is our own clock's: the anchored zone is out of its time, and the resolver, which
    has a clock of its own, does not think so."""
    at_anchor = bool(judgement.chain) and judgement.chain[0].zone == reason.zone and len(judgement.chain) == 1
    claim = judgement.resolver
    return at_anchor and (claim is None or claim.ad or claim.rcode != "SERVFAIL")


def _claim_conditions(judgement: Judgement, known: Known) -> Iterable[Condition]:
    """Report what the resolver tells its clients instead of what was validated: data first."""
    for severity, detail in disagreements(judgement, known.proven):
        where = f"{VANTAGE}{judgement.vantage} {judgement.name}"
        yield Condition(Code.RESOLVER_DISAGREES, "", where, severity, detail, judgement.vantage)


def _resolver_conditions(judgement: Judgement) -> Iterable[Condition]:
    """Compare the resolver's claim (asked with CD=0) with our own validation. Source: RFC 4035 §3.2.3, §4.9."""
    claim, name, vantage = judgement.resolver, f"{judgement.name} {judgement.type}", judgement.vantage
    if judgement.verdict is Verdict.SECURE and _is_servfail(judgement.plain) and not _is_servfail(claim):
        detail = f"{name} is secure, and the resolver refuses it with SERVFAIL to clients without EDNS"
        yield of_vantage(Code.RESOLVER_DISAGREES, vantage, detail)
    if claim is None or judgement.verdict is Verdict.INDETERMINATE:
        return
    if any(reason.code in PROFILE_DEPENDENT for reason in judgement.reasons):
        return
    if any(reason.code in TIMES and _is_clock(judgement, reason) for reason in judgement.reasons):
        return
    answered = claim.rcode in ANSWERED
    match judgement.verdict:
        case Verdict.SECURE if _is_servfail(claim):
            said = "; ".join(text or f"EDE {code}" for code, text in claim.ede)
            detail = f"{name} is secure, and the resolver refuses it with SERVFAIL" + (f" ({said})" if said else "")
            yield of_vantage(Code.RESOLVER_DISAGREES, vantage, detail)
        case Verdict.SECURE if answered and not claim.ad:
            detail = f"{name} is secure, and the resolver does not say so (AD=0)"
            yield of_vantage(Code.RESOLVER_NOT_VALIDATING, vantage, detail)
        case Verdict.INSECURE if answered and claim.ad:
            detail = f"{name} is insecure, and the resolver calls it authentic (AD=1)"
            yield of_vantage(Code.RESOLVER_DISAGREES, vantage, detail)
        case Verdict.BOGUS if answered and claim.ad and not _is_of_anchors(judgement):
            detail = f"{name} is bogus, and the resolver calls it authentic (AD=1)"
            yield of_vantage(Code.RESOLVER_DISAGREES, vantage, detail)
        case Verdict.BOGUS if answered and not claim.ad:
            detail = f"{name} is bogus, and the resolver hands it to its clients"
            yield of_vantage(Code.RESOLVER_NOT_VALIDATING, vantage, detail)


def _is_of_anchors(judgement: Judgement) -> bool:
    """Return whether our anchors are not those that the keys call for: a resolver may well have others than we do.

    Which of us is right its AD bit does not say, and that no anchor of ours matches is told of every name.
    """
    return any(reason.code == Code.TRUST_ANCHOR_MISMATCH for reason in judgement.reasons)


def _negative_anchors(judgement: Judgement, known: Known) -> Iterable[Condition]:
    """Suspect a negative trust anchor: the resolver says so, or else validates, and answers what is bogus.

    It hangs on the zone that is bogus, through that vantage. Source: RFC 7646 §2; RFC 8914 (code 33, as registered).
    """
    zone = judgement.cause_zone or (judgement.chain[-1].zone if judgement.chain else judgement.name)
    where, row = f"{VANTAGE}{judgement.vantage} {zone}", CATALOGUE[Code.RESOLVER_NTA_SUSPECTED]
    claims = [claim for claim in (judgement.resolver, judgement.plain) if claim is not None]
    said = [text for claim in claims for code, text in claim.ede if code in row.ede]
    name = f"{judgement.name} {judgement.type}"
    if said:
        why = f"the resolver says that a negative trust anchor covers {name}" + (f" ({said[0]})" if said[0] else "")
    elif judgement.verdict is Verdict.BOGUS and known.validates and _is_handed_out(judgement):
        why = f"{name} is bogus; the resolver validates other names, and hands this one to its clients"
    else:
        return
    yield Condition(row.code, "", where, row.severity, why, judgement.vantage)


def is_validated_for_clients(judgement: Judgement) -> bool:
    """Return whether the resolver called a secure answer authentic, so that it validates in general."""
    return judgement.verdict is Verdict.SECURE and judgement.resolver is not None and judgement.resolver.ad


def _is_handed_out(judgement: Judgement) -> bool:
    """Return whether clients get an answer that is not called authentic, for a fault that is the name's own."""
    claim = judgement.resolver
    if claim is None or claim.rcode not in ANSWERED or claim.ad:
        return False
    is_doubtful = any(reason.code in PROFILE_DEPENDENT for reason in judgement.reasons)
    return not is_doubtful and not any(r.code in TIMES and _is_clock(judgement, r) for r in judgement.reasons)


def _is_servfail(claim: ResolverClaim | None) -> bool:
    return claim is not None and claim.rcode == "SERVFAIL"


def _expectations(judgement: Judgement, endpoints: Sequence[Endpoint]) -> Iterable[Condition]:
    """Compare with what the inventory expects; a bogus or indeterminate verdict speaks for itself."""
    if judgement.verdict in (Verdict.BOGUS, Verdict.INDETERMINATE):
        return
    expected = sorted({e.expect for e in endpoints if e.expect is not None and e.expect is not judgement.verdict})
    if expected:
        row = CATALOGUE[Code.EXPECTATION_MISSED]
        zone = judgement.cause_zone or (judgement.chain[-1].zone if judgement.chain else judgement.name)
        detail = f"{judgement.name} {judgement.type} is {judgement.verdict}; the inventory expects {expected[0]}"
        yield Condition(row.code, zone, "", row.severity, detail, judgement.vantage)

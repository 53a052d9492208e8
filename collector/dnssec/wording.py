"""The sentences about faults: the only place of the validator where there are any."""

from collections.abc import Iterable

from collector.dnssec import names
from collector.dnssec.fault import Case, Fault, KeyId
from collector.dnssec.message import rcode_text
from collector.dnssec.names import Name
from collector.dnssec.proof import Gap, Proof
from schemas.catalogue import CATALOGUE
from schemas.judgement import Reason
from schemas.messages import utc

SENTENCES: dict[Case, str] = {
    # one RRset and its signatures
    Case.UNSIGNED: "{rrset} has no signature although {zone} is signed",
    Case.EXPIRED: "the signature over {rrset} expired {expiration}",
    Case.NOT_YET_VALID: "the signature over {rrset} begins {inception}",
    Case.WINDOW_INVERTED: "the signature over {rrset} ends {end} and begins later, {begin}",
    Case.NOT_VERIFIED: "the signature over {rrset} does not verify with {keys} of {zone}",
    Case.REVOKED_KEY: "{rrset} is signed by {keys} of {zone}, which is revoked",
    Case.NO_ZONE_KEY: "{rrset} is signed by {keys} of {zone}, which is no zone key",
    Case.KEY_SIZE: "{rrset} is signed only by {sizes} of {zone}; {least} to {limit} bits are supported",
    Case.NO_SUCH_KEY: "{rrset} is signed by {keys}, and {zone} has no such key",
    Case.OTHER_SIGNER: "the signature over {rrset} names the signer {other} instead of {zone}",
    Case.OUTSIDE_ZONE: "{rrset} lies outside of {zone} and is signed by it",
    Case.LABEL_COUNT: "the signature over {rrset} has the label count {count}, which no wildcard in {zone} explains",
    Case.UNSUPPORTED_SIGNATURES: "{rrset} is signed by unsupported algorithms only: {numbers}",
    Case.SHARED_TAG: "{count} keys of {zone} share the tag of a signature over {rrset}; at most {limit} are tried",
    Case.GIVEN_UP: "no signature over {rrset} was valid within {count} tries, where the limit is",
    Case.FROM_WILDCARD: "{rrset} comes from a wildcard, as no record of this type may",
    Case.SIGNED_ABOVE_CUT: "{name} has a zone of its own, and {rrset} is signed by {zone}",
    Case.SOME_NOT_VERIFIED: "{count} of the signatures over {rrset} do not verify",
    Case.SOME_WITHOUT_KEY: "{count} of the signatures over {rrset} are by keys that {zone} does not have",
    Case.TTL_BEYOND_END: "{rrset} may be cached for {ttl}, and its signature ends {expiration}",
    Case.NEVER_SIGNED: "{rrset} has no signature of its own, as signatures never have",
    # from a DS set to keys
    Case.SHARED_DS_TAG: "{count} keys of {zone} share tag and algorithm of its DS {numbers}; at most {limit} are tried",
    Case.OTHER_DIGEST: "the digest of DS {numbers} matches no key of {zone}",
    Case.NO_KEY_OF_DS: "{zone} has no key with tag and algorithm of its DS: {keys}",
    Case.DS_OF_REVOKED_KEY: "the DS of {zone} points at {keys}, which is revoked",
    Case.DS_OF_NO_ZONE_KEY: "the DS of {zone} points at {keys}, which is no zone key",
    Case.DS_OF_KEY_SIZE: "the DS of {zone} points at {sizes} only; {least} to {limit} bits are supported",
    Case.DS_OF_KEY_SIZE_AND_MISSING: (
        "the DS of {zone} points at {sizes}, and {least} to {limit} bits are supported; its other keys are missing"
    ),
    Case.SIGNED_BY_OTHERS: "the key set of {zone} is signed by {keys}; no DS or trust anchor points there",
    Case.UNSUPPORTED_ALGORITHMS: "the DS set of {zone} has only unsupported algorithms: {numbers}",
    Case.UNSUPPORTED_DIGESTS: "the DS set of {zone} has only unsupported digest types: {numbers}",
    Case.MANY_DS: "{zone} has {count} DS records; at most {limit} are tried",
    Case.NO_DNSKEY: "{zone} has a DS at its parent and no DNSKEY",
    Case.SHORT_KEYS: "{zone} has RSA keys of {numbers} bits",
    Case.DEPRECATED_ALGORITHM: "the DS set of {zone} has a deprecated algorithm: {numbers}",
    Case.DEPRECATED_DIGEST: "the DS set of {zone} has SHA-1 digests only",
    Case.ORPHANED_DS: "no key of {zone} has the tag of its DS {numbers}",
    Case.SILENT_ALGORITHM: "algorithm {numbers} is in the DS set of {zone} and does not sign its keys",
    # the anchored zone, and the vantage
    Case.UNSUPPORTED_ANCHORS: "every trust anchor of {zone} has an unsupported algorithm or digest",
    Case.NOT_ANCHORED: "no configured trust anchor signs the key set of {zone}: {because}",
    Case.KEYS_NOT_HELD: (
        "{zone} publishes {keys} as a secure-entry key, and no configured trust anchor is for it: once the zone rests"
        " on it alone, everything below is bogus here; compare it with the publisher's own announcement and add it"
    ),
    Case.ANCHOR_WITHOUT_KEYS: "{zone} has a trust anchor and no DNSKEY",
    Case.ANCHOR_STRIPPED: "no key of {zone}, which has a trust anchor, can be fetched, and the policy accepts that",
    Case.NO_ANCHOR: "no trust anchor lies above {name}",
    Case.DECLARED_UNSIGNED: "the configuration declares {zone} unsigned",
    Case.UNSIGNED_KEY_SET: "the key set of {zone}, which has a trust anchor, arrives without signatures",
    Case.NO_EDNS: "the resolver knows no EDNS and gives no DNSKEY of {zone}, which has a trust anchor",
    Case.NO_KEYS_SERVED: (
        "the resolver answers the question for the key set of {zone}, which has a trust anchor, without records"
    ),
    Case.UNSIGNED_CONTROLS: (
        "the resolver leaves out DNSSEC records: {count} of {limit} control questions about surely signed zones came"
        " without signatures"
    ),
    Case.UNSIGNED_AT_TIMES: (
        "the resolver leaves out DNSSEC records: {count} of {limit} answers to the same question came without"
        " signatures"
    ),
    Case.DO_NOT_SERVED: "the resolver answers {rcode} to questions with DO=1, and answers them without EDNS",
    # absence
    Case.NO_DENIAL: "no NSEC or NSEC3 record of {zone} comes with the answer about {name}",
    Case.NOT_PROVEN: "{proofs}",
    Case.HASHES_SPENT: "the proof needs more NSEC3 hashes than the budget has",
    Case.MIXED_PARAMETERS: "NSEC3 records of differing parameters in one response",
    Case.POOR_PARAMETERS: "NSEC3 with {count} extra iterations and a salt of {salt_bytes} octets",
    Case.MALFORMED_DENIAL: "the denial records of {zone} are malformed or of an unknown kind",
    Case.MANY_ITERATIONS: "NSEC3 with {count} extra iterations; {limit} are supported",
    Case.FOREIGN_SOA: "the SOA of {other} is beside a denial of {zone}",
    Case.NO_DS: "{other} proves that {zone} has no DS",
    Case.NO_DS_BY_OPT_OUT: "{other} proves that {zone} has no DS: it may lie in an opt-out span",
    Case.IN_OPT_OUT_SPAN: "{name} lies in an opt-out span of {zone}, where unsigned delegations may be",
    Case.WILDCARD_NOT_CLOSEST: "no proof that {name} is only covered by a wildcard",
    Case.ABSENT_AND_SERVED: (
        "the resolver answers {name} by itself; {other} proves that {zone} does not exist. To declare it:"
        " unsigned_zones: [{zone}]"
    ),
    Case.UNSIGNED_AND_SERVED: (
        "the resolver answers {name} by itself; {other} proves that {zone} is not signed. To declare it:"
        " unsigned_zones: [{zone}]"
    ),
    # aliases
    Case.ALIAS_LOOP: "the chain of aliases loops at {name}",
    Case.ALIASES_TOO_MANY: "the chain of aliases is longer than {limit} at {name}",
    Case.SEVERAL_ALIASES: "there are {count} records at {rrset}, where one may be",
    Case.ALIAS_TOO_LONG: "the alias at {rrset} makes a name too long of {name}",
    Case.OTHER_SYNTHESIS: "the CNAME at {name} is not what {rrset} makes of it",
    Case.ALIAS_TO_UNSIGNED: "the alias {name} is signed and leads to {other}, which is not",
    # fetching
    Case.NOT_FETCHED: "{rrset} could not be fetched: {failure}",
}
GAPS: dict[Gap, str] = {
    Gap.NOT_DENIED: "no record denies {name}",
    Gap.NEXT_CLOSER_NOT_DENIED: "no record denies the next closer name {name}",
    Gap.WILDCARD_NOT_DENIED: "no record denies the wildcard {name}",
    Gap.WILDCARD_NOT_MATCHED: "the name is denied, but no record matches its wildcard {name}",
    Gap.ENCLOSER_DENIED: "the record denies the closest encloser {name} too",
    Gap.ENCLOSER_NOT_MATCHED: "no record matches an ancestor of {name}",
    Gap.ENCLOSER_UNFIT: "the closest encloser {name} is a delegation or a DNAME",
    Gap.TYPE_PRESENT: "the type bitmap has the type, or an alias",
    Gap.TYPES_PRESENT: "the type bitmap has types, and any was asked for",
    Gap.DS_PRESENT: "the type bitmap has a DS",
    Gap.CHILD_SIDE: "the proof is of the child's side of the cut",
    Gap.PARENT_SIDE: "the proof is of the parent's side of a zone cut",
}


def make_reason(fault: Fault, now: int) -> Reason:
    """Return the reason that a message carries; ``now`` is POSIX seconds."""
    ede = fault.ede if fault.ede is not None else next(iter(CATALOGUE[fault.code].ede), None)
    blamed = fault.blamed.to_text() if fault.blamed is not None else ""
    return Reason(str(fault.code), names.to_text(fault.zone), describe(fault, now), ede, blamed, fault.lag_s)


def describe(fault: Fault, now: int) -> str:
    """Return the sentence about a fault, with times as they are from ``now`` on."""
    return SENTENCES[fault.case].format_map(_Particulars(fault, now))


class _Particulars(dict[str, str]):
    """The words for a sentence's particulars, made as they are needed; a question mark for one that is not there."""

    def __init__(self, fault: Fault, now: int) -> None:
        super().__init__()
        self._fault, self._now = fault, now

    def __missing__(self, field: str) -> str:
        fault, now = self._fault, self._now
        match field:
            case "zone" | "name" | "other":
                return _name(getattr(fault, field))
            case "rrset":
                return fault.rrset.to_text() if fault.rrset is not None else "?"
            case "keys":
                return _keys(fault.keys)
            case "sizes":
                return _listed("key", [f"{key.tag} (RSA, {key.bits} bits)" for key in fault.keys])
            case "numbers":
                return ", ".join(map(str, fault.numbers))
            case "inception" | "expiration":
                at = getattr(fault, field)
                return f"{describe_instant(at)}, {describe_distance(at, now)}" if at is not None else "?"
            case "begin" | "end":
                at = fault.inception if field == "begin" else fault.expiration
                return describe_instant(at) if at is not None else "?"
            case "rcode":
                return rcode_text(fault.rcode) if fault.rcode is not None else "?"
            case "ttl":
                return describe_duration(fault.ttl_s or 0)
            case "proofs":
                return "; ".join(map(_gap, fault.proofs)) or "?"
            case "failure":
                return fault.failure.detail if fault.failure is not None else "?"
            case "because":
                return describe(fault.because, now) if fault.because is not None else "?"
            case _:
                value = getattr(fault, field, None)
                return str(value) if value is not None else "?"


def _name(name: Name | None) -> str:
    return names.to_text(name) if name is not None else "?"


def _keys(keys: Iterable[KeyId]) -> str:
    return _listed("key", [f"{key.tag} (algorithm {key.algorithm})" for key in keys])


def _listed(noun: str, items: list[str]) -> str:
    return f"{noun}{'s' if len(items) != 1 else ''} {', '.join(items)}"


def _gap(proof: Proof) -> str:
    return GAPS[proof.gap].format(name=_name(proof.name)) if proof.gap is not None else "?"


def describe_instant(at: int) -> str:
    """Return POSIX seconds as people read them."""
    try:
        return f"{utc(at):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at} s after 1970"


def describe_distance(at: int, now: int) -> str:
    """Return how far an instant is from ``now``: ``3 h 5 min ago``, ``in 2 d``."""
    return f"{describe_duration(now - at)} ago" if at < now else f"in {describe_duration(at - now)}"


def describe_duration(seconds: int) -> str:
    """Return a length of time by its two largest units."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    shown = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0 s"

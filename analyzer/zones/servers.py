"""What is wrong with servers of a zone, held against each other: reachability, signatures, keys, DS sets, answers.

A server that is not heard says nothing of its data, and the fault that it showed last stays. Whoever answers for a
zone can bring a finding on that zone alone: the cause is never taken from what a server says.

Source: RFC 4035 §2.4, §3.1.4, §5; RFC 8901 (multi-signer zones).
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from analyzer.zones.faults import Look
from analyzer.zones.serials import PARENT_TRANSFER, Serials
from analyzer.zones.sights import answering, family_of, find_difference, heard_families, said_by, side_of, who
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import Verdict, ZoneKey
from schemas.messages import ServerSight, ServerStatus, SignatureState, ZoneSweep

SEP = 0x0001
SIGNING = (SignatureState.VALID, SignatureState.INVALID)
VERBS = {
    ServerStatus.SILENT: "does not answer",
    ServerStatus.REFUSES: "refuses",
    ServerStatus.LAME: "does not know the zone",
}


def look_for_unreachable(sweep: ZoneSweep) -> Iterable[Look]:
    """Report servers that do not answer for the zone; high where none does.

    Silence is told only over an address family in which somebody was heard, be it the parent: else our own network may
    be out. Servers of the parent are the matter of the parent's own sweep.
    """
    asked, families = side_of(sweep), heard_families(sweep)
    severity = Severity.LOW if answering(asked) else Severity.HIGH
    for sight in asked:
        if sight.status is ServerStatus.SILENT and family_of(sight.server) not in families:
            continue
        verb = VERBS.get(sight.status, "answers")
        yield Look(
            code=Code.AUTH_SERVER_UNREACHABLE,
            zone=sweep.zone,
            server=sight.server,
            is_bad=sight.status is not ServerStatus.ANSWERS,
            severity=severity,
            detail=f"{who(sight)} {verb}" + (f": {said_by(sight)}" if said_by(sight) else ""),
        )


def look_for_signatures(zone: str, sights: Sequence[ServerSight], *, is_unsigned: bool) -> Iterable[Look]:
    """Report servers whose signatures are invalid beside valid ones, or missing beside any.

    Where no server does better, the zone is at fault as a whole, and its own findings say so. ``is_unsigned``: the zone
    need not be signed.
    """
    states = {sight.signatures for sight in sights}
    for sight in sights:
        state = sight.signatures
        is_good = state is SignatureState.VALID or (is_unsigned and state is SignatureState.UNKNOWN)
        if is_good or (state is SignatureState.INVALID and SignatureState.VALID in states):
            detail = f"{who(sight)} gives signatures that are not valid: {said_by(sight)}"
            yield _look(Code.AUTH_SIGNATURE_DIVERGENCE, zone, sight, not is_good, detail)
        if is_good or state is SignatureState.INVALID or (state is SignatureState.MISSING and states & set(SIGNING)):
            detail = f"{who(sight)} leaves out DNSSEC records: {said_by(sight)}"
            yield _look(Code.AUTH_SERVER_UNSIGNED, zone, sight, state is SignatureState.MISSING, detail)


def look_for_keys(sweep: ZoneSweep, sights: Sequence[ServerSight], serials: Serials) -> Iterable[Look]:
    """Report servers with another key set.

    It is information where several signers share the zone. Source: RFC 8901 §2.1.2: each signer has its own key-signing
    key, and every server's set has the zone-signing keys of all.
    """
    said = [(one, frozenset(one.keys)) for one in sights if one.keys and one.signatures in SIGNING]
    found = find_difference(said, serials)
    severity = Severity.INFO if _is_multi_signer(said) else Severity.MEDIUM
    for sight, keys in said if len(said) > 1 else ():
        detail = f"{who(sight)} has the keys {_tags(keys)}"
        if found.right is not None:
            detail += f", others {_tags(found.right)}"
        if severity is Severity.INFO:
            detail += "; each set has the zone-signing keys of every signer"
        yield _look(Code.AUTH_DNSKEY_DIVERGENCE, sweep.zone, sight, sight.server in found.wrong, detail, severity)
    for sight in sights if sweep.verdict is Verdict.INSECURE else ():
        if sight.signatures is SignatureState.UNKNOWN:
            yield _look(Code.AUTH_DNSKEY_DIVERGENCE, sweep.zone, sight, False, "")


def _is_multi_signer(said: Sequence[tuple[ServerSight, frozenset[ZoneKey]]]) -> bool:
    zone_signing = {frozenset(key for key in keys if not key.flags & SEP) for _, keys in said}
    entries = [{key for key in keys if key.flags & SEP} for _, keys in said]
    valid = all(sight.signatures is SignatureState.VALID for sight, _ in said)
    return valid and len(zone_signing) == 1 and all(zone_signing) and all(entries)


def _tags(keys: Iterable[ZoneKey]) -> str:
    return ", ".join(f"{key.tag}/{key.algorithm}" for key in sorted(keys, key=lambda key: (key.tag, key.digest)))


def look_for_ds(zone: str, parents: Sequence[ServerSight]) -> Iterable[Look]:
    """Report servers of the parent that give another DS set for the zone."""
    said = [(one, frozenset(map(str.casefold, one.ds))) for one in parents]
    found = find_difference(said)
    for sight, ds in said if len(said) > 1 else ():
        detail = f"{who(sight)}, a server of the parent, gives DS {_ds(ds)}"
        if found.right is not None:
            detail += f", others {_ds(found.right)}"
        is_bad = sight.server in found.wrong
        look = _look(Code.AUTH_DS_DIVERGENCE, zone, sight, is_bad, detail)
        yield msgspec.structs.replace(look, passes_within=PARENT_TRANSFER)


def _ds(ds: Iterable[str]) -> str:
    return "; ".join(sorted(" ".join(one.split()[:3]) for one in ds)) or "none"


def look_for_answers(
    zone: str, sights: Sequence[ServerSight], serials: Serials, moving: Mapping[str, Iterable[str]]
) -> Iterable[Look]:
    """Report servers that give other data for a watched name than most do, each name by itself.

    ``moving`` are by RRset the servers that changed their data lately while their serial stayed: such answers are made
    for each question. That excuses others than the server itself, or a forger would excuse itself.
    """
    for rrset in sorted({rrset for sight in sights for rrset in sight.answers}):
        said = [(one, one.answers[rrset]) for one in sights if rrset in one.answers]
        found = find_difference(said, serials)
        for sight, data in said if len(said) > 1 else ():
            is_made = any(server != sight.server for server in moving.get(rrset, ()))
            detail = f"{who(sight)} says {rrset} is {', '.join(data) or 'absent'}"
            if found.right is not None:
                detail += f", others {', '.join(found.right) or 'absent'}"
            is_bad = sight.server in found.wrong and not is_made
            yield _look(Code.AUTH_ANSWER_DIVERGENCE, zone, sight, is_bad, detail, rrset=rrset)


def _look(
    code: Code,
    zone: str,
    sight: ServerSight,
    is_bad: bool,
    detail: str,
    severity: Severity | None = None,
    rrset: str = "",
) -> Look:
    return Look(code=code, zone=zone, server=sight.server, rrset=rrset, is_bad=is_bad, detail=detail, severity=severity)

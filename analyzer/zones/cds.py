"""What a zone asks its parent for by CDS and CDNSKEY: a DS set that is on its way, one that can't be, or none at all.

Source: RFC 7344 §4, §5; RFC 8078 §4; RFC 9975.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import dns.exception
import dns.name

from analyzer.detected import Drift, drift_of
from analyzer.zones.faults import Look
from analyzer.zones.serials import PARENT_TRANSFER, Serials
from analyzer.zones.sights import find_difference, said_by, who
from schemas.catalogue import Severity
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import ServerSight, SignatureState, ZoneSweep

# RFC 8078 §4: the set must have this one record and no other.
DELETE_CDS = ("0", "0", "0", "00")
DELETE_CDNSKEY = ("0", "3", "0", "AA==")
PENDING_LONG = timedelta(days=3)
DIGESTS = {"1": hashlib.sha1, "2": hashlib.sha256, "4": hashlib.sha384}
MALFORMED = (ValueError, OverflowError, dns.exception.DNSException)
Ds = tuple[str, ...]


def look_for_invalid(sweep: ZoneSweep, sights: Iterable[ServerSight], serials: Serials) -> Iterable[Look]:
    """Report CDS and CDNSKEY sets that no parent can follow; a parent follows only what all servers ask for.

    Source: RFC 7344 §4, §4.1; RFC 9975 (consistency over servers).
    """
    known = [one for one in sights if one.signatures is not SignatureState.UNKNOWN or sweep.verdict is Verdict.INSECURE]
    whys = {one.server: _why_invalid(sweep, one) for one in known}
    said = [(one, frozenset((*one.cds, *one.cdnskey))) for one in known if not whys[one.server]]
    wrong = find_difference(said, serials).wrong
    for sight in known:
        why = whys[sight.server] or ("other servers have other CDS or CDNSKEY" if sight.server in wrong else "")
        yield Look(
            code=Code.CDS_INVALID,
            zone=sweep.zone,
            server=sight.server,
            is_bad=bool(why),
            detail=f"{who(sight)}: {why}",
        )


def _why_invalid(sweep: ZoneSweep, sight: ServerSight) -> str:
    cds, keys = {_ds(one) for one in sight.cds}, [tuple(one.split(None, 3)) for one in sight.cdnskey]
    if not cds and not keys:
        return ""
    if sweep.verdict is not Verdict.INSECURE and not is_validly_signed(sweep.zone, sight):
        return f"CDS or CDNSKEY are not validly signed: {said_by(sight)}"
    deletes = [*(one == DELETE_CDS for one in cds), *(one == DELETE_CDNSKEY for one in map(_packed, keys))]
    if any(deletes):
        return "" if all(deletes) else "a request to remove the DS stands beside other records"
    try:
        made = {digest: {_digest(sweep.zone, key, digest) for key in keys} for digest in DIGESTS}
    except MALFORMED:
        return "a CDNSKEY record is malformed"
    # RFC 7344 §4: where a child publishes both, they must match in content.
    if cds and keys:
        for digest in sorted({one[2] for one in cds if one[2] in DIGESTS}):
            if {one for one in cds if one[2] == digest} != made[digest]:
                return "CDS and CDNSKEY are of different keys"
    # RFC 7344 §4.1: applied to the DS set, they must not break the delegation.
    present = {(str(key.tag), str(key.algorithm)) for key in sight.keys}
    if present and not any(one[:2] in present for one in cds or made["2"]):
        return "no key that CDS or CDNSKEY ask for is in the zone's DNSKEY set"
    return ""


def is_validly_signed(zone: str, sight: ServerSight) -> bool:
    """Return whether a server's CDS and CDNSKEY sets are: another RRset that is not, does not hide them."""
    if sight.signatures is SignatureState.VALID:
        return True
    spoilt = ("", f"{zone} CDS", f"{zone} CDNSKEY", f"{zone} DNSKEY")
    is_other = bool(sight.reasons) and not any(reason.rrset in spoilt for reason in sight.reasons)
    return sight.signatures is SignatureState.INVALID and is_other


def asked_but_absent(zone: str, sight: ServerSight, ds: Iterable[str]) -> list[Ds]:
    """Return the DS records that a server's CDS (or CDNSKEY) set asks for and the parent has in no form.

    A parent may choose the digest, so a key counts as followed whatever digest of it is there. Source: RFC 7344 §5.
    """
    wanted = {_ds(one) for one in sight.cds}
    if not wanted:
        try:
            wanted = {_digest(zone, tuple(one.split(None, 3)), "2") for one in sight.cdnskey}
        except MALFORMED:
            return []
    present = {_ds(one) for one in ds}
    by_digest = {one[:3]: one[3:] for one in present}
    keys = {one[:2] for one in present}
    absent = [one for one in wanted if one[:2] not in keys or by_digest.get(one[:3], one[3:]) != one[3:]]
    return sorted(one for one in absent if one != DELETE_CDS and one[:1] != ("0",))


def look_for_pending(
    sweep: ZoneSweep, sights: Sequence[ServerSight], parents: Sequence[ServerSight], since_at: datetime | None
) -> Iterable[Look]:
    """Report a DS set that the zone asks for and its parent lacks; ``since_at`` is since when, None: not before.

    A zone without any DS may ask for years, and no parent must listen: that stays information. Source: RFC 8078 §3.
    """
    if not parents:
        return
    ds = {one for parent in parents for one in parent.ds}
    lasts = since_at is not None and sweep.swept_at - since_at >= PENDING_LONG and bool(ds)
    for sight in sights:
        is_insecure = sweep.verdict is Verdict.INSECURE and sight.signatures is SignatureState.UNKNOWN
        if not is_insecure and not is_validly_signed(sweep.zone, sight):
            continue
        absent = asked_but_absent(sweep.zone, sight, ds)
        yield Look(
            code=Code.CDS_PENDING,
            zone=sweep.zone,
            server=sight.server,
            is_bad=bool(absent),
            severity=Severity.MEDIUM if lasts else Severity.INFO,
            passes_within=PARENT_TRANSFER,
            detail=f"{who(sight)} asks for DS {'; '.join(' '.join(one[:3]) for one in absent)}, which the parent lacks",
        )


def requests_delete(sweep: ZoneSweep, sights: Iterable[ServerSight], parents: Iterable[ServerSight]) -> list[str]:
    """Return the servers that validly ask the parent to remove the DS that it has."""
    if not any(parent.ds for parent in parents):
        return []
    return [one.server for one in sights if _deletes(one) and is_validly_signed(sweep.zone, one)]


def _deletes(sight: ServerSight) -> bool:
    keys = [_packed(tuple(one.split(None, 3))) for one in sight.cdnskey]
    return DELETE_CDS in map(_ds, sight.cds) or DELETE_CDNSKEY in keys


def delete_drift(sweep: ZoneSweep, servers: Sequence[str], parents: Iterable[ServerSight]) -> Drift:
    """Return that a zone asks its parent to go unsigned."""
    ds = sorted({" ".join(one.split()[:3]) for parent in parents for one in parent.ds})
    detail = f"{sweep.zone} asks its parent to remove the DS ({', '.join(ds)}): {', '.join(servers[:5])}"
    return drift_of(
        Code.CDS_DELETE_REQUESTED, sweep.zone, detail, "DS " + "; ".join(ds), "CDS 0 0 0 00", servers=tuple(servers)
    )


def _ds(text: str) -> Ds:
    return _packed(tuple(text.casefold().split(None, 3)))


def _packed(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return the four fields of a record: the last may be written in pieces."""
    tag, algorithm, digest, *rest = (*fields, "", "", "")
    return tag, algorithm, digest, "".join(rest).replace(" ", "")


def _digest(zone: str, fields: tuple[str, ...], digest: str) -> Ds:
    """Return the DS record of a CDNSKEY. Source: RFC 4034 §5.1.4, App. B."""
    flags, protocol, algorithm, key = _packed(fields)
    rdata = int(flags).to_bytes(2, "big") + bytes((int(protocol), int(algorithm))) + base64.b64decode(key)
    made = DIGESTS[digest](dns.name.from_text(zone).to_digestable() + rdata)
    return str(_tag_of(rdata)), algorithm, digest, made.hexdigest()


def _tag_of(rdata: bytes) -> int:
    """Return the key tag. Source: RFC 4034 App. B."""
    total = sum(octet if place % 2 else octet << 8 for place, octet in enumerate(rdata))
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF

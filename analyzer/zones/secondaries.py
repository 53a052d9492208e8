"""Secondaries: one that stays behind, and one that would serve expired signatures once it was cut off.

Source: RFC 1034 §4.3.5 (refresh and expire), RFC 6781 §4.4.2.
"""

from collections.abc import Iterable
from datetime import timedelta

from analyzer.wording import in_days
from analyzer.zones.faults import Look
from analyzer.zones.serials import Serials
from analyzer.zones.sights import who
from schemas.codes import Code
from schemas.judgement import Verdict
from schemas.messages import ServerSight, ZoneSweep


def look_for_stale(zone: str, sights: Iterable[ServerSight], serials: Serials) -> Iterable[Look]:
    """Report servers that stay behind: their data may be right, and will not be for long.

    Where nothing is signed and most are behind, all are named: an honest server is never blamed by a serial alone.
    """
    for sight in sights:
        if sight.serial is None:
            continue
        detail = f"{who(sight)} is stale: serial {sight.serial}, the newest is {serials.newest}"
        if serials.is_disputed:
            detail = (
                f"{who(sight)} has serial {sight.serial}; the servers have differed for longer than a refresh takes"
                f" ({serials.describe()}), and as nothing is signed no serial proves who is right: most may be stale,"
                " or the newest is forged"
            )
        elif not serials.are_proven:
            detail += "; nothing is signed, so no serial proves it, but most servers have gone on"
        yield Look(
            code=Code.AUTH_ANSWER_DIVERGENCE,
            zone=zone,
            rrset=f"{zone} SOA",
            server=sight.server,
            is_bad=serials.is_stale(sight.server) or serials.is_disputed,
            detail=detail,
        )


def look_for_short_signatures(sweep: ZoneSweep, sights: Iterable[ServerSight]) -> Iterable[Look]:
    """Report SOA EXPIRE beyond the lifetime of signatures. Source: RFC 6781 §4.4.2.

    A secondary that is cut off serves what it has until EXPIRE; by then signatures made just before have ended.
    """
    lifetimes = [one.expires_at - one.inception_at for one in sweep.windows if one.zone == sweep.zone]
    shortest = min(lifetimes, default=None)
    if sweep.verdict is not Verdict.INSECURE and shortest is None:
        return
    for sight in sights:
        if sight.expire_s is None:
            continue
        expire = timedelta(seconds=sight.expire_s)
        detail = f"{who(sight)} would serve the zone for {in_days(expire)} after it was cut off (SOA EXPIRE)"
        if shortest is not None:
            detail += f"; its signatures last {in_days(shortest)}"
        yield Look(
            code=Code.RRSIG_SHORTER_THAN_SOA_EXPIRE,
            zone=sweep.zone,
            server=sight.server,
            is_bad=sweep.verdict is not Verdict.INSECURE and shortest is not None and shortest < expire,
            detail=detail,
        )

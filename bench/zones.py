"""What zones cost, in seconds of processor time: ``python -m bench.zones``, with ``--quick`` a tenth of everything.

A root key change over many endpoints; a finding over a million of them that opens, grows and closes; and the facts that
an estate signed on the fly leaves in a day. All of it on the pure cores, with no database, network or clock.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from analyzer.analysis import Analysis
from analyzer.batch import Batch, Knowledge
from collector.dnssec.judgement import ZoneFacts
from collector.polling.zones import ZonesTold
from schemas.judgement import AliasLink, ChainLink, Judgement, Reason, Verdict, ZoneKey
from schemas.messages import (
    Endpoint,
    Evidence,
    Identity,
    InventorySnapshot,
    Message,
    Observation,
    Occasion,
    PollBatch,
    SignatureWindow,
    ZoneObservation,
)
from schemas.wire import digest_of, encode

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
VANTAGE, ZONE = "corp", "bank.example."
AT_ONCE = 5_000
A_TEAM = 500


def main() -> int:
    """Measure, print a table, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    scale = 10 if parser.parse_args().quick else 1
    failed = False
    for what, value, unit, limit in (*_key_change(100_000 // scale), *_large(1_000_000 // scale), *_on_the_fly(scale)):
        met = value < limit
        failed |= not met
        print(f"{what:<84} {value:>9,.2f} {unit:<8} < {limit:<6g} {'met' if met else 'NOT MET'}", flush=True)
    return int(failed)


Line = tuple[str, float, str, float]


def _key_change(names: int) -> Iterator[Line]:
    analysis = _estate(names)
    at = AT + MINUTE
    changed = _zone(".", at, keys=(_key(1, 257), _key(2, 256), _key(3, 257)))
    took, out = _timed(lambda: analysis.take([changed], Knowledge(), at.timestamp()))
    yield f"a new key at the root above {names:,} endpoints: messages", 1 + len(out.messages), "", 10
    yield f"a new key at the root above {names:,} endpoints: analyzer", took, "s CPU", 1.0


def _large(names: int) -> Iterator[Line]:
    analysis = _estate(names)
    total = 0.0
    opened = _zone(ZONE, AT + MINUTE, broken=True)
    took, out = _timed(lambda: analysis.take([opened], Knowledge(), (AT + MINUTE).timestamp()))
    assert [one.endpoint_count for one in out.messages] == [names]
    total += took
    more = [_observed(f"n{number}.{ZONE}", AT + 2 * MINUTE, broken=True) for number in range(AT_ONCE)]
    took, _ = _timed(lambda: analysis.take(more, Knowledge(), (AT + 2 * MINUTE).timestamp()))
    total += took
    for minute in (3, 4):
        at = AT + minute * MINUTE
        took, _ = _timed(lambda at=at: analysis.take([_polled(more[:1], at)], Knowledge(), at.timestamp()))  # type: ignore[misc]
        total += took
    at = AT + 5 * MINUTE
    healed = [_observed(one.judgement.name, at) for one in more]
    took, _ = _timed(lambda: analysis.take([_zone(ZONE, at), *healed], Knowledge(), at.timestamp()))
    total += took
    for minute in (6, 7, 8):
        at = AT + minute * MINUTE
        took, out = _timed(lambda at=at: analysis.take([_polled(healed, at)], Knowledge(), at.timestamp()))  # type: ignore[misc]
        total += took
    assert not any(one.code == "ds_dnskey_mismatch" for one in analysis.findings())
    yield f"a finding over {names:,} endpoints opens, grows by {AT_ONCE:,} and closes", total, "s CPU", 10.0


def _on_the_fly(scale: int) -> Iterator[Line]:
    """Yield how many facts a zone leaves in a day whose answers are signed anew, for two days, at each query."""
    zones, minutes = 500 // scale, 24 * 60
    told = ZonesTold(refresh_s=86_400.0)
    facts = octets = 0
    for minute in range(minutes):
        at = AT + minute * MINUTE
        for number in range(zones):
            seen = told.see([_facts(f"z{number}.example.", at)], _evidence(at), VANTAGE, at, minute * 60.0)
            facts += len(seen.news)
            octets += sum(len(encode(message)) for message in seen.news)
    a_zone = facts / zones
    yield f"{zones:,} zones signed on the fly (TTL 60 s, validity 2 days): facts a zone and day", a_zone, "", 10
    yield f"{zones:,} zones signed on the fly: octets on the bus a zone and day", octets / zones, "", 20_000


def _timed(work: Callable[[], Batch]) -> tuple[float, Batch]:
    began = time.process_time()
    out = work()
    return time.process_time() - began, out


def _estate(names: int) -> Analysis:
    """Return an analysis that has seen so many names below one zone, which teams of some hundred each consume."""
    analysis = Analysis()
    now = AT.timestamp()
    for start in range(0, names, A_TEAM):
        endpoints = tuple(Endpoint(host=f"h{n}.{ZONE[:-1]}", types=("A",)) for n in range(start, start + A_TEAM))
        identity = Identity(id=f"sa-{start}", owner=f"team-{start % 50}", endpoints=endpoints)
        analysis.take([InventorySnapshot(id=identity.id, seen_at=AT, identity=identity)], Knowledge(), now)
    analysis.take([_zone(zone, AT) for zone in (".", "example.", ZONE)], Knowledge(), now)
    for start in range(0, names, AT_ONCE):
        batch: list[Message] = [_observed(f"h{n}.{ZONE}", AT) for n in range(start, min(start + AT_ONCE, names))]
        analysis.take(batch, Knowledge(), now)
    return analysis


def _key(tag: int, flags: int) -> ZoneKey:
    return ZoneKey(tag, 13, flags, None, f"digest{tag}")


def _zone(
    zone: str, at: datetime, *, keys: tuple[ZoneKey, ...] = (_key(1, 257), _key(2, 256)), broken: bool = False
) -> ZoneObservation:
    verdict = Verdict.BOGUS if broken else Verdict.SECURE
    link = ChainLink(zone, verdict, ("1 13 2 AA",), () if broken else keys)
    reasons = (Reason("ds_dnskey_mismatch", zone, "no key fits", 9, f"{zone} DNSKEY"),) if broken else ()
    return ZoneObservation(
        id=digest_of(zone, at.isoformat())[:32],
        zone=zone,
        vantage=VANTAGE,
        occasion=Occasion.CHANGE,
        observed_at=at,
        parent="" if zone == "." else "example.",
        link=link,
        reasons=reasons,
        evidence=_evidence(at),
    )


def _evidence(at: datetime) -> Evidence:
    return Evidence(
        digest=digest_of(at.isoformat()), name=ZONE, type="DNSKEY", at=at, messages=(), trust_anchors=(), policy={}
    )


def _facts(zone: str, at: datetime) -> ZoneFacts:
    """Return a zone as a name server shows it that signs for two days, at each query anew."""
    window = SignatureWindow(zone=zone, rrset=f"{zone} DNSKEY", inception_at=at, expires_at=at + 2 * DAY)
    link = ChainLink(zone, Verdict.SECURE, ("1 13 2 AA",), (_key(1, 257),), (1,), at, at + 2 * DAY, 60)
    return ZoneFacts(link, "", (), (), (window,), (at.isoformat().encode() * 20,))


def _observed(name: str, at: datetime, *, broken: bool = False) -> Observation:
    verdict = Verdict.BOGUS if broken else Verdict.SECURE
    chain = (ChainLink(".", Verdict.SECURE), ChainLink("example.", Verdict.SECURE), ChainLink(ZONE, verdict))
    judgement = Judgement(
        name=name,
        type="A",
        vantage=VANTAGE,
        verdict=verdict,
        rcode="NOERROR",
        reasons=(Reason("ds_dnskey_mismatch", ZONE, "no key fits", 9, f"{ZONE} DNSKEY"),) if broken else (),
        cause_zone=ZONE if broken else "",
        answers=() if broken else (f"{name} A 192.0.2.1",),
        chain=chain,
        links=(AliasLink(name, "A", ZONE, verdict),),
        validated_at=at,
    )
    identity = digest_of(name, at.isoformat())[:32]
    return Observation(id=identity, occasion=Occasion.FIRST, observed_at=at, judgement=judgement)


def _polled(observations: Sequence[Observation], at: datetime) -> PollBatch:
    batch = PollBatch(
        id="",
        vantage=VANTAGE,
        names=tuple(one.judgement.name for one in observations),
        types=("A",) * len(observations),
        observations=tuple(one.id for one in observations),
        polled_at=(at,) * len(observations),
    )
    return msgspec.structs.replace(batch, id=digest_of(encode(batch))[:32])


if __name__ == "__main__":
    sys.exit(main())

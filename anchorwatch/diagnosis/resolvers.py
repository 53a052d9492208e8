"""Asks each resolver what the watch needs of it, all at the same time, and gives up what takes too long."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from anchorwatch.diagnosis.sights import Sight
from anchorwatch.judging import Settings, judge_one, make_vantage
from collector.config import VantagePoint
from collector.dnssec import names, records
from collector.dnssec.message import AD, CD, TC, FormError, Response, read_response
from collector.dnssec.questions import FetchFailure
from collector.resolvers.claims import read_claim
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import Sockets, Transport
from schemas.judgement import Verdict

BOGUS_NAME = "dnssec-failed.org"
"""A name of the public DNS that was made not to validate, so that validation can be tried."""
PROBE_S = 3.5
TRY_S = 0.8


class Recorder:
    """Carries queries, and keeps what came over UDP: the size of the largest whole answer, and whether any was cut."""

    def __init__(self, carrier: Transport) -> None:
        self._carrier = carrier
        self.largest: int | None = None
        self.truncated = False

    async def datagrams(self, wire: bytes) -> AsyncGenerator[bytes, None]:
        """Hand datagrams on, and note their size."""
        async with contextlib.aclosing(self._carrier.datagrams(wire)) as replies:
            async for reply in replies:
                self._note(reply)
                yield reply

    async def stream(self, wire: bytes) -> bytes:
        """Hand the reply on."""
        return await self._carrier.stream(wire)

    def _note(self, reply: bytes) -> None:
        try:
            is_cut = bool(read_response(reply).flags & TC)
        except FormError:
            return
        self.truncated = self.truncated or is_cut
        if not is_cut:
            self.largest = max(self.largest or 0, len(reply))


async def look_at_all(
    points: Sequence[VantagePoint], settings: Settings, bogus_name: str = BOGUS_NAME, patience_s: float = PROBE_S
) -> list[Sight]:
    """Return what each resolver shows within ``patience_s``."""
    brief = replace(settings, timeout_s=TRY_S, attempts=2)
    return list(await asyncio.gather(*(_look(point, brief, bogus_name, patience_s) for point in points)))


async def _look(point: VantagePoint, settings: Settings, bogus_name: str, patience_s: float) -> Sight:
    address = point.address
    sight = Sight(
        name=point.name,
        url=address.to_url(),
        is_resolver=not address.is_authoritative,
        is_udp=address.scheme == "udp",
    )
    works = [_judge_anchors(point, settings, sight)]
    if sight.is_resolver:
        recorder = Recorder(Sockets(address, settings.egress, patience_s=TRY_S))
        resolver = Resolver(address, timeout_s=TRY_S, attempts=2, egress=settings.egress, transport=recorder)
        works += [
            _ask_as_validator(resolver, recorder, sight),
            _ask_over_tcp(resolver, sight),
            _ask_as_client(resolver, sight),
            _ask_what_is_bogus(point, resolver, settings, bogus_name, sight),
        ]
    tasks = [asyncio.create_task(work) for work in works]
    _, late = await asyncio.wait(tasks, timeout=patience_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
    return sight


async def _judge_anchors(point: VantagePoint, settings: Settings, sight: Sight) -> None:
    """Validate the key set of each zone that is trusted from the start; by the first that holds, time is known."""
    vantage = make_vantage(point, settings)
    for zone in settings.anchors.by_zone:
        judged = await vantage.judge(zone, records.DNSKEY)
        judgement = judged.judgement
        why = "; ".join(f"{one.code}: {one.detail}" for one in judgement.reasons)
        sight.anchors[names.to_text(zone)] = (judgement.verdict, why)
        if judgement.verdict is not Verdict.INDETERMINATE:
            sight.answered = True
        if judgement.verdict is Verdict.SECURE:
            reply = await vantage.ask(zone, records.DNSKEY)
            keys = reply.answer.get((zone, records.DNSKEY)) if isinstance(reply, Response) else None
            sight.windows += [(one.inception, one.expiration) for one in keys.signatures] if keys else []


async def _ask_as_validator(resolver: Resolver, recorder: Recorder, sight: Sight) -> None:
    reply = await resolver.ask(names.ROOT, records.DNSKEY)
    sight.udp_bytes, sight.truncated = recorder.largest, recorder.truncated
    if isinstance(reply, FetchFailure):
        sight.trouble = reply.detail
        return
    sight.answered = True
    keys = reply.answer.get((names.ROOT, records.DNSKEY))
    sight.signed = bool(keys and keys.signatures)
    sight.cd_kept = bool(reply.flags & CD)


async def _ask_over_tcp(resolver: Resolver, sight: Sight) -> None:
    reply = await resolver.ask(names.ROOT, records.SOA, stream=True, attempts=1)
    sight.over_tcp = isinstance(reply, Response)


async def _ask_as_client(resolver: Resolver, sight: Sight) -> None:
    reply = await resolver.ask(names.ROOT, records.DNSKEY, checking_disabled=False)
    if isinstance(reply, Response):
        sight.claims_ad = bool(reply.flags & AD)


async def _ask_what_is_bogus(
    point: VantagePoint, resolver: Resolver, settings: Settings, name: str, sight: Sight
) -> None:
    judgement = await judge_one(point, settings, name, "A", claim=False)
    sight.bogus_verdict = judgement.verdict
    if judgement.verdict is Verdict.BOGUS:
        claim = read_claim(await resolver.ask(names.from_text(name), records.A, checking_disabled=False))
        if claim is not None:
            sight.bogus_rcode, sight.bogus_data = claim.rcode, bool(claim.answers)
    else:
        sight.bogus_rcode = ""

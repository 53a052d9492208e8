"""Validate names once, without a database: what ``validate`` and ``check`` do."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from collector.authorities.servers import Servers
from collector.authorities.walk import Walker
from collector.config import Authorities, VantagePoint
from collector.dnssec import names, records
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.policy import Policy
from collector.polling.memory import PollTarget
from collector.resolvers.resolver import Resolver
from collector.resolvers.vantage import Vantage, Walking
from schemas.egress import DIRECT, Egress
from schemas.judgement import Judgement

CONCURRENCY = 96
PUBLIC = Authorities()
"""The authoritative servers of the public DNS."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to validate; ``at`` fixes the time, None means now.

    ``authorities`` is how the authoritative servers are asked where they are the vantage.
    """

    anchors: TrustAnchors
    policy: Policy
    at: datetime | None = None
    timeout_s: float = 1.5
    attempts: int = 3
    egress: Egress = DIRECT
    authorities: Authorities = PUBLIC

    def clock(self) -> float:
        """Return the time to validate at, POSIX seconds."""
        return self.at.timestamp() if self.at is not None else time.time()


def make_vantage(point: VantagePoint, settings: Settings) -> Vantage:
    """Return a vantage that validates by ``settings``; used by one event loop only."""
    if point.address.is_authoritative:
        authorities = msgspec.structs.replace(settings.authorities, vantage=point.name)
        servers = Servers(authorities, timeout_s=settings.timeout_s)
        walking = Walking(servers, lambda instant: Walker(authorities, instant).walk)
        return Vantage(point.name, walking, settings.anchors, settings.policy, settings.clock)
    resolver = Resolver(
        point.address,
        timeout_s=settings.timeout_s,
        attempts=settings.attempts,
        max_in_flight=CONCURRENCY * 2,
        egress=settings.egress,
    )
    return Vantage(point.name, resolver, settings.anchors, settings.policy, settings.clock)


async def judge_one(
    point: VantagePoint, settings: Settings, name: str, rdtype: str, *, claim: bool = True
) -> Judgement:
    """Validate one name through one vantage.

    Raises:
        ValueError: the name or type is none.
    """
    vantage = make_vantage(point, settings)
    qname, qtype = names.from_text(name), records.type_from_text(rdtype)
    judged = await vantage.judge(qname, qtype)
    judgement = judged.attested
    if claim:
        claims = await vantage.claims(judgement)
        judgement = msgspec.structs.replace(judgement, resolver=claims.resolver, plain=claims.plain)
    return judgement


async def judge_all(
    points: Sequence[VantagePoint],
    settings: Settings,
    subjects: Sequence[PollTarget],
    *,
    claims: bool,
    progress: Callable[[], object] | None = None,
) -> list[Judgement]:
    """Validate every subject through its vantage, many at a time; the result has the order of ``subjects``."""
    async with contextlib.AsyncExitStack() as stack:
        vantages = {point.name: await stack.enter_async_context(make_vantage(point, settings)) for point in points}
        return await _judge_all(vantages, subjects, claims=claims, progress=progress)


async def _judge_all(
    vantages: Mapping[str, Vantage],
    subjects: Sequence[PollTarget],
    *,
    claims: bool,
    progress: Callable[[], object] | None,
) -> list[Judgement]:
    async def judge(subject: PollTarget) -> Judgement:
        vantage = vantages[subject.vantage]
        judged = await vantage.judge(subject.name, subject.rdtype)
        judgement = judged.attested
        if claims:
            said = await vantage.claims(judgement)
            judgement = msgspec.structs.replace(judgement, resolver=said.resolver, plain=said.plain)
        if progress is not None:
            progress()
        return judgement

    results: list[Judgement | None] = [None] * len(subjects)
    positions = iter(range(len(subjects)))

    async def worker() -> None:
        for position in positions:
            results[position] = await judge(subjects[position])

    async with asyncio.TaskGroup() as group:
        for _ in range(min(CONCURRENCY, len(subjects))):
            group.create_task(worker())
    return [result for result in results if result is not None]


class OnDemand:
    """Validates one name at a time for who asks, through the vantages of a configuration."""

    def __init__(self, points: Sequence[VantagePoint], settings: Settings) -> None:
        self._points, self._settings = {point.name: point for point in points}, settings

    @property
    def vantages(self) -> tuple[str, ...]:
        """Return the names of the vantages."""
        return tuple(self._points)

    async def judge(self, name: str, rdtype: str, vantage: str) -> Judgement:
        """Validate one name through one vantage, with what its resolver claims.

        Raises:
            KeyError: there is no such vantage.
            ValueError: the name or type is none.
        """
        return await judge_one(self._points[vantage], self._settings, name, rdtype)

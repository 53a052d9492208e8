"""Sweeps as the collector makes them: bank.example. on three servers, its parent on two."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from analyzer.analysis import Analysis
from analyzer.batch import Batch, Knowledge
from schemas.judgement import Reason, Verdict
from schemas.messages import (
    Finding,
    Message,
    ServerSight,
    ServerStatus,
    SignatureState,
    SignatureWindow,
    ZoneSweep,
)
from schemas.wire import digest_of
from tests.support.making import AT, judgement, key, observation, snapshot, with_zones

ZONE, HOUR = "bank.example.", timedelta(hours=1)
NS = ("ns1.bank.example.", "ns2.bank.example.", "ns3.bank.example.")
OWN = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
PARENTS = ("198.51.100.1", "198.51.100.2")
SIGNED = SignatureWindow(
    zone=ZONE, rrset=f"{ZONE} SOA", inception_at=AT - timedelta(days=1), expires_at=AT + timedelta(days=29)
)


def own(number: int, **more: Any) -> ServerSight:
    """What the n-th server of the zone says: all is well, but for ``more``."""
    fields: dict[str, Any] = {
        "status": ServerStatus.ANSWERS,
        "signatures": SignatureState.VALID,
        "serial": 7,
        "refresh_s": 7200,
        "expire_s": 1_209_600,
        "ns": NS,
        "keys": (key(1, entry=True), key(2)),
        "answers": {"api.bank.example. A": ("192.0.2.80",)},
        **more,
    }
    if fields["status"] is not ServerStatus.ANSWERS:
        fields = {"status": fields["status"], "detail": fields.get("detail", "")}
    return ServerSight(server=OWN[number - 1], name=NS[number - 1], **fields)


def of_parent(number: int, **more: Any) -> ServerSight:
    """What the n-th server of the parent says of the delegation."""
    fields: dict[str, Any] = {
        "status": ServerStatus.ANSWERS,
        "signatures": SignatureState.VALID,
        "serial": 100,
        "refresh_s": 1800,
        "ns": NS,
        "ds": ("1 13 2 AA",),
        **more,
    }
    if fields["status"] is not ServerStatus.ANSWERS:
        fields = {"status": fields["status"], "detail": fields.get("detail", "")}
    return ServerSight(server=PARENTS[number - 1], name=f"ns{number}.example.", of_parent=True, **fields)


def invalid(zone: str = ZONE, rrset: str = f"{ZONE} SOA") -> dict[str, Any]:
    """What a server says whose signatures do not verify."""
    reasons = (Reason("rrsig_crypto_invalid", zone, "no signature verifies", 6, rrset),)
    return {"signatures": SignatureState.INVALID, "reasons": reasons}


def sweep(*sights: ServerSight, at: datetime = AT, zone: str = ZONE, **more: Any) -> ZoneSweep:
    """One sweep: those servers that are not among ``sights`` say that all is well."""
    given = {sight.server for sight in sights}
    well = [one for one in (*map(own, (1, 2, 3)), *map(of_parent, (1, 2))) if one.server not in given]
    return alone(*well, *sights, at=at, zone=zone, **more)


def alone(*sights: ServerSight, at: datetime = AT, zone: str = ZONE, **more: Any) -> ZoneSweep:
    """One sweep of these servers and no others."""
    servers = tuple(sorted(sights, key=lambda one: (not one.of_parent, one.name, one.server)))
    fields = {"parent": "example.", "vantage": "authoritative", "verdict": Verdict.SECURE, "windows": (SIGNED,), **more}
    bare = ZoneSweep(id="", zone=zone, swept_at=at, servers=servers, **fields)
    return msgspec.structs.replace(bare, id=digest_of(msgspec.json.encode(bare))[:32])


class Sweeping:
    """The analysis of an estate with one name; ``hour`` after hour it takes sweeps in."""

    def __init__(self, *hosts: str) -> None:
        self.analysis = Analysis()
        self.said: list[Finding] = []
        self.hours = 0.0
        self.hosts = hosts or ("api.bank.example",)
        seen = [observation(judgement(f"{host}."), AT) for host in self.hosts]
        self.take(snapshot("sa", *self.hosts), *with_zones(seen[:1]), *seen[1:])

    @property
    def now(self) -> datetime:
        return AT + self.hours * HOUR

    def take(self, *batch: Message) -> Batch:
        out = self.analysis.take(batch, Knowledge(), self.now.timestamp())
        self.said += out.messages
        return out

    def sweep(self, *sights: ServerSight, hours: float = 1, **more: Any) -> list[Finding]:
        """Sweep after so many hours, and return what is told."""
        self.hours += hours
        return self.take(sweep(*sights, at=self.now, **more)).messages

    def alone(self, *sights: ServerSight, hours: float = 1, **more: Any) -> list[Finding]:
        """Sweep these servers only."""
        self.hours += hours
        return self.take(alone(*sights, at=self.now, **more)).messages

    def times(self, count: int, *sights: ServerSight, **more: Any) -> list[Finding]:
        """Sweep so often with the same result, and return all that is told."""
        return [one for _ in range(count) for one in self.sweep(*sights, **more)]

    @property
    def open(self) -> dict[str, tuple[str, ...]]:
        """Return the servers that each open finding names, by its code."""
        return {one.code: one.servers for one in self.analysis.findings()}

"""Judgements and observations as tests need them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.judgement import AliasLink, ChainLink, Judgement, Reason, ResolverClaim, Verdict, ZoneKey
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
from schemas.wire import digest_of

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def key(number: int, *, entry: bool = False, algorithm: int = 13, flags: int = 0) -> ZoneKey:
    return ZoneKey(number, algorithm, flags or (257 if entry else 256), None, f"digest{number}")


def link(
    zone: str, *, keys: tuple[ZoneKey, ...] = (), ds: tuple[str, ...] = (), verdict: Verdict = Verdict.SECURE
) -> ChainLink:
    keys = keys or (key(1, entry=True), key(2))
    if verdict is not Verdict.SECURE:
        return ChainLink(zone, verdict, ds)
    return ChainLink(
        zone, verdict, ds or ("1 13 2 AA",), keys, (1,), AT - timedelta(days=1), AT + timedelta(days=60), 60
    )


def judgement(
    name: str = "api.bank.example.",
    *,
    verdict: str = "secure",
    code: str = "",
    zone: str = "bank.example.",
    answers: tuple[str, ...] = ("192.0.2.1",),
    chain: tuple[ChainLink, ...] | None = None,
    rrset: str = "",
    claim: ResolverClaim | None = None,
    vantage: str = "corp",
    **more: Any,
) -> Judgement:
    chain = chain if chain is not None else (link("."), link("example."), link("bank.example."))
    fields: dict[str, Any] = {
        "inception_at": AT - timedelta(days=1),
        "expires_at": AT + timedelta(days=13),
        **more,
    }
    return Judgement(
        name=name,
        type="A",
        vantage=vantage,
        verdict=Verdict(verdict),
        rcode="NOERROR",
        reasons=(Reason(code, zone, f"because of {code}", None, rrset),) if code else (),
        cause_zone=zone if code else "",
        answers=tuple(f"{name} A {answer}" for answer in answers),
        chain=chain,
        links=(AliasLink(name, "A", zone, Verdict(verdict)),),
        validated_at=AT,
        evidence="e" * 64,
        resolver=claim
        if claim is None or claim.answers or claim.rcode != "NOERROR"
        else _agreeing(claim, name, answers),
        **fields,
    )


def _agreeing(claim: ResolverClaim, name: str, answers: tuple[str, ...]) -> ResolverClaim:
    return msgspec.structs.replace(claim, answers=tuple(f"{name} A {answer}" for answer in answers))


def observation(judged: Judgement, at: datetime, occasion: Occasion = Occasion.CHANGE) -> Observation:
    """An observation as the collector makes it of a judgement; ``with_zones`` has those of the zones beside it."""
    evidence = Evidence(
        digest=judged.evidence,
        name=judged.name,
        type=judged.type,
        at=at,
        messages=(b"\x00\xff", b"x"),
        trust_anchors=(),
        policy={},
    )
    observation_id = digest_of(judged.name, judged.type, judged.vantage, at.isoformat())[:32]
    told = zones_of(judged, at)
    _ZONES[observation_id] = told
    inherited = {(r.code, r.zone, r.rrset) for zone in told for r in zone.remarks}
    bare = tuple(ChainLink(link.zone, link.verdict) for link in judged.chain)
    remarks = tuple(r for r in judged.remarks if (r.code, r.zone, r.rrset) not in inherited)
    return Observation(
        id=observation_id,
        occasion=occasion,
        observed_at=at,
        judgement=msgspec.structs.replace(judged, chain=bare, remarks=remarks),
        zones=tuple(zone.id for zone in told),
        signed=_window(judged),
        evidence=evidence,
    )


_ZONES: dict[str, list[ZoneObservation]] = {}


def with_zones(batch: Sequence[Message]) -> list[Message]:
    """A batch with what its observations rest on before each."""
    found: list[Message] = []
    for message in batch:
        if isinstance(message, Observation):
            found += _ZONES.get(message.id, [])
        found.append(message)
    return found


def zones_of(judged: Judgement, at: datetime) -> list[ZoneObservation]:
    """The observations of the zones in a judgement's chain."""
    found = []
    parent = ""
    for one in judged.chain:
        reasons = _of(one, judged.reasons) if one.verdict is not Verdict.SECURE else ()
        found.append(zone_observation(one, at, judged.vantage, parent, reasons, _of(one, judged.remarks)))
        parent = one.zone
    return found


def _of(one: ChainLink, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    wide = ("", f"{one.zone} DNSKEY", f"{one.zone} DS")
    return tuple(r for r in reasons if r.rrset in wide and (r.zone == one.zone or r.rrset == f"{one.zone} DS"))


def zone_observation(
    one: ChainLink,
    at: datetime,
    vantage: str = "corp",
    parent: str = "",
    reasons: tuple[Reason, ...] = (),
    remarks: tuple[Reason, ...] = (),
) -> ZoneObservation:
    windows: tuple[SignatureWindow, ...] = ()
    if one.inception_at is not None and one.expires_at is not None:
        where = f"{one.zone} DNSKEY"
        windows = (
            SignatureWindow(zone=one.zone, rrset=where, inception_at=one.inception_at, expires_at=one.expires_at),
        )
    said = digest_of(one.zone, vantage, at.isoformat(), msgspec.json.encode((one, reasons, remarks)))
    evidence = Evidence(
        digest=said, name=one.zone, type="DNSKEY", at=at, messages=(said.encode(),), trust_anchors=(), policy={}
    )
    return ZoneObservation(
        id=said[:32],
        zone=one.zone,
        vantage=vantage,
        occasion=Occasion.CHANGE,
        observed_at=at,
        parent=parent,
        link=one,
        reasons=reasons,
        remarks=remarks,
        windows=windows,
        evidence=evidence,
    )


def _window(judged: Judgement) -> SignatureWindow | None:
    """The window of the answer's own signature; where a key set's ends first, that of the chain is no answer's."""
    if judged.expires_at is None or judged.inception_at is None or judged.verdict is Verdict.BOGUS:
        return None
    return SignatureWindow(
        zone=judged.links[-1].zone,
        rrset=f"{judged.name} {judged.type}",
        inception_at=judged.inception_at,
        expires_at=judged.expires_at,
    )


def polls(*made: Observation, at: datetime) -> PollBatch:
    return PollBatch(
        id=digest_of(*(one.id for one in made), at.isoformat())[:32],
        vantage=made[0].judgement.vantage,
        names=tuple(one.judgement.name for one in made),
        types=tuple(one.judgement.type for one in made),
        observations=tuple(one.id for one in made),
        polled_at=tuple(at for _ in made),
        inceptions=tuple(int(one.signed.inception_at.timestamp()) if one.signed else 0 for one in made),
        expirations=tuple(int(one.signed.expires_at.timestamp()) if one.signed else 0 for one in made),
    )


def snapshot(identity_id: str, *hosts: str, at: datetime = AT, **endpoint: Any) -> InventorySnapshot:
    endpoints = tuple(Endpoint(host=host, **endpoint) for host in hosts)
    identity = Identity(
        id=identity_id,
        kind="service_account",
        owner="payments",
        environment="prod",
        criticality="critical",
        endpoints=endpoints,
    )
    return InventorySnapshot(id=identity_id, seen_at=at, identity=identity)

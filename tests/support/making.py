"""Judgements and observations as tests need them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.judgement import AliasLink, ChainLink, Judgement, Key, Reason, ResolverClaim, Verdict
from schemas.messages import Endpoint, Evidence, Identity, InventorySnapshot, Observation, Occasion, PollBatch
from schemas.wire import digest_of

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def key(number: int, *, entry: bool = False, algorithm: int = 13, flags: int = 0) -> Key:
    return Key(number, algorithm, flags or (257 if entry else 256), None, f"digest{number}")


def link(
    zone: str, *, keys: tuple[Key, ...] = (), ds: tuple[str, ...] = (), verdict: Verdict = Verdict.SECURE
) -> ChainLink:
    keys = keys or (key(1, entry=True), key(2))
    if verdict is not Verdict.SECURE:
        return ChainLink(zone, verdict, ds)
    return ChainLink(
        zone, verdict, ds or ("1 13 2 AA",), keys, (1,), AT - timedelta(days=1), AT + timedelta(days=13), 60
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
    return Observation(id=observation_id, occasion=occasion, observed_at=at, judgement=judged, evidence=evidence)


def polls(*made: Observation, at: datetime) -> PollBatch:
    return PollBatch(
        id=digest_of(*(one.id for one in made), at.isoformat())[:32],
        vantage=made[0].judgement.vantage,
        names=tuple(one.judgement.name for one in made),
        types=tuple("A" for _ in made),
        observations=tuple(one.id for one in made),
        polled_at=tuple(at for _ in made),
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

"""What pages and API show of the analyzer's state: endpoints and who consumes them, identities and how they fare."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from analyzer.endpoints.current import Current
from analyzer.findings.blast import Consumers
from analyzer.zones.timeline import Timeline
from anchorwatch.web.chains import chain_ends_at
from schemas.judgement import Verdict
from schemas.messages import Finding


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """One watched name and type through one vantage, as it is now.

    ``chain`` names the zones that it lies behind, root first. ``expires_at`` is when the first signature ends that a
    secure or insecure verdict rests on: that of the answer, or one of a zone of its chain.
    """

    name: str
    type: str
    vantage: str
    verdict: Verdict
    cause_zone: str
    chain: tuple[str, ...] = ()
    conditions: tuple[str, ...]
    details: tuple[str, ...]
    last_polled_at: datetime
    expires_at: datetime | None
    observation: str
    evidence: str
    identities: tuple[str, ...]
    owners: tuple[str, ...]


class IdentityView(msgspec.Struct, frozen=True, kw_only=True):
    """One identity and the weakest verdict among what it consumes, None while nothing was observed.

    ``endpoints`` are its entries, ``hosts`` the different names in them.
    """

    id: str
    kind: str
    owner: str
    environment: str
    criticality: str
    verdict: Verdict | None
    endpoints: tuple[str, ...]
    hosts: int = 0
    labels: dict[str, str] = {}


def host_count(finding: Finding) -> str:
    """Return how many different names a finding affects; one that lists not all of them says "at least"."""
    hosts = len({endpoint.split(" ")[0] for endpoint in finding.endpoints})
    return f"at least {hosts}" if finding.endpoint_count > len(finding.endpoints) else str(hosts)


def endpoint_views(
    current: Mapping[tuple[str, str, str], Current], consumers: Consumers, zones: Timeline
) -> list[EndpointView]:
    """Return what is watched, weakest verdict first, then by name."""
    views = []
    ends_by_chain: dict[tuple[tuple[str, ...], str], datetime | None] = {}  # many names have the same chain
    for (name, rdtype, vantage), state in list(current.items()):
        affected = consumers.consumers_of(name)
        if (state.chain, vantage) not in ends_by_chain:
            ends_by_chain[state.chain, vantage] = chain_ends_at(state.chain, vantage, zones)
        views.append(
            EndpointView(
                name=name,
                type=rdtype,
                vantage=vantage,
                verdict=state.verdict,
                cause_zone=state.cause_zone,
                chain=state.chain,
                conditions=tuple(condition.code for condition in state.conditions),
                details=tuple(condition.detail for condition in state.conditions),
                last_polled_at=state.applied_at,
                expires_at=_first_end(state, ends_by_chain[state.chain, vantage]),
                observation=state.observation,
                evidence=state.evidence,
                identities=tuple(one.id for one in affected),
                owners=tuple(sorted({one.owner for one in affected if one.owner})),
            )
        )
    return sorted(views, key=lambda view: (-view.verdict.weakness, view.name, view.type, view.vantage))


def _first_end(state: Current, chain_ends: datetime | None) -> datetime | None:
    if not state.validated:
        return None  # it rests on no signature
    ends = (state.expiry.expires_at if state.expiry is not None else None, chain_ends)
    return min((end for end in ends if end is not None), default=None)


def identity_views(views: Sequence[EndpointView], consumers: Consumers) -> list[IdentityView]:
    """Return the identities, weakest verdict first, then by id."""
    weakest: dict[str, Verdict] = {}
    for view in views:
        for identity in view.identities:
            known = weakest.get(identity)
            if known is None or view.verdict.weakness > known.weakness:
                weakest[identity] = view.verdict
    found = [
        IdentityView(
            id=identity.id,
            kind=identity.kind,
            owner=identity.owner,
            environment=identity.environment,
            criticality=identity.criticality,
            verdict=weakest.get(identity.id),
            endpoints=tuple(endpoint.host for endpoint in identity.endpoints),
            hosts=len({endpoint.host for endpoint in identity.endpoints}),
            labels=identity.labels,
        )
        for identity in consumers.all()
    ]
    return sorted(found, key=lambda one: (-one.verdict.weakness if one.verdict else 1, one.id))

"""Chains put together again: an endpoint names the zones that it lies behind, their observations say the rest."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from analyzer.endpoints.current import Current
from analyzer.zones.timeline import Timeline
from schemas.judgement import ChainLink, Reason, Verdict, ZoneKey
from schemas.messages import SignatureWindow, ZoneObservation


class ZoneView(msgspec.Struct, frozen=True, kw_only=True):
    """A zone as a vantage sees it, with what leads to it from ``parent``.

    ``windows`` are the signatures that the link rests on, ``expires_at`` is when the first of them ends. ``since_at``
    is since when the zone is seen so, its signatures included; None where the zone itself was never observed.
    """

    zone: str
    vantage: str
    verdict: Verdict
    parent: str = ""
    ds: tuple[str, ...] = ()
    keys: tuple[ZoneKey, ...] = ()
    signed_by: tuple[int, ...] = ()
    windows: tuple[SignatureWindow, ...] = ()
    expires_at: datetime | None = None
    reasons: tuple[Reason, ...] = ()
    remarks: tuple[Reason, ...] = ()
    since_at: datetime | None = None
    observation: str = ""
    evidence: str = ""


def zone_view(message: ZoneObservation) -> ZoneView:
    """Return a zone as its observation has it."""
    link = message.link
    return ZoneView(
        zone=message.zone,
        vantage=message.vantage,
        verdict=link.verdict,
        parent=message.parent,
        ds=link.ds,
        keys=link.keys,
        signed_by=link.signed_by,
        windows=message.windows,
        expires_at=min((window.expires_at for window in message.windows), default=None),
        reasons=message.reasons,
        remarks=message.remarks,
        since_at=message.observed_at,
        observation=message.id,
        evidence=message.evidence.digest,
    )


def zone_views(zones: Timeline, zone: str = "", vantage: str = "") -> list[ZoneView]:
    """Return the zones as they are now, weakest verdict first, then by name; of one name or vantage where given."""
    views = [
        zone_view(state.observation)
        for (name, _, seen_from), state in zones.items()
        if zone in ("", name) and vantage in ("", seen_from)
    ]
    return sorted(views, key=lambda view: (-view.verdict.weakness, view.zone, view.vantage))


def join_chain(links: Iterable[ChainLink], vantage: str, zones: Mapping[str, ZoneObservation]) -> tuple[ZoneView, ...]:
    """Return the whole of a stored chain; ``zones`` are its zones by name, as they were seen then.

    The verdicts are the endpoint's own: another collector may have seen a zone otherwise at the same time.
    """
    return tuple(
        msgspec.structs.replace(zone_view(zones[link.zone]), verdict=link.verdict)
        if link.zone in zones
        else ZoneView(zone=link.zone, vantage=vantage, verdict=link.verdict)
        for link in links
    )


def current_chain(current: Current, vantage: str, zones: Timeline) -> tuple[ZoneView, ...]:
    """Return the whole chain of an endpoint as it is now, root first; zones that were never observed are left out."""
    states = (zones.get((zone, "", vantage)) for zone in current.chain)
    return tuple(zone_view(state.observation) for state in states if state is not None)


def chain_ends_at(chain: Iterable[str], vantage: str, zones: Timeline) -> datetime | None:
    """Return when the first signature ends that the zones of a chain rest on now."""
    states = (zones.get((zone, "", vantage)) for zone in chain)
    windows = (window for state in states if state is not None for window in state.observation.windows)
    return min((window.expires_at for window in windows), default=None)

"""What the collector needs to know; the shell fills it from the configuration file."""

from pathlib import Path

import msgspec

from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.policy import Policy
from collector.resolvers.address import Address
from schemas.egress import DIRECT, Egress


class InventorySource(msgspec.Struct, frozen=True, kw_only=True):
    """One inventory file; ``format`` is yaml, csv, json or txt.

    max_shrink: at most this share of its 7-day maximum may be gone at once.
    accept_after_s: a greater loss is accepted once it stayed the same for so long.
    """

    path: Path
    format: str
    max_shrink: float = 0.2
    accept_after_s: float = 86_400.0


class VantagePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A named resolver."""

    name: str
    address: Address


class CollectorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that the collector is told.

    interval_s: every endpoint is polled this often, spread evenly.
    refresh_s: an unchanged endpoint is observed in full again after this long.
    claim_every: the resolver's own claim is asked with every n-th poll of an endpoint.
    concurrency: exchanges under way at once.
    state: the folder that keeps the last good rows of the sources; None keeps them in memory only.
    egress: how vantages that are asked over HTTPS or TLS are reached, and whom to trust.
    changes_per_hour: of one endpoint's data, so many changes an hour are observed; of more, only the count.
    """

    sources: tuple[InventorySource, ...]
    state: Path | None = None
    vantages: tuple[VantagePoint, ...]
    anchors: TrustAnchors
    policy: Policy
    interval_s: float = 60.0
    refresh_s: float = 86_400.0
    claim_every: int = 10
    concurrency: int = 128
    timeout_s: float = 1.5
    attempts: int = 3
    egress: Egress = DIRECT
    changes_per_hour: int = 12

    @property
    def vantage_names(self) -> tuple[str, ...]:
        """Return the names of the vantages, in their order."""
        return tuple(point.name for point in self.vantages)

"""What the collector needs to know; the shell fills it from the configuration file."""

import hashlib
from pathlib import Path

import msgspec

from collector.authorities.hints import ROOT_HINTS, Hints
from collector.dnssec.anchors import TrustAnchors
from collector.dnssec.policy import Policy
from collector.resolvers.address import Address
from schemas.egress import DIRECT, Egress


class WebSource(msgspec.Struct, frozen=True, kw_only=True):
    """An inventory that is fetched: a document by its URL, or the objects of a Kubernetes API server.

    url: without user, and for an API server without path.
    is_cluster: whether it is an API server; of ``namespaces`` alone the objects count, empty: of all.
    headers_path, token_path: files read with every request, since tokens are renewed there.
    ca_path: the authorities to trust instead of those of ``egress``.
    every_s: it is asked so often; timeout_s: a request takes at most so long, with all of its answer.
    """

    url: str
    is_cluster: bool = False
    namespaces: tuple[str, ...] = ()
    headers_path: str = ""
    token_path: str = ""
    ca_path: str = ""
    every_s: float = 300.0
    timeout_s: float = 30.0
    egress: Egress = DIRECT

    @property
    def name(self) -> str:
        """Return what people call it: the URL, without its query, which may be secret."""
        address, query, rest = self.url.partition("?")
        named = f"{address}?…{hashlib.sha256(rest.encode()).hexdigest()[:8]}" if query else address
        return f"kubernetes {named}" if self.is_cluster else named


class InventorySource(msgspec.Struct, frozen=True, kw_only=True):
    """One source of the inventory: a file, a folder, the files that fit ``pattern`` below ``root``, or one on the web.

    path: the file or folder, or root and pattern together; of no meaning for one on the web.
    format: one of ``collector.inventory.formats.known.NAMES``; empty: each document by its name and looks.
    max_shrink: at most this share of its 7-day maximum may be gone at once.
    accept_after_s: a greater loss is accepted once it stayed the same for so long.
    identity: who consumes the hosts of a plain list, or what an MCP client or the component of a bill is called.
    defaults: the fields of an identity that count where a row does not say them.
    env_urls: whether URLs in the environment of containers count.
    """

    path: Path = Path()
    format: str = ""
    max_shrink: float = 0.2
    accept_after_s: float = 86_400.0
    is_folder: bool = False
    root: Path | None = None
    pattern: str = ""
    identity: str = ""
    defaults: dict[str, str] = {}
    env_urls: bool = False
    web: WebSource | None = None

    @property
    def key(self) -> str:
        """Return what the source is known by, to people and to what is kept of it."""
        return self.web.name if self.web is not None else str(self.path)


class VantagePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A named resolver; or the authoritative servers, where its address says so."""

    name: str
    address: Address


class Authorities(msgspec.Struct, frozen=True, kw_only=True):
    """How authoritative servers are found, asked and swept.

    vantage: the name by which they are known: that of the vantage which walks to them, if there is one.
    hints: the addresses of the root servers, by name.
    stubs: zones, in presentation format, whose servers are known from the start: their addresses.
    port: where servers are asked that have an address and no port.
    allow_private: addresses outside the public Internet are asked, too, where the DNS leads to them.
    sweep_s: all servers of a zone are asked so often.
    alarm_s: and after so long at the earliest for a zone that turns bad again.
    rate: questions a second to one address; ``total_rate``: to all together.
    """

    vantage: str = "authoritative"
    hints: Hints = ROOT_HINTS
    stubs: dict[str, tuple[str, ...]] = {}
    port: int = 53
    allow_private: bool = False
    sweep_s: float = 3600.0
    alarm_s: float = 60.0
    rate: float = 20.0
    total_rate: float = 200.0


class CollectorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that the collector is told.

    interval_s: every endpoint is polled this often, spread evenly.
    anchors_path: the file that the anchors are from, which is read again when it changes; None: they were shipped.
    refresh_s: an unchanged endpoint is observed in full again after this long.
    claim_every: the resolver's own claim is asked with every n-th poll of an endpoint.
    concurrency: exchanges under way at once.
    state: the folder that keeps the last good rows of the sources; None keeps them in memory only.
    egress: how vantages that are asked over HTTPS or TLS are reached, and whom to trust.
    shadow_every: every n-th poll that only repeats a reply is validated in full all the same, to compare; 0: none.
    changes_per_hour: of one endpoint's data, so many changes an hour are observed; of more, only the count.
    authorities: how authoritative servers are asked; None: they are not.
    by: what this collector reports its own troubles as; empty where it is the only one.
    """

    sources: tuple[InventorySource, ...]
    state: Path | None = None
    vantages: tuple[VantagePoint, ...]
    anchors: TrustAnchors
    anchors_path: Path | None = None
    policy: Policy
    interval_s: float = 60.0
    refresh_s: float = 86_400.0
    claim_every: int = 10
    concurrency: int = 128
    timeout_s: float = 1.5
    attempts: int = 3
    egress: Egress = DIRECT
    changes_per_hour: int = 12
    shadow_every: int = 0
    authorities: Authorities | None = None
    by: str = ""

    def __post_init__(self) -> None:
        if self.authorities is None and self.walked:
            raise ValueError(f"vantage {self.walked[0]} needs to know how authoritative servers are asked")

    @property
    def walked(self) -> tuple[str, ...]:
        """Return the names of the vantages that have no resolver: the authoritative servers are asked."""
        return tuple(point.name for point in self.vantages if point.address.is_authoritative)

    @property
    def vantage_names(self) -> tuple[str, ...]:
        """Return the names of the vantages, in their order."""
        return tuple(point.name for point in self.vantages)

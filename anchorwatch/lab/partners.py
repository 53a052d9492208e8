"""The world of the demo: a root, a TLD, partners signed in different ways, and what can go wrong with them.

Each ``stage_`` method makes one incident; ``restore`` puts everything right again.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

from anchorwatch.lab.world import World
from anchorwatch.lab.zones import Nsec3Params, SigningKey, Zone, generate_key
from collector.dnssec.anchors import TrustAnchors, parse_anchors

TTL_S = 1

# zone: (algorithm, NSEC3, hosts)
PARTNERS: dict[str, tuple[int, Nsec3Params | None, dict[str, str]]] = {
    "bank.example.": (13, None, {"api": "192.0.2.10", "token": "192.0.2.11", "settle": "192.0.2.12"}),
    "clearing.example.": (8, Nsec3Params(), {"gw": "192.0.2.20", "files": "192.0.2.21"}),
    "idp.example.": (15, None, {"login": "192.0.2.30", "jwks": "192.0.2.31"}),
    "models.example.": (13, Nsec3Params(), {"inference": "192.0.2.40", "tools": "192.0.2.41"}),
    "parcel.example.": (14, None, {"track": "192.0.2.50", "label": "192.0.2.51"}),
    "meter.example.": (13, Nsec3Params(opt_out=True), {"ingest": "192.0.2.60"}),
}
UNSIGNED = {"cdn.example.": {"edge7": "198.51.100.7"}, "legacy.example.": {"soap": "198.51.100.20"}}


@cache
def _keys_of(name: str, algorithm: int) -> tuple[SigningKey, SigningKey]:
    """Return a zone's first keys, the same in all worlds of a process: those of RSA take long to make."""
    return generate_key(algorithm, entry=True), generate_key(algorithm)


class PartnerWorld:
    """The demo's DNS; ``anchors`` trust its own root."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.world = World()
        self.root = self._zone(".", 13, None)
        self.tld = self._zone("example.", 13, Nsec3Params())
        for name, (algorithm, nsec3, hosts) in PARTNERS.items():
            self._fill(self._zone(name, algorithm, nsec3), hosts)
        for name, hosts in UNSIGNED.items():
            self._fill(self.world.add(Zone(dns.name.from_text(name), ttl=TTL_S)), hosts)
        self["models.example."].add("mcp", "CNAME", "tools.models.example.")
        self["parcel.example."].add("*.shops", "A", "192.0.2.52")
        self["bank.example."].add("old", "DNAME", "settle.bank.example.")
        self.sign_all()
        entry = [f". IN DS {ds}" for ds in self.root.ds_records()]
        self.anchors: TrustAnchors = parse_anchors("\n".join(entry), "lab")

    def __getitem__(self, name: str) -> Zone:
        """Return a zone by its name."""
        return self.world.zones[dns.name.from_text(name)]

    @property
    def now(self) -> datetime:
        """Return the world's time."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def _zone(self, name: str, algorithm: int, nsec3: Nsec3Params | None) -> Zone:
        zone = Zone(dns.name.from_text(name), ttl=TTL_S, keys=list(_keys_of(name, algorithm)), nsec3=nsec3)
        return self.world.add(zone)

    def _fill(self, zone: Zone, hosts: dict[str, str]) -> None:
        zone.add("@", "NS", f"ns.{zone.name}")
        zone.add("ns", "A", "192.0.2.1")
        for host, address in hosts.items():
            zone.add(host, "A", address)
            zone.add(host, "AAAA", f"2001:db8::{address.rpartition('.')[2]}")

    def sign_all(self) -> None:
        """Sign every zone, children first, each parent with its children's DS."""
        for zone in sorted(self.world.zones.values(), key=lambda zone: -len(zone.name)):
            self.sign(zone)

    def sign(self, zone: Zone, **window: datetime) -> None:
        """Sign one zone, delegations to the children it has included."""
        for child in self.world.zones.values():
            parent = child.name != dns.name.root and self._parent_of(child) is zone
            if parent:
                owner = child.name.relativize(zone.name).to_text()
                zone.add(owner, "NS", f"ns.{child.name}")
                if child.is_signed and (child.name, RdataType.DS) not in zone.data:
                    zone.add(owner, "DS", *child.ds_records())
        if zone is self.root:
            zone.add("@", "NS", "ns.root-servers.example.")
        zone.sign(self.now, **window)

    def _parent_of(self, zone: Zone) -> Zone:
        name = zone.name.parent()
        while name not in self.world.zones:
            name = name.parent()
        return self.world.zones[name]

    def _set_ds(self, zone: Zone, *records: str) -> None:
        parent = self._parent_of(zone)
        owner = zone.name.relativize(parent.name).to_text()
        parent.remove(owner, "DS")
        if records:
            parent.add(owner, "DS", *records)
            self.sign(parent)
        else:
            parent.sign(self.now)

    def stage_expired(self, name: str) -> None:
        """Let the zone's signatures run out: its signer has stopped."""
        end = self.now - timedelta(minutes=5)
        self[name].sign(self.now, inception=end - timedelta(days=14), expiration=end)

    def stage_swapped_keys(self, name: str) -> None:
        """Sign the zone by keys that the parent's DS does not know."""
        zone = self[name]
        algorithm = zone.keys[0].algorithm
        self._kept = list(zone.keys)
        zone.keys = [generate_key(algorithm, entry=True), generate_key(algorithm)]
        self.sign(zone)

    def unstage_swapped_keys(self, name: str) -> None:
        """Sign the zone by its own keys again."""
        self[name].keys = self._kept
        self.sign(self[name])

    def stage_ds_removed(self, name: str) -> None:
        """Take the DS from the parent: the zone is validly unsigned from now on."""
        self._set_ds(self[name])

    def stage_replaced_without_overlap(self, name: str) -> None:
        """Replace all keys and the DS in one step, as whoever took over registrar and signer would."""
        zone = self[name]
        algorithm = zone.keys[0].algorithm
        zone.keys = [generate_key(algorithm, entry=True), generate_key(algorithm)]
        self.sign(zone)
        self._set_ds(zone, *zone.ds_records())

    def stage_forged(self, name: str, host: str, address: str) -> None:
        """Change an address behind the signer's back: the signature is that of the true one."""
        zone = self[name]
        owner = dns.name.from_text(host, zone.name)
        forged = dns.rdata.from_text(dns.rdataclass.IN, RdataType.A, address)
        zone.rrsets[owner, RdataType.A] = dns.rrset.from_rdata_list(owner, TTL_S, [forged])

    def stage_alias_to_unsigned(self, name: str, host: str, target: str) -> None:
        """Move a signed name to a CDN that is not signed."""
        zone = self[name]
        for rdtype in ("A", "AAAA"):
            zone.remove(host, rdtype)
        zone.add(host, "CNAME", target)
        self.sign(zone)

    def restore(self, name: str) -> None:
        """Put a zone right again: its records, its signatures, its DS."""
        zone = self[name]
        for host, address in PARTNERS[name][2].items():
            zone.remove(host, "CNAME")
            zone.add(host, "A", address)
            zone.add(host, "AAAA", f"2001:db8::{address.rpartition('.')[2]}")
        self.sign(zone)
        self._set_ds(zone, *zone.ds_records())

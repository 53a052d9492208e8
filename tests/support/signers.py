"""Zones whose keys are rolled over by the servers that sign them, in seconds, and a parent that follows their CDS.

    127.0.0.31   Knot      the root and quay.; quay. takes dynamic updates of its DS sets
    127.0.0.32   Knot      zones that it signs and rolls by its own policy; it pushes their DS to the parent
    127.0.0.1    BIND      zones that it signs and rolls by dnssec-policy; a registry reads their CDS
    127.0.0.1    Unbound   a resolver that caches and validates

Who follows CDS is in `registry.py`, and who notes what the servers did, and when, in `diary.py`.
"""

import base64
import contextlib
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rdtypes.dsbase import DSBase

from tests.support.daemons import Daemon, find_tool, free_ports, run_tool, until
from tests.support.signing_policies import (
    ABOVE,
    BIND,
    DS_TTL_S,
    KNOT,
    TLD,
    TTL_S,
    BindZone,
    KnotZone,
    anchorwatch_text,
    knot_text,
    named_text,
    unbound_text,
)

TOOLS = ("knotd", "knotc", "keymgr", "named", "rndc", "dnssec-cds", "dnssec-dsfromkey", "nsupdate", "unbound")
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Page:
    """What the servers said of a zone at an instant (POSIX seconds): key tags everywhere, those of CDS by its DS."""

    at: float
    keys: frozenset[int]
    ds: frozenset[int]
    signs: frozenset[int]
    """The keys that sign data."""
    cds: frozenset[int]

    def shows(self) -> tuple[frozenset[int], ...]:
        """Return all but the instant."""
        return self.keys, self.ds, self.signs, self.cds


class Signers:
    """All servers. ``folder`` must have a short path: sockets lie in it."""

    def __init__(self, folder: Path, zones: Mapping[str, KnotZone | BindZone]) -> None:
        self._folder, self.zones = folder, dict(zones)
        self.port, self._control_port, self.cache_port = free_ports(3)
        self._knot_zones = {zone: one for zone, one in zones.items() if isinstance(one, KnotZone)}
        self._bind_zones = {zone: one for zone, one in zones.items() if isinstance(one, BindZone)}
        self._one_at_a_time = threading.Lock()
        above, knot, bind = (folder / name for name in ("above", "knot", "bind"))
        self._above, self._knot, self._bind = above, knot, bind
        self._daemons = {
            "above": Daemon("above", ["knotd", "-c", above / "knot.conf"], folder),
            "knot": Daemon("knot", ["knotd", "-c", knot / "knot.conf"], folder),
            "named": Daemon("named", ["named", "-g", "-n", "1", "-c", bind / "named.conf"], folder),
            "unbound": Daemon("unbound", ["unbound", "-d", "-p", "-c", folder / "unbound.conf"], folder),
        }

    # life

    def start(self) -> None:
        """Make keys, start the signers, give the parent their DS, and wait until all keys are known everywhere."""
        for folder in (self._above, self._knot, self._bind):
            (folder / "db").mkdir(parents=True)
        for zone in self.zones:
            self._zone_file(zone).write_text(self._text(zone))
        self._configure_knot()
        self._configure_bind()
        self._daemons["named"].start()
        ds = {zone: self._make_knot_keys(self._knot, zone) for zone in self._knot_zones}
        self._daemons["knot"].start()
        for zone in self._bind_zones:
            self._daemons["named"].until_up(lambda zone=zone: self._is_signed(BIND, zone))  # type: ignore[misc]
            ds[zone] = run_tool("dnssec-dsfromkey", "-2", self.bind_ksk_file(zone), cwd=self._bind).strip()
        self._start_above(ds)
        for zone in self._knot_zones:
            self._daemons["knot"].until_up(lambda zone=zone: self._is_signed(KNOT, zone))  # type: ignore[misc]
        for zone in self._bind_zones:
            (tag,) = self.look(zone).ds
            self.tell_bind(zone, tag, "published")
        for zone in self._bind_zones:
            until(lambda zone=zone: self.is_settled(zone), f"BIND knows the DS of {zone} to be everywhere")  # type: ignore[misc]
        stubs = {".": ABOVE, TLD: ABOVE, **{zone: self.address(zone) for zone in self.zones}}
        text = unbound_text(self._folder, self.cache_port, self._folder / "root.ds", stubs, self.port)
        (self._folder / "unbound.conf").write_text(text)
        self._daemons["unbound"].start()
        self._daemons["unbound"].until_up(lambda: self._ask("127.0.0.1", ".", "SOA", self.cache_port) is not None)

    def stop(self) -> None:
        """End all servers, whatever becomes of one of them."""
        with contextlib.ExitStack() as ending:
            for daemon in self._daemons.values():
                ending.callback(daemon.stop)

    def logs(self) -> str:
        """Return the ends of all servers' logs."""
        return "\n".join(daemon.tail() for daemon in self._daemons.values())

    def config(self) -> Path:
        """Return the configuration of an anchorwatch for these zones, at the servers and through the cache."""
        endpoints = [f"{{host: www.{zone.rstrip('.')}, types: [A], expect: secure}}" for zone in self.zones]
        lines = [f"  - {{id: sa-{number}, endpoints: [{one}]}}" for number, one in enumerate(endpoints)]
        (self._folder / "inventory.yaml").write_text("identities:\n" + "\n".join(lines) + "\n")
        (self._folder / "named.root").write_text(f". 3600000 NS ns.quay.\nns.quay. 3600000 A {ABOVE}\n")
        path = self._folder / "anchorwatch.yaml"
        path.write_text(anchorwatch_text(self.cache_port, self.port))
        return path

    # rollovers

    def roll(self, zone: str, role: str) -> None:
        """Have the signer roll the zone's key of a role (ksk, zsk)."""
        if zone in self._knot_zones:
            self._knotc("zone-key-rollover", zone, role)
            return
        (tag,) = (tag for tag, kind in self._bind_keys(zone).items() if kind == role.upper())
        self._rndc("dnssec", "-rollover", "-key", str(tag), zone)

    def roll_algorithm(self, zone: str, algorithm: str) -> None:
        """Have the signer's policy name another algorithm."""
        self.set_policy(zone, algorithm=algorithm)

    def set_policy(self, zone: str, **settings: str) -> None:
        """Change settings of a zone's policy, and have its signer read them."""
        with self._one_at_a_time:
            one = self.zones[zone]
            if isinstance(one, KnotZone):
                named = {name.replace("_", "-"): value for name, value in settings.items()}
                self._knot_zones[zone] = KnotZone({**one.policy, **named}, one.ttl_s)
                self._configure_knot()
                self._knotc("reload")
            else:
                self._bind_zones[zone] = BindZone({**one.policy, **settings}, one.ds_ttl_s)
                self._configure_bind()
                self._rndc("reconfig")

    def tell_bind(self, zone: str, tag: int, what: str) -> None:
        """Tell BIND that a key's DS was published or withdrawn, whether it was or not."""
        self._rndc("dnssec", "-checkds", "-key", str(tag), what, zone)

    def is_settled(self, zone: str) -> bool:
        """Return whether BIND counts all that it published of a zone as known everywhere."""
        states = re.findall(r"- (?:dnskey|ds|zone rrsig|key rrsig): +(\w+)", self.bind_status(zone))
        return bool(states) and set(states) == {"omnipresent"}

    def bind_status(self, zone: str) -> str:
        """Return what BIND says of a zone's keys."""
        return self._rndc("dnssec", "-status", zone)

    def _bind_keys(self, zone: str) -> dict[int, str]:
        return {int(tag): role for tag, role in re.findall(r"^key: (\d+) \(\w+\), (\w+)", self.bind_status(zone), re.M)}

    def bind_ksk_file(self, zone: str) -> Path:
        """Return the public key of a zone that has only one KSK."""
        files = sorted((self._bind / zone.rstrip(".")).glob("K*.key"))
        (ksk,) = (file for file in files if " DNSKEY 257 " in file.read_text())
        return ksk

    # the parent

    def set_ds(self, zone: str, *records: str, ttl_s: int | None = None) -> None:
        """Have the parent publish this DS set, in presentation format, or none."""
        one = self.zones[zone]
        kept_s = ttl_s or (one.ds_ttl_s if isinstance(one, BindZone) else DS_TTL_S)
        self.update_parent(f"update delete {zone} DS", *(f"update add {zone} {kept_s} DS {text}" for text in records))
        wanted = {int(text.split()[0]) for text in records}
        until(lambda: self.look(zone).ds == wanted, f"the parent serves DS {wanted} of {zone}", within_s=PATIENCE_S)

    def update_parent(self, *lines: str) -> None:
        """Send a dynamic update to the parent's primary."""
        script = self._folder / f"update-{secrets.token_hex(4)}"
        script.write_text("\n".join([f"server {ABOVE} {self.port}", f"zone {TLD}", *lines, "send"]) + "\n")
        run_tool("nsupdate", script, cwd=self._folder)

    def ds_texts(self, zone: str) -> list[str]:
        """Return the DS set at the parent, in presentation format."""
        return [rdata.to_text() for rdata in self._ds(ABOVE, zone, "DS")]

    def entry_ds(self, zone: str) -> dict[int, str]:
        """Return by tag the DS records of all entry keys that the zone publishes."""
        keys = [key for key in self._keys(self.address(zone), zone) if key.flags & 1]
        made = [dns.dnssec.make_ds(dns.name.from_text(zone), key, "SHA256") for key in keys]
        return {one.key_tag: one.to_text() for one in made}

    # what is served

    def address(self, zone: str) -> str:
        """Return the address of a zone's server."""
        return KNOT if zone in self._knot_zones else BIND

    def look(self, zone: str) -> Page:
        """Return what the servers say of a zone now."""
        at, server = time.time(), self.address(zone)
        return Page(
            at,
            frozenset(dns.dnssec.key_id(key) for key in self._keys(server, zone)),
            frozenset(one.key_tag for one in self._ds(ABOVE, zone, "DS")),
            frozenset(self._signers(server, f"www.{zone}", "A") | self._signers(server, zone, "SOA")),
            frozenset(one.key_tag for one in self._ds(server, zone, "CDS")),
        )

    def signed_cds(self, zone: str) -> str:
        """Return the zone's DNSKEY, CDS and CDNSKEY sets with their signatures, as a zone file has them."""
        found = []
        for rdtype in ("DNSKEY", "CDS", "CDNSKEY"):
            reply = self._ask(self.address(zone), zone, rdtype)
            found += [rrset.to_text() for rrset in reply.answer] if reply else []
        return "\n".join(found) + "\n"

    def _keys(self, server: str, zone: str) -> list[DNSKEY]:
        return [one for one in self._records(server, zone, "DNSKEY") if isinstance(one, DNSKEY)]

    def _ds(self, server: str, zone: str, rdtype: str) -> list[DSBase]:
        return [one for one in self._records(server, zone, rdtype) if isinstance(one, DSBase)]

    def _signers(self, server: str, name: str, rdtype: str) -> set[int]:
        return {one.key_tag for one in self._records(server, name, rdtype) if isinstance(one, RRSIG)}

    def _records(self, server: str, name: str, rdtype: str) -> list[dns.rdata.Rdata]:
        """Return the records of an answer with their signatures."""
        reply = self._ask(server, name, rdtype)
        return [one for rrset in reply.answer for one in rrset] if reply else []

    def _is_signed(self, server: str, zone: str) -> bool:
        return bool(self._signers(server, zone, "DNSKEY") and self._signers(server, f"www.{zone}", "A"))

    def cached_ttl_s(self, zone: str) -> int:
        """Return for how long the cache keeps the zone's name, as it is now."""
        reply = self._ask("127.0.0.1", f"www.{zone}", "A", self.cache_port)
        return reply.answer[0].ttl if reply is not None and reply.answer else 0

    def _ask(self, server: str, name: str, rdtype: str, port: int = 0) -> dns.message.Message | None:
        query = dns.message.make_query(name, rdtype, want_dnssec=True, payload=4096)
        try:
            reply, _ = dns.query.udp_with_fallback(query, server, timeout=2.0, port=port or self.port)
        except (dns.exception.DNSException, OSError):
            return None
        return reply if reply.rcode() == dns.rcode.NOERROR else None

    # files

    def _zone_file(self, zone: str) -> Path:
        folder = self._bind if zone in self._bind_zones else self._knot
        return folder / f"{zone.rstrip('.')}.zone"

    def _text(self, zone: str) -> str:
        one = self.zones[zone]
        ttl_s = one.ttl_s if isinstance(one, KnotZone) else TTL_S
        lines = [*_head(zone, f"ns.{zone}"), f"ns.{zone} A {self.address(zone)}", f"www.{zone} {ttl_s} A 192.0.2.10"]
        return "\n".join(lines) + "\n"

    def _start_above(self, ds: Mapping[str, str]) -> None:
        zones = {zone: {"algorithm": "ecdsap256sha256", "dnskey-ttl": "3s"} for zone in (".", TLD)}
        self._write_knot(self._above, ABOVE, zones)
        top = self._make_knot_keys(self._above, ".")
        lines = [*_head(".", f"ns.{TLD}"), f"{TLD} NS ns.{TLD}", f"ns.{TLD} A {ABOVE}"]
        (self._above / "root.zone").write_text("\n".join([*lines, self._make_knot_keys(self._above, TLD)]) + "\n")
        lines = [*_head(TLD, f"ns.{TLD}"), f"ns.{TLD} A {ABOVE}"]
        for zone, one in self.zones.items():
            lines += [f"{zone} NS ns.{zone}", f"ns.{zone} A {self.address(zone)}"]
            kept_s = one.ds_ttl_s if isinstance(one, BindZone) else DS_TTL_S
            lines.append(re.sub(r"^(\S+)\s+(?:\d+\s+)?(?:IN\s+)?DS", rf"\1 {kept_s} IN DS", ds[zone]))
        (self._above / f"{TLD.rstrip('.')}.zone").write_text("\n".join(lines) + "\n")
        (self._folder / "root.ds").write_text(top + "\n")
        self._daemons["above"].start()
        self._daemons["above"].until_up(
            lambda: bool(self._signers(ABOVE, TLD, "DNSKEY") and self._signers(ABOVE, ".", "SOA"))
        )

    def _make_knot_keys(self, folder: Path, zone: str) -> str:
        """Make the first keys of a zone of Knot and return the KSK's DS record."""
        one = self._knot_zones.get(zone, KnotZone()).settings()
        for role in ("ksk=yes", "zsk=yes"):
            algorithm = f"algorithm={one['algorithm']}"
            run_tool("keymgr", "-c", folder / "knot.conf", zone, "generate", algorithm, role, cwd=folder)
        printed = run_tool("keymgr", "-c", folder / "knot.conf", zone, "ds", cwd=folder)
        return next(line for line in printed.splitlines() if re.search(r" DS \d+ \d+ 2 ", line))

    def _configure_knot(self) -> None:
        self.zones.update(self._knot_zones)
        self._write_knot(self._knot, KNOT, {zone: one.settings() for zone, one in self._knot_zones.items()})

    def _write_knot(self, folder: Path, address: str, zones: Mapping[str, Mapping[str, str]]) -> None:
        _put(folder / "knot.conf", knot_text(folder, address, self.port, zones))

    def _configure_bind(self) -> None:
        self.zones.update(self._bind_zones)
        key = self._bind / "rndc.key"
        if not key.exists():
            secret = base64.b64encode(secrets.token_bytes(32)).decode()
            key.write_text(f'key "rndc-key" {{ algorithm hmac-sha256; secret "{secret}"; }};\n')
        for zone in self._bind_zones:
            (self._bind / zone.rstrip(".")).mkdir(exist_ok=True)
        text = named_text(self._bind, self.port, self._control_port, self._bind_zones)
        _put(self._bind / "named.conf", text)

    def _knotc(self, *arguments: str) -> None:
        run_tool("knotc", "-c", self._knot / "knot.conf", *arguments, cwd=self._knot)

    def _rndc(self, *arguments: str) -> str:
        to = ("-s", BIND, "-p", str(self._control_port), "-k", self._bind / "rndc.key")
        return run_tool("rndc", *to, *arguments, cwd=self._bind)


def _put(path: Path, text: str) -> None:
    """Write a file that others may read at any time."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _head(zone: str, server: str) -> list[str]:
    """Return the apex of a zone file."""
    return [f"$TTL {TTL_S}", f"{zone} SOA {server} host. 1 3600 600 864000 1", f"{zone} NS {server}"]


def missing_tools() -> list[str]:
    """Return which programs are not installed."""
    return [tool for tool in TOOLS if find_tool(tool) is None]

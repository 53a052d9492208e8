"""One zone with many servers on loopback, each at an address of its own, and each with another fault.

    127.0.0.1    BIND   the root and quay., signed by dnssec-signzone; it does not serve fleet.quay.
    127.0.0.21   NSD    fleet.quay. as it should be
    127.0.0.22   NSD    an older copy, whose signatures have ended: a secondary that gets no more transfers
    127.0.0.23   Knot   a copy without DNSSEC records
    127.0.0.24   NSD    it does not serve the zone
    127.0.0.25   NSD    a copy of which one record was changed after signing
    127.0.0.26          nobody

The delegation also names BIND itself, which listens at addresses of an interface only, and a name that does not exist.
"""

import contextlib
import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from tests.support.daemons import Daemon, find_tool, free_ports, run_tool

TOOLS = ("named", "nsd", "knotd", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey")
ZONE, TLD = "fleet.quay.", "quay."
ABOVE, GOOD, STALE, STRIPPED, LAME, FORGED, DEAD = (f"127.0.0.{number}" for number in (1, 21, 22, 23, 24, 25, 26))
SERVERS = {
    "ns1": GOOD,
    "ns2": STALE,
    "ns3": STRIPPED,
    "ns4": LAME,
    "ns5": FORGED,
    "ns6": DEAD,
    "ns7": ABOVE,
}
MISSING = "gone.quay."
ADDRESS, FORGED_ADDRESS = "192.0.2.10", "192.0.2.66"
SERIAL, STALE_SERIAL = 7, 3

NAMED = """\
options {{
  directory "{folder}"; pid-file "named.pid"; session-keyfile "session.key"; managed-keys-directory "{folder}";
  listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }};
  recursion no; notify no; dnssec-validation no; max-cache-size 8M;
}};
controls {{ }};
zone "." {{ type primary; file "root.signed"; }};
zone "quay." {{ type primary; file "quay.signed"; }};
"""
NSD = """\
server:
  ip-address: {address}
  port: {port}
  username: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/{name}.pid"
  xfrdfile: "{folder}/{name}.xfrd"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/{name}.zones"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""
NSD_ZONE = 'zone:\n  name: "{zone}"\n  zonefile: "{file}"\n'
KNOT = """\
server:
  listen: {address}@{port}
  rundir: "{folder}"
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{folder}/knot.db"
template:
  - id: default
    storage: "{folder}"
    zonefile-sync: -1
zone:
  - domain: fleet.quay.
    file: "fleet.zone"
"""
CONFIG = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: auth, resolver: "authoritative:"}}]
authoritative: {{hints: named.root, port: {port}, allow_private: true, sweep: {sweep}}}
trust_anchors: {{path: root.ds}}
poll: {{interval: 1s, timeout: 500ms}}
"""
INVENTORY = """\
identities:
  - {id: sa-crew, endpoints: [{host: www.fleet.quay, types: [A, AAAA]}]}
  - {id: sa-desk, endpoints: [{host: www.quay, types: [A]}]}
"""


class Fleet:
    """The servers, and the configuration of an anchorwatch that walks to them. ``folder`` must have a short path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self.port,) = free_ports(1)
        nsd = {"good": GOOD, "stale": STALE, "lame": LAME, "forged": FORGED}
        self._nsd = nsd
        self._daemons = {
            ABOVE: Daemon("named", ["named", "-g", "-n", "1", "-c", folder / "named.conf"], folder),
            STRIPPED: Daemon("knotd", ["knotd", "-c", folder / "knot.conf"], folder),
            **{
                at: Daemon(f"nsd-{name}", ["nsd", "-d", "-c", folder / f"{name}.conf"], folder)
                for name, at in nsd.items()
            },
        }

    def start(self) -> None:
        """Make and sign the zones from the leaf up, and start all servers."""
        now = datetime.now(UTC)
        keys = [self._keygen(zone) for zone in (ZONE, TLD, ".")]
        self._write("fleet.zone", self._leaf(STALE_SERIAL))
        self._sign(ZONE, "fleet.zone", "stale.signed", now - timedelta(days=40), now - timedelta(days=2))
        self._write("fleet.zone", self._leaf(SERIAL))
        self._sign(ZONE, "fleet.zone", "good.signed", now - timedelta(hours=1), now + timedelta(days=30))
        signed = (self._folder / "good.signed").read_text()
        self._write("forged.signed", signed.replace(ADDRESS, FORGED_ADDRESS))
        self._write("quay.zone", self._tld(keys[0]))
        self._sign(TLD, "quay.zone", "quay.signed", now - timedelta(hours=1), now + timedelta(days=30))
        self._write("root.zone", _head(".", "ns.quay.", 1) + f"quay. NS ns.quay.\nns.quay. A {ABOVE}\n{keys[1]}\n")
        self._sign(".", "root.zone", "root.signed", now - timedelta(hours=1), now + timedelta(days=30))
        self._write("root.ds", keys[2] + "\n")
        self._write("named.root", f". 3600000 NS ns.quay.\nns.quay. 3600000 A {ABOVE}\n")
        self._configure()
        for address, daemon in self._daemons.items():
            daemon.start()
            daemon.until_up(functools.partial(self._answers, address))

    def stop(self) -> None:
        """End all servers, whatever becomes of one of them."""
        with contextlib.ExitStack() as ending:
            for daemon in self._daemons.values():
                ending.callback(daemon.stop)

    def config(self, *, sweep: str = "2s") -> Path:
        """Return the configuration of an anchorwatch for this world."""
        self._write("inventory.yaml", INVENTORY)
        self._write("anchorwatch.yaml", CONFIG.format(port=self.port, sweep=sweep))
        return self._folder / "anchorwatch.yaml"

    def at(self, address: str) -> str:
        """Return the address of a server as anchorwatch names it."""
        return f"{address}:{self.port}"

    def hints(self) -> Path:
        """Return a file of root servers with their port."""
        self._write("port.root", f". NS ns.quay.\nns.quay. A {self.at(ABOVE)}\n")
        return self._folder / "port.root"

    @property
    def anchors(self) -> Path:
        """Return the file with the root's DS."""
        return self._folder / "root.ds"

    def logs(self) -> str:
        """Return the ends of all servers' logs."""
        return "\n".join(daemon.tail() for daemon in self._daemons.values())

    def _configure(self) -> None:
        settings = {"folder": self._folder, "port": self.port}
        self._write("named.conf", NAMED.format(address=ABOVE, **settings))
        (self._folder / "knot.db").mkdir()
        self._write("knot.conf", KNOT.format(address=STRIPPED, **settings))
        for name, address in self._nsd.items():
            zone = "" if name == "lame" else NSD_ZONE.format(zone=ZONE, file=f"{name}.signed")
            self._write(f"{name}.conf", NSD.format(address=address, name=name, **settings) + zone)

    def _leaf(self, serial: int) -> str:
        return (
            _head(ZONE, *(f"{name}.{ZONE}" for name in SERVERS), MISSING, serial)
            + "".join(f"{name}.{ZONE} A {address}\n" for name, address in SERVERS.items())
            + f"www.{ZONE} A {ADDRESS}\n"
        )

    def _tld(self, ds: str) -> str:
        return (
            _head(TLD, "ns.quay.", 1)
            + "".join(f"{ZONE} NS {name}.{ZONE}\n{name}.{ZONE} A {address}\n" for name, address in SERVERS.items())
            + f"{ZONE} NS {MISSING}\nns.quay. A {ABOVE}\nwww.quay. A {ADDRESS}\nwww.quay. AAAA 2001:db8::10\n{ds}\n"
        )

    def _keygen(self, zone: str) -> str:
        """Make a KSK and a ZSK and return the DS record."""
        options = ("-q", "-a", "ECDSAP256SHA256")
        ksk = run_tool("dnssec-keygen", *options, "-f", "KSK", zone, cwd=self._folder).strip()
        run_tool("dnssec-keygen", *options, zone, cwd=self._folder)
        return run_tool("dnssec-dsfromkey", "-2", f"{ksk}.key", cwd=self._folder).strip()

    def _sign(self, zone: str, source: str, target: str, begin: datetime, end: datetime) -> None:
        run_tool(
            *("dnssec-signzone", "-q", "-S", "-P", "-T", "1", "-O", "full", "-K", self._folder),
            *("-s", f"{begin:%Y%m%d%H%M%S}", "-e", f"{end:%Y%m%d%H%M%S}"),
            *("-o", zone, "-f", self._folder / target, self._folder / source),
            cwd=self._folder,
        )

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)

    def _answers(self, address: str) -> bool:
        query = dns.message.make_query(ZONE, "SOA")
        try:
            dns.query.udp(query, address, timeout=1.0, port=self.port)
        except (dns.exception.DNSException, OSError):
            return False
        return True


def _head(zone: str, *rest: str | int) -> str:
    """Return the apex of a zone file: the names of the servers, and last the serial."""
    *servers, serial = rest
    lines = [f"$TTL 1\n{zone} SOA {servers[0]} host. {serial} 3600 600 864000 1"]
    return "\n".join([*lines, *(f"{zone} NS {server}" for server in servers)]) + "\n"


def missing_tools() -> list[str]:
    """Return which programs are not installed."""
    return [tool for tool in TOOLS if find_tool(tool) is None]

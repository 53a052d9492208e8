"""A small signed DNS on loopback, each part by another implementation and its own tools.

    .                                   BIND, signed by dnssec-signzone, NSEC
    └── quay.                           BIND, signed by dnssec-signzone, NSEC3
        ├── bank, idp, vault, forged    NSD, signed by dnssec-signzone, NSEC
        ├── clearing                    NSD, signed by dnssec-signzone, NSEC3
        ├── plain                       NSD, not signed
        ├── crane                       Knot, signed by the server itself, NSEC3
        ├── fuel, parcel                Knot, signed by kzonesign, NSEC
        └── dark                        has a DS, and its server does not know it

Unbound is the resolver that validates. It keeps nothing, so that it sees a change as early as anchorwatch does, and an
answer never comes with keys of an earlier moment: from then on a zone's fault would look like that of a name in it.
"""

import base64
import contextlib
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

from tests.support.daemons import Daemon, find_tool, free_ports, run_tool, until

TOOLS = (
    *("named", "rndc", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey", "delv"),
    *("nsd", "nsd-control", "knotd", "knotc", "keymgr", "kzonesign", "unbound"),
)
TLD = "quay."
BY_SIGNZONE = ("bank.quay.", "idp.quay.", "vault.quay.", "clearing.quay.", "forged.quay.", "dark.quay.")
BY_KZONESIGN = ("fuel.quay.", "parcel.quay.")
BY_KNOTD = ("crane.quay.",)
UNSIGNED = ("plain.quay.",)
WITH_NSEC3 = (TLD, "clearing.quay.")
NOT_SERVED = ("dark.quay.",)
ALGORITHM = "ECDSAP256SHA256"
ADDRESS = "192.0.2.10"
FORGED_ADDRESS = "192.0.2.66"
LIFETIME = timedelta(days=30)
FIRST_LIFETIME = {"clearing.quay.": timedelta(days=20)}

HOSTS = f"""\
api IN A {ADDRESS}
www IN A {ADDRESS}
"""
MORE_RECORDS = {
    "bank.quay.": "login IN CNAME www.parcel.quay.\n",
    "parcel.quay.": "label IN CNAME www.plain.quay.\n",
}

NAMED = """\
options {{
  directory "{folder}"; pid-file "named.pid"; session-keyfile "session.key"; managed-keys-directory "{folder}";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; notify no; dnssec-validation no; max-cache-size 8M;
}};
include "rndc.key";
controls {{ inet 127.0.0.1 port {control_port} allow {{ 127.0.0.1; }} keys {{ "rndc-key"; }}; }};
zone "." {{ type primary; file "root.zone.signed"; }};
zone "quay." {{ type primary; file "quay.zone.signed"; }};
"""
RNDC_KEY = 'key "rndc-key" {{ algorithm hmac-sha256; secret "{secret}"; }};\n'
NSD = """\
server:
  ip-address: 127.0.0.1
  port: {port}
  username: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/nsd.xfrd"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/nsd.zones"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: yes
  control-interface: "{folder}/nsd.ctl"
"""
NSD_ZONE = 'zone:\n  name: "{zone}"\n  zonefile: "{file}"\n'
KNOT = """\
server:
  listen: 127.0.0.1@{port}
  rundir: "{folder}"
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
control:
  listen: "{folder}/knot.ctl"
log:
  - target: stderr
    any: info
database:
  storage: "{storage}"
policy:
  - id: kept
    manual: on
    algorithm: {algorithm}
    dnskey-ttl: 1s
    rrsig-lifetime: 30d
  - id: rolling
    algorithm: {algorithm}
    ksk-lifetime: 0
    zsk-lifetime: 0
    dnskey-ttl: 1s
    zone-max-ttl: 1s
    propagation-delay: 2s
    rrsig-lifetime: 30d
    nsec3: on
    nsec3-iterations: 0
    nsec3-salt-length: 0
template:
  - id: default
    storage: "{folder}"
    zonefile-sync: -1
zone:
"""
KNOT_ZONE = '  - domain: {zone}\n    file: "{file}"\n'
UNBOUND = """\
server:
  interface: 127.0.0.1
  port: {port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  do-ip6: no
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{folder}/root.key"
  trust-anchor-signaling: no
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  val-bogus-ttl: 0
  ede: yes
  val-log-level: 2
remote-control:
  control-enable: no
"""
UNBOUND_STUB = 'stub-zone:\n  name: "{zone}"\n  stub-addr: 127.0.0.1@{port}\n'


class World:
    """All servers, and what can be done to their zones. ``folder`` must have a short path: sockets lie in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = free_ports(5)
        self._named_port, self._rndc_port, self._nsd_port, self._knot_port, self.port = ports
        self._serials: dict[str, int] = {}
        self._ds: dict[str, str] = {}
        self._named = Daemon("named", ["named", "-g", "-n", "1", "-c", folder / "named.conf"], folder)
        self._nsd = Daemon("nsd", ["nsd", "-d", "-c", folder / "nsd.conf"], folder)
        self._knot = Daemon("knotd", ["knotd", "-c", folder / "knot.conf"], folder)
        self._unbound = Daemon("unbound", ["unbound", "-d", "-p", "-c", folder / "unbound.conf"], folder)
        self._daemons = (self._unbound, self._named, self._nsd, self._knot)

    @property
    def resolver(self) -> str:
        """Return the resolver's URL."""
        return f"udp://127.0.0.1:{self.port}"

    @property
    def anchor_file(self) -> Path:
        """Return the file with the root's DS."""
        return self._folder / "root.ds"

    @property
    def delv_anchor_file(self) -> Path:
        """Return the same anchor as delv reads it."""
        return self._folder / "delv.anchors"

    # life

    def start(self) -> None:
        """Make and sign all zones from the leaves up, and start the servers, the resolver last."""
        self._configure()
        for zone in BY_SIGNZONE:
            self._make_keys(zone)
            self._sign(zone, left=FIRST_LIFETIME.get(zone, LIFETIME))
        self._forge("forged.quay.")
        for zone in UNSIGNED:
            self._file(zone).write_text(self._text(zone))
        for zone in BY_KZONESIGN:
            self._sign_by_knot(zone)
        for zone in BY_KNOTD:
            self._file(zone).write_text(self._text(zone))
        self._nsd.start()
        self._knot.start()
        self._nsd.until_up(lambda: self._serial_at(self._nsd_port, "bank.quay.") is not None)
        for zone in BY_KNOTD:
            self._take_ds_from_knot(zone)
        for zone in (TLD, "."):
            self._make_keys(zone)
            self._sign(zone)
        self._write_anchors()
        self._named.start()
        self._named.until_up(lambda: self._serial_at(self._named_port, TLD) is not None)
        self.start_resolver()

    def stop(self) -> None:
        """End all servers, whatever becomes of one of them."""
        with contextlib.ExitStack() as ending:
            for daemon in self._daemons:
                ending.callback(daemon.stop)

    def start_resolver(self) -> None:
        """Start Unbound, cold, on the port that it always has; nothing if it runs."""
        if self._unbound.is_running:
            return
        self._unbound.start()
        self._unbound.until_up(lambda: self._serial_at(self.port, ".") is not None)

    def kill_resolver(self) -> None:
        """Let Unbound die without a word."""
        self._unbound.kill()

    def logs(self) -> str:
        """Return the ends of all servers' logs."""
        return "\n".join(daemon.tail() for daemon in self._daemons)

    # what happens to zones

    def sign_again(self, zone: str, *, left: timedelta = LIFETIME, since: timedelta = timedelta(hours=1)) -> None:
        """Sign a zone of NSD with the keys that it has: from ``since`` ago until ``left`` from now, and serve it."""
        self._sign(zone, left=left, since=since)
        self._reload_nsd(zone)

    def let_expire(self, zone: str) -> None:
        """Serve a zone of NSD as it is five days after its signer has stopped."""
        self.sign_again(zone, left=-timedelta(days=5), since=timedelta(days=35))

    def swap_keys(self, zone: str) -> None:
        """Sign a zone of NSD with new keys of which its parent does not know."""
        keys = self._folder / "swapped"
        keys.mkdir(exist_ok=True)
        self._keygen(zone, keys)
        self._sign(zone, keys=keys)
        self._reload_nsd(zone)

    def roll_zsk(self, zone: str) -> None:
        """Let Knot roll a zone's signing key: it publishes, waits, signs with the new one, waits, and withdraws."""
        run_tool("knotc", "-c", self._folder / "knot.conf", "zone-key-rollover", zone, "zsk", cwd=self._folder)

    def zsk_tags(self, zone: str) -> set[int]:
        """Return the tags of the signing keys that Knot publishes for a zone now."""
        reply = self._ask(self._knot_port, zone, "DNSKEY")
        keys = [key for rrset in reply.answer if rrset.rdtype == dns.rdatatype.DNSKEY for key in rrset] if reply else []
        return {dns.dnssec.key_id(key) for key in keys if key.flags == 256}

    def remove_ds(self, zone: str) -> None:
        """Sign the TLD again without the zone's DS, and serve it."""
        del self._ds[zone]
        self._sign(TLD)
        run_tool(
            *("rndc", "-s", "127.0.0.1", "-p", str(self._rndc_port), "-k", self._folder / "rndc.key", "reload", TLD),
            cwd=self._folder,
        )
        self._until_served(self._named_port, TLD)

    # zone files and keys

    def _file(self, zone: str) -> Path:
        return self._folder / f"{zone.rstrip('.') or 'root'}.zone"

    def _signed_file(self, zone: str) -> Path:
        return self._folder / f"{zone.rstrip('.') or 'root'}.zone.signed"

    def _text(self, zone: str) -> str:
        serial = self._serials[zone] = self._serials.get(zone, 0) + 1
        lines = [
            f"$ORIGIN {zone}\n$TTL 1",
            f"@ IN SOA ns{'' if zone == '.' else '.' + zone} host. {serial} 3600 600 864000 1",
            "@ IN NS ns\nns IN A 127.0.0.1",
        ]
        if zone == ".":
            lines += _delegation(TLD, self._ds[TLD])
        elif zone == TLD:
            leaves = (*BY_SIGNZONE, *BY_KZONESIGN, *BY_KNOTD, *UNSIGNED)
            lines += [line for leaf in leaves for line in _delegation(leaf, self._ds.get(leaf, ""))]
        else:
            lines += [HOSTS + MORE_RECORDS.get(zone, "")]
        return "\n".join(lines) + "\n"

    def _make_keys(self, zone: str) -> None:
        keys = self._folder / "keys"
        keys.mkdir(exist_ok=True)
        ksk = self._keygen(zone, keys)
        self._ds[zone] = run_tool("dnssec-dsfromkey", "-2", f"{ksk}.key", cwd=keys).strip()

    def _keygen(self, zone: str, keys: Path) -> str:
        """Make a KSK and a ZSK and return the KSK's name."""
        ksk = run_tool("dnssec-keygen", "-q", "-a", ALGORITHM, "-f", "KSK", zone, cwd=keys).strip()
        run_tool("dnssec-keygen", "-q", "-a", ALGORITHM, zone, cwd=keys)
        return ksk

    def _sign(
        self,
        zone: str,
        *,
        left: timedelta = LIFETIME,
        since: timedelta = timedelta(hours=1),
        keys: Path | None = None,
    ) -> None:
        self._file(zone).write_text(self._text(zone))
        now = datetime.now(UTC)
        fresh = self._folder / "fresh.signed"
        run_tool(
            *("dnssec-signzone", "-q", "-S", "-P", "-T", "1", "-O", "full", "-K", keys or self._folder / "keys"),
            *("-s", f"{now - since:%Y%m%d%H%M%S}", "-e", f"{now + left:%Y%m%d%H%M%S}"),
            *(("-3", "-", "-H", "0") if zone in WITH_NSEC3 else ()),
            *("-o", zone, "-f", fresh, self._file(zone)),
            cwd=self._folder,
        )
        fresh.replace(self._signed_file(zone))

    def _forge(self, zone: str) -> None:
        """Change the data of a signed zone and leave its signatures."""
        signed = self._signed_file(zone)
        signed.write_text(signed.read_text().replace(ADDRESS, FORGED_ADDRESS))

    def _sign_by_knot(self, zone: str) -> None:
        for role in ("ksk=yes", "zsk=yes"):
            run_tool(
                *("keymgr", "-c", self._folder / "offline.conf", zone, "generate", f"algorithm={ALGORITHM}", role),
                cwd=self._folder,
            )
        self._file(zone).write_text(self._text(zone))
        signed = self._folder / "signed"
        signed.mkdir(exist_ok=True)
        run_tool("kzonesign", "-c", self._folder / "offline.conf", "-o", signed, zone, cwd=self._folder)
        (signed / self._file(zone).name).replace(self._signed_file(zone))
        self._ds[zone] = self._knot_ds("offline.conf", zone)

    def _take_ds_from_knot(self, zone: str) -> None:
        """Wait until the server has made keys and signed the zone, and note the DS for the parent."""
        self._knot.until_up(lambda: self._is_signed(self._knot_port, zone))
        self._ds[zone] = self._knot_ds("knot.conf", zone)

    def _knot_ds(self, config: str, zone: str) -> str:
        printed = run_tool("keymgr", "-c", self._folder / config, zone, "ds", cwd=self._folder)
        return next(line for line in printed.splitlines() if re.search(r" DS \d+ 13 2 ", line))

    # servers

    def _configure(self) -> None:
        folder, leaves = self._folder, [zone for zone in BY_SIGNZONE if zone not in NOT_SERVED]
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        (folder / "rndc.key").write_text(RNDC_KEY.format(secret=secret))
        named = NAMED.format(folder=folder, port=self._named_port, control_port=self._rndc_port)
        (folder / "named.conf").write_text(named)
        zones = [NSD_ZONE.format(zone=zone, file=self._signed_file(zone).name) for zone in leaves]
        zones += [NSD_ZONE.format(zone=zone, file=self._file(zone).name) for zone in UNSIGNED]
        (folder / "nsd.conf").write_text(NSD.format(folder=folder, port=self._nsd_port) + "".join(zones))
        self._configure_knot()
        served = {".": self._named_port, TLD: self._named_port}
        served |= dict.fromkeys((*BY_SIGNZONE, *UNSIGNED), self._nsd_port)
        served |= dict.fromkeys((*BY_KZONESIGN, *BY_KNOTD), self._knot_port)
        stubs = [UNBOUND_STUB.format(zone=zone, port=port) for zone, port in served.items()]
        (folder / "unbound.conf").write_text(UNBOUND.format(folder=folder, port=self.port) + "".join(stubs))

    def _configure_knot(self) -> None:
        """Write what the server reads, and what kzonesign reads, which has keys of its own."""
        folder = self._folder
        settings = {"folder": folder, "port": self._knot_port, "algorithm": ALGORITHM.lower()}
        online = [KNOT_ZONE.format(zone=zone, file=self._signed_file(zone).name) for zone in BY_KZONESIGN]
        online += [
            KNOT_ZONE.format(zone=zone, file=self._file(zone).name)
            + "    dnssec-signing: on\n    dnssec-policy: rolling\n"
            for zone in BY_KNOTD
        ]
        offline = [
            KNOT_ZONE.format(zone=zone, file=self._file(zone).name) + "    dnssec-policy: kept\n"
            for zone in BY_KZONESIGN
        ]
        for name, zones in (("knot", online), ("offline", offline)):
            storage = folder / f"{name}.db"
            storage.mkdir()
            text = KNOT.format(storage=storage, **settings) + "".join(zones)
            (folder / f"{name}.conf").write_text(text)

    def _write_anchors(self) -> None:
        ds = self._ds["."]
        self.anchor_file.write_text(ds + "\n")
        (self._folder / "root.key").write_text(ds + "\n")
        tag, algorithm, digest_type, digest = ds.split(" DS ")[1].split(maxsplit=3)
        anchor = f'. static-ds {tag} {algorithm} {digest_type} "{digest.replace(" ", "")}";'
        self.delv_anchor_file.write_text(f"trust-anchors {{ {anchor} }};\n")

    def _reload_nsd(self, zone: str) -> None:
        run_tool("nsd-control", "-c", self._folder / "nsd.conf", "reload", zone, cwd=self._folder)
        self._until_served(self._nsd_port, zone)

    def _until_served(self, port: int, zone: str) -> None:
        serial = self._serials[zone]
        until(lambda: self._serial_at(port, zone) == serial, f"{zone} is served with serial {serial}")

    # questions

    def _ask(self, port: int, zone: str, rdtype: str) -> dns.message.Message | None:
        query = dns.message.make_query(zone, rdtype, want_dnssec=True)
        try:
            reply = dns.query.udp(query, "127.0.0.1", timeout=1.0, port=port)
        except (dns.exception.DNSException, OSError):
            return None
        return reply if reply.rcode() == dns.rcode.NOERROR else None

    def _serial_at(self, port: int, zone: str) -> int | None:
        reply = self._ask(port, zone, "SOA")
        found = [rrset for rrset in reply.answer if rrset.rdtype == dns.rdatatype.SOA] if reply else []
        return found[0][0].serial if found else None

    def _is_signed(self, port: int, zone: str) -> bool:
        reply = self._ask(port, zone, "DNSKEY")
        return reply is not None and any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in reply.answer)


def missing_tools() -> list[str]:
    """Return which programs are not installed."""
    return [tool for tool in TOOLS if find_tool(tool) is None]


def _delegation(zone: str, ds: str) -> Sequence[str]:
    lines: Iterable[str] = (f"{zone} IN NS ns.{zone}", f"ns.{zone} IN A 127.0.0.1", ds)
    return [line for line in lines if line]

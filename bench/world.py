"""A signed world for measuring: partner zones served by NSD, behind a warm Unbound."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.name

from anchorwatch.lab.zones import Nsec3Params, Zone, generate_key
from tests.support.daemons import free_port

ALGORITHMS = (13, 8, 13, 15)
PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


@dataclass(frozen=True)
class Served:
    """Where to ask, what to trust, what there is: ``hosts`` spread over ``zones`` zones."""

    folder: Path
    resolver: tuple[str, int]
    kind: str
    hosts: tuple[str, ...]
    zones: int

    @property
    def url(self) -> str:
        return f"udp://{self.resolver[0]}:{self.resolver[1]}"

    @property
    def anchors(self) -> Path:
        return self.folder / "root.ds"

    def inventory(self, count: int) -> Path:
        """Write an inventory of the first ``count`` hosts, one identity a hundred of them."""
        path = self.folder / f"inventory-{count}.csv"
        rows = [
            f"sa-{n // 100},service_account,team-{n // 1000},{' '.join(self.hosts[n : n + 100])}"
            for n in range(0, count, 100)
        ]
        path.write_text("id,kind,owner,endpoints\n" + "\n".join(rows) + "\n")
        return path


def which(name: str) -> str | None:
    """Return the path of a program, system folders included."""
    return shutil.which(name) or shutil.which(name, path=PATH)


def make_zones(zones: int, hosts: int) -> list[Zone]:
    """Return root, ``measure.`` and partner zones, signed for a month."""
    now = datetime.now(UTC)
    keys = {algorithm: (generate_key(algorithm, entry=True), generate_key(algorithm)) for algorithm in set(ALGORITHMS)}
    made = []
    tld = Zone(dns.name.from_text("measure."), ttl=3600, keys=list(keys[13]), lifetime=timedelta(days=30))
    tld.add("@", "NS", "ns.measure.")
    tld.add("ns", "A", "127.0.0.1")
    for number in range(zones):
        algorithm = ALGORITHMS[number % len(ALGORITHMS)]
        zone = Zone(
            dns.name.from_text(f"p{number}.measure."),
            ttl=3600,
            keys=list(keys[algorithm]),
            nsec3=Nsec3Params() if number % 2 else None,
            lifetime=timedelta(days=30),
        )
        zone.add("@", "NS", "ns.measure.")
        for host in range(hosts):
            zone.add(f"h{host}", "A", f"192.0.2.{host % 250}")
            zone.add(f"h{host}", "AAAA", f"2001:db8::{host:x}")
        zone.sign(now)
        tld.add(f"p{number}", "NS", "ns.measure.")
        tld.add(f"p{number}", "DS", *zone.ds_records())
        made.append(zone)
    tld.sign(now)
    root = Zone(
        dns.name.root, ttl=3600, keys=[generate_key(13, entry=True), generate_key(13)], lifetime=timedelta(days=30)
    )
    root.add("@", "NS", "ns.measure.")
    root.add("measure", "NS", "ns.measure.")
    root.add("measure", "DS", *tld.ds_records())
    root.sign(now)
    return [root, tld, *made]


@contextlib.contextmanager
def served(folder: Path, zones: int, hosts: int) -> Iterator[Served]:
    """Serve a world until the block ends."""
    made = make_zones(zones, hosts)
    root = made[0]
    (folder / "root.ds").write_text("".join(f". IN DS {ds}\n" for ds in root.ds_records()))
    names = tuple(f"h{host}.p{number}.measure" for host in range(hosts) for number in range(zones))
    if not (which("nsd") and which("unbound")):
        sys.exit("bench needs NSD and Unbound to ask: apt-get install nsd unbound (and bind9-dnsutils for delv)")
    with contextlib.ExitStack() as stack:
        authority, resolver = free_port(), free_port()
        _write_nsd(folder, made, authority)
        _write_unbound(folder, made, authority, resolver)
        for program, arguments in (("nsd", ["-d", "-c", "nsd.conf"]), ("unbound", ["-d", "-c", "unbound.conf"])):
            path = which(program)
            assert path is not None
            log = stack.enter_context((folder / f"{program}.out").open("wb"))
            process = subprocess.Popen([path, *arguments], cwd=folder, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        _wait_for(("127.0.0.1", resolver))
        yield Served(folder, ("127.0.0.1", resolver), "Unbound over NSD", names, zones)


def _write_nsd(folder: Path, zones: list[Zone], port: int) -> None:
    text = (
        f'server:\n ip-address: 127.0.0.1@{port}\n zonesdir: "{folder}"\n database: ""\n pidfile: ""\n'
        f' xfrdfile: "{folder}/xfrd"\n zonelistfile: "{folder}/zonelist"\n username: ""\n server-count: 1\n'
        "remote-control:\n control-enable: no\n"
    )
    for number, zone in enumerate(zones):
        lines = [rrset.to_text() for rrsets in (zone.rrsets, zone.signatures) for rrset in rrsets.values()]
        (folder / f"{number}.zone").write_text("\n".join(lines) + "\n")
        text += f'zone:\n name: "{zone.name}"\n zonefile: "{number}.zone"\n'
    (folder / "nsd.conf").write_text(text)


def _write_unbound(folder: Path, zones: list[Zone], authority: int, port: int) -> None:
    stubs = "".join(f'stub-zone:\n name: "{zone.name}"\n stub-addr: 127.0.0.1@{authority}\n' for zone in zones)
    (folder / "unbound.conf").write_text(
        f"server:\n interface: 127.0.0.1@{port}\n port: {port}\n num-threads: 1\n do-not-query-localhost: no\n"
        f' trust-anchor-file: "{folder}/root.ds"\n chroot: ""\n username: ""\n pidfile: ""\n directory: "{folder}"\n'
        " use-syslog: no\n do-ip6: no\n msg-cache-size: 128m\n rrset-cache-size: 256m\n"
        " access-control: 127.0.0.0/8 allow\n outgoing-range: 4096\n"
        " num-queries-per-thread: 4096\n so-rcvbuf: 4m\n" + stubs
    )


def _wait_for(address: tuple[str, int]) -> None:
    import dns.message
    import dns.query

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            answer = dns.query.udp(dns.message.make_query("measure.", "SOA"), address[0], port=address[1], timeout=1)
            if answer.rcode() == 0 and answer.answer:
                return
        time.sleep(0.2)
    sys.exit(f"the servers did not start; see {address}")
